//! Under which URL clients reach the hub.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use trunkline_model::ProfileName;
use url::Url;

use crate::{env, replace_file};

const DEFAULT: &str = "http://127.0.0.1:7400";

/// The two keys of the configuration that decide it. The file is not checked
/// here: a server whose secret is not set on this machine is no reason not to
/// connect a client.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Addresses {
    listen: Option<String>,
    public_url: Option<String>,
}

/// What the configuration at `path` says, or the default when there is no such file.
pub(super) fn of_configuration(path: &Path) -> anyhow::Result<Url> {
    let text = replace_file::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let url = match text {
        None => DEFAULT.to_owned(),
        Some(text) => of_text(&text, &env::lookup)
            .with_context(|| format!("{} does not tell the hub's URL; give it with --url", path.display()))?,
    };
    Url::parse(&url).with_context(|| format!("{url:?} is not a URL; give the hub's with --url"))
}

fn of_text(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<String> {
    let addresses: Option<Addresses> = serde_saphyr::from_str(text)?;
    let addresses = addresses.unwrap_or_default();
    let value = match (addresses.public_url, addresses.listen) {
        (Some(url), _) => url,
        (None, Some(listen)) => format!("http://{listen}"),
        (None, None) => DEFAULT.to_owned(),
    };
    filled_in(&value, lookup)
}

/// `${NAME}` and `${NAME:-default}`, as everywhere in the configuration.
fn filled_in(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((reference, behind)) = after.split_once('}') else { bail!("`${{` is not closed by `}}`") };
        let (name, default) =
            reference.split_once(":-").map_or((reference, None), |(name, default)| (name, Some(default)));
        filled.push_str(before);
        match (lookup(name).filter(|value| !value.is_empty()), default) {
            (Some(value), _) => filled.push_str(&value),
            (None, Some(default)) => filled.push_str(default),
            (None, None) => bail!("the environment variable {name} is not set"),
        }
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The MCP endpoint of `profile` at the hub.
pub(super) fn endpoint(hub: &Url, profile: &ProfileName) -> anyhow::Result<Url> {
    if !matches!(hub.scheme(), "http" | "https") || hub.host().is_none() {
        bail!("the hub's URL must start with http:// or https://, not {hub}");
    }
    let mut endpoint = hub.clone();
    endpoint.set_query(None);
    endpoint.set_fragment(None);
    if matches!(endpoint.host_str(), Some("0.0.0.0" | "[::]")) {
        endpoint.set_host(Some("localhost"))?;
    }
    let path = format!("{}/mcp/{profile}", hub.path().trim_end_matches('/'));
    endpoint.set_path(&path);
    Ok(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url_of(text: &str) -> String {
        let lookup = |name: &str| (name == "HOST").then(|| "hub.example".to_owned());
        of_text(text, &lookup).unwrap()
    }

    #[test]
    fn the_public_url_wins_over_the_address() {
        assert_eq!(url_of(""), "http://127.0.0.1:7400");
        assert_eq!(
            url_of("listen: 127.0.0.1:9000\nservers: { a: { command: \"${MISSING}\" } }"),
            "http://127.0.0.1:9000"
        );
        assert_eq!(url_of("listen: 127.0.0.1:9000\npublic_url: https://${HOST}"), "https://hub.example");
        assert_eq!(url_of("public_url: https://${MISSING:-x.example}/hub"), "https://x.example/hub");
        assert!(of_text("public_url: ${MISSING}", &|_| None).is_err());
        assert!(of_text("public_url: [", &|_| None).is_err());
    }

    #[test]
    fn the_endpoint_lies_under_the_hub() {
        let profile = ProfileName::new("eng").unwrap();
        let of = |hub: &str| endpoint(&Url::parse(hub).unwrap(), &profile).map(String::from);
        assert_eq!(of("http://127.0.0.1:7400").unwrap(), "http://127.0.0.1:7400/mcp/eng");
        assert_eq!(of("https://x.example/hub/").unwrap(), "https://x.example/hub/mcp/eng");
        assert_eq!(of("http://0.0.0.0:7400").unwrap(), "http://localhost:7400/mcp/eng");
        assert!(of("ftp://x.example").is_err());
    }
}
