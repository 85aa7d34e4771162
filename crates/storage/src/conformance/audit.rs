use std::sync::Arc;

use trunkline_model::Timestamp;
use uuid::Uuid;

use super::{on_both, store_at};
use crate::{AuditRow, Store, StoreError};

fn rows(chain: u128, numbers: std::ops::RangeInclusive<i64>) -> Vec<AuditRow> {
    numbers
        .map(|seq| AuditRow {
            chain: Uuid::from_u128(chain),
            seq,
            at: Timestamp::from_micros(seq * 10),
            prev_hash: [u8::try_from(seq % 250).unwrap(); 32],
            hash: [u8::try_from(seq % 250 + 1).unwrap(); 32],
            payload: format!("{{\"seq\":{seq},\"text\":\"ä\\u0000'\"}}"),
        })
        .collect()
}

async fn append(store: &Arc<Store>, rows: &[AuditRow]) -> Result<(), StoreError> {
    store.audit().append(rows).await
}

#[tokio::test]
async fn rows_come_back_as_they_went_in_whatever_their_number() {
    on_both(async |location| {
        let store = store_at(location).await;
        let audit = store.audit();
        let chain = Uuid::from_u128(1);
        assert_eq!(audit.head(chain).await.unwrap(), None);
        append(&store, &[]).await.unwrap();
        let mut last = 0;
        for count in [1, 2, 3, 7, 64, 65, 127, 200] {
            append(&store, &rows(1, last + 1..=last + count)).await.unwrap();
            last += count;
        }
        append(&store, &rows(2, 1..=1)).await.unwrap();
        let all = rows(1, 1..=last);
        assert_eq!(audit.page(chain, 0, 10_000).await.unwrap(), all);
        assert_eq!(audit.page(chain, 100, 5).await.unwrap(), all[100..105]);
        assert_eq!(audit.page(chain, last, 5).await.unwrap(), []);
        assert_eq!(audit.head(chain).await.unwrap(), Some((last, all.last().unwrap().hash)));
        assert_eq!(audit.chains().await.unwrap(), [chain, Uuid::from_u128(2)]);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_batch_is_appended_whole_or_not_at_all() {
    on_both(async |location| {
        let store = store_at(location).await;
        let audit = store.audit();
        append(&store, &rows(1, 5..=5)).await.unwrap();
        for batch in [rows(1, 1..=5), rows(1, 2..=5)] {
            let error = append(&store, &batch).await.unwrap_err();
            assert!(matches!(error, StoreError::Database { .. }), "{error}");
        }
        assert_eq!(audit.page(Uuid::from_u128(1), 0, 10).await.unwrap(), rows(1, 5..=5));
        append(&store, &rows(1, 1..=4)).await.unwrap();
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn many_writers_and_readers_do_not_disturb_each_other() {
    on_both(async |location| {
        let store = store_at(location.clone()).await;
        let other_process = store_at(location).await;
        let writers = (1..=16).map(|chain| {
            let store = if chain % 2 == 0 { &store } else { &other_process };
            async move {
                for start in (1..=100).step_by(10) {
                    append(store, &rows(chain, start..=start + 9)).await.unwrap();
                    store.audit().head(Uuid::from_u128(chain)).await.unwrap().unwrap();
                }
            }
        });
        futures_util::future::join_all(writers).await;
        for chain in 1..=16 {
            let page = store.audit().page(Uuid::from_u128(chain), 0, 1000).await.unwrap();
            assert_eq!(page, rows(chain, 1..=100));
        }
        store.close().await;
        other_process.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_was_appended_is_there_for_the_next_process() {
    on_both(async |location| {
        let store = store_at(location.clone()).await;
        append(&store, &rows(1, 1..=3)).await.unwrap();
        // Not closed: a killed process does not close either.
        std::mem::forget(store);
        let next = store_at(location).await;
        assert_eq!(next.audit().page(Uuid::from_u128(1), 0, 10).await.unwrap(), rows(1, 1..=3));
        next.close().await;
    })
    .await;
}
