//! Secrets among a program's arguments: `--api-key x`, `--token=x`, `-e NAME=x`,
//! `--header "Authorization: Bearer x"`, or a key by itself.

use trunkline_model::{Secret, ServerName};

use super::plan::{Keeper, mark};
use super::secrecy::{is_secret, name_is_secret, value_is_secret};
use super::text::{Text, environment_name};

/// The arguments as the configuration has them. An argument takes no `file:`,
/// so its secret goes into a variable.
pub(super) fn without_secrets(
    args: &[Text],
    server: &ServerName,
    keep: &mut dyn FnMut(String, Keeper, Secret),
) -> Vec<String> {
    let mut written = Vec::with_capacity(args.len());
    let mut flag_before: Option<&str> = None;
    for (index, argument) in args.iter().enumerate() {
        let literal = argument.as_literal();
        let found = literal.and_then(|literal| secret_in(literal, flag_before));
        match found {
            Some((name, before, secret)) => {
                let name = name.map_or_else(
                    || format!("ARGUMENT_{}", index + 1),
                    |name| name.trim_matches('-').to_owned(),
                );
                let variable = environment_name(&format!("{server}_{name}").to_ascii_uppercase());
                let place = format!("{server}.args[{index}]");
                keep(place.clone(), Keeper::Variable(variable), Secret::new(secret));
                written.push(format!("{}{}", Text::literal(before).in_configuration(), mark(&place)));
            }
            None => written.push(argument.in_configuration()),
        }
        flag_before = literal.filter(|literal| literal.starts_with('-'));
    }
    written
}

/// What a secret in `argument` is called, what stands before it, and the secret.
fn secret_in<'a>(
    argument: &'a str,
    flag_before: Option<&'a str>,
) -> Option<(Option<&'a str>, &'a str, &'a str)> {
    if let Some(flag) = flag_before
        && !argument.starts_with('-')
        && name_is_secret(flag)
        && is_secret(flag, &Text::literal(argument))
    {
        return Some((Some(flag), "", argument));
    }
    for separator in ['=', ':'] {
        if let Some((name, value)) = argument.split_once(separator)
            && !value.starts_with("//")
            && name.len() < 64
            && is_secret(name, &Text::literal(value))
        {
            let before = &argument[..argument.len() - value.trim_start().len()];
            return Some((Some(name), before, value.trim_start()));
        }
    }
    value_is_secret(argument).then_some((None, "", argument))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_everything_else_stays() {
        let args = [
            "-y",
            "@acme/server",
            "--api-key",
            "abc",
            "--token=def",
            "-e",
            "PASSWORD=ghi",
            "--header",
            "Authorization: Bearer jkl",
            "--verbose",
            "postgres://u:p@h/d",
            "--key-file",
            "/k",
            "https://x.example",
        ];
        let args: Vec<Text> = args.iter().map(|argument| Text::literal(*argument)).collect();
        let server = ServerName::new("acme").unwrap();
        let mut kept = Vec::new();
        let written = without_secrets(&args, &server, &mut |place, keeper, secret| {
            kept.push((place, keeper, secret.expose().to_owned()));
        });
        let variables: Vec<(&str, &str)> = kept
            .iter()
            .map(|(_, keeper, secret)| match keeper {
                Keeper::Variable(name) => (name.as_str(), secret.as_str()),
                Keeper::File(_) => panic!("{keeper:?}"),
            })
            .collect();
        assert_eq!(
            variables,
            [
                ("ACME_API_KEY", "abc"),
                ("ACME_TOKEN", "def"),
                ("ACME_PASSWORD", "ghi"),
                ("ACME_AUTHORIZATION", "Bearer jkl"),
                ("ACME_ARGUMENT_11", "postgres://u:p@h/d"),
            ]
        );
        assert_eq!(written[0], "-y");
        assert_eq!(written[4], format!("--token={}", mark("acme.args[4]")));
        assert_eq!(written[8], format!("Authorization: {}", mark("acme.args[8]")));
        assert_eq!(written[11..], ["--key-file", "/k", "https://x.example"]);
        assert!(!written.join(" ").contains("jkl"));
    }
}
