//! Calls of classic models, by every wire that is served: read or refused, and what was read can be said again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tidegate_dialect::{Served, Wire};

fuzz_target!(|input: (u8, Option<&str>, &[u8])| {
    let (wire, length, body) = input;
    let (wire, is_csv) = match wire % 5 {
        0 => (Wire::OpenInference, false),
        1 => (Wire::TfServing, false),
        2 => (Wire::Mlflow, false),
        3 => (Wire::Mlflow, true),
        _ => (Wire::Seldon, false),
    };
    let body = Bytes::copy_from_slice(body);
    match Served::read(wire, &body, length.map(str::as_bytes), is_csv) {
        Ok((request, _)) => drop(Served::asked(&request)),
        Err(wrong) => assert!(!wrong.of_caller().says.is_empty()),
    }
});
