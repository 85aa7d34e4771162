//! Which server a resource URI belongs to.
//!
//! URIs are shown as servers wrote them, so that links in results stay true.
//! Where two servers list the same URI, or a template could be either's, the
//! later server's is shown under `trunkline://{server}/{uri}`, which names the
//! server and is always accepted; so are links to it in its server's results.

use std::collections::HashMap;
use std::sync::Arc;

use globset::{Glob, GlobMatcher};
use trunkline_model::ServerName;

use super::links::Taken;

/// The scheme of URIs that name their server.
const SCHEME: &str = "trunkline://";

/// A resource as its server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResourceTarget {
    pub server: ServerName,
    /// The server's own URI.
    pub uri: String,
}

/// The resources of one profile.
#[derive(Debug, Default)]
pub(crate) struct ResourceIndex {
    listed: HashMap<String, ServerName>,
    templates: Vec<Template>,
    /// The directories of skills, with the slash at their ends, and whose each is.
    skills: HashMap<String, ServerName>,
    /// Every server that has resources at all, in the profile's order.
    servers: Vec<ServerName>,
    /// By server, what of it is shown under `trunkline://`; empty for nearly all profiles.
    taken: HashMap<ServerName, Taken>,
}

#[derive(Debug)]
struct Template {
    own: String,
    matcher: Option<GlobMatcher>,
    server: ServerName,
}

impl ResourceIndex {
    pub(crate) fn add_server(&mut self, server: &ServerName) {
        self.servers.push(server.clone());
    }

    /// Takes a listed URI; gives the URI to show.
    pub(crate) fn add_resource(&mut self, server: &ServerName, uri: &str) -> String {
        match self.listed.get(uri).or_else(|| self.owner_of_skill(uri)) {
            Some(other) if other != server => {
                self.taken_of(server).add_uri(uri);
                qualified(server, uri)
            }
            _ => {
                self.listed.insert(uri.to_owned(), server.clone());
                uri.to_owned()
            }
        }
    }

    /// Takes a URI that a server names without listing it.
    pub(crate) fn add_named(&mut self, server: &ServerName, uri: &str) {
        match self.listed.get(uri) {
            Some(other) if other != server => self.taken_of(server).add_uri(uri),
            Some(_) => {}
            None => {
                self.listed.insert(uri.to_owned(), server.clone());
            }
        }
    }

    /// Takes a listed template; gives the template to show.
    pub(crate) fn add_template(&mut self, server: &ServerName, template: &str) -> String {
        let taken = self.templates.iter().any(|known| known.own == template && known.server != *server);
        let matcher = matcher_of(template);
        if taken {
            self.taken_of(server).add_template(matcher.clone());
        }
        self.templates.push(Template { own: template.to_owned(), matcher, server: server.clone() });
        if taken { qualified(server, template) } else { template.to_owned() }
    }

    /// Takes a listed skill by the URI of its `SKILL.md`; whether its directory
    /// is an earlier server's, so that all of it is shown under `trunkline://`.
    pub(crate) fn add_skill(&mut self, server: &ServerName, uri: &str) -> bool {
        let directory = uri.rfind('/').map_or(uri, |slash| &uri[..=slash]);
        // Who lists a file of it without calling it a skill has it too.
        let lists =
            |(listed, owner): (&String, &ServerName)| owner != server && listed.starts_with(directory);
        let is_listed = self.listed.iter().any(lists);
        let is_taken = is_listed || self.skills.get(directory).is_some_and(|owner| owner != server);
        if is_taken {
            let files = Glob::new(&format!("{}*", globset::escape(directory))).ok();
            self.taken_of(server).add_template(files.map(|glob| glob.compile_matcher()));
        } else {
            self.skills.insert(directory.to_owned(), server.clone());
        }
        is_taken
    }

    /// The server of the skill that a file or a directory is of.
    fn owner_of_skill(&self, uri: &str) -> Option<&ServerName> {
        if self.skills.is_empty() {
            return None;
        }
        // The directory itself has no slash at its end.
        let whole = self.skills.get(&format!("{uri}/"));
        let within = || uri.rmatch_indices('/').find_map(|(slash, _)| self.skills.get(&uri[..=slash]));
        whole.or_else(within)
    }

    fn taken_of(&mut self, server: &ServerName) -> &mut Taken {
        self.taken.entry(server.clone()).or_insert_with(|| Taken::of(server))
    }

    /// What of a server is shown under `trunkline://`, once all of it has been
    /// added; none when nothing is.
    pub(crate) fn take_taken(&mut self, server: &ServerName) -> Option<Arc<Taken>> {
        self.taken.remove(server).map(Arc::new)
    }

    /// Whether a server lists, or names, this very URI.
    pub(crate) fn lists(&self, uri: &str) -> bool {
        self.listed.contains_key(uri)
    }

