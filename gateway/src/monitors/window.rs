//! A window that ended, as its plugin takes it. Owns which table of it goes to which world, and what of it is told without
//! the plugin.

use super::evaluator::Evaluate;
use super::found::Found;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Instant;
use tidegate_core::spec::{MonitorSpec, RolesSpec, Watched};
use tidegate_core::{Clock, MonitorName};
use tidegate_host::{Column, Data, Frame, Input, Passage, Roles, Sample, Window, World};
use tidegate_watch::table::Data as Values;
use tidegate_watch::{Closed, Table, Value};

/// So many rows a table has at most that is made of sketches.
const MOST_ROWS: u32 = 10_000;
/// So many answers of a window are judged one by one.
const MOST_SAMPLES: usize = 200;
/// So many of the worst answers are shown.
const WORST: usize = 5;
/// The most of a text that is shown, in bytes.
const SHOWN: usize = 2000;

/// A window that is to be judged.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) monitor: MonitorName,
    pub(super) watched: Watched,
    /// Tells windows of before a change of the monitor from those after it.
    pub(super) era: u64,
    pub(super) spec: Arc<MonitorSpec>,
    pub(super) closed: Closed,
    pub(super) judge: Arc<dyn Evaluate>,
    pub(super) config: String,
    /// Whether texts may be kept.
    pub(super) keeps_texts: bool,
}

/// A window that was judged.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) monitor: MonitorName,
    pub(super) watched: Watched,
    pub(super) era: u64,
    pub(super) past: Past,
}

/// What is remembered of a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Past {
    pub(super) id: String,
    pub(super) start_ms: u64,
    pub(super) end_ms: u64,
    pub(super) rows: u64,
    /// Why nothing was found, where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fault: Option<String>,
    #[serde(default)]
    pub(super) took_us: u64,
    #[serde(default)]
    pub(super) found: Found,
    /// How values lie, by column.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub(super) columns: Json,
    /// The worst answers, where texts may be kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) worst: Vec<Json>,
}

impl Past {
    /// Of a window that nobody judged.
    pub(super) fn silent(closed: &Closed, why: String) -> Self {
        Self {
            id: closed.id.clone(),
            start_ms: closed.start_ms,
            end_ms: closed.end_ms,
            rows: closed.pane.rows(),
            fault: Some(why),
            took_us: 0,
            found: Found::default(),
            columns: Json::Null,
            worst: Vec::new(),
        }
    }
}

impl Job {
    /// Has it judged; blocks as long as that takes.
    pub(super) fn run(self, clock: &dyn Clock) -> Outcome {
        let began = clock.now();
        let judged = self.input().and_then(|input| {
            let output = self.judge.call(&self.config, &input)?;
            let worst = match &output {
                tidegate_host::Output::Reports(reports) if self.keeps_texts => worst(&input, reports),
                _ => Vec::new(),
            };
            Ok((Found::of(output), worst))
        });
        let mut past = Past::silent(&self.closed, String::new());
        past.took_us = took(began, clock);
        past.columns = columns(&self.closed);
        match judged {
            Ok((found, worst)) => (past.fault, past.found, past.worst) = (None, found, worst),
            Err(why) => past.fault = Some(why),
        }
        Outcome { monitor: self.monitor, watched: self.watched, era: self.era, past }
    }

