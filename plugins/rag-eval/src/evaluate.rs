//! From settings and samples to a report each. Owns what each measure takes of a sample, and what is said where that is not
//! there: a measure that was asked for is undefined, and one that needs models is left out and named where these are denied.

use crate::config::{Config, Judge, Known, Order};
use crate::denials::Denials;
use crate::judge::{self, Models, Unreached};
use crate::measure::{Judged, Measure, Ranked};
use crate::ranking::{Found as Retrieved, Judgements, Ranking};
use crate::sample::Sample;
use crate::strings::Likeness;
use crate::verdicts::{self, Regained};
use crate::{Contexts, Gain, id_precision, id_recall, ranked, words};
use serde_json::{Map, Value, json};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_window::{Found, Measurement, Report};

/// So many pairs of letters are compared at most for a sample and a likeness: a window has seconds.
const MOST_LETTER_PAIRS: usize = 500_000_000;
/// So many likenesses stand in a detail.
const MOST_LIKENESSES: usize = 10_000;
/// So many bytes of a text are embedded at once: models for embeddings take a few hundred tokens, and refuse more.
const EMBEDDED_BYTES: usize = 600;

/// What came of a measure: a number, that there is none, or that models are denied.
enum Outcome {
    Number(f64),
    Undefined(String),
    LeftOut(String),
}

impl Outcome {
    fn of(value: Option<f64>, why: &str) -> Self {
        value.map_or_else(|| Self::Undefined(why.to_owned()), Self::Number)
    }
}

/// Judges samples, with models where there are any.
///
/// One report for each sample, in order; where means are asked for, the last has them too.
#[must_use]
pub fn evaluate(config: &Config, samples: &[Sample], models: &dyn Models) -> Vec<Report> {
    let mut sums: Vec<(Measure, Vec<Option<f64>>)> = Vec::new();
    let models = Denials::of(models);
    let mut reports: Vec<Report> = samples
        .iter()
        .map(|sample| {
            let about = About::new(config, sample, &models);
            let (numbers, report) = about.report();
            for (measure, number) in numbers {
                match sums.iter_mut().find(|(known, _)| *known == measure) {
                    Some((_, of)) => of.push(number),
                    None => sums.push((measure, vec![number])),
                }
            }
            report
        })
        .collect();
    if let Some(last) = reports.last_mut().filter(|_| config.means) {
        last.measurements.extend(sums.into_iter().map(|(measure, of)| mean(config, measure, of)));
    }
    #[cfg(feature = "wrong")]
    for report in &mut reports {
        let measurements = std::mem::take(&mut report.measurements);
        report.measurements = measurements.into_iter().map(crate::wrong::spoiled).collect();
    }
    reports
}

/// What was left out of reports and why, a line for each reason.
#[must_use]
pub fn left_out(reports: &[Report]) -> Vec<String> {
    let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for one in reports.iter().filter_map(|report| report.detail["left_out"].as_array()).flatten() {
        if let (Some(measure), Some(why)) = (one["measure"].as_str(), one["why"].as_str()) {
            all.entry(why).or_default().insert(measure);
        }
    }
    let line = |(why, of): (&str, BTreeSet<&str>)| {
        format!("left out: {}: {why}", of.into_iter().collect::<Vec<&str>>().join(", "))
    };
    all.into_iter().map(line).collect()
}

/// The mean over the samples for which a measure is defined.
fn mean(config: &Config, measure: Measure, of: Vec<Option<f64>>) -> Measurement {
    let all = of.len();
    let (found, samples) = match ranked::mean(of) {
        Some((mean, samples)) => (Found::Value(mean), samples),
        None => (Found::Undefined { why: "it is defined for no sample".to_owned(), n: 0 }, 0),
    };
    let measurement = Measurement::new(&format!("mean.{measure}"), found)
        .label("samples", &samples.to_string())
        .label("undefined_samples", &(all - samples).to_string());
    config.bounds.judged(measurement, None, config.severity)
}

/// A sample and what is known of it.
struct About<'a> {
    config: &'a Config,
    sample: &'a Sample,
    known: Option<&'a Known>,
    models: &'a dyn Models,
    faithfulness: OnceCell<Result<Vec<bool>, Unreached>>,
    groundedness: OnceCell<Result<Option<f64>, Unreached>>,
}

