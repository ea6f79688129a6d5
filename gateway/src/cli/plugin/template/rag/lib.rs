//! Which share of an answer's words stands in the passages that it was made of. Owns the measure and its settings; what
//! the contract makes of it is in `guest`.

#[cfg(target_arch = "wasm32")]
mod guest;

use serde::Deserialize;
use std::collections::HashSet;

/// What an operator may say; `config.schema.json` says the same to programs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Below which share an answer is not grounded.
    pub threshold: f64,
    /// Shorter words are not looked at.
    pub least_letters: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            threshold: 0.5,
            least_letters: 4,
        }
    }
}

impl Config {
    /// Reads it.
    pub fn read(json: &str) -> Result<Self, String> {
        let config: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if !(0.0..=1.0).contains(&config.threshold) {
            return Err("`threshold` is between 0 and 1".to_owned());
        }
        Ok(config)
    }
}

fn words(text: &str, least: usize) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(move |word| word.chars().count() >= least.max(1))
        .map(str::to_lowercase)
}

/// The share of the answer's words that stand in a passage, or why there is none.
pub fn grounded<'a>(
    answer: &str,
    passages: impl Iterator<Item = &'a str>,
    config: &Config,
) -> Result<f64, &'static str> {
    let known: HashSet<String> = passages
        .flat_map(|passage| words(passage, config.least_letters))
        .collect();
    let said: HashSet<String> = words(answer, config.least_letters).collect();
    if said.is_empty() {
        return Err("the answer has no words");
    }
    Ok(said.intersection(&known).count() as f64 / said.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_looked_for_in_all_passages() {
        let share = |answer| {
            grounded(
                answer,
                ["Lisbon lies on the Tagus.", "Porto: the Douro"].into_iter(),
                &Config::default(),
            )
        };
        assert_eq!(share("LISBON, Porto"), Ok(1.0));
        assert_eq!(share("Lisbon lies near Madrid, maybe"), Ok(0.4));
        assert_eq!(share("no!"), Err("the answer has no words"));
    }
}
