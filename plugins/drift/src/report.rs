//! What is said of a window.

use serde_json::Value;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
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

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// `<measure>:<column>`, unless the settings name it.
    pub name: String,
    /// The statistic of a test, else the distance.
    pub value: f64,
    /// What the verdict used: for tests the least p-value that is no drift, else the least distance that is.
    pub threshold: Option<f64>,
    /// How probable the statistic is where nothing drifted.
    pub p: Option<f64>,
    /// Whether it drifted.
    pub breached: bool,
    /// How much it matters.
    pub severity: Severity,
    /// More about it: the column, the measure, rows, its effect.
    pub labels: Vec<(String, String)>,
}

/// All that is said.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// In the order in which they were asked, and last the share of columns that drifted.
    pub measurements: Vec<Measurement>,
    /// `{"skipped": [{"column", "why"}], "bins": {"<measurement>": {"edges" | "values", "reference", "current"}}}`.
    pub detail: Value,
}
