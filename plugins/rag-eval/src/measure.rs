//! What may be measured of a sample, by name: `ndcg@10`, `context_precision:jaro`, `faithfulness`. Owns the names and what
//! each needs; the maths is in the files of the formulas.

use crate::ranked::Gain;
use crate::strings::Likeness;
use std::fmt;

/// A number of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measure {
    /// A number of the ranking of passages.
    Ranked(Ranked),
    /// The share of retrieved ids that are relevant.
    IdPrecision,
    /// The share of relevant ids that were retrieved.
    IdRecall,
    /// Whether passages that are like a reference passage come first.
    ContextPrecision(Likeness),
    /// The share of reference passages that a passage is like.
    ContextRecall(Likeness),
    /// The share of the answer's words that stand in a passage.
    WordSupport,
    /// A number that a model is asked for.
    Judged(Judged),
}

/// A number of a ranking; k is a cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ranked {
    /// The discounted gain by the best one.
    Ndcg(Gain, Option<usize>),
    /// The share of the first k that is relevant.
    Precision(usize),
    /// The share of what is relevant among the first k.
    Recall(usize),
    /// The harmonic mean of the two.
    F1(usize),
    /// Whether something relevant is among the first k.
    Success(usize),
    /// Precision at the number of what is relevant.
    RPrecision,
    /// 1 by the rank of the first that is relevant.
    ReciprocalRank(Option<usize>),
    /// The mean of precisions at what is relevant.
    AveragePrecision(Option<usize>),
    /// What a reader gains who goes on with this chance.
    RankBiasedPrecision(f64),
}

/// A number that a model is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// The share of the answer's statements that the passages bear out.
    Faithfulness,
    /// How near the question is to those that the answer answers.
    AnswerRelevancy,
    /// Whether passages that a judge calls useful come first.
    ContextPrecision,
    /// The share of the reference's statements that the passages bear out.
    ContextRecall,
    /// How near each sentence of the answer is to a passage, by embeddings.
    Groundedness,
    /// 1 where the answer is less faithful, or less grounded, than it has to be.
    Hallucination,
}

impl Judged {
    /// All of them, in the order in which they are asked.
    pub const ALL: [Self; 6] = [
        Self::Faithfulness,
        Self::AnswerRelevancy,
        Self::ContextPrecision,
        Self::ContextRecall,
        Self::Groundedness,
        Self::Hallucination,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Faithfulness => "faithfulness",
            Self::AnswerRelevancy => "answer_relevancy",
            Self::ContextPrecision => "llm_context_precision",
            Self::ContextRecall => "llm_context_recall",
            Self::Groundedness => "groundedness",
            Self::Hallucination => "hallucination",
        }
    }
}

/// Forms of all names, for those who write one wrongly.
const FORMS: &str = "ndcg[@k], ndcg_exponential[@k], precision@k, recall@k, f1@k, success@k, r_precision, reciprocal_rank[@k], \
     average_precision[@k], rank_biased_precision@PATIENCE, id_precision, id_recall, context_precision[:LIKENESS], \
     context_recall[:LIKENESS], word_support, faithfulness, answer_relevancy, llm_context_precision, llm_context_recall, \
     groundedness, hallucination";

impl Measure {
    /// By its name.
    ///
    /// # Errors
    /// There is none of this name; said with those that there are.
    pub fn read(name: &str) -> Result<Self, String> {
        Self::found(name).ok_or_else(|| format!("there is no measure {name}, but {FORMS}"))
    }

    fn found(name: &str) -> Option<Self> {
        if let Some((stem, likeness)) = name.split_once(':') {
            let likeness = Likeness::ALL.into_iter().find(|known| known.name() == likeness)?;
            return Self::of_contexts(stem, likeness);
        }
        if let Some((stem, cut)) = name.split_once('@') {
            if stem == "rank_biased_precision" {
                let patience = cut.parse().ok().filter(|patience| (0.0..1.0).contains(patience))?;
                return Some(Self::Ranked(Ranked::RankBiasedPrecision(patience)));
            }
            let k = cut.parse().ok().filter(|k| (1..=10_000).contains(k))?;
            return Self::of_ranking(stem, Some(k));
        }
        match name {
            "id_precision" => Some(Self::IdPrecision),
            "id_recall" => Some(Self::IdRecall),
            "word_support" => Some(Self::WordSupport),
            _ => Self::of_ranking(name, None)
                .or_else(|| Self::of_contexts(name, Likeness::default()))
                .or_else(|| Judged::ALL.into_iter().find(|judged| judged.name() == name).map(Self::Judged)),
        }
    }

