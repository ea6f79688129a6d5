//! Whose turn it is: priorities, deadlines, and who is robbed.

use super::*;
use std::time::{Duration, SystemTime};
use tidegate_core::Clock;
use tidegate_core::clock::ManualClock;
use tidegate_core::spec::Priority;

fn of(priority: Priority, caller: u64, tokens: usize) -> GenerateRequest {
    GenerateRequest { priority, caller, ..greedy(tokens) }
}

/// Which of them have begun.
fn begun(receivers: &[UnboundedReceiver<GenerationEvent>]) -> Vec<bool> {
    receivers.iter().map(|r| !r.is_empty()).collect()
}

#[test]
fn a_higher_priority_comes_first_whoever_asks() {
    use Priority::{Background, High, Low, Normal};
    let mut bench = bench(64, 1, 64);
    let asked = [Background, Low, Normal, High, High, Normal, Low, Background];
    let mut receivers: Vec<_> = asked.iter().zip(1..).map(|(p, caller)| bench.add("a", of(*p, caller, 1))).collect();
    let mut order = Vec::new();
    while !bench.scheduler.is_idle() {
        bench.step();
        let ended = receivers.iter_mut().enumerate().filter(|(_, r)| !r.is_empty());
        order.extend(ended.map(|(i, r)| (events(r).len(), i)).map(|(_, i)| i));
    }
    assert_eq!(order, [3, 4, 2, 5, 1, 6, 0, 7]);
}

#[test]
fn who_is_more_urgent_takes_the_place_of_who_is_less_and_both_answers_are_right() {
    for (blocks, max_batch) in [(64, 2), (7, 4)] {
        let mut bench = bench(blocks, max_batch, 64);
        let prompts = ["a prompt of the background", "another one of it", "and one that somebody waits for"];
        let mut receivers: Vec<_> =
            prompts[..2].iter().map(|p| bench.add(p, of(Priority::Background, 0, 60))).collect();
        bench.step();
        receivers.push(bench.add(&prompts[2].repeat(3), of(Priority::Normal, 1, 20)));
        bench.step();
        assert!(!receivers[2].is_empty(), "{blocks} {max_batch}: it has to wait");
        bench.run();
        assert!(bench.scheduler.report().0.preemptions > 0);
        for (i, prompt) in prompts[..2].iter().enumerate() {
            assert_eq!(text(&events(&mut receivers[i]), 0), alone(prompt, 60));
        }
        assert_eq!(text(&events(&mut receivers[2]), 0), alone(&prompts[2].repeat(3), 20));
    }
}

#[test]
fn equals_do_not_rob_each_other_for_a_turn() {
    let mut bench = bench(64, 1, 64);
    let first = bench.add("a", of(Priority::Normal, 1, 30));
    bench.step();
    let second = bench.add("b", of(Priority::Normal, 2, 30));
    bench.step();
    assert_eq!(begun(&[first, second]), [true, false]);
}

#[test]
fn nobody_is_robbed_for_one_who_does_not_fit_even_then() {
    let mut bench = bench(8, 4, 4096);
    let high = bench.add(&"x".repeat(150), of(Priority::High, 1, 20));
    let low = bench.add("a", of(Priority::Low, 2, 20));
    bench.step();
    let long = bench.add(&"y".repeat(150), of(Priority::Normal, 3, 20));
    bench.step();
    assert_eq!(begun(&[high, low, long]), [true, true, false]);
    assert_eq!(bench.scheduler.report().0.preemptions, 0);
}

#[test]
fn who_waited_too_long_is_told_and_nothing_is_computed_for_him() {
    let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    let mut bench = bench(64, 1, 64);
    let due = |seconds| clock.now().checked_add(Duration::from_secs(seconds));
    let running = bench.add("a", GenerateRequest { deadline: due(1), ..greedy(3) });
    bench.scheduler.step(&clock);
    let mut late = bench.add("some longer prompt", GenerateRequest { deadline: due(5), ..greedy(3) });
    let patient = bench.add("b", GenerateRequest { deadline: due(50), ..greedy(3) });
    bench.scheduler.step(&clock);
    assert!(late.is_empty());
    clock.advance(Duration::from_secs(5));
    bench.scheduler.step(&clock);
    let told = events(&mut late);
    assert!(matches!(told[..], [GenerationEvent::Failed(GenerateError::Late { .. })]), "{told:?}");
    while !bench.scheduler.is_idle() {
        bench.scheduler.step(&clock);
    }
    assert!([running, patient].iter_mut().all(|r| text(&events(r), 0).len() == 3), "who has begun is not late");
    let computed: usize = bench.steps.try_iter().flatten().sum();
    assert_eq!((computed, bench.scheduler.report().0.late), (6, 1));
}

#[test]
fn of_one_caller_what_is_due_first_comes_first() {
    let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    let mut bench = bench(64, 1, 64);
    let due = |seconds| Some(clock.now() + Duration::from_secs(seconds));
    let deadlines = [None, due(50), due(20), None, due(30)];
    let mut receivers: Vec<_> =
        deadlines.iter().map(|deadline| bench.add("a", GenerateRequest { deadline: *deadline, ..greedy(1) })).collect();
    let mut order = Vec::new();
    while !bench.scheduler.is_idle() {
        bench.scheduler.step(&clock);
        let ended: Vec<usize> = (0..5).filter(|i| !events(&mut receivers[*i]).is_empty()).collect();
        order.extend(ended);
    }
    assert_eq!(order, [2, 4, 1, 0, 3]);
}
