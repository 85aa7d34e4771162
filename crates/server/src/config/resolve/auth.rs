//! The credential of a server behind a URL.

use trunkline_model::{
    ClientAuthMethod, ClientKey, ConsentOf, ExchangeAt, ExchangeAuth, GivenClient, IdJagAuth, OAuthAuth,
    RegistrationBy, Secret, ServerAuth, Subject, WorkloadToken,
};

use super::super::OauthClient;
use super::super::file;
use super::super::file::{OauthAuth, Server};
use super::super::path::Path;
use super::super::problem::suggestion;
use super::{Resolver, is_local};

/// Short names of token types (RFC 8693 section 3).
const TOKEN_TYPES: [&str; 5] = ["access_token", "refresh_token", "id_token", "jwt", "saml2"];

/// A client as the file has it.
struct Client<'a> {
    id: &'a str,
    secret: Option<&'a file::SecretText>,
    key: Option<&'a file::SecretText>,
    key_id: Option<&'a String>,
    method: Option<ClientAuthMethod>,
}

/// What was read, where there was anything to read; none where that failed.
#[expect(clippy::option_option, reason = "what is not written and what cannot be read are different things")]
fn read<T>(found: Option<Option<T>>) -> Option<Option<T>> {
    match found {
        None => Some(None),
        Some(None) => None,
        Some(read) => Some(read),
    }
}

