//! What a file may say, what it may not, and what is said about it.

mod auth;

use std::path::Path;
use std::time::Duration;

use insta::assert_snapshot;
use trunkline_model::{ConsentOf, Endpoint, EraPin, HttpTransport, Instances, ProfileAuth, ServerAuth};

use super::*;

fn lookup(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some("hunter2-from-the-environment".to_owned()),
        "PORT" => Some("7444".to_owned()),
        "LIMIT" => Some("1000".to_owned()),
        "BAD" => Some("hunter2 is not a valid value".to_owned()),
        _ => None,
    }
}

fn read(text: &str) -> Config {
    match parse(text, Path::new("trunkline.yaml"), &lookup) {
        Ok(config) => config,
        Err(errors) => panic!("{errors}"),
    }
}

/// The faults of `text`, one per line.
fn faults(text: &str) -> String {
    let errors = parse(text, Path::new("trunkline.yaml"), &lookup).expect_err("it should be refused");
    let text = errors.to_string();
    assert!(!text.contains("hunter2"), "an error shows a value from the environment: {text}");
    text
}

#[test]
fn the_example_of_the_product_is_read() {
    let config = read(
        r#"
listen: 127.0.0.1:7400
public_url: http://localhost:7400
servers:
  time:    { command: uvx, args: [mcp-server-time] }
  files:   { command: npx, args: [-y, "@modelcontextprotocol/server-filesystem", /srv/docs] }
  tracker: { url: "https://tracker.example/mcp", auth: { oauth: { per: user, scopes: [read] } } }
profiles:
  engineering:
    auth: oauth                       # oauth | api_key | none
    servers:
      time: {}
      files:   { tools: { include: ["read_*", "list_*"] } }
      tracker: { prefix: tr, rename: { create_issue: new_issue } }   # prefix "" means none
    models: [fast]
providers:
  openai: { kind: openai, api_key: "${TOKEN}" }
routes:
  fast: { targets: [ { provider: openai, model: gpt-5.5-mini } ] }
"#,
    );
    assert_eq!(config.servers.len(), 3);
    let profile = &config.profiles["engineering"];
    assert_eq!(profile.auth, ProfileAuth::Oauth);
    let order: Vec<&str> = profile.servers.keys().map(ServerName::as_str).collect();
    assert_eq!(order, ["time", "files", "tracker"]);
    assert_eq!(profile.servers["tracker"].prefix.as_deref(), Some("tr"));
    let Endpoint::Http(tracker) = &config.servers["tracker"].endpoint else { panic!("not HTTP") };
    assert!(
        matches!(&tracker.auth, ServerAuth::OAuth(oauth) if oauth.scopes == ["read"] && oauth.per == ConsentOf::User)
    );
    assert_snapshot!(config.notes.join("\n"));
}

#[test]
fn an_empty_file_is_an_empty_configuration() {
    for text in ["", "# nothing here\n", "---\n", "{}\n"] {
        let config = read(text);
        assert_eq!(config.listen, DEFAULT_LISTEN, "{text:?}");
        assert!(config.servers.is_empty() && config.profiles.is_empty() && config.notes.is_empty());
    }
}

#[test]
fn everything_about_a_server_can_be_said() {
    let config = read(
        r#"
servers:
  local:
    description: A program
    command: ./bin/server
    args: [--port, 8080, --flag, true, 007, 1.50]
    env: { LEVEL: debug, PORT: 8080, TOKEN: "${TOKEN}", LITERAL: "literal:file:./x.db" }
    cwd: data
    instances: shared
    era: legacy
    idle_timeout: 1h30m
    call_timeout: 90s
  remote:
    url: https://example.org/mcp?project=1
    headers: { X-Team: core }
    auth: { header: { name: X-Api-Key, value: "${TOKEN}" } }
    transport: sse
"#,
    );
    let local = &config.servers["local"];
    let Endpoint::Stdio(command) = &local.endpoint else { panic!("not stdio") };
    assert_eq!(command.args, ["--port", "8080", "--flag", "true", "007", "1.50"]);
    assert_eq!(command.env["PORT"].expose(), "8080");
    assert_eq!(command.env["TOKEN"].expose(), "hunter2-from-the-environment");
    assert_eq!(command.env["LITERAL"].expose(), "file:./x.db");
    assert_eq!((local.instances, local.era), (Instances::Shared, EraPin::Legacy));
    assert_eq!((local.idle_timeout, local.call_timeout), (Duration::from_mins(90), Duration::from_secs(90)));
    let Endpoint::Http(remote) = &config.servers["remote"].endpoint else { panic!("not HTTP") };
    assert_eq!(remote.transport, HttpTransport::Sse);
    let headers: Vec<(&str, &str)> =
        remote.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(headers, [("X-Team", "core"), ("X-Api-Key", "hunter2-from-the-environment")]);
    assert_eq!(config.server_descriptions["local"], "A program");
}

