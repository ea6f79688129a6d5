//! How the weights of a model are read from its files: once when it is loaded, and again each time it wakes.

use super::{EngineOptions, LoadProgress};
use crate::error::LoadError;
use crate::kernel::Isa;
use crate::model::{Compute, Decoder, ModelFiles, Precision};
use crate::threads::{Threads, default_threads};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What the weights are made of.
pub(super) struct Recipe {
    path: PathBuf,
    parts: BTreeMap<String, PathBuf>,
    precision: Precision,
    pub(super) threads: usize,
    nice: u8,
    pub(super) isa: Isa,
    /// How the files were when they were read first.
    stamps: Vec<Stamp>,
}

/// By what a file is known again: other bytes are another model, whatever its name.
#[derive(PartialEq, Eq)]
struct Stamp {
    path: PathBuf,
    length: u64,
    changed: Option<SystemTime>,
}

impl Recipe {
    pub(super) fn of(options: &EngineOptions) -> Self {
        let (path, parts) = (options.path.clone(), options.parts.clone());
        let threads = if options.threads == 0 { default_threads() } else { options.threads };
        let (precision, nice, isa) = (options.precision, options.nice, Isa::detect());
        let stamps = stamps(&path, &parts);
        Self { path, parts, precision, threads, nice, isa, stamps }
    }

    /// Opens the files.
    pub(super) fn open(&self) -> Result<ModelFiles, LoadError> {
        ModelFiles::open(&self.path, &self.parts, self.precision)
    }

    /// Reads the weights.
    pub(super) fn weights(
        &self,
        files: &mut ModelFiles,
        progress: &mut dyn FnMut(LoadProgress),
    ) -> Result<Decoder, LoadError> {
        let shape = files.description()?;
        let threads = Threads::standing_back(self.threads, self.nice).map_err(|e| LoadError::Threads(e.to_string()))?;
        let compute = Compute { isa: self.isa, threads };
        let mut tell = |done, total| progress(LoadProgress { done, total });
        Decoder::load(shape, files.source(), compute, &mut tell)
    }

    /// Reads the weights again, if the files are those that were read first.
    pub(super) fn again(&self) -> Result<Decoder, LoadError> {
        let now = stamps(&self.path, &self.parts);
        if let Some((_, changed)) = self.stamps.iter().zip(&now).find(|(before, now)| before != now) {
            return Err(LoadError::Changed { path: changed.path.clone() });
        }
        self.weights(&mut self.open()?, &mut |_| {})
    }
}

fn stamps(path: &Path, parts: &BTreeMap<String, PathBuf>) -> Vec<Stamp> {
    let in_folder = || {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        files.sort_unstable();
        files
    };
    let files = match parts.len() {
        0 if path.is_dir() => in_folder(),
        0 => vec![path.to_owned()],
        _ => parts.values().cloned().collect(),
    };
    let stamp = |path: PathBuf| {
        let about = path.metadata().ok();
        let changed = about.as_ref().and_then(|about| about.modified().ok());
        Stamp { length: about.map_or(0, |about| about.len()), changed, path }
    };
    files.into_iter().map(stamp).collect()
}
