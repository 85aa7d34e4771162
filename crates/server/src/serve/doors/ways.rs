//! How each door is come to: the one request that makes an identity or hands
//! out a credential, ready to be sent.

use anyhow::{Context as _, Result};
use http::Method;
use serde_json::json;
use trunkline_model::{Clock as _, ProfileName, SystemClock};
use trunkline_oauth::keys::{Form, NewKey};
use trunkline_tests::browser::{Browser, Prepared};

use super::stage::{CALLBACK, PASSWORD, Stage, text};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl Stage {
    fn initialize(&self, profile: &str, credential: (&str, &str)) -> Result<Prepared> {
        let both = ("accept", "application/json, text/event-stream");
        let headers = [("content-type", "application/json"), both, credential];
        self.request(Method::POST, &format!("/mcp/{profile}"), &headers, INITIALIZE.to_owned())
    }

    /// A key that another process has just made.
    pub(super) async fn key(&mut self) -> Result<Prepared> {
        let wanted = NewKey {
            profile: ProfileName::new("keyed")?,
            name: self.fresh("key"),
            owner: None,
            lifetime: None,
        };
        let (key, secret) = wanted.make(&mut rand::rng(), SystemClock.now());
        self.other.keys().insert(&key).await?;
        self.initialize("keyed", ("x-api-key", secret.expose()))
    }

    pub(super) async fn access_token(&mut self) -> Result<Prepared> {
        let client = self.client().await?;
        let token = text(&self.tokens(&client).await?, "access_token")?;
        self.initialize("team", ("authorization", &format!("Bearer {token}")))
    }

    pub(super) async fn browser_session(&mut self) -> Result<Prepared> {
        let cookie = self.session_cookie()?;
        std::future::ready(self.request(Method::GET, "/account", &[("cookie", &cookie)], String::new())).await
    }

    pub(super) async fn password(&mut self) -> Result<Prepared> {
        let mut browser = Browser::new();
        let form = browser.open(&self.at("/login?next=/account")).await?.form("/login")?;
        let mut asked = browser.prepare(&form.set("login", "owner")?.set("password", PASSWORD)?, "")?;
        // The owner's own browser is known: a stranger may not try as often as this test does.
        let known = self.session_cookie()?;
        let known = known.split("; ").find(|cookie| cookie.contains("trunkline_browser="));
        let cookies = asked.headers.iter_mut().find(|(name, _)| name == "cookie").context("no cookies")?;
        cookies.1 = format!("{}; {}", cookies.1, known.context("the browser is not known")?);
        Ok(asked)
    }

    pub(super) async fn first_owner(&mut self) -> Result<Prepared> {
        let before = std::mem::replace(self, Self::bare().await?);
        before.stop().await;
        self.setup().await
    }

    pub(super) async fn link(&mut self) -> Result<Prepared> {
        self.follow_link(false).await
    }

    pub(super) async fn link_with_password(&mut self) -> Result<Prepared> {
        self.follow_link(true).await
    }

    async fn follow_link(&mut self, with_password: bool) -> Result<Prepared> {
        let link = self.link_of(self.owner().await?).await?;
        let mut browser = Browser::new();
        let form = browser.open(link.expose()).await?.form("/login/link/")?;
        let form = if with_password { form.set("password", PASSWORD)?.set("again", PASSWORD)? } else { form };
        browser.prepare(&form, "")
    }

    /// Back from the provider, as somebody who has been here before.
    pub(super) async fn callback(&mut self) -> Result<Prepared> {
        let mut browser = Browser::new().stopping_at(&self.at("/login/callback/"));
        let page = browser.open(&self.at("/login/issuer/corp?next=/account")).await?;
        let url: url::Url = page.left_for.context("not sent back")?.parse()?;
        let headers = vec![("cookie".to_owned(), browser.cookie_header(&url))];
        Ok(Prepared { method: Method::GET, url, headers, body: String::new() })
    }

    /// As somebody who comes the first time.
    pub(super) async fn newcomer(&mut self) -> Result<Prepared> {
        if let Some(known) = self.store().users().find_by_login("ann@example.org").await? {
            let path = format!("/api/v1/users/{}", known.id);
            self.send(&self.api(Method::DELETE, &path, &json!({}))?).await?;
        }
        self.callback().await
    }

    /// The provider says that Ann, who is here, signed out there.
    pub(super) async fn signed_out(&mut self) -> Result<Prepared> {
        let asked = self.callback().await?;
        self.send(&asked).await?.expect_status(303)?;
        let (issuer, now, jti) = (self.issuers.issuer("corp"), self.issuers.now(), self.fresh("jti"));
        let token = self.issuers.sign(
            &json!({ "typ": "logout+jwt", "alg": "ES256", "kid": "k1" }),
            &json!({
                "iss": issuer, "aud": "trunkline", "sub": "u-ann", "jti": jti, "iat": now, "exp": now + 60,
                "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
            }),
        );
        self.form("/login/backchannel/corp", &[("logout_token", &token)])
    }

    pub(super) async fn authorization_code(&mut self) -> Result<Prepared> {
        let client = self.client().await?;
        let code = self.code(&client).await?;
        self.redemption(&client, &code, &[])
    }

    pub(super) async fn refresh_token(&mut self) -> Result<Prepared> {
        let client = self.client().await?;
        let token = text(&self.tokens(&client).await?, "refresh_token")?;
        let fields = [("grant_type", "refresh_token"), ("client_id", &client), ("refresh_token", &token)];
        self.form("/oauth/token", &fields)
    }

    async fn device_started(&mut self) -> Result<(String, serde_json::Value)> {
        let client = self.client().await?;
        let asked = self.device().await?;
        let started = self.send(&asked).await?.expect_status(200)?.json()?;
        Ok((client, started))
    }

    /// A device asks for its codes.
    pub(super) async fn device(&mut self) -> Result<Prepared> {
        let client = self.client().await?;
        let resource = self.resource("team");
        self.form("/oauth/device", &[("client_id", &client), ("resource", &resource)])
    }

    /// The owner has typed the code, and allows the device.
    pub(super) async fn device_allowed(&mut self) -> Result<Prepared> {
        let (_, started) = self.device_started().await?;
        let page = self.browser.open(&text(&started, "verification_uri_complete")?).await?;
        let page = self.browser.submit(&page.form("device")?, "look").await?;
        self.browser.prepare(&page.form("device")?, "allow")
    }

    pub(super) async fn device_code(&mut self) -> Result<Prepared> {
        let (client, started) = self.device_started().await?;
        let page = self.browser.open(&text(&started, "verification_uri_complete")?).await?;
        let page = self.browser.submit(&page.form("device")?, "look").await?;
        self.browser.submit(&page.form("device")?, "allow").await?;
        let code = text(&started, "device_code")?;
        self.form("/oauth/token", &[("grant_type", DEVICE), ("client_id", &client), ("device_code", &code)])
    }

    /// A client that the operator makes; its secret.
    async fn made(&mut self, more: serde_json::Value) -> Result<String> {
        let mut wanted = json!({ "id": "machine", "confidential": true, "redirect_uris": [CALLBACK] });
        if let (Some(wanted), Some(more)) = (wanted.as_object_mut(), more.as_object()) {
            wanted.extend(more.clone());
        }
        if let Some(secret) = self.kept.get("secret") {
            return Ok(secret.clone());
        }
        let made = self.send(&self.api(Method::POST, "/api/v1/clients", &wanted)?).await?;
        let secret = text(&made.expect_status(201)?.json()?, "secret")?;
        self.kept.insert("secret", secret.clone());
        Ok(secret)
    }

    fn as_machine(&self, path: &str, secret: &str, fields: &[(&str, &str)]) -> Result<Prepared> {
        let mut all = vec![("client_id", "machine"), ("client_secret", secret)];
        all.extend_from_slice(fields);
        self.form(path, &all)
    }

    pub(super) async fn client_credentials(&mut self) -> Result<Prepared> {
        let service = match self.store().users().find_by_login("service").await? {
            Some(user) => user.id.to_string(),
            None => {
                let wanted = json!({ "login": "service", "kind": "service" });
                let made = self.send(&self.api(Method::POST, "/api/v1/users", &wanted)?).await?;
                text(&made.expect_status(201)?.json()?, "id")?
            }
        };
        let secret = self.made(json!({ "service_account": service })).await?;
        let resource = self.resource("team");
        let fields = [("grant_type", "client_credentials"), ("resource", &resource)];
        self.as_machine("/oauth/token", &secret, &fields)
    }

    /// The machine's own access token of the owner.
    async fn machine_token(&mut self) -> Result<(String, serde_json::Value)> {
        let secret = self.made(json!({ "token_exchange": true })).await?;
        let code = self.code("machine").await?;
        let redeemed = self.redemption("machine", &code, &[("client_secret", &secret)])?;
        let tokens = self.send(&redeemed).await?.expect_status(200)?.json()?;
        Ok((secret, tokens))
    }

    pub(super) async fn token_exchange(&mut self) -> Result<Prepared> {
        let (secret, tokens) = self.machine_token().await?;
        let (token, resource) = (text(&tokens, "access_token")?, self.resource("other"));
        let kind = "urn:ietf:params:oauth:token-type:access_token";
        let fields = [
            ("grant_type", EXCHANGE),
            ("subject_token", &token),
            ("subject_token_type", kind),
            ("resource", &resource),
        ];
        self.as_machine("/oauth/token", &secret, &fields)
    }

    pub(super) async fn introspection(&mut self) -> Result<Prepared> {
        let (secret, tokens) = self.machine_token().await?;
        let token = text(&tokens, "refresh_token").or_else(|_| text(&tokens, "access_token"))?;
        self.as_machine("/oauth/introspect", &secret, &[("token", &token)])
    }

    pub(super) async fn revocation(&mut self) -> Result<Prepared> {
        let client = self.client().await?;
        let token = text(&self.tokens(&client).await?, "refresh_token")?;
        self.form("/oauth/revoke", &[("client_id", &client), ("token", &token)])
    }

    /// An assertion about somebody whom the provider has brought here.
    pub(super) async fn assertion(&mut self) -> Result<Prepared> {
        if self.store().users().find_by_login("ann@example.org").await?.is_none() {
            let asked = self.callback().await?;
            self.send(&asked).await?.expect_status(303)?;
        }
        let secret = self.made(json!({ "assertions": true })).await?;
        let (issuer, now, jti) = (self.issuers.issuer("corp"), self.issuers.now(), self.fresh("jti"));
        let assertion = self.issuers.sign(
            &json!({ "typ": "oauth-id-jag+jwt", "alg": "ES256", "kid": "k1" }),
            &json!({
                "iss": issuer, "sub": "u-ann", "aud": self.running.public_url, "resource": self.resource("team"),
                "client_id": "machine", "jti": jti, "iat": now, "exp": now + 300, "scope": "mcp",
            }),
        );
        self.as_machine("/oauth/token", &secret, &[("grant_type", JWT_BEARER), ("assertion", &assertion)])
    }

    /// A code of a client that proves itself with a key.
    pub(super) async fn private_key_jwt(&mut self) -> Result<Prepared> {
        let client = match self.kept.get("keyed client") {
            Some(client) => client.clone(),
            None => {
                let more = json!({
                    "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [self.issuers.key()] },
                });
                let client = text(&self.registered(more).await?, "client_id")?;
                self.kept.insert("keyed client", client.clone());
                client
            }
        };
        let code = self.code(&client).await?;
        let jti = self.fresh("jti");
        let assertion = self.issuers.sign(
            &json!({ "alg": "ES256", "kid": "k1" }),
            &json!({
                "iss": client, "sub": client, "aud": self.running.public_url, "jti": jti,
                "exp": self.issuers.now() + 60,
            }),
        );
        let proof = [("client_assertion_type", ASSERTION), ("client_assertion", assertion.as_str())];
        self.redemption(&client, &code, &proof)
    }

    pub(super) async fn register(&mut self) -> Result<Prepared> {
        std::future::ready(self.registration(json!({}))).await
    }

    async fn managed(&mut self, method: Method) -> Result<Prepared> {
        let made = self.registered(json!({})).await?;
        let (client, token) = (text(&made, "client_id")?, text(&made, "registration_access_token")?);
        let bearer = format!("Bearer {token}");
        let metadata = json!({
            "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_basic",
        });
        let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
        self.request(method, &format!("/oauth/register/{client}"), &headers, metadata.to_string())
    }

    pub(super) async fn registration_read(&mut self) -> Result<Prepared> {
        self.managed(Method::GET).await
    }

    pub(super) async fn registration_replaced(&mut self) -> Result<Prepared> {
        self.managed(Method::PUT).await
    }

    pub(super) async fn registration_deleted(&mut self) -> Result<Prepared> {
        self.managed(Method::DELETE).await
    }

    /// The owner has allowed the same before: the code comes at once.
    pub(super) async fn authorize(&mut self) -> Result<Prepared> {
        let client = self.client().await?;
        self.code(&client).await?;
        let cookie = self.session_cookie()?;
        self.request(Method::GET, &self.authorize_path(&client), &[("cookie", &cookie)], String::new())
    }

    /// The first question of a new client.
    pub(super) async fn consent(&mut self) -> Result<Prepared> {
        let client = text(&self.registered(json!({})).await?, "client_id")?;
        let page = self.browser.open(&self.at(&self.authorize_path(&client))).await?;
        self.browser.prepare(&page.form("consent")?, "allow")
    }

    pub(super) async fn own_key(&mut self) -> Result<Prepared> {
        let page = self.browser.open(&self.at("/account")).await?;
        self.browser.prepare(&page.form_to("/account/keys")?.with("profile", "keyed").set("name", "k")?, "")
    }

    async fn directory(&mut self) -> Result<String> {
        if let Some(token) = self.kept.get("directory") {
            return Ok(token.clone());
        }
        let minted = Form::DIRECTORY.mint(&mut rand::rng());
        self.store().users().set_directory_token(Some(minted.hash), SystemClock.now()).await?;
        self.running.core.people.catch_up().await?;
        let bearer = format!("Bearer {}", minted.key.expose());
        self.kept.insert("directory", bearer.clone());
        Ok(bearer)
    }

    pub(super) async fn directory_user(&mut self) -> Result<Prepared> {
        let (bearer, login) = (self.directory().await?, self.fresh("user"));
        let headers = [("content-type", "application/scim+json"), ("authorization", bearer.as_str())];
        let user = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": login });
        self.request(Method::POST, "/scim/v2/Users", &headers, user.to_string())
    }

    pub(super) async fn directory_list(&mut self) -> Result<Prepared> {
        let bearer = self.directory().await?;
        let headers = [("authorization", bearer.as_str())];
        self.request(Method::GET, "/scim/v2/Users", &headers, String::new())
    }

    pub(super) async fn admin_key(&mut self) -> Result<Prepared> {
        let wanted = json!({ "profile": "keyed", "name": self.fresh("key") });
        std::future::ready(self.api(Method::POST, "/api/v1/keys", &wanted)).await
    }

    pub(super) async fn admin_rotation(&mut self) -> Result<Prepared> {
        let asked = self.admin_key().await?;
        let made = self.send(&asked).await?.expect_status(201)?.json()?;
        let path = format!("/api/v1/keys/{}/rotate", text(&made, "id")?);
        self.api(Method::POST, &path, &json!({}))
    }

    pub(super) async fn admin_user(&mut self) -> Result<Prepared> {
        let wanted = json!({ "login": self.fresh("user") });
        std::future::ready(self.api(Method::POST, "/api/v1/users", &wanted)).await
    }

    pub(super) async fn admin_link(&mut self) -> Result<Prepared> {
        let path = format!("/api/v1/users/{}/link", self.owner().await?);
        self.api(Method::POST, &path, &json!({}))
    }

    pub(super) async fn admin_client(&mut self) -> Result<Prepared> {
        let id = self.fresh("client");
        let wanted = json!({ "id": id, "confidential": true, "redirect_uris": [CALLBACK] });
        std::future::ready(self.api(Method::POST, "/api/v1/clients", &wanted)).await
    }

    pub(super) async fn admin_reset(&mut self) -> Result<Prepared> {
        let asked = self.admin_user().await?;
        let made = self.send(&asked).await?.expect_status(201)?.json()?;
        self.api(Method::POST, &format!("/api/v1/users/{}/reset", text(&made, "id")?), &json!({}))
    }

    pub(super) async fn admin_directory(&mut self) -> Result<Prepared> {
        std::future::ready(self.api(Method::POST, "/api/v1/scim-token", &json!({}))).await
    }

    pub(super) async fn admin_secret(&mut self) -> Result<Prepared> {
        self.made(json!({})).await?;
        self.api(Method::POST, "/api/v1/client-secrets/machine", &json!({}))
    }
}
