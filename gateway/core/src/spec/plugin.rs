//! Plugins, and where routes use them.

use super::component::{ComponentAt, ComponentAuth};
use super::limit::{OnFailure, Rate};
use super::web::WebHosts;
use crate::digest::Digest;
use crate::{ModelName, PluginName};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A plugin that is loaded.
#[derive(Clone, PartialEq)]
pub struct PluginSpec {
    /// Its name here, by which it is used and counted.
    pub name: PluginName,
    /// Where its component lies.
    pub component: ComponentAt,
    /// The digest that the component must have, where one is pinned; what has to be fetched is.
    pub sha256: Option<Digest>,
    /// What shows who fetches it.
    pub auth: Option<ComponentAuth>,
    /// The public key (ed25519, 32 bytes) whose signature must lie beside it, as `COMPONENT.sig`, where one is asked; in a
    /// registry of containers it is a note of the layer.
    pub signed_by: Option<[u8; 32]>,
    /// Its configuration as JSON; `{}` where none is given. A monitor's own stands above it.
    pub config: String,
    /// The same as people may see it: stars stand for what comes from references.
    pub shown: String,
    /// The models that it may ask.
    pub models: Vec<ModelName>,
    /// What it may take, beside the defaults of its world.
    pub limits: PluginLimits,
    /// What it is granted of WASI.
    pub wasi: WasiGrant,
    /// The servers that it may reach.
    pub web: WebHosts,
}

/// What a plugin is granted of WASI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WasiGrant {
    /// Nothing.
    #[default]
    None,
    /// Clocks, chance and streams that end in the log.
    Minimal,
}

impl WasiGrant {
    /// The word of the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
        }
    }
}

impl PluginSpec {
    /// Where the signature of a component lies.
    #[must_use]
    pub fn signature_of(component: &Path) -> PathBuf {
        let mut path = component.as_os_str().to_owned();
        path.push(".sig");
        path.into()
    }
}

/// Its configuration may have secrets.
impl fmt::Debug for PluginSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, component, sha256, auth, signed_by, config: _, shown, models, limits, wasi, web } = self;
        f.debug_struct("PluginSpec")
            .field("name", name)
            .field("component", component)
            .field("sha256", sha256)
            .field("auth", auth)
            .field("signed_by", signed_by)
            .field("config", shown)
            .field("models", models)
            .field("limits", limits)
            .field("wasi", wasi)
            .field("web", web)
            .finish()
    }
}

/// What a plugin may take; `None` is the default of its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PluginLimits {
    /// The memory of an instance, in bytes.
    pub memory: Option<u64>,
    /// How long a call may take, with what it waits for.
    pub deadline: Option<Duration>,
    /// How many tokens of models it may use up.
    pub tokens: Option<Rate>,
    /// The largest component, in bytes.
    pub size: Option<u64>,
    /// The core modules that the component may be made of.
    pub modules: Option<u32>,
    /// The elements that a table may have.
    pub table: Option<u32>,
}

/// A plugin at a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterSpec {
    /// The plugin.
    pub plugin: PluginName,
    /// What it looks at: requests.
    pub at_request: bool,
    /// And answers, whole or streamed.
    pub at_answer: bool,
    /// What a failure of it means.
    pub failure: OnFailure,
}
