//! Answers of others' classic models: read or refused.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tidegate_core::spec::Dialect;
use tidegate_dialect::{read_answer, read_metadata};

const ALL: [Dialect; 6] = [
    Dialect::OpenInference,
    Dialect::TfServing,
    Dialect::Mlflow,
    Dialect::Seldon,
    Dialect::BentoMl,
    Dialect::TorchServe,
];

fuzz_target!(|input: (u8, Option<&str>, &[u8])| {
    let (dialect, length, body) = input;
    let body = Bytes::copy_from_slice(body);
    drop(read_answer(ALL[usize::from(dialect) % ALL.len()], &body, length.map(str::as_bytes)));
    drop(read_metadata(&body));
});
