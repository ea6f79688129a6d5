//! What is said of a window. Owns how a number that is not there is said, and the lengths that the contract allows.

use serde::Deserialize;
use serde_json::Value;

/// The longest names and labels of the contract, in bytes.
const NAME_BYTES: usize = 128;
const LABEL_BYTES: usize = 256;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing to do.
    Info,
    /// To be looked at.
    Warn,
    /// To be told.
    Alert,
    /// To be acted on.
    Critical,
}

/// What a measure found.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// A number; where it is not finite, it is said so.
    Value(f64),
    /// There is none.
    Undefined {
        /// Why.
        why: String,
        /// On how many rows it would rest.
        n: u64,
    },
}

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// Unlike all others of its report.
    pub name: String,
    /// The number; NaN where there is none, and the label `undefined` says why then.
    pub value: f64,
    /// What it was held against.
    pub threshold: Option<f64>,
    /// Whether it is beyond that.
    pub breached: bool,
    /// How much it matters.
    pub severity: Severity,
    /// More about it.
    pub labels: Vec<(String, String)>,
}

impl Measurement {
    /// Says what was found: a number, or `undefined` and why with its `n`.
    #[must_use]
    pub fn new(name: &str, found: Found) -> Self {
        let (value, labels) = match found {
            Found::Value(value) if value.is_finite() => (value, Vec::new()),
            Found::Value(value) if value.is_nan() => (f64::NAN, vec![said("undefined", "it has no answer")]),
            Found::Value(_) => (f64::NAN, vec![said("undefined", "it has no bound: something by nothing")]),
            Found::Undefined { why, n } => (f64::NAN, vec![said("undefined", &why), said("n", &n.to_string())]),
        };
        let name = short(name, NAME_BYTES);
        Self { name, value, threshold: None, breached: false, severity: Severity::Info, labels }
    }

    /// With one more label.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.push(said(name, value));
        self
    }

    /// The number, where there is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        self.value.is_finite().then_some(self.value)
    }
}

fn said(name: &str, value: &str) -> (String, String) {
    (short(name, NAME_BYTES), short(value, LABEL_BYTES))
}

/// A text as the contract takes it: spaces for control characters, and at most so many bytes, the last of them `…` where it
/// was longer.
#[must_use]
pub fn short(text: &str, most: usize) -> String {
    let mut clean: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if clean.len() > most {
        clean.truncate(clean.floor_char_boundary(most.saturating_sub('…'.len_utf8())));
        clean.push('…');
    }
    clean
}

/// All that is said.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The numbers.
    pub measurements: Vec<Measurement>,
    /// More, as JSON.
    pub detail: Value,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_number_says_why() {
        let labels = |found| Measurement::new("x", found).labels;
        assert!(labels(Found::Value(1.0)).is_empty());
        let undefined = labels(Found::Undefined { why: "no\nrow".to_owned(), n: 3 });
        assert_eq!(undefined, [said("undefined", "no row"), said("n", "3")]);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let measurement = Measurement::new("x", Found::Value(value));
            assert!(measurement.number().is_none() && measurement.labels[0].0 == "undefined", "{measurement:?}");
        }
    }

    proptest! {
        #[test]
        fn texts_are_as_the_contract_takes_them(text in "\\PC{0,60}|[\\x00-\\xff]{0,60}", most in 4usize..40) {
            let got = short(&text, most);
            prop_assert!(got.len() <= most && !got.chars().any(char::is_control));
        }
    }
}
