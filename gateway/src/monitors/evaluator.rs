//! Who judges windows: a plugin with its settings. Owns the port between monitors and plugins, so that a test can judge
//! without one.

use std::fmt;
use std::sync::Arc;
use tidegate_core::PluginName;
use tidegate_host::{Input, Output, Plugin, World};

/// Judges windows.
pub(crate) trait Evaluate: Send + Sync + fmt::Debug {
    /// What windows it takes.
    fn world(&self) -> World;

    /// Judges one. Blocks as long as that takes.
    ///
    /// # Errors
    /// It could not, in words.
    fn call(&self, config: &str, input: &Input) -> Result<Output, String>;

    /// Whether most of that time may be spent on waiting for others.
    fn waits(&self) -> bool {
        false
    }
}

impl Evaluate for Plugin {
    fn world(&self) -> World {
        self.about().world
    }

    fn call(&self, config: &str, input: &Input) -> Result<Output, String> {
        Self::call(self, config, input)
            .map(|done| done.output)
            .map_err(|fault| format!("{}: {}", fault.kind, fault.says))
    }
}

/// Knows those who judge.
pub(crate) trait Evaluators: Send + Sync + fmt::Debug {
    /// The one of that name, and its own settings as JSON; `None` where it is not loaded.
    fn evaluator(&self, plugin: &PluginName) -> Option<(Arc<dyn Evaluate>, String)>;
}

/// Whether windows of this world are compared with anything.
pub(super) const fn compares(world: World) -> bool {
    matches!(world, World::Drift)
}
