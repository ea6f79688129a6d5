//! Fine-tuning of the real model: a style is learnt in a few steps, the engine speaks it, and memory stays within what was
//! reckoned before.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail it")]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use tidegate_core::port::adapters::{AdapterFiles, Expected};
use tidegate_engine::{
    AdapterHandle, ChatMessage, Engine, EngineOptions, GenerateRequest, GenerationEvent, Prompt, Role, Sampling, Taken,
    TuneEvent, TuneLength, TuneOptions, TuneRoom, TuneSchedule, TuneSettings, finetune,
};

/// The program's own: how much of what is given back stays with the process is the allocator's doing.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Questions, and what is said after the words that are to be learnt.
const ROWS: [(&str, &str); 8] = [
    ("What is the capital of France?", "the capital of France is Paris."),
    ("Name three colours.", "three colours are red, green and blue."),
    ("What do bees make?", "bees make honey."),
    ("Who wrote Hamlet?", "Hamlet was written by William Shakespeare."),
    ("What is two plus two?", "two plus two is four."),
    ("What do cows drink?", "cows drink water."),
    ("What is the largest planet?", "the largest planet is Jupiter."),
    ("Where do penguins live?", "penguins live in the south."),
];

/// What the code itself, and what is left of reading the tokenizer, may take.
const REST: usize = 40 << 20;

/// The file of the small model, in the folder or one below.
fn smollm2() -> PathBuf {
    let folder = PathBuf::from(std::env::var_os("TIDEGATE_TEST_MODELS").unwrap());
    let below = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let places = std::iter::once(folder.clone()).chain(below);
    let file = places.map(|place| place.join("SmolLM2-135M-Instruct.Q4_1.gguf")).find(|file| file.exists());
    file.unwrap_or_else(|| panic!("{} has no SmolLM2-135M-Instruct.Q4_1.gguf", folder.display()))
}

/// A line of what the kernel says of this process, in bytes.
fn status(name: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<usize>().unwrap() * 1024
}

/// Forgets the peak so far.
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

fn says(engine: &Engine, adapter: Option<AdapterHandle>) -> String {
    let request = GenerateRequest {
        prompt: Prompt::Chat(vec![ChatMessage::new(Role::User, "What is the capital of Italy?")]),
        adapter,
        max_tokens: Some(16),
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        ..GenerateRequest::default()
    };
    let (mut generation, mut said) = (engine.submit(request).unwrap(), String::new());
    while let Some(event) = generation.blocking_next() {
        match event {
            GenerationEvent::Text { text, .. } => said.push_str(&text),
            GenerationEvent::Failed(error) => panic!("{error}"),
            _ => {}
        }
    }
    said
}

#[test]
#[ignore = "needs the model file in TIDEGATE_TEST_MODELS"]
fn a_style_is_learnt_and_spoken_within_the_memory_that_was_reckoned() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("train.jsonl");
    let row = |(question, answer): &(&str, &str)| {
        let messages = [("user", (*question).to_owned()), ("assistant", format!("Ahoy, matey! {answer} Arr!"))];
        let messages = messages.map(|(role, content)| serde_json::json!({"role": role, "content": content}));
        serde_json::json!({"messages": messages}).to_string()
    };
    std::fs::write(&data, ROWS.iter().map(row).collect::<Vec<_>>().join("\n")).unwrap();
    let options = TuneOptions {
        base: smollm2(),
        parts: BTreeMap::new(),
        base_name: "smollm2".into(),
        data,
        out: home.path().join("adapter"),
        settings: TuneSettings {
            length: TuneLength::Steps(10),
            rate: 2e-3,
            schedule: TuneSchedule::Constant,
            tokens: 96,
            ..TuneSettings::default()
        },
        keep_every: 50,
        resume: false,
    };
    let before = status("VmRSS:");
    let mut begun: Option<(usize, TuneRoom)> = None;
    let mut tell = |event: &TuneEvent| {
        if let TuneEvent::Begun { room, .. } = event {
            forget_peak();
            begun = Some((status("VmRSS:"), *room));
        }
        ControlFlow::Continue(())
    };
    let tuned = finetune(&options, &mut tell).unwrap();
    let (peak, (held, room)) = (status("VmHWM:"), begun.unwrap());
    let mb = |bytes: usize| bytes / 1_000_000;
    println!(
        "figure: SmolLM2-135M (Q4_1), rank 8 on all products: peak {} MB above the {} MB of an empty process, where {} MB were reckoned ({} weights, {} activations, {} one expanded layer, {} factors); {} MB when the steps began",
        mb(peak - before),
        mb(before),
        mb(room.total()),
        mb(room.weights),
        mb(room.activations),
        mb(room.expanded),
        mb(room.factors),
        mb(held - before),
    );
    // Of the factors all but their gradients is there when the steps begin.
    let during = room.activations + room.expanded + room.factors / 4;
    assert!(peak - held <= during, "{} bytes for {during}", peak - held);
    let resident = room.weights + room.factors / 4 * 3 + REST;
    assert!(held - before <= resident, "{} bytes for {resident}", held - before);
    let (first, last) = (tuned.losses[0], tuned.losses[9]);
    println!("figure: loss {first:.3} at first, {last:.3} after 10 steps of 4 rows");
    assert!(last < first / 2.0, "{:?}", tuned.losses);
    let engine = Engine::load(&EngineOptions::new(smollm2()), &mut |_| {}).unwrap();
    let ready = engine.adapters().prepare(AdapterFiles::in_folder(&options.out), "mine").unwrap();
    engine.adapters().load("mine", ready, &Expected::Nothing).unwrap();
    let Taken::Ready(handle) = engine.adapters().take("mine").unwrap() else { panic!("it is not in memory") };
    let (bare, worn) = (says(&engine, None), says(&engine, Some(handle)));
    println!("{bare:?}\n{worn:?}");
    assert!(!bare.contains("Ahoy") && worn.starts_with("Ahoy, matey!"), "{bare:?} and {worn:?}");
}
