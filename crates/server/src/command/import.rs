//! `trunkline import`.
use crate::output::{Outcome, Output};
#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {}
pub(super) fn run(_: &ImportArgs, _: Output) -> anyhow::Result<Outcome> {
    anyhow::bail!("not written yet")
}
