//! The port to those who watch traffic: what a monitor says now.

use crate::MonitorName;
use crate::spec::Watched;

/// Knows what monitors say.
pub trait Verdicts: Send + Sync + std::fmt::Debug {
    /// What this one says now.
    fn verdict(&self, monitor: &MonitorName) -> Verdict;

    /// What it says now of one version of a model.
    fn verdict_of(&self, monitor: &MonitorName, watched: &Watched) -> Verdict;
}

/// What a monitor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All is well.
    Well,
    /// Something is wrong, in words.
    Alarm(String),
    /// It has seen too little, or there is no such monitor.
    Unknown,
}

/// Where nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoVerdicts;

impl Verdicts for NoVerdicts {
    fn verdict(&self, _: &MonitorName) -> Verdict {
        Verdict::Unknown
    }

    fn verdict_of(&self, _: &MonitorName, _: &Watched) -> Verdict {
        Verdict::Unknown
    }
}
