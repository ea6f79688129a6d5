//! What plugins reach beyond their window, as ports: time, chance, the registry, models. Owns the ports (that of models is in
//! `models`) and what refuses all; the program fills them.

use crate::frame::Frame;
use crate::models::{Models, NoModels};
use std::sync::Arc;
use tidegate_core::clock::SystemClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::{Clock, Dice};

/// Why something asked of the host was not had, by the contract's `host-error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreached {
    /// It was not granted.
    Denied(String),
    /// There is no such thing.
    NotFound,
    /// What it may use is used up.
    Quota(String),
    /// It was not had in time.
    Timeout,
    /// It cannot be reached just now.
    Unavailable(String),
}

/// What a registry answers plugins, reading only.
pub trait Reach: Send + Sync + std::fmt::Debug {
    /// The model card of a version, as JSON.
    ///
    /// # Errors
    /// There is none, or it cannot be had.
    fn model_card(&self, model: &str, version: &str) -> Result<String, Unreached>;
    /// The version that an alias stands for.
    ///
    /// # Errors
    /// There is none, or it cannot be had.
    fn resolve_alias(&self, model: &str, alias: &str) -> Result<String, Unreached>;
    /// The baseline of a version, of these columns or, where none is named, all.
    ///
    /// # Errors
    /// There is none, or it cannot be had.
    fn baseline(&self, model: &str, version: &str, columns: &[String]) -> Result<Frame, Unreached>;
    /// Edges and shares of a column of a baseline.
    ///
    /// # Errors
    /// There is none, or it cannot be had.
    fn baseline_histogram(&self, model: &str, version: &str, column: &str) -> Result<(Vec<f64>, Vec<f64>), Unreached>;
    /// The text of a prompt's version.
    ///
    /// # Errors
    /// There is none, or it cannot be had.
    fn prompt(&self, name: &str, version: &str) -> Result<String, Unreached>;
}

/// Reaches nothing: every question is denied.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

fn denied<T>() -> Result<T, Unreached> {
    Err(Unreached::Denied("no registry was granted to this plugin".to_owned()))
}

impl Reach for Nothing {
    fn model_card(&self, _: &str, _: &str) -> Result<String, Unreached> {
        denied()
    }
    fn resolve_alias(&self, _: &str, _: &str) -> Result<String, Unreached> {
        denied()
    }
    fn baseline(&self, _: &str, _: &str, _: &[String]) -> Result<Frame, Unreached> {
        denied()
    }
    fn baseline_histogram(&self, _: &str, _: &str, _: &str) -> Result<(Vec<f64>, Vec<f64>), Unreached> {
        denied()
    }
    fn prompt(&self, _: &str, _: &str) -> Result<String, Unreached> {
        denied()
    }
}

/// All that a host gets from outside.
#[derive(Debug, Clone)]
pub struct Outside {
    /// What plugins see of time. Deadlines are not by it.
    pub clock: Arc<dyn Clock>,
    /// What plugins see of chance.
    pub dice: Arc<dyn Dice>,
    /// The registry.
    pub registry: Arc<dyn Reach>,
    /// Models, where a call brings none of its own.
    pub models: Arc<dyn Models>,
}

impl Default for Outside {
    /// This machine's clock, the same dice each time, no registry and no models.
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            dice: Arc::new(SplitMix::seeded(0)),
            registry: Arc::new(Nothing),
            models: Arc::new(NoModels),
        }
    }
}
