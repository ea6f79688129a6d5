//! Queries over a store whose events are in tables, sealed segments and the live segment at once.

use super::*;
use crate::testing::{JANUARY, clock, event, fill, quiet};
use crate::upkeep::Care;
use crate::{EventStore, Options};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tidegate_core::clock::ManualClock;

/// Events 0 to 89: two segments as tables, two sealed and indexed, one sealed without an index, one live.
fn mixed(dir: &Path) -> EventStore {
    let clock = clock();
    let (store, _) = EventStore::open(dir, Options { segment_bytes: 1_000, ..quiet(&clock) }).unwrap();
    let round = |compact_after| {
        let care_clock = Arc::<ManualClock>::clone(&clock);
        Care { folder: Folder::at(dir), clock: care_clock, compact_after, retention: None }
            .round(&AtomicBool::new(false));
    };
    fill(&store, 0..20);
    fill(&store, 20..40);
    round(Some(Duration::ZERO));
    fill(&store, 40..50);
    fill(&store, 50..60);
    round(None);
    fill(&store, 60..80);
    fill(&store, 80..81);
    store.close();
    let big = Options { segment_bytes: 1 << 20, ..quiet(&clock) };
    drop(store);
    let (store, _) = EventStore::open(dir, big).unwrap();
    fill(&store, 81..90);
    store
}

fn numbers(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.unix_ms - JANUARY).collect()
}

#[test]
fn each_event_is_found_by_its_id_wherever_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let _store = mixed(dir.path());
    let reader = EventReader::open(dir.path()).unwrap();
    for n in 0..90 {
        assert_eq!(reader.get(event(n).id).unwrap(), Some(event(n)), "{n}");
    }
    assert_eq!(reader.get(event(90).id).unwrap(), None);
    assert_eq!(reader.get(InferenceId::from_parts(JANUARY + 5, 99, 99)).unwrap(), None);
}

#[test]
fn episodes_are_found_whole() {
    let dir = tempfile::tempdir().unwrap();
    let _store = mixed(dir.path());
    let reader = EventReader::open(dir.path()).unwrap();
    for episode in 0..10 {
        let found = reader.by_episode(&format!("episode-{episode}")).unwrap();
        assert_eq!(numbers(&found), [9 * episode, 9 * episode + 3, 9 * episode + 6]);
    }
    assert!(reader.by_episode("episode-x").unwrap().is_empty());
}

#[test]
fn filters_agree_with_a_plain_search() {
    let dir = tempfile::tempdir().unwrap();
    let _store = mixed(dir.path());
    let reader = EventReader::open(dir.path()).unwrap();
    let all: Vec<Event> = (0..90).map(event).collect();
    let route = Some("org/route:1".parse().unwrap());
    for filter in [
        Filter::default(),
        Filter { route: route.clone(), ..Filter::default() },
        Filter { since_ms: Some(JANUARY + 33), until_ms: Some(JANUARY + 71), ..Filter::default() },
        Filter { outcome: Some(OutcomeClass::Cancelled), ..Filter::default() },
        Filter { since_ms: Some(JANUARY + 7), route, outcome: Some(OutcomeClass::Ok), ..Filter::default() },
        Filter { since_ms: Some(JANUARY + 86_400_000), ..Filter::default() },
    ] {
        let expected: Vec<Event> = all.iter().filter(|event| filter.passes(event)).cloned().collect();
        let found: Vec<Event> = reader.scan(filter.clone()).unwrap().map(Result::unwrap).collect();
        assert_eq!(found, expected, "{filter:?}");
        for limit in [0, 1, 7, 45, 1000] {
            let newest = reader.newest(&filter, limit).unwrap();
            assert_eq!(newest, expected[expected.len().saturating_sub(limit)..], "{limit} of {filter:?}");
        }
    }
}

#[test]
fn a_tail_brings_each_new_event_once_across_segments_and_tables() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let options = || Options { segment_bytes: 3_000, ..quiet(&clock) };
    let (store, _) = EventStore::open(dir.path(), options()).unwrap();
    fill(&store, 0..13);
    let reader = EventReader::open(dir.path()).unwrap();
    let (newest, mut tail) = reader.tail(Filter::default(), 5).unwrap();
    assert_eq!(numbers(&newest), [8, 9, 10, 11, 12]);
    assert!(tail.poll().unwrap().is_empty());
    let mut seen = Vec::new();
    let mut next = 13;
    for round in 0..12 {
        fill(&store, next..next + 3);
        next += 3;
        if round % 3 == 2 {
            let care_clock = Arc::<ManualClock>::clone(&clock);
            let care = Care {
                folder: Folder::at(dir.path()),
                clock: care_clock,
                compact_after: Some(Duration::ZERO),
                retention: None,
            };
            care.round(&AtomicBool::new(false));
        }
        if round % 2 == 1 {
            seen.extend(numbers(&tail.poll().unwrap()));
        }
    }
    assert_eq!(seen, (13..next).collect::<Vec<_>>());
}

#[test]
fn a_folder_without_a_store_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let fault = EventReader::open(dir.path()).unwrap_err();
    assert!(fault.to_string().starts_with("cannot list"), "{fault}");
}
