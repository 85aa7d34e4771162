//! Calls with an access token beside an API key, and how fast tokens are given.

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde_json::Value;

use super::{Bench, Measured, Rounds, first_tool};
use crate::hub::Hub;
use crate::load::{Ask, Connection, Step, Target, call_tool};
use crate::report::Figures;

/// Tokens are given less often than they are used.
const TOKEN_SHARE: usize = 10;

/// A client that gets tokens by its own credentials.
pub(super) struct Robot {
    form: Bytes,
}

impl Robot {
    /// Makes a service account and its client.
    pub(super) fn make(hub: &Hub) -> Result<Self> {
        hub.command(&["user", "create", "robot", "--service"])?;
        let client = ["client", "create", "robot", "--confidential", "--service-account", "robot"];
        let made = hub.command(&client)?;
        let secret = made["secret"].as_str().context("client create printed no secret")?;
        let resource = format!("http://{}/mcp/bench", hub.target.address);
        let form = format!(
            "grant_type=client_credentials&client_id=robot&client_secret={secret}&resource={}",
            resource.replace(':', "%3A").replace('/', "%2F")
        );
        Ok(Self { form: form.into() })
    }

    async fn token(&self, hub: &Target) -> Result<String> {
        let answer = token_endpoint(hub).await?.post(self.form.clone()).await?;
        let parsed: Value = serde_json::from_slice(&answer.body)?;
        let token = parsed["access_token"].as_str().with_context(|| parsed.to_string())?;
        Ok(token.to_owned())
    }
}

async fn token_endpoint(hub: &Target) -> Result<Connection> {
    let target = Target { paths: vec!["/oauth/token".to_owned()], key: None, ..hub.clone() };
    let mut connection = Connection::open(&target, 0).await?;
    connection.set_header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    Ok(connection)
}

/// One token, new each time.
#[derive(Clone)]
struct GetToken(Bytes);

impl Step for GetToken {
    async fn take(&self, connection: &mut Connection) -> Result<()> {
        let answer = connection.post(self.0.clone()).await?;
        if answer.status != StatusCode::OK {
            bail!("no token: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        Ok(())
    }
}

pub(super) async fn measure(
    bench: &Bench,
    hub: &Measured<'_>,
    robot: &Robot,
    figures: &mut Figures,
) -> Result<()> {
    let token = robot.token(&hub.target).await?;
    let with_token = Measured { target: Target { key: Some(token), ..hub.target.clone() }, ..hub.clone() };
    let ask = Ask { body: call_tool(&first_tool(&hub.target).await?), answer_bytes: 1000, gzip: false };
    let mut rounds = Rounds::default();
    for _ in 0..bench.size.rounds {
        rounds.add("key", bench.round(hub, bench.size.requests, ask.clone()).await?);
        rounds.add("token", bench.round(&with_token, bench.size.requests, ask.clone()).await?);
    }
    figures.rows.extend(rounds.rows("a call by credential"));
    let mut rounds = Rounds::default();
    for _ in 0..bench.size.rounds {
        let mut connections = Vec::new();
        for _ in 0..bench.size.connections {
            connections.push(token_endpoint(&hub.target).await?);
        }
        let count = bench.size.requests / TOKEN_SHARE;
        rounds.add("hub", bench.load(hub, connections, count, GetToken(robot.form.clone())).await?);
    }
    figures.rows.extend(rounds.rows("client credentials"));
    Ok(())
}
