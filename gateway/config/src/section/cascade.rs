//! `cascade` of a route: variants in an order, and which answers are too poor to be given. Owns what can apply; whether the
//! judge's model is there is `refer`'s question.

use super::policy::EXPLORE;
use super::route::Arms;
use crate::place::Place;
use crate::report::Notes;
use crate::scalar::{At, Count, Flaw, Scalar, Share, Span, Text};
use crate::shape::{Placed, choice, record};
use std::time::Duration;
use tidegate_core::spec::{CascadeSpec, JudgeSpec, Weakness};
use tidegate_core::{ModelName, MonitorName, PluginName, VariantName};

/// How long a judge is waited for where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(5);
/// What a judge's word has to be at least where nothing is said.
const BELOW: f64 = 0.5;

record! {
    /// Variants in an order: the next one answers where an answer is too poor, or its variant fails.
    CascadeFile {
        required {
            /// What makes an answer too poor; one of them is enough.
            escalate: Vec<WeaknessFile>,
        }
        optional {
            /// The order in which variants are asked; that of the file by default.
            order: Vec<At<VariantName>>,
            /// The share of the calls that begins at any variant, evenly; 2% by default.
            explore: At<Share>,
        }
    }
}

choice! {
    /// What makes an answer too poor.
    WeaknessFile {
        words {
            /// It ended because it was long enough (`finish_reason: length`).
            Length = "length",
            /// A filter took it away (`finish_reason: content_filter`).
            ContentFilter = "content_filter",
            /// The model declines (`refusal`).
            Refusal = "refusal",
            /// It has neither text nor a tool that is called.
            Empty = "empty",
            /// Its text is no JSON.
            InvalidJson = "invalid_json",
            /// It calls a tool that was not offered, or without a member that the tool requires.
            InvalidToolCall = "invalid_tool_call",
        }
        maps {
            /// Its text has fewer characters, and no tool is called.
            ShorterThan(At<Count>) = "shorter_than",
            /// One of these texts stands in it, in whatever case.
            Contains(Vec<At<Text>>) = "contains",
            /// The mean probability of its tokens is below this. Models of a local provider tell it by themselves; of others,
            /// an answer without `logprobs` passes.
            ConfidenceBelow(At<Share>) = "confidence_below",
            /// The mean entropy of the choices of its tokens is above so many nats (0 where the model saw one possibility, 2.3
            /// where ten were as likely); only models of a local provider tell it, answers of others pass.
            EntropyAbove(At<Nats>) = "entropy_above",
            /// This plugin would not let it pass: a filter that refuses it or gives another answer, a guardrail that blocks
            /// it. It is shown answers that have none of the above.
            Plugin(At<PluginName>) = "plugin",
            /// This monitor, which watches the route, has an alarm of the version of the model that gave it.
            Monitor(At<MonitorName>) = "monitor",
            /// A model says that it is too poor; it is asked where none of the others applies.
            Judge(JudgeFile) = "judge",
        }
    }
}

/// An entropy in nats, above 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nats(f64);

impl Scalar for Nats {
    const WHAT: &'static str = "an entropy in nats, such as `1.5`";

    fn parse(text: &str) -> Result<Self, Flaw> {
        let given = text.parse().ok().filter(|nats: &f64| nats.is_finite() && *nats > 0.0);
        given.map(Self).ok_or_else(|| {
            Flaw::default().mend("write a number above 0: ten possibilities that are as likely have 2.3")
        })
    }

    fn schema() -> schemars::Schema {
        let number = schemars::json_schema!({"type": "number", "exclusiveMinimum": 0});
        schemars::json_schema!({"anyOf": [number, {"type": "string", "pattern": "^\\$\\{"}]})
    }
}

record! {
    /// A model that says how good an answer is.
    JudgeFile {
        required {
            /// Which.
            model: At<ModelName>,
        }
        optional {
            /// What it says at least of an answer that is good enough; 50% by default.
            below: At<Share>,
            /// How long it is waited for, before the answer goes out without its word; 5s by default.
            timeout: At<Span>,
        }
    }
}

impl CascadeFile {
    /// The models that it names.
    pub(crate) fn models(&self) -> impl Iterator<Item = &At<ModelName>> {
        self.escalate.iter().flatten().filter_map(|weakness| match weakness {
            WeaknessFile::Judge(judge) => judge.model.as_ref(),
            _ => None,
        })
    }

    /// The monitors that it asks.
    pub(crate) fn monitors(&self) -> impl Iterator<Item = &At<MonitorName>> {
        self.escalate.iter().flatten().filter_map(|weakness| match weakness {
            WeaknessFile::Monitor(name) => Some(name),
            _ => None,
        })
    }

    /// The plugins that it shows answers to.
    pub(crate) fn plugins(&self) -> impl Iterator<Item = &At<PluginName>> {
        self.escalate.iter().flatten().filter_map(|weakness| match weakness {
            WeaknessFile::Plugin(name) => Some(name),
            _ => None,
        })
    }
}