    fn input(&self) -> Result<Input, String> {
        let pane = &self.closed.pane;
        let plan = pane.plan();
        let window = Window {
            id: self.closed.id.clone(),
            model: self.watched.model.to_string(),
            model_version: self.watched.version.map(|version| version.to_string()).unwrap_or_default(),
            start_ms: self.closed.start_ms,
            end_ms: self.closed.end_ms,
        };
        match self.judge.world() {
            World::Drift => {
                let reference = plan.reference().ok_or("there is nothing to compare it with")?;
                let is_joint = plan.keep().rows > 0 && is_joint(&self.config);
                let shape = plan.shape();
                let (before, now) = if is_joint {
                    (reference.joint(shape), pane.joint())
                } else {
                    (reference.table(shape, MOST_ROWS), pane.table(MOST_ROWS))
                };
                Ok(Input::Drift { window, reference: frame(before)?, current: frame(now)? })
            }
            World::Fairness => {
                let roles = roles(&self.spec.roles)?;
                Ok(Input::Fairness { window, data: frame(pane.joint())?, roles })
            }
            World::Rag => match self.samples() {
                samples if samples.is_empty() => Err("no call of it has a question and an answer".to_owned()),
                samples => Ok(Input::Rag { samples }),
            },
            World::Validator => Ok(Input::Validator { schema: schema(&self.config), data: frame(pane.joint())? }),
            other => Err(format!("a plugin of the world `{other}` judges no windows")),
        }
    }

    fn samples(&self) -> Vec<Sample> {
        let place = |name: &Option<String>| name.as_ref().and_then(|name| self.closed.pane.plan().shape().place(name));
        let roles = &self.spec.roles;
        let places =
            [&roles.question, &roles.passages, &roles.answer, &roles.reference, &roles.relevant_ids].map(place);
        let [question, passages, answer, reference, ids] = places;
        let sample = |kept: &tidegate_watch::Kept| {
            let text = |at: Option<usize>| match at.and_then(|at| kept.row.get(at)) {
                Some(Value::Text(text)) => Some(text.to_string()),
                Some(Value::Number(number)) => Some(number.to_string()),
                _ => None,
            };
            Some(Sample {
                request_id: kept.call.to_string(),
                question: text(question)?,
                passages: text(passages).map(|json| self::passages(&json)).unwrap_or_default(),
                answer: text(answer)?,
                reference: text(reference),
                relevant_ids: text(ids).map(|json| self::ids(&json)).unwrap_or_default(),
            })
        };
        self.closed.pane.kept().filter_map(sample).take(MOST_SAMPLES).collect()
    }
}

/// What rows are held against: what stands under `schema`, else all settings.
fn schema(config: &str) -> String {
    let all: Json = serde_json::from_str(config).unwrap_or_default();
    all.get("schema").map_or_else(|| config.to_owned(), Json::to_string)
}

fn took(began: Instant, clock: &dyn Clock) -> u64 {
    u64::try_from(clock.now().saturating_duration_since(began).as_micros()).unwrap_or(u64::MAX)
}

/// Whether the settings ask for whole rows: a discrepancy of vectors is no matter of single columns.
pub(super) fn is_joint(config: &str) -> bool {
    let config: Json = serde_json::from_str(config).unwrap_or_default();
    config["tests"].as_array().into_iter().flatten().any(|test| test["test"] == "mmd")
}

/// What its roles are to a fairness plugin.
pub(super) fn roles(spec: &RolesSpec) -> Result<Roles, String> {
    let (Some(prediction), Some(positive), false) = (&spec.prediction, &spec.positive, spec.protected.is_empty())
    else {
        return Err("fairness needs the roles `prediction`, `protected` and `positive`".to_owned());
    };
    Ok(Roles {
        prediction: prediction.clone(),
        score: spec.score.clone(),
        label: spec.label.clone(),
        protected: spec.protected.clone(),
        positive: positive.clone(),
        min_group_size: spec.min_group_size,
    })
}

fn frame(table: Table) -> Result<Frame, String> {
    let column = |column: tidegate_watch::table::Column| Column {
        name: column.name,
        data: match column.data {
            Values::Numbers(all) => Data::Numbers(all),
            Values::Categories { codes, levels } => Data::Categories { codes, levels },
            Values::Texts(all) => Data::Texts(all),
        },
        missing: column.missing,
    };
    Frame::of(table.columns.into_iter().map(column).collect())
}

