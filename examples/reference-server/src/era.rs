//! The two eras of the protocol: up to 2025-11-25 with `initialize` and sessions, from 2026-07-28 without.

use rmcp::RoleServer;
use rmcp::model::ProtocolVersion;
use rmcp::service::RequestContext;

/// The era that one request belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    Legacy,
    Modern,
}

/// The eras that a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Eras {
    /// Only with `initialize`, up to 2025-11-25
    Legacy,
    /// Only without sessions, from 2026-07-28
    Modern,
    /// As the client opens
    Both,
}

impl Era {
    pub(crate) fn of(context: &RequestContext<RoleServer>) -> Self {
        match context.protocol_version() {
            Some(version) if !version.has_initialize() => Self::Modern,
            _ => Self::Legacy,
        }
    }
}

impl Eras {
    pub(crate) fn has_legacy(self) -> bool {
        self != Self::Modern
    }

    /// The revisions of these eras, oldest first.
    pub(crate) fn versions(self) -> Vec<ProtocolVersion> {
        ProtocolVersion::KNOWN_VERSIONS
            .iter()
            .filter(|version| match self {
                Self::Legacy => version.has_initialize(),
                Self::Modern => !version.has_initialize(),
                Self::Both => true,
            })
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(eras: Eras) -> Vec<String> {
        eras.versions().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_eras_meet_at_2026_07_28() {
        assert_eq!(names(Eras::Modern), ["2026-07-28"]);
        assert_eq!(names(Eras::Legacy).last().map(String::as_str), Some("2025-11-25"));
        assert_eq!(names(Eras::Both).len(), names(Eras::Legacy).len() + 1);
    }
}
