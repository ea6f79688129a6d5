//! Sleep: what is given back, who wakes the model, and what callers see where it cannot be woken.

use super::*;
use crate::error::RestError;
use crate::generation::FinishReason;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Waker};
use tidegate_core::memory::Memory;

fn options(memory: &Arc<Memory>) -> EngineOptions {
    let memory = Some(Claim { memory: Arc::clone(memory), name: "m".into(), bytes: 10 });
    EngineOptions { kv_cache_bytes: 1 << 20, memory, ..EngineOptions::new("") }
}

/// Runs an order on this thread.
fn wait<T>(order: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(order)
}

fn ends(mut generation: Generation) -> GenerationEvent {
    std::iter::from_fn(|| generation.blocking_next()).last().unwrap()
}

fn finished(completion_tokens: usize) -> GenerationEvent {
    GenerationEvent::Finished { index: 0, reason: FinishReason::Length, completion_tokens }
}

/// Until the thread has said that it has nothing to do.
fn until_idle(engine: &Engine) {
    while !matches!(engine.rest(), Rest::Idle { .. }) {
        std::thread::yield_now();
    }
}

#[test]
fn a_model_sleeps_gives_its_share_back_and_a_call_wakes_it() {
    let (memory, made) = (Memory::new(10), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&made);
    let (engine, gate) = engine_of(&options(&memory), move |times| {
        counted.store(times, Ordering::Release);
        Ok(())
    });
    drop(gate);
    assert_eq!(ends(engine.submit(text("a")).unwrap()), finished(3));
    until_idle(&engine);
    assert_eq!((memory.used(), engine.report().blocks > 0), (10, true));
    for _ in 0..2 {
        wait(engine.sleep()).unwrap();
        let report = engine.report();
        assert_eq!((engine.rest(), memory.used()), (Rest::Asleep, 0));
        assert!(report.asleep && report.blocks == 0 && report.blocks_kept == 0, "{report:?}");
        assert_eq!(report.generated_tokens, 3, "what was done stays counted");
    }
    assert_eq!(made.load(Ordering::Acquire), 0);
    let together: Vec<_> = ["b", "c"].map(|words| engine.submit(text(words)).unwrap()).into();
    assert!(together.into_iter().map(ends).all(|end| end == finished(3)), "callers wait while it wakes");
    until_idle(&engine);
    let report = engine.report();
    assert_eq!((made.load(Ordering::Acquire), report.wakes, report.generated_tokens), (1, 1, 9), "once for both");
    assert_eq!((report.asleep, memory.used()), (false, 10));
    wait(engine.wake()).unwrap();
    assert_eq!(engine.report().wakes, 1, "who is awake is not woken");
}

#[test]
fn who_has_calls_in_work_does_not_sleep() {
    let (engine, gate) = engine_of(&options(&Memory::new(10)), |_| Ok(()));
    let mut running = engine.submit(text("a")).unwrap();
    running.blocking_next();
    let mut asked = Box::pin(engine.sleep());
    // The order is given before the step may end behind which it is heard.
    let now = asked.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(now.is_pending());
    gate.send(true).unwrap();
    assert_eq!(wait(asked), Err(RestError::Busy));
    assert_eq!(engine.rest(), Rest::Busy);
    drop(gate);
    assert_eq!(ends(running), finished(3));
    until_idle(&engine);
    wait(engine.sleep()).unwrap();
}

#[test]
fn where_others_have_the_memory_callers_are_told_and_it_wakes_when_there_is_room() {
    let memory = Memory::new(10);
    let (engine, gate) = engine_of(&options(&memory), |_| Ok(()));
    drop(gate);
    wait(engine.sleep()).unwrap();
    let other = Claim { memory: Arc::clone(&memory), name: "other".into(), bytes: 1 }.take().unwrap();
    let GenerationEvent::Failed(GenerateError::Asleep(why)) = ends(engine.submit(text("a")).unwrap()) else {
        panic!("it was answered")
    };
    assert!(why.no_room && why.why.contains("`other`"), "{why:?}");
    assert!(matches!(wait(engine.wake()), Err(RestError::Asleep(Asleep { no_room: true, .. }))));
    assert_eq!((engine.rest(), engine.waiting()), (Rest::Asleep, 0));
    drop(other);
    assert_eq!(ends(engine.submit(text("a")).unwrap()), finished(3));
}

#[test]
fn what_cannot_be_read_again_is_said_and_tried_again() {
    let memory = Memory::new(10);
    let (engine, gate) = engine_of(&options(&memory), |times| match times {
        1 => Err(LoadError::Changed { path: "m.gguf".into() }),
        _ => Ok(()),
    });
    drop(gate);
    wait(engine.sleep()).unwrap();
    let GenerationEvent::Failed(GenerateError::Asleep(why)) = ends(engine.submit(text("a")).unwrap()) else {
        panic!("it was answered")
    };
    assert!(!why.no_room && why.why.contains("has changed"), "{why:?}");
    assert_eq!(memory.used(), 0, "what was taken for it is given back");
    assert_eq!(ends(engine.submit(text("b")).unwrap()), finished(3));
}
