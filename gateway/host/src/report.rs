//! What evaluators say, as plain types that were looked at: numbers are finite, or said to be undefined. Owns the types; who
//! looks is `vet`.

use serde::{Serialize, Serializer};

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing to do.
    Info,
    /// Worth a look.
    Warn,
    /// Somebody should look.
    Alert,
    /// Now.
    Critical,
}

/// One reported number.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measurement {
    /// What was measured.
    pub name: String,
    /// The number; `None` where it is undefined.
    pub value: Option<f64>,
    /// Why it is undefined, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undefined: Option<String>,
    /// The threshold that the verdict used.
    pub threshold: Option<f64>,
    /// The p-value, where a test was made.
    pub p_value: Option<f64>,
    /// The verdict.
    pub breached: bool,
    /// How bad it is.
    pub severity: Severity,
    /// Such as the column.
    #[serde(serialize_with = "as_map")]
    pub labels: Vec<(String, String)>,
}

impl Measurement {
    /// The value of a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

fn as_map<S: Serializer>(labels: &[(String, String)], s: S) -> Result<S::Ok, S::Error> {
    s.collect_map(labels.iter().map(|(name, value)| (name, value)))
}

/// What an evaluator says of a window.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// The numbers.
    pub measurements: Vec<Measurement>,
    /// More, as JSON that nobody here interprets.
    pub detail: Option<serde_json::Value>,
}

/// What a validator found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule that was broken.
    pub rule: String,
    /// Where.
    pub column: Option<String>,
    /// By how many rows.
    pub failed: u32,
    /// Some of these.
    pub sample_rows: Vec<u32>,
    /// How bad it is.
    pub severity: Severity,
    /// In words.
    pub message: String,
}

/// What a call gave back, by the world of its plugin.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Of drift and fairness.
    Report(Report),
    /// Of rag, one for each sample.
    Reports(Vec<Report>),
    /// Of a validator.
    Findings(Vec<Finding>),
}
