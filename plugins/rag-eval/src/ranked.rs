//! How good a ranking is. Owns the measures of `trec_eval` (Buckley and Voorhees; package `pytrec_eval`) and those that ranx
//! (Bassani 2022) adds, each of one query and their mean over queries.
//!
//! `k` is a cut: only the first k passages count, and precision is of k even where fewer were found. What would be a share of
//! no relevant passage is `None`.

use crate::ranking::Ranking;

/// What a grade is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gain {
    /// The grade (Järvelin and Kekäläinen 2002; `trec_eval`'s `ndcg`).
    #[default]
    Linear,
    /// `2^grade − 1` (Burges et al. 2005; ranx's `ndcg_burges`).
    Exponential,
}

impl Gain {
    fn of(self, grade: u32) -> f64 {
        match self {
            Self::Linear => f64::from(grade),
            Self::Exponential => f64::from(grade).exp2() - 1.0,
        }
    }
}

impl Ranking {
    /// The share of the first k that is relevant; `None` for a cut of 0.
    #[must_use]
    pub fn precision(&self, k: usize) -> Option<f64> {
        (k > 0).then(|| count(self.hits(k)) / count(k))
    }

    /// The share of what is relevant that is among the first k.
    #[must_use]
    pub fn recall(&self, k: usize) -> Option<f64> {
        let relevant = self.ideal().len();
        (relevant > 0).then(|| count(self.hits(k)) / count(relevant))
    }

    /// The harmonic mean of precision and recall, 0 where both are.
    #[must_use]
    pub fn f1(&self, k: usize) -> Option<f64> {
        let (precision, recall) = (self.precision(k)?, self.recall(k)?);
        Some(if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 })
    }

    /// Precision where k is the number of what is relevant, `trec_eval`'s `Rprec`.
    #[must_use]
    pub fn r_precision(&self) -> Option<f64> {
        self.precision(self.ideal().len())
    }

    /// 1 where something relevant is among the first k, else 0: `success`, or hit rate.
    #[must_use]
    pub fn success(&self, k: usize) -> Option<f64> {
        (!self.ideal().is_empty()).then(|| if self.hits(k) > 0 { 1.0 } else { 0.0 })
    }

    /// 1 by the rank of the first that is relevant, 0 where none is among the first k; `None` for `k` is no cut. Its mean over
    /// queries is the MRR.
    #[must_use]
    pub fn reciprocal_rank(&self, k: Option<usize>) -> Option<f64> {
        let first = self.cut(k).iter().position(|grade| *grade > 0);
        (!self.ideal().is_empty()).then(|| first.map_or(0.0, |rank| 1.0 / count(rank + 1)))
    }

    /// The mean over all that is relevant of the precision at its rank, 0 for what is not among the first k; `None` for `k` is
    /// no cut. Its mean over queries is the MAP.
    #[must_use]
    pub fn average_precision(&self, k: Option<usize>) -> Option<f64> {
        let ranks = self.cut(k).iter().enumerate().filter(|(_, grade)| **grade > 0);
        let sum: f64 = ranks.zip(1..).map(|((rank, _), hits)| count(hits) / count(rank + 1)).sum();
        (!self.ideal().is_empty()).then(|| sum / count(self.ideal().len()))
    }

    /// The discounted gain by that of the best order of all that is relevant, cut alike; `None` for `k` is no cut. It has no
    /// number either where a gain is too large for a float.
    #[must_use]
    pub fn ndcg(&self, k: Option<usize>, gain: Gain) -> Option<f64> {
        let best = discounted(cut(self.ideal(), k), gain);
        (best > 0.0 && best.is_finite()).then(|| discounted(self.cut(k), gain) / best)
    }

    /// The rank-biased precision (Moffat and Zobel 2008): what a reader gains who goes on to the next passage with the chance
    /// `patience`, below 1. A passage gains its grade, as in ranx, so this is a share only where no grade is above 1.
    #[must_use]
    pub fn rank_biased_precision(&self, patience: f64) -> Option<f64> {
        let (mut chance, mut sum) = (1.0 - patience, 0.0);
        for grade in self.found() {
            sum += chance * f64::from(*grade);
            chance *= patience;
        }
        (0.0..1.0).contains(&patience).then_some(sum)
    }

    fn hits(&self, k: usize) -> usize {
        self.cut(Some(k)).iter().filter(|grade| **grade > 0).count()
    }

    fn cut(&self, k: Option<usize>) -> &[u32] {
        cut(self.found(), k)
    }
}

/// The mean over queries for which a measure is defined, and how many those are; `None` where it is for none.
#[must_use]
pub fn mean(of_queries: impl IntoIterator<Item = Option<f64>>) -> Option<(f64, usize)> {
    let (mut sum, mut queries) = (0.0, 0);
    for value in of_queries.into_iter().flatten() {
        sum += value;
        queries += 1;
    }
    (queries > 0).then(|| (sum / count(queries), queries))
}

