//! The test cases of a prompt. Owns what an answer is expected to be, and checks what needs no model; similarity and
//! judges are asked by whoever runs the cases.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One test case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The variables to render with.
    #[serde(default)]
    pub variables: Map<String, Value>,
    /// What the answer must be: all of it.
    pub expect: Vec<Expectation>,
}

/// What an answer must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Expectation {
    /// It contains this text.
    Contains(String),
    /// This pattern is found in it.
    Regex(String),
    /// It is JSON of this schema.
    JsonSchema(Value),
    /// Its embedding is near that of a text.
    Similar(Similar),
    /// A model says that it meets a criterion.
    Judge(Judge),
}

/// Nearness of embeddings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Similar {
    /// The text to be near to.
    pub to: String,
    /// The least cosine.
    pub at_least: f64,
}

/// A judgement by a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judge {
    /// What the answer shall be.
    pub criterion: String,
    /// The least score, of 1.
    #[serde(default = "half")]
    pub at_least: f64,
}

const fn half() -> f64 {
    0.5
}

impl Expectation {
    /// What is wrong with the expectation itself.
    pub(crate) fn fault(&self) -> Option<String> {
        let share =
            |value: f64| (!(0.0..=1.0).contains(&value)).then(|| "`at_least` is a share from 0 to 1".to_owned());
        match self {
            Self::Contains(_) => None,
            Self::Regex(pattern) => compile(pattern).err(),
            Self::JsonSchema(schema) => crate::variables::compile(schema).err(),
            Self::Similar(similar) => share(similar.at_least),
            Self::Judge(judge) => share(judge.at_least),
        }
    }

    /// Whether `answer` is what is expected, with what is wrong where it is not; `None` where a model must say.
    #[must_use]
    pub fn check(&self, answer: &str) -> Option<Result<(), String>> {
        match self {
            Self::Contains(text) => {
                Some(if answer.contains(text) { Ok(()) } else { Err(format!("the answer does not contain {text:?}")) })
            }
            Self::Regex(pattern) => Some(compile(pattern).and_then(|regex| {
                if regex.is_match(answer) { Ok(()) } else { Err(format!("the answer does not match /{pattern}/")) }
            })),
            Self::JsonSchema(schema) => Some(crate::variables::compile(schema).and_then(|validator| {
                let value: Value =
                    serde_json::from_str(answer.trim()).map_err(|e| format!("the answer is no JSON: {e}"))?;
                validator.validate(&value).map_err(|e| format!("the answer is not of the schema: {e}"))
            })),
            Self::Similar(_) | Self::Judge(_) => None,
        }
    }
}

fn compile(pattern: &str) -> Result<regex::Regex, String> {
    regex::RegexBuilder::new(pattern).size_limit(1 << 20).build().map_err(|e| format!("the pattern is wrong: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_checked_without_a_model_where_that_is_possible() {
        let json = Expectation::JsonSchema(serde_json::json!({"type": "object", "required": ["a"]}));
        assert_eq!(json.check(r#" {"a": 1} "#), Some(Ok(())));
        assert!(json.check("{}").unwrap().is_err());
        assert!(json.check("nonsense").unwrap().is_err());
        assert_eq!(Expectation::Regex("^h.llo".into()).check("hello"), Some(Ok(())));
        assert!(Expectation::Contains("x".into()).check("hello").unwrap().is_err());
        assert_eq!(Expectation::Judge(Judge { criterion: "kind".into(), at_least: 0.5 }).check("hello"), None);
        assert!(Expectation::Regex("(".into()).fault().is_some());
    }
}
