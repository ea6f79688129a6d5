//! Compaction, stopped after every step; retention; and readers beside both.

use super::*;
use crate::listing::Listing;
use crate::testing::{clock, event, fill, numbers, quiet};
use crate::upkeep::Care;
use crate::{EventReader, EventStore, Options};
use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type};
use std::time::Duration;
use tidegate_core::Clock;
use tidegate_core::clock::ManualClock;

static GO: AtomicBool = AtomicBool::new(false);

const SECOND: Duration = Duration::from_secs(1);

/// A folder with events 0 to `n` in sealed segments of ten, and an empty live one.
fn sealed(dir: &std::path::Path, n: u64) -> Folder {
    let clock = clock();
    let (store, _) = EventStore::open(dir, Options { segment_age: SECOND, ..quiet(&clock) }).unwrap();
    for start in (0..n).step_by(10) {
        fill(&store, start..(start + 10).min(n));
        clock.advance(SECOND);
        store.flush();
    }
    Folder::at(dir)
}

fn care(folder: &Folder, clock: &std::sync::Arc<ManualClock>, retention: Option<Duration>) -> Care {
    let clock = std::sync::Arc::<ManualClock>::clone(clock);
    Care { folder: folder.clone(), clock, compact_after: Some(Duration::ZERO), retention }
}

fn first_segment(folder: &Folder) -> Segment {
    Listing::of(folder).unwrap().segments().next().unwrap().clone()
}

#[test]
fn a_crash_after_any_step_loses_nothing_and_doubles_nothing() {
    let whole: Vec<u64> = (0..40).collect();
    for step in 0..6 {
        let dir = tempfile::tempdir().unwrap();
        let folder = sealed(dir.path(), 40);
        let segment = first_segment(&folder);
        match step {
            0 => assert_eq!(write_tables(&folder, &segment, &AtomicBool::new(true)).unwrap(), None),
            1 => drop(write_tables(&folder, &segment, &GO).unwrap()),
            2 => write_tables(&folder, &segment, &GO).unwrap().unwrap().write(&folder).unwrap(),
            3 => {
                write_tables(&folder, &segment, &GO).unwrap().unwrap().write(&folder).unwrap();
                remove_if_there(&folder.segment(1)).unwrap();
            }
            4 => compact(&folder, &segment, &GO).unwrap(),
            _ => std::fs::write(folder.manifests().join("0000000001.json.part"), "{").unwrap(),
        }
        assert_eq!(numbers(dir.path()), whole, "after step {step}");
        let (store, recovery) = EventStore::open(dir.path(), quiet(&clock())).unwrap();
        assert_eq!(recovery.lost, Some(0));
        drop(store);
        assert_eq!(numbers(dir.path()), whole, "after step {step} and a start");
        care(&folder, &clock(), None).round(&GO);
        assert_eq!(numbers(dir.path()), whole, "after step {step} and a round");
        assert_eq!(folder.segment_numbers().unwrap().len(), 1, "step {step}");
    }
}

#[test]
fn readers_beside_a_compaction_see_each_event_once() {
    let dir = tempfile::tempdir().unwrap();
    let folder = sealed(dir.path(), 300);
    let whole: Vec<u64> = (0..300).collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut rounds = 0;
                    while !done.load(Ordering::Relaxed) || rounds == 0 {
                        assert_eq!(numbers(dir.path()), whole);
                        let reader = EventReader::open(dir.path()).unwrap();
                        assert_eq!(reader.get(event(150).id).unwrap(), Some(event(150)));
                        rounds += 1;
                    }
                })
            })
            .collect();
        care(&folder, &clock(), None).round(&GO);
        done.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    assert_eq!(folder.manifest_numbers().unwrap().len(), 30);
    assert_eq!(numbers(dir.path()), whole);
}

