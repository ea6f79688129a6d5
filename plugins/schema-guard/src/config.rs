//! What may be asked of the plugin. Owns reading the settings; `config.schema.json` beside this says the same to the gateway,
//! and the README to people.

use serde::Deserialize;
use tidegate_window::Severity;

/// Settings that make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How many rows of a finding are shown.
    pub sample_rows: usize,
    /// Of a finding whose expectation says nothing of it.
    pub severity: Severity,
}

/// The most rows of a finding by the contract.
const MOST_ROWS: usize = 1000;

impl Config {
    /// Reads settings; an empty text is all defaults.
    ///
    /// # Errors
    /// They are no JSON, or mean nothing; said in words.
    pub fn read(json: &str) -> Result<Self, String> {
        let json = if json.trim().is_empty() { "{}" } else { json };
        let written: Written = serde_json::from_str(json).map_err(|fault| fault.to_string())?;
        let sample_rows = written.sample_rows.unwrap_or(20);
        if sample_rows > MOST_ROWS {
            return Err(format!("sample_rows is at most {MOST_ROWS}, not {sample_rows}"));
        }
        Ok(Self { sample_rows, severity: written.severity.unwrap_or(Severity::Alert) })
    }
}

/// The settings as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    sample_rows: Option<usize>,
    severity: Option<Severity>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_readme() {
        assert_eq!(Config::read(""), Ok(Config { sample_rows: 20, severity: Severity::Alert }));
        assert!(Config::read(r#"{"rows": 1}"#).is_err_and(|fault| fault.contains("unknown field `rows`")));
        assert!(Config::read(r#"{"sample_rows": 1001}"#).is_err());
        let schema: serde_json::Value = serde_json::from_str(crate::CONFIG_SCHEMA).expect("the schema is JSON");
        let known: Vec<&String> = schema["properties"].as_object().expect("properties").keys().collect();
        assert_eq!(known, ["sample_rows", "severity"]);
    }
}
