//! The memory of packed weights: a matrix's own while a model loads, then all of a model's, or an adapter's, in one mapping
//! of huge pages, since a step reads every byte once and pays for each page that it enters. All of it is mapped and not the
//! allocator's, which would keep what loading needed but for a moment.

use crate::pages::HugePages;
use memmap2::MmapMut;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a cache line.
pub(crate) const LINE: usize = 64;

/// Packed bytes that begin on a cache line.
pub(crate) enum Packed {
    Own(MmapMut),
    /// Where the system maps nothing: a little more than is needed, so that a line begins within; the bytes that count.
    Spare(Vec<u8>, Range<usize>),
    Shared(Arc<MmapMut>, Range<usize>),
}

impl Packed {
    /// Zeroes, and what `fill` makes of them.
    pub(crate) fn new(len: usize, fill: impl FnOnce(&mut [u8])) -> Self {
        if let Some(mut map) = MmapMut::map_anon(len).ok().filter(|_| len > 0) {
            fill(&mut map);
            return Self::Own(map);
        }
        let mut bytes = vec![0; len + LINE];
        let start = bytes.as_ptr().align_offset(LINE).min(LINE);
        fill(&mut bytes[start..start + len]);
        Self::Spare(bytes, start..start + len)
    }

    pub(crate) fn get(&self) -> &[u8] {
        match self {
            Self::Own(map) => map,
            Self::Spare(bytes, range) => &bytes[range.clone()],
            Self::Shared(map, range) => &map[range.clone()],
        }
    }

    /// Moves all into one mapping, each freed as soon as it is copied. Where the system gives no such memory, all stays as
    /// it is: only speed is lost.
    pub(crate) fn gather(mut all: Vec<&mut Self>) {
        let total = all.iter().map(|packed| packed.get().len().next_multiple_of(LINE)).sum();
        let Some(mut map) = MmapMut::map_anon(total).ok().filter(|_| total > 0) else { return };
        let _allowed = HugePages::allow();
        #[cfg(target_os = "linux")]
        if let Err(error) = map.advise(memmap2::Advice::HugePage) {
            tracing::debug!(%error, "the system has no huge pages for the weights");
        }
        let mut ranges = Vec::with_capacity(all.len());
        let mut start = 0;
        for packed in &mut all {
            let bytes = packed.get();
            let range = start..start + bytes.len();
            map[range.clone()].copy_from_slice(bytes);
            start = range.end.next_multiple_of(LINE);
            **packed = Self::Spare(Vec::new(), 0..0);
            ranges.push(range);
        }
        let map = Arc::new(map);
        for (packed, range) in all.into_iter().zip(ranges) {
            *packed = Self::Shared(Arc::clone(&map), range);
        }
    }

    /// One memory of all of them, and where in it each begins, on a cache line.
    pub(crate) fn joined(mut all: Vec<Self>) -> (Self, Vec<usize>) {
        let begins = all.iter().scan(0, |next, packed| {
            let begin = *next;
            *next += packed.get().len().next_multiple_of(LINE);
            Some(begin)
        });
        let begins: Vec<usize> = begins.collect();
        Self::gather(all.iter_mut().collect());
        let shared = match all.first() {
            Some(Self::Shared(map, _)) => Some(Self::Shared(Arc::clone(map), 0..map.len())),
            _ => None,
        };
        let apart = || {
            let total = all.iter().map(|packed| packed.get().len().next_multiple_of(LINE)).sum();
            Self::new(total, |to| {
                for (packed, begin) in all.iter().zip(&begins) {
                    to[*begin..][..packed.get().len()].copy_from_slice(packed.get());
                }
            })
        };
        (shared.unwrap_or_else(apart), begins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_weights_begin_on_a_cache_line_and_survive_being_gathered() {
        let mut all: Vec<Packed> =
            [1usize, 320, 4096, 0].iter().map(|len| Packed::new(*len, |bytes| bytes.fill(*len as u8 + 1))).collect();
        for _ in 0..2 {
            for (packed, len) in all.iter().zip([1, 320, 4096, 0]) {
                assert_eq!(packed.get(), vec![len as u8 + 1; len]);
                assert!(len == 0 || packed.get().as_ptr().align_offset(LINE) == 0);
            }
            Packed::gather(all.iter_mut().collect());
        }
        assert!(all.iter().all(|packed| matches!(packed, Packed::Shared(..))));
        Packed::gather(Vec::new());
    }

    #[test]
    fn what_is_joined_is_found_where_it_begins() {
        let lens = [70usize, 0, 64, 1];
        let all = lens.iter().map(|len| Packed::new(*len, |bytes| bytes.fill(*len as u8))).collect();
        let (one, begins) = Packed::joined(all);
        assert_eq!(begins, [0, 128, 128, 192]);
        for (begin, len) in begins.into_iter().zip(lens) {
            assert_eq!(&one.get()[begin..][..len], vec![len as u8; len]);
        }
        assert!(Packed::joined(Vec::new()).0.get().is_empty());
    }
}