#[test]
fn the_environment_fills_in_any_value() {
    let config = read(
        "listen: 127.0.0.1:${PORT}\nlimits: { request_bytes: \"${LIMIT}\" }\n\
         profiles: { team: { auth: \"${AUTH:-api_key}\" } }\n",
    );
    assert_eq!(config.listen.port(), 7444);
    assert_eq!(config.limits.request_bytes, 1000);
    assert_eq!(config.profiles["team"].auth, ProfileAuth::ApiKey);
}

#[test]
fn how_the_file_was_saved_makes_no_difference() {
    for text in [
        "\u{feff}listen: 127.0.0.1:0007\n",
        "servers: {}\r\nlisten: 127.0.0.1:7\r\n",
        "\"listen\": '127.0.0.1:7'",
    ] {
        assert_eq!(read(text).listen.port(), 7, "{text:?}");
    }
    let config = read(
        "\u{feff}servers: { ü: }\n"
            .replace("ü: ", "a: { command: x, args: [ü, 007, yes, 1_000, 0x1F, .5, ~x] }")
            .as_str(),
    );
    let Endpoint::Stdio(command) = &config.servers["a"].endpoint else { panic!("not stdio") };
    assert_eq!(command.args, ["ü", "007", "yes", "1_000", "0x1F", ".5", "~x"]);
}

#[test]
fn anchors_and_merges_are_followed() {
    let config = read(
        "servers:\n  one: &base { command: uvx, args: [a], call_timeout: 1m }\n  two: { <<: *base, args: [b] }\n",
    );
    let two = &config.servers["two"];
    assert_eq!(two.call_timeout, Duration::from_mins(1));
    let Endpoint::Stdio(command) = &two.endpoint else { panic!("not stdio") };
    assert_eq!(command.args, ["b"]);
}

#[test]
fn unknown_keys_name_their_place_and_the_nearest_key() {
    assert_snapshot!(faults(
        "lisen: 127.0.0.1:7400\nservers:\n  time:\n    comand: uvx\n    args: [mcp-server-time]\n  far:\n    \
         url: https://example.org/mcp\n    auth: { oauth: { scope: [read] } }\nprofiles:\n  team:\n    servers:\n      \
         time: { tool: {} }\n      far: { tools: { includes: [] } }\nzzzzz: 1\n"
    ));
}

#[test]
fn every_fault_is_reported_at_once() {
    assert_snapshot!(faults(
        "listen: localhost\nlimits: { request_bytes: many, response_bytes: 0 }\nservers:\n  time:\n    \
         command: [uvx]\n    args: mcp-server-time\n    era: modren\n    call_timeout: 5 minutes\n  time:\n    \
         command: uvx\n  empty: {}\n  both: { command: a, url: \"http://localhost/\" }\n  \
         bad__name: { command: x }\n  shell: { command: uvx mcp-server-time }\n  mixed: { command: x, headers: {} }\n  \
         nothing:\nprofiles:\n  team:\n    auth: apikey\n    models: [fast]\n    servers:\n      tme: {}\n      \
         empty: null\n"
    ));
}

#[test]
fn yaml_that_cannot_be_parsed_names_the_place() {
    assert_snapshot!(faults("servers:\n  time: { command: uvx\nprofiles: {}\n"));
    assert_snapshot!(faults("servers:\n  time:\n  - a\n b: c\n"));
    assert_snapshot!(faults("- a\n- b\n"));
    assert_snapshot!(faults("a: 1\n---\nb: 2\n"));
}

#[test]
fn a_missing_variable_is_named() {
    assert_snapshot!(faults(
        "servers:\n  a: { command: x, env: { A: \"${NOPE}\", B: \"x ${ALSO_NOPE} y\", C: \"${B AD}\" } }\n"
    ));
}

#[test]
fn values_of_secrets_are_never_shown() {
    let text = faults(
        "database: { url: \"${BAD}\" }\nsecret_key: \"${BAD}\"\nlisten: \"${BAD}\"\nservers:\n  a:\n    \
         url: \"${BAD}\"\n    auth: { bearer: \"${BAD}\\n\" }\n  b:\n    url: \"https://u:hunter2@example.org/\"\n  \
         c:\n    url: \"https://example.org/?api_key=hunter2\"\n  d: { url: \"ftp://${TOKEN}/\" }\n  \
         e: { command: x, env: { A: \"file:/nonexistent/secret\" }, call_timeout: \"${BAD}\", era: \"${BAD}\" }\n",
    );
    assert_snapshot!(text);
}

#[test]
fn variables_that_replace_a_childs_code_are_refused() {
    assert_snapshot!(faults(
        "servers:\n  a:\n    command: x\n    env: { LD_PRELOAD: /x.so, DYLD_INSERT_LIBRARIES: x, NODE_OPTIONS: x, \
         PYTHONPATH: x, PATH: /bin, BASH_ENV: x, GOOD: x }\n"
    ));
}

