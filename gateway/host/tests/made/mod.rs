//! Evaluators for tests, on hosts with small limits. What they are made of is `guests/evaluator`'s.

#[path = "../guests/evaluator.rs"]
mod evaluator;

pub(crate) use evaluator::{Core, GOOD, component, module};

use evaluator::with_metadata;
use tidegate_core::digest::Digest;
use tidegate_host::{Bounds, Column, Data, Fault, FilterLimits, Frame, Host, Input, Limits, Outside, Plugin, Window};
use wit_parser::Resolve;

/// A component of a world of the test's own.
pub(crate) fn foreign_component(wit: &str, world: &str, text: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_source("foreign.wit", wit).unwrap();
    tidegate_host::pack(&with_metadata(&resolve, package, world, text)).unwrap()
}

/// The same for a world that has ours in it.
pub(crate) fn with_words(wit: &str, world: &str, text: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit")).unwrap();
    let package = resolve.push_source("words.wit", wit).unwrap();
    tidegate_host::pack(&with_metadata(&resolve, package, world, text)).unwrap()
}

/// A host with small limits, so that tests end soon.
pub(crate) fn host() -> Host {
    Host::new(small(), Outside::default()).unwrap()
}

/// Small limits.
pub(crate) fn small() -> Limits {
    Limits {
        memory_bytes: 4 << 20,
        deadline: std::time::Duration::from_millis(300),
        load_deadline: std::time::Duration::from_millis(300),
        copied_bytes: 64 << 10,
        host_calls: 1000,
        at_once: 2,
        filters: FilterLimits { at_once: 1, ..FilterLimits::default() },
        ..Limits::default()
    }
}

/// A window of drift with so many rows of reference.
pub(crate) fn window(rows: usize) -> Input {
    let frame = |n: usize| Frame::of(vec![Column::full("x", Data::Numbers(vec![0.5; n]))]).unwrap();
    Input::Drift {
        window: Window { id: "w".to_owned(), ..Window::default() },
        reference: frame(rows),
        current: frame(3),
    }
}

/// That a good plugin of the same host still answers.
pub(crate) fn still_works(good: &Plugin) {
    let done = good.call("{}", &window(7)).unwrap();
    let tidegate_host::Output::Report(report) = done.output else { panic!("no report") };
    assert_eq!(report.measurements.first().and_then(|found| found.value), Some(7.0));
    assert_ne!(good.about().sha256, Digest::of(b""));
}

/// What a component that loads ends its call with, on a host that still works afterwards.
pub(crate) fn ends(core: Core) -> Fault {
    let host = host();
    let good = host.load(&Core::default().component(), Bounds::default()).unwrap();
    let plugin = host.load(&core.component(), Bounds::default()).unwrap();
    let first = plugin.call("{}", &window(3)).unwrap_err();
    still_works(&good);
    // A dropped instance takes nothing with it: it happens the same way again.
    let again = plugin.call("{}", &window(3)).unwrap_err();
    assert_eq!((again.kind, plugin.calls()), (first.kind, 2));
    still_works(&good);
    first
}

/// What such bytes are refused with, by a host that still works afterwards.
pub(crate) fn refused(bytes: &[u8]) -> Fault {
    let host = host();
    let good = host.load(&Core::default().component(), Bounds::default()).unwrap();
    let fault = host.load(bytes, Bounds::default()).unwrap_err();
    still_works(&good);
    fault
}

/// The memory of this process, in bytes.
pub(crate) fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
