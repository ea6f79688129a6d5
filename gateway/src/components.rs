//! Components of plugins, wherever they lie: in files, at addresses of the web, in registries of containers. Owns that what
//! is far is fetched once, is nothing but what was pinned, and is found again without the network; running components is
//! the host's, who uses them the configuration's.

mod asker;
mod challenge;
mod kept;
mod manifest;
mod push;
mod registry;
pub(crate) mod signature;

use crate::pull::transport::Transport;
use asker::{Asked, Asker};
use http::{HeaderValue, StatusCode, Uri};
use kept::Kept;
use registry::Registry;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tidegate_core::PluginName;
use tidegate_core::digest::Digest;
use tidegate_core::spec::{ComponentAt, ComponentAuth, PluginSpec};
use tidegate_host::Limits;

/// The longest file of a signature: its base64, and a line end.
pub(crate) const SIGNATURE_BYTES: usize = 256;

/// What is taken of any file: it is bytes, whatever they are called.
const ANY: &str = "*/*";

/// A component as it was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parcel {
    /// Its bytes.
    pub(crate) component: Vec<u8>,
    /// What lay beside it as its signature.
    pub(crate) signature: Option<Vec<u8>>,
}

/// Where components are had.
#[derive(Debug, Default)]
pub(crate) struct Depot {
    /// Where what was fetched is kept; `None` where the environment names no folder.
    kept: Option<Kept>,
    /// The way out; without one nothing is fetched.
    transport: Option<Arc<dyn Transport>>,
}

impl Depot {
    /// That of this program: `${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/components` keeps what came.
    pub(crate) fn from_environment(transport: Arc<dyn Transport>) -> Self {
        let env = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self { kept: Kept::from(&env), transport: Some(transport) }
    }

    /// Where the component lies on this machine, once it is there.
    ///
    /// # Errors
    /// There is no folder for what is fetched.
    pub(crate) fn path(&self, spec: &PluginSpec) -> Result<PathBuf, String> {
        match &spec.component {
            ComponentAt::File(path) => Ok(path.clone()),
            _ => Ok(self.kept()?.path(pin(spec)?)),
        }
    }

    /// Whether it is on this machine as it has to be. A file is, as far as is known here.
    pub(crate) fn has(&self, spec: &PluginSpec) -> bool {
        let Ok(pinned) = pin(spec) else { return !spec.component.is_far() };
        !spec.component.is_far() || self.kept.as_ref().is_some_and(|kept| kept.has(pinned, spec.signed_by, most(spec)))
    }

    /// Fetches what is not there yet, all at once; says what could not be had, and why.
    pub(crate) async fn ensure(
        self: &Arc<Self>,
        plugins: impl Iterator<Item = &PluginSpec>,
    ) -> BTreeMap<PluginName, String> {
        let errands = plugins.filter(|spec| spec.component.is_far()).map(|spec| async move {
            let fault = self.ensure_one(spec).await.err()?;
            Some((spec.name.clone(), fault))
        });
        futures_util::future::join_all(errands).await.into_iter().flatten().collect()
    }

    async fn ensure_one(self: &Arc<Self>, spec: &PluginSpec) -> Result<(), String> {
        let pinned = pin(spec)?;
        self.kept()?;
        let (depot, asked) = (Arc::clone(self), spec.clone());
        if on_the_side(move || depot.has(&asked)).await? {
            return Ok(());
        }
        let wants = Wants { pinned: Some(pinned), signature: spec.signed_by.is_some() };
        let parcel = self.fetch(&spec.component, spec.auth.as_ref(), wants, most(spec)).await?;
        let got = Digest::of(&parcel.component);
        if got != pinned {
            return Err(format!("what was fetched has the sha256 {got}, and {pinned} is pinned"));
        }
        if let (Some(key), Some(signature)) = (spec.signed_by, &parcel.signature) {
            signature::verify(&parcel.component, signature, key)?;
        }
        let bytes = parcel.component.len();
        let depot = Arc::clone(self);
        on_the_side(move || depot.kept()?.put(pinned, &parcel)).await??;
        tracing::info!(plugin = %spec.name, component = %spec.component, sha256 = %pinned.short(), bytes, "component fetched");
        Ok(())
    }

