//! The difference between the groups with the largest and the smallest share of good outcomes (demographic parity).
//! Owns the measure and its settings; what the contract makes of it is in `guest`.

#[cfg(target_arch = "wasm32")]
mod guest;

use serde::Deserialize;
use std::collections::BTreeMap;

/// What an operator may say; `config.schema.json` says the same to programs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// From which difference on a window is unfair.
    pub threshold: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { threshold: 0.2 }
    }
}

impl Config {
    /// Reads it.
    pub fn read(json: &str) -> Result<Self, String> {
        let config: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if !(config.threshold > 0.0 && config.threshold <= 1.0) {
            return Err("`threshold` is above 0 and 1 at most".to_owned());
        }
        Ok(config)
    }
}

/// The groups of a column: of each how many rows it has, and how many with the good outcome.
pub type Groups = BTreeMap<String, (u32, u32)>;

/// The largest difference of shares among the groups that have enough rows, or why there is none.
pub fn difference(groups: &Groups, least: u32) -> Result<f64, &'static str> {
    let shares: Vec<f64> = groups
        .values()
        .filter(|(rows, _)| *rows >= least.max(1))
        .map(|(rows, good)| f64::from(*good) / f64::from(*rows))
        .collect();
    if shares.len() < 2 {
        return Err("fewer than two groups are large enough");
    }
    Ok(shares.iter().copied().fold(f64::MIN, f64::max)
        - shares.iter().copied().fold(f64::MAX, f64::min))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_groups_do_not_count() {
        let groups = |of: &[(&str, u32, u32)]| {
            of.iter()
                .map(|(name, rows, good)| ((*name).to_owned(), (*rows, *good)))
                .collect()
        };
        let three: Groups = groups(&[("a", 10, 5), ("b", 10, 8), ("c", 1, 0)]);
        assert!((difference(&three, 5).unwrap() - 0.3).abs() < 1e-12);
        assert!((difference(&three, 1).unwrap() - 0.8).abs() < 1e-12);
        assert!(difference(&groups(&[("a", 10, 5)]), 1).is_err());
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(Config::read("{}"), Ok(Config::default()));
        assert!(Config::read("{\"threshold\": 2}").is_err());
    }
}
