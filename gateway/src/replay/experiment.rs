//! A route as an experiment: its arms compared by a reward, whether they got the calls that they were to get, and whether
//! one may stop. Owns what is asked; the statistics are those of the crate `tidegate-experiment`, and hold at every look.

use super::history::{History, Past};
use serde::Serialize;
use std::collections::HashSet;
use std::path::Path;
use tidegate_core::VariantName;
use tidegate_core::spec::{GatewaySpec, Goal as Wanted, Implicit, PolicySpec, RewardSource, RouteSpec};
use tidegate_experiment::guardrail::{Goal, Guarded, Guardrail};
use tidegate_experiment::multiplicity::{Correction, adjusted};
use tidegate_experiment::power::Change;
use tidegate_experiment::sample_ratio::Alarm;
use tidegate_experiment::verdict::Question;
use tidegate_experiment::{Alpha, Comparison, Design, Estimate, Interval, Pair, SampleRatio, Sketch, Units, Verdict};

/// What no arm may lose beside the reward, and how much worse it may be.
const GUARDS: [(Implicit, Change); 3] = [
    (Implicit::Error, Change::Absolute(0.01)),
    (Implicit::Latency, Change::Relative(0.1)),
    (Implicit::Cost, Change::Relative(0.1)),
];
/// A picture has up to twice as many moments.
const MOMENTS: usize = 60;
/// How many units are told apart.
const MOST: usize = tidegate_experiment::clustered::MOST;

/// The rewards that an experiment needs to know of each call, in their order.
fn rewards(of: &RewardSource) -> Vec<RewardSource> {
    std::iter::once(of.clone()).chain(GUARDS.map(|(implicit, _)| RewardSource::Call(implicit))).collect()
}

/// A route as an experiment.
#[derive(Debug, Serialize)]
pub(crate) struct Experiment {
    pub(crate) route: String,
    pub(crate) reward: String,
    pub(crate) goal: Goal,
    pub(crate) control: String,
    pub(crate) calls: usize,
    /// Calls of other arms, or of which nobody knows what the arms were called.
    pub(crate) left_out: usize,
    /// Values that were left out since more units came than are told apart.
    pub(crate) units_left_out: u64,
    pub(crate) arms: Vec<Arm>,
    /// How probable it is by chance that arms got so many calls, and not those of their shares.
    pub(crate) sample_ratio_p: f64,
    pub(crate) compared: Vec<Against>,
    /// How the means came to be known.
    pub(crate) over_time: Vec<Moment>,
}

/// An arm.
#[derive(Debug, Serialize)]
pub(crate) struct Arm {
    pub(crate) name: String,
    /// Draws, and how many there were to be.
    pub(crate) drawn: u64,
    pub(crate) expected: f64,
    /// Values of the reward, and the units that they are of.
    pub(crate) values: f64,
    pub(crate) units: f64,
    pub(crate) mean: Option<f64>,
    /// The variance of that mean, by units.
    pub(crate) variance: Option<f64>,
    pub(crate) p50: Option<f64>,
    pub(crate) p95: Option<f64>,
    pub(crate) interval: Option<Interval>,
}

/// An arm beside the control.
#[derive(Debug, Serialize)]
pub(crate) struct Against {
    pub(crate) treatment: String,
    pub(crate) comparison: Option<Comparison>,
    /// Its p-value among those of all arms (Holm 1979).
    pub(crate) adjusted_p: f64,
    pub(crate) guardrails: Vec<(String, Guarded)>,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) may_stop: bool,
    pub(crate) says: String,
}

/// What was known of each arm's mean at a moment.
#[derive(Debug, Serialize)]
pub(crate) struct Moment {
    pub(crate) at_ms: u64,
    pub(crate) arms: Vec<Option<(f64, Interval)>>,
}

/// What is asked of an experiment.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    /// What arms are compared by.
    pub(crate) reward: RewardSource,
    /// The index of the arm that the others are compared with.
    pub(crate) control: usize,
    /// Only calls since this moment, in milliseconds since 1970.
    pub(crate) since: u64,
    /// The smallest difference that matters, where one was named.
    pub(crate) least: Option<Change>,
}

/// What is gathered call by call, in room that does not grow with their number.
struct Gathered {
    names: Vec<VariantName>,
    units: Vec<Units>,
    sketches: Vec<Sketch>,
    ratio: SampleRatio,
    alarm: Alarm,
    calls: usize,
    left_out: usize,
    design: Design,
    over_time: Vec<Moment>,
    /// Units whose draw was counted.
    met: HashSet<u64>,
    /// A moment is noted after so many calls; twice as many whenever there are too many moments.
    each: usize,
    last_ms: u64,
}

