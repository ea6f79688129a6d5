//! Whether the new arm of a rollout is worse than allowed, as far as can be known. Owns the tests; all of them hold at
//! every look, so that a rollout can be judged as often as one likes.

use super::evidence::Evidence;
use serde::Serialize;
use tidegate_core::port::verdicts::{Verdict, Verdicts};
use tidegate_core::spec::{AnalysisSpec, Goal, Measure, RewardKind, RewardSpec, Timing};
use tidegate_experiment::guardrail::{self, Guarded, Guardrail};
use tidegate_experiment::power::Change;
use tidegate_experiment::{Alpha, Design, Estimate, Interval, Moments, Pair, Sketch, bernoulli};

/// What is known of one measure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The measure's name.
    pub measure: String,
    /// What follows.
    pub judgement: Judgement,
    /// Why, in words.
    pub says: String,
    /// The measure of the old arm, where it is a number.
    pub from: Option<f64>,
    /// The measure of the new one.
    pub to: Option<f64>,
}

/// What is known of the new arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// It is worse than allowed, for certain but for what the confidence leaves.
    Worse,
    /// It looks no worse than allowed.
    Within,
    /// It looks worse than allowed, or too little was seen: wait.
    Unclear,
}

/// A value of each arm, where it lies, and how much the new one's may be larger.
struct Compared {
    from: Option<(f64, Interval)>,
    to: Option<(f64, Interval)>,
    /// The most that the new one's may be, given the old one's.
    most: fn(f64, f64) -> f64,
    worse_by: f64,
}

/// Judges the new arm by one analysis; `alpha` is what this step may err.
#[must_use]
pub fn judge(spec: &AnalysisSpec, alpha: Alpha, from: &Evidence, to: &Evidence, verdicts: &dyn Verdicts) -> Finding {
    let measure = spec.measure.name();
    // Each arm's value is somewhere else with half the probability.
    let half = alpha.shared(2);
    match &spec.measure {
        Measure::ErrorRate { worse_by } => {
            let rate = |of: &Evidence| share(count(of.failed), count(of.calls - of.failed), half);
            let compared = Compared { from: rate(from), to: rate(to), most: |from, by| from + by, worse_by: *worse_by };
            compared.finding(measure, percent, f64::abs)
        }
        Measure::Quantile { of, quantile: q, worse_by } => {
            let sketch = |of_arm: &Evidence| match of {
                Timing::Latency => quantile(&of_arm.latency, *q, half),
                Timing::FirstToken => quantile(&of_arm.first_token, *q, half),
            };
            let compared = Compared {
                from: sketch(from),
                to: sketch(to),
                most: |from, by| from * (1.0 + by),
                worse_by: *worse_by,
            };
            compared.finding(measure, seconds, f64::abs)
        }
        Measure::Reward { reward, worse_by } if reward.kind != RewardKind::Boolean => {
            let seen = |of: &Evidence| of.rewards.get(&reward.name).and_then(Estimate::of);
            of_means(measure, reward, *worse_by, alpha, seen(from), seen(to))
        }
        Measure::Reward { reward, worse_by } => {
            let mean = |of: &Evidence| of.rewards.get(&reward.name).and_then(|seen| loss(reward, seen, half));
            let compared = Compared { from: mean(from), to: mean(to), most: |from, by| from + by, worse_by: *worse_by };
            // Losses are rewards with their sign turned where more is better.
            let turn: fn(f64) -> f64 = if reward.goal == Goal::Maximize { |loss| 0.0 - loss } else { |loss| loss };
            compared.finding(measure, number, turn)
        }
        Measure::Monitor(monitor) => {
            let (judgement, says) = match verdicts.verdict(monitor) {
                Verdict::Well => (Judgement::Within, "the monitor sees nothing wrong".to_owned()),
                Verdict::Alarm(says) => (Judgement::Worse, says),
                Verdict::Unknown => (Judgement::Unclear, "the monitor has nothing to say yet".to_owned()),
            };
            Finding { measure, judgement, says, from: None, to: None }
        }
    }
}

