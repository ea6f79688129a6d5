//! The scheduler with a model that is easy to foretell: the next token is a hash of all before it, read back from the
//! cache, so that a wrong block, a lost token or a wrong position changes the answer.

mod guesses;
mod mixture;
mod prefix;
mod same;
mod tiny;
mod turns;

use super::*;
use crate::adapter::AdapterHandle;
use crate::generation::FinishReason;
use crate::kv::{KvShape, PrefixChain, Salt};
use crate::model::StepError;
use crate::request::{GenerateRequest, Sampling};
use std::time::Instant;
use tidegate_core::clock::SystemClock;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const SHAPE: KvShape = KvShape { layers: 1, heads: 1, dim: 8 };

struct Fake {
    /// Tokens of each step, for looking at its shape.
    steps: std::sync::mpsc::Sender<Vec<usize>>,
    fails: bool,
    /// How many of the last tokens say what comes next: with few of them it soon repeats itself.
    memory: usize,
}

impl CausalModel for Fake {
    fn vocabulary(&self) -> usize {
        257
    }

    fn context_length(&self) -> usize {
        4096
    }

    fn kv_shape(&self) -> KvShape {
        SHAPE
    }

    fn step(&mut self, batch: &StepBatch, kv: &mut KvPool, out: &mut Logits) -> Result<(), StepError> {
        if self.fails {
            return Err(StepError("it broke".into()));
        }
        // Not every test looks.
        drop(self.steps.send(batch.sequences.iter().map(|s| s.tokens).collect()));
        (out.vocabulary, out.scores) = (257, Vec::new());
        let mut i = 0;
        for sequence in &batch.sequences {
            let worn = sequence.adapter.as_ref().map_or(0.0, |adapter| colour(adapter.generation()));
            for _ in 0..sequence.tokens {
                let at = batch.positions[i] as usize;
                let token = [batch.tokens[i] as f32 + worn; 8];
                kv.write(Isa::portable(), sequence.blocks[at / 32], 0, at % 32, &token, &token);
                if batch.wants_logits[i] {
                    let seen = ((at + 1).saturating_sub(self.memory)..=at)
                        .map(|p| kv.page(sequence.blocks[p / 32], 0, 0).1[p % 32 * 8]);
                    let hash = seen.fold(7u32, |h, v| (h.wrapping_mul(31) ^ u32::from(v)).wrapping_mul(2_654_435_761));
                    let mut row = vec![0.0; 257];
                    row[(97 + hash % 26) as usize] = 9.0;
                    row[(97 + hash / 26 % 26) as usize] += 8.5;
                    out.scores.extend(row);
                }
                i += 1;
            }
        }
        Ok(())
    }
}

/// What an adapter adds to all that the model writes into the cache, so that who gets another's block, or another's
/// adapter, answers otherwise. Half precision has such numbers without a loss.
fn colour(generation: &str) -> f32 {
    let first = u8::from_str_radix(&generation[..2], 16).unwrap();
    f32::from(u16::from(first % 6 + 1) * 257)
}

struct Bench<M> {
    scheduler: Scheduler<M>,
    steps: std::sync::mpsc::Receiver<Vec<usize>>,
}

fn bench(blocks: usize, max_batch: usize, step_tokens: usize) -> Bench<Fake> {
    forgetful(usize::MAX, blocks, Limits { max_batch, step_tokens, guesses: false })
}

fn forgetful(memory: usize, blocks: usize, limits: Limits) -> Bench<Fake> {
    let (sender, steps) = std::sync::mpsc::channel();
    Bench { steps, ..Bench::of(Fake { steps: sender, fails: false, memory }, blocks, limits) }
}

fn greedy(max_tokens: usize) -> GenerateRequest {
    let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
    GenerateRequest { max_tokens: Some(max_tokens), sampling, ..GenerateRequest::default() }
}

impl<M: CausalModel> Bench<M> {
    fn of(model: M, blocks: usize, limits: Limits) -> Self {
        let kv = KvPool::new(model.kv_shape(), model.kv_shape().block_bytes() * blocks);
        let vocabulary = Arc::new(Vocabulary::of_bytes());
        let steps = std::sync::mpsc::channel().1;
        Self { scheduler: Scheduler::new(model, vocabulary, Isa::detect(), kv, limits), steps }
    }

    fn step(&mut self) {
        self.scheduler.step(&SystemClock);
    }

    fn add(&mut self, prompt: &str, request: GenerateRequest) -> UnboundedReceiver<GenerationEvent> {
        let (events, receiver) = unbounded_channel();
        let tokens: Vec<u32> = prompt.bytes().map(u32::from).collect();
        let mut prefix = PrefixChain::new(Salt {
            tenant: request.tenant.as_ref().map(tidegate_core::Tenant::as_str),
            adapter: request.adapter.as_ref().map(AdapterHandle::generation),
        });
        prefix.cover(&tokens);
        self.scheduler.add(Job {
            caller: request.caller,
            tokens,
            max_tokens: request.max_tokens.unwrap_or(100),
            seed: request.sampling.seed.unwrap_or(1),
            echo: request.echo.then(|| prompt.to_owned()),
            prefix,
            since: Instant::now(),
            request,
            held: None,
            events,
            permit: None,
        });
        receiver
    }

