//! The port to what adds looked-up features to the inputs of a call. Owns what comes of it; the looking up is behind it.

use super::BoxFuture;
use crate::served::ServedView;
use crate::{Fault, PredictRequest, ViewName};
use std::fmt;
use std::time::Duration;

/// Adds features to the inputs of a route's calls.
pub trait Enrich: Send + Sync + fmt::Debug {
    /// Looks up what the route wants for this call. Never longer than the deadlines of its views.
    fn enrich<'a>(&'a self, asked: &'a PredictRequest) -> BoxFuture<'a, Enriched>;

    /// How its views fare; views of several routes report the same everywhere.
    fn reports(&self) -> Vec<ViewReport> {
        Vec::new()
    }
}

/// What came of a look-up.
#[derive(Debug)]
pub struct Enriched {
    /// What the model is asked, or why it cannot be.
    pub request: Result<PredictRequest, Fault>,
    /// What was served, whatever became of it.
    pub served: Vec<ServedView>,
}

/// How a view fares, since it was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewReport {
    /// The view.
    pub view: ViewName,
    /// Look-ups by what came of them: `ok`, or why the store could not be asked.
    pub lookups: Vec<(&'static str, u64)>,
    /// Time of the look-ups, all of it.
    pub time: Duration,
    /// Entities that the store was asked for.
    pub asked: u64,
    /// Entities that were remembered.
    pub remembered: u64,
    /// Values by how they were served: `fresh`, `flagged`, or what lacked.
    pub values: Vec<(&'static str, u64)>,
}
