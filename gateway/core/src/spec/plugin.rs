//! Plugins, and where routes use them.

use super::component::{ComponentAt, ComponentAuth};
use super::limit::OnFailure;
use crate::PluginName;
use crate::digest::Digest;
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
    /// What it may take, beside the defaults of its world.
    pub limits: PluginLimits,
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
        let Self { name, component, sha256, auth, signed_by, config: _, shown, limits } = self;
        f.debug_struct("PluginSpec")
            .field("name", name)
            .field("component", component)
            .field("sha256", sha256)
            .field("auth", auth)
            .field("signed_by", signed_by)
            .field("config", shown)
            .field("limits", limits)
            .finish()
    }
}

/// What a plugin may take; `None` is the default of its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PluginLimits {
    /// The memory of an instance, in bytes.
    pub memory: Option<u64>,
    /// How long a call may take.
    pub deadline: Option<Duration>,
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