#[test]
fn headers_are_checked() {
    assert_snapshot!(faults(
        "servers:\n  a:\n    url: https://example.org/mcp\n    auth: { bearer: x }\n    headers: { Host: x, \
         \"bad name\": x, Mcp-Session-Id: x, X-A: \"a\\nb\", x-a: c, Authorization: y }\n  b: { url: \
         https://example.org/, auth: { bearer: x, header: { name: a, value: b } } }\n  \
         c: { url: https://example.org/, auth: { header: { name: a } } }\n  \
         d: { url: https://example.org/, auth: basic }\n"
    ));
}

#[test]
fn profiles_are_checked() {
    assert_snapshot!(faults(
        "servers:\n  my-time: { command: x }\n  my_time: { command: x }\n  files: { command: x }\nprofiles:\n  \
         a:\n    servers:\n      my-time: {}\n      my_time: {}\n  b:\n    servers:\n      files: { prefix: \"a b\", \
         tools: { include: [\"[a\"] }, rename: { x: \"not ok\", y: same_name, z: Same-Name } }\n      \
         flies: {}\n  \"bad name\": {}\n"
    ));
}

#[test]
fn profiles_without_a_prefix_may_stand_side_by_side() {
    let config = read(
        "servers: { a: { command: x }, b: { command: x } }\n\
         profiles: { p: { servers: { a: { prefix: \"\" }, b: { prefix: \"\" } } } }\n",
    );
    assert_eq!(config.profiles["p"].servers.len(), 2);
}

#[test]
fn a_profile_without_authentication_stays_on_loopback() {
    let open = "profiles:\n  open:\n    auth: none\n";
    for loopback in ["127.0.0.1:1", "\"[::1]:1\"", "localhost:1"] {
        read(&format!("listen: {loopback}\n{open}"));
    }
    assert_snapshot!(faults(&format!("listen: 0.0.0.0:7400\n{open}")));
    let config = read(&format!("listen: 0.0.0.0:7400\nunauthenticated_network: allowed\n{open}"));
    assert_eq!(config.exposure(config.listen), None);
    let on_loopback = read(open);
    assert!(on_loopback.exposure(config.listen).is_some(), "an overriding address is checked too");
}

#[test]
fn what_an_operator_should_know_is_noted() {
    let config = read(
        "public_url: https://hub.example.org\nservers:\n  plain: { url: \"http://far.example/\", auth: { bearer: x } }\n  \
         local: { url: \"http://127.0.0.1:1/\", auth: { bearer: x } }\n  open: { url: \"http://far.example/\" }\n\
         profiles: { open: { auth: none }, keyed: { auth: api_key } }\n",
    );
    assert_snapshot!(config.notes.join("\n"));
}

#[test]
fn addresses_are_checked() {
    assert_snapshot!(faults(
        "listen: \":7400\"\npublic_url: https://hub.example.org/sub\nallowed_hosts: [hub.example.org, \
         \"https://x\", \"*\"]\nallowed_origins: [\"https://ok.example.org\", \"*\", \"null\", \
         \"https://x.org/path\"]\nunauthenticated_network: true\n"
    ));
}

#[test]
fn routes_and_providers_are_checked() {
    assert_snapshot!(faults(
        "providers:\n  openai: { api_key: x }\n  local: { kind: openai, base_url: \"localhost:8000\" }\nroutes:\n  \
         fast: { targets: [] }\n  slow: { targets: [ { provider: opanai, model: m } ] }\nprofiles:\n  \
         p: { models: [fats] }\n"
    ));
}

#[test]
fn secrets_are_read_from_files_beside_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("token"), "from-a-file\n").unwrap();
    std::fs::write(directory.path().join("empty"), "\n").unwrap();
    let file = directory.path().join("trunkline.yaml");
    std::fs::write(
        &file,
        "servers: { a: { url: \"http://localhost/\", auth: { bearer: \"file:token\" } } }\n",
    )
    .unwrap();
    let config = load_with(&file, &lookup).unwrap();
    let Endpoint::Http(endpoint) = &config.servers["a"].endpoint else { panic!("not HTTP") };
    assert!(matches!(&endpoint.auth, ServerAuth::Bearer(secret) if secret.expose() == "from-a-file"));
    std::fs::write(
        &file,
        "servers: { a: { url: \"http://localhost/\", auth: { bearer: \"file:empty\" } } }\n",
    )
    .unwrap();
    assert!(
        load_with(&file, &lookup)
            .unwrap_err()
            .to_string()
            .contains("\"file:empty\" cannot be read: it is empty")
    );
}

