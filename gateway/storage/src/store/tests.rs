//! The store under threads, full queues, failing disks and kills.

use super::*;
use crate::testing::{FaultyDisk, clock, event, fill, numbers, quiet};
use crate::{EventReader, Filter};
use proptest::prelude::*;
use std::pin::pin;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll, Wake, Waker};

fn adds_up(stats: &Stats) -> bool {
    stats.accepted == stats.written + stats.dropped_total() + stats.queued
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn acknowledged(recorded: Recorded) -> tidegate_core::port::BoxFuture<'static, Result<(), Fault>> {
    match recorded {
        Recorded::Acknowledged(future) => future,
        other => panic!("not acknowledged but {other:?}"),
    }
}

fn with_ack() -> Options {
    Options { durability: Durability::Ack, ..quiet(&clock()) }
}

#[test]
fn what_is_recorded_is_there_after_a_clean_stop() {
    let dir = tempfile::tempdir().unwrap();
    let (store, first) = EventStore::open(dir.path(), quiet(&clock())).unwrap();
    assert_eq!((first.lost, first.frames_kept), (None, 0));
    fill(&store, 0..100);
    store.close();
    assert!(matches!(store.record(Box::new(event(1))), Recorded::Dropped(DropReason::Closed)));
    let stats = store.stats();
    assert_eq!((stats.written, stats.closed, stats.queued), (100, 1, 0));
    assert!(adds_up(&stats));
    drop(store);
    let (store, second) = EventStore::open(dir.path(), quiet(&clock())).unwrap();
    assert_eq!(second, Recovery { frames_kept: 100, bytes_cut: 0, frames_damaged: 0, lost: Some(0) });
    fill(&store, 100..150);
    assert_eq!(numbers(dir.path()), (0..150).collect::<Vec<_>>());
}

#[test]
fn one_folder_has_one_writer() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = EventStore::open(dir.path(), quiet(&clock())).unwrap();
    let fault = EventStore::open(dir.path(), quiet(&clock())).unwrap_err();
    assert!(matches!(fault, StoreFault::InUse { .. }), "{fault}");
    store.close();
    EventStore::open(dir.path(), quiet(&clock())).unwrap();
}

#[test]
fn eight_threads_and_a_small_queue_sum_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = EventStore::open(dir.path(), Options { queue_len: 64, ..quiet(&clock()) }).unwrap();
    let (queued, dropped) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (store, queued, dropped) = (&store, &queued, &dropped);
            scope.spawn(move || {
                for n in 0..5_000 {
                    match store.record(Box::new(event(thread * 5_000 + n))) {
                        Recorded::Queued => queued.fetch_add(1, Ordering::Relaxed),
                        Recorded::Dropped(DropReason::QueueFull) => dropped.fetch_add(1, Ordering::Relaxed),
                        other => panic!("{other:?}"),
                    };
                    assert!(adds_up(&store.stats()));
                }
            });
        }
    });
    store.close();
    let stats = store.stats();
    assert_eq!(stats.accepted, 40_000);
    assert_eq!((stats.written, stats.queue_full), (queued.into_inner(), dropped.into_inner()));
    assert_eq!(stats.queued, 0);
    let mut seen = numbers(dir.path());
    assert_eq!(seen.len() as u64, stats.written);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len() as u64, stats.written);
}

#[test]
fn an_acknowledgement_waits_for_the_sync() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, orders) = FaultyDisk::new();
    let (store, _) = EventStore::open_on(dir.path(), with_ack(), disk).unwrap();
    orders.hold_syncs(true);
    let mut future = acknowledged(store.record(Box::new(event(1))));
    // The frame is written while its sync is held back.
    while numbers(dir.path()).is_empty() {
        std::thread::yield_now();
    }
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!((store.stats().written, store.stats().queued), (0, 1));
    orders.hold_syncs(false);
    wait(future).unwrap();
    assert!(orders.syncs.load(Ordering::SeqCst) >= 1);
    assert_eq!(store.stats().written, 1);
}

#[test]
fn a_failed_sync_fails_its_group_alone() {
    for cut_fails in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (disk, orders) = FaultyDisk::new();
        let (store, _) = EventStore::open_on(dir.path(), with_ack(), disk).unwrap();
        wait(acknowledged(store.record(Box::new(event(1))))).unwrap();
        orders.fail_syncs.store(1, Ordering::SeqCst);
        orders.fail_cut.store(cut_fails, Ordering::SeqCst);
        let fault = wait(acknowledged(store.record(Box::new(event(2))))).unwrap_err();
        assert_eq!(fault.kind, FaultKind::NotDurable);
        assert!(!fault.says.contains("injected") && fault.detail.unwrap().contains("injected"));
        wait(acknowledged(store.record(Box::new(event(3))))).unwrap();
        // The second is counted as dropped, so nobody may see it, whether or not its bytes are still there.
        assert_eq!(numbers(dir.path()), [1, 3]);
        let stats = store.stats();
        assert_eq!((stats.written, stats.write_failed, stats.queued), (2, 1, 0));
        drop(store);
        let (_, recovery) = EventStore::open(dir.path(), with_ack()).unwrap();
        assert_eq!(recovery.lost, Some(0));
    }
}

