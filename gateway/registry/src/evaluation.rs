//! An evaluation: what one monitor found of a version. Owns its fields and their check.

use crate::fault::RegistryFault;
use crate::kind::short;
use serde_json::{Map, Value, json};

/// The longest evaluation, in bytes of its JSON.
const LONGEST: usize = 64 * 1024;

/// What a monitor found.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The monitor: a plugin, a test-suite, a person.
    pub monitor: MonitorName,
    /// Whether what it found is good enough.
    pub passed: bool,
    /// How good, where it has one number.
    pub score: Option<f64>,
    /// What else it says.
    pub details: Map<String, Value>,
}

/// An evaluation that was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEvaluation {
    /// What was found.
    pub found: Evaluation,
    /// Milliseconds since 1970.
    pub at: i64,
    /// Who recorded it.
    pub by: String,
}

impl RecordedEvaluation {
    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut all = self.found.to_json();
        all["at"] = self.at.into();
        all["by"] = self.by.as_str().into();
        all
    }
}

/// The name of a monitor: letters, digits, `_`, `-` and `.`, at most 128.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MonitorName(String);

impl MonitorName {
    /// Checks a text.
    ///
    /// # Errors
    /// It is no such name.
    pub fn new(text: &str) -> Result<Self, RegistryFault> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if (1..=128).contains(&text.len()) && text.bytes().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err(RegistryFault::invalid(format!(
            "monitor: '{}' is no name of a monitor: 1 to 128 letters, digits, '_', '-' and '.'",
            short(text)
        )))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Evaluation {
    /// Checks a JSON object: `{monitor, passed, score?, details?}`.
    ///
    /// # Errors
    /// A field is missing, unknown or of another form.
    pub fn read(value: &Value) -> Result<Self, RegistryFault> {
        let invalid = |says: &str| RegistryFault::invalid(format!("the evaluation: {says}"));
        let Value::Object(given) = value else { return Err(invalid("it is no JSON object")) };
        if let Some(key) = given.keys().find(|key| !["monitor", "passed", "score", "details"].contains(&key.as_str())) {
            return Err(invalid(&format!("there is no `{}`; it has monitor, passed, score, details", short(key))));
        }
        if value.to_string().len() > LONGEST {
            return Err(invalid(&format!(
                "it is longer than {LONGEST} bytes: keep the data elsewhere and name it here"
            )));
        }
        let monitor =
            given.get("monitor").and_then(Value::as_str).ok_or_else(|| invalid("`monitor` is missing: a text"))?;
        let passed = given.get("passed").and_then(Value::as_bool);
        let details = match given.get("details") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(details)) => details.clone(),
            Some(_) => return Err(invalid("`details` is no object")),
        };
        let score = match given.get("score") {
            None | Some(Value::Null) => None,
            Some(score) => Some(score.as_f64().ok_or_else(|| invalid("`score` is no number"))?),
        };
        Ok(Self {
            monitor: MonitorName::new(monitor)?,
            passed: passed.ok_or_else(|| invalid("`passed` is missing: true or false"))?,
            score,
            details,
        })
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut all = json!({"monitor": self.monitor.as_str(), "passed": self.passed});
        if let Some(score) = self.score {
            all["score"] = score.into();
        }
        if !self.details.is_empty() {
            all["details"] = Value::Object(self.details.clone());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evaluation_is_read_back_and_faults_name_the_field() {
        let whole = json!({"monitor": "faithfulness", "passed": true, "score": 0.93, "details": {"n": 200}});
        assert_eq!(Evaluation::read(&whole).unwrap().to_json(), whole);
        for (bad, part) in [
            (json!([]), "no JSON object"),
            (json!({"passed": true}), "`monitor` is missing"),
            (json!({"monitor": "a b", "passed": true}), "no name of a monitor"),
            (json!({"monitor": "a"}), "`passed` is missing"),
            (json!({"monitor": "a", "passed": "yes"}), "`passed` is missing"),
            (json!({"monitor": "a", "passed": true, "score": "1"}), "`score` is no number"),
            (json!({"monitor": "a", "passed": true, "at": 1}), "there is no `at`"),
            (json!({"monitor": "a", "passed": true, "details": {"x": "y".repeat(LONGEST)}}), "longer than"),
        ] {
            let says = Evaluation::read(&bad).unwrap_err().says;
            assert!(says.contains(part), "{says}");
        }
    }
}
