use std::collections::BTreeMap;

use indexmap::IndexMap;
use proptest::prelude::*;

use trunkline_model::ProfileScope;

use super::*;

fn lists(include: Option<&[&str]>, exclude: &[&str]) -> ToolFilter {
    let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    ToolFilter { include: include.map(owned), exclude: owned(exclude) }
}

fn server() -> ServerName {
    ServerName::new("files").unwrap()
}

fn profile(selection: Selection) -> Result<EffectiveProfile, ProfileError> {
    EffectiveProfile::new(&ProfileSpec {
        name: ProfileName::new("engineering").unwrap(),
        auth: ProfileAuth::None,
        members: None,
        scopes: BTreeMap::new(),
        servers: IndexMap::from([(server(), selection)]),
        models: Vec::new(),
    })
}

fn with_tools(tools: ToolFilter) -> EffectiveProfile {
    profile(Selection { tools, ..Selection::default() }).unwrap()
}

#[test]
fn everything_of_a_selected_server_is_admitted_by_default_and_nothing_of_another() {
    let profile = with_tools(ToolFilter::default());
    let stranger = ServerName::new("shell").unwrap();
    assert!(profile.admits_tool(&server(), "any.thing/at all"));
    assert!(profile.admits_prompt(&server(), "p") && profile.admits_resource(&server(), "file:///etc/x"));
    assert!(!profile.admits_tool(&stranger, "x"));
    assert!(!profile.admits_prompt(&stranger, "x") && !profile.admits_resource(&stranger, "x:y"));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "this test needs callers, not credentials")]
fn a_token_needs_every_scope_whose_patterns_name_the_tool_and_a_key_needs_none() {
    let scope = |pattern: &str| ProfileScope { tools: vec![pattern.to_owned()], description: None };
    let spec = ProfileSpec {
        scopes: BTreeMap::from([("all".to_owned(), scope("*_all")), ("deploy".to_owned(), scope("prod_*"))]),
        ..with_tools(ToolFilter::default()).spec().clone()
    };
    let profile = EffectiveProfile::new(&spec).unwrap();
    let key = Caller::authenticated(trunkline_model::Principal::Anonymous, spec.name.clone());
    let token = |scope: &str| key.clone().limited_to(scope.into());
    assert!(profile.lacking(&key, "prod_all").is_empty());
    assert_eq!(profile.lacking(&token("mcp"), "prod_all"), ["all", "deploy"]);
    assert_eq!(profile.lacking(&token("mcp deploy"), "prod_all"), ["all"]);
    assert!(profile.lacking(&token("mcp deploy"), "prod_x").is_empty());
    assert!(profile.lacking(&token("mcp"), "staging_x").is_empty());
    assert_eq!(profile.lacking(&token("deployer prod_x"), "prod_x"), ["deploy"], "a scope is a whole word");
}

#[test]
fn an_empty_include_admits_nothing() {
    assert!(!with_tools(lists(Some(&[]), &[])).admits_tool(&server(), "read"));
}

#[test]
fn each_kind_has_its_own_filter() {
    let selection = Selection {
        tools: lists(Some(&["read_*", "list_{a,b}"]), &["*_secret"]),
        prompts: lists(None, &["draft*"]),
        resources: lists(Some(&["file:///srv/docs/*"]), &[]),
        ..Selection::default()
    };
    let profile = profile(selection).unwrap();
    for (tool, admitted) in [
        ("read_file", true),
        ("read_secret", false),
        ("write", false),
        ("list_a", true),
        ("Read_file", false),
    ] {
        assert_eq!(profile.admits_tool(&server(), tool), admitted, "{tool}");
    }
    assert!(profile.admits_prompt(&server(), "read_secret") && !profile.admits_prompt(&server(), "draft1"));
    assert!(profile.admits_resource(&server(), "file:///srv/docs/deep/a.txt"), "a star crosses slashes");
    assert!(!profile.admits_resource(&server(), "file:///srv/other"));
}

#[test]
fn a_broken_glob_is_named_with_its_place() {
    let selection = Selection { prompts: lists(None, &["ok", "a[b"]), ..Selection::default() };
    let error = profile(selection).unwrap_err();
    assert_eq!((error.list.as_str(), error.pattern.as_str()), ("servers.files.prompts.exclude", "a[b"));
    assert!(error.to_string().starts_with("profile engineering, servers.files.prompts.exclude: \"a[b\""));
}

proptest! {
    /// Over few letters, so that patterns often match.
    #[test]
    fn exclude_wins_and_include_bounds(
        include in prop::option::of(prop::collection::vec("[ab*?]{1,3}", 0..3)),
        exclude in prop::collection::vec("[ab*?]{1,3}", 0..3),
        name in "[ab]{1,3}",
    ) {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern.as_bytes(), name.as_bytes()));
        let expected = !any(&exclude) && include.as_deref().is_none_or(any);
        let profile = with_tools(ToolFilter { include, exclude });
        prop_assert_eq!(profile.admits_tool(&server(), &name), expected);
    }
}

/// Globs by their definition.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => matches(rest, name) || (!name.is_empty() && matches(pattern, &name[1..])),
        ([b'?', pattern @ ..], [_, name @ ..]) => matches(pattern, name),
        ([letter, pattern @ ..], [first, name @ ..]) => letter == first && matches(pattern, name),
        _ => false,
    }
}
