//! An authorization server and the server it protects, as a script.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use trunkline_model::{Clock as _, ManualClock, Timestamp};
use url::Url;

use super::super::Returned;
use super::super::transport::{Sending, Transport, TransportError};

pub(super) const SERVER: &str = "https://server.example/mcp";
pub(super) const ISSUER: &str = "https://as.example";
pub(super) const LIFE: Duration = Duration::from_hours(1);

/// What goes wrong with one request to the token endpoint.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    Answer(u16, &'static str),
    /// Nothing was sent.
    Unreachable,
    /// It acts, and its answer is lost.
    Lost,
    TimedOut,
}

/// How it behaves and what it has seen.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) faults: VecDeque<Fault>,
    /// Members that stand in place of those of the metadata.
    pub(super) metadata: Value,
    pub(super) resource: Value,
    /// HTTP status and body in place of every document.
    pub(super) document: Option<(u16, String)>,
    /// Whether a refresh token that was replaced is taken once more.
    pub(super) grace: bool,
    pub(super) registrations: u32,
    pub(super) refreshes: u32,
    pub(super) asked: Vec<String>,
    pub(super) revoked: Vec<String>,
    /// The tokens that were exchanged.
    pub(super) shown: Vec<String>,
    refresh_token: Option<String>,
    replaced: Option<String>,
    issued: u32,
    expires_in: Duration,
    access_until: Option<(String, Timestamp)>,
}

#[derive(Debug)]
pub(super) struct Authority {
    script: Mutex<Script>,
    clock: ManualClock,
}

impl Authority {
    pub(super) fn new(clock: ManualClock) -> Self {
        let script = Script {
            faults: VecDeque::new(),
            metadata: json!({}),
            resource: json!({}),
            document: None,
            grace: false,
            registrations: 0,
            refreshes: 0,
            asked: Vec::new(),
            revoked: Vec::new(),
            shown: Vec::new(),
            refresh_token: None,
            replaced: None,
            issued: 0,
            expires_in: LIFE,
            access_until: None,
        };
        Self { script: Mutex::new(script), clock }
    }

    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// A person consents: what the browser brings back.
    pub(super) fn consent(authorization_url: &str) -> Returned {
        let url = Url::parse(authorization_url).unwrap();
        let value =
            |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        assert_eq!(value("code_challenge_method").as_deref(), Some("S256"));
        Returned {
            state: value("state").unwrap(),
            code: Some("code".to_owned()),
            iss: Some(ISSUER.to_owned()),
            ..Returned::default()
        }
    }

    /// The grant is withdrawn.
    pub(super) fn withdraw(&self) {
        let mut script = self.script();
        (script.refresh_token, script.replaced) = (None, None);
    }

    /// Whether the server takes this header now.
    pub(super) fn takes(&self, header: &str) -> bool {
        let now = self.clock.now();
        self.script()
            .access_until
            .as_ref()
            .is_some_and(|(token, until)| header == format!("Bearer {token}") && now < *until)
    }

    fn answer(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let mut script = self.script();
        let uri = request.uri().to_string();
        script.asked.push(format!("{} {uri}", request.method()));
        if uri == SERVER {
            let challenge = r#"Bearer resource_metadata="https://server.example/.well-known/oauth-protected-resource/mcp""#;
            let response = Response::builder().status(401).header("www-authenticate", challenge);
            return Ok(response.body(Bytes::new()).unwrap());
        }
        let document = |script: &Script, value: Value, over: &Value| {
            if let Some((status, body)) = &script.document {
                return answer(*status, body);
            }
            let mut value = value;
            for (name, member) in over.as_object().into_iter().flatten() {
                value[name] = member.clone();
            }
            answer(200, &value.to_string())
        };
        match request.uri().path() {
            "/.well-known/oauth-protected-resource/mcp" => {
                let over = script.resource.clone();
                let value = json!({ "resource": SERVER, "authorization_servers": [ISSUER] });
                Ok(document(&script, value, &over))
            }
            "/.well-known/oauth-authorization-server" => {
                let over = script.metadata.clone();
                Ok(document(&script, metadata(), &over))
            }
            "/register" if request.method() == Method::POST && uri.starts_with(ISSUER) => {
                script.registrations += 1;
                Ok(registered(script.registrations))
            }
            path if path.starts_with("/register/") && request.method() == Method::PUT => {
                script.registrations += 100;
                Ok(registered(script.registrations))
            }
            path if path.starts_with("/register/") => Ok(answer(204, "")),
            "/revoke" => {
                script.revoked.push(field(request, "token"));
                Ok(answer(200, ""))
            }
            "/token" => self.token(&mut script, request),
            _ => Ok(answer(404, "")),
        }
    }

    fn token(
        &self,
        script: &mut Script,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, TransportError> {
        let fault = script.faults.pop_front();
        match fault {
            Some(Fault::Answer(status, body)) => return Ok(answer(status, body)),
            Some(Fault::Unreachable) => {
                return Err(TransportError::Unreachable("no such host".to_owned()));
            }
            Some(Fault::TimedOut) => return Err(TransportError::TimedOut),
            Some(Fault::Lost) | None => {}
        }
        if field(request, "grant_type") == "refresh_token" {
            script.refreshes += 1;
            let shown = Some(field(request, "refresh_token"));
            let again = script.grace && shown == script.replaced;
            if shown != script.refresh_token && !again {
                return Ok(answer(400, r#"{"error":"invalid_grant"}"#));
            }
            script.replaced = shown;
        }
        if field(request, "grant_type").ends_with("token-exchange") {
            script.shown.push(field(request, "subject_token"));
        }
        script.issued += 1;
        let number = script.issued;
        let (access, refresh) = (format!("access-{number}"), format!("refresh-{number}"));
        let until = self.clock.now().plus(script.expires_in);
        script.refresh_token = Some(refresh.clone());
        script.access_until = Some((access.clone(), until));
        let body = json!({
            "access_token": access, "refresh_token": refresh, "token_type": "Bearer",
            "expires_in": script.expires_in.as_secs(),
        });
        if matches!(fault, Some(Fault::Lost)) {
            return Err(TransportError::Broken("the connection was lost".to_owned()));
        }
        Ok(answer(200, &body.to_string()))
    }
}

fn metadata() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/authorize"),
        "token_endpoint": format!("{ISSUER}/token"),
        "registration_endpoint": format!("{ISSUER}/register"),
        "revocation_endpoint": format!("{ISSUER}/revoke"),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    })
}

fn registered(number: u32) -> Response<Bytes> {
    let id = format!("client-{}", number % 100);
    let body = json!({
        "client_id": id, "client_secret": format!("secret-{number}"), "client_secret_expires_at": 0,
        "registration_client_uri": format!("{ISSUER}/register/{id}"), "registration_access_token": "manage",
    });
    answer(201, &body.to_string())
}

fn answer(status: u16, body: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::copy_from_slice(body.as_bytes()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn field(request: &Request<Bytes>, name: &str) -> String {
    let pairs = url::form_urlencoded::parse(request.body());
    let mut values = pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    values.next().unwrap_or_default()
}

impl Transport for Authority {
    fn send(&self, request: Request<Bytes>) -> Sending<'_> {
        let answer = self.answer(&request);
        Box::pin(async move { answer })
    }
}