impl Compared {
    fn finding(self, measure: String, shown: fn(f64) -> String, turned: fn(f64) -> f64) -> Finding {
        let (Some((old, old_in)), Some((new, new_in))) = (self.from, self.to) else {
            let (from, to) = (self.from.map(|(value, _)| turned(value)), self.to.map(|(value, _)| turned(value)));
            let which = if self.from.is_none() { "the old arm" } else { "the new arm" };
            let says = format!("nothing was seen of {which} yet");
            return Finding { measure, judgement: Judgement::Unclear, says, from, to };
        };
        let is_worse = new_in.low > (self.most)(old_in.high, self.worse_by);
        let looks_within = new <= (self.most)(old, self.worse_by);
        let (judgement, word) = match (is_worse, looks_within) {
            (true, _) => (Judgement::Worse, "worse than allowed"),
            (false, true) => (Judgement::Within, "within what is allowed"),
            (false, false) => (Judgement::Unclear, "looks worse than allowed, and may not be"),
        };
        let show = |value: f64| shown(turned(value));
        let span = |interval: Interval| {
            let (a, b) = (turned(interval.low), turned(interval.high));
            if a.is_finite() && b.is_finite() {
                format!("{} to {}", shown(a.min(b)), shown(a.max(b)))
            } else {
                "not known yet".to_owned()
            }
        };
        let says = format!("{word}: {} ({}) against {} ({})", show(new), span(new_in), show(old), span(old_in));
        Finding { measure, judgement, says, from: Some(turned(old)), to: Some(turned(new)) }
    }
}

/// The share of yes among all; `None` where there is none.
fn share(yes: f64, no: f64, alpha: Alpha) -> Option<(f64, Interval)> {
    (yes + no > 0.0).then(|| (yes / (yes + no), bernoulli::sequence(yes, no, alpha)))
}

/// A quantile: the number of values below it is that of yes with its probability (Howard, Ramdas: Sequential estimation of
/// quantiles, 2022), so it lies between the values at the places that such counts may have.
fn quantile(sketch: &Sketch, q: f64, alpha: Alpha) -> Option<(f64, Interval)> {
    let value = sketch.quantile(q)?;
    let n = count(sketch.n());
    let places = bernoulli::counts(n, q, alpha);
    let low = if places.low < 1.0 { 0.0 } else { sketch.at((places.low - 1.0).floor()).unwrap_or(0.0) };
    let high = sketch.at(places.high.ceil()).unwrap_or(f64::INFINITY);
    Some((value, Interval { low, high }))
}

/// Means of numbers: their difference is compared, which needs fewer calls than where each lies, and says nothing before
/// their scatter is known.
fn of_means(
    measure: String,
    reward: &RewardSpec,
    worse_by: f64,
    alpha: Alpha,
    from: Option<Estimate>,
    to: Option<Estimate>,
) -> Finding {
    let means = (from.map(|of| of.mean), to.map(|of| of.mean));
    let unclear = |says: String| Finding {
        measure: measure.clone(),
        judgement: Judgement::Unclear,
        says,
        from: means.0,
        to: means.1,
    };
    let (Some(control), Some(treatment)) = (from, to) else {
        let which = if from.is_none() { "the old arm" } else { "the new arm" };
        return unclear(format!("nothing was seen of {which} yet"));
    };
    let pair = Pair { control, treatment };
    let goal = if reward.goal == Goal::Maximize { guardrail::Goal::Maximize } else { guardrail::Goal::Minimize };
    let guard = Guardrail { goal, worse_by: Change::Absolute(worse_by) };
    let shown = format!("{} against {}", number(treatment.mean), number(control.mean));
    let worse = match reward.goal {
        Goal::Maximize => control.mean - treatment.mean,
        Goal::Minimize => treatment.mean - control.mean,
    };
    let (judgement, word) = match guard.judge(&pair, Design::new(alpha)) {
        Guarded::Broken => (Judgement::Worse, "worse than allowed"),
        _ if !pair.is_known() => return unclear(format!("too little was seen to tell: {shown}")),
        _ if worse <= worse_by => (Judgement::Within, "within what is allowed"),
        _ => return unclear(format!("looks worse than allowed, and may not be: {shown}")),
    };
    Finding { measure, judgement, says: format!("{word}: {shown}"), from: means.0, to: means.1 }
}

/// The mean of yes and no in a form in which more is worse.
fn loss(reward: &RewardSpec, seen: &Moments, alpha: Alpha) -> Option<(f64, Interval)> {
    let mean = seen.mean()?;
    let interval = bernoulli::sequence(seen.sum(), seen.count() - seen.sum(), alpha);
    Some(match reward.goal {
        Goal::Minimize => (mean, interval),
        Goal::Maximize => (-mean, Interval { low: -interval.high, high: -interval.low }),
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls")]
const fn count(calls: u64) -> f64 {
    calls as f64
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

fn number(number: f64) -> String {
    format!("{number:.4}")
}
