//! Choosing the next token from the model's scores, reproducibly: each answer of each request has its own stream of
//! numbers, made from the seed and the answer's index.

use crate::constrain::allows;
use crate::kernel::Isa;
use crate::request::Sampling;
use std::collections::HashMap;

/// The scores were not numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotFinite;

/// Tokens that are looked at together for one that is likely enough.
const LOOKED_AT: usize = 64;
/// Of scores whose largest is 1: those are looked at first, and sixteen times smaller ones as long as too few are found.
const FIRST_FLOOR: f32 = 1.0 / 16.0;
/// Below this, all are looked at.
const LAST_FLOOR: f32 = 1e-7;

/// Chooses the tokens of one answer.
pub(crate) struct Sampler {
    isa: Isa,
    options: Sampling,
    seen: HashMap<u32, u32>,
    numbers: SplitMix,
    scores: Vec<f32>,
    /// The largest score of each `LOOKED_AT`.
    peaks: Vec<f32>,
    order: Vec<u32>,
}

impl Sampler {
    /// For answer `index` of a request with this seed.
    pub(crate) fn new(isa: Isa, options: Sampling, seed: u64, index: usize) -> Self {
        let mut numbers = SplitMix(seed);
        let start = numbers.next() ^ (index as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        let numbers = SplitMix(start);
        let (scores, peaks, order) = Default::default();
        Self { isa, options, seen: HashMap::new(), numbers, scores, peaks, order }
    }

    /// The next token: one of those whose bit is set in `allowed`, where that is given.
    pub(crate) fn next(&mut self, logits: &[f32], allowed: Option<&[u32]>) -> Result<u32, NotFinite> {
        let top = self.isa.max(logits);
        if !top.is_finite() {
            return Err(NotFinite);
        }
        if let Some(only) = allowed.and_then(only) {
            self.count(only);
            return Ok(only);
        }
        let changed = !self.options.logit_bias.is_empty() || self.has_penalties() || allowed.is_some();
        if self.options.temperature == 0.0 && !changed {
            let token = self.isa.argmax(logits) as u32;
            self.count(token);
            return Ok(token);
        }
        let heat = if self.options.temperature == 0.0 { 1.0 } else { 1.0 / self.options.temperature.max(1e-4) };
        self.scores.clear();
        if changed {
            self.scores.extend_from_slice(logits);
            self.adjust();
            self.scores.iter_mut().for_each(|score| *score *= heat);
        } else {
            self.scores.extend(logits.iter().map(|score| score * heat));
        }
        if let Some(allowed) = allowed {
            mask(&mut self.scores, allowed);
        }
        let token = if self.options.temperature == 0.0 { self.isa.argmax(&self.scores) as u32 } else { self.draw()? };
        if allowed.is_some_and(|allowed| !allows(allowed, token)) {
            // All that is allowed has a score of minus infinity.
            return Err(NotFinite);
        }
        self.count(token);
        Ok(token)
    }

    fn has_penalties(&self) -> bool {
        self.options.presence_penalty != 0.0 || self.options.frequency_penalty != 0.0
    }

    fn count(&mut self, token: u32) {
        if self.has_penalties() {
            *self.seen.entry(token).or_default() += 1;
        }
    }

    fn adjust(&mut self) {
        for (token, bias) in &self.options.logit_bias {
            self.scores[*token as usize] += bias;
        }
        for (token, count) in &self.seen {
            let penalty = self.options.presence_penalty + self.options.frequency_penalty * *count as f32;
            self.scores[*token as usize] -= penalty;
        }
    }

    fn draw(&mut self) -> Result<u32, NotFinite> {
        let total = self.isa.exp_sum(&mut self.scores);
        if !total.is_finite() {
            return Err(NotFinite);
        }
        let uniform = self.numbers.unit();
        let all = self.options.top_p >= 1.0 && self.options.top_k == 0 && self.options.min_p <= 0.0;
        if all {
            return Ok(pick(self.scores.iter().copied().zip(0..), total, uniform));
        }
        let kept = self.keep(total);
        let order = &self.order[..kept];
        let sum = order.iter().map(|t| self.scores[*t as usize]).sum();
        Ok(pick(order.iter().map(|t| (self.scores[*t as usize], *t)), sum, uniform))
    }

    /// Puts the tokens that may be drawn, likeliest first, at the front of `order`; says how many they are.
    fn keep(&mut self, total: f32) -> usize {
        let Sampling { top_k, top_p, min_p, .. } = self.options;
        self.peaks.clear();
        self.peaks.extend(self.scores.chunks(LOOKED_AT).map(|part| self.isa.max(part)));
        if top_k == 0 && top_p >= 1.0 {
            // The likeliest weighs exp(0) = 1, so `min_p` is a plain floor.
            self.gather(min_p);
            return self.order.len();
        }
        // Most tokens are so unlikely that they are never drawn: they are not even sorted.
        let mut floor = FIRST_FLOOR;
        loop {
            self.gather(floor);
            if let Some(kept) = self.cut(total, floor <= 0.0) {
                return self.order[..kept].partition_point(|t| self.scores[*t as usize] >= min_p).max(1);
            }
            floor = if floor > LAST_FLOOR { floor / 16.0 } else { 0.0 };
        }
    }

    /// Fills `order` with the tokens that weigh so much or more.
    fn gather(&mut self, floor: f32) {
        self.order.clear();
        let parts = (0u32..).step_by(LOOKED_AT).zip(self.scores.chunks(LOOKED_AT)).zip(&self.peaks);
        for ((first, part), _) in parts.filter(|(_, peak)| **peak >= floor) {
            self.order.extend((first..).zip(part).filter(|(_, score)| **score >= floor).map(|(token, _)| token));
        }
    }

    /// How many of those in `order` may be drawn by `top_k` and `top_p`, and sorts so many to its front; nothing where
    /// others than those might, unless these are all.
    fn cut(&mut self, total: f32, are_all: bool) -> Option<usize> {
        let Sampling { top_k, top_p, .. } = self.options;
        let (scores, order) = (&self.scores, &mut self.order);
        let mass = |order: &[u32]| order.iter().map(|t| scores[*t as usize]).sum::<f32>();
        if top_k != 0 {
            if order.len() < top_k && !are_all {
                return None;
            }
            let limit = top_k.min(order.len());
            sort_front(scores, order, limit);
            let base = mass(&order[..limit]);
            return Some(if top_p < 1.0 {
                reach(scores, &order[..limit], top_p * base).unwrap_or(limit)
            } else {
                limit
            });
        }
        if !are_all && mass(order) < top_p * total {
            return None;
        }
        let mut sorted = 128.min(order.len());
        loop {
            sort_front(scores, order, sorted);
            match reach(scores, &order[..sorted], top_p * total) {
                None if sorted < order.len() => sorted = (sorted * 8).min(order.len()),
                None if !are_all => return None,
                found => return Some(found.unwrap_or(sorted)),
            }
        }
    }
}

/// How many of these weigh so much together.
fn reach(scores: &[f32], order: &[u32], weight: f32) -> Option<usize> {
    let mut mass = 0.0;
    let last = order.iter().position(|t| {
        mass += scores[*t as usize];
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
fn sort_front(scores: &[f32], order: &mut [u32], count: usize) {
    let likelier = |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
    if count < order.len() {
        order.select_nth_unstable_by(count, likelier);
    }
    order[..count].sort_unstable_by(likelier);
}

/// The token at which the running sum passes `uniform` of the whole.
fn pick(weights: impl Iterator<Item = (f32, u32)>, sum: f32, uniform: f64) -> u32 {
    let target = uniform * f64::from(sum);
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
