//! `router`: the policy that asks a plugin which variants a call may have. Owns its settings; whether the plugin is there is
//! asked where routes and plugins are both known, whether it is a router where it is loaded.

use super::feature::{self, FeatureFile};
use super::policy::EXPLORE;
use super::route::Arms;
use crate::place::Place;
use crate::report::Notes;
use crate::scalar::{At, Share};
use crate::shape::{Map, Placed as _, record};
use tidegate_core::PluginName;
use tidegate_core::spec::AdvisedSpec;

record! {
    /// By the shares that a plugin of the world router says, for each call.
    RouterFile {
        required {
            /// One of `plugins`.
            plugin: At<PluginName>,
        }
        optional {
            /// What of a call it is told, beside its headers; nothing by default.
            features: Vec<FeatureFile>,
            /// The shares where the plugin fails, 100% together; even ones by default.
            shares: Map<At<Share>>,
            /// The share of the calls that is spread evenly, whatever the plugin says; 2% by default.
            explore: At<Share>,
        }
    }
}

/// The policy of a route with these arms.
pub(super) fn check(
    raw: &RouterFile,
    arms: &Arms,
    has_keys: bool,
    at: &Place,
    notes: &mut Notes,
) -> Option<AdvisedSpec> {
    let features = match raw.features.as_deref() {
        None => Some(Vec::new()),
        Some(features) => feature::check(features, raw.at(), has_keys, notes),
    };
    #[expect(clippy::cast_precision_loss, reason = "a route has few variants")]
    let shares = match &raw.shares {
        None => Some(vec![1.0 / arms.names.len().max(1) as f64; arms.names.len()]),
        Some(shares) => super::policy::shares(shares, arms, at, notes),
    };
    Some(AdvisedSpec {
        plugin: raw.plugin.as_ref()?.value.clone(),
        features: features?,
        shares: shares.filter(|shares| !shares.is_empty())?,
        explore: raw.explore.as_ref().map_or(EXPLORE, |share| share.value.0),
    })
}