    fn run(&mut self) {
        for _ in 0..100_000 {
            if self.scheduler.is_idle() {
                let (free, all) = (self.scheduler.kv.available(), self.scheduler.kv.capacity());
                return assert_eq!(free, all, "blocks were lost");
            }
            self.step();
        }
        panic!("the scheduler never ends");
    }
}

fn events(receiver: &mut UnboundedReceiver<GenerationEvent>) -> Vec<GenerationEvent> {
    std::iter::from_fn(|| receiver.try_recv().ok()).collect()
}

fn text(events: &[GenerationEvent], answer: usize) -> String {
    let part = |e: &GenerationEvent| match e {
        GenerationEvent::Text { index, text, .. } if *index == answer => Some(text.clone()),
        _ => None,
    };
    events.iter().filter_map(part).collect()
}

fn alone(prompt: &str, max_tokens: usize) -> String {
    let mut bench = bench(64, 1, 4096);
    let mut receiver = bench.add(prompt, greedy(max_tokens));
    bench.run();
    text(&events(&mut receiver), 0)
}

#[test]
fn answers_are_the_same_alone_together_in_pieces_and_when_robbed() {
    let prompts = ["a", "some longer prompt, longer than a block of thirty-two tokens", "b", "xyz"];
    let expected: Vec<String> = prompts.iter().map(|p| alone(p, 90)).collect();
    assert!(expected.iter().all(|e| e.len() == 90) && expected[0] != expected[2]);
    for (blocks, max_batch, step_tokens) in [(64, 4, 4096), (64, 4, 8), (64, 2, 3), (6, 4, 16), (5, 4, 7)] {
        let mut bench = bench(blocks, max_batch, step_tokens);
        let mut receivers: Vec<_> = prompts.iter().map(|p| bench.add(p, greedy(90))).collect();
        bench.run();
        for (receiver, expected) in receivers.iter_mut().zip(&expected) {
            assert_eq!(text(&events(receiver), 0), *expected, "{blocks} {max_batch} {step_tokens}");
        }
    }
}

#[test]
fn streams_go_on_together_token_by_token() {
    let mut bench = bench(64, 4, 64);
    let mut receivers: Vec<_> = ["a", "b", "c", "d"].iter().map(|p| bench.add(p, greedy(20))).collect();
    for step in 1..=10 {
        bench.step();
        for receiver in &mut receivers {
            assert_eq!(events(receiver).len(), if step == 1 { 2 } else { 1 });
        }
    }
    bench.run();
}

#[test]
fn a_long_prompt_does_not_hold_up_what_is_running() {
    let mut bench = bench(256, 4, 32);
    let mut first = bench.add("a", greedy(50));
    bench.step();
    events(&mut first);
    let _second = bench.add(&"long ".repeat(100), greedy(1));
    let _third = bench.add(&"more ".repeat(100), greedy(1));
    for _ in 0..10 {
        bench.step();
        assert_eq!(events(&mut first).len(), 1);
    }
    let shapes: Vec<Vec<usize>> = bench.steps.try_iter().skip(1).collect();
    assert!(shapes.iter().all(|s| s[0] == 1 && s.len() == 3 && s.iter().sum::<usize>() <= 17), "{shapes:?}");
}

#[test]
fn callers_take_turns_whatever_their_number_of_requests() {
    let mut bench = bench(64, 2, 64);
    let request = |caller| GenerateRequest { caller, ..greedy(4) };
    let mut busy: Vec<_> = (0..6).map(|_| bench.add("a", request(1))).collect();
    let mut rare = bench.add("b", request(2));
    bench.step();
    assert!(!events(&mut rare).is_empty(), "the rare caller must be among the first two");
    assert_eq!(busy.iter_mut().filter(|r| !r.is_empty()).count(), 1);
    bench.run();
}

#[test]
fn a_caller_that_leaves_frees_its_blocks_within_a_step() {
    let mut bench = bench(64, 1, 64);
    let receiver = bench.add("some prompt", greedy(90));
    let waits = bench.add("another", greedy(90));
    bench.step();
    assert!(bench.scheduler.kv.available() < 64);
    drop((receiver, waits));
    bench.step();
    assert!(bench.scheduler.is_idle());
    assert_eq!(bench.scheduler.kv.available(), 64);
    assert_eq!(bench.steps.try_iter().count(), 1, "nothing may be computed for those who left");
}

