//! Measures what tokens cost in processor time: `cargo run --release --example decode -- MODEL.gguf [THREADS]`. Run it
//! once as built for any processor and once with `RUSTFLAGS=-Ctarget-cpu=native`, and compare. Linux only (it reads
//! `/proc/self/stat`, in hundredths of a second).

use std::io::Write;
use std::time::Instant;
use tidegate_engine::{Engine, EngineOptions, GenerateRequest, Generation, GenerationEvent, Prompt, Sampling};

const ROUNDS: usize = 3;

type Failure = Box<dyn std::error::Error>;

/// Processor seconds of the process so far.
fn cpu() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) / 100.0)
}

/// Tokens that mean nothing in particular, never the same twice.
fn request(length: usize, max_tokens: usize, salt: usize) -> GenerateRequest {
    let tokens = (0..length).map(|i| 100 + ((i * 7919 + salt * 104_729) % 40_000) as u32).collect();
    // Nothing that ends an answer early, so that every run has the same length.
    let logit_bias = [0, 2].map(|token| (token, -1000.0)).to_vec();
    let sampling = Sampling { temperature: 0.0, logit_bias, ..Sampling::default() };
    GenerateRequest { prompt: Prompt::Tokens(tokens), max_tokens: Some(max_tokens), sampling, ..Default::default() }
}

/// Reads all to the end; the tokens generated.
fn drain(mut generation: Generation) -> Result<usize, Failure> {
    let mut tokens = 0;
    while let Some(event) = generation.blocking_next() {
        match event {
            GenerationEvent::Finished { completion_tokens, .. } => tokens += completion_tokens,
            GenerationEvent::Failed(error) => return Err(error.into()),
            _ => {}
        }
    }
    Ok(tokens)
}

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: decode MODEL.gguf [THREADS]")?;
    let mut options = EngineOptions::new(path);
    options.threads = args.next().map_or(Ok(1), |n| n.parse())?;
    let mut out = std::io::stdout();
    let (start, before) = (Instant::now(), cpu()?);
    let engine = Engine::load(&options, &mut |_| {})?;
    writeln!(out, "load: {:.2} s wall, {:.2} s cpu", start.elapsed().as_secs_f64(), cpu()? - before)?;
    let mut measure = |name: &str, prompt: usize, max_tokens: usize, streams: usize| -> Result<f64, Failure> {
        let (mut tokens, before) = (0, cpu()?);
        for round in 0..ROUNDS {
            let all: Result<Vec<_>, _> =
                (0..streams).map(|s| engine.submit(request(prompt, max_tokens, round * streams + s))).collect();
            for generation in all? {
                tokens += drain(generation)?;
            }
        }
        let spent = cpu()? - before;
        let counted = if max_tokens == 1 { prompt * streams * ROUNDS } else { tokens };
        let cost = spent * 1000.0 / counted as f64;
        writeln!(out, "{name}: {cost:.2} ms cpu per token, {:.0} tokens per cpu-second", 1000.0 / cost)?;
        Ok(spent)
    };
    measure("warm-up", 16, 16, 1)?;
    let prefill = measure("prefill 512", 512, 1, 1)?;
    measure("decode at 0, batch 1", 1, 96, 1)?;
    measure("decode at 0, batch 4", 1, 96, 4)?;
    measure("decode at 0, batch 16", 1, 96, 16)?;
    let deep = measure("prompt 512 and decode 96", 512, 96, 1)?;
    let cost = (deep - prefill) * 1000.0 / (95 * ROUNDS) as f64;
    writeln!(out, "decode at 512, batch 1: {cost:.2} ms cpu per token")?;
    Ok(())
}
