//! The figures: as a table for people, as JSON for comparison.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Result;
use chrono::{SecondsFormat, Utc};
use serde::Serialize;

use crate::cases::Size;

/// The targets of the project; ratios are CPU per request against nginx.
const CALL_RATIO: f64 = 3.0;
const LIST_RATIO: f64 = 0.5;
const SESSION_RATIO: f64 = 3.0;
const IDLE_BYTES: f64 = 40.0 * MEBIBYTE;
const TOKEN_MICROS: f64 = 5.0;
const START_MS: f64 = 200.0;
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// One case at one target: medians over the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) case: &'static str,
    pub(crate) target: &'static str,
    /// CPU of the target per request; for `direct` that is the upstream's own.
    pub(crate) cpu_micros: f64,
    /// Requests in a second, of all connections together.
    pub(crate) per_second: f64,
    pub(crate) p50_micros: f64,
    pub(crate) p99_micros: f64,
}

/// Everything one run found out.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) version: &'static str,
    pub(crate) at: String,
    pub(crate) size: Size,
    pub(crate) rows: Vec<Row>,
    pub(crate) list_bytes: Option<usize>,
    pub(crate) start_to_first_answer_ms: Option<f64>,
    pub(crate) idle_bytes: Option<u64>,
    pub(crate) after_load_bytes: Option<u64>,
    pub(crate) sessions_bytes: Option<u64>,
    pub(crate) streams_bytes: Option<u64>,
    /// Before and with the streams of modern clients.
    pub(crate) listen_before_bytes: Option<u64>,
    pub(crate) listen_bytes: Option<u64>,
    /// CPU of the hub for each change that reached one of them.
    pub(crate) listen_change_micros: Option<f64>,
    /// 100 servers and 3,000 tools: the first list of a hub that was just started.
    pub(crate) scale_first_list_ms: Option<f64>,
    pub(crate) scale_warm_list_ms: Option<f64>,
    pub(crate) scale_list_bytes: Option<usize>,
}

impl Figures {
    pub(crate) fn new(size: Size) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            at: now(),
            size,
            rows: Vec::new(),
            list_bytes: None,
            start_to_first_answer_ms: None,
            idle_bytes: None,
            after_load_bytes: None,
            sessions_bytes: None,
            streams_bytes: None,
            listen_before_bytes: None,
            listen_bytes: None,
            listen_change_micros: None,
            scale_first_list_ms: None,
            scale_warm_list_ms: None,
            scale_list_bytes: None,
        }
    }

    /// CPU of the hub per request over that of nginx.
    fn ratio(&self, case: &str) -> Option<f64> {
        self.ratio_of("hub", case)
    }

    fn ratio_of(&self, target: &str, case: &str) -> Option<f64> {
        let of = |target| self.rows.iter().find(|row| row.case.starts_with(case) && row.target == target);
        Some(of(target)?.cpu_micros / of("nginx")?.cpu_micros)
    }

    /// CPU of a call with an access token beyond one with an API key.
    fn token_over_key(&self) -> Option<f64> {
        let of = |target| self.rows.iter().find(|row| row.target == target).map(|row| row.cpu_micros);
        Some(of("token")? - of("key")?)
    }

    /// Each target of the project: what it is, what was found, what it may be.
    fn judged(&self) -> Vec<(&'static str, f64, f64)> {
        let judged = [
            ("tools/call CPU, times nginx", self.ratio("tools/call"), CALL_RATIO),
            ("tools/list CPU, times nginx", self.ratio("tools/list"), LIST_RATIO),
            ("tools/list CPU, gzip, times nginx", self.ratio_of("hub gzip", "tools/list"), LIST_RATIO),
            ("session set-up CPU, times nginx", self.ratio("session"), SESSION_RATIO),
            ("access token over API key, us", self.token_over_key(), TOKEN_MICROS),
            ("idle memory, bytes", self.idle_bytes.map(exact), IDLE_BYTES),
            ("start to first answer, ms", self.start_to_first_answer_ms, START_MS),
        ];
        judged.into_iter().filter_map(|(what, found, limit)| Some((what, found?, limit))).collect()
    }

    /// The targets that this run does not reach.
    pub(crate) fn missed(&self) -> Vec<&'static str> {
        let missed = self.judged().into_iter().filter(|(_, found, limit)| found > limit);
        missed.map(|(what, ..)| what).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "memory sizes are far below 2^53")]
fn exact(bytes: u64) -> f64 {
    bytes as f64
}

/// Writes the figures to standard output.
pub(crate) fn print(figures: &Figures) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:<28}{:<10}{:>12}{:>12}{:>12}{:>12}",
        "case", "target", "CPU us", "per s", "p50 us", "p99 us"
    )?;
    for row in &figures.rows {
        let Row { case, target, cpu_micros, per_second, p50_micros, p99_micros } = row;
        writeln!(
            out,
            "{case:<28}{target:<10}{cpu_micros:>12.1}{per_second:>12.0}{p50_micros:>12.0}{p99_micros:>12.0}"
        )?;
    }
    let memory = [
        ("idle", figures.idle_bytes),
        ("after the load", figures.after_load_bytes),
        ("with sessions", figures.sessions_bytes),
        ("with their streams", figures.streams_bytes),
        ("before modern streams", figures.listen_before_bytes),
        ("with modern streams", figures.listen_bytes),
    ];
    for (when, bytes) in memory {
        if let Some(bytes) = bytes {
            writeln!(out, "memory {when:<24}{:>10.1} MiB", exact(bytes) / MEBIBYTE)?;
        }
    }
    if let Some(micros) = figures.listen_change_micros {
        writeln!(out, "a change delivered to a stream {micros:>12.1} us")?;
    }
    let scale = [("first", figures.scale_first_list_ms), ("warm", figures.scale_warm_list_ms)];
    for (when, milliseconds) in scale {
        if let Some(milliseconds) = milliseconds {
            writeln!(out, "100 servers, 3000 tools, {when:<6} list {milliseconds:>8.1} ms")?;
        }
    }
    for (what, found, limit) in figures.judged() {
        let verdict = if found <= limit { "reached" } else { "MISSED" };
        writeln!(out, "{what:<36}{found:>14.2}   target {limit:.2}: {verdict}")?;
    }
    Ok(())
}

/// RFC 3339, in UTC.
#[expect(clippy::disallowed_methods, reason = "figures carry the moment at which they were taken")]
fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// `bench/results/DATE.json` of the checkout, or of the working directory.
pub(crate) fn default_path() -> PathBuf {
    let date: String = now().chars().take(10).collect();
    Path::new("bench/results").join(date).with_extension("json")
}

/// Writes the figures as JSON.
pub(crate) fn write(figures: &Figures, path: &Path) -> Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, serde_json::to_string_pretty(figures)? + "\n")?;
    Ok(())
}
