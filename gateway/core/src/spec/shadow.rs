//! Shadows: variants that get copies of calls, and whose answers nobody gets.

use super::route::VariantSpec;
use crate::ModelName;

/// A shadow of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowSpec {
    /// What answers the copies; its name is the shadow's.
    pub variant: VariantSpec,
    /// The share of the calls that are copied, in `[0, 1]`.
    pub share: f64,
    /// How answers are compared.
    pub compare: CompareSpec,
    /// The most USD that a day of UTC may cost; `None` where there is no bound.
    pub usd_a_day: Option<f64>,
    /// The most copies that are under way, at least 1.
    pub concurrency: usize,
    /// The most copies that wait.
    pub queue: usize,
}

/// How answers are compared, beside what is always compared.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CompareSpec {
    /// The model whose embeddings say how similar two texts are.
    pub embedding: Option<ModelName>,
    /// The model that says how good the shadow's answer is beside the caller's.
    pub judge: Option<ModelName>,
    /// How far numbers in JSON may differ and count as the same, relative to the larger one.
    pub numeric_tolerance: f64,
}
