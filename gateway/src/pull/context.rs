//! What fetching needs of its surroundings: folders, programs, the way out. Read from the environment in one place, so
//! that tests can give their own.

use super::transport::Transport;
use super::web::Web;
use super::{PullFault, pip};
use crate::terminal::{self, Progress};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::Secret;

/// How long a connection may take, for each source.
const CONNECT: Duration = Duration::from_secs(3);
/// How long an answer may take to begin, and to go on.
const IDLE: Duration = Duration::from_secs(30);
/// The largest file that is taken where no size is known before.
const LARGEST: u64 = 256 << 30;

/// What fetching needs of its surroundings.
#[derive(Debug, Clone)]
pub(crate) struct PullContext {
    /// The folder of models.
    pub(crate) cache: PathBuf,
    /// The model hub's address.
    pub(crate) hub: String,
    /// What proves to the hub who asks; for gated models.
    pub(crate) hub_token: Option<Secret>,
    /// The user's Python.
    pub(crate) python: pip::Python,
    /// The way out.
    pub(crate) transport: Arc<dyn Transport>,
    /// Where it is said how far things are.
    pub(crate) progress: Arc<dyn Progress>,
    /// How long a connection may take.
    pub(crate) connect: Duration,
    /// How long an answer may pause.
    pub(crate) idle: Duration,
    /// The largest file that is taken where no size is known before.
    pub(crate) largest: u64,
}

impl PullContext {
    /// As the environment says: `TIDEGATE_MODELS`, `XDG_CACHE_HOME`, `HOME`, `HF_ENDPOINT`, `HF_TOKEN`, `PATH` and the
    /// variables of proxies.
    ///
    /// # Errors
    /// There is no folder for the cache.
    pub(crate) fn from_environment() -> Result<Self, PullFault> {
        let text =
            |name: &str| std::env::var_os(name).and_then(|value| value.into_string().ok()).filter(|v| !v.is_empty());
        Ok(Self {
            cache: cache(&|name| std::env::var_os(name).filter(|value| !value.is_empty()))?,
            hub: text("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned()),
            hub_token: text("HF_TOKEN").map(Secret::new),
            python: pip::Python { program: "python3".to_owned(), path: std::env::var_os("PATH").unwrap_or_default() },
            transport: Arc::new(Web::from_environment()),
            progress: terminal::progress(),
            connect: CONNECT,
            idle: IDLE,
            largest: LARGEST,
        })
    }
}

/// The folder of models: `$TIDEGATE_MODELS`, else `${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/models`.
fn cache(env: &dyn Fn(&str) -> Option<OsString>) -> Result<PathBuf, PullFault> {
    if let Some(folder) = env("TIDEGATE_MODELS") {
        return Ok(folder.into());
    }
    let base =
        env("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| env("HOME").map(|home| PathBuf::from(home).join(".cache")));
    Ok(base.ok_or(PullFault::NoCache)?.join("tidegate").join("models"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_follows_the_environment() {
        let with = |set: &'static [(&str, &str)]| {
            cache(&move |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(*value)))
        };
        assert_eq!(with(&[("TIDEGATE_MODELS", "/m"), ("HOME", "/h")]).unwrap(), PathBuf::from("/m"));
        assert_eq!(with(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]).unwrap(), PathBuf::from("/x/tidegate/models"));
        assert_eq!(with(&[("HOME", "/h")]).unwrap(), PathBuf::from("/h/.cache/tidegate/models"));
        assert!(with(&[]).unwrap_err().to_string().contains("TIDEGATE_MODELS"));
    }
}
