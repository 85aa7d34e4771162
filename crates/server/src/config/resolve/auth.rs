//! The credential of a server behind a URL.

use trunkline_model::{
    ClientAuthMethod, ExchangeAuth, GivenClient, IdJagAuth, OAuthAuth, RegistrationBy, Secret, ServerAuth,
};

use super::super::OauthClient;
use super::super::file;
use super::super::file::{OauthAuth, Server};
use super::super::path::Path;
use super::{Resolver, is_local};

/// Short names of token types (RFC 8693 section 3).
const TOKEN_TYPES: [&str; 5] = ["access_token", "refresh_token", "id_token", "jwt", "saml2"];

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
                let client = self.client(&jag.client_id, jag.client_secret.as_ref(), jag.client_auth, &path);
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
            Some(id) => self.client(id, oauth.client_secret.as_ref(), oauth.client_auth, path),
            None if oauth.client_secret.is_some() || oauth.client_auth.is_some() => {
                self.refuse(path, "has a `client_secret` or `client_auth` without a `client_id`", None);
                None
            }
            None => None,
        };
        let per = oauth.per.unwrap_or_default();
        let registration = oauth.registration.unwrap_or_default();
        let needs_given = registration == RegistrationBy::Given || per == trunkline_model::ConsentOf::Service;
        if needs_given && oauth.client_id.is_none() {
            let help = "write the `client_id` that the server's operator gave you".to_owned();
            self.refuse(path, "needs a given client", Some(help));
        }
        ServerAuth::OAuth(Box::new(OAuthAuth { per, scopes: oauth.scopes.clone(), client, registration }))
    }

    fn exchange(&mut self, exchange: &file::ExchangeAuth, path: &Path) -> Option<ExchangeAuth> {
        let endpoint = self.url(&exchange.token_endpoint, &path.key("token_endpoint"));
        if endpoint.as_ref().is_some_and(|url| url.scheme() == "http" && !is_local(url)) {
            self.refuse(&path.key("token_endpoint"), "is `http`: tokens would travel unencrypted", None);
        }
        self.scopes(&exchange.scopes, &path.key("scopes"));
        let client =
            self.client(&exchange.client_id, exchange.client_secret.as_ref(), exchange.client_auth, path);
        let subject_token = self.secret(&exchange.subject_token, &path.key("subject_token"));
        let kind = exchange.subject_token_type.as_deref().unwrap_or("id_token");
        let subject_token_type = match kind {
            short if TOKEN_TYPES.contains(&short) => format!("urn:ietf:params:oauth:token-type:{short}"),
            urn if urn.starts_with("urn:") => urn.to_owned(),
            _ => {
                let help = format!("write one of {}, or a whole URN", TOKEN_TYPES.join(", "));
                self.refuse(&path.key("subject_token_type"), "is not a type of token", Some(help));
                return None;
            }
        };
        Some(ExchangeAuth {
            token_endpoint: endpoint?.to_string(),
            client: client?,
            subject_token: subject_token?,
            subject_token_type,
            audience: exchange.audience.clone(),
            scopes: exchange.scopes.clone(),
        })
    }

    fn client(
        &mut self,
        id: &str,
        secret: Option<&file::SecretText>,
        method: Option<ClientAuthMethod>,
        path: &Path,
    ) -> Option<GivenClient> {
        if id.is_empty() || id.chars().any(char::is_control) {
            self.refuse(&path.key("client_id"), "is not the id of a client", None);
            return None;
        }
        let has_secret = secret.is_some();
        let secret = secret.and_then(|secret| self.secret(secret, &path.key("client_secret")));
        if !has_secret && method.is_some_and(|method| method != ClientAuthMethod::None) {
            self.refuse(&path.key("client_auth"), "needs a `client_secret`", None);
        }
        (has_secret == secret.is_some()).then(|| GivenClient { id: id.to_owned(), secret, method })
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
