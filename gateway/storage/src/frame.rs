//! The bytes of a segment: its head and its frames. Owns encoding and the check of one frame; reading files is `frames`.
//!
//! Head: magic (8), number (8), first sequence (8), made at, in Unix milliseconds (8), CRC-32 of these (4), zero (4).
//! Frame: length of the JSON (4), CRC-32 of all else (4), sequence (8), JSON. All numbers are little-endian.
//!
//! The sequence counts the frames of the whole log from 1. A frame that begins inside of another cannot be forged by what
//! callers send: JSON holds no zero byte, and a sequence below 2^56 has one.

use crate::encode;
use tidegate_core::Event;

/// Bytes before the first frame.
pub(crate) const SEGMENT_HEAD: usize = 40;
/// Bytes before the JSON of a frame.
pub(crate) const FRAME_HEAD: usize = 16;
/// No event is larger; a length beyond it is damage.
pub(crate) const MAX_JSON: usize = 256 << 20;

const MAGIC: [u8; 8] = *b"TGEVSEG1";

/// The head of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    pub(crate) number: u64,
    /// The sequence of its first frame. Frames of earlier segments from this one on are void.
    pub(crate) first_seq: u64,
    pub(crate) made_ms: u64,
}

impl SegmentHead {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEAD] {
        let mut out = [0; SEGMENT_HEAD];
        out[..8].copy_from_slice(&MAGIC);
        out[8..16].copy_from_slice(&self.number.to_le_bytes());
        out[16..24].copy_from_slice(&self.first_seq.to_le_bytes());
        out[24..32].copy_from_slice(&self.made_ms.to_le_bytes());
        let crc = crc32fast::hash(&out[..32]);
        out[32..36].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..SEGMENT_HEAD)?;
        if bytes[..8] != MAGIC || crc32fast::hash(&bytes[..32]) != u32_at(bytes, 32) {
            return None;
        }
        Some(Self { number: u64_at(bytes, 8), first_seq: u64_at(bytes, 16), made_ms: u64_at(bytes, 24) })
    }
}

/// The head of a frame, read and not yet believed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameHead {
    pub(crate) len: usize,
    crc: u32,
    pub(crate) seq: u64,
}

impl FrameHead {
    /// Reads the head at the start of `bytes`, which hold at least that.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let len = usize::try_from(u32_at(bytes, 0)).unwrap_or(usize::MAX);
        Self { len, crc: u32_at(bytes, 4), seq: u64_at(bytes, 8) }
    }

    /// Whether `frame`, head and JSON, is what was written.
    pub(crate) fn fits(&self, frame: &[u8]) -> bool {
        frame.len() == FRAME_HEAD + self.len && checksum(frame) == self.crc
    }
}

/// Appends the frame of an event; leaves `out` as it was where that fails.
pub(crate) fn push(out: &mut Vec<u8>, seq: u64, event: &Event) -> serde_json::Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEAD]);
    if let Err(fault) = encode::event(&mut *out, event) {
        out.truncate(start);
        return Err(fault);
    }
    let len = out.len() - start - FRAME_HEAD;
    let Some(len) = u32::try_from(len).ok().filter(|_| len <= MAX_JSON) else {
        out.truncate(start);
        return Err(serde::ser::Error::custom("the event is larger than a frame takes"));
    };
    let frame = &mut out[start..];
    frame[..4].copy_from_slice(&len.to_le_bytes());
    frame[8..16].copy_from_slice(&seq.to_le_bytes());
    let crc = checksum(frame);
    frame[4..8].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..4]);
    hasher.update(&frame[8..]);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut out = [0; 4];
    out.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(out)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut out = [0; 8];
    out.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::event;

    #[test]
    fn a_segment_head_survives_and_every_flipped_bit_shows() {
        let head = SegmentHead { number: 7, first_seq: 99, made_ms: 1_700_000_000_000 };
        let bytes = head.encode();
        assert_eq!(SegmentHead::decode(&bytes), Some(head));
        assert_eq!(SegmentHead::decode(&bytes[..SEGMENT_HEAD - 1]), None);
        for bit in 0..36 * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHead::decode(&bad), None, "bit {bit}");
        }
    }

    #[test]
    fn every_flipped_bit_of_a_frame_shows() {
        let mut bytes = Vec::new();
        push(&mut bytes, 5, &event(1)).unwrap();
        assert!(FrameHead::read(&bytes).fits(&bytes));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!FrameHead::read(&bad).fits(&bad), "bit {bit}");
        }
    }
}