impl Gathered {
    fn new(names: Vec<VariantName>, design: Design) -> Self {
        let arms = names.len();
        Self {
            names,
            units: (0..=GUARDS.len()).map(|_| Units::among(arms)).collect(),
            sketches: vec![Sketch::default(); arms],
            ratio: SampleRatio::among(arms),
            alarm: Alarm::default(),
            calls: 0,
            left_out: 0,
            design,
            over_time: Vec::new(),
            met: HashSet::new(),
            each: 1,
            last_ms: 0,
        }
    }

    fn add(&mut self, call: &Past, history: &History) {
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
        for (units, values) in self.units.iter_mut().zip(&call.rewards) {
            for (_, value) in values {
                units.add(arm, unit, *value);
            }
        }
        call.rewards.first().into_iter().flatten().for_each(|(_, value)| self.sketches[arm].add(*value));
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

    fn look(&mut self, at_ms: u64) {
        self.alarm.look(&self.ratio);
        let arms = (0..self.names.len()).map(|arm| {
            let estimate = self.units[0].estimate(arm)?;
            Some((estimate.mean, self.interval(&estimate)?))
        });
        let arms = arms.collect();
        self.over_time.push(Moment { at_ms, arms });
    }

    /// Where a mean lies. A unit of an arm scatters at least as much as one of all arms, so that an arm that has seen
    /// nothing rare yet is not known too well.
    fn interval(&self, of: &Estimate) -> Option<Interval> {
        let all =
            (0..self.names.len()).filter_map(|arm| self.units[0].estimate(arm)).filter(|of| of.variance.is_finite());
        let (units, scatter) = all
            .fold((0.0, 0.0), |(units, scatter), of| (units + of.units, scatter + of.variance * of.units * of.units));
        let error = of.variance.max(scatter / units / of.units).sqrt();
        (of.units >= tidegate_experiment::compare::LEAST && error.is_finite() && error > 0.0)
            .then(|| Interval::around(of.mean, self.design.line(of.units) * error))
    }

    fn experiment(mut self, route: &RouteSpec, asking: &Asking) -> Experiment {
        if !self.calls.is_multiple_of(self.each) {
            self.look(self.last_ms);
        }
        let (reward, control) = (&asking.reward, asking.control);
        let goal = if reward.goal() == Wanted::Maximize { Goal::Maximize } else { Goal::Minimize };
        let others: Vec<usize> = (0..self.names.len()).filter(|arm| *arm != control).collect();
        let pairs: Vec<Option<Pair>> = others.iter().map(|arm| self.pair(0, control, *arm)).collect();
        let ps: Vec<f64> = pairs.iter().map(|pair| pair.map_or(1.0, |pair| pair.compare(self.design).p)).collect();
        let ps = adjusted(&ps, Correction::Holm);
        let compared = others.iter().zip(pairs).zip(ps);
        let compared = compared.map(|((arm, pair), p)| self.against(asking, *arm, pair, p, goal)).collect();
        Experiment {
            route: route.name.to_string(),
            reward: reward.name().to_owned(),
            goal,
            control: self.names.get(control).map(ToString::to_string).unwrap_or_default(),
            calls: self.calls,
            left_out: self.left_out,
            units_left_out: self.units[0].left_out(),
            arms: (0..self.names.len()).map(|arm| self.arm(arm)).collect(),
            sample_ratio_p: self.alarm.p().min(1.0),
            compared,
            over_time: self.over_time,
        }
    }

    fn pair(&self, reward: usize, control: usize, treatment: usize) -> Option<Pair> {
        let units = &self.units[reward];
        Some(Pair { control: units.estimate(control)?, treatment: units.estimate(treatment)? })
    }

    fn arm(&self, arm: usize) -> Arm {
        let (estimate, sketch, drawn) = (self.units[0].estimate(arm), &self.sketches[arm], self.ratio.arms()[arm]);
        Arm {
            name: self.names[arm].to_string(),
            drawn: drawn.seen,
            expected: drawn.expected,
            values: self.units[0].values(arm),
            units: estimate.map_or(0.0, |estimate| estimate.units),
            mean: estimate.map(|estimate| estimate.mean),
            variance: estimate.map(|estimate| estimate.variance).filter(|variance| variance.is_finite()),
            p50: sketch.quantile(0.5),
            p95: sketch.quantile(0.95),
            interval: estimate.and_then(|estimate| self.interval(&estimate)),
        }
    }

    fn against(&self, asking: &Asking, arm: usize, pair: Option<Pair>, adjusted_p: f64, goal: Goal) -> Against {
        let control = asking.control;
        let question = Question {
            control: self.names[control].to_string(),
            treatment: self.names[arm].to_string(),
            goal,
            design: self.design,
            least: asking.least,
        };
        let verdict = pair.map(|pair| question.answer(&pair, &self.ratio, &self.alarm));
        let guard = |(at, (implicit, worse_by)): (usize, &(Implicit, Change))| {
            let pair = self.pair(at + 1, control, arm)?;
            let guardrail = Guardrail { goal: Goal::Minimize, worse_by: *worse_by };
            Some((implicit.as_str().to_owned(), guardrail.judge(&pair, self.design)))
        };
        let guardrails: Vec<(String, Guarded)> = GUARDS.iter().enumerate().filter_map(guard).collect();
        let broken: Vec<&str> =
            guardrails.iter().filter(|(_, is)| *is == Guarded::Broken).map(|(name, _)| name.as_str()).collect();
        let mut says = verdict.as_ref().map_or_else(
            || format!("Go on: `{}` or `{}` has no value of the reward yet.", question.control, question.treatment),
            ToString::to_string,
        );
        if !broken.is_empty() {
            says.push_str(&format!(" But it is worse than allowed in {}.", broken.join(", ")));
        }
        Against {
            treatment: question.treatment,
            comparison: pair.map(|pair| pair.compare(self.design)),
            adjusted_p,
            guardrails,
            may_stop: verdict.as_ref().is_some_and(Verdict::may_stop),
            verdict,
            says,
        }
    }
}

/// Reads a route's calls in the folder of an event store and weighs its arms.
///
/// # Errors
/// The store cannot be read.
pub(crate) fn experiment(folder: &Path, route: &RouteSpec, asking: &Asking) -> anyhow::Result<Experiment> {
    let names: Vec<VariantName> = route.variants.iter().map(|variant| variant.name.clone()).collect();
    let others = names.len().saturating_sub(1);
    let mut gathered = Gathered::new(names, Design::new(Alpha::FIVE_PERCENT.shared(others)));
    let span = asking.since..u64::MAX;
    History::each(folder, &route.name, &rewards(&asking.reward), span, |history, call| gathered.add(&call, history))?;
    Ok(gathered.experiment(route, asking))
}

/// The smallest difference that matters, as on a command line: `2%` of the control's mean, or `0.01` of the reward itself.
///
/// # Errors
/// It is none, in words.
pub(crate) fn least_of(text: &str) -> Result<Change, String> {
    let (number, is_relative) = text.strip_suffix('%').map_or((text, false), |number| (number, true));
    let number = number.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    let number =
        number.ok_or_else(|| "a difference is a number above 0, such as 0.01, or a part, such as 2%".to_owned())?;
    Ok(if is_relative { Change::Relative(number / 100.0) } else { Change::Absolute(number) })
}

/// The reward of this name, or what the route learns from.
///
/// # Errors
/// There is none, in words.
pub(crate) fn asked(spec: &GatewaySpec, route: &RouteSpec, name: Option<&str>) -> Result<RewardSource, String> {
    let Some(name) = name else {
        if let PolicySpec::Learned(learned) = &route.policy {
            return Ok(learned.reward.clone());
        }
        return Err(format!("`{}` does not say what is earned: name a reward, such as `error`", route.name));
    };
    if let Some(implicit) = Implicit::ALL.into_iter().find(|implicit| implicit.as_str() == name) {
        return Ok(RewardSource::Call(implicit));
    }
    let declared = spec.rewards.iter().find(|(declared, _)| declared.as_str() == name);
    let spec = declared.ok_or_else(|| format!("the configuration declares no reward `{name}`"))?.1;
    Ok(RewardSource::Feedback(spec.clone()))
}

/// The index of the variant that the others are compared with: this one, or the first.
///
/// # Errors
/// There is none such, in words.
pub(crate) fn control_of(route: &RouteSpec, name: Option<&str>) -> Result<usize, String> {
    if route.variants.len() < 2 {
        return Err(format!("`{}` has one variant, and there is nothing to compare", route.name));
    }
    let Some(name) = name else { return Ok(0) };
    let found = route.variants.iter().position(|variant| variant.name.as_str() == name);
    found.ok_or_else(|| format!("`{}` has no variant `{name}`", route.name))
}

#[cfg(test)]
mod tests;
