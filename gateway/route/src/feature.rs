//! The features of a call as numbers: what a contextual policy regards. Owns how each is scaled, all into `[−1, 1]`, so that
//! none weighs more than another by its unit; what is learnt of them is the learner's.

pub(crate) mod language;

use std::f64::consts::TAU;
use tidegate_core::StateId;
use tidegate_core::event::Regarded;
use tidegate_core::spec::feature::{FeatureSpec, Language};

/// What is known of a call when its arm is picked.
pub trait Facts {
    /// How many bytes of text the prompt has; the id of a token counts as four.
    fn prompt_bytes(&self) -> usize;

    /// Text of the prompt, or its beginning: some hundred letters are enough.
    fn prompt(&self) -> &str;

    /// Milliseconds since 1970.
    fn unix_ms(&self) -> u64;

    /// A tag of the caller's key.
    fn key_tag(&self, tag: &str) -> Option<&str>;

    /// The value of a header, by its name in lower case.
    fn header(&self, name: &str) -> Option<&str>;

    /// For whom the caller calls.
    fn tenant(&self) -> &str;

    /// Who calls.
    fn principal(&self) -> &str;

    /// The body's `user`.
    fn user(&self) -> Option<&str>;

    /// Whether a stream is asked for.
    fn is_stream(&self) -> bool;

    /// Whether tools are given.
    fn has_tools(&self) -> bool;
}

/// Makes a vector of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    specs: Vec<FeatureSpec>,
    dimension: usize,
    id: Option<StateId>,
}

impl Features {
    /// What makes these features, in this order.
    #[must_use]
    pub fn new(specs: Vec<FeatureSpec>) -> Self {
        let dimension = FeatureSpec::dimensions(&specs);
        let id = FeatureSpec::id_of(&specs);
        Self { specs, dimension, id }
    }

    /// How many numbers a vector has.
    #[must_use]
    pub const fn dimension(&self) -> usize {
        self.dimension
    }

    /// The vector of a call, as it is written down; `None` where nothing of a call is regarded.
    #[must_use]
    pub fn regard(&self, facts: &impl Facts) -> Option<Regarded> {
        self.id.map(|of| Regarded { of, features: self.of(facts).into() })
    }

    /// The vector of a call; each number lies in `[−1, 1]`.
    #[must_use]
    pub fn of(&self, facts: &impl Facts) -> Vec<f64> {
        let mut out = Vec::with_capacity(self.dimension);
        for spec in &self.specs {
            match spec {
                FeatureSpec::PromptLength { most } => out.push(length(facts.prompt_bytes(), *most)),
                FeatureSpec::Language => one_hot(&Language::ALL, language::guess(facts.prompt()).as_ref(), &mut out),
                FeatureSpec::Hour => out.extend(hour(facts.unix_ms())),
                FeatureSpec::KeyTag { tag, values } => one_of(values, facts.key_tag(tag), &mut out),
                FeatureSpec::Header { name, values } => one_of(values, facts.header(name), &mut out),
            }
        }
        out
    }
}

/// −1 for no bytes, 1 for `most` and more, by the logarithm between them.
fn length(bytes: usize, most: u32) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "no prompt has 2^52 bytes")]
    let part = (bytes as f64).ln_1p() / f64::from(most.max(1)).ln_1p();
    (2.0 * part - 1.0).min(1.0)
}

/// The place of the hour hand of a clock of 24 hours.
fn hour(unix_ms: u64) -> [f64; 2] {
    const DAY: u64 = 24 * 60 * 60 * 1000;
    #[expect(clippy::cast_precision_loss, reason = "a day has few milliseconds")]
    let turn = TAU * (unix_ms % DAY) as f64 / DAY as f64;
    [turn.sin(), turn.cos()]
}

fn one_of(values: &[String], value: Option<&str>, out: &mut Vec<f64>) {
    out.extend(values.iter().map(|one| f64::from(u8::from(Some(one.as_str()) == value))));
}

fn one_hot<T: PartialEq>(all: &[T], one: Option<&T>, out: &mut Vec<f64>) {
    out.extend(all.iter().map(|any| f64::from(u8::from(Some(any) == one))));
}

#[cfg(test)]
pub(crate) mod tests;
