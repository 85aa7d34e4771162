//! Between a server that asks back and the client that can answer, in either
//! era on either side (2025-11-25, client; 2026-07-28, basic/patterns/mrtr).

pub(crate) mod asked;
pub(crate) mod declared;
pub(crate) mod input;
pub(crate) mod live_tasks;
pub(crate) mod state;
pub(crate) mod suspended;
pub(crate) mod task;
pub(crate) mod task_ids;
