//! `trunkline doctor`.

mod checks;
mod programs;

use serde::Serialize;

use super::hub_args::HubArgs;
use crate::config::{self, Config};
use crate::output::{Outcome, Output, counted};

/// Look for what would keep the hub from working, and say how to mend it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  trunkline doctor
  trunkline doctor --config hub.yaml --data /var/lib/trunkline --json

Exit codes: 0 nothing failed (there may be warnings), 1 something did.")]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    hub: HubArgs,
}

/// What one look showed.
#[derive(Debug, Serialize)]
struct Finding {
    status: Status,
    /// What was looked at.
    subject: String,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Warn,
    Fail,
}

impl Finding {
    fn ok(subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { status: Status::Ok, subject: subject.into(), detail: detail.into(), fix: None }
    }

    fn warn(subject: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { status: Status::Warn, subject: subject.into(), detail: detail.into(), fix: Some(fix.into()) }
    }

    fn fail(subject: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { status: Status::Fail, subject: subject.into(), detail: detail.into(), fix: Some(fix.into()) }
    }
}

#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    findings: Vec<Finding>,
}

pub(super) async fn run(args: &DoctorArgs, output: Output) -> anyhow::Result<Outcome> {
    let mut findings = Vec::new();
    let config = configuration(&args.hub, &mut findings);
    let data = args.hub.data();
    findings.push(checks::data_directory(&data));
    if let Some(config) = config {
        findings.extend(checks::secret_key(&data, &config));
        findings.push(Box::pin(checks::database(&data, &config)).await);
        findings.push(checks::address(&data, &config).await);
        findings.extend(checks::public_url(&config));
        findings.extend(programs::check(&config).await);
    }
    let report = Report { ok: findings.iter().all(|finding| finding.status != Status::Fail), findings };
    output.result(words(&report), &report);
    Ok(if report.ok { Outcome::Done } else { Outcome::Negative })
}

fn configuration(hub: &HubArgs, findings: &mut Vec<Finding>) -> Option<Config> {
    let subject = "configuration";
    let Some(path) = hub.config_path() else {
        let fix = "write a trunkline.yaml, or name a file with --config";
        findings.push(Finding::warn(
            subject,
            "there is none: the hub starts without servers and profiles",
            fix,
        ));
        return Some(Config::default());
    };
    match config::load(&path) {
        Ok(config) => {
            let counts = format!(
                "{}, {}",
                counted(config.servers.len(), "server"),
                counted(config.profiles.len(), "profile")
            );
            findings.push(Finding::ok(subject, format!("{}: {counts}", path.display())));
            for note in &config.notes {
                let fix = "nothing to do, unless you count on it";
                findings.push(Finding::warn(subject, note, fix));
            }
            Some(config)
        }
        Err(errors) => {
            for line in errors.lines() {
                findings.push(Finding::fail(
                    subject,
                    line,
                    "correct the file, then run `trunkline check` on it",
                ));
            }
            None
        }
    }
}

fn words(report: &Report) -> String {
    let mut lines = Vec::new();
    for finding in &report.findings {
        let mark = match finding.status {
            Status::Ok => "ok  ",
            Status::Warn => "warn",
            Status::Fail => "FAIL",
        };
        lines.push(format!("{mark}  {}: {}", finding.subject, finding.detail));
        if let Some(fix) = &finding.fix {
            lines.push(format!("      {fix}"));
        }
    }
    lines.join("\n")
}