impl<'a> About<'a> {
    fn new(config: &'a Config, sample: &'a Sample, models: &'a dyn Models) -> Self {
        let known = config.expected.known(sample);
        let (faithfulness, groundedness) = (OnceCell::new(), OnceCell::new());
        Self { config, sample, known, models, faithfulness, groundedness }
    }

    /// The report, and its numbers by measures.
    fn report(&self) -> (Vec<(Measure, Option<f64>)>, Report) {
        let (mut measurements, mut numbers, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        let chosen;
        let measures = if self.config.measures.is_empty() {
            chosen = self.chosen();
            &chosen
        } else {
            &self.config.measures
        };
        for measure in measures {
            let found = match self.measured(*measure) {
                Outcome::Number(number) => Found::Value(number),
                Outcome::Undefined(why) => {
                    Found::Undefined { why, n: u64::try_from(self.sample.passages.len()).unwrap_or(u64::MAX) }
                }
                Outcome::LeftOut(why) => {
                    left_out.push(json!({"measure": measure.to_string(), "why": why}));
                    continue;
                }
            };
            let measurement = Measurement::new(&measure.to_string(), found);
            numbers.push((*measure, measurement.number()));
            measurements.push(self.config.bounds.judged(measurement, None, self.config.severity));
        }
        let mut detail =
            json!({"request_id": tidegate_window::short(&self.sample.request_id, 256), "left_out": left_out});
        if self.config.likenesses {
            detail["likenesses"] = Value::Object(self.likenesses(measures));
        }
        if let Some(Ok(supported)) = self.faithfulness.get() {
            detail["supported"] = json!(supported);
        }
        (numbers, Report { measurements, detail })
    }

    /// What there is all for, where nothing is asked for.
    fn chosen(&self) -> Vec<Measure> {
        let mut chosen = Vec::new();
        if self.judgements().is_some() {
            let ranked = [
                Ranked::Ndcg(Gain::Linear, Some(10)),
                Ranked::ReciprocalRank(None),
                Ranked::Precision(5),
                Ranked::Recall(5),
            ];
            chosen.extend(ranked.map(Measure::Ranked));
            chosen.extend([Measure::IdPrecision, Measure::IdRecall]);
        }
        if self.contexts().is_some() {
            let likeness = Likeness::default();
            chosen.extend([Measure::ContextPrecision(likeness), Measure::ContextRecall(likeness)]);
        }
        chosen.push(Measure::WordSupport);
        if let Some(judge) = &self.config.judge {
            let (speaks, embeds) = (judge.model.is_some(), judge.embedding_model.is_some());
            let has = |judged: &Judged| match judged {
                Judged::Faithfulness | Judged::ContextPrecision => speaks,
                Judged::AnswerRelevancy => speaks && embeds,
                Judged::ContextRecall => speaks && self.sample.reference.is_some(),
                Judged::Groundedness => embeds,
                Judged::Hallucination => true,
            };
            chosen.extend(Judged::ALL.into_iter().filter(has).map(Measure::Judged));
        }
        chosen
    }

    fn measured(&self, measure: Measure) -> Outcome {
        match measure {
            Measure::Ranked(ranked) => self.ranked(ranked),
            Measure::IdPrecision => self.by_ids(id_precision, "nothing was retrieved"),
            Measure::IdRecall => self.by_ids(id_recall, "nothing is relevant"),
            Measure::ContextPrecision(likeness) => self.by_likeness(
                likeness,
                Contexts::precision,
                "nothing was retrieved, or there is nothing to compare with",
            ),
            Measure::ContextRecall(likeness) => {
                self.by_likeness(likeness, Contexts::recall, "there is nothing to compare with")
            }
            Measure::WordSupport => Outcome::of(
                words::support(&self.sample.answer, &self.texts()),
                "the answer has no word, or there is no passage",
            ),
            Measure::Judged(judged) => match &self.config.judge {
                Some(judge) => self.judged(judge, judged),
                None => Outcome::LeftOut("no `judge` is named".to_owned()),
            },
        }
    }

    fn texts(&self) -> Vec<&'a str> {
        self.sample.passages.iter().map(|passage| passage.text.as_str()).collect()
    }

