//! Choosing the next token from the model's scores, reproducibly: each answer of each request has its own stream of
//! numbers, made from the seed and the answer's index.

use crate::constrain::allows;
use crate::kernel::{Isa, PART};
use crate::request::Sampling;
use std::collections::HashMap;

/// The scores were not numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotFinite;

/// Of weights whose largest is 1: those are looked at first, and sixteen times smaller ones as long as too few are found.
const FIRST_FLOOR: f32 = 1.0 / 16.0;
/// Below this, all are looked at.
const LAST_FLOOR: f32 = 1e-7;
/// Tokens that are passed over together where one of all is drawn.
const PASSED: usize = 512;

/// Chooses the tokens of one answer.
pub(crate) struct Sampler {
    isa: Isa,
    options: Sampling,
    seen: HashMap<u32, u32>,
    numbers: SplitMix,
    /// The model's scores, where something changes them.
    scores: Vec<f32>,
    /// The largest score of each part.
    peaks: Vec<f32>,
    sums: Vec<f32>,
    likeliest: Vec<Candidate>,
}

/// A token that may be drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    token: u32,
    score: f32,
    /// How likely it is, the likeliest of all being 1.
    weight: f32,
}

/// The scores that a token is drawn by.
#[derive(Clone, Copy)]
struct Scores<'a> {
    all: &'a [f32],
    top: f32,
    heat: f32,
}

