//! For the tests of plugins: where the golden vectors lie, and how numbers are compared with them. Owns no expected value
//! and knows no measure; it fails by panicking, as tests do.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking, and say what they did"
)]

pub use serde_json::Value;
use std::path::PathBuf;

/// The cases of a family; `None`, said aloud, where the folder is not here, which is a failure under `CI=true`.
///
/// The folder is named by `GOLDEN_DIR`, else it is `../shared/golden` beside the repository.
///
/// # Panics
/// The family's file is not whole, or there is no folder under `CI=true`.
#[must_use]
pub fn cases(family: &str) -> Option<Vec<Case>> {
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
    let cases: Vec<Case> = all["cases"].as_array().expect("they have cases").iter().map(Case::of).collect();
    assert_eq!(all["n_cases"].as_u64(), Some(cases.len() as u64), "{family} is not whole");
    Some(cases)
}

/// One case.
#[derive(Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// What goes in.
    pub input: Value,
    /// How it is asked.
    pub params: Value,
    /// What must come out.
    pub expected: Value,
    /// By how much it may differ.
    pub tolerance: f64,
}

impl Case {
    fn of(case: &Value) -> Self {
        Self {
            name: format!("{} ({})", text(&case["id"]), text(&case["desc"])),
            input: case["input"].clone(),
            params: case["params"].clone(),
            expected: case["expected"].clone(),
            tolerance: case["tol"].as_f64().expect("a tolerance"),
        }
    }
}

/// A text.
///
/// # Panics
/// It is none.
#[must_use]
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// The items of a list.
///
/// # Panics
/// It is none.
#[must_use]
pub fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

/// The fields of an object.
///
/// # Panics
/// It is none.
pub fn fields(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().unwrap_or_else(|| panic!("{value} is no object")).iter().map(|(key, value)| (key.as_str(), value))
}

/// Digits such as `0110`, one a row.
///
/// # Panics
/// It is no such text.
#[must_use]
pub fn digits(value: &Value) -> Vec<usize> {
    let digit = |of: char| of.to_digit(36).unwrap_or_else(|| panic!("{of} is no digit")) as usize;
    text(value).chars().map(digit).collect()
}

/// Labels such as `0110`, one a row.
///
/// # Panics
/// It is no such text.
#[must_use]
pub fn labels(value: &Value) -> Vec<bool> {
    digits(value).into_iter().map(|digit| digit == 1).collect()
}

/// A number; infinities are texts.
///
/// # Panics
/// It is none.
#[must_use]
pub fn number(value: &Value) -> f64 {
    match value.as_str() {
        Some("inf") => f64::INFINITY,
        Some("-inf") => f64::NEG_INFINITY,
        _ => value.as_f64().unwrap_or_else(|| panic!("{value} is no number")),
    }
}

/// What was compared.
#[derive(Debug, Default)]
pub struct Compared {
    /// How many numbers, those among them that are expected to be undefined.
    pub numbers: u32,
    /// The largest error.
    pub worst: f64,
}

impl Compared {
    /// Compares by the difference; where nothing is expected, nothing may be there.
    ///
    /// # Panics
    /// They differ by more than the tolerance.
    pub fn same(&mut self, what: &str, got: Option<f64>, expected: &Value, tolerance: f64) {
        self.numbers += 1;
        let expected = (!expected.is_null()).then(|| number(expected));
        let (got, expected) = match (got, expected) {
            (Some(got), Some(expected)) => (got, expected),
            (None, None) => return,
            (got, expected) => panic!("{what}: {got:?} instead of {expected:?}"),
        };
        // An equal infinity has no difference.
        let error = if got == expected { 0.0 } else { (got - expected).abs() };
        assert!(error <= tolerance, "{what}: {got} instead of {expected} (off by {error:e}, not {tolerance:e})");
        self.worst = self.worst.max(error);
    }

    /// Says how much was compared.
    pub fn say(&self, family: &str, cases: usize) {
        eprintln!("{family}: {cases} of {cases} cases, {} numbers, worst error {:.1e}", self.numbers, self.worst);
    }
}
