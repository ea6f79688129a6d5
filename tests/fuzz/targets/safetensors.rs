//! Folders of safetensors: loaded or refused, and a model that was loaded computes. The input is a `config.json`, a zero
//! byte, and the tensors.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_engine::{Probe, ProbeInput};

fuzz_target!(|bytes: &[u8]| {
    let Some(end) = bytes.iter().position(|byte| *byte == 0) else { return };
    let Ok(folder) = tempfile::tempdir() else { return };
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).is_ok();
    if !put("config.json", &bytes[..end]) || !put("model.safetensors", &bytes[end + 1..]) {
        return;
    }
    if let Ok(mut model) = Probe::load(folder.path(), None, 1 << 20) {
        drop(model.step(&[ProbeInput { sequence: 0, tokens: &[1, 2, 3], scored: 1 }]).map(|rows| rows.count()));
    }
});
