//! What loading and keeping plugins costs: windows of PSI through the component and natively, in turns on one thread; a plugin
//! from its bytes and the cache of compiled code to one that can be called; and what an instance that waits keeps of the
//! memory. Bounds: the component's medians at most 3 times the native ones, 1 ms for a start, 64 KiB for an instance. The
//! process fails beyond them.
//!
//! `cargo bench --workspace --bench plugins [-- psi|start|resident]`
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measuring program, run by hand")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use tidegate_core::digest::Digest;
use tidegate_drift::table;
use tidegate_host::{
    Bounds, Cache, Column, Data, FilterLimits, Frame, Host, Input, Limits, Outside, Plugin, WarmFilter, Window,
};

const ROUNDS: usize = 3001;
const ROWS: usize = 1000;
const PSI: f64 = 3.0;
const START: f64 = 1e-3;
const RESIDENT: usize = 64 << 10;
const INSTANCES: usize = 256;

/// A part of it: its name, and whether it is within its bound.
type Part = (&'static str, fn(&Cache) -> bool);

fn main() -> ExitCode {
    let cache = tempfile::tempdir().unwrap();
    let cache = Cache::open(cache.path()).unwrap();
    let only = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let parts: [Part; 3] = [("psi", psi), ("start", starts), ("resident", resident)];
    let asked = parts.iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name));
    let failed = asked.filter(|(_, part)| !part(&cache)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// PSI of 1,000 values against 1,000: the whole evaluation of the plugin, and the same function of its crate.
fn psi(cache: &Cache) -> bool {
    let config = r#"{"tests": [{"column": "x", "test": "psi", "bins": "evidently", "threshold": 0.1}]}"#;
    let (reference, current) = (values(1, 0.0), values(2, 0.3));
    let plugin = load(&host(), &shipped("drift"), cache);
    let frame = |values: &[f64]| Frame {
        rows: u32::try_from(values.len()).unwrap(),
        columns: vec![Column { name: "x".to_owned(), data: Data::Numbers(values.to_vec()), missing: Vec::new() }],
    };
    let input = Input::Drift { window: Window::default(), reference: frame(&reference), current: frame(&current) };
    let own = tidegate_drift::Config::read(config).unwrap();
    let table = |values: &[f64]| tidegate_drift::Table {
        columns: vec![table::Column {
            name: "x".to_owned(),
            data: table::Data::Numbers(values.to_vec()),
            missing: Vec::new(),
        }],
    };
    let tables = (table(&reference), table(&current));
    let (mut natively, mut through) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        natively.push(timed(|| {
            black_box(tidegate_drift::evaluate(&own, black_box(&tables.0), black_box(&tables.1)).unwrap());
        }));
        through.push(timed(|| {
            black_box(plugin.call(config, black_box(&input)).unwrap());
        }));
    }
    let (natively, through) = (median(natively), median(through));
    println!("PSI natively      {:8.1} µs", natively * 1e6);
    println!("through the component {:4.1} µs, {:.2} of it, {PSI} at most", through * 1e6, through / natively);
    through <= PSI * natively
}

/// From bytes and kept code to a plugin, each of those that ship.
fn starts(cache: &Cache) -> bool {
    let host = host();
    let names = ["drift", "fairness", "calibration", "rag-eval", "pii", "prompt-guard", "schema-guard"];
    let mut is_within = true;
    for name in names {
        let shipped = shipped(name);
        load(&host, &shipped, cache);
        let times = (0..101).map(|_| {
            let mut plugin = None;
            // That it ends is no part of a start.
            timed(|| plugin = Some(load(&host, &shipped, cache)))
        });
        let took = median(times.collect());
        println!("start of {name:12} {:8.0} µs, {} at most", took * 1e6, START * 1e6);
        is_within &= took <= START;
    }
    is_within
}

/// What a waiting instance of a filter keeps.
fn resident(cache: &Cache) -> bool {
    let mut is_within = true;
    for (name, config) in [("pii", "{}"), ("prompt-guard", "{}")] {
        // Its own, so that it is given no memory that another one left.
        let filters = FilterLimits { at_once: 2 * u32::try_from(INSTANCES).unwrap(), ..FilterLimits::default() };
        let host = Host::new(Limits { filters, ..Limits::default() }, Outside::default()).unwrap();
        let plugin = Arc::new(load(&host, &shipped(name), cache));
        let make = |at: usize| plugin.filter(format!("f{at}").parse().unwrap(), config).unwrap();
        let first: Vec<WarmFilter> = (0..8).map(make).collect();
        let before = resident_bytes();
        let all: Vec<WarmFilter> = (8..8 + INSTANCES).map(make).collect();
        let each = resident_bytes().saturating_sub(before) / INSTANCES;
        println!("an idle instance of {name:12} {:5.1} KiB resident, {} at most", kib(each), kib(RESIDENT));
        is_within &= each <= RESIDENT;
        drop((first, all));
    }
    is_within
}

fn host() -> Host {
    Host::new(Limits::default(), Outside::default()).unwrap()
}

/// A component and its digest.
fn shipped(name: &str) -> (Vec<u8>, Digest) {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/dist");
    let bytes = std::fs::read(folder.join(name).with_extension("wasm")).unwrap();
    let sha256 = Digest::of(&bytes);
    (bytes, sha256)
}

fn load(host: &Host, (bytes, sha256): &(Vec<u8>, Digest), cache: &Cache) -> Plugin {
    host.load_cached(bytes, *sha256, Bounds::default(), cache, None).unwrap()
}

/// Values about a mean, as SplitMix64 and sums of twelve give them.
fn values(seed: u64, mean: f64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        f64::from(u32::try_from((word ^ (word >> 31)) >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    };
    (0..ROWS).map(|_| mean - 6.0 + (0..12).map(|_| next()).sum::<f64>()).collect()
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * rustix::param::page_size()
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn kib(bytes: usize) -> f64 {
    bytes as f64 / 1024.0
}

fn timed(does: impl FnOnce()) -> f64 {
    let began = Instant::now();
    does();
    began.elapsed().as_secs_f64()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
