//! What judgements add up to, whoever judged: a threshold, a person, a model. Owns the formulas of ragas's context precision and
//! recall, faithfulness and answer relevancy (Es et al. 2024, "RAGAS: Automated Evaluation of Retrieval Augmented Generation");
//! asking a model for its judgement is no business of this crate.

use crate::ranked::count;

/// Whether what is useful comes first: the mean over useful passages of the share of useful ones up to their rank. 0 where none
/// is useful, `None` where there is no passage. (ragas adds 1e-10 to the number of useful ones, so that its best is
/// 0.9999999999; this is 1.)
#[must_use]
pub fn context_precision(useful: &[bool]) -> Option<f64> {
    let ranks = useful.iter().enumerate().filter(|(_, useful)| **useful);
    let (mut sum, mut hits) = (0.0, 0);
    for (rank, _) in ranks {
        hits += 1;
        sum += count(hits) / count(rank + 1);
    }
    (!useful.is_empty()).then(|| if hits == 0 { 0.0 } else { sum / count(hits) })
}

/// The share of the reference's statements that the passages bear out. `None` where there is no statement.
#[must_use]
pub fn context_recall(attributed: &[bool]) -> Option<f64> {
    share(attributed)
}

/// The share of the answer's statements that the passages bear out. `None` where it states nothing.
#[must_use]
pub fn faithfulness(supported: &[bool]) -> Option<f64> {
    share(supported)
}

/// A question that the answer would answer, made from the answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regained<'a> {
    /// Its embedding.
    pub embedding: &'a [f64],
    /// Whether the answer is evasive.
    pub noncommittal: bool,
}

/// The mean cosine of the question with those made from the answer, 0 where the answer was evasive each time. `None` where there
/// is no such question, or an embedding is 0 or of another length.
#[must_use]
pub fn answer_relevancy(question: &[f64], regained: &[Regained<'_>]) -> Option<f64> {
    if regained.is_empty() {
        return None;
    }
    let cosines = regained.iter().map(|made| cosine(question, made.embedding));
    let sum: f64 = cosines.sum::<Option<f64>>()?;
    let evasive = regained.iter().all(|made| made.noncommittal);
    Some(if evasive { 0.0 } else { sum / count(regained.len()) })
}

/// The cosine of the angle between two embeddings. `None` where they are of unlike length, or one is 0 or not finite.
#[must_use]
pub fn cosine(one: &[f64], two: &[f64]) -> Option<f64> {
    let dot = |one: &[f64], two: &[f64]| one.iter().zip(two).map(|(one, two)| one * two).sum::<f64>();
    let lengths = dot(one, one).sqrt() * dot(two, two).sqrt();
    let cosine = dot(one, two) / lengths;
    (one.len() == two.len() && cosine.is_finite()).then(|| cosine.clamp(-1.0, 1.0))
}

fn share(verdicts: &[bool]) -> Option<f64> {
    let yes = verdicts.iter().filter(|verdict| **verdict).count();
    (!verdicts.is_empty()).then(|| count(yes) / count(verdicts.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn useful_passages_are_worth_more_in_front() {
        assert_eq!(context_precision(&[true, false, true]), Some((1.0 + 2.0 / 3.0) / 2.0));
        assert_eq!(context_precision(&[true, true, false]), Some(1.0));
        assert_eq!((context_precision(&[false]), context_precision(&[])), (Some(0.0), None));
        assert_eq!((faithfulness(&[true, false]), faithfulness(&[]), context_recall(&[])), (Some(0.5), None, None));
    }

    #[test]
    fn an_evasive_answer_is_not_relevant() {
        let made = |noncommittal| Regained { embedding: &[0.0, 2.0], noncommittal };
        assert_eq!(answer_relevancy(&[0.0, 1.0], &[made(true), made(false)]), Some(1.0));
        assert_eq!(answer_relevancy(&[0.0, 1.0], &[made(true), made(true)]), Some(0.0));
        assert_eq!(answer_relevancy(&[1.0, 0.0], &[made(false)]), Some(0.0));
        for question in [&[][..], &[0.0, 0.0], &[1.0], &[f64::NAN, 1.0]] {
            assert_eq!(answer_relevancy(question, &[made(false)]), None, "{question:?}");
        }
        assert_eq!(answer_relevancy(&[1.0], &[]), None);
    }
}
