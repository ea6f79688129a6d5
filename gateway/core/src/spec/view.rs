//! Views: the features of one kind of entity in some store, and how they are looked up and served.

use super::provider::OpenAiSpec;
use crate::digest::Digest;
use crate::port::features::FeatureValue;
use crate::{Datatype, Secret, ViewName};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The features of one kind of entity.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewSpec {
    /// Its name.
    pub name: ViewName,
    /// What an entity is found by, at least one.
    pub keys: Vec<KeySpec>,
    /// The features, at least one.
    pub columns: Vec<ColumnSpec>,
    /// Where they are.
    pub store: StoreSpec,
    /// How old they may be; any age where nothing is said.
    pub max_age: Option<Duration>,
    /// What becomes of older ones.
    pub on_stale: OnStale,
    /// How long a look-up may take.
    pub deadline: Duration,
    /// How long what was found is found again without asking.
    pub cache: Option<CacheSpec>,
    /// How fresh values are pushed, where they are.
    pub push: Option<PushSpec>,
}

/// A join key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySpec {
    /// Its name in the store.
    pub name: Arc<str>,
    /// What its values are.
    pub kind: KeyKind,
}

/// What the values of a join key are; stores tell `int32` and `int64` apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Whole numbers of 32 bits.
    Int32,
    /// Whole numbers of 64 bits.
    Int64,
    /// Texts.
    Text,
}

/// A feature.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnSpec {
    /// What the model calls it.
    pub name: Arc<str>,
    /// What the store calls it.
    pub feature: Arc<str>,
    /// What the model gets it as: `BOOL`, `INT32`, `INT64`, `FP32`, `FP64` or `BYTES`.
    pub datatype: Datatype,
    /// What stands for a value that is not there; without one the call is refused then.
    pub default: Option<FeatureValue>,
}

/// Where features are.
#[derive(Debug, Clone, PartialEq)]
pub enum StoreSpec {
    /// A Redis, in the layout of Feast's online store.
    Redis {
        /// Its address.
        url: Secret,
        /// Feast's project.
        project: Arc<str>,
        /// Feast's feature view.
        view: Arc<str>,
    },
    /// A feature server of Feast.
    Feast {
        /// Where it is.
        server: Box<OpenAiSpec>,
        /// Feast's feature view.
        view: Arc<str>,
    },
    /// Tecton's API.
    Tecton {
        /// Where it is.
        server: Box<OpenAiSpec>,
        /// The workspace.
        workspace: Arc<str>,
        /// The feature service.
        service: Arc<str>,
    },
    /// A Parquet file, read into memory; of several rows of an entity the newest counts.
    Parquet {
        /// The file.
        file: PathBuf,
        /// What that digests to.
        sha256: Digest,
        /// The column that says since when a row is so, where there is one.
        timestamp: Option<Arc<str>>,
    },
}

/// What becomes of values that are too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnStale {
    /// The default is served; without one the call is refused.
    Default,
    /// The call is refused.
    Refuse,
    /// They are served all the same, and the record says so.
    Flag,
}

/// How long what was found is found again without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSpec {
    /// So long.
    pub ttl: Duration,
    /// Of so many entities at most.
    pub entries: usize,
}

/// How fresh values are pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushSpec {
    /// What the push names; several views may hear of one.
    pub source: Arc<str>,
    /// The column that says since when a row is so.
    pub timestamp: Arc<str>,
}

/// What a route looks up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupSpec {
    /// The views, at least one.
    pub views: Vec<ViewName>,
    /// Where a join key is an input or parameter of another name: the key, and that name.
    pub by: Vec<(Arc<str>, Arc<str>)>,
    /// Which inputs the model gets, in order; where empty, the caller's without the join keys, then the features.
    pub inputs: Vec<Arc<str>>,
    /// The name of the one input of rows × values that they are put together into, where the model has but one.
    pub join: Option<Arc<str>>,
}

impl LookupSpec {
    /// What callers call a join key.
    #[must_use]
    pub fn called<'a>(&'a self, key: &'a str) -> &'a str {
        self.by.iter().find(|(known, _)| **known == *key).map_or(key, |(_, name)| name)
    }
}
