//! Classic models in this process.

use crate::digest::Digest;
use crate::model_ref::ModelRef;
use std::path::PathBuf;
use std::time::Duration;

/// How a classic model in this process is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSpec {
    /// At most so many rows are run together. One call alone may have more.
    pub max_rows: usize,
    /// A call waits at most so long for others.
    pub max_wait: Duration,
    /// At most so many calls wait; more are refused.
    pub queue: usize,
    /// How many batches run at a time.
    pub instances: usize,
    /// Whether it is run once before calls come to it.
    pub warm_up: bool,
}

impl Default for PoolSpec {
    fn default() -> Self {
        Self { max_rows: 64, max_wait: Duration::from_millis(2), queue: 1024, instances: 1, warm_up: true }
    }
}

/// How a classic model in this process is explained that is not made of trees.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainSpec {
    /// How many random orders of the features are asked, each both ways.
    pub orders: usize,
    /// What stands for a feature that is not known, one value each; zeros where not given.
    pub background: Option<Vec<f64>>,
}

impl Default for ExplainSpec {
    fn default() -> Self {
        Self { orders: 8, background: None }
    }
}

/// What inputs of a classic model are held to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContractSpec {
    /// Whether the registered signature counts; where not given, it does as far as the version has one that can be checked.
    pub signature: Option<bool>,
    /// Where the signature of a model that runs elsewhere stands.
    pub of: Option<SignatureSpec>,
    /// A suite of expectations.
    pub suite: Option<SuiteSpec>,
    /// Whether calls that break it are answered all the same.
    pub notes_only: bool,
}

/// Where a signature stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureSpec {
    /// With a version of the registry.
    Registry(ModelRef),
    /// In a file of JSON, as MLflow writes it: `{"inputs": [{"name": "age", "type": "long"}]}`.
    File(SuiteSpec),
}

/// A suite of expectations, as Great Expectations writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteSpec {
    /// Its file.
    pub file: PathBuf,
    /// What that digests to.
    pub sha256: Digest,
}
