//! A registry's `server.json` (MCP registry, schema 2025-12-11): packages to
//! run and remotes to call, with inputs that whoever installs it fills in.

use anyhow::bail;
use indexmap::IndexMap;
use serde_json::Value;

use super::found::{Contents, Endpoint, Found};
use super::text::{Notation, Text, environment_name};

/// Whether the document is one, by itself or as a registry's API wraps it.
pub(super) fn is_server_json(value: &Value) -> bool {
    let value = value.get("server").unwrap_or(value);
    value.get("name").is_some_and(Value::is_string)
        && (value.get("packages").is_some_and(Value::is_array)
            || value.get("remotes").is_some_and(Value::is_array))
}

/// Takes the first package that can be run here, or else the first remote.
pub(super) fn read(value: &Value) -> anyhow::Result<Contents> {
    let server = value.get("server").unwrap_or(value);
    let full_name = string(server, "name").unwrap_or_default();
    let short_name = full_name.rsplit('/').next().unwrap_or(full_name);
    let mut contents = Contents { format: "registry server.json", ..Contents::default() };
    let packages = || list(server, "packages");
    let remotes = || list(server, "remotes");
    let mut reasons = Vec::new();
    for package in packages() {
        match Package(package).endpoint() {
            Ok((endpoint, notes)) => {
                let mut found = Found::new(short_name, endpoint);
                found.notes = notes;
                let others = packages().count() + remotes().count() - 1;
                if others > 0 {
                    found.notes.push(format!("the file offers {others} other way(s) to reach it"));
                }
                contents.found.push(found);
                return Ok(contents);
            }
            Err(reason) => reasons.push(reason),
        }
    }
    if let Some(remote) = remotes().find(|remote| string(remote, "url").is_some()) {
        let mut notes = reasons;
        let headers = inputs(remote, "headers", &mut notes);
        let mut found = Found::new(
            short_name,
            Endpoint::Http {
                url: template(remote, string(remote, "url").unwrap_or_default()),
                sse: string(remote, "type") == Some("sse"),
                headers,
                oauth_scopes: None,
            },
        );
        found.notes = notes;
        contents.found.push(found);
        return Ok(contents);
    }
    if reasons.is_empty() {
        bail!("{full_name} has no package to run and no remote to call");
    }
    contents.skip(short_name, reasons.join("; "));
    Ok(contents)
}

/// One entry of `packages`.
struct Package<'a>(&'a Value);

impl Package<'_> {
    fn endpoint(&self) -> Result<(Endpoint, Vec<String>), String> {
        let kind = string(self.0, "registryType").unwrap_or("unnamed");
        let transport = self.0.pointer("/transport/type").and_then(Value::as_str).unwrap_or("stdio");
        if transport != "stdio" {
            return Err(format!(
                "its {kind} package listens on a port ({transport}), and the hub runs stdio packages only"
            ));
        }
        let identifier = string(self.0, "identifier").ok_or("a package has no identifier")?;
        let version = string(self.0, "version");
        let mut notes = Vec::new();
        let env = inputs(self.0, "environmentVariables", &mut notes);
        let runtime = self.arguments("runtimeArguments", &mut notes);
        let with_version = |separator: &str| match version {
            Some(version) => format!("{identifier}{separator}{version}"),
            None => identifier.to_owned(),
        };
        let (command, mut args, package) = match kind {
            "npm" => ("npx", npx_arguments(runtime), with_version("@")),
            "pypi" => ("uvx", runtime, with_version("==")),
            "oci" => ("docker", docker_arguments(runtime, env.keys()), image(identifier, version)),
            other => return Err(format!("packages of the kind {other} cannot be run")),
        };
        args.push(Text::literal(package));
        args.extend(self.arguments("packageArguments", &mut notes));
        Ok((Endpoint::Stdio { command: Text::literal(command), args, env, cwd: None }, notes))
    }

    fn arguments(&self, key: &str, notes: &mut Vec<String>) -> Vec<Text> {
        let mut arguments = Vec::new();
        for input in list(self.0, key) {
            let name = string(input, "name");
            let hint = name.or(string(input, "valueHint")).unwrap_or("argument").trim_start_matches('-');
            let is_named = string(input, "type") == Some("named");
            let is_flag = is_named
                && ["value", "default", "format", "choices"].iter().all(|key| input.get(key).is_none());
            let value = if is_flag { None } else { value_of(input, &environment_name(hint)) };
            if value.is_none() && !(is_flag && required(input)) {
                notes.push(format!("left out: the optional argument {hint}"));
                continue;
            }
            if is_named && let Some(name) = name {
                arguments.push(Text::literal(name));
            }
            arguments.extend(value);
        }
        arguments
    }
}