/// An array of texts, or of `{id, text, score}`.
fn passages(json: &str) -> Vec<Passage> {
    let all: Vec<Json> = serde_json::from_str(json).unwrap_or_default();
    let passage = |(at, one): (usize, &Json)| match one {
        Json::String(text) => Some(Passage { id: at.to_string(), text: text.clone(), score: None }),
        Json::Object(fields) => {
            let id = fields
                .get("id")
                .map_or_else(|| at.to_string(), |id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
            let text = fields.get("text").and_then(Json::as_str).unwrap_or_default().to_owned();
            Some(Passage { id, text, score: fields.get("score").and_then(Json::as_f64) })
        }
        _ => None,
    };
    all.iter().enumerate().filter_map(passage).collect()
}

fn ids(json: &str) -> Vec<String> {
    let all: Vec<Json> = serde_json::from_str(json).unwrap_or_default();
    all.iter().map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned)).collect()
}

/// How the values of each column lie.
fn columns(closed: &Closed) -> Json {
    let (pane, fields) = (&closed.pane, closed.pane.plan().shape().fields());
    let of = |at: usize| {
        let numbers = pane.numbers(at).filter(|numbers| numbers.n() > 0)?;
        let (min, max) = numbers.range().unzip();
        let quantiles: Vec<Json> = [0.05, 0.25, 0.5, 0.75, 0.95].iter().map(|q| json!(pane.quantile(at, *q))).collect();
        let shown = json!({
            "n": numbers.n(), "missing": numbers.missing(), "min": min, "max": max, "quantiles": quantiles,
        });
        Some((fields.get(at)?.name.clone(), shown))
    };
    Json::Object((0..fields.len()).filter_map(of).collect())
}

/// The answers with the most numbers out of bounds.
fn worst(input: &Input, reports: &[tidegate_host::Report]) -> Vec<Json> {
    let Input::Rag { samples } = input else { return Vec::new() };
    let breaches = |report: &tidegate_host::Report| report.measurements.iter().filter(|one| one.breached).count();
    let mut all: Vec<(usize, &Sample, &tidegate_host::Report)> =
        samples.iter().zip(reports).map(|(sample, report)| (breaches(report), sample, report)).collect();
    all.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.request_id.cmp(&b.1.request_id)));
    let short = |text: &str| text[..text.floor_char_boundary(SHOWN)].to_owned();
    let shown = |(_, sample, report): &(usize, &Sample, &tidegate_host::Report)| {
        let numbers: Vec<Json> = report
            .measurements
            .iter()
            .map(|one| json!({"name": one.name, "value": one.value, "breached": one.breached}))
            .collect();
        json!({
            "inference_id": sample.request_id, "question": short(&sample.question), "answer": short(&sample.answer),
            "passages": sample.passages.iter().map(|passage| short(&passage.text)).collect::<Vec<_>>(),
            "measurements": numbers,
        })
    };
    all.iter().filter(|(breaches, ..)| *breaches > 0).take(WORST).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_are_texts_or_have_ids() {
        let of = |json: &str| passages(json).into_iter().map(|one| (one.id, one.text, one.score)).collect::<Vec<_>>();
        assert_eq!(of(r#"["a"]"#), [("0".to_owned(), "a".to_owned(), None)]);
        let ids = r#"[{"id": 7, "text": "a", "score": 0.5}, {"id": "x"}, 3]"#;
        assert_eq!(of(ids), [("7".to_owned(), "a".to_owned(), Some(0.5)), ("x".to_owned(), String::new(), None)]);
        assert!(of("no json").is_empty());
        assert_eq!(self::ids(r#"["a", 1]"#), ["a", "1"]);
    }

    #[test]
    fn a_discrepancy_of_vectors_needs_whole_rows() {
        assert!(is_joint(r#"{"tests": [{"test": "ks"}, {"prefix": "e", "test": "mmd"}]}"#));
        assert!(!is_joint(r#"{"tests": [{"test": "ks"}]}"#) && !is_joint("{}") && !is_joint(""));
    }
}