#[test]
fn a_file_that_is_not_there_is_one_fault() {
    let errors = load_with(Path::new("/nonexistent/trunkline.yaml"), &lookup).unwrap_err();
    assert_eq!(errors.problems().len(), 1);
    assert!(errors.to_string().starts_with("/nonexistent/trunkline.yaml: cannot be read"), "{errors}");
}

#[test]
fn a_file_full_of_aliases_is_refused_in_time() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let row = vec![format!("*a{}", level - 1); 10].join(", ");
        text = format!("{text}a{level}: &a{level} [{row}]\n");
    }
    assert!(faults(&text).contains("not valid YAML"));
}

#[test]
fn the_base_url_is_what_clients_can_reach() {
    let listen: SocketAddr = "0.0.0.0:7400".parse().unwrap();
    assert_eq!(Config::default().base_url(listen), "http://localhost:7400");
    assert_eq!(Config::default().base_url(DEFAULT_LISTEN), "http://127.0.0.1:7400");
    assert_eq!(read("public_url: https://hub.example.org/\n").base_url(listen), "https://hub.example.org");
}

/// The files of the project that others read: they must be true.
mod committed {
    use std::path::PathBuf;

    use super::*;
    use crate::env;

    fn project(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
    }

    fn any_variable(name: &str) -> Option<String> {
        (name != "DATABASE_URL" && name != "FILES_ROOT").then(|| format!("value-of-{name}"))
    }

    #[test]
    fn every_example_is_read() {
        let mut seen = 0;
        for entry in std::fs::read_dir(project("examples")).unwrap() {
            let file = entry.unwrap().path();
            if file.extension().is_some_and(|extension| extension == "yaml") {
                let config = load_with(&file, &any_variable).unwrap_or_else(|errors| panic!("{errors}"));
                assert!(!config.profiles.is_empty(), "{} has no profile", file.display());
                seen += 1;
            }
        }
        assert!(seen >= 5, "only {seen} examples were found");
    }

    #[test]
    fn every_configuration_in_the_documents_is_read() {
        let mut files = vec![project("README.md")];
        collect_files(&project("docs"), "md", &mut files);
        let mut seen = 0;
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            for block in text.split("```yaml\n").skip(1) {
                let block = block.split("```").next().unwrap_or_default();
                parse(block, &file, &any_variable).unwrap_or_else(|errors| panic!("{errors}\nin:\n{block}"));
                seen += 1;
            }
        }
        assert!(seen >= 4, "only {seen} configurations were found");
    }

    #[test]
    fn every_configuration_for_deployment_is_read() {
        let mut files = Vec::new();
        collect_files(&project("deploy/compose"), "yaml", &mut files);
        assert!(!files.is_empty());
        for file in files {
            let lookup = |name: &str| match name {
                "DATABASE_URL" => Some("postgres://user:password@host/name".to_owned()),
                other => any_variable(other),
            };
            load_with(&file, &lookup).unwrap_or_else(|errors| panic!("{errors}"));
        }
    }

    fn collect_files(directory: &Path, extension: &str, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect_files(&path, extension, files);
            } else if path.extension().is_some_and(|found| found == extension) {
                files.push(path);
            }
        }
    }

    #[test]
    fn the_committed_schema_is_what_the_program_prints() {
        let committed = std::fs::read_to_string(project("docs/config.schema.json")).unwrap();
        let printed = format!("{:#}\n", schema().as_value());
        assert!(committed == printed, "run `trunkline schema > docs/config.schema.json`");
    }

    #[test]
    fn the_reference_names_every_key_and_its_example_is_read() {
        let reference = std::fs::read_to_string(project("docs/reference/configuration.md")).unwrap();
        let schema = schema().to_value();
        let mut keys = Vec::new();
        collect_keys(&schema, &mut keys);
        assert!(keys.len() > 40, "the schema has only {} keys", keys.len());
        for key in keys {
            let named = reference.contains(&format!("`{key}"))
                || reference.contains(&format!("{key}:"))
                || reference.contains(&format!(".{key}`"));
            assert!(named, "docs/reference/configuration.md does not name `{key}`");
        }
        for variable in [env::LOG, env::LOG_FORMAT] {
            assert!(reference.contains(variable.name), "{} is not in the reference", variable.name);
        }
        let example = reference.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
        assert_eq!(read(example).servers.len(), 2);
    }

    fn collect_keys(schema: &serde_json::Value, keys: &mut Vec<String>) {
        match schema {
            serde_json::Value::Object(object) => {
                if let Some(properties) =
                    object.get("properties").and_then(|properties| properties.as_object())
                {
                    keys.extend(properties.keys().cloned());
                }
                object.values().for_each(|value| collect_keys(value, keys));
            }
            serde_json::Value::Array(array) => array.iter().for_each(|value| collect_keys(value, keys)),
            _ => {}
        }
    }
}
