//! The container files. No engine is needed: a linter reads the Dockerfile, the
//! tests below hold the files against each other, and the binary loads the
//! configurations that they mount.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::process::{command, output, requires_all, root, run, say};
use crate::tools::HADOLINT;
use crate::{generate, verify};

/// Every configuration that a container of ours is started with.
const CONFIGURATIONS: &[&str] = &["deploy/compose/trunkline.yaml", "deploy/compose/trunkline-postgres.yaml"];

/// Lints the Dockerfile, loads the configurations, and looks up every flag that the files give the program.
pub(crate) fn check() -> Result<()> {
    match HADOLINT.path() {
        Ok(hadolint) => run(command(hadolint).arg("Dockerfile"))?,
        Err(error) if requires_all() => return Err(error),
        Err(error) => say(&format!("the Dockerfile was not linted: {error:#}")),
    }
    verify::build()?;
    for configuration in CONFIGURATIONS {
        let mut load = command(generate::binary());
        run(load.args(["check", configuration]).env("POSTGRES_PASSWORD", "stands in"))?;
    }
    flags_exist()
}

/// Each `--flag` that stands in a container file after `serve` is one that `serve --help` lists.
fn flags_exist() -> Result<()> {
    let help = output(command(generate::binary()).args(["serve", "--help"]))?;
    for file in ["Dockerfile", "docker-compose.yml", "deploy/trunkline.service"] {
        let text = fs::read_to_string(root().join(file)).with_context(|| format!("cannot read {file}"))?;
        for flag in served_flags(&text) {
            if !help.split_whitespace().any(|word| word.trim_matches(',') == flag) {
                bail!("{file} gives `serve` the flag {flag}, which it does not have");
            }
        }
    }
    Ok(())
}

/// The flags on lines that start the program with `serve`.
fn served_flags(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| line.split(|c: char| !c.is_alphanumeric()).any(|word| word == "serve"))
        .flat_map(|line| line.split(|c: char| c.is_whitespace() || "\"',[]=".contains(c)))
        .filter(|word| word.starts_with("--"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn read(path: &str) -> String {
        fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn compose() -> Value {
        serde_saphyr::from_str(&read("docker-compose.yml")).unwrap()
    }

    fn services(compose: &Value) -> impl Iterator<Item = (&String, &Value)> {
        compose["services"].as_object().unwrap().iter()
    }

    #[test]
    fn flags_are_found_in_every_notation() {
        let text = "CMD [\"serve\", \"--data\", \"/d\"]\ncommand: serve --config=/c --listen 0.0.0.0:1\nRUN cargo build --release";
        assert_eq!(served_flags(text), ["--data", "--config", "--listen"]);
    }

    #[test]
    fn what_the_dockerfile_copies_is_in_the_checkout() {
        for line in
            read("Dockerfile").lines().filter(|line| line.starts_with("COPY ") && !line.contains("--from="))
        {
            let words: Vec<&str> =
                line.split_whitespace().skip(1).filter(|word| !word.starts_with("--")).collect();
            for source in &words[..words.len() - 1] {
                assert!(root().join(source).exists(), "the Dockerfile copies {source}");
            }
        }
    }

    #[test]
    fn what_the_dockerfile_copies_is_sent_to_the_builder() {
        let ignored = read(".dockerignore");
        for line in
            read("Dockerfile").lines().filter(|line| line.starts_with("COPY ") && !line.contains("--from="))
        {
            let words: Vec<&str> = line.split_whitespace().skip(1).collect();
            for source in &words[..words.len() - 1] {
                let admitted = format!("!{}", source.trim_start_matches("./"));
                assert!(
                    ignored.lines().any(|entry| entry == admitted),
                    "{source} is left out by .dockerignore"
                );
            }
        }
    }

    #[test]
    fn services_are_built_from_stages_that_exist() {
        let dockerfile = read("Dockerfile");
        let stages: Vec<&str> = dockerfile
            .lines()
            .filter(|line| line.starts_with("FROM "))
            .filter_map(|line| line.split(" AS ").nth(1))
            .collect();
        let compose = compose();
        for (name, service) in services(&compose) {
            if let Some(target) = service["build"]["target"].as_str() {
                assert!(stages.contains(&target), "{name} is built from {target}");
            }
        }
    }

    #[test]
    fn the_hub_alone_is_what_starts_by_default() {
        let compose = compose();
        let by_default: Vec<&String> = services(&compose)
            .filter(|(_, service)| service["profiles"].is_null())
            .map(|(name, _)| name)
            .collect();
        assert_eq!(by_default, ["trunkline"]);
        let postgres = services(&compose).filter(|(_, service)| {
            service["profiles"].as_array().is_some_and(|all| all.contains(&"postgres".into()))
        });
        assert_eq!(postgres.count(), 2, "the database and the hub that uses it");
    }

    #[test]
    fn what_is_mounted_exists_or_is_a_named_volume() {
        let compose = compose();
        for (name, service) in services(&compose) {
            for volume in service["volumes"].as_array().into_iter().flatten() {
                let source = volume.as_str().unwrap().split(':').next().unwrap();
                let known = if source.starts_with('.') {
                    root().join(source).is_file() && CONFIGURATIONS.contains(&source.trim_start_matches("./"))
                } else {
                    compose["volumes"].as_object().unwrap().contains_key(source)
                };
                assert!(known, "{name} mounts {source}");
            }
        }
    }

    #[test]
    fn ports_are_published_on_loopback_only() {
        let compose = compose();
        for (name, service) in services(&compose) {
            for port in service["ports"].as_array().into_iter().flatten() {
                assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name} publishes {port}");
            }
        }
    }
}
