//! The credentials of servers that are got from authorization servers.

use trunkline_model::{ClientAuthMethod, Endpoint, ExchangeAt, ServerAuth, Subject, WorkloadToken};

use super::{Config, faults, read};

const ISSUERS: &str = "sign_in:\n  issuers:\n    corp: { issuer: \"https://idp.example\", client_id: hub }\n";
const TWO: &str = "    other: { issuer: \"https://other.example\", client_id: hub }\n";

fn file(issuers: &str, auth: &str) -> String {
    format!("{issuers}servers:\n  a:\n    url: https://a.example/mcp\n    auth: {auth}\n")
}

fn auth(config: &Config) -> &ServerAuth {
    match &config.servers.values().next().expect("a server").endpoint {
        Endpoint::Http(endpoint) => &endpoint.auth,
        Endpoint::Stdio(_) => panic!("it has a URL"),
    }
}

#[test]
fn without_a_subject_token_it_is_the_callers_own_and_kept_at_sign_in() {
    for text in ["{ exchange: {} }", "{ exchange: { provider: corp } }"] {
        let config = read(&file(ISSUERS, text));
        let exchange = auth(&config).exchange().expect("an exchange");
        assert!(matches!(&exchange.at, ExchangeAt::Provider(name) if name == "corp"), "{exchange:?}");
        assert!(matches!(&exchange.subject, Subject::Caller { provider } if provider == "corp"));
        assert!(auth(&config).is_per_user() && config.sign_in.issuers[0].keeps_identity);
    }
    let elsewhere = "{ id_jag: { client_id: there, idp: { provider: other, token_endpoint: \"https://x.example/t\", \
                     client_id: hub } } }";
    let config = read(&file(&format!("{ISSUERS}{TWO}"), elsewhere));
    let exchange = auth(&config).exchange().expect("an exchange");
    assert!(
        matches!(&exchange.at, ExchangeAt::Endpoint { token_endpoint, .. } if token_endpoint.contains("x.example"))
    );
    assert_eq!(auth(&config).shows_caller_of(), Some("other"));
    let kept: Vec<bool> = config.sign_in.issuers.iter().map(|issuer| issuer.keeps_identity).collect();
    assert_eq!(kept, [false, true]);
}

#[test]
fn with_a_subject_token_it_is_the_same_for_everybody_and_nothing_is_kept() {
    let text = "{ exchange: { subject_token: t, token_endpoint: \"https://x.example/t\", client_id: hub } }";
    for issuers in ["", ISSUERS] {
        let config = read(&file(issuers, text));
        let exchange = auth(&config).exchange().expect("an exchange");
        assert!(matches!(&exchange.subject, Subject::Given { kind, .. } if kind.ends_with(":id_token")));
        assert!(!auth(&config).is_per_user());
        assert!(config.sign_in.issuers.iter().all(|issuer| !issuer.keeps_identity));
    }
}

#[test]
fn an_exchange_says_whose_token_and_where() {
    let two = format!("{ISSUERS}{TWO}");
    for (issuers, text, fault) in [
        (ISSUERS, "{ exchange: { provider: crop } }", "trunkline.yaml:7:"),
        (ISSUERS, "{ exchange: { provider: crop } }", "did you mean `corp`?"),
        ("", "{ exchange: {} }", "does not say whose token is exchanged"),
        ("", "{ exchange: { subject_token: t } }", "does not say where tokens are exchanged"),
        (&two, "{ exchange: {} }", "does not say whose token is exchanged"),
        (ISSUERS, "{ exchange: { client_id: x } }", "has a client without a `token_endpoint`"),
        (ISSUERS, "{ exchange: { token_endpoint: \"https://x.example\" } }", "without a `client_id`"),
        (ISSUERS, "{ exchange: { subject_token_type: jwt } }", "without a `subject_token`"),
        ("", "{ oauth: { client_id: x, client_secret: s, client_key: k } }", "a client has one of them"),
        ("", "{ oauth: { client_id: x, client_auth: private_key_jwt } }", "needs a `client_key`"),
        ("", "{ oauth: { client_id: x, client_auth: client_secret_post } }", "needs a `client_secret`"),
        ("", "{ oauth: { client_id: x, client_key_id: k } }", "needs a `client_key`"),
        ("", "{ oauth: { workload_token: t } }", "is for `per: service`"),
        ("", "{ oauth: { client_id: x, client_key: no key } }", "is not the private key of"),
    ] {
        let said = faults(&file(issuers, text));
        assert!(said.contains(fault), "{text}: {said}");
    }
}

#[test]
fn a_workloads_token_stays_in_its_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("token");
    std::fs::write(&path, "t").expect("written");
    let text =
        |token: &str| format!("{{ oauth: {{ per: service, client_id: x, workload_token: \"{token}\" }} }}");
    let workload = |config: &Config| match auth(config) {
        ServerAuth::OAuth(oauth) => oauth.workload.clone(),
        _ => None,
    };
    let config = read(&file("", &text(&format!("file:{}", path.display()))));
    assert!(matches!(workload(&config), Some(WorkloadToken::File(file)) if file == path));
    let config = read(&file("", &text("given")));
    assert!(matches!(workload(&config), Some(WorkloadToken::Given(token)) if token.expose() == "given"));
    let said = faults(&file("", &text("file:/nowhere/token")));
    assert!(said.contains("cannot be read"), "{said}");
}

#[test]
fn a_client_with_a_key_signs() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("key.pem");
    let key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
               -----END PRIVATE KEY-----\n";
    std::fs::write(&path, key).expect("written");
    let text = format!(
        "{{ oauth: {{ client_id: x, client_key: \"file:{}\", client_key_id: k1 }} }}",
        path.display()
    );
    let config = read(&file("", &text));
    let ServerAuth::OAuth(oauth) = auth(&config) else { panic!("it is OAuth") };
    let client = oauth.client.as_ref().expect("a client");
    assert_eq!(client.method, Some(ClientAuthMethod::PrivateKeyJwt));
    assert_eq!(client.key.as_ref().and_then(|key| key.id.as_deref()), Some("k1"));
}
