//! Models and versions as JSON, in the registry's own form: names as they are, numbers as numbers, tags as an object, and
//! what nobody said as null.

use super::uri::STORE;
use crate::facts::Signature;
use crate::kind::{Format, Kind};
use crate::model::RegisteredModel;
use crate::page;
use crate::store::search::Page;
use crate::version::ModelVersion;
use serde_json::{Value, json};
use tidegate_core::spec::RiskTier;

/// A model.
pub(super) fn model(model: &RegisteredModel) -> Value {
    json!({
        "name": model.name.as_str(),
        "kind": model.kind.map(Kind::as_str),
        "risk": model.risk.map(RiskTier::as_str),
        "description": model.description,
        "owner": model.owner,
        "created": model.created,
        "updated": model.updated,
        "tags": model.tags,
        "aliases": model.aliases,
        "newest": model.latest.iter().map(|version| version.version).max(),
    })
}

/// A version.
pub(super) fn version(version: &ModelVersion) -> Value {
    let facts = &version.facts;
    json!({
        "name": version.name.as_str(),
        "version": version.version,
        "format": facts.format.map(Format::as_str),
        "uri": version.source.strip_prefix(STORE).unwrap_or(&version.source),
        "sha256": facts.sha256.map(|digest| digest.to_string()),
        "signature": facts.signature.as_ref().map(Signature::as_json),
        "lineage": facts.lineage.to_json(),
        "description": version.description,
        "owner": version.owner,
        "stage": version.stage.as_str(),
        "created": version.created,
        "updated": version.updated,
        "tags": version.tags,
        "aliases": version.aliases,
    })
}

/// A page of a listing; its token leads to the next one.
pub(super) fn page<T>(found: &Page<T>, shape: impl Fn(&T) -> Value) -> Value {
    let data: Vec<Value> = found.items.iter().map(shape).collect();
    json!({"object": "list", "data": data, "next_page_token": found.next.map(page::token)})
}