impl Sampler {
    /// For answer `index` of a request with this seed.
    pub(crate) fn new(isa: Isa, options: Sampling, seed: u64, index: usize) -> Self {
        let mut numbers = SplitMix(seed);
        let start = numbers.next() ^ (index as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        let numbers = SplitMix(start);
        let (scores, peaks, sums, likeliest) = Default::default();
        Self { isa, options, seen: HashMap::new(), numbers, scores, peaks, sums, likeliest }
    }

    /// The next token: one of those whose bit is set in `allowed`, where that is given.
    pub(crate) fn next(&mut self, logits: &[f32], allowed: Option<&[u32]>) -> Result<u32, NotFinite> {
        let mut top = self.top_of(logits)?;
        if let Some(only) = allowed.and_then(only) {
            self.count(only);
            return Ok(only);
        }
        let mut scores = std::mem::take(&mut self.scores);
        let is_changed = !self.options.logit_bias.is_empty() || self.has_penalties() || allowed.is_some();
        if is_changed {
            scores.clear();
            scores.extend_from_slice(logits);
            self.adjust(&mut scores, allowed);
            // All that is allowed may have a score of minus infinity.
            top = self.top_of(&scores)?;
        }
        let all = if is_changed { &scores } else { logits };
        let token = match self.options.temperature {
            0.0 => self.first_of(all, top),
            temperature => self.draw(Scores { all, top, heat: 1.0 / temperature.max(1e-4) })?,
        };
        self.scores = scores;
        if allowed.is_some_and(|allowed| !allows(allowed, token)) {
            return Err(NotFinite);
        }
        self.count(token);
        Ok(token)
    }

    /// The largest score, with that of each part.
    fn top_of(&mut self, scores: &[f32]) -> Result<f32, NotFinite> {
        self.isa.peaks(scores, &mut self.peaks);
        let top = self.isa.max(&self.peaks);
        if top.is_finite() { Ok(top) } else { Err(NotFinite) }
    }

    /// The first token with this score, the largest.
    fn first_of(&self, scores: &[f32], top: f32) -> u32 {
        let part = self.peaks.iter().position(|peak| *peak == top).unwrap_or_default() * PART;
        let within = scores[part..].iter().position(|score| *score == top);
        (part + within.unwrap_or_default()) as u32
    }

    fn has_penalties(&self) -> bool {
        self.options.presence_penalty != 0.0 || self.options.frequency_penalty != 0.0
    }

    fn count(&mut self, token: u32) {
        if self.has_penalties() {
            *self.seen.entry(token).or_default() += 1;
        }
    }

    fn adjust(&self, scores: &mut [f32], allowed: Option<&[u32]>) {
        for (token, bias) in &self.options.logit_bias {
            scores[*token as usize] += bias;
        }
        for (token, count) in &self.seen {
            let penalty = self.options.presence_penalty + self.options.frequency_penalty * *count as f32;
            scores[*token as usize] -= penalty;
        }
        if let Some(allowed) = allowed {
            mask(scores, allowed);
        }
    }

    fn draw(&mut self, scores: Scores<'_>) -> Result<u32, NotFinite> {
        let Sampling { top_p, top_k, min_p, .. } = self.options;
        let uniform = self.numbers.unit();
        if top_p >= 1.0 && top_k == 0 && min_p <= 0.0 {
            return self.draw_of_all(scores, uniform);
        }
        let total = if top_k == 0 && top_p < 1.0 { self.isa.sum_exp(scores.all, scores.top, scores.heat) } else { 0.0 };
        if !total.is_finite() {
            return Err(NotFinite);
        }
        let kept = self.keep(scores, total);
        let kept = &self.likeliest[..kept];
        let sum = f64::from(kept.iter().map(|one| one.weight).sum::<f32>());
        Ok(pick(kept.iter().map(|one| (one.weight, one.token)), sum * uniform))
    }

    /// Draws one of all: the sums of whole parts say in which part it is.
    fn draw_of_all(&mut self, scores: Scores<'_>, uniform: f64) -> Result<u32, NotFinite> {
        let Scores { all, top, heat } = scores;
        self.sums.clear();
        self.sums.extend(all.chunks(PASSED).map(|part| self.isa.sum_exp(part, top, heat)));
        let total: f64 = self.sums.iter().map(|sum| f64::from(*sum)).sum();
        if !total.is_finite() {
            return Err(NotFinite);
        }
        let (mut target, mut first) = (total * uniform, 0);
        for (part, sum) in self.sums.iter().enumerate().filter(|(_, sum)| **sum > 0.0) {
            first = part * PASSED;
            if f64::from(*sum) > target {
                break;
            }
            target -= f64::from(*sum);
        }
        let part = all[first..].iter().take(PASSED).map(|score| Isa::exp_of(*score, top, heat));
        Ok(pick(part.zip(first as u32..), target))
    }

    /// Puts the tokens that may be drawn, likeliest first, at the front of `likeliest`; says how many they are.
    fn keep(&mut self, scores: Scores<'_>, total: f32) -> usize {
        let Sampling { top_k, top_p, min_p, .. } = self.options;
        // Most tokens are so unlikely that they are never drawn: they are not even sorted.
        let mut floor = if top_k == 0 && top_p >= 1.0 { min_p } else { FIRST_FLOOR };
        loop {
            self.gather(scores, floor);
            if let Some(kept) = self.cut(total, floor <= 0.0) {
                return self.likeliest[..kept].partition_point(|one| one.weight >= min_p).max(1);
            }
            floor = if floor > LAST_FLOOR { floor / 16.0 } else { 0.0 };
        }
    }

    /// Fills `likeliest` with the tokens that weigh about so much or more.
    fn gather(&mut self, Scores { all, top, heat }: Scores<'_>, floor: f32) {
        // A little lower, as a weight is rounded.
        let least = if floor > 0.0 { top + (floor.ln() - 1e-3) / heat } else { f32::MIN };
        self.likeliest.clear();
        for (part, _) in self.peaks.iter().enumerate().filter(|(_, peak)| **peak >= least) {
            let first = part * PART;
            for (score, token) in
                all[first..].iter().take(PART).zip(first as u32..).filter(|(score, _)| **score >= least)
            {
                self.likeliest.push(Candidate { token, score: *score, weight: Isa::exp_of(*score, top, heat) });
            }
        }
    }

    /// How many of the `likeliest` may be drawn by `top_k` and `top_p`, and sorts so many to the front; nothing where
    /// others than those might, unless these are all.
    fn cut(&mut self, total: f32, are_all: bool) -> Option<usize> {
        let Sampling { top_k, top_p, min_p, .. } = self.options;
        let found = &mut self.likeliest;
        let mass = |some: &[Candidate]| some.iter().map(|one| one.weight).sum::<f32>();
        if top_k != 0 {
            if found.len() < top_k && !are_all {
                return None;
            }
            let limit = top_k.min(found.len());
            sort_front(found, limit);
            let base = mass(&found[..limit]);
            return Some(if top_p < 1.0 { reach(&found[..limit], top_p * base).unwrap_or(limit) } else { limit });
        }
        if top_p >= 1.0 {
            let all = found.len();
            sort_front(found, all);
            return Some(found.partition_point(|one| one.weight >= min_p));
        }
        if !are_all && mass(found) < top_p * total {
            return None;
        }
        let mut sorted = 128.min(found.len());
        loop {
            sort_front(found, sorted);
            match reach(&found[..sorted], top_p * total) {
                None if sorted < found.len() => sorted = (sorted * 8).min(found.len()),
                None if !are_all => return None,
                reached => return Some(reached.unwrap_or(sorted)),
            }
        }
    }
}

/// How many of these weigh so much together.
fn reach(some: &[Candidate], weight: f32) -> Option<usize> {
    let mut mass = 0.0;
    let last = some.iter().position(|one| {
        mass += one.weight;
        mass >= weight
    });
    last.map(|last| last + 1)
}

/// The only token that is allowed, where there is but one.
fn only(allowed: &[u32]) -> Option<u32> {
    let mut set = (0u32..).zip(allowed).filter(|(_, word)| **word != 0);
    let (index, word) = set.next()?;
    (word.is_power_of_two() && set.next().is_none()).then(|| index * 32 + word.trailing_zeros())
}

/// Takes what is not allowed out of the draw.
fn mask(scores: &mut [f32], allowed: &[u32]) {
    let words = allowed.iter().copied().chain(std::iter::repeat(0));
    for (scores, word) in scores.chunks_mut(32).zip(words) {
        match word {
            u32::MAX => {}
            0 => scores.fill(f32::NEG_INFINITY),
            _ => {
                for (bit, score) in scores.iter_mut().enumerate() {
                    if word >> bit & 1 == 0 {
                        *score = f32::NEG_INFINITY;
                    }
                }
            }
        }
    }
}

/// Sorts the `count` likeliest to the front; equal ones by number.
fn sort_front(found: &mut [Candidate], count: usize) {
    let likelier = |a: &Candidate, b: &Candidate| b.score.total_cmp(&a.score).then(a.token.cmp(&b.token));
    if count < found.len() {
        found.select_nth_unstable_by(count, likelier);
    }
    found[..count].sort_unstable_by(likelier);
}

/// The token at which the running sum passes `target`.
fn pick(weights: impl Iterator<Item = (f32, u32)>, target: f64) -> u32 {
    let (mut mass, mut last) = (0.0f64, 0);
    for (weight, token) in weights.filter(|(w, _)| *w > 0.0) {
        mass += f64::from(weight);
        last = token;
        if mass > target {
            break;
        }
    }
    last
}

/// The log-probability of a token, and the `count` likeliest, from raw scores.
pub(crate) fn logprobs(isa: Isa, logits: &[f32], token: u32, count: usize) -> (f32, Vec<(u32, f32)>) {
    let whole = isa.log_sum_exp(logits);
    let mut best: Vec<u32> = Vec::with_capacity(count + 1);
    if count > 0 {
        for (id, score) in (0u32..).zip(logits) {
            if best.len() == count && best.last().is_some_and(|last| *score <= logits[*last as usize]) {
                continue;
            }
            let at = best.partition_point(|b| logits[*b as usize] >= *score);
            best.insert(at, id);
            best.truncate(count);
        }
    }
    let of = |id: u32| (logits[id as usize] - whole).min(0.0);
    (of(token), best.into_iter().map(|id| (id, of(id))).collect())
}

/// Steele, Lea and Flood's generator: small, seedable by any number, good enough for drawing tokens.
#[derive(Debug, Clone)]
pub(crate) struct SplitMix(pub(crate) u64);

impl SplitMix {
    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, not including, 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests;
