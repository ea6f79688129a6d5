//! `rollout` of a route: a change from one arm to another, in steps. Owns what steps and analyses are possible; what arms
//! there are is the route's.

use super::policy::Rewards;
use super::route::Arms;
use crate::place::Place;
use crate::report::Notes;
use crate::scalar::{At, Count, Number, Share, Span};
use crate::shape::{Placed as _, choice, record};
use crate::suggest::nearest;
use std::time::Duration;
use tidegate_core::spec::{AnalysisSpec, Measure, RewardSpec, RolloutKind, RolloutSpec, Timing};
use tidegate_core::{MonitorName, RewardName, VariantName};

const CONFIDENCE: f64 = 0.95;
const EVERY: Duration = Duration::from_secs(600);
const MIN_SAMPLES: u32 = 100;
const STEPS: [f64; 4] = [0.05, 0.25, 0.5, 1.0];

choice! {
    /// A change from one variant to another, judged as it goes; it owns the shares, so there is no `policy` beside it.
    RolloutFile {
        maps {
            /// A growing share of the calls goes to the new variant.
            Canary(CanaryFile) = "canary",
            /// All calls go to the new variant at once, after the old one was measured.
            BlueGreen(BlueGreenFile) = "blue_green",
        }
    }
}

record! {
    /// A growing share of the calls goes to the new variant.
    CanaryFile {
        required {
            /// The variant that serves until now.
            from: At<VariantName>,
            /// The variant that shall serve.
            to: At<VariantName>,
        }
        optional {
            /// The share of `to` at each step, rising to 100%; `[5%, 25%, 50%, 100%]` by default.
            steps: Vec<At<Share>>,
            /// How long a step lasts at least; 10m by default.
            every: At<Span>,
            /// How often it is judged; a tenth of `every` by default, 1s to 1m.
            interval: At<Span>,
            /// How many calls of `to` a step needs at least; 100 by default.
            min_samples: At<Count>,
            /// By what it is judged; by `error_rate`, not worse by more than 1%, where nothing is said.
            analysis: Vec<AnalysisFile>,
        }
    }
}

record! {
    /// All calls go to the new variant at once, after the old one was measured; the old one stays ready.
    BlueGreenFile {
        required {
            /// The variant that serves until now.
            from: At<VariantName>,
            /// The variant that shall serve.
            to: At<VariantName>,
        }
        optional {
            /// How long the new variant is watched; 10m by default.
            every: At<Span>,
            /// How often it is judged; a tenth of `every` by default, 1s to 1m.
            interval: At<Span>,
            /// How many calls of each variant are needed at least; 100 by default.
            min_samples: At<Count>,
            /// By what it is judged; by `error_rate`, not worse by more than 1%, where nothing is said.
            analysis: Vec<AnalysisFile>,
        }
    }
}

choice! {
    /// A measure, and how much worse the new variant may be.
    AnalysisFile {
        maps {
            /// Time to the last byte of the answer.
            Latency(QuantileFile) = "latency",
            /// Time to the first byte of its body.
            FirstToken(QuantileFile) = "first_token",
            /// The share of the calls that fail.
            ErrorRate(ErrorRateFile) = "error_rate",
            /// The mean of one of `rewards`.
            Reward(RewardAnalysisFile) = "reward",
            /// What this monitor says, one that watches this route; an alarm is worse.
            Monitor(At<MonitorName>) = "monitor",
        }
        later { "cost", "tokens" }
    }
}

record! {
    /// A quantile of a time.
    QuantileFile {
        required {
            /// Which one, such as `0.95`.
            quantile: At<Share>,
            /// How much longer it may be, relative to that of `from`.
            worse_by: At<Share>,
        }
        optional {
            /// How probably a variant that is no worse passes; 95% by default.
            confidence: At<Share>,
        }
    }
}

record! {
    /// The share of the calls that fail.
    ErrorRateFile {
        required {
            /// How much larger it may be than that of `from`, in points: `1%` lets 2 % become 3 %.
            worse_by_points: At<Share>,
        }
        optional {
            /// How probably a variant that is no worse passes; 95% by default.
            confidence: At<Share>,
        }
    }
}

