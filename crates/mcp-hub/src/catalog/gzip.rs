//! A list compressed once, whatever stands before it in each answer.

use std::io::Write as _;

use bytes::{BufMut as _, Bytes, BytesMut};
use crc32fast::Hasher;
use flate2::Compression;
use flate2::write::DeflateEncoder;

/// RFC 1952, section 2.3: deflate, no name, no time, an unknown system.
const MEMBER_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The tail of messages whose beginnings differ, as the blocks that end a
/// gzip member.
#[derive(Debug)]
pub(super) struct Deflated {
    blocks: Bytes,
    checksum: Hasher,
    length: usize,
}

impl Deflated {
    pub(super) fn new(tail: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::with_capacity(tail.len() / 4), Compression::default());
        // A vector takes all that is written to it.
        let blocks = encoder.write_all(tail).and_then(|()| encoder.finish()).unwrap_or_default();
        let mut checksum = Hasher::new();
        checksum.update(tail);
        Self { blocks: Bytes::from(blocks), checksum, length: tail.len() }
    }

    /// The whole member: `head`, stored as it is, before the tail. None when
    /// the head is too long for one block.
    pub(super) fn after(&self, head: &[u8]) -> Option<[Bytes; 3]> {
        let length = u16::try_from(head.len()).ok()?;
        let mut start = BytesMut::with_capacity(MEMBER_HEADER.len() + 5 + head.len());
        start.put_slice(&MEMBER_HEADER);
        // RFC 1951, section 3.2.4: a block that is stored and not the last.
        start.put_u8(0);
        start.put_u16_le(length);
        start.put_u16_le(!length);
        start.put_slice(head);
        let mut checksum = Hasher::new();
        checksum.update(head);
        checksum.combine(&self.checksum);
        let mut trailer = BytesMut::with_capacity(8);
        trailer.put_u32_le(checksum.finalize());
        // Modulo 2^32, as RFC 1952 has it.
        #[expect(clippy::cast_possible_truncation, reason = "the format wants the low 32 bits")]
        trailer.put_u32_le((head.len() + self.length) as u32);
        Some([start.freeze(), self.blocks.clone(), trailer.freeze()])
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn head_and_tail_are_read_back_as_one() {
        let tail = r#"{"name":"a","description":"the same words, the same words"},"#.repeat(2_000);
        let deflated = Deflated::new(tail.as_bytes());
        for head in ["", "x", r#"{"jsonrpc":"2.0","id":7,"result":{"tools":["#, &"y".repeat(65_535)] {
            let member = deflated.after(head.as_bytes()).unwrap().concat();
            let mut read = String::new();
            GzDecoder::new(member.as_slice()).read_to_string(&mut read).unwrap();
            assert_eq!(read, [head, &tail].concat());
            assert!(member.len() < head.len() + tail.len() / 20, "{}", member.len());
        }
        assert!(deflated.after("y".repeat(65_536).as_bytes()).is_none());
    }
}
