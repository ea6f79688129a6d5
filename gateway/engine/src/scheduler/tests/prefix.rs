//! Prompts that begin alike: what is computed once, for whom, and until when.

use super::*;
use tidegate_core::Tenant;

fn cached(events: &[GenerationEvent]) -> usize {
    let started = events.iter().find_map(|e| match e {
        GenerationEvent::Started { cached_tokens, .. } => Some(*cached_tokens),
        _ => None,
    });
    started.expect("it was started")
}

fn of_tenant(name: &str, request: GenerateRequest) -> GenerateRequest {
    GenerateRequest { tenant: Some(name.parse::<Tenant>().unwrap()), ..request }
}

/// What was found of the prompt, and how many tokens were computed before the first of the answer.
fn asked(bench: &mut Bench<Fake>, prompt: &str, request: GenerateRequest) -> (usize, usize, String) {
    bench.steps.try_iter().count();
    let max = request.max_tokens.unwrap();
    let mut receiver = bench.add(prompt, request);
    bench.run();
    let computed: usize = bench.steps.try_iter().flatten().sum();
    let events = events(&mut receiver);
    (cached(&events), computed + 1 - max, text(&events, 0))
}

#[test]
fn a_beginning_is_computed_once_and_the_answers_are_the_same() {
    let long = "a system prompt that is some blocks long ".repeat(4);
    let mut bench = bench(64, 4, 4096);
    let mut ask = |prompt: &str| asked(&mut bench, prompt, greedy(10));
    assert_eq!(ask(&long), (0, long.len(), alone(&long, 10)));
    // Five full blocks; of a prompt that is there as a whole, the last token is computed, to know what comes next.
    assert_eq!((long.len(), ask(&long)), (164, (160, 4, alone(&long, 10))));
    assert_eq!(ask(&long[..128]), (127, 1, alone(&long[..128], 10)));
    assert_eq!(ask(&long[..96]), (95, 1, alone(&long[..96], 10)));
    let other = format!("{}, but it ends in another way, much later", &long[..100]);
    assert_eq!(ask(&other), (96, other.len() - 96, alone(&other, 10)));
    let unlike = format!("x{long}");
    assert_eq!(ask(&unlike), (0, unlike.len(), alone(&unlike, 10)));
    // The answer is a part of the next question.
    let next = format!("{long}{} and then?", alone(&long, 50));
    ask(&long);
    let found = ask(&next);
    assert_eq!((found.0, found.2), (160, alone(&next, 10)), "ten tokens of answer fill no block");
}

#[test]
fn an_answer_is_found_again_as_part_of_the_next_question() {
    let first = "what is said at first, some words";
    let mut bench = bench(64, 4, 4096);
    let (_, _, answer) = asked(&mut bench, first, greedy(80));
    let next = format!("{first}{answer} and then?");
    // The last token of an answer is not computed.
    let found = (first.len() + 79) / 32 * 32;
    assert_eq!(asked(&mut bench, &next, greedy(5)), (found, next.len() - found, alone(&next, 5)));
}

#[test]
fn tenants_never_share() {
    let long = "the same words of two tenants ".repeat(5);
    let mut bench = bench(64, 4, 4096);
    let mut ask = |request| asked(&mut bench, &long, request).0;
    assert_eq!(ask(of_tenant("a", greedy(5))), 0);
    assert_eq!(ask(of_tenant("b", greedy(5))), 0);
    assert_eq!(ask(greedy(5)), 0);
    assert_eq!(ask(of_tenant("a", GenerateRequest { caller: 7, ..greedy(5) })), 128, "callers of one tenant do");
    assert_eq!(ask(greedy(5)), 128, "and those of none");
}

#[test]
fn what_is_kept_goes_when_the_room_is_needed_the_oldest_first() {
    // Eight blocks; each prompt has three full ones and one for the rest.
    let prompt = |c: &str| c.repeat(100);
    let mut bench = bench(8, 4, 4096);
    let mut ask = |c: &str| asked(&mut bench, &prompt(c), greedy(5)).0;
    assert_eq!([ask("a"), ask("b"), ask("a"), ask("b")], [0, 0, 96, 96]);
    assert_eq!([ask("c"), ask("b")], [0, 96], "the newer ones stay");
    assert_eq!(ask("a"), 32, "of the oldest the beginning is left");
    assert_eq!(bench.scheduler.report().0.cached_tokens, 3 * 96 + 32);
}

#[test]
fn prompts_that_come_together_hold_one_block_for_what_is_alike() {
    let long = "words that several callers say at the same time, ".repeat(4);
    let mut bench = bench(64, 4, 4096);
    let mut receivers: Vec<_> = (0..4).map(|_| bench.add(&long, greedy(3))).collect();
    bench.step();
    let held = bench.scheduler.report().0.blocks_held;
    assert_eq!(held, long.len() / 32 + 4, "the full blocks once, and each its own last one");
    bench.run();
    assert!(receivers.iter_mut().all(|r| text(&events(r), 0) == alone(&long, 3)));
}

#[test]
fn a_prompt_whose_scores_are_wanted_is_computed_whole() {
    let long = "an echo of more than thirty-two tokens, please, and again".repeat(2);
    let mut bench = bench(64, 2, 4096);
    asked(&mut bench, &long, greedy(5));
    let request = GenerateRequest { echo: true, logprobs: Some(1), ..greedy(0) };
    let mut receiver = bench.add(&long, request);
    bench.run();
    let events = events(&mut receiver);
    assert_eq!(cached(&events), 0);
    assert!(matches!(&events[1], GenerationEvent::Prompt { tokens, .. } if tokens.len() == long.len()));
}

#[test]
fn who_was_robbed_goes_on_from_what_is_kept() {
    let prompts = ["one that came first".repeat(4), "another one that came later".repeat(4)];
    let mut bench = bench(9, 4, 4096);
    let mut receivers = prompts.each_ref().map(|p| bench.add(p, greedy(70)));
    bench.run();
    assert!(bench.scheduler.report().0.preemptions > 0);
    for (receiver, prompt) in receivers.iter_mut().zip(&prompts) {
        assert_eq!(text(&events(receiver), 0), alone(prompt, 70));
    }
    let computed: usize = bench.steps.try_iter().flatten().sum();
    let once: usize = prompts.iter().map(|p| p.len() + 69).sum();
    assert!(computed < once + prompts[1].len(), "{computed} computed for {once}");
}
