//! The small file at a path that names its object. Owns its form: one line, `sha256 LENGTH DIGEST`.

use super::{failed, is_absent};
use crate::folder::sync_folder;
use std::fmt;
use std::io::Write as _;
use std::path::Path;
use tidegate_core::digest::Digest;
use tidegate_core::{Fault, FaultKind};

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pointer {
    pub(super) digest: Digest,
    pub(super) length: u64,
}

impl Pointer {
    /// Reads the pointer at `place`.
    ///
    /// # Errors
    /// There is none (`NotFound`), a folder is there (`Conflict`), or it is damaged.
    pub(super) fn read(place: &Path) -> Result<Self, Fault> {
        let text = std::fs::read_to_string(place).map_err(|e| match e.kind() {
            _ if is_absent(&e) => Fault::new(FaultKind::NotFound, "there is no such file"),
            std::io::ErrorKind::IsADirectory => Fault::new(FaultKind::Conflict, "this is a folder"),
            _ => failed(e),
        })?;
        Self::parse(&text).ok_or_else(|| Fault::internal(format!("the pointer {} is damaged", place.display())))
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.strip_suffix('\n')?.split(' ');
        let (kind, length, digest) = (words.next()?, words.next()?, words.next()?);
        if kind != "sha256" || words.next().is_some() {
            return None;
        }
        Some(Self { digest: digest.parse().ok()?, length: length.parse().ok()? })
    }

    /// Puts the pointer at `place` below `root`, by way of `temporary`; it is durable when this returns.
    pub(super) fn write(&self, root: &Path, place: &Path, temporary: &Path) -> std::io::Result<()> {
        let folder = place.parent().unwrap_or(root);
        make_folders(root, folder)?;
        let written = std::fs::File::options().create_new(true).write(true).open(temporary).and_then(|mut file| {
            file.write_all(self.to_string().as_bytes())?;
            file.sync_all()?;
            std::fs::rename(temporary, place)
        });
        if written.is_err() {
            drop(std::fs::remove_file(temporary));
        }
        written?;
        sync_folder(folder)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "sha256 {} {}", self.length, self.digest)
    }
}

/// Makes a folder and those above it up to `root`, each durable before the next.
fn make_folders(root: &Path, folder: &Path) -> std::io::Result<()> {
    let mut missing = Vec::new();
    let mut at = folder;
    while at != root && !at.exists() {
        missing.push(at);
        at = at.parent().unwrap_or(root);
    }
    for folder in missing.into_iter().rev() {
        match std::fs::create_dir(folder) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        folder.parent().map_or(Ok(()), sync_folder)?;
    }
    Ok(())
}
