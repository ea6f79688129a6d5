//! The calls that only read: models and their versions, listed by pages and shown.

use super::{Asked, shape};
use crate::fault::RegistryFault;
use crate::page;
use crate::store::search::Range;
use serde_json::Value;

/// How many a page has at most, and unless told otherwise: a registry of usual size is one page.
const PAGE: u32 = 20_000;

/// Every model, or a page of them.
pub(super) async fn models(asked: &Asked<'_>) -> Result<Value, RegistryFault> {
    let range = range(asked)?;
    Ok(shape::page(&asked.registry.search_models("", &[], range).await?, shape::model))
}

/// One model.
pub(super) async fn model(asked: &Asked<'_>) -> Result<Value, RegistryFault> {
    Ok(shape::model(&asked.registry.model(&asked.name()?).await?))
}

/// The versions of a model, the newest first.
pub(super) async fn versions(asked: &Asked<'_>) -> Result<Value, RegistryFault> {
    let range = range(asked)?;
    Ok(shape::page(&asked.registry.versions(&asked.name()?, range).await?, shape::version))
}

/// One version.
pub(super) async fn version(asked: &Asked<'_>) -> Result<Value, RegistryFault> {
    Ok(shape::version(&asked.registry.version(&asked.name()?, asked.version()?).await?))
}

/// Which part of a listing is asked for, by `limit` and `page_token`.
fn range(asked: &Asked<'_>) -> Result<Range, RegistryFault> {
    let limit = match asked.parameter("limit") {
        None => PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=PAGE).contains(limit))
            .ok_or_else(|| RegistryFault::invalid(format!("limit: it is a number from 1 to {PAGE}")))?,
    };
    let offset = asked.parameter("page_token").map_or(Ok(0), page::offset)?;
    Ok(Range { limit, offset })
}