#[test]
fn a_disk_that_fails_for_long_leaves_no_heap_of_segments() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, orders) = FaultyDisk::new();
    let (store, _) = EventStore::open_on(dir.path(), with_ack(), disk).unwrap();
    orders.fail_syncs.store(20, Ordering::SeqCst);
    for n in 0..20 {
        wait(acknowledged(store.record(Box::new(event(n))))).unwrap_err();
    }
    wait(acknowledged(store.record(Box::new(event(20))))).unwrap();
    assert_eq!(numbers(dir.path()), [20]);
    assert_eq!(Folder::at(dir.path()).segment_numbers().unwrap().len(), 1);
}

#[test]
fn without_acknowledgement_a_failed_sync_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, orders) = FaultyDisk::new();
    let (store, _) = EventStore::open_on(dir.path(), quiet(&clock()), disk).unwrap();
    fill(&store, 0..10);
    orders.fail_syncs.store(1, Ordering::SeqCst);
    fill(&store, 10..20);
    assert_eq!(numbers(dir.path()), (0..20).collect::<Vec<_>>());
    assert_eq!((store.stats().written, store.stats().write_failed), (20, 0));
    orders.fail_syncs.store(2, Ordering::SeqCst);
    fill(&store, 20..30);
    assert_eq!((store.stats().written, store.stats().write_failed), (20, 10));
    fill(&store, 30..40);
    assert_eq!(numbers(dir.path()), (0..20).chain(30..40).collect::<Vec<_>>());
}

#[test]
fn a_full_disk_is_counted_and_got_over() {
    for cut_fails in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (disk, orders) = FaultyDisk::new();
        let (store, _) = EventStore::open_on(dir.path(), quiet(&clock()), disk).unwrap();
        fill(&store, 0..10);
        // Less than an event: whatever the beats are, each write ends in the middle of a frame.
        orders.room.store(100, Ordering::SeqCst);
        orders.fail_cut.store(cut_fails, Ordering::SeqCst);
        orders.fail_create.store(true, Ordering::SeqCst);
        fill(&store, 10..20);
        fill(&store, 20..30);
        let stats = store.stats();
        assert!(adds_up(&stats) && stats.queued == 0, "{stats:?}");
        assert_eq!(stats.write_failed, 20);
        orders.room.store(0, Ordering::SeqCst);
        orders.fail_create.store(false, Ordering::SeqCst);
        fill(&store, 30..40);
        assert_eq!(numbers(dir.path()), (0..10).chain(30..40).collect::<Vec<_>>());
    }
}

#[test]
fn segments_are_sealed_by_size_and_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let age = Duration::from_secs(3600);
    let (store, _) =
        EventStore::open(dir.path(), Options { segment_bytes: 4_000, segment_age: age, ..quiet(&clock) }).unwrap();
    let folder = Folder::at(dir.path());
    fill(&store, 0..1);
    assert_eq!(folder.segment_numbers().unwrap(), [1]);
    clock.advance(age);
    fill(&store, 1..2);
    assert_eq!(folder.segment_numbers().unwrap(), [1, 2]);
    fill(&store, 2..20);
    fill(&store, 20..40);
    let numbers_now = folder.segment_numbers().unwrap();
    assert!(numbers_now.len() >= 4, "{numbers_now:?}");
    for number in &numbers_now[1..numbers_now.len() - 1] {
        assert!(std::fs::metadata(folder.segment(*number)).unwrap().len() >= 4_000);
    }
    assert_eq!(numbers(dir.path()), (0..40).collect::<Vec<_>>());
}

#[test]
fn a_stub_of_a_segment_is_no_obstacle() {
    for len in [0, 7, 39] {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = EventStore::open(dir.path(), quiet(&clock())).unwrap();
        fill(&store, 0..10);
        drop(store);
        std::fs::write(Folder::at(dir.path()).segment(2), vec![b'T'; len]).unwrap();
        let (store, recovery) = EventStore::open(dir.path(), quiet(&clock())).unwrap();
        assert_eq!((recovery.frames_kept, recovery.lost), (10, Some(0)));
        fill(&store, 10..20);
        assert_eq!(numbers(dir.path()), (0..20).collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]
    /// What a kill leaves: any prefix of the newest segment, and the count of what was taken.
    #[test]
    fn a_kill_loses_what_the_next_start_says(rounds in prop::collection::vec((1u64..30, 0.0f64..1.0), 1..5)) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path());
        let (mut next, mut kept, mut taken) = (0, Vec::new(), 0);
        for (count, share) in rounds {
            let (store, _) = EventStore::open(dir.path(), Options { segment_bytes: 6_000, ..quiet(&clock()) }).unwrap();
            fill(&store, next..next + count);
            next += count;
            drop(store);
            let newest = folder.segment(*folder.segment_numbers().unwrap().last().unwrap());
            let file = File::options().write(true).open(&newest).unwrap();
            let len = file.metadata().unwrap().len();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share of a small file")]
            file.set_len(40 + ((len - 40) as f64 * share) as u64).unwrap();
            let before = kept.len() as u64 + count;
            kept = numbers(dir.path());
            let (_, recovery) = EventStore::open(dir.path(), quiet(&clock())).unwrap();
            taken += count;
            prop_assert_eq!(recovery.lost, Some(before - kept.len() as u64));
            taken -= recovery.lost.unwrap();
            prop_assert_eq!(kept.len() as u64, taken);
            prop_assert_eq!(&numbers(dir.path()), &kept);
        }
        let scan = EventReader::open(dir.path()).unwrap().scan(Filter::default()).unwrap();
        prop_assert!(scan.map(Result::unwrap).all(|found| found == event(found.unix_ms - crate::testing::JANUARY)));
    }
}
