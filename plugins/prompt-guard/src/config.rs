//! What may be asked of the plugin. Owns reading the settings and refusing what means nothing; `config.schema.json` beside
//! this says the same to the gateway, and the README to people.

use crate::plain;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Settings that make sense.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// From which score on a text is taken for an attempt.
    pub threshold: f64,
    /// What is done about it.
    pub mode: Mode,
    /// Phrases of the operator's, as words, with their weights.
    pub phrases: Vec<(Vec<String>, f64)>,
}

/// What is done about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The call is refused.
    #[default]
    Refuse,
    /// The record of the call says so.
    Annotate,
}

impl Config {
    /// Reads settings; an empty text is all defaults.
    ///
    /// # Errors
    /// They are no JSON, or mean nothing; said in words.
    pub fn read(json: &str) -> Result<Self, String> {
        let json = if json.trim().is_empty() { "{}" } else { json };
        let written: Written = serde_json::from_str(json).map_err(|fault| fault.to_string())?;
        let threshold = share("threshold", written.threshold.unwrap_or(0.7))?;
        let mut phrases = Vec::new();
        for (phrase, weight) in written.phrases.unwrap_or_default() {
            let words = plain::words(&phrase);
            if words.is_empty() {
                return Err(format!("phrases: `{phrase}` has no word"));
            }
            phrases.push((words, share(&format!("phrases.{phrase}"), weight)?));
        }
        Ok(Self { threshold, mode: written.mode.unwrap_or_default(), phrases })
    }
}

/// The settings as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    threshold: Option<f64>,
    mode: Option<Mode>,
    phrases: Option<BTreeMap<String, f64>>,
}

fn share(name: &str, value: f64) -> Result<f64, String> {
    if value > 0.0 && value <= 1.0 { Ok(value) } else { Err(format!("{name} is above 0 and at most 1, not {value}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_readme() {
        let config = Config::read("").expect("nothing is asked");
        assert_eq!((config.threshold, config.mode, config.phrases.len()), (0.7, Mode::Refuse, 0));
        let own = Config::read(r#"{"phrases": {"Open Sesame!": 0.9}}"#).expect("a phrase");
        assert_eq!(own.phrases, [(vec!["open".to_owned(), "sesame".to_owned()], 0.9)]);
    }

    #[test]
    fn what_means_nothing_is_refused_by_name() {
        for (json, expected) in [
            (r#"{"treshold": 1}"#, "unknown field `treshold`"),
            (r#"{"threshold": 0}"#, "threshold is above 0 and at most 1, not 0"),
            (r#"{"mode": "block"}"#, "unknown variant `block`"),
            (r#"{"phrases": {"!": 0.5}}"#, "`!` has no word"),
            (r#"{"phrases": {"a": 2}}"#, "phrases.a is above 0"),
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
        assert_eq!(known, ["mode", "phrases", "threshold"]);
    }
}
