//! The index of a sealed segment: where the frame of an inference or of an episode begins. Owns the file beside the segment.
//!
//! Magic (8), number of ids (8), number of episodes (8); sorted pairs of id (16) and offset (8); sorted pairs of the
//! episode's hash (8) and offset (8); CRC-32 of all before (4). All numbers are little-endian.

use crate::StoreFault;
use crate::folder::{Folder, write_whole};
use crate::frame::FRAME_HEAD;
use crate::frames::Frames;
use crate::listing::Segment;
use serde::Deserialize;
use std::path::Path;
use tidegate_core::InferenceId;
use tidegate_core::digest::Digest;

const MAGIC: [u8; 8] = *b"TGEVIDX1";
const HEAD: usize = 24;

/// Offsets of frames, by what they are about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    ids: Vec<(u128, u64)>,
    episodes: Vec<(u64, u64)>,
}

/// The two fields that are indexed.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Keys<'a> {
    id: InferenceId,
    #[serde(default, borrow)]
    episode: Option<std::borrow::Cow<'a, str>>,
}

impl<'a> Keys<'a> {
    /// Reads them from an event. Both are among its first fields, so the rest is looked at only where there is an episode
    /// or the order is another.
    fn of(json: &'a [u8]) -> serde_json::Result<Self> {
        const EPISODE: &[u8] = br#","episode":""#;
        let start = json.strip_prefix(br#"{"id":""#).and_then(|rest| rest.split_first_chunk::<36>());
        let known = start.filter(|(_, rest)| rest.starts_with(br#"","unix_ms":"#)).and_then(|(id, rest)| {
            let early = rest.get(..rest.len().min(128))?;
            let has_episode = early.windows(EPISODE.len()).any(|window| window == EPISODE);
            std::str::from_utf8(id).ok().filter(|_| !has_episode)?.parse().ok()
        });
        match known {
            Some(id) => Ok(Self { id, episode: None }),
            None => serde_json::from_slice(json),
        }
    }
}

/// Indexes a sealed segment unless that is done.
pub(crate) fn build_if_missing(folder: &Folder, segment: &Segment) -> Result<(), StoreFault> {
    let path = folder.index(segment.head.number);
    if path.exists() {
        return Ok(());
    }
    let index = Index::of(&folder.segment(segment.head.number), segment.until_seq())?;
    write_whole(&path, &index.encode())
}

impl Index {
    fn of(path: &Path, until_seq: u64) -> Result<Self, StoreFault> {
        let mut frames = Frames::open(path, until_seq)?;
        let mut index = Self::default();
        // A frame takes a place whatever it holds, so a damaged head cannot ask for more than the file can have.
        let most = frames.len() / FRAME_HEAD as u64;
        let frames_there = until_seq.saturating_sub(frames.head().first_seq).min(most);
        index.ids.reserve_exact(usize::try_from(frames_there).unwrap_or(0));
        while let Some(frame) = frames.next()? {
            let keys = Keys::of(frame.json).map_err(|fault| StoreFault::damaged(path, fault))?;
            index.ids.push((keys.id.as_u128(), frame.offset));
            if let Some(episode) = keys.episode {
                index.episodes.push((hash(&episode), frame.offset));
            }
        }
        index.ids.sort_unstable();
        index.episodes.sort_unstable();
        Ok(index)
    }

    /// Reads the index at `path`; `None` where there is none, or it is damaged and the segment must be read instead.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        Self::decode(&std::fs::read(path).ok()?)
    }

    /// Where the frame of an inference begins.
    pub(crate) fn of_id(&self, id: InferenceId) -> Option<u64> {
        let at = self.ids.partition_point(|&(key, _)| key < id.as_u128());
        self.ids.get(at).filter(|(key, _)| *key == id.as_u128()).map(|&(_, offset)| offset)
    }

    /// Where the frames of an episode begin, and perhaps of others with its hash.
    pub(crate) fn of_episode(&self, episode: &str) -> impl Iterator<Item = u64> {
        let hash = hash(episode);
        let from = self.episodes.partition_point(|&(key, _)| key < hash);
        self.episodes[from..].iter().take_while(move |(key, _)| *key == hash).map(|&(_, offset)| offset)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD + self.ids.len() * 24 + self.episodes.len() * 16 + 4);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&(self.ids.len() as u64).to_le_bytes());
        out.extend_from_slice(&(self.episodes.len() as u64).to_le_bytes());
        for (id, offset) in &self.ids {
            out.extend_from_slice(&id.to_le_bytes());
            out.extend_from_slice(&offset.to_le_bytes());
        }
        for (hash, offset) in &self.episodes {
            out.extend_from_slice(&hash.to_le_bytes());
            out.extend_from_slice(&offset.to_le_bytes());
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (bytes, crc) = bytes.split_last_chunk::<4>()?;
        if !bytes.starts_with(&MAGIC) || crc32fast::hash(bytes) != u32::from_le_bytes(*crc) {
            return None;
        }
        let ids = usize::try_from(number(bytes, 8)?).ok()?;
        let episodes = usize::try_from(number(bytes, 16)?).ok()?;
        let (id_bytes, rest) = bytes.get(HEAD..)?.split_at_checked(ids.checked_mul(24)?)?;
        if rest.len() != episodes.checked_mul(16)? {
            return None;
        }
        Some(Self {
            ids: id_bytes.chunks_exact(24).filter_map(|c| Some((wide(c)?, number(c, 16)?))).collect(),
            episodes: rest.chunks_exact(16).filter_map(|c| Some((number(c, 0)?, number(c, 8)?))).collect(),
        })
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

fn wide(bytes: &[u8]) -> Option<u128> {
    bytes.first_chunk().map(|chunk| u128::from_le_bytes(*chunk))
}

/// Stable across builds, as it is stored.
fn hash(episode: &str) -> u64 {
    number(Digest::of(episode.as_bytes()).as_bytes(), 0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_a_parser_would() {
        for n in 0..50 {
            let mut event = crate::testing::event(n);
            event.client_request_id = Some(r#"","episode":"not this""#.into());
            if n == 1 {
                event.unix_ms = u64::MAX;
                event.episode = Some("late \"quoted\"".into());
            }
            let json = serde_json::to_vec(&event).unwrap();
            assert_eq!(Keys::of(&json).unwrap(), serde_json::from_slice::<Keys<'_>>(&json).unwrap());
            assert_eq!(Keys::of(&json).unwrap().episode.as_deref(), event.episode.as_deref());
        }
        assert!(Keys::of(br#"{"id":"no","unix_ms":1}"#).is_err());
    }

    #[test]
    fn an_index_survives_and_damage_shows() {
        let index =
            Index { ids: vec![(1, 40), (5, 90), (u128::MAX, 7)], episodes: vec![(hash("e"), 40), (hash("e"), 90)] };
        let bytes = index.encode();
        assert_eq!(Index::decode(&bytes).as_ref(), Some(&index));
        assert_eq!(index.of_id(InferenceId::from_u128(5)), Some(90));
        assert_eq!(index.of_id(InferenceId::from_u128(6)), None);
        assert_eq!(index.of_episode("e").collect::<Vec<_>>(), [40, 90]);
        assert_eq!(index.of_episode("f").count(), 0);
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Index::decode(&bad), None, "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert_eq!(Index::decode(&bytes[..len]), None);
        }
    }
}
