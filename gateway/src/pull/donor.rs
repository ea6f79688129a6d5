//! Models brought by hand: `tidegate pull NAME --from PATH…`. What is given is known by its bytes, not by its name: a
//! file, a folder or a wheel that holds the wanted files.

use super::catalogue::Entry;
use super::landing::{Landing, Lock, blocking};
use super::{ModelFiles, PullContext, PullFault, Reason, Wanted, archive};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Copies the files of `entry` out of `given` into the cache.
///
/// # Errors
/// One of them is in none of what was given; the message says why for each.
pub(crate) async fn adopt(entry: &Entry, given: &[PathBuf], ctx: &PullContext) -> Result<ModelFiles, PullFault> {
    let mut paths = Vec::new();
    for file in entry.files() {
        let wanted = file.wanted();
        let target = wanted.path(&ctx.cache);
        if !wanted.is_at(&target) {
            find(&wanted, &target, given, ctx).await?;
        }
        paths.push(target);
    }
    entry.assemble(paths)
}

async fn find(wanted: &Wanted, target: &Path, given: &[PathBuf], ctx: &PullContext) -> Result<(), PullFault> {
    let Wanted { name, sha256, .. } = wanted;
    let mut reasons = Vec::new();
    for path in given {
        match from(path, wanted, target, ctx).await {
            Ok(()) => return Ok(()),
            Err(reason) => reasons.push(format!("\n  {}\n      {reason}", path.display())),
        }
    }
    let size = wanted.bytes.map(|bytes| format!("{bytes} bytes, ")).unwrap_or_default();
    let reasons = reasons.concat();
    Err(PullFault::NotTheModel(format!("{name} ({size}sha256 {sha256}) is in nothing of what was given:{reasons}")))
}

async fn from(path: &Path, wanted: &Wanted, target: &Path, ctx: &PullContext) -> Result<(), Reason> {
    let found = path.metadata().map_err(|e| Reason::file(path, &e))?;
    let _lock = Lock::take(target, &*ctx.progress).await?;
    if found.is_dir() {
        return copy(&path.join(&wanted.name), wanted, target, ctx).await;
    }
    if !path.extension().is_some_and(|end| end == "whl" || end == "zip") {
        return copy(path, wanted, target, ctx).await;
    }
    let shown = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut last = Reason::NoMember { name: shown, member: wanted.name.clone() };
    for member in archive::members_called(path, &wanted.name).await? {
        let limit = wanted.bytes.unwrap_or(ctx.largest);
        let unpacked = archive::take(path, &member, limit, Landing::fresh(target)?, ctx).await;
        match unpacked {
            Ok(landing) => match landing.finish(wanted.sha256).await {
                Ok(()) => return Ok(()),
                Err(reason) => last = reason,
            },
            Err(reason) => last = reason,
        }
    }
    Err(last)
}

async fn copy(path: &Path, wanted: &Wanted, target: &Path, ctx: &PullContext) -> Result<(), Reason> {
    let found = path.metadata().map_err(|e| Reason::file(path, &e))?;
    if let Some(bytes) = wanted.bytes.filter(|bytes| *bytes != found.len()) {
        return Err(Reason::WrongSize { got: found.len(), wanted: bytes });
    }
    let mut landing = Landing::fresh(target)?;
    let mut meter = ctx.progress.meter(&format!("copy {}", wanted.name), Some(found.len()));
    let path = path.to_owned();
    let landing = blocking(move || {
        let mut file = std::fs::File::open(&path).map_err(|e| Reason::file(&path, &e))?;
        let mut buffer = vec![0; 1 << 17];
        loop {
            let n = file.read(&mut buffer).map_err(|e| Reason::file(&path, &e))?;
            if n == 0 {
                return Ok(landing);
            }
            landing.write(&buffer[..n])?;
            meter.at(landing.written());
        }
    })
    .await?;
    landing.finish(wanted.sha256).await
}
