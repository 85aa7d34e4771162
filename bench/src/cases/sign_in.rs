//! How fast people sign in, and how fast their clients get tokens.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::{Bench, Measured, Rounds};
use crate::hub::Hub;
use crate::load::{Answer, Connection, Step, Target};
use crate::report::Figures;

/// A password takes a core some 20 ms, and each sign-in leaves a session.
const PASSWORD_SHARE: usize = 100;
const PROVIDER_SHARE: usize = 50;
const TOKEN_SHARE: usize = 10;
/// A browser may try so often at the same time.
const BROWSERS: usize = 4;
const PASSWORD: &str = "correct+horse+battery+staple";
const CALLBACK: &str = "http%3A%2F%2F127.0.0.1%3A1%2Fcallback";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Ann, who has a password and is signed in, her client, and one of the operator.
pub(super) struct People {
    cookies: String,
    client: String,
    resource: String,
    machine: String,
}

/// A form to `path`, with what the browser has.
#[derive(Clone)]
struct Post {
    path: &'static str,
    cookies: String,
    body: Bytes,
    expected: StatusCode,
}

/// A code, at once because Ann has consented, and its tokens.
#[derive(Clone)]
struct CodeAndTokens {
    authorize: String,
    cookies: String,
    redeem: String,
}

/// Each token is used once: whoever takes a step takes one out and puts the next in.
#[derive(Clone)]
struct Refresh {
    client: String,
    tokens: Arc<Mutex<Vec<String>>>,
}

/// To the provider and back.
#[derive(Clone)]
struct ThroughProvider;

impl People {
    pub(super) async fn make(hub: &Hub) -> Result<Self> {
        let made = hub.command(&["user", "create", "ann"])?;
        let link = made["link"].as_str().context("no link")?;
        let path = link.splitn(4, '/').nth(3).map(|path| format!("/{path}")).context("a link")?;
        let mut connection = open(&hub.target).await?;
        let page = get(&mut connection, &path, "").await?;
        let body =
            format!("form_token={}&password={PASSWORD}&again={PASSWORD}", hidden(&page, "form_token")?);
        let signed_in = post(&mut connection, &path, &cookies_of(&page), body).await?;
        ensure!(signed_in.status == StatusCode::SEE_OTHER, "{signed_in:?}");
        let cookies = cookies_of(&signed_in);
        let metadata = json!({
            "redirect_uris": ["http://127.0.0.1:1/callback"], "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
        });
        let registered = post(&mut connection, "/oauth/register", "", metadata.to_string()).await?;
        let client = text_in(&registered, "client_id")?;
        let resource =
            format!("http%3A%2F%2F{}%2Fmcp%2Fbench", hub.target.address.to_string().replace(':', "%3A"));
        let asked =
            ["client", "create", "desk", "--confidential", "--redirect-uri", "http://127.0.0.1:1/callback"];
        let machine = hub.command(&asked)?["secret"].as_str().context("no secret")?.to_owned();
        let people = Self { cookies, client, resource, machine };
        let page = get(&mut connection, &people.authorize(&people.client), &people.cookies).await?;
        let consent = format!("transaction={}&decision=allow", hidden(&page, "transaction")?);
        let allowed = post(&mut connection, "/oauth/consent", &people.cookies, consent).await?;
        ensure!(allowed.status == StatusCode::SEE_OTHER, "{allowed:?}");
        Ok(people)
    }

    fn authorize(&self, client: &str) -> String {
        let resource = &self.resource;
        format!(
            "/oauth/authorize?response_type=code&client_id={client}&redirect_uri={CALLBACK}&state=s&\
             code_challenge={CHALLENGE}&code_challenge_method=S256&resource={resource}"
        )
    }

    fn code_and_tokens(&self) -> CodeAndTokens {
        let fixed =
            format!("grant_type=authorization_code&client_id={}&code_verifier={VERIFIER}", self.client);
        let authorize = self.authorize(&self.client);
        CodeAndTokens { authorize, cookies: self.cookies.clone(), redeem: fixed }
    }
}

