//! How far the mean of each column of numbers has moved from the reference, in the reference's standard deviations.
//! Owns the measure and its settings; what the contract makes of it is in `guest`.

#[cfg(target_arch = "wasm32")]
mod guest;

use serde::Deserialize;

/// What an operator may say; `config.schema.json` says the same to programs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// From how many deviations on a column has drifted.
    pub threshold: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { threshold: 0.5 }
    }
}

impl Config {
    /// Reads it.
    pub fn read(json: &str) -> Result<Self, String> {
        let config: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if !(config.threshold.is_finite() && config.threshold > 0.0) {
            return Err("`threshold` is a number above 0".to_owned());
        }
        Ok(config)
    }
}

/// The distance of the means in deviations of the reference, or why there is none.
pub fn shift(reference: &[f64], current: &[f64]) -> Result<f64, &'static str> {
    if reference.len() < 2 || current.is_empty() {
        return Err("too few values");
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (before, now) = (mean(reference), mean(current));
    let squares: f64 = reference.iter().map(|value| (value - before).powi(2)).sum();
    let deviation = (squares / (reference.len() - 1) as f64).sqrt();
    if deviation == 0.0 {
        return Err("the reference has one value only");
    }
    Ok((now - before).abs() / deviation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_is_counted_in_deviations() {
        assert_eq!(shift(&[1.0, 2.0, 3.0], &[4.0, 4.0]), Ok(2.0));
        assert_eq!(
            shift(&[1.0, 1.0], &[4.0]),
            Err("the reference has one value only")
        );
        assert_eq!(shift(&[1.0, 2.0], &[]), Err("too few values"));
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(Config::read("{}"), Ok(Config::default()));
        assert!(
            Config::read("{\"treshold\": 1}").is_err()
                && Config::read("{\"threshold\": 0}").is_err()
        );
    }
}
