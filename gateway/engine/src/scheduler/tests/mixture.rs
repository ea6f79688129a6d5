//! Ten thousand calls of all kinds, of whom some leave, and adapters that come and go meanwhile: no block and no adapter is
//! lost, nobody is forgotten, everybody is answered as if alone, and nothing grows.

mod wardrobe;

use super::*;
use crate::sample::SplitMix;
use tidegate_core::Tenant;
use tidegate_core::spec::Priority;
use wardrobe::Wardrobe;

const CALLS: usize = 10_000;
/// Of so many calls one is asked again alone.
const COMPARED: usize = 20;
const SIZES: Limits = Limits { max_batch: 8, step_tokens: 48, guesses: true };

struct Open {
    receiver: UnboundedReceiver<GenerationEvent>,
    n: usize,
    ended: usize,
    /// What was asked, where the answers are compared, and what they are so far.
    asked: Option<(String, GenerateRequest)>,
    texts: Vec<String>,
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
            GenerationEvent::Text { index, text, .. } => open.texts[index].push_str(&text),
            _ => {}
        }
    }
    assert!(open.ended <= open.n);
    open.ended == open.n
}

/// What is answered to a call that has a model for itself, in the adapter that it wore.
fn answered_alone(prompt: &str, request: &GenerateRequest) -> Vec<String> {
    let mut bench = forgetful(4, 64, Limits { max_batch: 1, step_tokens: 4096, guesses: false });
    let mut receiver = bench.add(prompt, request.clone());
    bench.run();
    let events = events(&mut receiver);
    (0..request.n).map(|answer| text(&events, answer)).collect()
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
    let (mut bench, mut wardrobe) = (forgetful(4, blocks, SIZES), Wardrobe::new());
    let (mut open, mut made, mut left, mut longest, mut before): (Vec<Open>, _, _, _, _) = (Vec::new(), 0, 0, 0, 0);
    let mut compared = 0;
    for step in 0.. {
        if numbers.next().is_multiple_of(8) {
            wardrobe.change(&mut numbers);
        }
        while made < CALLS && open.len() < 24 && !numbers.next().is_multiple_of(3) {
            let (prompt, request) = call(&mut numbers);
            let request = GenerateRequest { adapter: wardrobe.take(&mut numbers), ..request };
            let (n, stays) =
                (request.n, if numbers.next().is_multiple_of(4) { (numbers.next() % 12) as usize } else { usize::MAX });
            let asked = (made % COMPARED == 0).then(|| (prompt.clone(), request.clone()));
            let receiver = bench.add(&prompt, request);
            open.push(Open { receiver, n, ended: 0, asked, texts: vec![String::new(); n], stays, since: step });
            made += 1;
        }
        bench.step();
        bench.steps.try_iter().count();
        open.retain_mut(|call| {
            let over = read(call);
            longest = longest.max(step - call.since);
            if let Some((prompt, request)) = call.asked.as_ref().filter(|_| over) {
                assert_eq!(call.texts, answered_alone(prompt, request), "{request:?}");
                compared += 1;
            }
            let leaves = !over && step - call.since >= call.stays;
            left += usize::from(leaves);
            !over && !leaves
        });
        let report = bench.scheduler.report().0;
        assert!(report.blocks_held + report.blocks_kept <= blocks);
        wardrobe.look();
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
    let (counts, evictions) = (&wardrobe.counts, wardrobe.evictions());
    println!("figure: {made} calls, {left} left, {compared} compared; longest {longest} steps; grown {grown} KiB");
    println!("figure: adapters {counts:?}, {evictions} evictions; {report:?}");
    assert!(counts.worn > CALLS / 3 && counts.loaded > 500 && counts.unloaded > 100, "{counts:?}");
    assert!(evictions > 100 && counts.draining > 1, "{counts:?}");
    wardrobe.is_put_away();
    assert!(left > CALLS / 20 && report.preemptions > 100 && report.cached_tokens > 50_000 && report.accepted > 100);
    assert!(before == 0 || grown < 4096, "memory grew by {grown} KiB");
}

#[test]
fn the_model_answers_otherwise_in_another_adapter_and_so_would_who_got_its_blocks() {
    let (mut wardrobe, mut numbers) = (Wardrobe::new(), SplitMix(1));
    let mut bench = forgetful(4, 64, SIZES);
    let prompt = "a prompt that fills more than a block of thirty-two tokens";
    let mut worn = Vec::new();
    while worn.len() < 3 {
        wardrobe.change(&mut numbers);
        let Some(adapter) = wardrobe.take(&mut numbers) else { continue };
        if worn.iter().all(|other: &AdapterHandle| colour(other.generation()) != colour(adapter.generation())) {
            worn.push(adapter);
        }
    }
    let mut answers = std::collections::HashSet::new();
    for adapter in [None].into_iter().chain(worn.into_iter().map(Some)) {
        let request = GenerateRequest { adapter, ..greedy(20) };
        let mut receiver = bench.add(prompt, request.clone());
        bench.run();
        let answer = text(&events(&mut receiver), 0);
        assert_eq!(vec![answer.clone()], answered_alone(prompt, &request));
        assert!(answers.insert(answer), "it says the same in two adapters");
    }
    assert_eq!(bench.scheduler.report().0.cached_tokens, 0, "they share no block");
}
