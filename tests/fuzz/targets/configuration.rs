//! A configuration is checked or refused with faults that name their places; reading it never breaks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|text: &str| {
    let nothing = |_: &str| None;
    if let Err(report) = tidegate_config::load_str(text, Path::new("/nowhere/gateway.yaml"), &nothing) {
        assert!(!report.to_string().is_empty());
    }
});
