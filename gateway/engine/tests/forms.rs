//! Answers of the real small model held to forms. Ignored by default, as in `real.rs`:
//! `TIDEGATE_TEST_MODELS=… cargo test --release -p tidegate-engine --test forms -- --ignored --nocapture`.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's helpers may fail it")]

use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;
use tidegate_engine::{
    ChatMessage, Constraint, Engine, EngineOptions, FinishReason, GenerateRequest, Generation, GenerationEvent, Prompt,
    Role, Sampling, Tool, ToolChoice, ToolUse,
};

fn load(change: impl FnOnce(&mut EngineOptions)) -> Engine {
    let folder =
        std::env::var_os("TIDEGATE_TEST_MODELS").expect("set TIDEGATE_TEST_MODELS to the folder of the models");
    let folder = PathBuf::from(folder);
    let name = "SmolLM2-135M-Instruct.Q4_1.gguf";
    // As `pull` lays them out, or flat.
    let below = std::fs::read_dir(&folder).unwrap().filter_map(|entry| Some(entry.ok()?.path().join(name)));
    let path = std::iter::once(folder.join(name)).chain(below).find(|path| path.exists()).expect("the model is there");
    let mut options = EngineOptions::new(path);
    change(&mut options);
    Engine::load(&options, &mut |_| {}).unwrap()
}

fn ask(words: &str, constraint: Constraint, seed: Option<u64>) -> GenerateRequest {
    let temperature = if seed.is_some() { 1.0 } else { 0.0 };
    GenerateRequest {
        prompt: Prompt::Chat(vec![ChatMessage::new(Role::User, words)]),
        max_tokens: Some(500),
        sampling: Sampling { temperature, seed, ..Sampling::default() },
        constraint: Some(constraint),
        ..GenerateRequest::default()
    }
}

/// The text, why it ended, and its tokens.
fn collect(mut generation: Generation) -> (String, FinishReason, usize) {
    let mut text = String::new();
    while let Some(event) = generation.blocking_next() {
        match event {
            GenerationEvent::Text { text: more, .. } => text.push_str(&more),
            GenerationEvent::Finished { reason, completion_tokens, .. } => return (text, reason, completion_tokens),
            GenerationEvent::Failed(error) => panic!("{error}: {text}"),
            _ => {}
        }
    }
    panic!("no end")
}

fn schemas() -> Vec<Value> {
    serde_json::from_str(include_str!("schemas.json")).unwrap()
}

#[test]
#[ignore = "needs the model files in TIDEGATE_TEST_MODELS"]
fn every_schema_gives_valid_answers_greedy_and_drawn() {
    let engine = load(|_| {});
    let (mut done, mut valid, mut cut) = (0, 0, Vec::new());
    let all = schemas();
    for (number, schema) in all.iter().enumerate() {
        let checker = jsonschema::options().should_validate_formats(true).build(schema).unwrap();
        let words = format!("Answer in JSON of this schema: {schema}");
        for seed in [None, Some(1), Some(2), Some(3)] {
            let request = ask(&words, Constraint::JsonSchema(schema.clone()), seed);
            let (text, reason, _) = collect(engine.submit(request).unwrap());
            if reason == FinishReason::Length {
                cut.push((number, seed));
                continue;
            }
            done += 1;
            let answer: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{schema}: {e}: {text}"));
            assert!(checker.is_valid(&answer), "{schema}: {text}");
            valid += 1;
            if seed.is_none() {
                println!("{number}: {text}");
            }
        }
    }
    println!("{valid} valid of {done} that came to their end; cut by max_tokens: {cut:?} of {}", all.len() * 4);
    assert_eq!(valid, done);
    assert!(cut.len() * 10 <= all.len() * 4, "too many answers never end: {cut:?}");
}

#[test]
#[ignore = "needs the model files in TIDEGATE_TEST_MODELS"]
fn answers_of_a_form_are_the_same_alone_and_together() {
    let schemas: Vec<Value> = schemas().into_iter().take(8).collect();
    let request = |i: usize| {
        let words = format!("Give an example of this: {}", schemas[i]);
        ask(&words, Constraint::JsonSchema(schemas[i].clone()), (i % 2 == 1).then_some(7))
    };
    let single = load(|o| (o.max_batch, o.threads) = (1, 1));
    let expected: Vec<_> = (0..8).map(|i| collect(single.submit(request(i)).unwrap())).collect();
    drop(single);
    for (max_batch, step_tokens, threads, megabytes) in [(8, 128, 1, 256), (8, 24, 2, 256), (3, 7, 1, 9)] {
        let engine = load(|o| {
            (o.max_batch, o.step_tokens, o.threads) = (max_batch, step_tokens, threads);
            o.kv_cache_bytes = megabytes << 20;
        });
        let all: Vec<_> = (0..8).map(|i| engine.submit(request(i)).unwrap()).collect();
        for (generation, expected) in all.into_iter().zip(&expected) {
            assert_eq!(collect(generation), *expected);
        }
    }
}

#[test]
#[ignore = "needs the model files in TIDEGATE_TEST_MODELS"]
fn a_tool_is_called_with_valid_arguments() {
    let engine = load(|_| {});
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}}, "required": ["city"], "additionalProperties": false});
    let definition = json!({"type": "function", "function": {"name": "get_weather", "description": "Current weather of a city", "parameters": parameters}});
    let tool = Tool { name: "get_weather".into(), parameters: Some(parameters.clone()), definition };
    for choice in [ToolChoice::Required, ToolChoice::Named("get_weather".into()), ToolChoice::Auto] {
        let auto = choice == ToolChoice::Auto;
        let mut request = ask("What is the weather in Rome?", Constraint::JsonObject, None);
        request.constraint = None;
        request.tools = Some(ToolUse { tools: vec![tool.clone()], choice: choice.clone(), parallel: false });
        let (text, reason, tokens) = collect(engine.submit(request).unwrap());
        println!("{choice:?}: {text:?} {reason:?} {tokens}");
        if auto && !text.contains("<tool_call>") {
            continue;
        }
        let call = text.split("\"arguments\": ").nth(1).unwrap().strip_suffix("}\n</tool_call>").unwrap();
        assert!(jsonschema::is_valid(&parameters, &serde_json::from_str(call).unwrap()), "{text}");
    }
}

#[test]
#[ignore = "needs the model files in TIDEGATE_TEST_MODELS"]
fn what_forms_cost_is_told() {
    let engine = load(|o| o.threads = 1);
    let free = |seed| GenerateRequest {
        constraint: None,
        max_tokens: Some(100),
        ..ask("Write a long story.", Constraint::JsonObject, Some(seed))
    };
    let long = json!({"type": "object", "properties": {"story": {"type": "string", "minLength": 2000}}, "required": ["story"]});
    let held = |seed| GenerateRequest {
        max_tokens: Some(100),
        ..ask("Write a long story.", Constraint::JsonSchema(long.clone()), Some(seed))
    };
    let begun = Instant::now();
    collect(engine.submit(held(0)).unwrap());
    let first = begun.elapsed();
    let mut best = [f64::MAX; 2];
    for seed in 1..=5 {
        for (i, request) in [free(seed), held(seed)].into_iter().enumerate() {
            let begun = Instant::now();
            let (_, _, tokens) = collect(engine.submit(request).unwrap());
            best[i] = best[i].min(begun.elapsed().as_secs_f64() * 1e3 / tokens as f64);
        }
    }
    println!(
        "ms a token: {:.3} free, {:.3} held ({:+.1} %); the first form of a model: {first:?}",
        best[0],
        best[1],
        (best[1] / best[0] - 1.0) * 100.0
    );
}
