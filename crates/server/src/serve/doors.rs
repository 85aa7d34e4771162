//! Every door that makes an identity or hands out a credential, with the
//! database and the vault failing at each step of it: an error never is an
//! identity, is told in the shape of its protocol, and uses nothing up.

mod coverage;
mod held;
mod stage;
mod ways;

use std::pin::Pin;

use anyhow::{Context as _, Result, bail, ensure};
use trunkline_storage::Seen;
use trunkline_tests::browser::Prepared;
use trunkline_tests::http::Response;

use stage::Stage;

/// More statements than any door has.
const MOST: u32 = 60;
/// After so many faults the hub is another one: nobody may try some doors often in an hour.
const FRESH_AFTER: u32 = 7;
/// What runs beside a request may be hit in place of it.
const TRIES: u32 = 3;

type Way = for<'a> fn(&'a mut Stage) -> Pin<Box<dyn Future<Output = Result<Prepared>> + 'a>>;

/// One way to become somebody, or to get something that makes one somebody.
struct Door {
    name: &'static str,
    route: &'static str,
    way: Way,
    /// The status when nothing fails.
    opens: u16,
    gives: Gives,
    shape: Shape,
    /// What may be presented again after an error.
    again: Again,
}

/// What an open door gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gives {
    /// A token, code, cookie or secret, in the answer.
    Credential,
    /// What only somebody who is let in sees, or does.
    Entry,
}

/// How an error looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// RFC 6749 section 5.2, RFC 7591 section 3.2.2.
    Oauth,
    /// For a person.
    Page,
    /// RFC 7644 section 3.12.
    Scim,
    /// RFC 9457.
    Problem,
    /// JSON-RPC in an HTTP error.
    Mcp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// The same request: nothing has been used up.
    Same,
    /// A new one: part of it counts once by its protocol.
    Anew,
}

macro_rules! door {
    ($route:literal, $way:ident, $opens:literal, $gives:ident, $shape:ident, $again:ident) => {
        Door {
            name: stringify!($way),
            route: $route,
            way: |stage| Box::pin(stage.$way()),
            opens: $opens,
            gives: Gives::$gives,
            shape: Shape::$shape,
            again: Again::$again,
        }
    };
}

const CALLERS: &[Door] = &[
    door!("POST /mcp/{profile}", key, 200, Entry, Mcp, Same),
    door!("POST /mcp/{profile}", access_token, 200, Entry, Mcp, Same),
    door!("GET /account", browser_session, 200, Entry, Page, Same),
    door!("GET /scim/v2/Users", directory_list, 200, Entry, Scim, Same),
    door!("POST /scim/v2/Users", directory_user, 201, Entry, Scim, Same),
];

const SIGN_IN: &[Door] = &[
    door!("POST /login", password, 303, Credential, Page, Same),
    door!("POST /login/link/{link}", link, 303, Credential, Page, Same),
    door!("POST /login/link/{link}", link_with_password, 303, Credential, Page, Same),
    door!("GET /login/callback/{name}", callback, 303, Credential, Page, Anew),
    door!("GET /login/callback/{name}", newcomer, 303, Credential, Page, Anew),
    door!("POST /login/backchannel/{name}", signed_out, 200, Entry, Oauth, Same),
    door!("POST /account/keys", own_key, 200, Credential, Page, Same),
];

const FIRST: &[Door] = &[door!("POST /setup/{link}", first_owner, 303, Credential, Page, Same)];

const CONSENT: &[Door] = &[
    door!("GET /oauth/authorize", authorize, 303, Credential, Page, Same),
    door!("POST /oauth/consent", consent, 303, Credential, Page, Same),
    door!("POST /device", device_allowed, 200, Entry, Page, Same),
    door!("POST /oauth/device", device, 200, Credential, Oauth, Same),
    door!("POST /oauth/register", register, 201, Credential, Oauth, Same),
    door!("GET /oauth/register/{client}", registration_read, 200, Entry, Oauth, Same),
    door!("PUT /oauth/register/{client}", registration_replaced, 200, Credential, Oauth, Same),
    door!("DELETE /oauth/register/{client}", registration_deleted, 204, Entry, Oauth, Same),
];

const TOKENS: &[Door] = &[
    door!("POST /oauth/token", authorization_code, 200, Credential, Oauth, Same),
    door!("POST /oauth/token", refresh_token, 200, Credential, Oauth, Same),
    door!("POST /oauth/token", device_code, 200, Credential, Oauth, Same),
    door!("POST /oauth/token", client_credentials, 200, Credential, Oauth, Same),
    door!("POST /oauth/token", token_exchange, 200, Credential, Oauth, Same),
    // Both assertions count once, and their makers make another.
    door!("POST /oauth/token", assertion, 200, Credential, Oauth, Anew),
    door!("POST /oauth/token", private_key_jwt, 200, Credential, Oauth, Anew),
    door!("POST /oauth/introspect", introspection, 200, Entry, Oauth, Same),
    door!("POST /oauth/revoke", revocation, 200, Entry, Oauth, Same),
];