    fn of_contexts(stem: &str, likeness: Likeness) -> Option<Self> {
        match stem {
            "context_precision" => Some(Self::ContextPrecision(likeness)),
            "context_recall" => Some(Self::ContextRecall(likeness)),
            _ => None,
        }
    }

    fn of_ranking(stem: &str, k: Option<usize>) -> Option<Self> {
        let ranked = match (stem, k) {
            ("ndcg", k) => Ranked::Ndcg(Gain::Linear, k),
            ("ndcg_exponential", k) => Ranked::Ndcg(Gain::Exponential, k),
            ("precision", Some(k)) => Ranked::Precision(k),
            ("recall", Some(k)) => Ranked::Recall(k),
            ("f1", Some(k)) => Ranked::F1(k),
            ("success", Some(k)) => Ranked::Success(k),
            ("r_precision", None) => Ranked::RPrecision,
            ("reciprocal_rank", k) => Ranked::ReciprocalRank(k),
            ("average_precision", k) => Ranked::AveragePrecision(k),
            _ => return None,
        };
        Some(Self::Ranked(ranked))
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = |f: &mut fmt::Formatter<'_>, stem: &str, k: Option<usize>| match k {
            Some(k) => write!(f, "{stem}@{k}"),
            None => f.write_str(stem),
        };
        match *self {
            Self::IdPrecision => f.write_str("id_precision"),
            Self::IdRecall => f.write_str("id_recall"),
            Self::WordSupport => f.write_str("word_support"),
            Self::ContextPrecision(likeness) => write!(f, "context_precision:{}", likeness.name()),
            Self::ContextRecall(likeness) => write!(f, "context_recall:{}", likeness.name()),
            Self::Judged(judged) => f.write_str(judged.name()),
            Self::Ranked(ranked) => match ranked {
                Ranked::Ndcg(Gain::Linear, k) => cut(f, "ndcg", k),
                Ranked::Ndcg(Gain::Exponential, k) => cut(f, "ndcg_exponential", k),
                Ranked::Precision(k) => cut(f, "precision", Some(k)),
                Ranked::Recall(k) => cut(f, "recall", Some(k)),
                Ranked::F1(k) => cut(f, "f1", Some(k)),
                Ranked::Success(k) => cut(f, "success", Some(k)),
                Ranked::RPrecision => f.write_str("r_precision"),
                Ranked::ReciprocalRank(k) => cut(f, "reciprocal_rank", k),
                Ranked::AveragePrecision(k) => cut(f, "average_precision", k),
                Ranked::RankBiasedPrecision(patience) => write!(f, "rank_biased_precision@{patience}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in [
            "ndcg",
            "ndcg@10",
            "ndcg_exponential@5",
            "precision@5",
            "recall@10",
            "f1@3",
            "success@1",
            "r_precision",
            "reciprocal_rank",
            "reciprocal_rank@3",
            "average_precision@5",
            "rank_biased_precision@0.95",
            "id_precision",
            "id_recall",
            "context_precision:levenshtein",
            "context_recall:jaro_winkler",
            "word_support",
            "faithfulness",
            "answer_relevancy",
            "llm_context_precision",
            "llm_context_recall",
            "groundedness",
            "hallucination",
        ] {
            assert_eq!(Measure::read(name).map(|measure| measure.to_string()), Ok(name.to_owned()));
        }
        assert_eq!(Measure::read("context_recall"), Measure::read("context_recall:levenshtein"));
    }

    #[test]
    fn what_is_no_measure_is_told_the_others() {
        for name in [
            "mrr",
            "precision",
            "ndcg@0",
            "ndcg@x",
            "rank_biased_precision@1",
            "context_recall:cosine",
            "r_precision@3",
        ] {
            let fault = Measure::read(name).expect_err("no measure");
            assert!(fault.contains(&format!("no measure {name}")) && fault.contains("ndcg[@k]"), "{fault}");
        }
    }
}
