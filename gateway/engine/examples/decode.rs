//! What tokens cost in processor time, and which tokens come out: `loadtest/engine/run` runs it beside llama.cpp, whose
//! twin is `loadtest/engine/llama.c`.
//!
//! ```text
//! decode bench MODEL [KERNELS]               a line "name milliseconds" for each measurement, one thread
//! decode greedy MODEL N [KERNELS]            N tokens chosen greedily; the likeliest at each place of a fixed text of N
//! decode perplexity MODEL TOKENS [KERNELS]   a file of token numbers; windows of 512, the second half of each counted
//! decode oracle MODEL N                      the likeliest tokens of the fixed text by candle's own llama
//! decode kernels                             the sets of kernels of this processor
//! ```

use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Tensor};
use candle_transformers::models::quantized_llama::ModelWeights;
use std::io::Write;
use std::path::Path;
use tidegate_engine::{Engine, EngineOptions, GenerateRequest, GenerationEvent, Probe, ProbeInput, Prompt, Sampling};

type Failure = Box<dyn std::error::Error>;

/// Processor milliseconds of the process so far, all threads.
#[expect(unsafe_code, reason = "the clock is the system's")]
fn cpu() -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a whole timespec that lives through the call.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut now) };
    now.tv_sec as f64 * 1e3 + now.tv_nsec as f64 / 1e6
}

/// Tokens that mean nothing in particular.
fn synthetic(range: std::ops::Range<usize>, salt: usize) -> Vec<u32> {
    range.map(|i| 100 + ((i * 7919 + salt * 104_729) % 40_000) as u32).collect()
}

fn likeliest(scores: &[f32]) -> usize {
    (0..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best })
}

/// A prompt in pieces, as the scheduler cuts it; the last row of scores.
fn prefill(probe: &mut Probe, length: usize, sequence: usize) -> Result<Vec<f32>, Failure> {
    let piece = EngineOptions::new("").step_tokens;
    let mut last = Vec::new();
    for start in (0..length).step_by(piece) {
        let end = length.min(start + piece);
        let tokens = synthetic(start..end, sequence);
        let input = ProbeInput { sequence, tokens: &tokens, scored: usize::from(end == length) };
        for row in probe.step(&[input])? {
            last = row.to_vec();
        }
    }
    Ok(last)
}

/// Milliseconds a token: `steps` tokens for each of `sequences` after prompts of `depth`.
fn decode(probe: &mut Probe, depth: usize, sequences: usize, steps: usize) -> Result<f64, Failure> {
    probe.clear();
    for sequence in 0..sequences {
        prefill(probe, depth, sequence)?;
    }
    let before = cpu();
    for i in 0..steps {
        let tokens: Vec<_> = (0..sequences).map(|s| synthetic(depth + i..depth + i + 1, s)).collect();
        let inputs: Vec<_> =
            (tokens.iter().enumerate()).map(|(sequence, tokens)| ProbeInput { sequence, tokens, scored: 1 }).collect();
        if !probe.step(&inputs)?.all(|row| row[7].is_finite()) {
            return Err("the scores are not finite".into());
        }
    }
    Ok((cpu() - before) / (steps * sequences) as f64)
}

/// The same single answer through the whole engine: scheduler, sampling, text.
fn served(path: &Path, steps: usize) -> Result<f64, Failure> {
    let mut options = EngineOptions::new(path);
    options.threads = 1;
    let engine = Engine::load(&options, &mut |_| {})?;
    let answer = |length: usize| -> Result<f64, Failure> {
        // Nothing that ends an answer early.
        let logit_bias = [0, 2].map(|token| (token, -1000.0)).to_vec();
        let sampling = Sampling { temperature: 0.0, logit_bias, ..Sampling::default() };
        let prompt = Prompt::Tokens(synthetic(0..1, 0));
        let request = GenerateRequest { prompt, max_tokens: Some(length), sampling, ..GenerateRequest::default() };
        let before = cpu();
        let mut generation = engine.submit(request)?;
        while let Some(event) = generation.blocking_next() {
            match event {
                GenerationEvent::Finished { completion_tokens, .. } if completion_tokens != length => {
                    return Err("the answer is too short".into());
                }
                GenerationEvent::Failed(error) => return Err(error.into()),
                _ => {}
            }
        }
        Ok((cpu() - before) / length as f64)
    };
    answer(16)?;
    answer(steps)
}

