//! Adapters that are loaded and unloaded while calls wear them; more of them than there is room for.

use crate::adapter::testing::{Made, base};
use crate::adapter::{Adapter, AdapterFault, AdapterHandle, AdapterStore, Prepared};
use crate::sample::SplitMix;
use std::sync::Weak;
use tidegate_core::port::adapters::{AdapterFiles, AdapterState, Expected};

/// What calls ask for.
const NAMES: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
/// What a name may mean: so many sets of numbers.
const KINDS: u64 = 12;
/// Of how many there is room.
const ROOM: usize = 7;

pub(super) struct Wardrobe {
    folder: tempfile::TempDir,
    store: AdapterStore,
    /// Everything that was ever worn.
    seen: Vec<Weak<Adapter>>,
    pub(super) counts: Counts,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) loaded: usize,
    pub(super) unloaded: usize,
    /// Loads and calls for which there was no room, since calls wore all of it.
    pub(super) crowded: usize,
    pub(super) worn: usize,
    /// Most generations that left while calls wore them, at once.
    pub(super) draining: usize,
}

impl Wardrobe {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for kind in 0..KINDS {
            Made::of(&["q_proj"], 4, kind as u32 + 1).write(&folder.path().join(kind.to_string()));
        }
        let files = AdapterFiles::in_folder(&folder.path().join("0"));
        let one = Adapter::read(&files, &base(), 1 << 20).unwrap().bytes();
        let store = AdapterStore::new(base(), one * ROOM + one / 2);
        Self { folder, store, seen: Vec::new(), counts: Counts::default() }
    }

    fn made(&self, kind: u64) -> Prepared {
        let files = AdapterFiles::in_folder(&self.folder.path().join(kind.to_string()));
        self.store.prepare(files, "made up").unwrap()
    }

    /// Has a name mean something else, or nothing.
    pub(super) fn change(&mut self, numbers: &mut SplitMix) {
        let name = NAMES[(numbers.next() % 9) as usize];
        if numbers.next().is_multiple_of(4) {
            match self.store.unload(name, &Expected::Anything) {
                Ok(_) => self.counts.unloaded += 1,
                Err(AdapterFault::Unknown { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        } else {
            match self.store.load(name, self.made(numbers.next() % KINDS), &Expected::Anything) {
                Ok(_) => self.counts.loaded += 1,
                Err(AdapterFault::NoRoom { .. }) => self.counts.crowded += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }

    /// What a call wears: three in four want an adapter, and get it where its name means any.
    pub(super) fn take(&mut self, numbers: &mut SplitMix) -> Option<AdapterHandle> {
        let name = NAMES.get((numbers.next() % 12) as usize)?;
        match self.store.fetch(name) {
            Ok(handle) => {
                self.counts.worn += 1;
                self.seen.push(std::sync::Arc::downgrade(handle.adapter()));
                Some(handle)
            }
            Err(AdapterFault::NoRoom { .. }) => {
                self.counts.crowded += 1;
                None
            }
            Err(AdapterFault::Unknown { .. }) => None,
            Err(other) => panic!("{other}"),
        }
    }

    /// Looks whether all is within bounds.
    pub(super) fn look(&mut self) {
        let totals = self.store.totals();
        assert!(totals.used <= totals.budget, "{totals:?}");
        let draining = self.store.list().iter().filter(|one| one.state == AdapterState::Draining).count();
        self.counts.draining = self.counts.draining.max(draining);
        self.seen.retain(|adapter| adapter.strong_count() > 0);
    }

    /// Nobody wears anything any more: what is left are the names, and without them nothing.
    pub(super) fn is_put_away(&mut self) {
        let listed = self.store.list();
        assert!(listed.iter().all(|one| one.active == 0 && one.state != AdapterState::Draining), "{listed:?}");
        for name in NAMES {
            // Not every name means something by now.
            drop(self.store.unload(name, &Expected::Anything));
        }
        assert_eq!((self.store.list(), self.store.totals().used), (Vec::new(), 0));
        let held = self.seen.iter().filter(|adapter| adapter.strong_count() > 0).count();
        assert_eq!(held, 0, "somebody holds adapters that no call wears");
    }

    /// How often one was read again that had made room for others.
    pub(super) fn evictions(&self) -> u64 {
        self.store.totals().evictions
    }
}
