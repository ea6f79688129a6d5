//! The two counts that must survive a killed process: records taken and records given up. Owns the mapped page.
//!
//! The page belongs to the file's page cache, so what was counted before a `kill -9` is there afterwards, at the price of
//! an atomic addition. It is not synced: after a power failure it may lag behind, and the next start then reports less.
//! This is the one module of the crate with `unsafe`.
#![expect(
    unsafe_code,
    reason = "atomics in a mapped page; the only way to count across a kill without a system call each"
)]

use crate::StoreFault;
use crate::folder::write_whole;
use memmap2::MmapMut;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

const PAGE: usize = 4096;
const MAGIC: [u8; 8] = *b"TGEVCNT1";
const TAKEN_AT: usize = 8;
const FAILED_AT: usize = 16;

/// The counts in their page.
#[derive(Debug)]
pub(crate) struct Counters {
    page: MmapMut,
}

impl Counters {
    /// Maps the counts of `path`, made afresh where there are none. Says whether they were there.
    pub(crate) fn open(path: &Path) -> Result<(Self, bool), StoreFault> {
        let known = std::fs::read(path).is_ok_and(|bytes| bytes.len() == PAGE && bytes.starts_with(&MAGIC));
        if !known {
            // Written out and not merely sized: a hole could not be filled on a full disk, and the store to it would
            // then end the process.
            let mut page = [0; PAGE];
            page[..MAGIC.len()].copy_from_slice(&MAGIC);
            write_whole(path, &page)?;
        }
        let file = File::options().read(true).write(true).open(path).map_err(StoreFault::io("open", path))?;
        // SAFETY: the store's lock is held, so no other writer of this program truncates or maps the file; it is accessed
        // through atomics alone.
        let page = unsafe { MmapMut::map_mut(&file) }.map_err(StoreFault::io("map", path))?;
        if page.len() < PAGE {
            return Err(StoreFault::damaged(path, "it is shorter than a page"));
        }
        Ok((Self { page }, known))
    }

    fn at(&self, offset: usize) -> &AtomicU64 {
        debug_assert!(offset.is_multiple_of(8) && offset + 8 <= PAGE, "only the two constants above are passed");
        // SAFETY: the mapping is at least PAGE long (checked in `open`) and page-aligned, `offset` is one of the constants
        // above, so the pointer is in bounds and aligned; it is only ever accessed as this atomic, for as long as `self`.
        unsafe { AtomicU64::from_ptr(self.page.as_ptr().add(offset).cast_mut().cast()) }
    }

    /// Counts one record taken into the queue.
    pub(crate) fn take(&self) {
        self.at(TAKEN_AT).fetch_add(1, Ordering::Relaxed);
    }

    /// Counts `n` taken records that were given up, and reported as dropped.
    pub(crate) fn fail(&self, n: u64) {
        self.at(FAILED_AT).fetch_add(n, Ordering::Relaxed);
    }

    /// Records taken and not given up.
    pub(crate) fn due(&self) -> u64 {
        self.at(TAKEN_AT).load(Ordering::Relaxed).saturating_sub(self.at(FAILED_AT).load(Ordering::Relaxed))
    }

    /// Starts over from the records that are in the log.
    pub(crate) fn rebase(&self, kept: u64) {
        self.at(FAILED_AT).store(0, Ordering::Relaxed);
        self.at(TAKEN_AT).store(kept, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same counts without a mapping.
    #[derive(Default)]
    struct Twin {
        taken: u64,
        failed: u64,
    }

    proptest! {
        #[test]
        fn the_page_counts_as_plain_numbers_do(steps in prop::collection::vec((0u8..3, 0u64..1000), 0..40)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("accepted");
            let mut twin = Twin::default();
            for chunk in steps.chunks(7) {
                let (page, _) = Counters::open(&path).unwrap();
                for &(step, n) in chunk {
                    match step {
                        0 => { page.take(); twin.taken += 1; }
                        1 => { page.fail(n); twin.failed += n; }
                        _ => { page.rebase(n); twin = Twin { taken: n, failed: 0 }; }
                    }
                    prop_assert_eq!(page.due(), twin.taken.saturating_sub(twin.failed));
                }
            }
        }
    }

    #[test]
    fn what_is_no_page_of_counts_is_made_afresh_and_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accepted");
        assert!(!Counters::open(&path).unwrap().1);
        assert!(Counters::open(&path).unwrap().1);
        std::fs::write(&path, "short").unwrap();
        let (page, known) = Counters::open(&path).unwrap();
        assert!(!known);
        assert_eq!(page.due(), 0);
    }

    #[test]
    fn threads_count_exactly() {
        let dir = tempfile::tempdir().unwrap();
        let (page, _) = Counters::open(&dir.path().join("accepted")).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| page.take()));
            }
        });
        assert_eq!(page.due(), 40_000);
    }
}