const ADMIN: &[Door] = &[
    door!("POST /api/v1/keys", admin_key, 201, Credential, Problem, Same),
    door!("POST /api/v1/keys/{id}/rotate", admin_rotation, 200, Credential, Problem, Same),
    door!("POST /api/v1/users", admin_user, 201, Entry, Problem, Same),
    door!("POST /api/v1/users/{id}/link", admin_link, 201, Credential, Problem, Same),
    door!("POST /api/v1/users/{id}/reset", admin_reset, 201, Credential, Problem, Same),
    door!("POST /api/v1/scim-token", admin_directory, 201, Credential, Problem, Same),
    door!("POST /api/v1/clients", admin_client, 201, Credential, Problem, Same),
    door!("POST /api/v1/client-secrets/{*id}", admin_secret, 200, Credential, Problem, Same),
];

const ALL: [&[Door]; 6] = [CALLERS, SIGN_IN, FIRST, CONSENT, TOKENS, ADMIN];

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Statement,
    FromStatement,
    Seal,
}

impl Door {
    async fn holds(&self, fault: Fault) -> Result<()> {
        let mut stage = self.stage().await?;
        for number in 1..=MOST {
            if number % FRESH_AFTER == 0 {
                stage.stop().await;
                stage = self.stage().await?;
            }
            let mut tries = 0;
            loop {
                let asked = (self.way)(&mut stage).await.context("on the way")?;
                stage.begin(fault, number);
                let answer = stage.send(&asked).await?;
                let seen = stage.faults().end();
                if self.is_open(&answer)? {
                    if seen.failed.is_empty() {
                        stage.stop().await;
                        return Ok(());
                    }
                    tries += 1;
                    if tries < TRIES {
                        continue;
                    }
                    break;
                }
                self.refused(&mut stage, fault, &asked, (&answer, &seen)).await.with_context(|| {
                    let body = String::from_utf8_lossy(&answer.body).into_owned();
                    format!("{fault:?} {number} ({:?}): {} {body}", seen.failed, answer.status)
                })?;
                break;
            }
        }
        bail!("it never opens")
    }

    async fn stage(&self) -> Result<Stage> {
        if self.name == "first_owner" { Stage::bare().await } else { Stage::start().await }
    }

    fn is_open(&self, answer: &Response) -> Result<bool> {
        if answer.status.as_u16() != self.opens {
            return Ok(false);
        }
        if self.gives == Gives::Credential && credential_in(answer).is_none() {
            return Ok(false);
        }
        if self.name == "introspection" {
            return Ok(answer.json()?["active"] == true);
        }
        Ok(true)
    }

    async fn refused(
        &self,
        stage: &mut Stage,
        fault: Fault,
        asked: &Prepared,
        (answer, seen): (&Response, &Seen),
    ) -> Result<()> {
        ensure!(!seen.failed.is_empty(), "nothing has failed, and the door is shut");
        // A cookie or field that does not open may as well be a forged one.
        let is_forged = matches!(fault, Fault::Seal) && self.shape == Shape::Page && answer.status == 400;
        ensure!(is_forged || matches!(answer.status.as_u16(), 401 | 403 | 500 | 502 | 503), "the status");
        if let Some(credential) = credential_in(answer) {
            bail!("it gives {credential}");
        }
        self.shape.is_of(answer)?;
        let again = match self.again {
            Again::Same => stage.send(asked).await?,
            Again::Anew => {
                let anew = (self.way)(stage).await.context("on the way again")?;
                stage.send(&anew).await?
            }
        };
        // RFC 8628 section 3.5: the device only has to wait.
        let must_wait = self.name == "device_code" && again.text()?.contains("slow_down");
        ensure!(
            self.is_open(&again)? || must_wait,
            "without a fault it does not open any more: {} {:?}",
            again.status,
            again.text()
        );
        Ok(())
    }
}

impl Shape {
    fn is_of(self, answer: &Response) -> Result<()> {
        let kind = answer.header("content-type").unwrap_or_default();
        let fits = match self {
            Self::Page => kind.starts_with("text/html") && answer.text()?.contains("<h1>"),
            Self::Oauth => kind.starts_with("application/json") && answer.json()?["error"].is_string(),
            Self::Scim => answer.text()?.contains("urn:ietf:params:scim:api:messages:2.0:Error"),
            Self::Problem => kind.starts_with("application/problem+json"),
            Self::Mcp => answer.json()?["error"]["code"].is_i64(),
        };
        ensure!(fits, "it has not the shape {self:?}: {kind}");
        Ok(())
    }
}

impl Stage {
    fn begin(&self, fault: Fault, number: u32) {
        match fault {
            Fault::Statement => self.faults().fail_statement(number),
            Fault::FromStatement => self.faults().fail_from(number),
            Fault::Seal => self.faults().fail_seal(number),
        }
    }
}

/// A token, code, cookie, link or secret of ours in an answer.
fn credential_in(answer: &Response) -> Option<String> {
    let headers =
        answer.headers.iter().filter_map(|(name, value)| Some(format!("{name}: {}", value.to_str().ok()?)));
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let found = |text: &str| {
        // A form's own token (`tlf_`) opens nothing; `eyJ` begins each JWT.
        let begins = ["tlk_", "tls_", "tll_", "tla_", "tlr_", "tlc_", "tlg_", "tld_", "tlp_", "eyJ"];
        begins.into_iter().find_map(|begin| {
            let start = text.find(begin)?;
            let credential: String = text[start..].chars().take(12).collect();
            (text.len() - start > 40).then_some(credential)
        })
    };
    headers.chain([text]).find_map(|text| found(&text))
}