#[test]
fn several_answers_share_the_prompt_and_differ() {
    for blocks in [64, 6] {
        let mut bench = bench(blocks, 4, 64);
        let sampling = Sampling { temperature: 5.0, seed: Some(3), ..Sampling::default() };
        let request = GenerateRequest { n: 3, sampling, ..greedy(40) };
        let mut receiver = bench.add("a prompt of more than thirty-two tokens, shared", request);
        bench.run();
        let events = events(&mut receiver);
        let texts: Vec<String> = (0..3).map(|i| text(&events, i)).collect();
        assert!(texts[0] != texts[1] && texts[1] != texts[2], "{texts:?}");
        let ends = events.iter().filter(|e| matches!(e, GenerationEvent::Finished { .. })).count();
        assert_eq!(ends, 3);
        let prefill: usize = bench.steps.try_iter().filter(|s| s.iter().any(|n| *n > 1)).count();
        assert!(prefill == 1 || blocks < 64, "the prompt is computed once");
    }
}

#[test]
fn a_prompt_is_echoed_with_its_logprobs() {
    let prompt = "an echo of more than thirty-two tokens, please";
    let mut bench = bench(64, 2, 10);
    let mut other = bench.add("noise", greedy(30));
    let request = GenerateRequest { echo: true, logprobs: Some(2), ..greedy(0) };
    let mut receiver = bench.add(prompt, request);
    bench.run();
    assert_eq!(text(&events(&mut other), 0), alone("noise", 30));
    let events = events(&mut receiver);
    let GenerationEvent::Prompt { text, tokens } = &events[1] else { panic!("{events:?}") };
    assert_eq!((text.as_str(), tokens.len()), (prompt, prompt.len()));
    assert!(tokens[0].logprob.is_none() && tokens[1..].iter().all(|t| t.logprob.is_some() && t.top.len() == 2));
    // The likeliest token after a prefix is what the model says alone.
    assert_eq!(tokens[5].top[0].token, alone(&prompt[..5], 1));
    let end = GenerationEvent::Finished { index: 0, reason: FinishReason::Length, completion_tokens: 0 };
    assert_eq!(events.last(), Some(&end));
}

#[test]
fn nothing_wanted_is_nothing_computed() {
    let mut bench = bench(64, 2, 10);
    let mut receiver = bench.add("text", GenerateRequest { echo: true, ..greedy(0) });
    bench.run();
    assert_eq!(bench.steps.try_iter().count(), 0);
    let events = events(&mut receiver);
    assert!(matches!(&events[1], GenerationEvent::Prompt { text, tokens } if text == "text" && tokens.is_empty()));
    assert_eq!(events.len(), 3);
}

#[test]
fn how_sure_the_model_was_is_told_before_each_end_and_is_the_sum_of_the_log_probabilities() {
    let mut bench = bench(64, 4, 64);
    let sampling = Sampling { temperature: 3.0, seed: Some(3), ..Sampling::default() };
    let request = GenerateRequest { n: 2, sampling, sureness: true, logprobs: Some(0), ..greedy(30) };
    let mut receiver = bench.add("a prompt", request.clone());
    let mut plain = bench.add("a prompt", GenerateRequest { sureness: false, ..request });
    bench.run();
    let told = events(&mut receiver);
    let mut sums = [(0.0, 0); 2];
    let mut last = [None; 2];
    for event in &told {
        match event {
            GenerationEvent::Text { index, logprobs, .. } => {
                sums[*index].0 += logprobs.iter().map(|l| f64::from(l.logprob)).sum::<f64>();
                sums[*index].1 += logprobs.len() as u32;
            }
            GenerationEvent::Sureness { index, of } => last[*index] = Some(*of),
            GenerationEvent::Finished { index, .. } => {
                let sure = last[*index].expect("it is told before the end");
                assert_eq!((sure.tokens, sums[*index].1), (30, 30));
                assert!((sure.likelihood - sums[*index].0).abs() < 1e-3 && sure.entropy > 0.1, "{sure:?}");
            }
            _ => {}
        }
    }
    let others = events(&mut plain);
    assert!(!others.iter().any(|event| matches!(event, GenerationEvent::Sureness { .. })), "nobody asked");
    assert_eq!(
        (0..2).map(|i| text(&others, i)).collect::<Vec<_>>(),
        (0..2).map(|i| text(&told, i)).collect::<Vec<_>>()
    );
}

#[test]
fn stop_texts_end_the_answer_and_are_cut() {
    let whole = alone("a", 60);
    let stop = whole[20..23].to_owned();
    let mut bench = bench(64, 2, 10);
    let mut receiver = bench.add("a", GenerateRequest { stop: vec![stop.clone()], logprobs: Some(0), ..greedy(60) });
    bench.run();
    let events = events(&mut receiver);
    assert_eq!(text(&events, 0), whole[..whole.find(&stop).unwrap()]);
    assert!(matches!(events.last(), Some(GenerationEvent::Finished { reason: FinishReason::Stop, .. })));
}

#[test]
fn a_failed_step_fails_its_requests_and_leaves_nothing() {
    let mut bench = bench(64, 2, 10);
    bench.scheduler.model.fails = true;
    let mut receiver = bench.add("a", greedy(5));
    bench.run();
    assert!(matches!(events(&mut receiver).last(), Some(GenerationEvent::Failed(GenerateError::Step(_)))));
}
