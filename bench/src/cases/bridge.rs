//! What it costs to carry a call from one era of the protocol to the other,
//! beside calls that stay in their era.

use anyhow::Result;

use super::{Bench, Measured, Rounds};
use crate::hub::{LEGACY_PROFILE, MODERN_PROFILE};
use crate::load::{Ask, Client, Target, call_tool, call_tool_modern};
use crate::report::Figures;

/// The tools as the profiles show them.
const LEGACY_TOOL: &str = "s0__tool_0_0";
const MODERN_TOOL: &str = "m__plain";

/// A client of one era at a server of the same or the other.
struct Cell {
    case: &'static str,
    profile: &'static str,
    tool: &'static str,
    modern_client: bool,
}

const fn cell(case: &'static str, profile: &'static str, tool: &'static str, modern_client: bool) -> Cell {
    Cell { case, profile, tool, modern_client }
}

const CELLS: [Cell; 4] = [
    cell("call, legacy to legacy", LEGACY_PROFILE, LEGACY_TOOL, false),
    cell("call, legacy to modern", MODERN_PROFILE, MODERN_TOOL, false),
    cell("call, modern to legacy", LEGACY_PROFILE, LEGACY_TOOL, true),
    cell("call, modern to modern", MODERN_PROFILE, MODERN_TOOL, true),
];

/// The rounds of the cells by turns, so that what happens on the machine
/// meanwhile happens to all of them.
pub(super) async fn measure(bench: &Bench, hub: &Measured<'_>, figures: &mut Figures) -> Result<()> {
    let mut rounds = CELLS.map(|_| Rounds::default());
    for _ in 0..bench.size.rounds {
        for (cell, rounds) in CELLS.iter().zip(&mut rounds) {
            let (client, body) = if cell.modern_client {
                let client = Client::Modern { method: "tools/call", tool: Some(cell.tool) };
                (client, call_tool_modern(cell.tool, ""))
            } else {
                (Client::Legacy, call_tool(cell.tool))
            };
            let paths = vec![format!("/mcp/{}", cell.profile)];
            let target = Target { paths, key: None, client, ..hub.target.clone() };
            let measured = Measured { name: "hub", process: hub.process, target };
            let ask = Ask { body, answer_bytes: 1000, gzip: false };
            rounds.add("hub", bench.round(&measured, bench.size.requests, ask).await?);
        }
    }
    for (cell, rounds) in CELLS.iter().zip(rounds) {
        figures.rows.extend(rounds.rows(cell.case));
    }
    Ok(())
}