record! {
    /// The mean of a reward.
    RewardAnalysisFile {
        required {
            /// One of `rewards`.
            name: At<RewardName>,
            /// How much worse it may be, in the reward's unit.
            worse_by: At<Number>,
        }
        optional {
            /// How probably a variant that is no worse passes; 95% by default.
            confidence: At<Share>,
        }
    }
}

impl RolloutFile {
    /// The monitors that it asks.
    pub(crate) fn monitors(&self) -> impl Iterator<Item = &At<MonitorName>> {
        let analysis = match self {
            Self::Canary(raw) => raw.analysis.as_deref(),
            Self::BlueGreen(raw) => raw.analysis.as_deref(),
        };
        analysis.into_iter().flatten().filter_map(|one| match one {
            AnalysisFile::Monitor(name) => Some(name),
            _ => None,
        })
    }
}

/// What both kinds have in common.
struct Common<'a> {
    at: &'a Place,
    from: Option<&'a At<VariantName>>,
    to: Option<&'a At<VariantName>>,
    every: Option<&'a At<Span>>,
    interval: Option<&'a At<Span>>,
    min_samples: Option<&'a At<Count>>,
    analysis: Option<&'a [AnalysisFile]>,
}

/// The rollout of a route with these arms.
pub(crate) fn check(raw: &RolloutFile, arms: &Arms, rewards: &Rewards<'_>, notes: &mut Notes) -> Option<RolloutSpec> {
    let (kind, common, steps) = match raw {
        RolloutFile::Canary(raw) => {
            let common = Common {
                at: raw.at(),
                from: raw.from.as_ref(),
                to: raw.to.as_ref(),
                every: raw.every.as_ref(),
                interval: raw.interval.as_ref(),
                min_samples: raw.min_samples.as_ref(),
                analysis: raw.analysis.as_deref(),
            };
            (RolloutKind::Canary, common, steps(raw.steps.as_deref(), raw.at(), notes))
        }
        RolloutFile::BlueGreen(raw) => {
            let common = Common {
                at: raw.at(),
                from: raw.from.as_ref(),
                to: raw.to.as_ref(),
                every: raw.every.as_ref(),
                interval: raw.interval.as_ref(),
                min_samples: raw.min_samples.as_ref(),
                analysis: raw.analysis.as_deref(),
            };
            (RolloutKind::BlueGreen, common, Some(vec![1.0]))
        }
    };
    common.check(kind, steps, arms, rewards, notes)
}

impl Common<'_> {
    fn check(
        &self,
        kind: RolloutKind,
        steps: Option<Vec<f64>>,
        arms: &Arms,
        rewards: &Rewards<'_>,
        notes: &mut Notes,
    ) -> Option<RolloutSpec> {
        let mut arm = |named: Option<&At<VariantName>>| {
            named.and_then(|named| arms.find(named.value.as_str(), &named.shown(), &named.at, notes))
        };
        let (from, to) = (arm(self.from), arm(self.to));
        if let (Some(from), Some(to), Some(named)) = (from, to, self.to)
            && from == to
        {
            notes.fault(&named.at, "the rollout leads where it comes from").remedy("name the variant that shall serve");
            return None;
        }
        let every = self.every.map_or(EVERY, |span| span.value.0);
        let interval = self.interval(every, notes);
        let analysis = self.analysis(rewards, notes);
        Some(RolloutSpec {
            kind,
            from: from?,
            to: to?,
            steps: steps?,
            every,
            interval,
            min_samples: self.min_samples.map_or(MIN_SAMPLES, |count| count.value.0).into(),
            analysis: analysis?,
        })
    }

    fn interval(&self, every: Duration, notes: &mut Notes) -> Duration {
        let Some(given) = self.interval else {
            return (every / 10).clamp(Duration::from_secs(1), Duration::from_secs(60)).min(every);
        };
        if given.value.0 > every {
            notes
                .fault(&given.at, format!("a step of {} s would be over before it was judged", every.as_secs_f64()))
                .remedy("make `every` longer, or this shorter");
        }
        given.value.0
    }

    fn analysis(&self, rewards: &Rewards<'_>, notes: &mut Notes) -> Option<Vec<AnalysisSpec>> {
        let Some(given) = self.analysis else {
            let measure = Measure::ErrorRate { worse_by: 0.01 };
            return Some(vec![AnalysisSpec { measure, confidence: CONFIDENCE }]);
        };
        if given.is_empty() {
            notes
                .fault(self.at, "a rollout that is judged by nothing would only take time")
                .remedy("write `analysis: [{error_rate: {worse_by_points: 1%}}]`, or leave `analysis` out for that");
            return None;
        }
        given.iter().map(|raw| one(raw, rewards, notes)).collect()
    }
}

