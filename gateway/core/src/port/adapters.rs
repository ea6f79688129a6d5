//! The port to the LoRA adapters of a model that runs here: loaded and unloaded while it serves.

use super::BoxFuture;
use crate::{AdapterName, Fault};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The adapters of one model.
pub trait Adapters: Send + Sync + std::fmt::Debug {
    /// Reads an adapter, holds it to the model, and puts it into force under a name. Calls under way keep what they have,
    /// and none waits for it.
    fn load<'a>(
        &'a self,
        name: &'a AdapterName,
        files: AdapterFiles,
        source: &'a str,
        expected: Expected,
    ) -> BoxFuture<'a, Result<AdapterStatus, Fault>>;

    /// Takes a name away; gives the generation that it meant. Calls under way keep it.
    ///
    /// # Errors
    /// There is none, or not the one that is expected.
    fn unload(&self, name: &AdapterName, expected: &Expected) -> Result<String, Fault>;

    /// All of them by name, and those that are leaving.
    fn list(&self) -> Vec<AdapterStatus>;

    /// The files that a name was loaded from.
    fn files(&self, name: &AdapterName) -> Option<AdapterFiles>;

    /// What they take together, and how often they moved.
    fn totals(&self) -> AdapterTotals;
}

/// The two files of an adapter, as PEFT writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterFiles {
    /// `adapter_config.json`.
    pub config: PathBuf,
    /// `adapter_model.safetensors`.
    pub numbers: PathBuf,
}

impl AdapterFiles {
    /// Their names in a folder.
    pub const NAMES: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];

    /// Those of a folder.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        let [config, numbers] = Self::NAMES.map(|name| folder.join(name));
        Self { config, numbers }
    }
}

/// What must be in force for a change to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Whatever is.
    Anything,
    /// Nothing of this name.
    Nothing,
    /// This generation.
    Generation(String),
}

/// Where a generation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdapterState {
    /// In memory.
    Resident,
    /// In its files; the next call reads it.
    Disk,
    /// Replaced or unloaded, and in memory until its last call ends.
    Draining,
}

/// How an adapter stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdapterStatus {
    /// Its name.
    pub name: String,
    /// What its files digest to.
    pub generation: String,
    /// Where it came from.
    pub source: String,
    /// Its largest rank.
    pub rank: usize,
    /// What it takes in memory.
    pub bytes: usize,
    /// Where it is.
    pub state: AdapterState,
    /// Calls under way.
    pub active: usize,
    /// Calls since its name was first loaded.
    pub requests: u64,
}

/// What the adapters of a model take together, and how often they moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AdapterTotals {
    /// Bytes in memory.
    pub used: usize,
    /// Bytes that there are for them.
    pub budget: usize,
    /// How often one was read into memory.
    pub loads: u64,
    /// How often one made room for others.
    pub evictions: u64,
}
