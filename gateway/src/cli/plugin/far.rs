//! Components that are no files here: `tidegate plugin inspect` of one that lies elsewhere, `plugin push` to a registry of
//! containers. Owns the login that the commands show; what a gateway shows stands in its configuration.

use super::super::{Wrong, block_on, print};
use super::allowed::Allowed;
use super::doing;
use crate::components::{Depot, Parcel, Wants};
use crate::pull::web::Web;
use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate_core::spec::{ComponentAt, ComponentAuth, PluginSpec};
use tidegate_core::{OciPick, OciRef, Secret};

/// The variable with `USER:PASSWORD`.
const LOGIN: &str = "TIDEGATE_COMPONENT_LOGIN";

/// The bytes of a component wherever it lies.
pub(super) fn bytes(at: &ComponentAt, most: usize) -> anyhow::Result<Vec<u8>> {
    if let ComponentAt::File(path) = at {
        // One byte more than is taken, so that the host says what is too large.
        return doing::read(path, most as u64 + 1);
    }
    let auth = login()?;
    let fetched = async {
        let depot = depot();
        depot.fetch(at, auth.as_ref(), Wants::default(), most).await.map_err(|why| failed(at, &why))
    };
    Ok(block_on(fetched)?.component)
}

/// Sends a component, and prints how a configuration names it.
pub(super) fn push(file: &Path, to: &str, allowed: Allowed) -> anyhow::Result<()> {
    let at: OciRef = to.parse().map_err(|fault| Wrong(format!("{to:?} is no place to send to: {fault}")))?;
    if !matches!(at.pick, OciPick::Tag(_)) {
        return Err(Wrong("name a tag to send to: the digest follows from what is sent".to_owned()).into());
    }
    // What is no plugin is not sent: whoever finds it there could not load it.
    let (plugin, component) = doing::load(file, allowed)?;
    let beside: PathBuf = PluginSpec::signature_of(file);
    let signature = match std::fs::read(&beside) {
        Ok(signature) => Some(signature),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", beside.display())),
    };
    let is_signed = signature.is_some();
    let auth = login()?;
    let sent = async {
        let depot = depot();
        let pushed = depot.push(&at, auth.as_ref(), Parcel { component, signature }).await;
        pushed.map_err(|why| failed(&ComponentAt::Oci(at.clone()), &why))
    };
    let manifest = block_on(sent)?;
    let about = plugin.about();
    let signed = if is_signed { "\n# its signature is with it" } else { "" };
    let by_digest = OciRef { pick: OciPick::Digest(manifest), ..at };
    print(&format!("component: \"{by_digest}\"\nsha256: \"{}\"{signed}\n", about.sha256))
}

fn depot() -> Depot {
    Depot::from_environment(Arc::new(Web::from_environment()))
}

fn login() -> anyhow::Result<Option<ComponentAuth>> {
    let Some(login) = std::env::var_os(LOGIN).filter(|value| !value.is_empty()) else { return Ok(None) };
    let login = login.into_string().ok().filter(|login| login.contains(':'));
    let login = login.ok_or_else(|| Wrong(format!("{LOGIN} is no login: its form is USER:PASSWORD")))?;
    Ok(Some(ComponentAuth::Basic(Secret::new(login))))
}

fn failed(at: &ComponentAt, why: &str) -> anyhow::Error {
    let hint = if why.contains("`auth`") { format!(" (here: the variable {LOGIN})") } else { String::new() };
    anyhow::anyhow!("{at}: {}{hint}", crate::terminal::harmless(why))
}
