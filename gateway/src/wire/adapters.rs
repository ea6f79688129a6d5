//! The adapters of local models as the configuration wants them: what it names is loaded, what it names no more goes. Owns
//! how references of the registry are followed; what others loaded meanwhile stays.

mod mount;

pub(crate) use mount::AdapterMount;

use super::following::Local;
use super::parts::Tools;
use anyhow::{Context as _, ensure};
use std::path::Path;
use std::sync::Arc;
use tidegate_core::AdapterName;
use tidegate_core::port::adapters::{AdapterFiles, AdapterState, AdapterStatus, Adapters, Expected};
use tidegate_core::spec::AdapterSource;

/// Has the model `next` wear what the configuration wants it to; `before` served in its place.
///
/// # Errors
/// One that is new cannot be had, or does not fit.
pub(super) async fn renew(before: Option<&Local>, next: &Local, tools: &Tools) -> anyhow::Result<()> {
    let wanted = &next.of.0.adapters;
    let Some(adapters) = next.backend.adapters() else {
        ensure!(wanted.is_empty(), "it has `adapters`, and only language models take any");
        return Ok(());
    };
    for (name, source) in wanted {
        let is_there = of_name(&*adapters, name);
        if let Err(why) = put_on(&*adapters, name, source, is_there.as_ref(), tools).await {
            // A reference that moved to what cannot be worn ends nothing.
            match (source, is_there) {
                (AdapterSource::Registry(_), Some(status)) => {
                    let (model, error) = (&next.of.0.name, format!("{why:#}"));
                    tracing::error!(%model, adapter = %name, generation = status.generation, error, "the adapter in force goes on");
                }
                _ => return Err(why.context(format!("adapter `{name}` ({source})"))),
            }
        }
    }
    let Some(before) = before else { return Ok(()) };
    if Arc::ptr_eq(&before.backend, &next.backend) {
        for name in before.of.0.adapters.keys().filter(|name| !wanted.contains_key(*name)) {
            // Gone is gone, whoever took it away.
            drop(adapters.unload(name, &Expected::Anything));
        }
    } else {
        take_over(before, next, &*adapters).await;
    }
    Ok(())
}

/// What is in force under a name.
fn of_name(adapters: &dyn Adapters, name: &AdapterName) -> Option<AdapterStatus> {
    adapters.list().into_iter().find(|one| one.name == name.as_str() && one.state != AdapterState::Draining)
}

/// Loads one, unless that version of it is there.
async fn put_on(
    adapters: &dyn Adapters,
    name: &AdapterName,
    source: &AdapterSource,
    is_there: Option<&AdapterStatus>,
    tools: &Tools,
) -> anyhow::Result<()> {
    let (files, shown) = found(source, tools).await?;
    if is_there.is_some_and(|status| status.source == shown) {
        return Ok(());
    }
    let loaded = adapters.load(name, files, &shown, Expected::Anything).await;
    let status = loaded.map_err(|fault| anyhow::anyhow!("{}", fault.says))?;
    tracing::info!(adapter = %name, source = shown, generation = status.generation, rank = status.rank, "an adapter is loaded");
    Ok(())
}

/// The files of a source, and how it is shown: by its version, where it has any.
pub(super) async fn found(source: &AdapterSource, tools: &Tools) -> anyhow::Result<(AdapterFiles, String)> {
    match source {
        AdapterSource::Folder(folder) => Ok((AdapterFiles::in_folder(folder), source.to_string())),
        AdapterSource::Registry(reference) => {
            let shelf = tools.registry.as_ref().context("there is no registry that it could come from")?;
            let version = shelf.models.resolve(reference).await.map_err(|fault| anyhow::anyhow!("{}", fault.says))?;
            let files = stored(shelf, &version).await?;
            // The place tells versions apart of a model that was deleted and made again.
            Ok((files, format!("models:/{}/{} ({})", reference.name, version.version, version.storage)))
        }
    }
}

#[cfg(feature = "engine")]
async fn stored(
    shelf: &super::parts::Shelf,
    version: &tidegate_core::port::models::ServedVersion,
) -> anyhow::Result<AdapterFiles> {
    super::artifacts::adapter(version, &*shelf.blobs, &shelf.verified).await
}

#[cfg(not(feature = "engine"))]
#[expect(clippy::unused_async, reason = "with the feature it asks the store")]
async fn stored(
    _: &super::parts::Shelf,
    _: &tidegate_core::port::models::ServedVersion,
) -> anyhow::Result<AdapterFiles> {
    anyhow::bail!("this program was built without the feature `engine`, which adapters need")
}

/// A new version of the base takes over what was loaded at run time; what does not fit it is left behind, and said.
async fn take_over(before: &Local, next: &Local, adapters: &dyn Adapters) {
    let Some(old) = before.backend.adapters() else { return };
    for status in old.list().into_iter().filter(|status| status.state != AdapterState::Draining) {
        let Ok(name) = status.name.parse::<AdapterName>() else { continue };
        if next.of.0.adapters.contains_key(&name) || before.of.0.adapters.contains_key(&name) {
            continue;
        }
        let Some(files) = old.files(&name) else { continue };
        if let Err(fault) = adapters.load(&name, files, &status.source, Expected::Nothing).await {
            tracing::error!(model = %next.of.0.name, adapter = %name, %fault, "an adapter does not fit the new version");
        }
    }
}

/// A folder below the configuration's: who may load adapters may not read all of the machine.
pub(super) fn below(base: &Path, given: &str) -> Result<std::path::PathBuf, String> {
    let path = given.strip_prefix("file:").map_or(given, |path| path.strip_prefix("//").unwrap_or(path));
    let outside = || "is no folder below that of the configuration, and only those are loaded at run time".to_owned();
    let (Ok(base), Ok(folder)) = (base.canonicalize(), base.join(path).canonicalize()) else { return Err(outside()) };
    if folder.starts_with(&base) && folder.is_dir() { Ok(folder) } else { Err(outside()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_below_the_configuration_are_taken_at_run_time() {
        let home = tempfile::tempdir().unwrap();
        let base = home.path().join("base");
        std::fs::create_dir_all(base.join("adapters/a")).unwrap();
        std::fs::create_dir_all(home.path().join("other")).unwrap();
        assert!(below(&base, "adapters/a").is_ok() && below(&base, "file:adapters/a").is_ok());
        for outside in ["../other", "adapters/../../other", "/etc", "nothing", "file:///etc"] {
            assert!(below(&base, outside).is_err(), "{outside}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(home.path().join("other"), base.join("link")).unwrap();
            assert!(below(&base, "link").is_err(), "a link that leads out");
        }
    }
}
