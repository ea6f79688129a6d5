//! The engine's thread: full queues, stopping, failing. With a model that waits to be let on.

mod rest;

use super::*;
use crate::error::GenerateError;
use crate::generation::GenerationEvent;
use crate::kv::KvShape;
use crate::model::{Logits, StepBatch, StepError};
use std::sync::mpsc::Receiver;

/// Steps once for each message; panics at a `false`.
struct Gated(Arc<Mutex<Receiver<bool>>>);

impl CausalModel for Gated {
    fn vocabulary(&self) -> usize {
        257
    }

    fn context_length(&self) -> usize {
        64
    }

    fn kv_shape(&self) -> KvShape {
        KvShape { layers: 1, heads: 1, dim: 8 }
    }

    fn step(&mut self, batch: &StepBatch, _: &mut KvPool, out: &mut Logits) -> Result<(), StepError> {
        let is_well = self.0.lock().unwrap().recv().unwrap_or(true);
        assert!(is_well, "told to panic");
        let rows = batch.wants_logits.iter().filter(|w| **w).count();
        (out.vocabulary, out.scores) = (257, vec![0.0; 257 * rows]);
        Ok(())
    }
}

fn engine(queue_len: usize, max_batch: usize) -> (Engine, Sender<bool>) {
    let options = EngineOptions { queue_len, max_batch, kv_cache_bytes: 1 << 20, ..EngineOptions::new("") };
    engine_of(&options, |_| Ok(()))
}

/// One whose model can be made again where `may` says so, which hears how often that was.
fn engine_of(
    options: &EngineOptions,
    may: impl Fn(usize) -> Result<(), LoadError> + Send + 'static,
) -> (Engine, Sender<bool>) {
    let (gate, inbox) = channel();
    let inbox = Arc::new(Mutex::new(inbox));
    let share = options.memory.as_ref().map(|claim| claim.take().unwrap());
    let (model, mut times) = (Gated(Arc::clone(&inbox)), 0);
    let again = move || {
        times += 1;
        may(times).map(|()| Gated(Arc::clone(&inbox)))
    };
    let words = (Vocabulary::of_bytes(), None);
    (Engine::start((model, share), again, words, Isa::detect(), options).unwrap(), gate)
}

fn text(words: &str) -> GenerateRequest {
    GenerateRequest { prompt: Prompt::Text(words.into()), max_tokens: Some(3), ..GenerateRequest::default() }
}

#[test]
fn a_full_queue_is_said_and_opens_again() {
    let (engine, gate) = engine(1, 1);
    let mut first = engine.submit(text("a")).unwrap();
    assert!(matches!(first.blocking_next(), Some(GenerationEvent::Started { prompt_tokens: 1, .. })));
    let mut second = engine.submit(text("b")).unwrap();
    assert!(matches!(engine.submit(text("c")).unwrap_err(), SubmitError::QueueFull { waiting: 1, .. }));
    drop(gate);
    while second.blocking_next().is_some() {}
    assert_eq!(engine.waiting(), 0);
    assert!(engine.submit(text("c")).is_ok());
}

#[test]
fn what_cannot_be_is_refused_at_once() {
    let (engine, _gate) = engine(8, 1);
    let long = SubmitError::PromptTooLong { tokens: 64, at_least: false, limit: 63 };
    assert_eq!(engine.submit(text(&"x".repeat(64))).unwrap_err(), long);
    assert!(matches!(
        engine.submit(text(&"x".repeat(100_000))),
        Err(SubmitError::PromptTooLong { at_least: true, .. })
    ));
    let chat = GenerateRequest { prompt: Prompt::Chat(Vec::new()), ..text("") };
    assert_eq!(engine.submit(chat).unwrap_err(), SubmitError::NoTemplate);
    let unknown = GenerateRequest { prompt: Prompt::Tokens(vec![257]), ..text("") };
    assert!(matches!(engine.submit(unknown), Err(SubmitError::Invalid { field: "prompt", .. })));
    let none = GenerateRequest { n: 0, ..text("a") };
    assert!(matches!(engine.submit(none), Err(SubmitError::Invalid { field: "n", .. })));
    assert_eq!(engine.waiting(), 0, "refused requests must not keep their places");
}

#[test]
fn a_dropped_engine_ends_its_answers_as_failed() {
    let (engine, gate) = engine(8, 1);
    let mut running = engine.submit(text("a")).unwrap();
    running.blocking_next();
    gate.send(true).unwrap();
    drop(gate);
    drop(engine);
    let last = std::iter::from_fn(|| running.blocking_next()).last().unwrap();
    assert!(matches!(last, GenerationEvent::Failed(GenerateError::Stopped) | GenerationEvent::Finished { .. }));
}

#[test]
fn a_panic_is_a_failure_not_a_silence() {
    let (engine, gate) = engine(8, 1);
    let mut running = engine.submit(text("a")).unwrap();
    gate.send(false).unwrap();
    let last = std::iter::from_fn(|| running.blocking_next()).last().unwrap();
    assert_eq!(last, GenerationEvent::Failed(GenerateError::Stopped));
    while engine.is_running() {
        std::thread::yield_now();
    }
    assert_eq!(engine.submit(text("b")).unwrap_err(), SubmitError::Stopped);
}