impl People {
    /// Ann's password, in a browser that is known.
    async fn password(&self, hub: &Measured<'_>) -> Result<Post> {
        let page = get(&mut open(&hub.target).await?, "/login", "").await?;
        let known = self.cookies.split("; ").find(|cookie| cookie.starts_with("trunkline_browser="));
        Ok(Post {
            path: "/login",
            cookies: format!("{}; {}", cookies_of(&page), known.context("the browser is not known")?),
            body: format!("form_token={}&login=ann&password={PASSWORD}", hidden(&page, "form_token")?).into(),
            expected: StatusCode::SEE_OTHER,
        })
    }

    /// As many tokens as there are connections.
    async fn refresh(&self, hub: &Measured<'_>, count: usize) -> Result<Refresh> {
        let (code, mut connection) = (self.code_and_tokens(), open(&hub.target).await?);
        let mut tokens = Vec::new();
        for _ in 0..count {
            tokens.push(text_in(&code.tokens(&mut connection).await?, "refresh_token")?);
        }
        Ok(Refresh { client: self.client.clone(), tokens: Arc::new(Mutex::new(tokens)) })
    }

    /// The operator's client asks about a token of its own.
    async fn introspection(&self, hub: &Measured<'_>) -> Result<Post> {
        let mut connection = open(&hub.target).await?;
        let page = get(&mut connection, &self.authorize("desk"), &self.cookies).await?;
        let consent = format!("transaction={}&decision=allow", hidden(&page, "transaction")?);
        let allowed = post(&mut connection, "/oauth/consent", &self.cookies, consent).await?;
        let proof = format!("client_id=desk&client_secret={}", self.machine);
        let code = parameter(&allowed, "code")?;
        let redeem = format!("grant_type=authorization_code&{proof}&code_verifier={VERIFIER}&code={code}");
        let token = text_in(&post(&mut connection, "/oauth/token", "", redeem).await?, "access_token")?;
        Ok(Post {
            path: "/oauth/introspect",
            cookies: String::new(),
            body: format!("{proof}&token={token}").into(),
            expected: StatusCode::OK,
        })
    }
}

impl CodeAndTokens {
    async fn tokens(&self, connection: &mut Connection) -> Result<Answer> {
        let answer = get(connection, &self.authorize, &self.cookies).await?;
        let code = parameter(&answer, "code")?;
        let tokens = post(connection, "/oauth/token", "", format!("{}&code={code}", self.redeem)).await?;
        ensure!(tokens.status == StatusCode::OK, "{tokens:?}");
        Ok(tokens)
    }
}

impl Step for Post {
    async fn take(&self, connection: &mut Connection) -> Result<()> {
        let answer = post(connection, self.path, &self.cookies, self.body.clone()).await?;
        if answer.status != self.expected {
            bail!("{}: {} {}", self.path, answer.status, String::from_utf8_lossy(&answer.body));
        }
        Ok(())
    }
}

impl Step for CodeAndTokens {
    async fn take(&self, connection: &mut Connection) -> Result<()> {
        self.tokens(connection).await.map(drop)
    }
}

impl Step for Refresh {
    async fn take(&self, connection: &mut Connection) -> Result<()> {
        let lock = || self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let token = lock().pop().context("more connections than tokens")?;
        let body = format!("grant_type=refresh_token&client_id={}&refresh_token={token}", self.client);
        let next = text_in(&post(connection, "/oauth/token", "", body).await?, "refresh_token")?;
        lock().push(next);
        Ok(())
    }
}

impl Step for ThroughProvider {
    async fn take(&self, connection: &mut Connection) -> Result<()> {
        let begun = get(connection, "/login/issuer/corp?next=/account", "").await?;
        let (nonce, state) = (parameter(&begun, "nonce")?, parameter(&begun, "state")?);
        let back = format!("/login/callback/corp?code={nonce}&state={state}");
        let answer = get(connection, &back, &cookies_of(&begun)).await?;
        ensure!(answer.status == StatusCode::SEE_OTHER, "{}", String::from_utf8_lossy(&answer.body));
        Ok(())
    }
}