fn npx_arguments(mut runtime: Vec<Text>) -> Vec<Text> {
    if !runtime.iter().any(|argument| matches!(argument.as_literal(), Some("-y" | "--yes"))) {
        runtime.insert(0, Text::literal("-y"));
    }
    runtime
}

/// `docker run`, which passes the named variables on to the container.
fn docker_arguments<'a>(runtime: Vec<Text>, variables: impl Iterator<Item = &'a String>) -> Vec<Text> {
    let mut args: Vec<Text> = ["run", "-i", "--rm"].map(Text::literal).into();
    for name in variables {
        args.extend([Text::literal("-e"), Text::literal(name.as_str())]);
    }
    let given = |argument: &Text| matches!(argument.as_literal(), Some("run" | "-i" | "--rm"));
    args.extend(runtime.into_iter().filter(|argument| !given(argument)));
    args
}

/// The version is a tag, unless the identifier has one or a digest.
fn image(identifier: &str, version: Option<&str>) -> String {
    let last = identifier.rsplit('/').next().unwrap_or(identifier);
    match version {
        Some(version) if !last.contains([':', '@']) => format!("{identifier}:{version}"),
        _ => identifier.to_owned(),
    }
}

/// Variables or headers, each with its value or the place of it.
fn inputs(of: &Value, key: &str, notes: &mut Vec<String>) -> IndexMap<String, Text> {
    let mut texts = IndexMap::new();
    for input in list(of, key) {
        let Some(name) = string(input, "name") else { continue };
        match value_of(input, &environment_name(name)) {
            Some(value) => {
                texts.insert(name.to_owned(), value);
            }
            None => notes.push(format!("left out: the optional {name}")),
        }
    }
    texts
}

/// The value that is given, the variable that must give it, or nothing when
/// the input is optional and has no default.
fn value_of(input: &Value, variable: &str) -> Option<Text> {
    let secret = input.get("isSecret").and_then(Value::as_bool) == Some(true);
    if let Some(value) = string(input, "value") {
        return Some(template(input, value));
    }
    match string(input, "default") {
        Some(default) if !secret => Some(template(input, default)),
        _ if required(input) => Some(Text::variable(variable, "to be chosen")),
        _ => None,
    }
}

fn required(input: &Value) -> bool {
    input.get("isRequired").and_then(Value::as_bool) == Some(true)
}

/// `{name}` where `variables` of the input has that name.
fn template(input: &Value, text: &str) -> Text {
    let variables = input.get("variables").and_then(Value::as_object);
    let Some(variables) = variables.filter(|variables| !variables.is_empty()) else {
        return Text::literal(text);
    };
    let mut filled = text.to_owned();
    for (name, variable) in variables {
        let secret = variable.get("isSecret").and_then(Value::as_bool) == Some(true);
        let fixed = string(variable, "value").or(string(variable, "default").filter(|_| !secret));
        if let Some(fixed) = fixed {
            filled = filled.replace(&format!("{{{name}}}"), fixed);
        }
    }
    Text::read(&filled, Notation::Template)
}

