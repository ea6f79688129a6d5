//! What adapters cost: processor time of a token with SmolLM2, without and with adapters of rank 16 on all products, in
//! turn, on one thread.
//!
//! `taskset -c 0 cargo run --release -p tidegate-engine --example adapters -- SmolLM2-135M-Instruct.Q4_1.gguf [ROUNDS]`
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement may fail"
)]

use std::path::Path;
use tidegate_core::port::adapters::{AdapterFiles, Expected};
use tidegate_engine::{
    AdapterHandle, Engine, EngineOptions, GenerateRequest, GenerationEvent, Prompt, Sampling, Taken,
};

const LAYERS: usize = 30;
const RANK: usize = 16;
/// Path, outputs and inputs of SmolLM2-135M's products.
const PRODUCTS: [(&str, usize, usize); 7] = [
    ("self_attn.q_proj", 576, 576),
    ("self_attn.k_proj", 192, 576),
    ("self_attn.v_proj", 192, 576),
    ("self_attn.o_proj", 576, 576),
    ("mlp.gate_proj", 1536, 576),
    ("mlp.up_proj", 1536, 576),
    ("mlp.down_proj", 576, 1536),
];

/// An adapter of small numbers, others for each seed.
fn write(folder: &Path, seed: u64) {
    let targets: Vec<_> = PRODUCTS.iter().map(|(path, ..)| path.rsplit('.').next().unwrap()).collect();
    let config = serde_json::json!({"peft_type": "LORA", "r": RANK, "lora_alpha": RANK, "target_modules": targets});
    let (mut header, mut data, mut state) = (serde_json::Map::new(), Vec::new(), seed | 1);
    for layer in 0..LAYERS {
        for (path, rows, cols) in PRODUCTS {
            for (factor, shape) in [("lora_A", [RANK, cols]), ("lora_B", [rows, RANK])] {
                let from = data.len();
                for _ in 0..shape[0] * shape[1] {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let value = ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 0.02;
                    data.extend_from_slice(&value.to_le_bytes());
                }
                let name = format!("base_model.model.model.layers.{layer}.{path}.{factor}.weight");
                let offsets = [from, data.len()];
                header.insert(name, serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": offsets}));
            }
        }
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(&data);
    std::fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
    std::fs::write(folder.join("adapter_model.safetensors"), file).unwrap();
}

/// Processor time of all threads, in seconds.
fn processor() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let spent = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok());
    spent.map(|text| text.split(' ').next().unwrap().parse::<f64>().unwrap()).sum::<f64>() / 1e9
}

/// Milliseconds of a token when `worn` many answers of 32 tokens are decoded side by side.
fn decode(engine: &Engine, worn: &[Option<AdapterHandle>]) -> f64 {
    const TOKENS: usize = 33;
    let mut all: Vec<_> = worn
        .iter()
        .enumerate()
        .map(|(i, adapter)| {
            let request = GenerateRequest {
                prompt: Prompt::Tokens((0..8).map(|t| (1000 + t * 37 + i * 101) as u32).collect()),
                adapter: adapter.clone(),
                max_tokens: Some(TOKENS),
                // No token that ends an answer.
                sampling: Sampling { temperature: 0.0, logit_bias: vec![(2, -1e4), (0, -1e4)], ..Sampling::default() },
                logprobs: Some(0),
                ..GenerateRequest::default()
            };
            engine.submit(request).unwrap()
        })
        .collect();
    // The prompts are not measured: each answer's first token is waited for.
    for generation in &mut all {
        loop {
            match generation.blocking_next().expect("an answer") {
                GenerationEvent::Text { .. } => break,
                GenerationEvent::Failed(error) => panic!("{error}"),
                _ => {}
            }
        }
    }
    let began = processor();
    let steps = engine.report().steps;
    for generation in &mut all {
        while generation.blocking_next().is_some() {}
    }
    let steps = engine.report().steps - steps;
    (processor() - began) * 1e3 / (steps.max(1) as f64 * worn.len() as f64)
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("name the model's file");
    let rounds: usize = arguments.next().map_or(5, |text| text.parse().unwrap());
    let options = EngineOptions { threads: 1, max_batch: 16, step_tokens: 512, ..EngineOptions::new(path) };
    let engine = Engine::load(&options, &mut |_| {}).unwrap();
    let folder = std::env::temp_dir().join(format!("tidegate-adapters-{}", std::process::id()));
    for i in 0..16u64 {
        let one = folder.join(i.to_string());
        std::fs::create_dir_all(&one).unwrap();
        write(&one, i * 977 + 5);
        let ready = engine.adapters().prepare(AdapterFiles::in_folder(&one), "made").unwrap();
        engine.adapters().load(&i.to_string(), ready, &Expected::Nothing).unwrap();
    }
    std::fs::remove_dir_all(&folder).unwrap();
    let worn = |i: usize| match engine.adapters().take(&i.to_string()).unwrap() {
        Taken::Ready(handle) => Some(handle),
        Taken::Cold => panic!("not in memory"),
    };
    let cases: [(&str, Vec<Option<AdapterHandle>>); 6] = [
        ("batch 1, base", vec![None]),
        ("batch 1, one adapter", vec![worn(0)]),
        ("batch 16, base", vec![None; 16]),
        ("batch 16, one adapter", (0..16).map(|_| worn(0)).collect()),
        ("batch 16, four adapters", (0..16).map(|i| worn(i % 4)).collect()),
        ("batch 16, 16 adapters", (0..16).map(worn).collect()),
    ];
    let mut found = vec![Vec::new(); cases.len()];
    for _ in 0..=rounds {
        for (found, (_, worn)) in found.iter_mut().zip(&cases) {
            found.push(decode(&engine, worn));
        }
    }
    let median = |list: &[f64]| {
        // The first round warms up.
        let mut list = list[1..].to_vec();
        list.sort_by(f64::total_cmp);
        (list[0], list[list.len() / 2], list[list.len() - 1])
    };
    for (i, ((name, _), list)) in cases.iter().zip(&found).enumerate() {
        let (least, middle, most) = median(list);
        let base = median(&found[if i < 2 { 0 } else { 2 }]).1;
        println!(
            "{name:24} {middle:7.3} ms a token ({least:.3} to {most:.3}), {:+.1} % of the base",
            (middle / base - 1.0) * 100.0
        );
    }
}
