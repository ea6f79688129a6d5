//! When windows are an alarm: so many breached ones among so many last ones. Owns that count, the alarm's begin, and what is
//! said of it; windows that say nothing are not heard.

use serde::{Deserialize, Serialize};
use tidegate_core::port::alerts::Measured;
use tidegate_core::spec::AlarmSpec;

/// Hears windows one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judge {
    /// The last windows, the newest in the lowest bit: 1 is a breach.
    last: u64,
    /// How many were heard, as far as they matter.
    heard: u32,
    /// Since when there is an alarm, in milliseconds since 1970.
    since_ms: Option<u64>,
}

/// What became of the alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It began.
    Raised,
    /// It is over.
    Cleared,
    /// Nothing changed.
    Same,
}

/// What is said after a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// What became of the alarm.
    pub change: Change,
    /// Since when there is one now; where it is over, since when there was one; in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// How many of the last windows are breached,
    pub breaches: u32,
    /// of how many.
    pub of: u32,
    /// What is so, in a sentence.
    pub summary: String,
}

impl Judge {
    /// One that has heard nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { last: 0, heard: 0, since_ms: None }
    }

    /// Whether there is an alarm.
    #[must_use]
    pub const fn firing(&self) -> bool {
        self.since_ms.is_some()
    }

    /// Hears that a window that ended then had these numbers out of bounds, or none.
    pub fn hear(&mut self, alarm: AlarmSpec, at_ms: u64, out_of_bounds: &[Measured]) -> Told {
        let of = alarm.of.clamp(1, 64);
        let kept = u64::MAX >> (64 - of);
        self.last = (self.last << 1 | u64::from(!out_of_bounds.is_empty())) & kept;
        self.heard = (self.heard + 1).min(of);
        let breaches = self.last.count_ones();
        let firing = breaches >= alarm.breaches.max(1);
        let (change, since_ms) = match (self.since_ms, firing) {
            (None, true) => (Change::Raised, Some(at_ms)),
            (Some(since), false) => (Change::Cleared, Some(since)),
            (since, _) => (Change::Same, since),
        };
        self.since_ms = if firing { since_ms } else { None };
        let summary = summary(breaches, self.heard, out_of_bounds);
        Told { change, since_ms, breaches, of: self.heard, summary }
    }
}

impl Default for Judge {
    fn default() -> Self {
        Self::new()
    }
}

/// How many numbers a sentence names.
const NAMED: usize = 3;

fn summary(breaches: u32, of: u32, out_of_bounds: &[Measured]) -> String {
    let windows = if of == 1 { "the last window".to_owned() } else { format!("{breaches} of the last {of} windows") };
    let (were, named) = match (breaches, out_of_bounds) {
        (0, _) => {
            return if of == 1 {
                "the last window is well".to_owned()
            } else {
                format!("the last {of} windows are well")
            };
        }
        (_, []) => ("breached, and the newest is well", String::new()),
        (_, some) => ("breached", format!(": {}", some.iter().take(NAMED).map(named).collect::<Vec<_>>().join(", "))),
    };
    let more = match out_of_bounds.len() {
        n if n > NAMED => format!(" and {} more", n - NAMED),
        _ => String::new(),
    };
    let are = if breaches == 1 { "is" } else { "are" };
    format!("{windows} {are} {were}{named}{more}")
}

/// `psi of amount is 0.31, its bound 0.1`; labels say of what, where there are any.
fn named(measured: &Measured) -> String {
    let of = ["column", "feature", "group"].iter().find_map(|label| measured.labels.get(*label));
    let of = match of {
        Some(of) if !measured.name.contains(of.as_str()) => format!(" of {of}"),
        _ => String::new(),
    };
    let bound = measured.threshold.map(|bound| format!(" (bound {})", short(bound))).unwrap_or_default();
    format!("{}{of} is {}{bound}", measured.name, short(measured.value))
}

/// Four digits are enough for a sentence.
fn short(x: f64) -> String {
    let magnitude = x.abs();
    if x == 0.0 || (1e-3..1e6).contains(&magnitude) {
        let text = format!("{x:.4}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        format!("{x:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn measured(name: &str, value: f64) -> Measured {
        Measured { name: name.to_owned(), value, threshold: Some(0.1), labels: BTreeMap::new() }
    }

    #[test]
    fn so_many_of_so_many_windows_are_an_alarm() {
        let alarm = AlarmSpec { breaches: 2, of: 3 };
        let mut judge = Judge::new();
        let breach = [measured("psi:amount", 0.31)];
        let heard: Vec<(Change, Option<u64>)> = [1, 0, 1, 1, 0, 0, 0, 1]
            .into_iter()
            .enumerate()
            .map(|(at, breached)| {
                let told = judge.hear(alarm, at as u64, if breached == 1 { &breach } else { &[] });
                // A restart in between changes nothing.
                judge = serde_json::from_str(&serde_json::to_string(&judge).unwrap()).unwrap();
                (told.change, told.since_ms)
            })
            .collect();
        let same = (Change::Same, None);
        let goes_on = (Change::Same, Some(2));
        assert_eq!(
            heard,
            [same, same, (Change::Raised, Some(2)), goes_on, goes_on, (Change::Cleared, Some(2)), same, same]
        );
        assert!(!judge.firing());
    }

    #[test]
    fn the_longest_memory_is_64_windows() {
        let alarm = AlarmSpec { breaches: 64, of: 64 };
        let mut judge = Judge::new();
        let told: Vec<bool> =
            (0..64).map(|at| judge.hear(alarm, at, &[measured("x", 1.0)]).change == Change::Raised).collect();
        assert!(told[63] && !told[..63].contains(&true));
        assert_eq!(judge.hear(alarm, 64, &[]).change, Change::Cleared);
    }

    #[test]
    fn what_is_said_names_the_worst() {
        let one = AlarmSpec { breaches: 1, of: 1 };
        let mut judge = Judge::new();
        let mut drift = measured("psi", 0.312_345);
        drift.labels.insert("column".to_owned(), "amount".to_owned());
        let told = judge.hear(one, 1, &[drift.clone(), measured("ks", 1e-9)]);
        assert_eq!(
            told.summary,
            "the last window is breached: psi of amount is 0.3123 (bound 0.1), ks is 1.000e-9 (bound 0.1)"
        );
        assert_eq!(judge.hear(one, 2, &[]).summary, "the last window is well");
        let mut judge = Judge::new();
        let two = AlarmSpec { breaches: 2, of: 3 };
        judge.hear(two, 1, &[drift.clone()]);
        assert_eq!(judge.hear(two, 2, &[]).summary, "1 of the last 2 windows is breached, and the newest is well");
        let many = vec![drift; 5];
        let told = judge.hear(two, 3, &many);
        assert!(
            told.summary.starts_with("2 of the last 3 windows are breached: psi of amount")
                && told.summary.ends_with("and 2 more")
        );
    }
}
