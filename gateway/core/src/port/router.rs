//! The port to plugins that say which arms of a route a call may have. Owns these values; the draw among the arms is the
//! server's, so that the propensity of each decision is known whatever the plugin is.
//!
//! A router is called on the thread that serves, as filters are: it ends within its deadline and never waits.

use super::filter::{Failed, Seen};
use crate::{Price, VariantName};

/// Says which arms a call may have.
pub trait Router: Send + Sync + std::fmt::Debug {
    /// A share for each of these arms, in their order, for a call with these features.
    ///
    /// # Errors
    /// It could not do its work; the shares of the configuration count then.
    fn choose(&self, call: &Seen<'_>, features: &[f64], arms: &[SeenArm<'_>]) -> Result<Advice, Failed>;
}

/// An arm as it stands when a call comes.
#[derive(Debug, Clone, Copy)]
pub struct SeenArm<'a> {
    /// Its name.
    pub name: &'a VariantName,
    /// The share that the configuration gives it.
    pub share: f64,
    /// Whether it takes calls, and did not fail again and again a moment ago.
    pub is_ready: bool,
    /// Calls under way.
    pub busy: u32,
    /// Milliseconds to the first byte, by a peak-sensitive average; `None` where no call was answered or failed yet.
    pub first_byte_ms: Option<f64>,
    /// What its model costs, where that is known.
    pub price: Option<Price>,
}

/// What a router says.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// For each arm a number that is finite and not below 0; one at least is above.
    pub shares: Vec<f64>,
    /// Why, in few words, for the record of the call.
    pub reason: Option<String>,
}
