//! What may be asked of the plugin. Owns reading the settings and refusing what means nothing; `config.schema.json` beside
//! this says the same to the gateway, and the README to people.

use crate::measure::Measure;
use crate::sample::Sample;
use serde::Deserialize;
use std::collections::BTreeMap;
use tidegate_window::{Bound, Bounds, Severity};

/// Settings that make sense.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What is measured; where there is none, what each sample has all that it takes for.
    pub measures: Vec<Measure>,
    /// From which likeness on a passage is like a reference passage.
    pub threshold: f64,
    /// In which order passages were found.
    pub order: Order,
    /// What is known of questions beforehand.
    pub expected: Expected,
    /// Whether likenesses stand in the detail.
    pub likenesses: bool,
    /// Whether the last report has the means over all samples.
    pub means: bool,
    /// Who judges.
    pub judge: Option<Judge>,
    /// From which faithfulness, else groundedness, on an answer is no hallucination.
    pub faithful_from: f64,
    /// What numbers are held against.
    pub bounds: Bounds,
    /// Of what is breached.
    pub severity: Severity,
}

/// In which order passages were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// By their scores where all have one, else as they are given.
    #[default]
    Score,
    /// As they are given.
    Given,
}

/// What is known of questions beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// By what a question is known.
    #[serde(default)]
    pub by: By,
    /// Of each.
    #[serde(default)]
    pub of: BTreeMap<String, Known>,
}

/// By what a question is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Its text.
    #[default]
    Question,
    /// The id of the call.
    RequestId,
}

/// What is known of a question.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// How relevant passages are, by their ids: 0 is not at all, and so is what is not named.
    pub grades: Option<BTreeMap<String, i32>>,
    /// The texts that should have been found.
    pub contexts: Option<Vec<String>>,
}

impl Expected {
    /// What is known of a sample's question.
    #[must_use]
    pub fn known(&self, sample: &Sample) -> Option<&Known> {
        let key = match self.by {
            By::Question => &sample.question,
            By::RequestId => &sample.request_id,
        };
        self.of.get(key)
    }
}

/// Models that judge, by the gateway's routes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judge {
    /// Who is asked for verdicts.
    pub model: Option<String>,
    /// Who embeds.
    pub embedding_model: Option<String>,
    /// How long a verdict may be.
    #[serde(default = "max_tokens")]
    pub max_tokens: u32,
    /// How many questions are made of an answer.
    #[serde(default = "questions")]
    pub questions: u32,
}

const fn max_tokens() -> u32 {
    1024
}

const fn questions() -> u32 {
    3
}

impl Config {
    /// Reads settings; an empty text is all defaults.
    ///
    /// # Errors
    /// They are no JSON, or mean nothing; said in words.
    pub fn read(json: &str) -> Result<Self, String> {
        let json = if json.trim().is_empty() { "{}" } else { json };
        let written: Written = serde_json::from_str(json).map_err(|fault| fault.to_string())?;
        let mut measures = Vec::new();
        for name in written.measures.unwrap_or_default() {
            let measure = Measure::read(&name).map_err(|fault| format!("measures: {fault}"))?;
            if !measures.contains(&measure) {
                measures.push(measure);
            }
        }
        if let Some(judge) = &written.judge {
            if judge.model.is_none() && judge.embedding_model.is_none() {
                return Err("judge names no model: say `model`, `embedding_model` or both".to_owned());
            }
            if !(1..=10).contains(&judge.questions) {
                return Err(format!("judge.questions is from 1 to 10, not {}", judge.questions));
            }
            if judge.max_tokens == 0 {
                return Err("judge.max_tokens is 1 at least".to_owned());
            }
        } else if let Some(judged) = measures.iter().find(|measure| matches!(measure, Measure::Judged(_))) {
            return Err(format!("measures: {judged} asks a model: say which in `judge`"));
        }
        Ok(Self {
            measures,
            threshold: share("threshold", written.threshold.unwrap_or(0.5))?,
            order: written.order.unwrap_or_default(),
            expected: written.expected.unwrap_or_default(),
            likenesses: written.likenesses.unwrap_or(false),
            means: written.means.unwrap_or(false),
            judge: written.judge,
            faithful_from: share("faithful_from", written.faithful_from.unwrap_or(0.5))?,
            bounds: Bounds::new(written.thresholds.unwrap_or_default())?,
            severity: written.severity.unwrap_or(Severity::Alert),
        })
    }
}

/// The settings as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    measures: Option<Vec<String>>,
    threshold: Option<f64>,
    order: Option<Order>,
    expected: Option<Expected>,
    likenesses: Option<bool>,
    means: Option<bool>,
    judge: Option<Judge>,
    faithful_from: Option<f64>,
    thresholds: Option<BTreeMap<String, Bound>>,
    severity: Option<Severity>,
}

fn share(name: &str, value: f64) -> Result<f64, String> {
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(format!("{name} is from 0 to 1, not {value}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_readme() {
        let config = Config::read("").expect("nothing is asked");
        assert!(config.measures.is_empty() && config.judge.is_none() && !config.likenesses && !config.means);
        assert_eq!((config.threshold, config.faithful_from, config.order), (0.5, 0.5, Order::Score));
        let judge = Config::read(r#"{"judge": {"model": "m"}}"#).expect("a judge").judge.expect("a judge");
        assert_eq!((judge.max_tokens, judge.questions, judge.embedding_model), (1024, 3, None));
    }

    #[test]
    fn a_question_is_known_by_its_text_or_its_call() {
        let sample = Sample { request_id: "r".to_owned(), question: "q".to_owned(), ..Sample::default() };
        let known = |by: &str, key: &str| {
            let json = format!(r#"{{"expected": {{"by": "{by}", "of": {{"{key}": {{"grades": {{"a": 2}}}}}}}}}}"#);
            Config::read(&json).expect("settings").expected.known(&sample).is_some()
        };
        assert!(known("question", "q") && known("request_id", "r") && !known("question", "r"));
    }

    #[test]
    fn what_means_nothing_is_refused_by_name() {
        for (json, expected) in [
            (r#"{"measure": []}"#, "unknown field `measure`"),
            (r#"{"measures": ["mrr"]}"#, "measures: there is no measure mrr"),
            (r#"{"measures": ["faithfulness"]}"#, "faithfulness asks a model: say which in `judge`"),
            (r#"{"judge": {}}"#, "judge names no model"),
            (r#"{"judge": {"model": "m", "questions": 0}}"#, "from 1 to 10, not 0"),
            (r#"{"threshold": 2}"#, "threshold is from 0 to 1, not 2"),
            (r#"{"order": "rank"}"#, "unknown variant `rank`"),
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
        let expected = [
            "expected",
            "faithful_from",
            "judge",
            "likenesses",
            "means",
            "measures",
            "order",
            "severity",
            "threshold",
            "thresholds",
        ];
        assert_eq!(known, expected);
    }
}
