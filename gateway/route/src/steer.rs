//! Picking an arm by how the arms stand when the call comes: a vector of probabilities made of what was measured of each.
//! Owns the rules; measuring is [`Gauge`]'s, and the draw the policy's.
//!
//! A rule that picks by a score is certain of its arm, so its vector has all on the best one, equal ones share evenly,
//! and a part of the calls is spread evenly over all arms (`explore`): what is drawn is drawn from this vector, so that
//! propensities are exact and what another policy would have earned can be reckoned.

mod cost;
mod ewma;
mod gauge;
mod vector;

pub use gauge::{Gauge, MOST_ANSWERS, Reading, Ride};

use crate::learn::{Mixing, MixingFault};
use std::sync::Arc;
use tidegate_core::Price;
use tidegate_core::spec::steer::{SteerBy, SteeredSpec};

/// An arm when a call comes.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Whether its backend takes calls.
    pub is_ready: bool,
    /// What was measured of it.
    pub reading: Reading,
    /// What its model costs; where that is not known, nothing.
    pub price: Option<Price>,
}

/// What is known of a call that costs money.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked {
    /// Tokens of its prompt.
    pub prompt: u64,
    /// The most tokens that it may produce, where it says so.
    pub most: Option<u64>,
}

/// Makes the vector of each call.
#[derive(Debug, Clone)]
pub struct Steering {
    by: SteerBy,
    mixing: Mixing,
}

impl Steering {
    /// What decides for so many arms.
    ///
    /// # Errors
    /// What is spread evenly is no share.
    pub fn new(spec: &SteeredSpec, arms: usize) -> Result<Self, MixingFault> {
        Ok(Self { by: spec.by.clone(), mixing: Mixing::new(spec.explore, 0.0, arms)? })
    }

    /// The probability of each arm, in the order of `arms`, of which there is at least one. Arms that take no calls or
    /// failed again and again are left out while another is there, but for what is spread evenly.
    #[must_use]
    pub fn shares(&self, arms: &[Seen], asked: &Asked) -> Arc<[f64]> {
        let mut open = vec![true; arms.len()];
        keep(&mut open, arms, |arm| arm.is_ready && !arm.reading.is_failing);
        let vector = match &self.by {
            SteerBy::Latency => vector::of_two(&scores(arms, |arm| arm.reading.load()), &open),
            SteerBy::LeastBusy { weights } => {
                // This call included, so that of idle arms the heavier one gets it.
                let load = |(arm, weight): (&Seen, &f64)| f64::from(arm.reading.busy.saturating_add(1)) / weight;
                vector::best(&arms.iter().zip(weights).map(load).collect::<Vec<_>>(), &open)
            }
            SteerBy::Cost { max_latency } => {
                if let Some(most) = max_latency.map(|most| most.as_secs_f64()) {
                    keep(&mut open, arms, |arm| arm.reading.time.is_none_or(|time| time <= most));
                }
                let tokens = cost::expected(arms, asked);
                let cost = |(arm, tokens): (&Seen, f64)| arm.price.map_or(0.0, |price| cost::usd(price, asked, tokens));
                vector::best(&arms.iter().zip(tokens).map(cost).collect::<Vec<_>>(), &open)
            }
        };
        self.mixing.applied(&vector).into()
    }
}

/// Leaves only those of the open arms that are `fit`, where there is one.
fn keep(open: &mut [bool], arms: &[Seen], fit: impl Fn(&Seen) -> bool) {
    let fits: Vec<bool> = arms.iter().zip(&*open).map(|(arm, open)| *open && fit(arm)).collect();
    if fits.contains(&true) {
        open.copy_from_slice(&fits);
    }
}

fn scores(arms: &[Seen], score: impl Fn(&Seen) -> f64) -> Vec<f64> {
    arms.iter().map(score).collect()
}

#[cfg(test)]
mod tests;
