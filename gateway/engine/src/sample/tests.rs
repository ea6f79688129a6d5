//! The sampler against its promises: seeds, cuts, bias, penalties, and the right frequencies.

use super::*;

fn sampler(options: Sampling, seed: u64, index: usize) -> Sampler {
    Sampler::new(Isa::detect(), options, seed, index)
}

fn wave(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 % 1000) as f32 / 100.0) - 5.0).collect()
}

fn drawn(options: &Sampling, logits: &[f32], times: u64) -> Vec<u32> {
    (0..times).map(|seed| sampler(options.clone(), seed, 0).next(logits, None).unwrap()).collect()
}

#[test]
fn the_same_seed_gives_the_same_tokens_and_answers_differ() {
    let logits = wave(1000);
    let run = |seed, index| {
        let mut sampler = sampler(Sampling::default(), seed, index);
        (0..50).map(|_| sampler.next(&logits, None).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(run(7, 0), run(7, 0));
    assert_ne!(run(7, 0), run(7, 1));
    assert_ne!(run(7, 0), run(8, 0));
}

#[test]
fn greedy_takes_the_first_of_the_likeliest() {
    let options = Sampling { temperature: 0.0, ..Sampling::default() };
    assert_eq!(sampler(options, 1, 0).next(&[0.0, 2.0, 2.0, 1.0], None).unwrap(), 1);
}

#[test]
fn bias_and_penalties_change_the_choice() {
    let biased = Sampling { temperature: 0.0, logit_bias: vec![(3, 100.0), (1, -100.0)], ..Sampling::default() };
    assert_eq!(sampler(biased, 1, 0).next(&[0.0, 9.0, 2.0, 1.0], None).unwrap(), 3);
    let penalised = Sampling { temperature: 0.0, frequency_penalty: 1.5, ..Sampling::default() };
    let mut sampler = sampler(penalised, 1, 0);
    let tokens: Vec<u32> = (0..4).map(|_| sampler.next(&[2.0, 1.0, 0.0], None).unwrap()).collect();
    assert_eq!(tokens, [0, 1, 0, 2]);
}

#[test]
fn top_k_top_p_and_min_p_keep_only_the_likeliest() {
    let logits: Vec<f32> = [0.5f32, 0.3, 0.15, 0.05].iter().map(|p| p.ln()).collect();
    let seen = |options: Sampling| {
        let mut tokens = drawn(&options, &logits, 500);
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    };
    assert_eq!(seen(Sampling { top_k: 2, ..Sampling::default() }), [0, 1]);
    assert_eq!(seen(Sampling { top_p: 0.79, ..Sampling::default() }), [0, 1]);
    assert_eq!(seen(Sampling { top_p: 0.81, ..Sampling::default() }), [0, 1, 2]);
    assert_eq!(seen(Sampling { min_p: 0.25, ..Sampling::default() }), [0, 1, 2]);
    assert_eq!(seen(Sampling { top_k: 3, top_p: 0.5, ..Sampling::default() }), [0]);
    assert_eq!(seen(Sampling::default()), [0, 1, 2, 3]);
}

#[test]
fn a_wide_nucleus_is_found_in_a_large_vocabulary() {
    let logits = vec![0.0; 20_000];
    let options = Sampling { top_p: 0.5, ..Sampling::default() };
    let tokens = drawn(&options, &logits, 50);
    assert!(tokens.iter().all(|t| *t < 10_001) && tokens.iter().any(|t| *t > 1_024), "{tokens:?}");
}

#[test]
fn what_is_kept_is_that_of_sorting_all() {
    let cuts = [(0, 0.5), (0, 0.9), (0, 0.9999), (1, 1.0), (40, 1.0), (40, 0.7), (9_000, 1.0), (9_000, 0.95)];
    for (scale, (top_k, top_p), min_p) in [0.01, 0.2, 1.0, 4.0, 9.0]
        .into_iter()
        .flat_map(|scale| cuts.map(|cut| (scale, cut)))
        .flat_map(|(scale, cut)| [0.0, 0.001, 0.3].map(|min_p| (scale, cut, min_p)))
    {
        let mut sampler = sampler(Sampling { top_k, top_p, min_p, ..Sampling::default() }, 1, 0);
        let all: Vec<f32> = wave(5003);
        let scores = Scores { all: &all, top: sampler.top_of(&all).unwrap(), heat: scale };
        let total = sampler.isa.sum_exp(&all, scores.top, scale);
        let kept = sampler.keep(scores, total);
        let weight = |t: &u32| Isa::exp_of(all[*t as usize], scores.top, scale);
        let mut sorted: Vec<u32> = (0..5003).collect();
        sorted.sort_by(|a, b| all[*b as usize].total_cmp(&all[*a as usize]).then(a.cmp(b)));
        let base = if top_k == 0 { total } else { sorted.iter().take(top_k).map(weight).sum() };
        sorted.truncate(if top_k == 0 { sorted.len() } else { top_k });
        let mut mass = 0.0;
        let reached = sorted.iter().position(|t| {
            mass += weight(t);
            top_p < 1.0 && mass >= top_p * base
        });
        sorted.truncate(reached.map_or(sorted.len(), |last| last + 1));
        sorted.truncate(sorted.iter().filter(|t| weight(t) >= min_p).count().max(1));
        let tokens: Vec<u32> = sampler.likeliest[..kept].iter().map(|one| one.token).collect();
        assert_eq!(tokens, sorted, "{scale} {top_k} {top_p} {min_p}");
    }
}

#[test]
fn one_of_all_is_drawn_as_often_as_it_is_likely_wherever_it_stands() {
    let mut logits = vec![-30.0; 3 * PASSED + 17];
    let likely = [(0, 0.1f32), (PASSED - 1, 0.2), (PASSED, 0.3), (3 * PASSED + 16, 0.4)];
    likely.iter().for_each(|(at, p)| logits[*at] = p.ln());
    let tokens = drawn(&Sampling::default(), &logits, 20_000);
    for (token, p) in likely {
        let share = tokens.iter().filter(|t| **t as usize == token).count() as f32 / 20_000.0;
        assert!((share - p).abs() < 0.015, "{token}: {share}");
    }
}

#[test]
fn frequencies_are_those_of_the_model() {
    let logits: Vec<f32> = [0.6f32, 0.3, 0.1].iter().map(|p| p.ln()).collect();
    let tokens = drawn(&Sampling::default(), &logits, 20_000);
    for (token, p) in [(0, 0.6), (1, 0.3), (2, 0.1)] {
        let share = tokens.iter().filter(|t| **t == token).count() as f64 / 20_000.0;
        assert!((share - p).abs() < 0.015, "{token}: {share}");
    }
}

#[test]
fn logprobs_sum_to_one_and_are_sorted() {
    let logits = wave(500);
    let (own, top) = logprobs(Isa::detect(), &logits, 3, 20);
    let all: f64 = (0..500).map(|t| f64::from(logprobs(Isa::detect(), &logits, t, 0).0).exp()).sum();
    assert!((all - 1.0).abs() < 1e-4 && own < 0.0);
    assert_eq!(top.len(), 20);
    assert!(top.windows(2).all(|w| w[0].1 >= w[1].1));
    assert_eq!(top[0].0 as usize, Isa::detect().argmax(&logits));
}

#[test]
fn scores_that_are_no_numbers_are_an_error() {
    assert_eq!(sampler(Sampling::default(), 1, 0).next(&[f32::NAN, f32::NAN], None), Err(NotFinite));
    assert_eq!(sampler(Sampling::default(), 1, 0).next(&[f32::INFINITY, 0.0], None), Err(NotFinite));
}
