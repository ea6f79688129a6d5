//! Generations, drains and room, with adapters made up on the spot.

use super::*;
use crate::adapter::testing::{Made, base};

struct Bench {
    folder: tempfile::TempDir,
    store: AdapterStore,
}

impl Bench {
    /// A store with room for as many of the adapters that `write` makes.
    fn new(room: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let probe = AdapterStore::new(base(), usize::MAX / 4);
        Made::of(&["q_proj"], 4, 1).write(&folder.path().join("probe"));
        let one = probe.prepare(AdapterFiles::in_folder(&folder.path().join("probe")), "").unwrap().adapter.bytes();
        Self { folder, store: AdapterStore::new(base(), one * room + one / 2) }
    }

    /// A folder with the adapter of a seed.
    fn write(&self, seed: u32) -> AdapterFiles {
        let path = self.folder.path().join(seed.to_string());
        Made::of(&["q_proj"], 4, seed).write(&path);
        AdapterFiles::in_folder(&path)
    }

    fn load(&self, name: &str, seed: u32, expected: &Expected) -> Result<AdapterStatus, AdapterFault> {
        let ready = self.store.prepare(self.write(seed), &format!("seed {seed}")).unwrap();
        self.store.load(name, ready, expected)
    }

    fn state(&self, name: &str) -> Option<AdapterState> {
        self.store.status(name).map(|status| status.state)
    }

    fn take(&self, name: &str) -> AdapterHandle {
        match self.store.take(name).unwrap() {
            Taken::Ready(handle) => handle,
            Taken::Cold => panic!("{name} is not in memory"),
        }
    }
}

#[test]
fn a_change_is_made_only_where_what_is_expected_is_in_force() {
    let bench = Bench::new(3);
    let first = bench.load("a", 1, &Expected::Nothing).unwrap();
    let refused = bench.load("a", 2, &Expected::Nothing).unwrap_err();
    assert!(matches!(&refused, AdapterFault::Conflict { found: Some(found), .. } if *found == first.generation));
    let second = bench.load("a", 2, &Expected::Generation(first.generation.clone())).unwrap();
    assert_ne!(first.generation, second.generation);
    assert!(bench.load("a", 3, &Expected::Generation(first.generation.clone())).is_err());
    assert!(matches!(
        bench.load("b", 3, &Expected::Generation("x".into())),
        Err(AdapterFault::Conflict { found: None, .. })
    ));
    assert!(bench.store.unload("a", &Expected::Generation(first.generation)).is_err());
    assert_eq!(bench.store.unload("a", &Expected::Anything).unwrap(), second.generation);
    let gone = bench.store.unload("a", &Expected::Anything).unwrap_err().to_string();
    assert_eq!(gone, "this model has no adapter `a`; it has none");
    assert!(matches!(bench.store.take("a"), Err(AdapterFault::Unknown { .. })));
}

#[test]
fn requests_under_way_keep_their_generation_and_it_drains() {
    let bench = Bench::new(3);
    let first = bench.load("a", 1, &Expected::Anything).unwrap().generation;
    let old = bench.take("a");
    let copy = old.clone();
    bench.load("a", 2, &Expected::Anything).unwrap();
    assert_eq!(old.generation(), first);
    assert_ne!(bench.take("a").generation(), first);
    let leaving = |bench: &Bench| -> Vec<(AdapterState, usize)> {
        bench.store.list().iter().filter(|s| s.generation == first).map(|s| (s.state, s.active)).collect()
    };
    assert_eq!(leaving(&bench), [(AdapterState::Draining, 1)], "copies are one request");
    drop(old);
    assert_eq!(leaving(&bench).len(), 1);
    drop(copy);
    assert_eq!(leaving(&bench), []);
    let one = bench.store.status("a").unwrap().bytes;
    assert_eq!(bench.store.totals().used, one, "nothing of the old one is left");
}

#[test]
fn the_least_recently_used_goes_to_disk_and_comes_back() {
    let bench = Bench::new(2);
    for (name, seed) in [("a", 1), ("b", 2)] {
        bench.load(name, seed, &Expected::Nothing).unwrap();
    }
    drop(bench.take("a"));
    bench.load("c", 3, &Expected::Nothing).unwrap();
    let states = ["a", "b", "c"].map(|name| bench.state(name).unwrap());
    assert_eq!(states, [AdapterState::Resident, AdapterState::Disk, AdapterState::Resident]);
    assert!(matches!(bench.store.take("b"), Ok(Taken::Cold)));
    let generation = bench.store.status("b").unwrap().generation;
    assert_eq!(bench.store.fetch("b").unwrap().generation(), generation);
    assert_eq!(bench.state("a"), Some(AdapterState::Disk));
    assert_eq!((bench.store.totals().evictions, bench.store.totals().loads), (2, 4));
    let totals = bench.store.totals();
    assert!(totals.used <= totals.budget);
}

#[test]
fn what_is_in_use_is_never_sent_away_and_too_much_is_said() {
    let bench = Bench::new(2);
    bench.load("a", 1, &Expected::Nothing).unwrap();
    bench.load("b", 2, &Expected::Nothing).unwrap();
    let (a, b) = (bench.take("a"), bench.take("b"));
    assert!(matches!(bench.load("c", 3, &Expected::Nothing), Err(AdapterFault::NoRoom { .. })));
    assert!(matches!(bench.load("a", 3, &Expected::Anything), Err(AdapterFault::NoRoom { .. })));
    assert_eq!(bench.store.status("a").unwrap().generation, a.generation(), "a refused change changes nothing");
    drop(b);
    bench.load("c", 3, &Expected::Nothing).unwrap();
    assert_eq!(bench.state("b"), Some(AdapterState::Disk));
}

#[test]
fn files_that_changed_are_not_taken_for_the_same_generation() {
    let bench = Bench::new(1);
    bench.load("a", 1, &Expected::Nothing).unwrap();
    bench.load("b", 2, &Expected::Nothing).unwrap();
    assert_eq!(bench.state("a"), Some(AdapterState::Disk));
    Made::of(&["q_proj"], 4, 9).write(&bench.folder.path().join("1"));
    assert!(matches!(bench.store.fetch("a"), Err(AdapterFault::Changed { .. })));
    std::fs::remove_dir_all(bench.folder.path().join("1")).unwrap();
    assert!(matches!(bench.store.fetch("a"), Err(AdapterFault::Read { .. })));
}

#[test]
fn the_same_numbers_again_are_the_same_generation() {
    let bench = Bench::new(1);
    let first = bench.load("a", 1, &Expected::Nothing).unwrap();
    let held = bench.take("a");
    let again = bench.load("a", 1, &Expected::Generation(first.generation.clone())).unwrap();
    assert_eq!((again.generation, again.active, again.requests), (first.generation, 1, 1));
    drop(held);
    assert_eq!(bench.store.list().len(), 1);
}