#[test]
fn a_store_that_starts_after_compaction_goes_on_counting() {
    let dir = tempfile::tempdir().unwrap();
    let folder = sealed(dir.path(), 40);
    care(&folder, &clock(), None).round(&GO);
    // Even without its last, empty segment the log knows its end by the manifests.
    remove_segment(&folder, *folder.segment_numbers().unwrap().last().unwrap()).unwrap();
    let (store, recovery) = EventStore::open(dir.path(), quiet(&clock())).unwrap();
    assert_eq!(recovery.lost, Some(0));
    fill(&store, 40..50);
    assert_eq!(numbers(dir.path()), (0..50).collect::<Vec<_>>());
}

#[test]
fn tables_have_their_place_and_their_columns() {
    let dir = tempfile::tempdir().unwrap();
    let folder = sealed(dir.path(), 20);
    care(&folder, &clock(), None).round(&GO);
    let manifest = Manifest::read(&folder, 1).unwrap();
    let paths: Vec<_> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "tables/day=2026-01-31/route=__HIVE_DEFAULT_PARTITION__/0000000001.parquet",
            "tables/day=2026-01-31/route=org%2Froute%3A0/0000000001.parquet",
            "tables/day=2026-01-31/route=org%2Froute%3A1/0000000001.parquet",
        ]
    );
    let file = std::fs::File::open(dir.path().join(paths[2])).unwrap();
    let mut reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batch = reader.next().unwrap().unwrap();
    let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().value(0).to_owned();
    let number = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().value(0);
    let first = event(1);
    assert_eq!(
        (text("id"), text("api"), text("outcome")),
        (first.id.to_string(), "chat_completions".into(), "ok".into())
    );
    assert_eq!((text("route"), text("tenant"), text("key")), ("org/route:1".into(), "acme".into(), "k-1".into()));
    assert_eq!((number("unix_ms") as u64, number("status")), (first.unix_ms, 200));
    assert_eq!((number("prompt_tokens"), number("cached_tokens"), number("completion_tokens")), (10, 2, 20));
    assert_eq!(batch.column_by_name("cost_usd").unwrap().as_primitive::<Float64Type>().value(0), 0.000_25);
    assert!(!batch.column_by_name("stream").unwrap().as_boolean().value(0));
}

#[test]
fn days_past_their_retention_go_and_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let (store, _) = EventStore::open(dir.path(), Options { segment_age: SECOND, ..quiet(&clock) }).unwrap();
    const DAY: u64 = 86_400_000;
    fill(&store, (0..10).chain(DAY..DAY + 10));
    clock.advance(SECOND);
    fill(&store, 2 * DAY..2 * DAY + 10);
    clock.advance(SECOND);
    store.flush();
    let folder = Folder::at(dir.path());
    let week = Duration::from_secs(7 * 86_400);
    let care = care(&folder, &clock, Some(week));
    care.round(&GO);
    assert_eq!(numbers(dir.path()).len(), 30);

    clock.advance(week + Duration::from_secs(86_400 / 2) - 2 * SECOND - Duration::from_millis(1));
    care.round(&GO);
    assert_eq!(numbers(dir.path()).len(), 30, "a millisecond early");
    clock.advance(Duration::from_millis(1));
    assert_eq!(clock.unix_ms() % DAY, 0);
    care.round(&GO);
    assert_eq!(numbers(dir.path()).first(), Some(&DAY));
    clock.advance(Duration::from_secs(2 * 86_400));
    // What a crash between the manifests and the tables leaves goes too.
    std::fs::create_dir_all(folder.tables().join("day=2026-01-30/route=x")).unwrap();
    care.round(&GO);
    assert_eq!(numbers(dir.path()), Vec::<u64>::new());
    assert_eq!(folder.manifest_numbers().unwrap(), Vec::<u64>::new());
    assert_eq!(folder.days().unwrap(), []);
}

#[test]
fn a_damaged_frame_costs_itself_alone_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let folder = sealed(dir.path(), 20);
    let mut bytes = std::fs::read(folder.segment(1)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(folder.segment(1), bytes).unwrap();
    care(&folder, &clock(), None).round(&GO);
    assert_eq!(Manifest::read(&folder, 1).unwrap().damaged, 1);
    assert_eq!(numbers(dir.path()).len(), 19);
}