    /// The server of a URI: the one it names, the one that lists it, or the
    /// skill that it is of, the first whose template it fits, or the only one there is.
    pub(crate) fn resolve(&self, uri: &str) -> Option<ResourceTarget> {
        let target = |server: &ServerName, uri: &str| {
            Some(ResourceTarget { server: server.clone(), uri: uri.to_owned() })
        };
        if let Some((server, own)) = uri.strip_prefix(SCHEME).and_then(|rest| rest.split_once('/'))
            && let Some(server) = self.servers.iter().find(|known| known.as_str() == server)
        {
            return target(server, own);
        }
        if let Some(server) = self.listed.get(uri).or_else(|| self.owner_of_skill(uri)) {
            return target(server, uri);
        }
        let fits = |template: &&Template| {
            template.own == uri || template.matcher.as_ref().is_some_and(|matcher| matcher.is_match(uri))
        };
        if let Some(template) = self.templates.iter().find(fits) {
            return target(&template.server, uri);
        }
        match self.servers.as_slice() {
            [only] => target(only, uri),
            several => target(self.only_user_of_scheme(several, uri)?, uri),
        }
    }

    /// The one server whose listed resources share the URI's scheme.
    fn only_user_of_scheme<'a>(&self, servers: &'a [ServerName], uri: &str) -> Option<&'a ServerName> {
        let scheme = uri.split_once(':')?.0;
        let uses = |server: &&ServerName| {
            let has = |own: &str| own.split_once(':').is_some_and(|(other, _)| other == scheme);
            self.listed.iter().any(|(listed, owner)| owner == *server && has(listed))
                || self.templates.iter().any(|template| template.server == **server && has(&template.own))
        };
        let mut users = servers.iter().filter(uses);
        let first = users.next()?;
        users.next().is_none().then_some(first)
    }
}

pub(crate) fn qualified(server: &ServerName, uri: &str) -> String {
    format!("{SCHEME}{server}/{uri}")
}

/// RFC 6570 expressions as globs: any text stands for `{…}`.
pub(super) fn matcher_of(template: &str) -> Option<GlobMatcher> {
    let mut pattern = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        pattern.push_str(&globset::escape(before));
        pattern.push('*');
        rest = after.split_once('}')?.1;
    }
    pattern.push_str(&globset::escape(rest));
    Glob::new(&pattern).ok().map(|glob| glob.compile_matcher())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(name: &str) -> ServerName {
        ServerName::new(name).unwrap()
    }

    #[test]
    fn a_uri_finds_its_server() {
        let (a, b) = (server("a"), server("b"));
        let mut index = ResourceIndex::default();
        index.add_server(&a);
        index.add_server(&b);
        assert_eq!(index.add_resource(&a, "demo://x"), "demo://x");
        assert_eq!(index.add_resource(&b, "demo://x"), "trunkline://b/demo://x");
        assert_eq!(index.add_template(&b, "note://{id}/text"), "note://{id}/text");
        assert_eq!(index.add_resource(&a, "file:///one"), "file:///one");
        let owner = |uri: &str| index.resolve(uri).map(|target| (target.server.to_string(), target.uri));
        assert_eq!(owner("demo://x"), Some(("a".into(), "demo://x".into())));
        assert_eq!(owner("trunkline://b/demo://x"), Some(("b".into(), "demo://x".into())));
        assert_eq!(owner("note://7/text"), Some(("b".into(), "note://7/text".into())));
        assert_eq!(
            owner("file:///two"),
            Some(("a".into(), "file:///two".into())),
            "the only user of the scheme"
        );
        assert_eq!(owner("demo://nobody"), Some(("a".into(), "demo://nobody".into())));
        assert_eq!(owner("other://x"), None, "no server is asked for what could be anybody's");
    }

    #[test]
    fn a_file_of_a_skill_is_its_servers_listed_or_not() {
        let (a, b) = (server("a"), server("b"));
        let mut index = ResourceIndex::default();
        index.add_server(&a);
        index.add_server(&b);
        assert!(!index.add_skill(&a, "skill://greeting/SKILL.md"));
        assert!(!index.add_skill(&b, "skill://other/SKILL.md"));
        assert!(index.add_skill(&b, "skill://greeting/SKILL.md"), "an earlier server has it");
        let owner = |uri: &str| index.resolve(uri).map(|target| target.server.to_string());
        assert_eq!(owner("skill://greeting/references/a.md").as_deref(), Some("a"));
        assert_eq!(owner("skill://other").as_deref(), Some("b"));
        assert_eq!(owner("trunkline://b/skill://greeting/SKILL.md").as_deref(), Some("b"));
        assert_eq!(owner("skill://unknown/SKILL.md"), None);
        assert_eq!(index.add_resource(&b, "skill://greeting/x"), "trunkline://b/skill://greeting/x");
        index.add_resource(&a, "skill://plain/SKILL.md");
        assert!(index.add_skill(&b, "skill://plain/SKILL.md"), "what is read there is the earlier server's");
    }
}
