//! Who may do what in the admin API: every route by everybody. The routes come
//! from the hub itself; one that has no row here fails.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use http::Method;
use serde_json::{Value, json};
use trunkline_tests::http::{Endpoint, Response};
use trunkline_tests::hub::TestHub;
use trunkline_tests::people;

const CONFIGURATION: &str = "servers:\n  idle: { url: \"http://127.0.0.1:9/mcp\" }\n\
                             profiles:\n  team: { auth: oauth, servers: { idle: {} } }\n";

/// Who asks: the columns of the table.
const WHO: [&str; 6] = ["nobody", "stranger", "member", "auditor", "operator", "admin"];

/// What a path's parameter stands for. It is somebody else's, and new for each request.
#[derive(Debug, Clone, Copy)]
enum Thing {
    None,
    User,
    Team,
    /// A team, and a user who is not in it.
    TeamAndUser,
    Key,
    Session,
    Grant,
    Client,
}

/// A route, what it is asked with, and the status for each of [`WHO`].
struct Row {
    method: &'static str,
    path: &'static str,
    thing: Thing,
    body: Option<&'static str>,
    status: [u16; 6],
}

const fn row(
    method: &'static str,
    path: &'static str,
    thing: Thing,
    body: Option<&'static str>,
    status: [u16; 4],
) -> Row {
    Row { method, path, thing, body, status: [401, 401, status[0], status[1], status[2], status[3]] }
}

const READ: [u16; 4] = [403, 200, 200, 200];
const OWN: [u16; 4] = [200, 200, 200, 200];
const OPERATE: [u16; 4] = [403, 403, 204, 204];
const ADMINISTER: [u16; 4] = [403, 403, 403, 204];
/// There is no such thing; who may not know is not told more.
const ABSENT: [u16; 4] = [403, 403, 404, 404];

