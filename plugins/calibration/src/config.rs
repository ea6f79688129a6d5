//! What may be asked of the plugin. Owns reading the settings and refusing what means nothing; `config.schema.json` beside
//! this says the same to the gateway, and the README to people.

use serde::Deserialize;
use std::collections::BTreeMap;
use tidegate_window::{Bound, Bounds, Severity};

/// Settings that make sense.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The reliability tables.
    pub bins: Vec<Binning>,
    /// What numbers are held against.
    pub bounds: Bounds,
    /// How many groups are shown.
    pub most_groups: usize,
    /// Of what is breached.
    pub severity: Severity,
}

/// How probabilities fall into bins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Binning {
    /// Where bins are cut.
    pub strategy: Strategy,
    /// How many there are.
    pub bins: usize,
}

impl Default for Binning {
    fn default() -> Self {
        Self { strategy: Strategy::Uniform, bins: 10 }
    }
}

impl Binning {
    /// As measurements name it.
    #[must_use]
    pub fn name(self) -> String {
        let strategy = match self.strategy {
            Strategy::Uniform => "uniform",
            Strategy::Quantile => "quantile",
        };
        format!("{strategy}_{}", self.bins)
    }
}

/// Where bins are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Bins of equal width.
    #[default]
    Uniform,
    /// Bins of equally many rows.
    Quantile,
}

/// More bins have few rows each.
const MOST_BINS: usize = 100;
/// More tables say no more.
const MOST_TABLES: usize = 20;
/// So many numbers fit into a report.
const MOST_MEASUREMENTS: usize = 9000;

impl Config {
    /// Reads settings; an empty text is all defaults.
    ///
    /// # Errors
    /// They are no JSON, or mean nothing; said in words.
    pub fn read(json: &str) -> Result<Self, String> {
        let json = if json.trim().is_empty() { "{}" } else { json };
        let written: Written = serde_json::from_str(json).map_err(|fault| fault.to_string())?;
        let bins = written.bins.unwrap_or_else(|| vec![Binning::default()]);
        if !(1..=MOST_TABLES).contains(&bins.len()) {
            return Err(format!("bins has from 1 to {MOST_TABLES} tables, not {}", bins.len()));
        }
        for (at, binning) in bins.iter().enumerate() {
            if !(1..=MOST_BINS).contains(&binning.bins) {
                return Err(format!("bins[{at}].bins is from 1 to {MOST_BINS}, not {}", binning.bins));
            }
            if bins[..at].contains(binning) {
                return Err(format!("bins[{at}]: there is another {}", binning.name()));
            }
        }
        let most_groups = written.most_groups.unwrap_or(100);
        let most = (MOST_MEASUREMENTS / (4 + 3 * bins.len())).min(400);
        if !(2..=most).contains(&most_groups) {
            return Err(format!("most_groups is from 2 to {most} with {} tables, not {most_groups}", bins.len()));
        }
        let bounds = Bounds::new(written.thresholds.unwrap_or_default())?;
        Ok(Self { bins, bounds, most_groups, severity: written.severity.unwrap_or(Severity::Alert) })
    }
}

/// The settings as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    bins: Option<Vec<Binning>>,
    thresholds: Option<BTreeMap<String, Bound>>,
    most_groups: Option<usize>,
    severity: Option<Severity>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_readme() {
        let config = Config::read("").expect("nothing is asked");
        assert_eq!(config.bins, [Binning { strategy: Strategy::Uniform, bins: 10 }]);
        assert_eq!((config.most_groups, config.severity, config.bounds), (100, Severity::Alert, Bounds::default()));
        let named = Config::read(r#"{"bins": [{"strategy": "quantile"}, {"bins": 5}]}"#).expect("two tables");
        assert_eq!(named.bins.into_iter().map(Binning::name).collect::<Vec<_>>(), ["quantile_10", "uniform_5"]);
    }

    #[test]
    fn what_means_nothing_is_refused_by_name() {
        for (json, expected) in [
            (r#"{"bin": 10}"#, "unknown field `bin`"),
            (r#"{"bins": []}"#, "from 1 to 20 tables, not 0"),
            (r#"{"bins": [{"bins": 0}]}"#, "bins[0].bins is from 1 to 100, not 0"),
            (r#"{"bins": [{}, {"bins": 10}]}"#, "bins[1]: there is another uniform_10"),
            (r#"{"bins": [{"strategy": "even"}]}"#, "unknown variant `even`"),
            (r#"{"most_groups": 1000}"#, "from 2 to 400 with 1 tables, not 1000"),
        ] {
            let fault = Config::read(json).expect_err("it means nothing");
            assert!(fault.contains(expected), "{json}: {fault}");
        }
    }

    #[test]
    fn the_schema_names_what_is_read() {
        let schema: serde_json::Value = serde_json::from_str(crate::CONFIG_SCHEMA).expect("the schema is JSON");
        let known: Vec<&str> =
            schema["properties"].as_object().expect("properties").keys().map(String::as_str).collect();
        assert_eq!(known, ["bins", "most_groups", "severity", "thresholds"]);
    }
}
