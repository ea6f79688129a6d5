//! What numbers are held against. Owns which bound is a measurement's, and when it is beyond it.

use crate::report::{Measurement, Severity};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The most or the least that a number may be.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// More is too much.
    Most(f64),
    /// Less is too little.
    Least(f64),
}

/// Bounds by the names of measurements: a whole name, else its part before the first `:`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bounds(BTreeMap<String, Bound>);

impl Bounds {
    /// From names and bounds.
    ///
    /// # Errors
    /// A bound is no finite number, which is named.
    pub fn new(bounds: BTreeMap<String, Bound>) -> Result<Self, String> {
        let odd = bounds.iter().find(|(_, bound)| !bound.at().is_finite());
        match odd {
            Some((name, _)) => Err(format!("thresholds.{name} is no finite number")),
            None => Ok(Self(bounds)),
        }
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Of a measurement.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<Bound> {
        let stem = name.split_once(':').map_or(name, |(stem, _)| stem);
        self.0.get(name).or_else(|| self.0.get(stem)).copied()
    }

    /// The measurement with its verdict. Where an interval is given, all of it has to be beyond the bound.
    #[must_use]
    pub fn judged(&self, measurement: Measurement, within: Option<(f64, f64)>, severity: Severity) -> Measurement {
        let Some(bound) = self.of(&measurement.name) else { return measurement };
        let (low, high) = within.unwrap_or((measurement.value, measurement.value));
        let breached = measurement.number().is_some()
            && match bound {
                Bound::Most(most) => low > most,
                Bound::Least(least) => high < least,
            };
        let severity = if breached { severity } else { Severity::Info };
        Measurement { threshold: Some(bound.at()), breached, severity, ..measurement }
    }
}

impl Bound {
    const fn at(self) -> f64 {
        match self {
            Self::Most(at) | Self::Least(at) => at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Found;

    fn judged(name: &str, value: f64, within: Option<(f64, f64)>) -> Measurement {
        let bounds = [("rate", Bound::Most(0.5)), ("rate:a", Bound::Least(0.2))];
        let bounds = Bounds::new(bounds.map(|(name, bound)| (name.to_owned(), bound)).into()).expect("finite");
        bounds.judged(Measurement::new(name, Found::Value(value)), within, Severity::Alert)
    }

    #[test]
    fn the_nearest_name_has_the_bound() {
        let found = |name, value| {
            let got = judged(name, value, None);
            (got.threshold, got.breached)
        };
        assert_eq!(found("rate", 0.6), (Some(0.5), true));
        assert_eq!(found("rate:b", 0.5), (Some(0.5), false));
        assert_eq!(found("rate:a", 0.1), (Some(0.2), true));
        assert_eq!(found("rate:a", 0.6), (Some(0.2), false));
        assert_eq!(found("rates", 9.0), (None, false));
        assert_eq!(found("rate", f64::NAN), (Some(0.5), false));
        assert!(Bounds::new([("x".to_owned(), Bound::Most(f64::INFINITY))].into()).is_err());
    }

    #[test]
    fn all_of_an_interval_has_to_be_beyond() {
        assert!(!judged("rate", 0.6, Some((0.4, 0.8))).breached);
        let certain = judged("rate", 0.6, Some((0.55, 0.8)));
        assert!(certain.breached && certain.severity == Severity::Alert);
    }
}
