//! Codex's `config.toml`: tables under `[mcp_servers]`.

use anyhow::{Context as _, bail};
use indexmap::IndexMap;
use toml_edit::{DocumentMut, Item, TableLike};

use super::found::{Contents, Endpoint, Found};
use super::text::{Notation, Text};

pub(super) fn read(text: &str) -> anyhow::Result<Contents> {
    let document: DocumentMut = text.parse().context("it cannot be read")?;
    let Some(servers) = document.get("mcp_servers").and_then(Item::as_table_like) else {
        bail!(
            "it has no `[mcp_servers]`, which is where Codex keeps its servers; no other TOML file can be imported"
        );
    };
    let mut contents = Contents { format: "Codex", ..Contents::default() };
    for (name, server) in servers.iter() {
        let Some(table) = server.as_table_like() else {
            contents.skip(name, "it is not a table");
            continue;
        };
        if table.get("enabled").and_then(Item::as_bool) == Some(false) {
            contents.skip(name, "it is switched off there");
            continue;
        }
        match endpoint(table) {
            Ok(endpoint) => {
                let mut found = Found::new(name, endpoint);
                found.include = strings(table, "enabled_tools");
                found.exclude = strings(table, "disabled_tools");
                contents.found.push(found);
            }
            Err(reason) => contents.skip(name, reason),
        }
    }
    Ok(contents)
}

fn endpoint(table: &dyn TableLike) -> Result<Endpoint, String> {
    let text = |key: &str| table.get(key).and_then(Item::as_str);
    let read = |text: &str| Text::read(text, Notation::Verbatim);
    if let Some(url) = text("url") {
        let mut headers = texts(table, "http_headers");
        for (header, variable) in texts(table, "env_http_headers") {
            let name = variable.literals();
            headers.insert(header, Text::variable(&name, &name));
        }
        if let Some(name) = text("bearer_token_env_var") {
            headers.insert(
                "Authorization".to_owned(),
                Text::literal("Bearer ").then(Text::variable(name, name)),
            );
        }
        return Ok(Endpoint::Http { url: read(url), sse: false, headers, oauth_scopes: None });
    }
    let command = text("command").ok_or("it has neither a `command` nor a `url`")?;
    let mut env = texts(table, "env");
    for name in strings(table, "env_vars") {
        env.insert(name.clone(), Text::variable(&name, &name));
    }
    Ok(Endpoint::Stdio {
        command: read(command),
        args: strings(table, "args").iter().map(|argument| read(argument)).collect(),
        env,
        cwd: text("cwd").map(read),
    })
}

fn strings(table: &dyn TableLike, key: &str) -> Vec<String> {
    let items = table.get(key).and_then(Item::as_array);
    items.into_iter().flatten().filter_map(|item| item.as_str()).map(str::to_owned).collect()
}

fn texts(table: &dyn TableLike, key: &str) -> IndexMap<String, Text> {
    let entries = table.get(key).and_then(Item::as_table_like);
    let entries = entries.into_iter().flat_map(TableLike::iter);
    entries
        .filter_map(|(name, item)| Some((name.to_owned(), Text::read(item.as_str()?, Notation::Verbatim))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_urls_are_read() {
        let contents = read(
            "model = \"x\"\n[mcp_servers.docs]\ncommand = \"npx\"\nargs = [\"-y\", \"docs\"]\nenv = { A = \"1\" }\n\
             env_vars = [\"B\"]\nenabled_tools = [\"search\"]\n[mcp_servers.hub]\nurl = \"https://x.example/mcp\"\n\
             bearer_token_env_var = \"T\"\nenv_http_headers = { \"X-Team\" = \"TEAM\" }\n\
             [mcp_servers.off]\ncommand = \"x\"\nenabled = false\n",
        )
        .unwrap();
        assert_eq!(contents.found.len(), 2);
        let Endpoint::Stdio { env, args, .. } = &contents.found[0].endpoint else { panic!("{contents:?}") };
        assert_eq!(args.len(), 2);
        assert_eq!(env["B"].in_configuration(), "${B}");
        assert_eq!(contents.found[0].include, ["search"]);
        let Endpoint::Http { headers, .. } = &contents.found[1].endpoint else { panic!("{contents:?}") };
        assert_eq!(headers["Authorization"].in_configuration(), "Bearer ${T}");
        assert_eq!(headers["X-Team"].in_configuration(), "${TEAM}");
        assert_eq!(contents.skipped[0].name, "off");
    }
}
