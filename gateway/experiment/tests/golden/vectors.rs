//! Where the golden vectors lie, and how numbers are compared with them.

use serde_json::Value;
use std::path::PathBuf;

/// The cases of a family; `None`, said aloud, where the folder is not here, which is a failure under `CI=true`.
pub(crate) fn cases(family: &str) -> Option<Vec<Value>> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden");
    let folder = std::env::var_os("GOLDEN_DIR").map_or_else(beside, PathBuf::from);
    if !folder.is_dir() {
        let says = format!("there are no golden vectors at {}: name their folder in GOLDEN_DIR", folder.display());
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{says}");
        eprintln!("LEFT OUT: {says}");
        return None;
    }
    let file = folder.join(family).with_extension("json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|fault| panic!("{}: {fault}", file.display()));
    let all: Value = serde_json::from_str(&text).expect("the vectors are JSON");
    let cases = all["cases"].as_array().expect("they have cases").clone();
    assert_eq!(all["n_cases"].as_u64(), Some(cases.len() as u64), "{family} is not whole");
    Some(cases)
}

/// A number; infinities are texts.
pub(crate) fn number(value: &Value) -> f64 {
    match value.as_str() {
        Some("inf") => f64::INFINITY,
        Some("-inf") => f64::NEG_INFINITY,
        _ => value.as_f64().unwrap_or_else(|| panic!("{value} is no number")),
    }
}

/// The numbers of a list.
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(number).collect()
}

/// What was compared.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// How many numbers.
    pub(crate) n: u32,
    /// The largest error, relative or absolute as the tolerance is.
    pub(crate) worst: f64,
}

impl Compared {
    /// Compares relative to the expected number, whose error near 0 counts as it is.
    pub(crate) fn relative(&mut self, what: &str, got: f64, expected: &Value, tolerance: f64) {
        let expected = number(expected);
        let scale = if expected == 0.0 { 1.0 } else { expected.abs() };
        self.note(what, got, expected, (got - expected).abs() / scale, tolerance);
    }

    /// Compares by the difference.
    pub(crate) fn absolute(&mut self, what: &str, got: f64, expected: &Value, tolerance: f64) {
        let expected = number(expected);
        self.note(what, got, expected, (got - expected).abs(), tolerance);
    }

    fn note(&mut self, what: &str, got: f64, expected: f64, error: f64, tolerance: f64) {
        // An equal infinity has no difference.
        let error = if got == expected { 0.0 } else { error };
        assert!(error <= tolerance, "{what}: {got} instead of {expected} (off by {error:e}, not {tolerance:e})");
        self.n += 1;
        self.worst = self.worst.max(error);
    }
}
