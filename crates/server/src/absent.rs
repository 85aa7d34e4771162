//! Sees to what the configuration no longer names: at the start, whenever the
//! file has changed, and each hour.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use trunkline_model::{Action, Clock, Decision, Outcome, Principal, Reason, ServerName};
use trunkline_oauth::absent::{Absent, Configured, Ended};
use trunkline_profiles::{Acted, Guard};
use trunkline_storage::AbsenceKind;
use uuid::Uuid;

use crate::config::Config;

const INTERVAL: Duration = Duration::from_hours(1);

/// What a configuration names.
pub(crate) fn configured(config: &Config) -> Configured {
    let issuers = config.sign_in.issuers.iter();
    Configured {
        servers: config.servers.keys().map(ToString::to_string).collect(),
        profiles: config.profiles.keys().map(ToString::to_string).collect(),
        providers: issuers.filter(|issuer| issuer.keeps_identity).map(|issuer| issuer.name.clone()).collect(),
    }
}

/// Sweeps until the process stops.
pub(crate) async fn follow(absent: Absent, mut configured: watch::Receiver<Configured>, guard: Arc<Guard>) {
    loop {
        let now = configured.borrow_and_update().clone();
        match absent.sweep(&now).await {
            Ok(ended) => ended.iter().for_each(|ended| record(&guard, absent.clock.as_ref(), ended)),
            Err(error) => tracing::warn!(%error, "what is no longer configured could not be seen to"),
        }
        tokio::select! {
            changed = configured.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// What the file leaves out is its author's decision.
fn record(guard: &Guard, clock: &dyn Clock, ended: &Ended) {
    let server = match ended.kind {
        AbsenceKind::Server => ServerName::new(&ended.name).ok(),
        AbsenceKind::Profile | AbsenceKind::Provider => None,
    };
    let action = Action {
        method: format!("absent/{}", ended.kind.as_str()),
        server,
        target: Some(ended.name.clone()),
        shown_as: None,
    };
    let acted = Acted {
        request_id: Uuid::now_v7(),
        arrived: clock.now(),
        caller: Some(Principal::Local),
        action,
        decision: Decision::allow(Reason::RoleAllows),
    };
    if let Err(error) = guard.act(acted).settle(Outcome::Ok, 0) {
        tracing::error!(%error, kind = ended.kind.as_str(), name = ended.name, "an end could not be recorded");
    }
}