fn one(raw: &AnalysisFile, rewards: &Rewards<'_>, notes: &mut Notes) -> Option<AnalysisSpec> {
    let (measure, confidence) = match raw {
        AnalysisFile::Latency(raw) => (quantile(raw, Timing::Latency, notes), raw.confidence.as_ref()),
        AnalysisFile::FirstToken(raw) => (quantile(raw, Timing::FirstToken, notes), raw.confidence.as_ref()),
        AnalysisFile::ErrorRate(raw) => {
            let worse_by = raw.worse_by_points.as_ref().map(|share| share.value.0);
            (worse_by.map(|worse_by| Measure::ErrorRate { worse_by }), raw.confidence.as_ref())
        }
        AnalysisFile::Reward(raw) => (reward(raw, rewards, notes), raw.confidence.as_ref()),
        AnalysisFile::Monitor(name) => (Some(Measure::Monitor(name.value.clone())), None),
    };
    let confidence = within(confidence, CONFIDENCE, "nothing is certain, and something must be", notes);
    Some(AnalysisSpec { measure: measure?, confidence: confidence? })
}

fn quantile(raw: &QuantileFile, of: Timing, notes: &mut Notes) -> Option<Measure> {
    let quantile = within(raw.quantile.as_ref(), 0.5, "this is no quantile, but an extreme", notes);
    raw.quantile.as_ref()?;
    Some(Measure::Quantile { of, quantile: quantile?, worse_by: raw.worse_by.as_ref()?.value.0 })
}

/// A share that is neither 0 nor 1.
fn within(given: Option<&At<Share>>, default: f64, wrong: &str, notes: &mut Notes) -> Option<f64> {
    let Some(given) = given else { return Some(default) };
    if given.value.0 <= 0.0 || given.value.0 >= 1.0 {
        notes.fault(&given.at, wrong).remedy("write a number between 0 and 1, such as `0.95`");
        return None;
    }
    Some(given.value.0)
}

fn reward(raw: &RewardAnalysisFile, rewards: &Rewards<'_>, notes: &mut Notes) -> Option<Measure> {
    let spec = declared(raw.name.as_ref()?, rewards, notes);
    let worse_by = raw.worse_by.as_ref()?;
    if worse_by.value.0 < 0.0 {
        notes
            .fault(&worse_by.at, "the new variant would have to be better than that")
            .remedy("write 0 where it must be no worse, or how much worse it may be");
        return None;
    }
    Some(Measure::Reward { reward: spec?, worse_by: worse_by.value.0 })
}

fn declared(named: &At<RewardName>, rewards: &Rewards<'_>, notes: &mut Notes) -> Option<RewardSpec> {
    let name = named.value.as_str();
    if let Some(spec) = rewards.specs.get(name) {
        return Some(spec.clone());
    }
    // One that is faulty says so itself.
    let known = rewards.names?;
    if !known.iter().any(|known| known == name) {
        notes.fault(&named.at, format!("there is no reward {}", named.shown())).meant(
            nearest(name, known.iter().map(String::as_str)),
            || {
                "declare it under `rewards`; `latency`, `first_token` and `error_rate` are analyses of their own"
                    .to_owned()
            },
        );
    }
    None
}

fn steps(given: Option<&[At<Share>]>, at: &Place, notes: &mut Notes) -> Option<Vec<f64>> {
    let Some(given) = given else { return Some(STEPS.to_vec()) };
    let shares: Vec<f64> = given.iter().map(|share| share.value.0).collect();
    let at = given.first().map_or(at, |first| &first.at);
    let rises = shares.windows(2).all(|pair| pair[0] < pair[1]) && shares.first().is_some_and(|first| *first > 0.0);
    if !rises || shares.last().is_none_or(|last| (last - 1.0).abs() > 1e-9) {
        notes
            .fault(at, "the steps of a rollout rise, from more than nothing to all calls")
            .remedy("write them like `[5%, 25%, 100%]`");
        return None;
    }
    Some(shares)
}
