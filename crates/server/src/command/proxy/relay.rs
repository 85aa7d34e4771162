//! Takes messages from the client, and keeps account of what is on its way.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::{AbortHandle, JoinSet};
use trunkline_web::Egress;

use super::Endpoint;
use super::envelope::{Envelope, Request};
use super::failure::Failure;
use super::hub::Hub;
use crate::json_lines::{LONGEST_LINE, Outbox};

/// Requests that may wait for answers at once.
const MOST_IN_FLIGHT: usize = 256;

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;

/// One client and what it waits for.
#[derive(Debug)]
pub(super) struct Relay {
    hub: Arc<Hub>,
    running: JoinSet<()>,
    in_flight: HashMap<Value, InFlight>,
    /// The stream of messages that answer no request.
    listening: Option<AbortHandle>,
}

#[derive(Debug)]
struct InFlight {
    task: AbortHandle,
    /// To close the stream of its answer is to cancel it (revision 2026-07-28).
    modern: bool,
    /// It has no answer until the client goes away.
    endless: bool,
}

impl Relay {
    pub(super) fn new(endpoint: Arc<Endpoint>, egress: Egress, outbox: Outbox) -> Self {
        Self {
            hub: Arc::new(Hub::new(endpoint, egress, outbox)),
            running: JoinSet::new(),
            in_flight: HashMap::new(),
            listening: None,
        }
    }

    /// Passes on one message. A request goes on its way beside the others; a
    /// notification has been taken by the hub when this returns, so that it
    /// stays ahead of what the client sends next.
    pub(super) async fn send(&mut self, message: Vec<u8>) {
        while self.running.try_join_next().is_some() {}
        self.in_flight.retain(|_, entry| !entry.task.is_finished());
        let body = Bytes::from(message);
        match Envelope::of(&body) {
            Err(error) => self.complain(PARSE_ERROR, &format!("the line is not JSON: {error}")).await,
            Ok(Envelope::Request(request)) => self.start(request, body).await,
            Ok(Envelope::Cancel(id)) if self.in_flight.get(&id).is_some_and(|entry| entry.modern) => {
                if let Some(entry) = self.in_flight.remove(&id) {
                    entry.task.abort();
                }
            }
            Ok(Envelope::Cancel(_) | Envelope::OneWay) => self.hub.tell(&body).await,
            Ok(Envelope::Initialized) => {
                self.hub.tell(&body).await;
                self.listen();
            }
        }
    }

    async fn start(&mut self, request: Request, body: Bytes) {
        // Whatever follows belongs to the session that this opens.
        if request.method == "initialize" {
            return self.hub.ask(&request, &body).await;
        }
        if self.in_flight.len() >= MOST_IN_FLIGHT {
            return self.hub.give(Failure::Busy { most: MOST_IN_FLIGHT }.to_message(&request.id)).await;
        }
        let hub = Arc::clone(&self.hub);
        let id = request.id.clone();
        let modern = request.modern.is_some();
        let endless = request.method == "subscriptions/listen";
        let task = self.running.spawn(async move { hub.ask(&request, &body).await });
        self.in_flight.insert(id, InFlight { task, modern, endless });
    }

    fn listen(&mut self) {
        if let Some(before) = self.listening.take() {
            before.abort();
        }
        let hub = Arc::clone(&self.hub);
        self.listening = Some(self.running.spawn(async move { hub.listen().await }));
    }

    pub(super) async fn refuse_long_line(&self) {
        self.complain(INVALID_REQUEST, &format!("a message may have {LONGEST_LINE} bytes at most")).await;
    }

    async fn complain(&self, code: i64, message: &str) {
        let error = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": code, "message": message } });
        self.hub.give(error.to_string().into_bytes()).await;
    }

    /// Waits for the answers that can still come, and ends the session.
    pub(super) async fn finish(&mut self) {
        let endless = self.in_flight.values().filter(|entry| entry.endless).map(|entry| &entry.task);
        for task in endless.chain(&self.listening) {
            task.abort();
        }
        while self.running.join_next().await.is_some() {}
        self.hub.end_session().await;
    }
}
