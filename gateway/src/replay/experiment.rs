//! A route as an experiment: its arms compared by a reward, whether they got the calls that they were to get, and whether
//! one may stop. Owns what is shown; the statistics are those of the crate `tidegate-experiment`, and hold at every look.

mod asked;
mod gathered;
mod past;
mod weighed;

use super::history::History;
use anyhow::Context as _;
pub(crate) use asked::{Asking, RailWords, Words, asked, least_of, rail_of};
use gathered::Gathered;
pub(crate) use gathered::Moment;
use past::Before;
use serde::Serialize;
use std::path::Path;
use tidegate_core::spec::{GatewaySpec, RewardSource, RouteSpec};
use tidegate_core::{RouteName, VariantName};
use tidegate_experiment::guardrail::{Goal, Guarded};
use tidegate_experiment::power::Change;
use tidegate_experiment::{Alpha, Comparison, Design, Interval, Verdict};

/// A route as an experiment.
#[derive(Debug, Serialize)]
pub(crate) struct Experiment {
    /// The route, or what the experiment of several is called.
    pub(crate) route: String,
    /// The routes of an experiment that spans several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) routes: Vec<String>,
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
    /// The arms without what their units were like before, where that was asked for.
    pub(crate) cuped: Option<Cuped>,
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
    #[serde(flatten)]
    pub(crate) reward: Measure,
    pub(crate) interval: Option<Interval>,
    /// What guardrails are of.
    pub(crate) others: Vec<Measure>,
}

/// What was measured of an arm.
#[derive(Debug, Serialize)]
pub(crate) struct Measure {
    /// Its name.
    pub(crate) measure: String,
    /// How many values, and of how many units.
    pub(crate) values: f64,
    pub(crate) units: f64,
    pub(crate) mean: Option<f64>,
    /// The variance of the values.
    pub(crate) variance: Option<f64>,
    /// The variance of their mean, by units.
    pub(crate) mean_variance: Option<f64>,
    pub(crate) p50: Option<f64>,
    pub(crate) p95: Option<f64>,
}

/// An arm beside the control.
#[derive(Debug, Serialize)]
pub(crate) struct Against {
    pub(crate) treatment: String,
    pub(crate) comparison: Option<Comparison>,
    /// Its p-value among those of all arms (Holm 1979).
    pub(crate) adjusted_p: f64,
    /// The smallest of its p-values at all looks so far, that of the mixture sequential probability ratio test; and among
    /// those of all arms.
    pub(crate) msprt_p: f64,
    pub(crate) msprt_adjusted_p: f64,
    pub(crate) guardrails: Vec<Guard>,
    pub(crate) needed: Option<Needed>,
    /// The comparison without what the units were like before.
    pub(crate) cuped: Option<Comparison>,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) may_stop: bool,
    pub(crate) says: String,
}

/// A guardrail, and what is known of it.
#[derive(Debug, Serialize)]
pub(crate) struct Guard {
    pub(crate) measure: String,
    pub(crate) worse_by: Change,
    pub(crate) is: Guarded,
}

/// How many units it takes to see a difference.
#[derive(Debug, Serialize)]
pub(crate) struct Needed {
    /// The difference, in the reward itself, and whether it was named: else it is the one that was seen so far.
    pub(crate) effect: f64,
    pub(crate) is_named: bool,
    /// How probable it is to be seen then.
    pub(crate) power: f64,
    /// Units of both arms in all, and how many there lack.
    pub(crate) control: f64,
    pub(crate) treatment: f64,
    pub(crate) more: (f64, f64),
    pub(crate) says: String,
}

/// What was taken out of the arms.
#[derive(Debug, Serialize)]
pub(crate) struct Cuped {
    /// Since when calls tell what units were like, in milliseconds since 1970.
    pub(crate) since_ms: u64,
    /// How many units have values from before, of how many.
    pub(crate) units_with_past: f64,
    pub(crate) units: f64,
    /// Calls from before that may not tell.
    pub(crate) calls_left_out: u64,
    /// What was taken out for each unit of the measure, and how much smaller that made the variance.
    pub(crate) theta: Option<f64>,
    pub(crate) variance_reduction: Option<f64>,
    pub(crate) arms: Vec<CupedArm>,
    pub(crate) says: String,
}

/// An arm without what its units were like before.
#[derive(Debug, Serialize)]
pub(crate) struct CupedArm {
    pub(crate) name: String,
    pub(crate) mean: Option<f64>,
    pub(crate) interval: Option<Interval>,
}

/// The routes that a name means: the one that is called so, else all that are of an experiment of that name.
pub(crate) fn meant<'a>(spec: &'a GatewaySpec, name: &str) -> Vec<&'a RouteSpec> {
    match spec.routes.values().find(|route| route.name.as_str() == name) {
        Some(route) => vec![route],
        None => spec.routes.values().filter(|route| route.experiment.as_deref() == Some(name)).collect(),
    }
}

/// Reads the calls of a route, or of all routes of an experiment, in the folder of an event store and weighs the arms, which are
/// called alike on all of them.
///
/// # Errors
/// The store cannot be read.
pub(crate) fn experiment(folder: &Path, parts: &[&RouteSpec], asking: &Asking) -> anyhow::Result<Experiment> {
    let route = parts.first().context("an experiment has a route")?;
    let routes: Vec<RouteName> = parts.iter().map(|part| part.name.clone()).collect();
    let before = Before::read(folder, &routes, asking)?;
    let names: Vec<VariantName> = route.variants.iter().map(|variant| variant.name.clone()).collect();
    let others = names.len().saturating_sub(1);
    let mut gathered = Gathered::new(names, asking, Design::new(Alpha::FIVE_PERCENT.shared(others)));
    let rails = asking.guardrails.iter().map(|rail| rail.reward.clone());
    let rewards: Vec<RewardSource> = std::iter::once(asking.reward.clone()).chain(rails).collect();
    let span = asking.since..u64::MAX;
    History::each(folder, &routes, &rewards, span, |history, call| gathered.add(&call, history))?;
    let mut found = gathered.experiment(route, asking, before.as_ref());
    if let (Some(name), true) = (&route.experiment, routes.len() > 1) {
        found.route.clone_from(name);
        found.routes = routes.iter().map(ToString::to_string).collect();
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