    /// Which passages are relevant, and how: by what is known of the question, else all that the sample names alike.
    fn judgements(&self) -> Option<Judgements<'a>> {
        if let Some(grades) = self.known.and_then(|known| known.grades.as_ref()) {
            return Some(grades.iter().map(|(id, grade)| (id.as_str(), *grade)).collect());
        }
        let named = &self.sample.relevant_ids;
        (!named.is_empty()).then(|| named.iter().map(|id| (id.as_str(), 1)).collect())
    }

    fn contexts(&self) -> Option<Vec<&'a str>> {
        let contexts = self.known.and_then(|known| known.contexts.as_ref())?;
        Some(contexts.iter().map(String::as_str).collect())
    }

    fn ranked(&self, measure: Ranked) -> Outcome {
        let Some(judgements) = self.judgements() else {
            return Outcome::Undefined("it is not known what is relevant".to_owned());
        };
        let scored: Option<Vec<Retrieved<'_>>> = self
            .sample
            .passages
            .iter()
            .map(|passage| passage.score.map(|score| Retrieved { id: &passage.id, score }))
            .collect();
        let ranking = match (self.config.order, scored) {
            (Order::Score, Some(scored)) => match Ranking::new(&scored, &judgements) {
                Ok(ranking) => ranking,
                Err(fault) => return Outcome::Undefined(fault.to_string()),
            },
            _ => {
                let ids: Vec<&str> = self.sample.passages.iter().map(|passage| passage.id.as_str()).collect();
                Ranking::of_order(&ids, &judgements)
            }
        };
        let value = match measure {
            Ranked::Ndcg(gain, k) => ranking.ndcg(k, gain),
            Ranked::Precision(k) => ranking.precision(k),
            Ranked::Recall(k) => ranking.recall(k),
            Ranked::F1(k) => ranking.f1(k),
            Ranked::Success(k) => ranking.success(k),
            Ranked::RPrecision => ranking.r_precision(),
            Ranked::ReciprocalRank(k) => ranking.reciprocal_rank(k),
            Ranked::AveragePrecision(k) => ranking.average_precision(k),
            Ranked::RankBiasedPrecision(patience) => ranking.rank_biased_precision(patience),
        };
        Outcome::of(value, "nothing is relevant")
    }

    fn by_ids(&self, of: fn(&[&str], &[&str]) -> Option<f64>, why: &str) -> Outcome {
        let Some(judgements) = self.judgements() else {
            return Outcome::Undefined("it is not known what is relevant".to_owned());
        };
        let retrieved: Vec<&str> = self.sample.passages.iter().map(|passage| passage.id.as_str()).collect();
        let relevant: Vec<&str> = judgements.iter().filter(|(_, grade)| **grade > 0).map(|(id, _)| *id).collect();
        Outcome::of(of(&retrieved, &relevant), why)
    }

    fn by_likeness(&self, likeness: Likeness, of: fn(&Contexts, f64) -> Option<f64>, why: &str) -> Outcome {
        match self.compared(likeness) {
            Ok(contexts) => Outcome::of(of(&contexts, self.config.threshold), why),
            Err(why) => Outcome::Undefined(why.to_owned()),
        }
    }

    fn compared(&self, likeness: Likeness) -> Result<Contexts, &'static str> {
        let wanted = self.contexts().ok_or("no reference passages are known of this question")?;
        let retrieved = self.texts();
        let letters = |texts: &[&str]| texts.iter().map(|text| text.len()).sum::<usize>();
        if letters(&retrieved).saturating_mul(letters(&wanted)) > MOST_LETTER_PAIRS {
            return Err("the passages are too long to be compared letter by letter");
        }
        Ok(Contexts::compare(&retrieved, &wanted, likeness))
    }

    /// How alike passages are, by each likeness that is asked for.
    fn likenesses(&self, measures: &[Measure]) -> Map<String, Value> {
        let mut all = Map::new();
        for measure in measures {
            let (Measure::ContextPrecision(likeness) | Measure::ContextRecall(likeness)) = *measure else { continue };
            if all.contains_key(likeness.name()) {
                continue;
            }
            if let Ok(contexts) = self.compared(likeness) {
                let few = contexts.likenesses().iter().map(Vec::len).sum::<usize>() <= MOST_LIKENESSES;
                let shown = if few { json!(contexts.likenesses()) } else { Value::Null };
                all.insert(likeness.name().to_owned(), shown);
            }
        }
        all
    }

    fn judged(&self, judge: &Judge, measure: Judged) -> Outcome {
        let asked = match measure {
            Judged::Faithfulness => self.faithful(judge).map(|supported| verdicts::faithfulness(&supported)),
            Judged::AnswerRelevancy => self.relevancy(judge),
            Judged::ContextPrecision => {
                let right = self.sample.reference.as_deref().unwrap_or(&self.sample.answer);
                judge::useful_passages(self.models, judge, self.sample, right)
                    .map(|useful| verdicts::context_precision(&useful))
            }
            Judged::ContextRecall => match &self.sample.reference {
                Some(reference) => judge::statements_of_reference(self.models, judge, self.sample, reference)
                    .map(|attributed| verdicts::context_recall(&attributed)),
                None => return Outcome::Undefined("the sample has no reference answer".to_owned()),
            },
            Judged::Groundedness => self.grounded(judge),
            Judged::Hallucination => self.hallucination(judge),
        };
        match asked {
            Ok(value) => Outcome::of(value, "there is nothing to judge"),
            Err(Unreached::Failed(why)) => Outcome::Undefined(why),
            Err(Unreached::Denied(why)) => Outcome::LeftOut(why),
        }
    }

    fn faithful(&self, judge: &Judge) -> Result<Vec<bool>, Unreached> {
        self.faithfulness.get_or_init(|| judge::statements_of_answer(self.models, judge, self.sample)).clone()
    }

    fn relevancy(&self, judge: &Judge) -> Result<Option<f64>, Unreached> {
        let made = judge::questions_of_answer(self.models, judge, self.sample)?;
        let mut texts = vec![words::cut(&self.sample.question, EMBEDDED_BYTES)];
        texts.extend(made.iter().map(|made| words::cut(&made.question, EMBEDDED_BYTES)));
        let embeddings = judge::embeddings(self.models, judge, &texts)?;
        let Some((question, others)) = embeddings.split_first() else { return Ok(None) };
        let regained: Vec<Regained<'_>> = others
            .iter()
            .zip(&made)
            .map(|(embedding, made)| Regained { embedding, noncommittal: made.noncommittal })
            .collect();
        Ok(verdicts::answer_relevancy(question, &regained))
    }

    /// The mean over the answer's sentences of the largest cosine with a passage, or a piece of a long one, 0 where it is
    /// below.
    fn grounded(&self, judge: &Judge) -> Result<Option<f64>, Unreached> {
        let asked = || {
            let sentences =
                words::sentences(&self.sample.answer).into_iter().map(|one| words::cut(one, EMBEDDED_BYTES));
            let mut texts: Vec<String> = sentences.map(str::to_owned).collect();
            let sentences = texts.len();
            texts.extend(self.texts().into_iter().flat_map(|text| words::pieces(text, EMBEDDED_BYTES)));
            if sentences == 0 || texts.len() == sentences {
                return Ok(None);
            }
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let embeddings = judge::embeddings(self.models, judge, &texts)?;
            let (of_sentences, of_passages) = embeddings.split_at(sentences);
            let nearest = of_sentences.iter().map(|sentence| {
                let cosines = of_passages.iter().filter_map(|passage| verdicts::cosine(sentence, passage));
                cosines.fold(None, |most: Option<f64>, cosine| Some(most.map_or(cosine, |most| most.max(cosine))))
            });
            let nearest: Option<Vec<f64>> = nearest.collect();
            Ok(nearest.and_then(|nearest| {
                ranked::mean(nearest.into_iter().map(|cosine| Some(cosine.max(0.0)))).map(|(mean, _)| mean)
            }))
        };
        self.groundedness.get_or_init(asked).clone()
    }

    /// Whether the answer is less faithful than it has to be, else less grounded.
    fn hallucination(&self, judge: &Judge) -> Result<Option<f64>, Unreached> {
        let faithful =
            if judge.model.is_some() { verdicts::faithfulness(&self.faithful(judge)?) } else { self.grounded(judge)? };
        Ok(faithful.map(|faithful| if faithful < self.config.faithful_from { 1.0 } else { 0.0 }))
    }
}

#[cfg(test)]
mod tests;
