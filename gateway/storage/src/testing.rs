//! What the tests of this crate share: events, a disk that fails on order, a folder with events in it.

use crate::disk::{Disk, DiskFile, RealDisk};
use crate::{EventReader, EventStore, Filter, Options};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime};
use tidegate_core::clock::ManualClock;
use tidegate_core::{Api, Event, InferenceId, Outcome, TraceId, Usage};

/// 2026-01-31T00:00:00Z.
pub(crate) const JANUARY: u64 = 1_769_817_600_000;

/// A plausible event; its number tells it from others.
pub(crate) fn event(n: u64) -> Event {
    let unix_ms = JANUARY + n;
    Event {
        id: InferenceId::from_parts(unix_ms, n, n.wrapping_mul(4)),
        unix_ms,
        api: Api::ChatCompletions,
        episode: n.is_multiple_of(3).then(|| format!("episode-{}", n / 9).into()),
        client_request_id: None,
        trace_id: TraceId::new(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736),
        parent_span: None,
        sampled: None,
        config: "0123456789abcdef".into(),
        key: Some("k-1".parse().unwrap()),
        principal: Some("alice".parse().unwrap()),
        tenant: Some("acme".parse().unwrap()),
        subject: None,
        route: (!n.is_multiple_of(5)).then(|| format!("org/route:{}", n % 2).parse().unwrap()),
        variant: Some("small".parse().unwrap()),
        model: Some("gpt-x".parse().unwrap()),
        provider: Some("pool".parse().unwrap()),
        adapter: None,
        adapter_generation: None,
        model_version: None,
        prompt: None,
        decision: None,
        attempts: Vec::new(),
        stream: n.is_multiple_of(2),
        outcome: if n.is_multiple_of(7) { Outcome::Cancelled } else { Outcome::Ok },
        status: 200,
        request_bytes: 300,
        answer_bytes: 500,
        usage: Some(Usage { prompt: 10, cached: 2, completion: 20, reasoning: 0 }),
        usage_estimated: false,
        cost_usd: Some(0.000_25),
        first_us: Some(900),
        total_us: 1500,
        filtered: Vec::new(),
        checks: None,
        reasons: None,
        features: Vec::new(),
        visits: Vec::new(),
        content: None,
    }
}

/// A clock at noon of the day of the events.
pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_millis(JANUARY + 43_200_000)))
}

/// Options that leave all upkeep to the test.
pub(crate) fn quiet(clock: &Arc<ManualClock>) -> Options {
    let never = Duration::MAX;
    Options { clock: Arc::<ManualClock>::clone(clock), compact_after: None, segment_age: never, ..Options::default() }
}

/// The numbers of all events in a folder, in order.
pub(crate) fn numbers(folder: &Path) -> Vec<u64> {
    let scan = EventReader::open(folder).unwrap().scan(Filter::default()).unwrap();
    scan.map(|event| event.unwrap().unix_ms - JANUARY).collect()
}

/// Records events of these numbers and waits until they are on disk.
pub(crate) fn fill(store: &EventStore, numbers: impl IntoIterator<Item = u64>) {
    use tidegate_core::port::events::Events;
    for n in numbers {
        drop(store.record(Box::new(event(n))));
    }
    store.flush();
}

/// A real disk with orders to fail, and a gate that syncs wait at.
#[derive(Debug, Default)]
pub(crate) struct FaultyDisk(Arc<Orders>);

#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// Syncs that are yet to fail.
    pub(crate) fail_syncs: AtomicU64,
    pub(crate) fail_create: AtomicBool,
    pub(crate) fail_cut: AtomicBool,
    /// Bytes that may still be written before the disk is full; 0 for no limit.
    pub(crate) room: AtomicU64,
    pub(crate) syncs: AtomicU64,
    held: Mutex<bool>,
    changed: Condvar,
}

impl Orders {
    pub(crate) fn hold_syncs(&self, held: bool) {
        *self.held.lock().unwrap() = held;
        self.changed.notify_all();
    }
}

impl FaultyDisk {
    pub(crate) fn new() -> (Arc<Self>, Arc<Orders>) {
        let disk = Arc::new(Self::default());
        let orders = Arc::clone(&disk.0);
        (disk, orders)
    }

    fn wrap(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FaultyFile { file, orders: Arc::clone(&self.0) })
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path, head: &[u8]) -> io::Result<Box<dyn DiskFile>> {
        if self.0.fail_create.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        RealDisk.create(path, head).map(|file| self.wrap(file))
    }

    fn reopen(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.reopen(path).map(|file| self.wrap(file))
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: Box<dyn DiskFile>,
    orders: Arc<Orders>,
}

impl DiskFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let room = self.orders.room.load(Ordering::SeqCst);
        let len = bytes.len() as u64;
        if room == 0 {
            return self.file.append(bytes);
        }
        let fits = len.min(room - 1);
        self.orders.room.store(room - fits, Ordering::SeqCst);
        self.file.append(&bytes[..usize::try_from(fits).unwrap()])?;
        if fits == len { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let held = self.orders.held.lock().unwrap();
        drop(self.orders.changed.wait_while(held, |held| *held).unwrap());
        let left = self.orders.fail_syncs.load(Ordering::SeqCst);
        if left > 0 {
            self.orders.fail_syncs.store(left - 1, Ordering::SeqCst);
            return Err(io::Error::other("injected"));
        }
        self.orders.syncs.fetch_add(1, Ordering::SeqCst);
        self.file.sync()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        if self.orders.fail_cut.load(Ordering::SeqCst) {
            return Err(io::Error::other("injected"));
        }
        self.file.cut(len)
    }
}
