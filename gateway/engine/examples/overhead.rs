//! How much of a step is around the model: scheduling, sampling and telling. Bound: 2 %; the process fails beyond it.
//!
//! `cargo run --release --workspace --example overhead -- MODEL.gguf`, on a machine that does nothing else.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a measuring program, run by hand")]

use std::path::Path;
use std::process::ExitCode;
use tidegate_engine::{Engine, EngineOptions, GenerateRequest, Prompt, Sampling};

/// The most, in hundredths.
const MOST: f64 = 2.0;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("overhead: name a GGUF file");
        return ExitCode::FAILURE;
    };
    let mut is_within = true;
    for (name, temperature, top_p, streams) in [
        ("likeliest", 0.0, 1.0, 1),
        ("drawn", 1.0, 1.0, 1),
        ("drawn of a nucleus", 0.8, 0.95, 1),
        ("drawn of a nucleus", 0.8, 0.95, 16),
    ] {
        match around(Path::new(&path), temperature, top_p, streams) {
            Ok(around) => {
                println!("{name}, {streams} at once: {around:.2} % of a step is around the model, {MOST} at most");
                is_within &= around <= MOST;
            }
            Err(error) => {
                eprintln!("overhead: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    if is_within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The part of the steps of so many answers at once that is not the model's, in hundredths.
fn around(path: &Path, temperature: f32, top_p: f32, streams: u64) -> Result<f64, Box<dyn std::error::Error>> {
    let options = EngineOptions { threads: 1, kv_cache_bytes: 256 << 20, ..EngineOptions::new(path.to_owned()) };
    let engine = Engine::load(&options, &mut |_| {})?;
    let ask = |seed: u64| {
        let sampling = Sampling { temperature, top_p, seed: Some(seed), ..Sampling::default() };
        let prompt = Prompt::Text("A long story begins.".to_owned());
        engine.submit(GenerateRequest { prompt, sampling, max_tokens: Some(100), ..GenerateRequest::default() })
    };
    for mut answer in (0..streams).map(ask).collect::<Result<Vec<_>, _>>()? {
        while answer.blocking_next().is_some() {}
    }
    let report = engine.report();
    let whole = report.step_time.as_secs_f64();
    Ok(100.0 * (whole - report.model_time.as_secs_f64()) / whole)
}
