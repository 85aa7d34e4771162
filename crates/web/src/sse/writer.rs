//! Events become bytes.

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

/// One event. Line breaks in `data` become further `data` lines; in `name`
/// and `id`, which have one line each, they and NUL are left out, so that
/// neither can add a field.
pub fn event(name: Option<&str>, id: Option<&str>, data: &[u8]) -> Bytes {
    let fields = name.map_or(0, str::len) + id.map_or(0, str::len);
    let mut out = BytesMut::with_capacity(fields + data.len() + 32);
    if let Some(name) = name {
        put_field(&mut out, b"event: ", name);
    }
    if let Some(id) = id {
        put_field(&mut out, b"id: ", id);
    }
    put_data(&mut out, data);
    out.extend_from_slice(b"\n");
    out.freeze()
}

/// A comment, which readers skip: it keeps a quiet connection alive.
pub fn comment() -> Bytes {
    Bytes::from_static(b":\n\n")
}

fn put_field(out: &mut BytesMut, name: &[u8], value: &str) {
    out.extend_from_slice(name);
    for piece in value.split(['\r', '\n', '\0']) {
        out.extend_from_slice(piece.as_bytes());
    }
    out.extend_from_slice(b"\n");
}

fn put_data(out: &mut BytesMut, mut data: &[u8]) {
    loop {
        out.extend_from_slice(b"data: ");
        let Some(end) = memchr2(b'\r', b'\n', data) else {
            out.extend_from_slice(data);
            out.extend_from_slice(b"\n");
            return;
        };
        out.extend_from_slice(&data[..end]);
        out.extend_from_slice(b"\n");
        let break_length = if data[end..].starts_with(b"\r\n") { 2 } else { 1 };
        data = &data[end + break_length..];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sse::Reader;

    #[test]
    fn an_event_reads_as_the_specification_writes_it() {
        assert_eq!(event(None, None, b"{}"), "data: {}\n\n");
        assert_eq!(
            event(Some("endpoint"), Some("1"), b"a\r\nb"),
            "event: endpoint\nid: 1\ndata: a\ndata: b\n\n"
        );
        assert_eq!(event(None, Some("7"), b""), "id: 7\ndata: \n\n");
    }

    #[test]
    fn a_name_or_id_cannot_add_a_field() {
        assert_eq!(
            event(Some("a\ndata: x"), Some("1\r\n\r\n\0"), b"y"),
            "event: adata: x\nid: 1\ndata: y\n\n"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(data in "[a-z\r\n: ]{0,40}") {
            let mut reader = Reader::new(1000);
            reader.push_bytes(event(Some("e"), Some("i"), data.as_bytes())).expect("small");
            let read = reader.next().expect("one event");
            let expected = data.replace("\r\n", "\n").replace('\r', "\n");
            prop_assert_eq!(read.data, expected.into_bytes());
            prop_assert_eq!((read.event.as_deref(), read.id.as_deref()), (Some("e"), Some("i")));
            prop_assert_eq!(reader.next(), None);
        }
    }
}
