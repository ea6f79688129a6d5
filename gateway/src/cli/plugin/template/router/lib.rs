//! How calls are shared out among the variants of a route: each gets the more of them the sooner it answers. Owns the shares
//! and their settings; what a variant is like now, the gateway measures.

#[cfg(target_arch = "wasm32")]
mod guest;

use serde::Deserialize;

/// What operators may say; `config.schema.json` says the same to programs.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How much sooner counts: 0 not at all, 1 as much as it is, 2 as its square.
    pub power: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { power: 1.0 }
    }
}

impl Config {
    /// Reads it.
    pub fn read(json: &str) -> Result<Self, String> {
        let config: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if !(0.0..=8.0).contains(&config.power) {
            return Err("`power` is a number from 0 to 8".to_owned());
        }
        Ok(config)
    }
}

/// A variant as it stands when a call comes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arm {
    /// Whether it takes calls.
    pub ready: bool,
    /// Calls under way.
    pub in_flight: u32,
    /// Milliseconds to the first byte, where that is known.
    pub first_byte_ms: Option<f64>,
}

/// A share for each variant. One of which nothing is known counts as the quickest that is, so that it is tried; the gateway
/// makes shares add up to 1.
pub fn shares(arms: &[Arm], config: Config) -> Vec<f64> {
    let is_any_ready = arms.iter().any(|arm| arm.ready);
    let is_open = |arm: &&Arm| arm.ready || !is_any_ready;
    let waits = |arm: &Arm| {
        let ms = arm.first_byte_ms.filter(|ms| *ms > 0.0)?;
        Some(ms * (f64::from(arm.in_flight) + 1.0))
    };
    let known = arms.iter().filter(is_open).filter_map(waits);
    let quickest = known.reduce(f64::min).unwrap_or(1.0);
    let share = |arm: &Arm| (quickest / waits(arm).unwrap_or(quickest)).powf(config.power);
    arms.iter()
        .map(|arm| if is_open(&arm) { share(arm) } else { 0.0 })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(ready: bool, in_flight: u32, first_byte_ms: Option<f64>) -> Arm {
        Arm {
            ready,
            in_flight,
            first_byte_ms,
        }
    }

    #[test]
    fn the_sooner_the_more() {
        let arms = [
            arm(true, 0, Some(100.0)),
            arm(true, 1, Some(200.0)),
            arm(false, 0, Some(1.0)),
            arm(true, 0, None),
        ];
        assert_eq!(shares(&arms[..2], Config::default()), [1.0, 0.25]);
        assert_eq!(shares(&arms[..2], Config { power: 0.0 }), [1.0, 1.0]);
        assert_eq!(shares(&arms[2..], Config::default()), [0.0, 1.0]);
        assert_eq!(shares(&[arms[2]], Config::default()), [1.0]);
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(Config::read(r#"{"power": 2}"#).unwrap().power, 2.0);
        assert!(
            Config::read(r#"{"power": -1}"#).is_err() && Config::read(r#"{"pow": 1}"#).is_err()
        );
    }
}
