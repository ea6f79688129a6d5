//! The plainest model of rewards: the mean of each action. Owns that no call is judged by a model that has seen it: calls
//! at even places are judged by the means of those at odd ones, and the other way round (cross-fitting; Chernozhukov and
//! others: Double/debiased machine learning, 2018).

use super::Logged;
use crate::moments::Moments;

/// The means of both halves, by action.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Means {
    of_even: Vec<f64>,
    of_odd: Vec<f64>,
}

impl Means {
    pub(super) fn of(calls: &[Logged], actions: usize) -> Self {
        let half = |skip: usize| means(calls.iter().skip(skip).step_by(2), actions);
        Self { of_even: half(0), of_odd: half(1) }
    }

    /// What is expected of each action at the call in this place.
    pub(super) fn expected_of(&self, at: usize) -> &[f64] {
        if at.is_multiple_of(2) { &self.of_odd } else { &self.of_even }
    }
}

/// An action that was not done has the mean of all, which is 0 where there is no call.
fn means<'a>(calls: impl Iterator<Item = &'a Logged>, actions: usize) -> Vec<f64> {
    let (mut all, mut each) = (Moments::default(), vec![Moments::default(); actions]);
    for call in calls {
        all.add(call.reward);
        if let Some(action) = each.get_mut(call.action) {
            action.add(call.reward);
        }
    }
    let otherwise = all.mean().unwrap_or(0.0);
    each.iter().map(|action| action.mean().unwrap_or(otherwise)).collect()
}