const NEW_USER: Option<&str> = Some(r#"{"login":"NEW"}"#);
const NEW_TEAM: Option<&str> = Some(r#"{"name":"NEW"}"#);
const NEW_KEY: Option<&str> = Some(r#"{"profile":"team","name":"mine"}"#);
const NEW_CLIENT: Option<&str> = Some(r#"{"id":"NEW","redirect_uris":["https://app.example/back"]}"#);

#[rustfmt::skip]
const ROWS: [Row; 42] = [
    row("GET", "/api/v1/hub", Thing::None, None, READ),
    row("GET", "/api/v1/servers", Thing::None, None, READ),
    row("GET", "/api/v1/servers/{name}/logs", Thing::None, None, [403, 403, 200, 200]),
    row("GET", "/api/v1/profiles", Thing::None, None, READ),
    row("GET", "/api/v1/profiles/{name}/tools", Thing::None, None, READ),
    row("POST", "/api/v1/audit/flush", Thing::None, None, OPERATE),
    row("GET", "/api/v1/connections", Thing::None, None, OWN),
    row("POST", "/api/v1/connections/{server}/connect", Thing::None, None, ABSENT),
    row("DELETE", "/api/v1/connections/{server}/{owner}", Thing::User, None, [404, 404, 404, 404]),
    row("GET", "/api/v1/upstream-clients", Thing::None, None, READ),
    row("POST", "/api/v1/upstream-clients/{server}/rotate", Thing::None, None, ABSENT),
    row("POST", "/api/v1/upstream-clients/{server}/register", Thing::None, None, ABSENT),
    row("POST", "/api/v1/upstream-clients/{server}/pause", Thing::None, None, ABSENT),
    row("POST", "/api/v1/upstream-clients/{server}/resume", Thing::None, None, ABSENT),
    row("DELETE", "/api/v1/upstream-clients/{server}", Thing::None, None, ABSENT),
    row("GET", "/api/v1/users", Thing::None, None, READ),
    row("POST", "/api/v1/users", Thing::None, NEW_USER, [403, 403, 403, 201]),
    row("GET", "/api/v1/users/{id}", Thing::User, None, [404, 200, 200, 200]),
    row("PATCH", "/api/v1/users/{id}", Thing::User, Some(r#"{"name":"Other"}"#), [403, 403, 403, 200]),
    row("DELETE", "/api/v1/users/{id}", Thing::User, None, ADMINISTER),
    row("POST", "/api/v1/users/{id}/link", Thing::User, None, [403, 403, 403, 201]),
    row("POST", "/api/v1/users/{id}/reset", Thing::User, None, [403, 403, 403, 201]),
    row("POST", "/api/v1/scim-token", Thing::None, None, [403, 403, 403, 201]),
    row("DELETE", "/api/v1/scim-token", Thing::None, None, ADMINISTER),
    row("GET", "/api/v1/teams", Thing::None, None, READ),
    row("POST", "/api/v1/teams", Thing::None, NEW_TEAM, [403, 403, 403, 201]),
    row("DELETE", "/api/v1/teams/{id}", Thing::Team, None, ADMINISTER),
    row("PUT", "/api/v1/teams/{id}/members/{user}", Thing::TeamAndUser, None, ADMINISTER),
    row("DELETE", "/api/v1/teams/{id}/members/{user}", Thing::TeamAndUser, None, ADMINISTER),
    row("GET", "/api/v1/keys", Thing::None, None, OWN),
    row("POST", "/api/v1/keys", Thing::None, NEW_KEY, [201, 201, 201, 201]),
    row("POST", "/api/v1/keys/{id}/rotate", Thing::Key, Some("{}"), [404, 404, 404, 200]),
    row("DELETE", "/api/v1/keys/{id}", Thing::Key, None, [404, 404, 404, 204]),
    row("GET", "/api/v1/sessions", Thing::None, None, OWN),
    row("DELETE", "/api/v1/sessions/{id}", Thing::Session, None, [404, 404, 404, 204]),
    row("DELETE", "/api/v1/users/{id}/sessions", Thing::User, None, [404, 404, 404, 200]),
    row("GET", "/api/v1/clients", Thing::None, None, READ),
    row("POST", "/api/v1/clients", Thing::None, NEW_CLIENT, [403, 403, 201, 201]),
    row("GET", "/api/v1/clients/{id}", Thing::Client, None, READ),
    row("PATCH", "/api/v1/clients/{id}", Thing::Client, Some(r#"{"blocked":true}"#), [403, 403, 200, 200]),
    row("DELETE", "/api/v1/clients/{id}", Thing::Client, None, OPERATE),
    // The client of the matrix is public.
    row("POST", "/api/v1/client-secrets/{id}", Thing::Client, Some("{}"), [403, 403, 404, 404]),
];

#[rustfmt::skip]
const GRANT_ROWS: [Row; 2] = [
    row("GET", "/api/v1/grants", Thing::None, None, OWN),
    row("DELETE", "/api/v1/grants/{id}", Thing::Grant, None, [404, 404, 204, 204]),
];

struct Stage {
    hub: TestHub,
    /// Cookies of [`WHO`].
    cookies: Vec<String>,
    /// Access tokens for the admin API, of service accounts with those roles.
    tokens: Vec<String>,
    made: std::cell::Cell<usize>,
}

impl Stage {
    async fn build() -> Result<Self> {
        let hub = TestHub::start(CONFIGURATION).await?;
        people::first_owner(&hub).await?;
        let mut cookies = vec![String::new()];
        for role in &WHO[1..] {
            let granted = if *role == "stranger" { "admin" } else { *role };
            let browser = people::signed_in(&hub, role, granted).await?;
            cookies.push(browser.cookie_header(&hub.base().parse()?));
        }
        hub.cli(&["user", "disable", "stranger"]).await?;
        hub.cli(&["user", "create", "robot", "--service"]).await?;
        Ok(Self { hub, cookies, tokens: Vec::new(), made: std::cell::Cell::default() })
    }

    /// The same people as service accounts, which have tokens.
    async fn build_of_tokens() -> Result<Self> {
        let mut stage = Self::build().await?;
        stage.tokens.push(String::new());
        for role in &WHO[1..] {
            let granted = if *role == "stranger" { "admin" } else { *role };
            let account = format!("{role}-robot");
            stage.hub.cli(&["user", "create", &account, "--service", "--role", granted]).await?;
            stage.tokens.push(stage.token(&account).await?);
        }
        stage.hub.cli(&["user", "disable", "stranger-robot"]).await?;
        Ok(stage)
    }

    /// A token of a service account for the admin API.
    async fn token(&self, account: &str) -> Result<String> {
        let make = ["client", "create", account, "--confidential", "--service-account", account];
        let made = self.json(&make).await?;
        let secret = made["secret"].as_str().context("no secret")?;
        let resource = format!("{}/api/v1", self.hub.base());
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", account),
            ("client_secret", secret),
            ("resource", resource.as_str()),
        ];
        let answer = self.asked_for_token(&fields).await?.expect_status(200)?.json()?;
        assert_eq!(answer["scope"], "admin");
        Ok(answer["access_token"].as_str().context("no token")?.to_owned())
    }

    async fn asked_for_token(&self, fields: &[(&str, &str)]) -> Result<Response> {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let endpoint = Endpoint::new(&format!("{}/oauth/token", self.hub.base()));
        endpoint.post(form, &[("content-type", "application/x-www-form-urlencoded")]).await
    }

    /// A name that nothing has yet.
    fn fresh(&self) -> String {
        self.made.set(self.made.get() + 1);
        format!("made-{}", self.made.get())
    }

    async fn json(&self, arguments: &[&str]) -> Result<Value> {
        let printed = self.hub.cli(&[arguments, &["--json"]].concat()).await?;
        serde_json::from_str(&printed).with_context(|| printed.clone())
    }

    async fn id_of(&self, arguments: &[&str]) -> Result<String> {
        let made = self.json(arguments).await?;
        Ok(made["id"].as_str().with_context(|| made.to_string())?.to_owned())
    }

    /// The path with something new in the place of its parameters.
    async fn path(&self, row: &Row) -> Result<String> {
        let name = self.fresh();
        let user = async || self.id_of(&["user", "create", &name]).await;
        let parts = match row.thing {
            Thing::None => vec![if row.path.contains("profiles") { "team" } else { "idle" }.to_owned()],
            Thing::User if row.path.contains("{server}") => vec!["idle".to_owned(), user().await?],
            Thing::User => vec![user().await?],
            Thing::Team => vec![self.id_of(&["team", "create", &name]).await?],
            Thing::TeamAndUser => vec![self.id_of(&["team", "create", &name]).await?, user().await?],
            Thing::Key => {
                user().await?;
                vec![self.id_of(&["key", "create", "--profile", "team", "--user", &name]).await?]
            }
            Thing::Session => {
                people::signed_in(&self.hub, &name, "member").await?;
                let sessions = self.json(&["login", "list"]).await?;
                let sessions = sessions["sessions"].as_array().context("no list")?;
                let session = sessions.iter().find(|session| session["login"] == name.as_str());
                vec![session.context("no session")?["id"].as_str().context("no id")?.to_owned()]
            }
            Thing::Client => {
                let uri = "https://app.example/back";
                vec![self.id_of(&["client", "create", &name, "--redirect-uri", uri]).await?]
            }
            Thing::Grant => vec![self.grant(&name).await?],
        };
        let mut path = row.path.to_owned();
        for part in parts {
            if let (Some(start), Some(end)) = (path.find('{'), path.find('}')) {
                path.replace_range(start..=end, &part);
            }
        }
        Ok(path)
    }

    /// A service account's grant.
    async fn grant(&self, client: &str) -> Result<String> {
        let create = ["client", "create", client, "--confidential", "--service-account", "robot"];
        let secret = self.json(&create).await?;
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", client)
            .append_pair("client_secret", secret["secret"].as_str().context("no secret")?)
            .append_pair("resource", &self.hub.url("team"))
            .finish();
        let endpoint = Endpoint::new(&format!("{}/oauth/token", self.hub.base()));
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        endpoint.send(Method::POST, form, &kind).await?.whole().await?.expect_status(200)?;
        let grants = self.json(&["client", "grants", "--client", client]).await?;
        Ok(grants["grants"][0]["id"].as_str().with_context(|| grants.to_string())?.to_owned())
    }

    async fn ask(&self, who: usize, method: &str, path: &str, body: Option<&str>) -> Result<Response> {
        let endpoint = Endpoint::new(&format!("{}{path}", self.hub.base()));
        let mut headers = vec![("content-type", "application/json"), ("sec-fetch-site", "same-origin")];
        let bearer = self.tokens.get(who).map(|token| format!("Bearer {token}"));
        match &bearer {
            Some(bearer) if bearer != "Bearer " => headers.push(("authorization", bearer)),
            None if !self.cookies[who].is_empty() => headers.push(("cookie", &self.cookies[who])),
            Some(_) | None => {}
        }
        let body = body.unwrap_or_default().replace("NEW", &self.fresh());
        endpoint.send(method.parse()?, body, &headers).await?.whole().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_each_as_their_role_says() -> Result<()> {
    answers_as_the_rows_say(&Stage::build().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_tokens_as_it_answers_browsers() -> Result<()> {
    answers_as_the_rows_say(&Stage::build_of_tokens().await?).await
}

async fn answers_as_the_rows_say(stage: &Stage) -> Result<()> {
    let rows = || ROWS.iter().chain(&GRANT_ROWS);
    let document = Endpoint::new(&format!("{}/api/openapi.json", stage.hub.base())).get(&[]).await?;
    let document: Value = serde_json::from_slice(&document.body)?;
    let mut routes = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().context("no paths")? {
        routes.extend(
            operations
                .as_object()
                .context("no methods")?
                .keys()
                .map(|method| (method.to_uppercase(), path.clone())),
        );
    }
    let tried: BTreeSet<_> = rows().map(|row| (row.method.to_owned(), row.path.to_owned())).collect();
    assert_eq!(routes, tried, "each route has its row");

    let mut wrong = Vec::new();
    for row in rows() {
        for (who, expected) in row.status.iter().enumerate() {
            let path = stage.path(row).await?;
            let answer = stage.ask(who, row.method, &path, row.body).await?;
            if answer.status.as_u16() != *expected {
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                wrong.push(format!("{} {} by {}: {} {text}", row.method, row.path, WHO[who], answer.status));
            }
        }
    }
    if !wrong.is_empty() {
        bail!("{}\n{}", wrong.join("\n"), stage.hub.output());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reaches_above_their_own_role() -> Result<()> {
    let stage = Stage::build().await?;
    let admin = 5;
    let users = stage.json(&["user", "list"]).await?;
    let owner = users["users"].as_array().context("no list")?.iter().find(|user| user["role"] == "owner");
    let owner = owner.context("no owner")?["id"].as_str().context("no id")?.to_owned();
    let path = format!("/api/v1/users/{owner}");
    for (method, path, body) in [
        ("PATCH", path.clone(), Some(r#"{"role":"member"}"#)),
        ("PATCH", path.clone(), Some(r#"{"disabled":true}"#)),
        ("DELETE", path.clone(), None),
        ("POST", format!("{path}/link"), None),
        ("POST", format!("{path}/reset"), None),
        ("POST", "/api/v1/users".to_owned(), Some(r#"{"login":"x","role":"owner"}"#)),
    ] {
        let answer = stage.ask(admin, method, &path, body).await?;
        assert_eq!(answer.status, 403, "{method} {path} {}", String::from_utf8_lossy(&answer.body));
    }

    // Whoever has the secret of its client is the service account.
    let operator = 4;
    let robot = stage.id_of(&["user", "create", "chief", "--service", "--role", "admin"]).await?;
    stage.hub.cli(&["client", "create", "ops", "--confidential", "--service-account", "chief"]).await?;
    let wanted = format!(r#"{{"id":"mine","confidential":true,"service_account":"{robot}"}}"#);
    for (path, body) in [("/api/v1/clients", wanted.as_str()), ("/api/v1/client-secrets/ops", "{}")] {
        let answer = stage.ask(operator, "POST", path, Some(body)).await?;
        assert_eq!(answer.status, 403, "{path} {}", String::from_utf8_lossy(&answer.body));
        assert_ne!(stage.ask(admin, "POST", path, Some(body)).await?.status, 403, "{path}");
    }

    let last = stage.hub.cli(&["user", "set-role", "owner", "admin"]).await;
    assert!(last.is_err(), "the last owner stays one");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_alone_changes_nothing() -> Result<()> {
    let stage = Stage::build().await?;
    let endpoint = Endpoint::new(&format!("{}/api/v1/teams", stage.hub.base()));
    let foreign: [&[(&str, &str)]; 4] = [
        &[],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
    ];
    for headers in foreign {
        let mut headers = headers.to_vec();
        headers.extend([("cookie", stage.cookies[5].as_str()), ("content-type", "application/json")]);
        let body = json!({ "name": stage.fresh() }).to_string();
        let answer = endpoint.send(Method::POST, body, &headers).await?.whole().await?;
        assert_eq!(answer.status, 403, "{headers:?}");
    }
    let teams = stage.json(&["team", "list"]).await?;
    assert_eq!(teams["teams"], json!([]), "nothing was made");
    Ok(())
}

/// Method, name of the caller and reason of every event.
async fn trail(hub: &TestHub) -> Result<(String, Vec<[String; 3]>)> {
    let exported = hub.cli(&["audit", "export"]).await?;
    let mut seen = Vec::new();
    for line in exported.lines() {
        let event: Value = serde_json::from_str(line)?;
        let event = &event["event"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        seen.push([
            text(&event["method"]),
            text(&event["caller"]["name"]),
            text(&event["decision"]["reason"]),
        ]);
    }
    Ok((exported, seen))
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_and_tokens_stand_in_the_trail_without_their_secrets() -> Result<()> {
    let stage = Stage::build().await?;
    stage.grant("robot-client").await?;
    let login = Endpoint::new(&format!("{}/oauth/token", stage.hub.base()));
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let form = "grant_type=client_credentials&client_id=robot-client&client_secret=wrong".to_owned();
    login.send(Method::POST, form, &kind).await?.whole().await?.expect_status(401)?;
    let (exported, seen) = trail(&stage.hub).await?;
    for expected in [
        ["POST /setup/{link}", "owner", "proved"],
        ["POST /login/link/{link}", "member", "proved"],
        ["POST /oauth/token", "", "proved"],
        ["POST /oauth/token", "", "not_authenticated"],
    ] {
        assert!(seen.contains(&expected.map(str::to_owned)), "{expected:?} is not in {seen:?}");
    }
    for secret in ["tll_", "tls_", "wrong"] {
        assert!(!exported.contains(secret), "{secret} is in the trail");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_and_refusals_stand_in_the_trail_with_who_asked() -> Result<()> {
    let stage = Stage::build().await?;
    stage.ask(5, "POST", "/api/v1/teams", Some(r#"{"name":"red"}"#)).await?.expect_status(201)?;
    stage.ask(2, "POST", "/api/v1/teams", Some(r#"{"name":"blue"}"#)).await?.expect_status(403)?;
    stage.ask(0, "GET", "/api/v1/users", None).await?.expect_status(401)?;
    let (_, seen) = trail(&stage.hub).await?;
    for expected in [
        ["POST /api/v1/teams", "admin", "role_allows"],
        ["POST /api/v1/teams", "member", "role_too_low"],
        ["GET /api/v1/users", "", "not_authenticated"],
    ] {
        assert!(seen.contains(&expected.map(str::to_owned)), "{expected:?} is not in {seen:?}");
    }
    Ok(())
}
