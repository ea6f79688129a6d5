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

/// Chooses the tokens of one answer.
pub(crate) struct Sampler {
    isa: Isa,
    options: Sampling,
    seen: HashMap<u32, u32>,
    numbers: SplitMix,
    scores: Vec<f32>,
    order: Vec<u32>,
}

impl Sampler {
    /// For answer `index` of a request with this seed.
    pub(crate) fn new(isa: Isa, options: Sampling, seed: u64, index: usize) -> Self {
        let mut numbers = SplitMix(seed);
        let start = numbers.next() ^ (index as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        let numbers = SplitMix(start);
        Self { isa, options, seen: HashMap::new(), numbers, scores: Vec::new(), order: Vec::new() }
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
        self.scores.clear();
        self.scores.extend_from_slice(logits);
        self.adjust();
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
        let heat = 1.0 / self.options.temperature.max(1e-4);
        for score in &mut self.scores {
            *score *= heat;
        }
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
        let (isa, scores, order) = (self.isa, &self.scores, &mut self.order);
        order.clear();
        // Most tokens are so unlikely that all of them together are less than what is left out anyway: not even sorted.
        let floor = match (top_k, top_p < 1.0) {
            (0, true) => 0.9 * (1.0 - top_p) * total / scores.len() as f32,
            (0, false) => min_p,
            _ => 0.0,
        };
        for (first, part) in (0u32..).step_by(LOOKED_AT).zip(scores.chunks(LOOKED_AT)) {
            if isa.max(part) >= floor {
                order.extend((first..).zip(part).filter(|(_, score)| **score >= floor).map(|(token, _)| token));
            }
        }
        let limit = if top_k == 0 { order.len() } else { top_k.min(order.len()) };
        let mut kept = limit;
        if top_k != 0 {
            sort_front(scores, order, limit);
        }
        if top_p < 1.0 {
            let base: f32 = if top_k == 0 { total } else { order[..limit].iter().map(|t| scores[*t as usize]).sum() };
            let mut sorted = if top_k == 0 { 128.min(limit) } else { limit };
            kept = loop {
                if top_k == 0 {
                    sort_front(scores, order, sorted);
                }
                let mut mass = 0.0;
                let enough = order[..sorted].iter().position(|t| {
                    mass += scores[*t as usize];
                    mass >= top_p * base
                });
                match enough {
                    Some(last) => break last + 1,
                    None if sorted == limit => break limit,
                    None => sorted = (sorted * 8).min(limit),
                }
            };
        }
        // The likeliest weighs exp(0) = 1, so `min_p` is a plain floor.
        if top_k == 0 && top_p >= 1.0 {
            return kept;
        }
        order[..kept].partition_point(|t| scores[*t as usize] >= min_p).max(1)
    }
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
