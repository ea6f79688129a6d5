//! The policy in which a plugin says which arms a call may have.

use super::feature::FeatureSpec;
use crate::PluginName;

/// A policy that asks a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct AdvisedSpec {
    /// Which plugin, of the world of routers.
    pub plugin: PluginName,
    /// What of a call it is told beside its headers; nothing where none are named.
    pub features: Vec<FeatureSpec>,
    /// The share of each arm where the plugin fails, in the order of the variants; their sum is 1.
    pub shares: Vec<f64>,
    /// The share of the calls that is spread evenly whatever the plugin says, in `[0, 1]`.
    pub explore: f64,
}