impl Resolver<'_> {
    /// The credential; a header with a secret becomes one of `headers`.
    pub(super) fn auth(
        &mut self,
        server: &Server,
        path: &Path,
        headers: &mut Vec<(String, Secret)>,
    ) -> ServerAuth {
        let path = path.key("auth");
        let sets_authorization =
            !matches!(server.auth, None | Some(file::ServerAuth::None | file::ServerAuth::Header(_)));
        if sets_authorization && headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
            self.refuse(&path, "and `headers` both set `Authorization`; write it in one place", None);
        }
        match &server.auth {
            None | Some(file::ServerAuth::None) => ServerAuth::None,
            Some(file::ServerAuth::Bearer(secret)) => {
                let path = path.key("bearer");
                let secret = self.secret(secret, &path).filter(|secret| self.sendable(secret, &path));
                secret.map_or(ServerAuth::None, ServerAuth::Bearer)
            }
            Some(file::ServerAuth::Header(header)) => {
                let path = path.key("header");
                if headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(&header.name)) {
                    self.refuse(&path.key("name"), "stands in `headers` too; write it in one place", None);
                }
                headers.extend(self.header(&header.name, &header.value, &path.key("value")));
                ServerAuth::None
            }
            Some(file::ServerAuth::Oauth(oauth)) => self.oauth(oauth, &path.key("oauth")),
            Some(file::ServerAuth::Exchange(exchange)) => {
                let exchange = self.exchange(exchange, &path.key("exchange"));
                exchange.map_or(ServerAuth::None, |exchange| ServerAuth::Exchange(Box::new(exchange)))
            }
            Some(file::ServerAuth::IdJag(jag)) => {
                let path = path.key("id_jag");
                let client = Client {
                    id: &jag.client_id,
                    secret: jag.client_secret.as_ref(),
                    key: jag.client_key.as_ref(),
                    key_id: jag.client_key_id.as_ref(),
                    method: jag.client_auth,
                };
                let client = self.client(&client, &path);
                match (self.exchange(&jag.idp, &path.key("idp")), client) {
                    (Some(idp), Some(client)) => ServerAuth::IdJag(Box::new(IdJagAuth { idp, client })),
                    _ => ServerAuth::None,
                }
            }
        }
    }

    fn oauth(&mut self, oauth: &OauthAuth, path: &Path) -> ServerAuth {
        self.scopes(&oauth.scopes, &path.key("scopes"));
        let client = match &oauth.client_id {
            Some(id) => self.client(
                &Client {
                    id,
                    secret: oauth.client_secret.as_ref(),
                    key: oauth.client_key.as_ref(),
                    key_id: oauth.client_key_id.as_ref(),
                    method: oauth.client_auth,
                },
                path,
            ),
            None if oauth.client_secret.is_some()
                || oauth.client_key.is_some()
                || oauth.client_auth.is_some() =>
            {
                let message = "has a `client_secret`, `client_key` or `client_auth` without a `client_id`";
                self.refuse(path, message, None);
                None
            }
            None => None,
        };
        let per = oauth.per.unwrap_or_default();
        let registration = oauth.registration.unwrap_or_default();
        let needs_given = registration == RegistrationBy::Given || per == ConsentOf::Service;
        if needs_given && oauth.client_id.is_none() {
            let help = "write the `client_id` that the server's operator gave you".to_owned();
            self.refuse(path, "needs a given client", Some(help));
        }
        let workload = oauth.workload_token.as_ref().and_then(|token| {
            let path = path.key("workload_token");
            if per != ConsentOf::Service {
                self.refuse(&path, "is for `per: service`", None);
            }
            self.workload_token(token, &path)
        });
        let scopes = oauth.scopes.clone();
        ServerAuth::OAuth(Box::new(OAuthAuth { per, scopes, client, registration, workload }))
    }

    fn exchange(&mut self, exchange: &file::ExchangeAuth, path: &Path) -> Option<ExchangeAuth> {
        self.scopes(&exchange.scopes, &path.key("scopes"));
        let provider = self.sign_in_provider(exchange, path);
        let at = self.exchange_at(exchange, provider.as_deref(), path);
        let subject = self.subject(exchange, provider, path);
        Some(ExchangeAuth {
            at: at?,
            subject: subject?,
            audience: exchange.audience.clone(),
            scopes: exchange.scopes.clone(),
        })
    }

    /// The sign-in provider that an exchange names, or the only one.
    fn sign_in_provider(&mut self, exchange: &file::ExchangeAuth, path: &Path) -> Option<String> {
        let known: Vec<&str> = self.sign_in_providers.iter().map(String::as_str).collect();
        match (&exchange.provider, known.as_slice()) {
            (Some(name), _) if known.contains(&name.as_str()) => Some(name.clone()),
            (Some(name), _) => {
                let message = format!("{name:?} is not an identity provider of `sign_in.issuers`");
                let help = suggestion(name, &known);
                self.refuse(&path.key("provider"), message, help);
                None
            }
            (None, [only]) => Some((*only).to_owned()),
            (None, _) => None,
        }
    }

    fn exchange_at(
        &mut self,
        exchange: &file::ExchangeAuth,
        provider: Option<&str>,
        path: &Path,
    ) -> Option<ExchangeAt> {
        let Some(text) = &exchange.token_endpoint else {
            let has_client = exchange.client_id.is_some()
                || exchange.client_secret.is_some()
                || exchange.client_key.is_some()
                || exchange.client_auth.is_some();
            if has_client {
                let help = "at the provider the hub is the client of `sign_in.issuers`".to_owned();
                self.refuse(path, "has a client without a `token_endpoint`", Some(help));
            } else if provider.is_none() && exchange.provider.is_none() {
                let help = "write `provider: NAME` with a name of `sign_in.issuers`, or a `token_endpoint` and `client_id`";
                self.refuse(path, "does not say where tokens are exchanged", Some(help.to_owned()));
            }
            return provider.map(|name| ExchangeAt::Provider(name.to_owned()));
        };
        let endpoint = self.url(text, &path.key("token_endpoint"));
        if endpoint.as_ref().is_some_and(|url| url.scheme() == "http" && !is_local(url)) {
            self.refuse(&path.key("token_endpoint"), "is `http`: tokens would travel unencrypted", None);
        }
        let Some(id) = &exchange.client_id else {
            self.refuse(path, "has a `token_endpoint` without a `client_id`", None);
            return None;
        };
        let client = self.client(
            &Client {
                id,
                secret: exchange.client_secret.as_ref(),
                key: exchange.client_key.as_ref(),
                key_id: exchange.client_key_id.as_ref(),
                method: exchange.client_auth,
            },
            path,
        );
        Some(ExchangeAt::Endpoint { token_endpoint: endpoint?.to_string(), client: client? })
    }

    fn subject(
        &mut self,
        exchange: &file::ExchangeAuth,
        provider: Option<String>,
        path: &Path,
    ) -> Option<Subject> {
        let Some(token) = &exchange.subject_token else {
            if exchange.subject_token_type.is_some() {
                let message = "stands without a `subject_token`; a caller's own is an ID token";
                self.refuse(&path.key("subject_token_type"), message, None);
            }
            if provider.is_none() && exchange.provider.is_none() {
                let help = "write `provider: NAME` with a name of `sign_in.issuers`: the caller's own ID token of it is \
                            exchanged. Or write a `subject_token`, which is the same for every caller";
                self.refuse(path, "does not say whose token is exchanged", Some(help.to_owned()));
            }
            return Some(Subject::Caller { provider: provider? });
        };
        let token = self.secret(token, &path.key("subject_token"));
        let kind = exchange.subject_token_type.as_deref().unwrap_or("id_token");
        let kind = match kind {
            short if TOKEN_TYPES.contains(&short) => format!("urn:ietf:params:oauth:token-type:{short}"),
            urn if urn.starts_with("urn:") => urn.to_owned(),
            _ => {
                let help = format!("write one of {}, or a whole URN", TOKEN_TYPES.join(", "));
                self.refuse(&path.key("subject_token_type"), "is not a type of token", Some(help));
                return None;
            }
        };
        Some(Subject::Given { token: token?, kind })
    }

    fn client(&mut self, client: &Client<'_>, path: &Path) -> Option<GivenClient> {
        let Client { id, method, .. } = *client;
        if id.is_empty() || id.chars().any(char::is_control) {
            self.refuse(&path.key("client_id"), "is not the id of a client", None);
            return None;
        }
        let wants = |what: &str| format!("needs a `{what}`");
        match (method, client.secret.is_some(), client.key.is_some()) {
            (_, true, true) => {
                self.refuse(path, "has a `client_secret` and a `client_key`; a client has one of them", None);
            }
            (Some(ClientAuthMethod::PrivateKeyJwt), _, false) => {
                self.refuse(&path.key("client_auth"), wants("client_key"), None);
            }
            (Some(ClientAuthMethod::ClientSecretBasic | ClientAuthMethod::ClientSecretPost), false, _) => {
                self.refuse(&path.key("client_auth"), wants("client_secret"), None);
            }
            (Some(ClientAuthMethod::None), _, true) => {
                self.refuse(&path.key("client_auth"), "is `none`, and there is a `client_key`", None);
            }
            (_, _, false) if client.key_id.is_some() => {
                self.refuse(&path.key("client_key_id"), wants("client_key"), None);
            }
            (_, _, _) => {}
        }
        let secret = client.secret.map(|secret| self.secret(secret, &path.key("client_secret")));
        let key = client.key.map(|key| self.client_key(key, client.key_id, &path.key("client_key")));
        let method = method.or(key.is_some().then_some(ClientAuthMethod::PrivateKeyJwt));
        let (Some(secret), Some(key)) = (read(secret), read(key)) else { return None };
        Some(GivenClient { id: id.to_owned(), secret, key, method })
    }

    /// Read here only to see that it can be.
    fn workload_token(&mut self, token: &file::SecretText, path: &Path) -> Option<WorkloadToken> {
        let text = self.secret(token, path)?;
        match self.secret_file(token) {
            Some(file) => Some(WorkloadToken::File(file)),
            None => Some(WorkloadToken::Given(text)),
        }
    }

    fn client_key(&mut self, key: &file::SecretText, id: Option<&String>, path: &Path) -> Option<ClientKey> {
        let key = ClientKey { pem: self.secret(key, path)?, id: id.cloned() };
        if let Err(fault) = trunkline_oauth::client::check_key(&key) {
            self.refuse(path, fault.to_string(), None);
            return None;
        }
        Some(key)
    }

    /// How the hub presents itself to authorization servers of upstream servers.
    pub(super) fn oauth_client(&mut self, client: &file::OauthClient, path: &Path) -> OauthClient {
        let metadata = client.metadata_url.as_deref();
        let redirect = client.redirect_url.as_deref();
        OauthClient {
            metadata_url: metadata.and_then(|url| self.url(url, &path.key("metadata_url"))),
            redirect_url: redirect.and_then(|url| self.url(url, &path.key("redirect_url"))),
        }
    }

    /// A scope is printable ASCII without space, `"` and `\` (RFC 6749 section 3.3).
    fn scopes(&mut self, scopes: &[String], path: &Path) {
        for (index, scope) in scopes.iter().enumerate() {
            let legal = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
            if scope.is_empty() || !scope.bytes().all(legal) {
                self.refuse(&path.index(index), "is not a scope; write one scope per item of the list", None);
            }
        }
    }
}
