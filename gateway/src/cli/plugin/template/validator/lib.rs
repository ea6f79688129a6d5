//! Whether the columns of a table are there and within their bounds. Owns the rules and how they are read; what the
//! contract makes of them is in `guest`.
//!
//! The schema is `{"columns": {"amount": {"least": 0, "most": 100, "gaps": false}}}`.

#[cfg(target_arch = "wasm32")]
mod guest;

use serde::Deserialize;
use std::collections::BTreeMap;

/// What an operator may say; `config.schema.json` says the same to programs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many rows of a finding are named.
    pub sample_rows: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { sample_rows: 10 }
    }
}

impl Config {
    /// Reads it.
    pub fn read(json: &str) -> Result<Self, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }
}

/// What a table is held against.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// The columns that must be there.
    pub columns: BTreeMap<String, Rule>,
}

impl Schema {
    /// Reads it.
    pub fn read(json: &str) -> Result<Self, String> {
        serde_json::from_str(json).map_err(|error| format!("the schema: {error}"))
    }
}

/// What holds for a column.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// The least value.
    pub least: Option<f64>,
    /// The largest value.
    pub most: Option<f64>,
    /// Whether values may be missing.
    pub gaps: bool,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            least: None,
            most: None,
            gaps: true,
        }
    }
}

impl Rule {
    /// The rows whose value is out of bounds.
    pub fn out_of_bounds(&self, values: impl Iterator<Item = (u32, f64)>) -> Vec<u32> {
        let is_out = |value: f64| {
            value.is_nan()
                || self.least.is_some_and(|least| value < least)
                || self.most.is_some_and(|most| value > most)
        };
        values
            .filter(|(_, value)| is_out(*value))
            .map(|(row, _)| row)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_belong_to_what_is_allowed() {
        let schema = Schema::read(r#"{"columns": {"x": {"least": 0, "most": 1}}}"#).unwrap();
        assert_eq!(
            schema.columns["x"].out_of_bounds((0..).zip([0.0, 1.0, 1.5, -0.1, f64::NAN])),
            [2, 3, 4]
        );
        assert!(Schema::read(r#"{"columns": {"x": {"lest": 0}}}"#).is_err());
    }
}