pub(super) async fn measure(
    bench: &Bench,
    hub: &Measured<'_>,
    people: &People,
    figures: &mut Figures,
) -> Result<()> {
    let (password, requests) = (people.password(hub).await?, bench.size.requests);
    let (mut passwords, mut provider) = (Rounds::default(), Rounds::default());
    for _ in 0..bench.size.rounds {
        let open = connections(hub, BROWSERS).await?;
        passwords.add("hub", bench.load(hub, open, requests / PASSWORD_SHARE, password.clone()).await?);
        let open = connections(hub, BROWSERS).await?;
        provider.add("hub", bench.load(hub, open, requests / PROVIDER_SHARE, ThroughProvider).await?);
    }
    figures.rows.extend(passwords.rows("sign-in, password"));
    figures.rows.extend(provider.rows("sign-in, provider (2)"));
    let code = people.code_and_tokens();
    let refresh = people.refresh(hub, bench.size.connections).await?;
    let introspect = people.introspection(hub).await?;
    let (count, all) = (requests / TOKEN_SHARE, bench.size.connections);
    let (mut codes, mut refreshes, mut questions) = (Rounds::default(), Rounds::default(), Rounds::default());
    for _ in 0..bench.size.rounds {
        codes.add("hub", bench.load(hub, connections(hub, all).await?, count, code.clone()).await?);
        refreshes.add("hub", bench.load(hub, connections(hub, all).await?, count, refresh.clone()).await?);
        questions.add("hub", bench.load(hub, connections(hub, all).await?, count, introspect.clone()).await?);
    }
    figures.rows.extend(codes.rows("code and tokens (2)"));
    figures.rows.extend(refreshes.rows("refresh"));
    figures.rows.extend(questions.rows("introspection"));
    Ok(())
}

async fn connections(hub: &Measured<'_>, count: usize) -> Result<Vec<Connection>> {
    let mut connections = Vec::new();
    for _ in 0..count {
        connections.push(open(&hub.target).await?);
    }
    Ok(connections)
}

async fn open(target: &Target) -> Result<Connection> {
    Connection::open(&Target { key: None, ..target.clone() }, 0).await
}

async fn get(connection: &mut Connection, path: &str, cookies: &str) -> Result<Answer> {
    connection.aim(path);
    connection.set_header(COOKIE, HeaderValue::from_str(cookies)?);
    connection.send(Method::GET, Bytes::new()).await
}

/// JSON where it begins like that, else a form.
async fn post(
    connection: &mut Connection,
    path: &str,
    cookies: &str,
    body: impl Into<Bytes>,
) -> Result<Answer> {
    let body = body.into();
    let kind = if body.starts_with(b"{") { "application/json" } else { "application/x-www-form-urlencoded" };
    connection.aim(path);
    connection.set_header(COOKIE, HeaderValue::from_str(cookies)?);
    connection.set_header(CONTENT_TYPE, HeaderValue::from_static(kind));
    connection.post(body).await
}

fn hidden(page: &Answer, name: &str) -> Result<String> {
    let text = String::from_utf8_lossy(&page.body);
    let mark = format!("name=\"{name}\" value=\"");
    let value =
        text.split_once(&mark).and_then(|(_, rest)| rest.split_once('"')).map(|(value, _)| value.to_owned());
    value.with_context(|| format!("no {name} on {text}"))
}

fn cookies_of(answer: &Answer) -> String {
    let set = answer.headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
    let pairs: Vec<&str> = set.filter_map(|cookie| cookie.split(';').next()).collect();
    pairs.join("; ")
}

fn parameter(answer: &Answer, name: &str) -> Result<String> {
    let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let (_, query) = location.and_then(|url| url.split_once('?')).with_context(|| format!("{answer:?}"))?;
    let value = query.split('&').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    Ok(value.with_context(|| query.to_owned())?.to_owned())
}

fn text_in(answer: &Answer, name: &str) -> Result<String> {
    let parsed: Value = serde_json::from_slice(&answer.body)?;
    Ok(parsed[name].as_str().with_context(|| parsed.to_string())?.to_owned())
}