fn bench(out: &mut impl Write, path: &Path, kernels: Option<&str>) -> Result<(), Failure> {
    let mut probe = Probe::load(path, kernels, 256 << 20)?;
    prefill(&mut probe, 64, 0)?;
    probe.clear();
    let before = cpu();
    prefill(&mut probe, 512, 0)?;
    writeln!(out, "prefill512 {:.4}", (cpu() - before) / 512.0)?;
    writeln!(out, "decode0 {:.4}", decode(&mut probe, 1, 1, 96)?)?;
    writeln!(out, "decode1024 {:.4}", decode(&mut probe, 1024, 1, 48)?)?;
    writeln!(out, "batch4 {:.4}", decode(&mut probe, 64, 4, 32)?)?;
    writeln!(out, "batch16 {:.4}", decode(&mut probe, 64, 16, 32)?)?;
    drop(probe);
    if kernels.is_none() {
        writeln!(out, "served0 {:.4}", served(path, 96)?)?;
    }
    Ok(())
}

fn greedy(out: &mut impl Write, path: &Path, steps: usize, kernels: Option<&str>) -> Result<(), Failure> {
    let mut probe = Probe::load(path, kernels, 256 << 20)?;
    let mut scores = prefill(&mut probe, 32, 0)?;
    write!(out, "greedy")?;
    for _ in 0..steps {
        let next = likeliest(&scores) as u32;
        write!(out, " {next}")?;
        scores = probe.step(&[ProbeInput { sequence: 0, tokens: &[next], scored: 1 }])?.flatten().copied().collect();
    }
    write!(out, "\nforced")?;
    probe.clear();
    let text = synthetic(0..steps, 3);
    for row in probe.step(&[ProbeInput { sequence: 0, tokens: &text, scored: steps }])? {
        write!(out, " {}", likeliest(row))?;
    }
    writeln!(out)?;
    Ok(())
}

fn oracle(out: &mut impl Write, path: &Path, steps: usize) -> Result<(), Failure> {
    let mut file = std::fs::File::open(path)?;
    let content = Content::read(&mut file)?;
    let mut model = ModelWeights::from_gguf(content, &mut file, &Device::Cpu)?;
    write!(out, "forced")?;
    for (position, token) in synthetic(0..steps, 3).into_iter().enumerate() {
        let scores = model.forward(&Tensor::new(&[[token]], &Device::Cpu)?, position)?;
        write!(out, " {}", likeliest(&scores.flatten_all()?.to_vec1()?))?;
    }
    writeln!(out)?;
    Ok(())
}

fn perplexity(out: &mut impl Write, path: &Path, tokens: &Path, kernels: Option<&str>) -> Result<(), Failure> {
    let text = std::fs::read_to_string(tokens)?;
    let tokens: Vec<u32> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let mut probe = Probe::load(path, kernels, 64 << 20)?;
    let (mut loss, mut scored) = (0.0f64, 0);
    for window in tokens.chunks_exact(512) {
        probe.clear();
        for row in probe.step(&[ProbeInput { sequence: 0, tokens: &window[..511], scored: 256 }])?.enumerate() {
            let (i, scores) = row;
            let top = f64::from(scores[likeliest(scores)]);
            let sum: f64 = scores.iter().map(|s| (f64::from(*s) - top).exp()).sum();
            loss += top + sum.ln() - f64::from(scores[window[256 + i] as usize]);
            scored += 1;
        }
    }
    writeln!(out, "perplexity {:.6} {scored}", (loss / f64::from(scored)).exp())?;
    Ok(())
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let arg = |i: usize| args.get(i).map(String::as_str);
    let model = Path::new(arg(1).unwrap_or_default());
    let mut out = std::io::stdout().lock();
    match (arg(0), arg(2)) {
        (Some("bench"), kernels) => bench(&mut out, model, kernels),
        (Some("greedy"), Some(steps)) => greedy(&mut out, model, steps.parse()?, arg(3)),
        (Some("oracle"), Some(steps)) => oracle(&mut out, model, steps.parse()?),
        (Some("perplexity"), Some(tokens)) => perplexity(&mut out, model, Path::new(tokens), arg(3)),
        (Some("kernels"), _) => Ok(writeln!(out, "{}", Probe::kernels().join(" "))?),
        _ => Err("usage: decode bench|greedy|oracle|perplexity MODEL …, see the head of its source".into()),
    }
}
