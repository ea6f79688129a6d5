//! What comes from another registry: models and versions as they are there. Owns when two of them say the same; how they
//! are fetched is the caller's, how they are written `registry::import`'s.

use crate::model::{RegisteredModel, RegisteredName};
use crate::tag::Tags;
use crate::version::{ModelVersion, Stage};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidegate_core::digest::Digest;

/// A model of another registry, without its versions and aliases.
#[derive(Debug, Clone)]
pub struct ImportedModel {
    /// Its name.
    pub name: RegisteredName,
    /// What it is, in words.
    pub description: String,
    /// The job that deploys it.
    pub deployment_job: String,
    /// Its tags.
    pub tags: Tags,
    /// Milliseconds since 1970 at which it was registered there.
    pub created: i64,
    /// Milliseconds since 1970 at which it changed there.
    pub updated: i64,
}

/// A version of another registry.
#[derive(Debug, Clone)]
pub struct ImportedVersion {
    /// The model.
    pub name: RegisteredName,
    /// Its number there, and so here.
    pub version: i64,
    /// Where it was taken from, as its maker said.
    pub source: String,
    /// Where its files lie for those who ask here.
    pub storage: String,
    /// The run that made it.
    pub run_id: String,
    /// A link to that run.
    pub run_link: String,
    /// The logged model behind it.
    pub logged_model: String,
    /// Who made it.
    pub owner: String,
    /// What it is, in words.
    pub description: String,
    /// Its stage.
    pub stage: Stage,
    /// Its tags.
    pub tags: Tags,
    /// Milliseconds since 1970 at which it was made there.
    pub created: i64,
    /// Milliseconds since 1970 at which it changed there.
    pub updated: i64,
}

/// What became of something that was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// It is here now.
    Created,
    /// It was here, and is now as it is there.
    Changed,
    /// It is here as it is there.
    Same,
    /// It stays as it is here, for this reason.
    Kept(String),
}

/// What a version may be at the beginning of its import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It is not here.
    New,
    /// It is here, and its files lie at this place.
    Here(String),
}

/// What of a model an import may change.
pub(crate) fn of_model(model: &ImportedModel) -> Digest {
    digest(&json!([model.description, model.deployment_job, tags(&model.tags)]))
}

/// The same of a model that is here.
pub(crate) fn of_local_model(model: &RegisteredModel) -> Digest {
    digest(&json!([model.description, model.deployment_job, model.tags]))
}

/// What of a version an import may change.
pub(crate) fn of_version(version: &ImportedVersion) -> Digest {
    digest(&json!([version.description, version.stage.as_str(), tags(&version.tags)]))
}

/// The same of a version that is here.
pub(crate) fn of_local_version(version: &ModelVersion) -> Digest {
    digest(&json!([version.description.as_deref().unwrap_or_default(), version.stage.as_str(), version.tags]))
}

/// Of aliases.
pub(crate) fn of_aliases(aliases: &BTreeMap<String, i64>) -> Digest {
    digest(&json!(aliases))
}

/// Whether both are of one making: what is fixed of a version is the same.
pub(crate) fn is_same_making(there: &ImportedVersion, here: &ModelVersion) -> bool {
    let of_there = [&there.source, &there.run_id, &there.run_link, &there.logged_model];
    of_there == [&here.source, &here.run_id, &here.run_link, &here.logged_model]
}

fn tags(tags: &Tags) -> BTreeMap<&str, &str> {
    tags.iter().collect()
}

fn digest(value: &Value) -> Digest {
    Digest::of(value.to_string().as_bytes())
}
