//! What a large profile costs: 100 servers and 3,000 tools.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::hub::SCALE_PROFILE;
use crate::load::{Connection, Target};
use crate::report::Figures;
use crate::upstream::{SCALE_SERVERS, TOOLS};

/// Lists asked for once everything is warm; the median counts.
const WARM_LISTS: usize = 21;

/// Lists the large profile of a hub that has not asked any of its servers
/// yet, then again.
pub(super) async fn measure(hub: &Target, figures: &mut Figures) -> Result<()> {
    // Nobody is asked for a key in this profile.
    let target = Target { paths: vec![format!("/mcp/{SCALE_PROFILE}")], key: None, ..hub.clone() };
    let mut connection = Connection::open(&target, 0).await?;
    connection.set_up_session().await?;
    let (first, bytes) = list(&mut connection).await?;
    let mut warm = Vec::with_capacity(WARM_LISTS);
    for _ in 0..WARM_LISTS {
        warm.push(list(&mut connection).await?.0);
    }
    warm.sort_unstable();
    figures.scale_first_list_ms = Some(first.as_secs_f64() * 1e3);
    figures.scale_warm_list_ms = warm.get(WARM_LISTS / 2).map(|median| median.as_secs_f64() * 1e3);
    figures.scale_list_bytes = Some(bytes);
    Ok(())
}

/// All pages: how long they took, and their bytes.
async fn list(connection: &mut Connection) -> Result<(Duration, usize)> {
    let (start, mut tools, mut bytes, mut cursor) = (Instant::now(), 0, 0, Value::Null);
    loop {
        let params = if cursor.is_null() { json!({}) } else { json!({ "cursor": cursor }) };
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params });
        let answer = connection.post(Bytes::from(request.to_string())).await?;
        bytes += answer.body.len();
        let page: Value = serde_json::from_slice(&answer.body)?;
        tools += page["result"]["tools"].as_array().map_or(0, Vec::len);
        cursor = page["result"]["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    if tools != SCALE_SERVERS * TOOLS {
        bail!("the hub lists {tools} tools instead of {}", SCALE_SERVERS * TOOLS);
    }
    Ok((start.elapsed(), bytes))
}
