//! The most that arms may have of what a route costs. Owns how a vector of probabilities is bent so that none has more: what
//! is taken from dear arms goes to the others in proportion to what they have.

use std::sync::Arc;
use tidegate_core::spec::CostShareSpec;

/// Bounds on the parts that arms have of the expected cost of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct CostShare {
    /// The most of each arm, in `(0, 1)`; `None` where it has no bound.
    most: Arc<[Option<f64>]>,
    /// What a call costs at each, at least 0.
    weights: Arc<[f64]>,
}

impl CostShare {
    /// The bounds of a route with so many arms; those that are not of as many arms bound nothing.
    #[must_use]
    pub fn of(spec: &CostShareSpec, arms: usize) -> Option<Self> {
        let is_whole = spec.most.len() == arms && spec.weights.len() == arms;
        is_whole.then(|| Self { most: spec.most.as_slice().into(), weights: spec.weights.as_slice().into() })
    }

    /// Bends `vector`, whose sum is 1 and stays so. With `T` the expected cost, a bounded arm that has too much gets
    /// `mostᵢ·T/wᵢ`, and the others what is left, in proportion; those that have too much by that are bounded next. That ends:
    /// the bounds of arms that are above them are together less than the whole.
    pub(super) fn apply(&self, vector: &mut [f64]) {
        let mut bounded = vec![false; vector.len()];
        loop {
            let total: f64 = vector.iter().zip(&*self.weights).map(|(share, weight)| share * weight).sum();
            let mut is_new = false;
            for (arm, most) in self.most.iter().enumerate() {
                let Some(most) = most.filter(|_| !bounded[arm]) else { continue };
                if vector[arm] * self.weights[arm] > most * total * (1.0 + 1e-12) {
                    (bounded[arm], is_new) = (true, true);
                }
            }
            if !is_new {
                return;
            }
            self.bend(vector, &bounded);
        }
    }

    fn bend(&self, vector: &mut [f64], bounded: &[bool]) {
        let free = || (0..bounded.len()).filter(|arm| !bounded[*arm]);
        // Where the others have nothing they have the same.
        if free().all(|arm| vector[arm] <= 0.0) {
            free().for_each(|arm| vector[arm] = 1.0);
        }
        let rest: f64 = free().map(|arm| vector[arm]).sum();
        let rest_cost: f64 = free().map(|arm| vector[arm] * self.weights[arm]).sum();
        let of_bounded = || self.most.iter().zip(&*self.weights).zip(bounded).filter(|(_, is)| **is).map(|(of, _)| of);
        let most: f64 = of_bounded().filter_map(|(most, _)| *most).sum();
        let per_cost: f64 = of_bounded().filter_map(|(most, weight)| Some((*most)? / weight)).sum();
        let cost_by_scale = rest_cost / (1.0 - most);
        let scale = 1.0 / (cost_by_scale * per_cost + rest);
        for arm in 0..vector.len() {
            vector[arm] = match self.most[arm].filter(|_| bounded[arm]) {
                Some(most) => most * cost_by_scale * scale / self.weights[arm],
                None => vector[arm] * scale,
            };
        }
    }

    /// What it is, for the name of a state that has it in it.
    pub(super) fn numbers(&self) -> impl Iterator<Item = f64> {
        self.most.iter().map(|most| most.unwrap_or(-1.0)).chain(self.weights.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bent(most: &[Option<f64>], weights: &[f64], vector: &[f64]) -> Vec<f64> {
        let mut bent = vector.to_vec();
        let spec = CostShareSpec { most: most.to_vec(), weights: weights.to_vec() };
        CostShare::of(&spec, vector.len()).unwrap().apply(&mut bent);
        bent
    }

    fn cost_shares(weights: &[f64], vector: &[f64]) -> Vec<f64> {
        let total: f64 = vector.iter().zip(weights).map(|(share, weight)| share * weight).sum();
        vector
            .iter()
            .zip(weights)
            .map(|(share, weight)| if total > 0.0 { share * weight / total } else { 0.0 })
            .collect()
    }

    #[test]
    fn a_dear_arm_has_its_part_of_the_cost_and_no_more() {
        // Ten times as dear, half of the cost: one call in eleven.
        let bent = self::bent(&[None, Some(0.5)], &[1.0, 10.0], &[0.1, 0.9]);
        assert!((bent[1] - 1.0 / 11.0).abs() < 1e-12, "{bent:?}");
        assert_eq!(self::bent(&[None, Some(0.5)], &[1.0, 10.0], &[0.95, 0.05]), [0.95, 0.05], "it has less anyway");
        assert_eq!(
            self::bent(&[None, Some(0.5)], &[0.0, 10.0], &[0.1, 0.9]),
            [1.0, 0.0],
            "beside free ones it has none"
        );
        let all = self::bent(&[None, None, Some(0.5)], &[1.0, 1.0, 10.0], &[0.0, 0.0, 1.0]);
        assert!((all[0] - all[1]).abs() < 1e-12 && (all[2] - 1.0 / 11.0).abs() < 1e-12, "{all:?}");
        assert!(CostShare::of(&CostShareSpec { most: vec![None], weights: vec![] }, 1).is_none());
    }

    proptest! {
        #[test]
        fn none_has_more_than_its_part_and_the_others_keep_their_proportions(
            arms in prop::collection::vec((0.0..1.0f64, 0.001..100.0f64, prop::option::of(0.01..0.99f64)), 2..8),
        ) {
            let sum: f64 = arms.iter().map(|(share, ..)| share).sum();
            prop_assume!(sum > 0.01);
            let vector: Vec<f64> = arms.iter().map(|(share, ..)| share / sum).collect();
            let weights: Vec<f64> = arms.iter().map(|(_, weight, _)| *weight).collect();
            let mut most: Vec<Option<f64>> = arms.iter().map(|(.., most)| *most).collect();
            most[0] = None;
            let bent = bent(&most, &weights, &vector);
            prop_assert!((bent.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{bent:?}");
            prop_assert!(bent.iter().all(|share| (0.0..=1.0 + 1e-9).contains(share)), "{bent:?}");
            for (part, most) in cost_shares(&weights, &bent).iter().zip(&most) {
                prop_assert!(most.is_none_or(|most| *part <= most + 1e-9), "{part} of {most:?}");
            }
            let free: Vec<usize> = (0..bent.len()).filter(|arm| most[*arm].is_none() && vector[*arm] > 0.0).collect();
            for pair in free.windows(2) {
                let (before, after) = (vector[pair[0]] / vector[pair[1]], bent[pair[0]] / bent[pair[1]]);
                prop_assert!((before / after - 1.0).abs() < 1e-6);
            }
            let had_too_much = cost_shares(&weights, &vector).iter().zip(&most).any(|(part, most)| most.is_some_and(|most| *part > most));
            prop_assert!(had_too_much || bent == vector);
        }
    }
}
