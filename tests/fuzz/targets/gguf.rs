//! GGUF files: loaded or refused, and a model that was loaded computes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Write;
use tidegate_engine::{Probe, ProbeInput};

fuzz_target!(|bytes: &[u8]| {
    // What is mapped needs a name; the suffix says what it is.
    let Ok(mut file) = tempfile::Builder::new().suffix(".gguf").tempfile() else { return };
    if file.write_all(bytes).is_err() {
        return;
    }
    if let Ok(mut model) = Probe::load(file.path(), None, 1 << 20) {
        drop(model.step(&[ProbeInput { sequence: 0, tokens: &[1, 2, 3], scored: 1 }]).map(|rows| rows.count()));
    }
});
