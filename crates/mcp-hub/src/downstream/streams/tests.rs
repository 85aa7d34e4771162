use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::timeout;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);
const NOON: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn streams(session: u128, version: &str) -> Streams {
    Streams::new(Uuid::from_u128(session), version, NOON, &Store::new(1 << 20))
}

/// Data and id of an event.
fn read(frame: &Bytes) -> (String, String) {
    let mut reader = trunkline_web::sse::Reader::new(1 << 20);
    reader.push_bytes(frame.clone()).unwrap();
    let event = reader.next().unwrap();
    (String::from_utf8(event.data.to_vec()).unwrap(), event.id.unwrap())
}

async fn next(reader: &mut Reader) -> (String, String) {
    read(&timeout(PATIENCE, reader.next()).await.expect("an event").expect("not the end"))
}

fn resumed(streams: &Streams, last: &str) -> Reader {
    match streams.resume(last, &Tasks::new()) {
        Ok(Resumed::Answer(reader)) => reader,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_came_after_the_connection_broke_is_replayed_and_the_rest_follows() {
    let streams = streams(7, "2025-11-25");
    let (sender, messages) = mpsc::channel(4);
    let (priming, mut first) = streams.open(messages, &Tasks::new());
    let (data, primed) = read(&priming.expect("an event to come back to"));
    assert_eq!(data, "");
    sender.send("1".into()).await.unwrap();
    let (_, last) = next(&mut first).await;
    drop(first);
    // More than the queue takes: nobody waits for a client that is away.
    for number in 2..20 {
        timeout(PATIENCE, sender.send(number.to_string().into())).await.expect("no waiting").unwrap();
    }
    let mut second = resumed(&streams, &last);
    for number in 2..20 {
        assert_eq!(next(&mut second).await.0, number.to_string());
    }
    sender.send("20".into()).await.unwrap();
    drop(sender);
    let (data, very_last) = next(&mut second).await;
    assert_eq!(data, "20");
    assert!(second.next().await.is_none());
    let mut again = resumed(&streams, &primed);
    assert_eq!(next(&mut again).await.0, "1", "also what was sent and perhaps not received");
    assert_eq!(streams.resume(&very_last, &Tasks::new()).unwrap_err(), NotResumed::Ended);
}

#[tokio::test]
async fn a_newer_connection_takes_over() {
    let streams = streams(7, "2025-11-25");
    let (sender, messages) = mpsc::channel(4);
    let (priming, mut first) = streams.open(messages, &Tasks::new());
    let waiting = tokio::spawn(async move { first.next().await });
    tokio::task::yield_now().await;
    let mut second = resumed(&streams, &read(&priming.unwrap()).1);
    assert!(timeout(PATIENCE, waiting).await.expect("it ends").unwrap().is_none());
    sender.send("x".into()).await.unwrap();
    assert_eq!(next(&mut second).await.0, "x");
    drop(second);
    assert!(!sender.is_closed(), "the answer is awaited all the same");
}

#[tokio::test]
async fn older_clients_get_ids_and_no_empty_event() {
    let streams = streams(7, "2025-06-18");
    let (sender, messages) = mpsc::channel(4);
    let (priming, mut reader) = streams.open(messages, &Tasks::new());
    assert!(priming.is_none());
    sender.send("x".into()).await.unwrap();
    let (_, id) = next(&mut reader).await;
    assert!(resumed(&streams, &id).next().now_or_never().is_none());
}

#[tokio::test]
async fn an_id_that_is_not_of_the_session_is_refused() {
    let ours = streams(7, "2025-11-25");
    let (_sender, messages) = mpsc::channel(4);
    let (priming, _reader) = ours.open(messages, &Tasks::new());
    let (_, id) = read(&priming.unwrap());
    let theirs = streams(8, "2025-11-25");
    let (_others, messages) = mpsc::channel(4);
    let _open = theirs.open(messages, &Tasks::new());
    let refused = |streams: &Streams, id: &str| streams.resume(id, &Tasks::new()).unwrap_err();
    assert_eq!(refused(&theirs, &id), NotResumed::NotOfSession, "both have a stream of that number");
    let cut = &id[..id.len() - 2];
    let forged = [cut, "", "1", "....", &id.replace(".0", ".00"), &id.replace(".0", ".-1")];
    for forged in
        forged.into_iter().chain([&*format!("{id}.0"), &*format!("{id} "), "7.1.1.99999999999999999999"])
    {
        assert_eq!(refused(&ours, forged), NotResumed::NotOfSession, "{forged:?}");
    }
    let never = |stream: u64, event: u64| format!("{}{stream}.{event}", ours.prefix);
    assert_eq!(refused(&ours, &never(1, 5)), NotResumed::NotKept);
    assert_eq!(refused(&ours, &never(9, 0)), NotResumed::NotKept);
    assert_eq!(refused(&ours, &never(1, u64::MAX)), NotResumed::NotOfSession);
    // The same session, in a process that was started anew.
    let later = Streams::new(Uuid::from_u128(7), "2025-11-25", NOON.plus(PATIENCE), &Store::new(1 << 20));
    assert_eq!(refused(&later, &id), NotResumed::NotKept);
    assert!(matches!(later.resume(&never(0, 3), &Tasks::new()), Ok(Resumed::OwnWithGap)));
}

#[tokio::test]
async fn a_stream_that_nobody_reads_is_kept_for_a_while() {
    let streams = streams(7, "2025-11-25");
    let (sender, messages) = mpsc::channel(4);
    let (priming, reader) = streams.open(messages, &Tasks::new());
    let (_, id) = read(&priming.unwrap());
    let after = |minutes: u64| streams.sweep(NOON.plus(Duration::from_mins(minutes)), minutes < 66);
    let (number, _) = streams.own().record(b"{}");
    after(0);
    after(60);
    drop(reader);
    after(60);
    after(64);
    drop(resumed(&streams, &id));
    after(66);
    after(67);
    assert!(matches!(streams.own().event(number), Event::There(_)), "it was read a moment ago");
    after(71);
    assert_eq!(streams.own().event(number), Event::Gone);
    assert_eq!(streams.resume(&id, &Tasks::new()).unwrap_err(), NotResumed::NotKept);
    assert!(!sender.is_closed(), "the call goes on");
}

#[tokio::test]
async fn a_session_keeps_so_many_streams() {
    let streams = streams(7, "2025-11-25");
    let mut ids = Vec::new();
    for _ in 0..=MOST_STREAMS {
        let (_, messages) = mpsc::channel(1);
        let (priming, _) = streams.open(messages, &Tasks::new());
        ids.push(read(&priming.unwrap()).1);
    }
    assert_eq!(streams.resume(&ids[0], &Tasks::new()).unwrap_err(), NotResumed::NotKept);
    assert!(streams.resume(&ids[1], &Tasks::new()).is_ok());
}