fn string<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn command_line(package: &Value) -> (String, Vec<(String, String)>, Vec<String>) {
        let contents = read(&json!({ "name": "io.example/x", "packages": [package] })).unwrap();
        let found = &contents.found[0];
        let Endpoint::Stdio { command, args, env, .. } = &found.endpoint else { panic!("{contents:?}") };
        let words: Vec<String> = std::iter::once(command).chain(args).map(Text::in_configuration).collect();
        let env = env.iter().map(|(name, text)| (name.clone(), text.in_configuration())).collect();
        (words.join(" "), env, found.notes.clone())
    }

    #[test]
    fn an_npm_package_runs_with_npx() {
        let (words, env, notes) = command_line(&json!({
            "registryType": "npm", "identifier": "@acme/files", "version": "1.2.3", "transport": { "type": "stdio" },
            "packageArguments": [
                { "type": "positional", "valueHint": "root_dir", "isRequired": true },
                { "type": "named", "name": "--log-level", "default": "info" },
                { "type": "named", "name": "--extra" },
                { "type": "named", "name": "--url", "value": "https://{region}.example", "variables": { "region": { "default": "eu" } } }
            ],
            "environmentVariables": [
                { "name": "ACME_TOKEN", "isRequired": true, "isSecret": true },
                { "name": "ACME_MODE", "default": "fast" },
                { "name": "ACME_DEBUG" }
            ]
        }));
        assert_eq!(words, "npx -y @acme/files@1.2.3 ${ROOT_DIR} --log-level info --url https://eu.example");
        assert_eq!(
            env,
            [("ACME_TOKEN", "${ACME_TOKEN}"), ("ACME_MODE", "fast")]
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        assert_eq!(notes, ["left out: the optional ACME_DEBUG", "left out: the optional argument extra"]);
    }

    #[test]
    fn pypi_and_oci_packages_run_with_their_own_programs() {
        let pypi = json!({ "registryType": "pypi", "identifier": "acme-files", "version": "1.0" });
        assert_eq!(command_line(&pypi).0, "uvx acme-files==1.0");
        let oci = json!({
            "registryType": "oci", "identifier": "ghcr.io/acme/files", "version": "1.0",
            "runtimeArguments": [{ "type": "named", "name": "-v", "value": "/srv:/srv" }],
            "environmentVariables": [{ "name": "T", "isRequired": true }]
        });
        assert_eq!(command_line(&oci).0, "docker run -i --rm -e T -v /srv:/srv ghcr.io/acme/files:1.0");
        assert_eq!(image("localhost:5000/x", Some("1")), "localhost:5000/x:1");
        assert_eq!(image("x@sha256:ab", Some("1")), "x@sha256:ab");
    }

    #[test]
    fn a_remote_is_taken_when_no_package_can_be_run() {
        let contents = read(&json!({ "server": {
            "name": "io.example/weather",
            "packages": [{ "registryType": "mcpb", "identifier": "https://x/y.mcpb" }],
            "remotes": [{
                "type": "streamable-http", "url": "https://{tenant}.example/mcp", "variables": { "tenant": { "isRequired": true } },
                "headers": [{ "name": "Authorization", "value": "Bearer {token}", "variables": { "token": { "isSecret": true } } }]
            }]
        } }))
        .unwrap();
        let found = &contents.found[0];
        assert_eq!(found.name, "weather");
        let Endpoint::Http { url, sse: false, headers, .. } = &found.endpoint else { panic!("{found:?}") };
        assert_eq!(url.in_configuration(), "https://${TENANT}.example/mcp");
        assert_eq!(headers["Authorization"].in_configuration(), "Bearer ${TOKEN}");
        assert_eq!(found.notes.len(), 1);
    }

    #[test]
    fn a_server_that_cannot_be_run_is_skipped_with_the_reason() {
        let only = json!({ "name": "a/b", "packages": [{ "registryType": "npm", "identifier": "x", "transport": { "type": "sse", "url": "http://x" } }] });
        assert!(read(&only).unwrap().skipped[0].reason.contains("sse"));
        assert!(read(&json!({ "name": "a/b", "packages": [] })).is_err());
    }
}
