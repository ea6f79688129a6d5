//! Policies of a route that look at its arms when a call comes, and need no rewards. Owns their settings; the choice among
//! all policies is `policy`'s.

use super::policy::EXPLORE;
use super::route::Arms;
use crate::place::Place;
use crate::report::Notes;
use crate::scalar::{At, Number, Share, Span};
use crate::shape::{Map, Placed as _, record};
use tidegate_core::spec::{GaugeSpec, SteerBy, SteeredSpec};

record! {
    /// Of two variants drawn at random, the one that answers sooner and has fewer calls under way.
    LatencyFile {
        optional {
            /// After so long a measured time counts for a third; 10s by default.
            decay: At<Span>,
            /// What a failed call or a 429 counts as, at least; 5s by default.
            penalty: At<Span>,
            /// The share of the calls that is spread evenly; 2% by default.
            explore: At<Share>,
        }
    }
}

record! {
    /// The variant with the fewest calls under way.
    LeastBusyFile {
        optional {
            /// How many calls at once a variant takes beside the others; 1 by default.
            weights: Map<At<Number>>,
            /// The share of the calls that is spread evenly; 2% by default.
            explore: At<Share>,
        }
    }
}

record! {
    /// The variant that is cheapest for the call, by its prompt and the tokens that it will probably produce.
    CostFile {
        optional {
            /// A variant that takes longer to its first byte is left out while another does not.
            max_latency: At<Span>,
            /// After so long a measured time counts for a third; 10s by default.
            decay: At<Span>,
            /// What a failed call or a 429 counts as, at least; 5s by default.
            penalty: At<Span>,
            /// The share of the calls that is spread evenly; 2% by default.
            explore: At<Share>,
        }
    }
}

/// `latency`.
pub(super) fn latency(raw: &LatencyFile, arms: &Arms, notes: &mut Notes) -> SteeredSpec {
    warn_of_one(raw.at(), arms, notes);
    SteeredSpec {
        by: SteerBy::Latency,
        explore: explore(raw.explore.as_ref()),
        gauge: gauge(raw.decay.as_ref(), raw.penalty.as_ref()),
    }
}

/// `least_busy`.
pub(super) fn least_busy(raw: &LeastBusyFile, arms: &Arms, notes: &mut Notes) -> Option<SteeredSpec> {
    warn_of_one(raw.at(), arms, notes);
    let mut weights = vec![1.0; arms.names.len()];
    let mut is_whole = true;
    for item in raw.weights.iter().flat_map(|weights| &weights.0) {
        let index = arms.find(&item.name, &format!("`{}`", item.name), &item.at, notes);
        let weight = item.value.as_ref().filter(|weight| is_weight(weight, notes));
        is_whole &= index.is_some() && weight.is_some();
        if let (Some(index), Some(weight)) = (index, weight) {
            weights[index] = weight.value.0;
        }
    }
    let by = SteerBy::LeastBusy { weights };
    is_whole.then(|| SteeredSpec { by, explore: explore(raw.explore.as_ref()), gauge: GaugeSpec::default() })
}

fn is_weight(weight: &At<Number>, notes: &mut Notes) -> bool {
    let fits = (1e-6..=1e6).contains(&weight.value.0);
    if !fits {
        notes
            .fault(&weight.at, "a weight is above 0, and at most a million")
            .remedy("write a number such as `2`; a variant that shall get no calls needs no place here");
    }
    fits
}

/// `cost`. Whether models have prices is `refer`'s question.
pub(super) fn cost(raw: &CostFile, arms: &Arms, notes: &mut Notes) -> SteeredSpec {
    warn_of_one(raw.at(), arms, notes);
    if raw.max_latency.is_none() {
        for (name, given) in [("decay", &raw.decay), ("penalty", &raw.penalty)] {
            if let Some(given) = given {
                notes
                    .fault(&given.at, format!("`{name}` can never apply: no time is looked at"))
                    .remedy("add `max_latency: 2s`, or leave it out");
            }
        }
    }
    SteeredSpec {
        by: SteerBy::Cost { max_latency: raw.max_latency.as_ref().map(|span| span.value.0) },
        explore: explore(raw.explore.as_ref()),
        gauge: gauge(raw.decay.as_ref(), raw.penalty.as_ref()),
    }
}

fn warn_of_one(at: &Place, arms: &Arms, notes: &mut Notes) {
    if arms.names.len() == 1 {
        notes.warn(at, "there is one variant, so there is nothing to choose").remedy("leave `policy` out");
    }
}

fn explore(given: Option<&At<Share>>) -> f64 {
    given.map_or(EXPLORE, |share| share.value.0)
}

fn gauge(decay: Option<&At<Span>>, penalty: Option<&At<Span>>) -> GaugeSpec {
    let usual = GaugeSpec::default();
    GaugeSpec {
        decay: decay.map_or(usual.decay, |span| span.value.0),
        penalty: penalty.map_or(usual.penalty, |span| span.value.0),
    }
}
