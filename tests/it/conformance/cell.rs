//! One pairing of eras: the suite speaks the client's, the reference server is
//! pinned to the server's.

use std::path::{Path, PathBuf};

use anyhow::Result;
use trunkline_tests::hub::{self, TestHub};
use trunkline_tests::reference_server::{PROGRAM, ReferenceServer};

/// The profile that the suite speaks to.
pub(super) const PROFILE: &str = "reference";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    Legacy,
    Modern,
}

/// What the profile shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Servers {
    /// The reference server alone, under its own names.
    One,
    /// The same, and two more of it under prefixed names: a child of the same
    /// era, and one of the other era over HTTP. They have the same URIs, so what
    /// reaches the wrong server is noticed.
    Three,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub(super) client: Era,
    pub(super) server: Era,
    pub(super) servers: Servers,
}

/// A hub with the cell's servers behind it. All end when this is dropped.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) hub: TestHub,
    _servers: Vec<ReferenceServer>,
}

impl Era {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Legacy => Self::Modern,
            Self::Modern => Self::Legacy,
        }
    }

    /// The revision whose requirements the suite holds the hub to.
    pub(super) fn revision(self) -> &'static str {
        match self {
            Self::Legacy => "2025-11-25",
            Self::Modern => "2026-07-28",
        }
    }
}

impl Cell {
    /// As in the names of tests and baselines.
    pub(super) fn name(self) -> String {
        format!("{}_to_{}", self.client.name(), self.server.name())
    }

    /// The checks that fail today. Other servers in the profile change nothing,
    /// unless a file of their own says so.
    pub(super) fn baseline(self) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/conformance");
        let among_three = folder.join(format!("{}_among_three.yaml", self.name()));
        match self.servers {
            Servers::Three if among_three.exists() => among_three,
            Servers::Three | Servers::One => folder.join(format!("{}.yaml", self.name())),
        }
    }

    pub(super) async fn start(self) -> Result<Stage> {
        let reference = ReferenceServer::start(&["--era", self.server.name()]).await?;
        let mut servers = vec![reference];
        if self.servers == Servers::Three {
            servers.push(ReferenceServer::start(&["--era", self.server.other().name()]).await?);
        }
        let hub = TestHub::start(&self.configuration(&servers)?).await?;
        hub.until_listed(&hub.endpoint(PROFILE)).await?;
        Ok(Stage { hub, _servers: servers })
    }

    fn configuration(self, running: &[ReferenceServer]) -> Result<String> {
        let named = ["reference", "other_era"].into_iter().zip(running);
        let mut servers: Vec<String> =
            named.map(|(name, server)| format!("  {name}: {{ url: {:?} }}", server.url)).collect();
        let mut shown = vec!["      reference: { prefix: \"\" }"];
        if self.servers == Servers::Three {
            let program = hub::built(PROGRAM)?;
            let era = self.server.name();
            servers.push(format!("  child: {{ command: {program:?}, args: [--stdio, --era, {era}] }}"));
            shown.extend(["      child: {}", "      other_era: {}"]);
        }
        let (servers, shown) = (servers.join("\n"), shown.join("\n"));
        Ok(format!("servers:\n{servers}\nprofiles:\n  {PROFILE}:\n    auth: none\n    servers:\n{shown}\n"))
    }
}
