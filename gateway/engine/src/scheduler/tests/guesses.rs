//! Guessing ahead: fewer steps for answers that repeat, and never another answer.

use super::*;

const GUESSING: Limits = Limits { max_batch: 4, step_tokens: 64, guesses: true };

#[test]
fn an_answer_that_repeats_itself_takes_fewer_steps() {
    let run = |limits| {
        let mut bench = forgetful(2, 64, limits);
        let mut receiver = bench.add("abcdefgh abcdefgh", greedy(200));
        bench.run();
        (text(&events(&mut receiver), 0), bench.scheduler.report().0)
    };
    let (plain, before) = run(Limits { guesses: false, ..GUESSING });
    let (guessed, after) = run(GUESSING);
    assert_eq!(plain, guessed);
    assert_eq!((before.steps, before.drafted), (200, 0));
    assert!(after.steps < 100, "{after:?}");
    assert_eq!(after.steps + after.accepted, 200, "each token is of a step or a guess that was right");
    assert_eq!((before.generated_tokens, after.generated_tokens), (200, 200));
}

#[test]
fn stops_and_limits_hold_in_the_middle_of_guesses() {
    let whole = {
        let mut bench = forgetful(2, 64, Limits { guesses: false, ..GUESSING });
        let mut receiver = bench.add("abab", greedy(120));
        bench.run();
        text(&events(&mut receiver), 0)
    };
    for max in 80..100 {
        let mut bench = forgetful(2, 64, GUESSING);
        let mut receiver = bench.add("abab", greedy(max));
        bench.run();
        let events = events(&mut receiver);
        assert_eq!(text(&events, 0), whole[..max]);
        let Some(GenerationEvent::Finished { completion_tokens, .. }) = events.last() else { panic!("{events:?}") };
        assert_eq!(*completion_tokens, max);
    }
    let stop = whole[90..93].to_owned();
    let mut bench = forgetful(2, 64, GUESSING);
    let mut receiver = bench.add("abab", GenerateRequest { stop: vec![stop.clone()], ..greedy(120) });
    bench.run();
    assert_eq!(text(&events(&mut receiver), 0), whole[..whole.find(&stop).unwrap()]);
}

#[test]
fn nobody_is_robbed_for_a_guess() {
    // Two answers of three blocks each, and no block more.
    let mut bench = forgetful(2, 6, GUESSING);
    let mut receivers: Vec<_> = (0..2).map(|i| bench.add(["abab", "cdcd"][i], greedy(92))).collect();
    bench.run();
    assert!(receivers.iter_mut().all(|r| text(&events(r), 0).len() == 92));
    let report = bench.scheduler.report().0;
    assert_eq!(report.preemptions, 0);
    assert!(report.accepted > 0);
}
