//! The calls of an experiment, gathered one by one in room that does not grow with their number but with that of units.
//! Owns what is counted of each call; what is made of it is `weighed`'s.

use super::asked::Asking;
use crate::replay::history::{History, Past};
use serde::Serialize;
use std::collections::HashSet;
use tidegate_core::VariantName;
use tidegate_experiment::sample_ratio::Alarm;
use tidegate_experiment::{Design, Estimate, Interval, Moments, Pair, SampleRatio, Sketch, Units};

/// A picture has up to twice as many moments.
pub(super) const MOMENTS: usize = 60;
/// How many units are told apart.
const MOST: usize = tidegate_experiment::clustered::MOST;

/// What was known of each arm's mean at a moment.
#[derive(Debug, Serialize)]
pub(crate) struct Moment {
    pub(crate) at_ms: u64,
    pub(crate) arms: Vec<Option<(f64, Interval)>>,
}

/// A measure of each arm.
pub(super) struct Measured {
    pub(super) units: Units,
    /// Its values without regard to units, for their scatter and quantiles.
    pub(super) values: Vec<(Moments, Sketch)>,
}

/// What was gathered.
pub(super) struct Gathered {
    pub(super) names: Vec<VariantName>,
    control: usize,
    /// The reward, and then what guardrails are of.
    pub(super) measures: Vec<Measured>,
    pub(super) ratio: SampleRatio,
    pub(super) alarm: Alarm,
    pub(super) calls: usize,
    pub(super) left_out: usize,
    pub(super) design: Design,
    pub(super) over_time: Vec<Moment>,
    /// The smallest p-value of each arm beside the control, of all looks so far: the mixture sequential probability ratio
    /// test's.
    pub(super) smallest: Vec<f64>,
    /// Units whose draw was counted.
    met: HashSet<u64>,
    /// A moment is noted after so many calls; twice as many whenever there are too many moments.
    each: usize,
    last_ms: u64,
}

impl Measured {
    fn among(arms: usize) -> Self {
        Self { units: Units::among(arms), values: vec![Default::default(); arms] }
    }

    fn add(&mut self, arm: usize, unit: u64, value: f64) {
        self.units.add(arm, unit, value);
        if let Some((moments, sketch)) = self.values.get_mut(arm).filter(|_| value.is_finite()) {
            moments.add(value);
            sketch.add(value);
        }
    }
}

impl Gathered {
    pub(super) fn new(names: Vec<VariantName>, asking: &Asking, design: Design) -> Self {
        let arms = names.len();
        Self {
            names,
            control: asking.control,
            measures: (0..=asking.guardrails.len()).map(|_| Measured::among(arms)).collect(),
            ratio: SampleRatio::among(arms),
            alarm: Alarm::default(),
            calls: 0,
            left_out: 0,
            design,
            over_time: Vec::new(),
            smallest: vec![1.0; arms],
            met: HashSet::new(),
            each: 1,
            last_ms: 0,
        }
    }

    pub(super) fn add(&mut self, call: &Past, history: &History) {
        self.calls += 1;
        self.last_ms = call.at;
        self.take(call, history);
        if !self.calls.is_multiple_of(self.each) {
            return;
        }
        self.look(call.at);
        if self.over_time.len() >= 2 * MOMENTS {
            // Every second one stays: those that there would be at the new pace.
            self.each *= 2;
            let mut nth = 0;
            self.over_time.retain(|_| {
                nth += 1;
                nth % 2 == 0
            });
        }
    }

    fn take(&mut self, call: &Past, history: &History) {
        let Some((arm, shares)) = self.placed(call, history) else {
            self.left_out += 1;
            return;
        };
        // Where a caller keeps its arm only its first call is drawn.
        let unit = call.unit();
        let mut is_first = || self.met.len() < MOST && self.met.insert(unit);
        if !call.decision.sticky || is_first() {
            // Shares that are none were refused when they were drawn from.
            self.ratio.add(arm, &shares).unwrap_or_default();
        }
        for (measured, values) in self.measures.iter_mut().zip(&call.rewards) {
            values.iter().for_each(|(_, value)| measured.add(arm, unit, *value));
        }
    }

    /// The arm of a call and the share of each, among the arms of now.
    fn placed(&self, call: &Past, history: &History) -> Option<(usize, Vec<f64>)> {
        let called = history.arms(call);
        let mut shares = vec![0.0; self.names.len()];
        let place = |name: Option<&VariantName>| self.names.iter().position(|known| Some(known) == name);
        for ((arm, name), share) in called.iter().enumerate().zip(call.decision.shares.iter()) {
            // An arm that was never drawn has no name: it is the one that stands there now.
            let at = place(*name).or_else(|| (name.is_none() && called.len() == shares.len()).then_some(arm))?;
            shares[at] += share;
        }
        Some((place(*called.get(call.decision.arm)?)?, shares))
    }

    /// Looks at the calls since the last look, where there are any.
    pub(super) fn finish(&mut self) {
        if !self.calls.is_multiple_of(self.each) {
            self.look(self.last_ms);
        }
    }

    fn look(&mut self, at_ms: u64) {
        self.alarm.look(&self.ratio);
        for arm in 0..self.names.len() {
            if let Some(pair) = self.pair(0, arm).filter(|_| arm != self.control) {
                self.smallest[arm] = self.smallest[arm].min(pair.compare(self.design).p);
            }
        }
        let all = self.estimates();
        let arms = all.iter().map(|of| (*of).and_then(|of| Some((of.mean, interval(&of, &all, self.design)?))));
        let arms = arms.collect();
        self.over_time.push(Moment { at_ms, arms });
    }

    /// What is known of each arm's mean of the reward.
    pub(super) fn estimates(&self) -> Vec<Option<Estimate>> {
        (0..self.names.len()).map(|arm| self.measures[0].units.estimate(arm)).collect()
    }

    /// An arm beside the control, by the measure in this place.
    pub(super) fn pair(&self, measure: usize, arm: usize) -> Option<Pair> {
        let units = &self.measures[measure].units;
        Some(Pair { control: units.estimate(self.control)?, treatment: units.estimate(arm)? })
    }
}

/// Where a mean lies. A unit of an arm scatters at least as much as one of all arms, so that an arm that has seen nothing rare
/// yet is not known too well.
pub(super) fn interval(of: &Estimate, all: &[Option<Estimate>], design: Design) -> Option<Interval> {
    let all = all.iter().flatten().filter(|of| of.variance.is_finite());
    let (units, scatter) =
        all.fold((0.0, 0.0), |(units, scatter), of| (units + of.units, scatter + of.variance * of.units * of.units));
    let error = of.variance.max(scatter / units / of.units).sqrt();
    (of.units >= tidegate_experiment::compare::LEAST && error.is_finite() && error > 0.0)
        .then(|| Interval::around(of.mean, design.line(of.units) * error))
}
