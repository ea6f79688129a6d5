//! Ten thousand calls of all kinds, of whom some leave: no block is lost, nobody is forgotten, and nothing grows.

use super::*;
use crate::sample::SplitMix;
use tidegate_core::Tenant;
use tidegate_core::spec::Priority;

const CALLS: usize = 10_000;

struct Open {
    receiver: UnboundedReceiver<GenerationEvent>,
    n: usize,
    ended: usize,
    /// Steps until its caller leaves.
    stays: usize,
    since: usize,
}

fn call(numbers: &mut SplitMix) -> (String, GenerateRequest) {
    let mut below = |n: u64| numbers.next() % n;
    let beginnings =
        ["", "some beginning that a third of the calls have in common", "and another one; it is longer, by some words"];
    let prompt = beginnings[below(3) as usize].repeat(below(3) as usize);
    let end: String = (0..=below(40)).map(|i| char::from(b'a' + ((i * 7 + below(5)) % 26) as u8)).collect();
    let temperature = [0.0, 2.0][below(2) as usize];
    let tenant = ["x", "y", "z"].get(below(4) as usize).map(|name| name.parse::<Tenant>().unwrap());
    let request = GenerateRequest {
        n: [1, 1, 1, 2, 4][below(5) as usize],
        sampling: Sampling { temperature, seed: Some(below(1000)), ..Sampling::default() },
        priority: Priority::ALL[below(4) as usize],
        caller: below(8),
        tenant,
        echo: below(20) == 0,
        logprobs: (below(10) == 0).then_some(1),
        stop: if below(5) == 0 { vec!["q".into()] } else { Vec::new() },
        ..greedy(below(30) as usize)
    };
    (prompt + &end, request)
}

/// Reads what came; whether it is over.
fn read(open: &mut Open) -> bool {
    for event in events(&mut open.receiver) {
        match event {
            GenerationEvent::Finished { .. } => open.ended += 1,
            GenerationEvent::Failed(error) => panic!("{error}"),
            _ => {}
        }
    }
    assert!(open.ended <= open.n);
    open.ended == open.n
}

/// Pages of this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0)
}

#[test]
fn ten_thousand_calls_leave_nothing_behind() {
    let mut numbers = SplitMix(42);
    let blocks = 40;
    let mut bench = forgetful(4, blocks, Limits { max_batch: 8, step_tokens: 48, guesses: true });
    let (mut open, mut made, mut left, mut longest, mut before): (Vec<Open>, _, _, _, _) = (Vec::new(), 0, 0, 0, 0);
    for step in 0.. {
        while made < CALLS && open.len() < 24 && !numbers.next().is_multiple_of(3) {
            let (prompt, request) = call(&mut numbers);
            let (n, stays) =
                (request.n, if numbers.next().is_multiple_of(4) { (numbers.next() % 12) as usize } else { usize::MAX });
            open.push(Open { receiver: bench.add(&prompt, request), n, ended: 0, stays, since: step });
            made += 1;
        }
        bench.step();
        bench.steps.try_iter().count();
        open.retain_mut(|call| {
            let over = read(call);
            longest = longest.max(step - call.since);
            let leaves = !over && step - call.since >= call.stays;
            left += usize::from(leaves);
            !over && !leaves
        });
        let report = bench.scheduler.report().0;
        assert!(report.blocks_held + report.blocks_kept <= blocks);
        if made == CALLS && open.is_empty() {
            break;
        }
        if made >= CALLS / 5 && before == 0 {
            before = resident();
        }
        assert!(step < 40 * CALLS, "{} are stuck", open.len());
    }
    // Those who left last are let go by one more step.
    bench.step();
    bench.run();
    let report = bench.scheduler.report().0;
    assert_eq!((report.running, report.blocks_held), (0, 0));
    assert!(bench.scheduler.waiting.is_empty() && bench.scheduler.preempted.is_empty());
    let grown = resident().saturating_sub(before) * 4;
    println!("figure: {made} calls, {left} left; longest {longest} steps; grown {grown} KiB; {report:?}");
    assert!(left > CALLS / 20 && report.preemptions > 100 && report.cached_tokens > 100_000 && report.accepted > 100);
    assert!(before == 0 || grown < 4096, "memory grew by {grown} KiB");
}