fn cut(grades: &[u32], k: Option<usize>) -> &[u32] {
    k.and_then(|k| grades.get(..k)).unwrap_or(grades)
}

fn discounted(grades: &[u32], gain: Gain) -> f64 {
    grades.iter().enumerate().map(|(rank, grade)| gain.of(*grade) / count(rank + 2).log2()).sum()
}

/// A count as a float.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
pub(crate) const fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::Judgements;
    use proptest::prelude::*;

    /// Passages of these grades in this order, and relevant ones that were not found.
    fn ranking(found: &[i32], missed: &[i32]) -> Ranking {
        let ids: Vec<String> = (0..found.len() + missed.len()).map(|at| format!("d{at}")).collect();
        let grades = found.iter().chain(missed);
        let judgements: Judgements<'_> = ids.iter().map(String::as_str).zip(grades.copied()).collect();
        let order: Vec<&str> = ids.iter().take(found.len()).map(String::as_str).collect();
        Ranking::of_order(&order, &judgements)
    }

    #[test]
    fn a_short_list_is_not_the_more_precise() {
        let short = ranking(&[1, 0, 1], &[1]);
        assert_eq!((short.precision(5), short.recall(5), short.success(5)), (Some(0.4), Some(2.0 / 3.0), Some(1.0)));
        assert_eq!((short.precision(2), short.recall(2)), (Some(0.5), Some(1.0 / 3.0)));
        assert_eq!(short.r_precision(), Some(2.0 / 3.0));
        assert_eq!(short.average_precision(None), Some((1.0 + 2.0 / 3.0) / 3.0));
        assert_eq!(short.average_precision(Some(2)), Some(1.0 / 3.0));
        assert_eq!(short.f1(2), Some(0.4));
    }

    #[test]
    fn cuts_hide_what_comes_later() {
        let late = ranking(&[0, 0, 0, 2], &[]);
        assert_eq!((late.reciprocal_rank(None), late.reciprocal_rank(Some(3))), (Some(0.25), Some(0.0)));
        assert_eq!((late.success(3), late.success(4), late.f1(3)), (Some(0.0), Some(1.0), Some(0.0)));
        assert_eq!(late.ndcg(Some(3), Gain::Linear), Some(0.0));
        assert!(late.ndcg(None, Gain::Exponential).is_some_and(|value| (value - 1.0 / 5f64.log2()).abs() < 1e-15));
        assert!(late.rank_biased_precision(0.5).is_some_and(|value| (value - 0.125).abs() < 1e-15));
        assert_eq!((late.rank_biased_precision(1.0), late.precision(0)), (None, None));
    }

    #[test]
    fn without_anything_relevant_there_is_nothing_to_find() {
        let none = ranking(&[0, 0], &[]);
        assert_eq!(none.precision(2), Some(0.0));
        let undefined = [none.recall(2), none.f1(2), none.r_precision(), none.success(2), none.reciprocal_rank(None)];
        assert_eq!(undefined, [None; 5]);
        assert_eq!((none.average_precision(None), none.ndcg(None, Gain::Linear)), (None, None));
        assert_eq!(ranking(&[2000, 1], &[]).ndcg(None, Gain::Exponential), None);
        assert_eq!(mean([None, Some(0.5), Some(1.0)]), Some((0.75, 2)));
        assert_eq!(mean([None]), None);
    }

    proptest! {
        #[test]
        fn the_best_order_has_the_most_and_all_are_shares(
            mut found in prop::collection::vec(0i32..4, 0..20),
            missed in prop::collection::vec(0i32..4, 0..5),
            k in 1usize..25,
        ) {
            let got = ranking(&found, &missed);
            found.sort_unstable_by(|one, two| two.cmp(one));
            let best = ranking(&found, &missed);
            let of = |ranking: &Ranking| [
                ranking.precision(k), ranking.recall(k), ranking.f1(k), ranking.r_precision(), ranking.success(k),
                ranking.reciprocal_rank(Some(k)), ranking.average_precision(Some(k)), ranking.average_precision(None),
                ranking.ndcg(Some(k), Gain::Linear), ranking.ndcg(None, Gain::Exponential),
                ranking.rank_biased_precision(0.9).map(|value| value / 3.0),
            ];
            for (got, best) in of(&got).into_iter().zip(of(&best)) {
                prop_assert_eq!(got.is_some(), best.is_some());
                if let (Some(got), Some(best)) = (got, best) {
                    prop_assert!(0.0 <= got && got <= best + 1e-12 && best <= 1.0 + 1e-12, "{} {}", got, best);
                }
            }
        }
    }
}
