//! Passages in the order in which they were found, beside how relevant they are. Owns the order: by score downwards, equal
//! scores by id downwards, as `trec_eval` has it, so that no order of writing decides. The measures are [`crate::ranked`]'s.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How relevant passages are by their ids: 0 and below is not at all, and what is not named is not either.
pub type Judgements<'a> = BTreeMap<&'a str, i32>;

/// A passage that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its score: the higher, the earlier.
    pub score: f64,
}

/// Why passages have no order.
#[derive(Debug, Clone, PartialEq)]
pub enum RankingFault {
    /// A score is NaN.
    NoScore {
        /// The passage.
        id: String,
    },
    /// A passage was found twice.
    Twice {
        /// The passage.
        id: String,
    },
}

impl fmt::Display for RankingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoScore { id } => write!(f, "passage `{id}` has the score NaN: give it a number or leave it out"),
            Self::Twice { id } => write!(f, "passage `{id}` was found twice: keep the one with the higher score"),
        }
    }
}

impl std::error::Error for RankingFault {}

/// Grades in the order of ranks, and in the order that would have been best.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranking {
    found: Vec<u32>,
    ideal: Vec<u32>,
}

impl Ranking {
    /// Orders what was found.
    ///
    /// # Errors
    /// A score is NaN, or a passage was found twice.
    pub fn new(found: &[Found<'_>], judgements: &Judgements<'_>) -> Result<Self, RankingFault> {
        let mut seen = BTreeSet::new();
        for Found { id, score } in found {
            if score.is_nan() {
                return Err(RankingFault::NoScore { id: (*id).to_owned() });
            }
            if !seen.insert(id) {
                return Err(RankingFault::Twice { id: (*id).to_owned() });
            }
        }
        let mut found = found.to_vec();
        // `+ 0.0` makes −0 a 0, which is equal to it.
        found.sort_unstable_by(|one, two| {
            (two.score + 0.0).total_cmp(&(one.score + 0.0)).then_with(|| two.id.cmp(one.id))
        });
        let ids: Vec<&str> = found.iter().map(|found| found.id).collect();
        Ok(Self::of_order(&ids, judgements))
    }

    /// Of passages that are in order already and have no scores. A passage that is found again is not relevant again: it
    /// keeps its rank and has the grade 0.
    #[must_use]
    pub fn of_order(ids: &[&str], judgements: &Judgements<'_>) -> Self {
        let mut seen = BTreeSet::new();
        let grade = |id: &&str| judgements.get(id).map_or(0, |&grade| u32::try_from(grade).unwrap_or(0));
        let found = ids.iter().map(|id| if seen.insert(*id) { grade(id) } else { 0 }).collect();
        let relevant = judgements.values().filter_map(|&grade| u32::try_from(grade).ok());
        let mut ideal: Vec<u32> = relevant.filter(|grade| *grade > 0).collect();
        ideal.sort_unstable_by(|one, two| two.cmp(one));
        Self { found, ideal }
    }

    /// The grades of what was found, from rank 1.
    #[must_use]
    pub fn found(&self) -> &[u32] {
        &self.found
    }

    /// The grades of all that is relevant, the highest first.
    #[must_use]
    pub fn ideal(&self) -> &[u32] {
        &self.ideal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(found: &[(&str, f64)]) -> Result<Ranking, RankingFault> {
        let judgements = Judgements::from([("a", 1), ("b", 2), ("c", 3), ("d", 0), ("e", -1), ("f", 1)]);
        let found: Vec<Found<'_>> = found.iter().map(|&(id, score)| Found { id, score }).collect();
        Ranking::new(&found, &judgements)
    }

    #[test]
    fn equal_scores_are_ordered_by_id_downwards() {
        for found in
            [[("a", 0.5), ("b", 0.5), ("c", 0.0), ("x", -0.0)], [("x", 0.0), ("c", -0.0), ("b", 0.5), ("a", 0.5)]]
        {
            let ranking = ranked(&found).expect("a ranking");
            assert_eq!(ranking.found(), [2, 1, 0, 3]);
            assert_eq!(ranking.ideal(), [3, 2, 1, 1]);
        }
    }

    #[test]
    fn what_has_no_order_is_named() {
        let fault = ranked(&[("a", 0.5), ("b", f64::NAN)]).expect_err("NaN");
        assert_eq!(fault.to_string(), "passage `b` has the score NaN: give it a number or leave it out");
        let fault = ranked(&[("a", 0.5), ("a", 0.4)]).expect_err("twice");
        assert_eq!(fault.to_string(), "passage `a` was found twice: keep the one with the higher score");
        assert_eq!(ranked(&[("e", 9.0), ("d", 2.0), ("a", f64::INFINITY)]).expect("a ranking").found(), [1, 0, 0]);
    }

    #[test]
    fn what_is_found_again_is_not_relevant_again() {
        let ranking = Ranking::of_order(&["a", "a", "z"], &Judgements::from([("a", 2)]));
        assert_eq!((ranking.found(), ranking.ideal()), (&[2, 0, 0][..], &[2][..]));
    }
}
