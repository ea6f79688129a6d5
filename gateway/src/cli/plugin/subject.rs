//! A component that is tried: loaded, given an input by its world, and heard. Owns the way from JSON to the host and back, the
//! same for evaluators and filters, so that `run`, `test` and `bench` need not tell them apart.

use super::allowed::Allowed;
use super::doing::{load, wrong, wrong_file};
use super::view::{Ask, NoOpinion};
use serde_json::Value;
use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::PluginName;
use tidegate_host::{About, Done, Fault, Heard, Input, Metered, Output, Plugin, WarmFilter};

/// What a filter is called here that has no name which could be one of the configuration.
const NAMELESS: &str = "plugin";

/// A component that was loaded.
pub(super) struct Subject {
    plugin: Arc<Plugin>,
    file: String,
    bytes: Vec<u8>,
    allowed: Allowed,
    metered: OnceCell<Option<Metered>>,
}

/// A component with a configuration and an input, to be asked as often as one likes.
pub(super) enum Prepared {
    Window { plugin: Arc<Plugin>, config: String, input: Input },
    Call { filter: WarmFilter, ask: Ask },
}

/// What came back.
pub(super) struct Answered {
    /// By the world.
    pub(super) output: Value,
    /// How long the plugin had it.
    pub(super) took: Duration,
    /// What was heard beside it, of evaluators.
    pub(super) heard: Option<Heard>,
}

/// Why nothing came back.
pub(super) enum Nothing {
    /// What it should be given is no input.
    NoInput(String),
    /// The host says so.
    Fault(Fault),
    /// The filter does not look at such an input.
    Blind(String),
    /// A filter failed: of what kind, and what happened.
    Failed(&'static str, String),
}

impl Nothing {
    /// In words.
    pub(super) fn says(&self) -> String {
        match self {
            Self::NoInput(says) | Self::Blind(says) => says.clone(),
            Self::Fault(fault) => format!("{} ({})", fault.says, fault.kind),
            Self::Failed(kind, says) => format!("{says} ({kind})"),
        }
    }
}

impl Subject {
    pub(super) fn load(file: &Path, allowed: Allowed) -> anyhow::Result<Self> {
        let (plugin, bytes) = load(file, allowed)?;
        let file = file.display().to_string();
        Ok(Self { plugin: Arc::new(plugin), file, bytes, allowed, metered: OnceCell::new() })
    }

    pub(super) fn about(&self) -> &About {
        self.plugin.about()
    }

    /// Reads an input of its world, and configures it where it lives longer than one.
    pub(super) fn prepare(&self, config: &Value, input: Value) -> Result<Prepared, Nothing> {
        let config = config.to_string();
        let about = self.about();
        if !about.world.is_warm() {
            let input = Input::read(about.world, input).map_err(|fault| Nothing::NoInput(fault.says))?;
            return Ok(Prepared::Window { plugin: Arc::clone(&self.plugin), config, input });
        }
        let ask = Ask::read(input).map_err(Nothing::NoInput)?;
        let named = about.name.parse::<PluginName>().or_else(|_| NAMELESS.parse());
        let name = named.map_err(|error| Nothing::NoInput(format!("`{NAMELESS}` is no name: {error}")))?;
        let filter = self.plugin.filter(name, &config).map_err(Nothing::Fault)?;
        Ok(Prepared::Call { filter, ask })
    }

    /// How much fuel an input takes: instructions, the same in every run. Only windows are counted, in an engine of their own,
    /// and only where they come to an end; of a component that is larger than most nothing is, since it is compiled anew for it.
    pub(super) fn fuel(&self, prepared: &Prepared) -> Option<u64> {
        let Prepared::Window { config, input, .. } = prepared else { return None };
        let load = || Metered::load(&self.bytes, self.about().world, self.allowed.bounds()).ok();
        let metered = self.metered.get_or_init(load);
        metered.as_ref()?.fuel(config, input).ok()
    }

    /// An error that says which file it is about, and ends as one of the arguments where it is one.
    pub(super) fn error(&self, input: &Path, nothing: &Nothing) -> anyhow::Error {
        match nothing {
            Nothing::NoInput(says) => wrong_file(input, says),
            Nothing::Fault(fault) => wrong(&self.file, fault),
            Nothing::Blind(says) => wrong_file(Path::new(&self.file), says),
            Nothing::Failed(..) => anyhow::anyhow!("{}: {}", self.file, crate::terminal::harmless(&nothing.says())),
        }
    }
}

impl Prepared {
    /// Asks it once.
    pub(super) fn ask(&self) -> Result<Answered, Nothing> {
        match self {
            Self::Window { plugin, config, input } => {
                let Done { output, heard, took } = plugin.call(config, input).map_err(Nothing::Fault)?;
                let output = match output {
                    Output::Report(report) => serde_json::to_value(report),
                    Output::Reports(reports) => serde_json::to_value(reports),
                    Output::Findings(findings) => serde_json::to_value(findings),
                };
                let output = output.map_err(|error| Nothing::NoInput(format!("the output is no JSON: {error}")))?;
                Ok(Answered { output, took, heard: Some(heard) })
            }
            Self::Call { filter, ask } => match ask.of_router(filter).unwrap_or_else(|| ask.of(filter)) {
                Ok((output, took)) => Ok(Answered { output, took, heard: None }),
                Err(NoOpinion::Blind(what)) => Err(Nothing::Blind(format!("it does not look at {what}"))),
                Err(NoOpinion::Failed(failed)) => Err(Nothing::Failed(failed.kind, failed.says)),
            },
        }
    }
}
