//! What a call came by in a graph of classic models, as its record has it. Owns the fields and their JSON form.

use crate::{FaultKind, ModelName, NodeName, PluginName};
use serde::{Deserialize, Serialize};

/// A node, model or plugin of a graph that a call came by; one of the three names is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    /// The visit within which it was, by its index in the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<u32>,
    /// The node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    /// The version of that model in the registry, where it comes from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_version: Option<u32>,
    /// The plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginName>,
    /// The branch that a switch or a splitter took, from 0; of a switch, the one behind all its cases is for all
    /// others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<u32>,
    /// The uniform number that drew the branch of a splitter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw: Option<f64>,
    /// Microseconds of the call until it began.
    pub from_us: u64,
    /// Microseconds that it took; `None` where it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub us: Option<u64>,
    /// Why it failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultKind>,
}

impl Visit {
    /// A visit that begins, of which nothing else is known.
    #[must_use]
    pub const fn begun(within: Option<u32>, from_us: u64) -> Self {
        Self {
            within,
            node: None,
            model: None,
            model_version: None,
            plugin: None,
            branch: None,
            draw: None,
            from_us,
            us: None,
            fault: None,
        }
    }

    /// What was visited, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        let model = self.model.as_ref().map(ModelName::as_str);
        let plugin = self.plugin.as_ref().map(PluginName::as_str);
        self.node.as_ref().map(NodeName::as_str).or(model).or(plugin).unwrap_or_default()
    }

    /// What kind of thing that is.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match (&self.node, &self.model) {
            (Some(_), _) => "node",
            (None, Some(_)) => "model",
            (None, None) => "plugin",
        }
    }
}