    /// Fetches a component of `most` bytes at most, whatever is kept; nothing is kept of it.
    pub(crate) async fn fetch(
        &self,
        at: &ComponentAt,
        auth: Option<&ComponentAuth>,
        wants: Wants,
        most: usize,
    ) -> Result<Parcel, String> {
        let asker = self.asker()?;
        match at {
            ComponentAt::Web(uri) => from_web(&asker, uri, auth, wants, most).await,
            ComponentAt::Oci(reference) => Registry::new(&asker, reference, auth)?.pull(wants, most).await,
            ComponentAt::File(path) => Err(format!("{} is a file, and is not fetched", path.display())),
        }
    }

    /// Sends a component to a registry of containers; the digest of its manifest comes back.
    pub(crate) async fn push(
        &self,
        at: &tidegate_core::OciRef,
        auth: Option<&ComponentAuth>,
        parcel: Parcel,
    ) -> Result<Digest, String> {
        push::push(&mut Registry::new(&self.asker()?, at, auth)?, parcel).await
    }

    fn asker(&self) -> Result<Asker, String> {
        self.transport.clone().map(Asker::new).ok_or_else(|| "nothing is fetched here".to_owned())
    }

    fn kept(&self) -> Result<&Kept, String> {
        self.kept.as_ref().ok_or_else(|| {
            "there is no folder for components that are fetched: set `XDG_CACHE_HOME` or `HOME`".to_owned()
        })
    }
}

/// What is wanted of a place.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wants {
    /// The component with this digest and no other.
    pub(crate) pinned: Option<Digest>,
    /// And its signature.
    pub(crate) signature: bool,
}

async fn from_web(
    asker: &Asker,
    uri: &Uri,
    auth: Option<&ComponentAuth>,
    wants: Wants,
    most: usize,
) -> Result<Parcel, String> {
    let shown = auth.map(header).transpose()?;
    let component = get(asker, uri, shown.as_ref(), most).await?;
    let signature = if wants.signature {
        let beside = format!("{uri}.sig").parse().map_err(|e| format!("its signature has no address: {e}"))?;
        let got = get(asker, &beside, shown.as_ref(), SIGNATURE_BYTES).await;
        Some(got.map_err(|why| format!("its signature {beside} cannot be had: {why}"))?)
    } else {
        None
    };
    Ok(Parcel { component, signature })
}

async fn get(asker: &Asker, uri: &Uri, shown: Option<&HeaderValue>, most: usize) -> Result<Vec<u8>, String> {
    let answer = asker.send(&Asked::get(uri.clone(), ANY, most), shown).await?;
    match answer.status {
        StatusCode::OK => Ok(answer.body.into()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(format!(
            "{} answered with status {}: it wants to know who asks, or refuses who does; see `auth`",
            asker::host_of(uri),
            answer.status.as_u16()
        )),
        status => Err(format!("{} answered with status {}", asker::host_of(uri), status.as_u16())),
    }
}

/// The value of `Authorization`.
fn header(auth: &ComponentAuth) -> Result<HeaderValue, String> {
    use base64::Engine as _;
    let text = match auth {
        ComponentAuth::Basic(login) => {
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login.expose()))
        }
        ComponentAuth::Bearer(token) => format!("Bearer {}", token.expose()),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| "the secret of `auth` fits into no header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// The most bytes that a component may have.
fn most(spec: &PluginSpec) -> usize {
    let size = spec.limits.size.and_then(|size| usize::try_from(size).ok());
    size.unwrap_or(Limits::default().component_bytes)
}

/// The digest that is pinned. The configuration asks it of whatever is fetched.
fn pin(spec: &PluginSpec) -> Result<Digest, String> {
    spec.sha256.ok_or_else(|| "it is fetched, and its `sha256` is not pinned".to_owned())
}

/// Runs what reads or writes files off the threads that serve.
async fn on_the_side<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|e| format!("the work stopped early: {e}"))
}

#[cfg(test)]
mod tests;
