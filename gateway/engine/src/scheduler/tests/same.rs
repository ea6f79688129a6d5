//! The same tokens, whatever else happens: any step size, any company, robbed or not, found in the cache or computed,
//! guessed or not; likeliest tokens and drawn ones. Tokens and their log-probabilities are compared bit for bit.

use super::tiny::Tiny;
use super::*;
use proptest::prelude::*;
use tidegate_core::spec::Priority;

/// A call of the mixture.
#[derive(Debug, Clone)]
struct Ask {
    prompt: String,
    request: GenerateRequest,
    /// The step before which it comes.
    joins: usize,
}

/// Tokens and bits of log-probabilities of each answer.
type Answers = Vec<Vec<(u32, u32)>>;

fn answers(receiver: &mut UnboundedReceiver<GenerationEvent>, n: usize) -> Answers {
    let mut all = vec![Vec::new(); n];
    let mut ends = 0;
    for event in events(receiver) {
        match event {
            GenerationEvent::Text { index, logprobs, .. } => {
                all[index].extend(logprobs.iter().map(|l| (l.id, l.logprob.to_bits())));
            }
            GenerationEvent::Finished { .. } => ends += 1,
            GenerationEvent::Failed(error) => panic!("{error}"),
            _ => {}
        }
    }
    assert_eq!(ends, n);
    all
}

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let beginnings =
        ["", "a beginning of more than one block, shared", "another one, longer, so that it fills some blocks"];
    let ask =
        (0..3usize, 0..3usize, "[a-z ]{1,50}", 1..4usize, 1..40usize, any::<(bool, u64)>(), 0..4usize, 0..40usize);
    let ask = ask.prop_map(move |(beginning, times, end, n, most, (drawn, seed), priority, joins)| {
        let temperature = if drawn { 3.0 } else { 0.0 };
        let sampling = Sampling { temperature, seed: Some(seed), ..Sampling::default() };
        let priority = Priority::ALL[priority];
        let caller = seed % 3;
        let request = GenerateRequest { n, sampling, priority, caller, logprobs: Some(0), ..greedy(most) };
        Ask { prompt: beginnings[beginning].repeat(times) + &end, request, joins }
    });
    proptest::collection::vec(ask, 1..6)
}

/// Sizes of steps and of the cache; one answer alone always fits.
fn sizes() -> impl Strategy<Value = (Limits, usize)> {
    (1..6usize, 2..200usize, any::<bool>(), 8..40usize)
        .prop_map(|(max_batch, step_tokens, guesses, blocks)| (Limits { max_batch, step_tokens, guesses }, blocks))
}

fn alone<M: CausalModel>(model: M, ask: &Ask) -> Answers {
    let mut bench = Bench::of(model, 64, Limits { max_batch: 1, step_tokens: 4096, guesses: false });
    let mut receiver = bench.add(&ask.prompt, ask.request.clone());
    bench.run();
    answers(&mut receiver, ask.request.n)
}

/// All of them, twice: the second time much of it is in the cache.
fn together<M: CausalModel>(model: M, asks: &[Ask], limits: Limits, blocks: usize) -> [Vec<Answers>; 2] {
    let mut bench = Bench::of(model, blocks, limits);
    [0, 1].map(|_| {
        let mut receivers: Vec<_> = asks.iter().map(|_| None).collect();
        for step in 0..=40 {
            for (ask, receiver) in asks.iter().zip(&mut receivers).filter(|(ask, _)| ask.joins == step) {
                *receiver = Some(bench.add(&ask.prompt, ask.request.clone()));
            }
            bench.step();
        }
        bench.run();
        let each = asks.iter().zip(&mut receivers);
        each.map(|(ask, receiver)| answers(receiver.as_mut().unwrap(), ask.request.n)).collect()
    })
}

fn fake() -> Fake {
    let (steps, _) = std::sync::mpsc::channel();
    Fake { steps, fails: false, memory: usize::MAX }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_know_nothing_of_their_company((asks, (limits, blocks)) in (asks(), sizes())) {
        let expected: Vec<Answers> = asks.iter().map(|ask| alone(fake(), ask)).collect();
        for got in together(fake(), &asks, limits, blocks) {
            prop_assert_eq!(&got, &expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_of_a_real_model_know_nothing_of_their_company((asks, (limits, blocks)) in (asks(), sizes())) {
        let tiny = Tiny::new();
        let expected: Vec<Answers> = asks.iter().map(|ask| alone(tiny.load(), ask)).collect();
        for got in together(tiny.load(), &asks, limits, blocks) {
            prop_assert_eq!(&got, &expected);
        }
    }
}

#[test]
fn the_tiny_model_says_different_things() {
    let tiny = Tiny::new();
    let request = GenerateRequest { logprobs: Some(0), ..greedy(30) };
    let of =
        |prompt: &str| alone(tiny.load(), &Ask { prompt: prompt.into(), request: request.clone(), joins: 0 }).remove(0);
    let (a, b) = (of("a prompt"), of("b prompt"));
    assert_ne!(a, b);
    let kinds = a.iter().chain(&b).map(|(id, _)| id).collect::<std::collections::HashSet<_>>();
    assert!(kinds.len() > 5, "too dull to tell faults by: {a:?} {b:?}");
}