/// The cascade of a route with these arms.
pub(super) fn check(raw: &CascadeFile, arms: &Arms, notes: &mut Notes) -> Option<CascadeSpec> {
    let order = order(raw, arms, notes);
    if raw.here().has("escalate") && raw.escalate.as_ref().is_some_and(Vec::is_empty) {
        notes
            .fault(raw.at(), "no answer is ever too poor: `escalate` is empty")
            .remedy("write `escalate: [length, empty]`, or use `weighted` with a `fallback`");
    }
    let (mut escalate, mut judge, mut is_whole) = (Vec::new(), None, true);
    let (mut monitors, mut plugins) = (Vec::new(), Vec::new());
    for raw_weakness in raw.escalate.iter().flatten() {
        match raw_weakness {
            WeaknessFile::Judge(given) => {
                if judge.is_some() {
                    notes
                        .fault(given.at(), "a second judge can never apply: one is asked")
                        .remedy("leave one of them out");
                }
                judge = self::judge(given, notes);
                is_whole &= judge.is_some();
            }
            WeaknessFile::Monitor(name) => once(name, &mut monitors, notes),
            WeaknessFile::Plugin(name) => once(name, &mut plugins, notes),
            other => {
                let weakness = weakness(other, raw.at(), notes);
                is_whole &= weakness.is_some();
                escalate.extend(weakness);
            }
        }
    }
    let order = order?;
    let explore = raw.explore.as_ref().map_or(EXPLORE, |share| share.value.0);
    let shares = shares(&order, explore, arms.names.len())?;
    (is_whole && raw.escalate.is_some()).then_some(CascadeSpec { order, shares, escalate, monitors, plugins, judge })
}

/// Takes a name that stands there once.
fn once<N: PartialEq + Clone + std::fmt::Display>(given: &At<N>, known: &mut Vec<N>, notes: &mut Notes) {
    if known.contains(&given.value) {
        notes.fault(&given.at, format!("{} is asked already", given.shown())).remedy("leave it out here");
    } else {
        known.push(given.value.clone());
    }
}

/// The indices of the variants in their order: two at least, each once.
fn order(raw: &CascadeFile, arms: &Arms, notes: &mut Notes) -> Option<Vec<usize>> {
    let Some(given) = &raw.order else {
        if arms.names.len() == 1 {
            few(raw.at(), notes);
        }
        return (arms.names.len() > 1).then(|| (0..arms.names.len()).collect());
    };
    let (mut order, mut is_whole) = (Vec::new(), true);
    for name in given {
        let Some(arm) = arms.find(name.value.as_str(), &name.shown(), &name.at, notes) else {
            is_whole = false;
            continue;
        };
        if order.contains(&arm) {
            notes.fault(&name.at, format!("{} stands in this order twice", name.shown())).remedy("leave it out here");
            is_whole = false;
        }
        order.push(arm);
    }
    if is_whole && order.len() < 2 {
        few(raw.at(), notes);
        return None;
    }
    is_whole.then_some(order)
}

fn few(at: &Place, notes: &mut Notes) {
    notes
        .fault(at, "a cascade of one variant has no next one")
        .remedy("name two variants at least, the cheaper one first: `order: [small, big]`");
}

/// Each call begins at the first of the order, but for a part that begins at any of them.
fn shares(order: &[usize], explore: f64, arms: usize) -> Option<Vec<f64>> {
    let mut shares = vec![0.0; arms];
    #[expect(clippy::cast_precision_loss, reason = "a route has few variants")]
    let even = explore / order.len() as f64;
    for arm in order {
        *shares.get_mut(*arm)? = even;
    }
    // What the others leave, so that the sum is 1 to the last bit that can be had.
    #[expect(clippy::cast_precision_loss, reason = "a route has few variants")]
    let others = even * (order.len() - 1) as f64;
    *shares.get_mut(*order.first()?)? = 1.0 - others;
    Some(shares)
}

fn weakness(raw: &WeaknessFile, at: &Place, notes: &mut Notes) -> Option<Weakness> {
    Some(match raw {
        WeaknessFile::Length => Weakness::Length,
        WeaknessFile::ContentFilter => Weakness::ContentFilter,
        WeaknessFile::Refusal => Weakness::Refusal,
        WeaknessFile::Empty => Weakness::Empty,
        WeaknessFile::InvalidJson => Weakness::InvalidJson,
        WeaknessFile::InvalidToolCall => Weakness::InvalidToolCall,
        WeaknessFile::ShorterThan(least) => Weakness::ShorterThan(least.value.0),
        WeaknessFile::Contains(texts) => {
            if texts.is_empty() {
                notes
                    .fault(at, "`contains` names no text, and can never apply")
                    .remedy("write `contains: [\"I don't know\"]`");
                return None;
            }
            Weakness::Contains(texts.iter().map(|text| text.value.0.to_lowercase()).collect())
        }
        WeaknessFile::ConfidenceBelow(least) => Weakness::ConfidenceBelow(part(least, "a confidence", notes)?),
        WeaknessFile::EntropyAbove(most) => Weakness::EntropyAbove(most.value.0),
        // They are no properties of the answer.
        WeaknessFile::Judge(_) | WeaknessFile::Monitor(_) | WeaknessFile::Plugin(_) => return None,
    })
}

fn judge(raw: &JudgeFile, notes: &mut Notes) -> Option<JudgeSpec> {
    let below = match &raw.below {
        None => Some(BELOW),
        Some(given) => part(given, "what a judge says", notes),
    };
    let timeout = raw.timeout.as_ref().map_or(TIMEOUT, |span| span.value.0);
    Some(JudgeSpec { model: raw.model.as_ref()?.value.clone(), below: below?, timeout })
}

fn part(given: &At<Share>, what: &str, notes: &mut Notes) -> Option<f64> {
    if given.value.0 <= 0.0 {
        notes
            .fault(&given.at, format!("this can never apply: {what} is never below 0"))
            .remedy("write a share such as `50%`");
        return None;
    }
    Some(given.value.0)
}
