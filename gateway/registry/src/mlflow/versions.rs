//! The calls on versions and their tags.

use super::models::{listing, not_a_prompt, range};
use super::params::Params;
use super::prompts::{SOURCES, is_prompt, wrong_source};
use crate::facts::VersionFacts;
use crate::fault::RegistryFault;
use crate::filter::IS_PROMPT;
use crate::registry::{Actor, Registry, VersionRequest};
use crate::shape::WithoutAliases;
use crate::source::Source;
use crate::version::Stage;
use serde_json::{Value, json};

/// How many versions a page has unless told otherwise.
const PAGE: i64 = 10_000;

pub(super) async fn create(registry: &Registry, by: &Actor, params: &Params) -> Result<Value, RegistryFault> {
    let (run_id, logged_model) = (params.given("run_id"), params.text("model_id").to_owned());
    let tags = params.tags()?;
    if is_prompt(&tags) && !SOURCES.contains(&params.text("source")) {
        return Err(wrong_source(params.text("source")));
    }
    not_a_prompt(tags.get(IS_PROMPT))?;
    let new = VersionRequest {
        source: Source::check(params.text("source"), run_id.unwrap_or_default(), &logged_model)?,
        name: params.name("name")?,
        run_id: run_id.map(str::to_owned),
        run_link: params.text("run_link").to_owned(),
        logged_model,
        description: params.text("description").to_owned(),
        tags,
        facts: VersionFacts::default(),
    };
    Ok(json!({"model_version": registry.create_version(by, new).await?}))
}

pub(super) async fn get(registry: &Registry, params: &Params) -> Result<Value, RegistryFault> {
    let version = registry.version(&params.name("name")?, params.version()?).await?;
    Ok(json!({"model_version": version}))
}

pub(super) async fn update(registry: &Registry, by: &Actor, params: &Params) -> Result<Value, RegistryFault> {
    let (name, version) = (params.name("name")?, params.version()?);
    let made = registry.describe_version(by, &name, version, params.given("description")).await?;
    Ok(json!({"model_version": made}))
}

pub(super) async fn delete(registry: &Registry, by: &Actor, params: &Params) -> Result<Value, RegistryFault> {
    registry.delete_version(by, &params.name("name")?, params.version()?).await
}

pub(super) async fn transition(registry: &Registry, by: &Actor, params: &Params) -> Result<Value, RegistryFault> {
    let (text, archive) = (params.text("stage"), params.flag("archive_existing_versions"));
    let stage = Stage::read(text)?;
    if archive && !matches!(stage, Stage::Staging | Stage::Production) {
        // MLflow answers this mistake of the caller with a 500; a 400 says whose it is.
        return Err(RegistryFault::invalid(format!(
            "Model version transition cannot archive existing model versions because '{text}' is not an Active stage. \
             Valid stages are ['Staging', 'Production']"
        )));
    }
    let (name, version) = (params.name("name")?, params.version()?);
    Ok(json!({"model_version": registry.transition(by, &name, version, stage, archive).await?}))
}

pub(super) async fn search(registry: &Registry, params: &Params) -> Result<Value, RegistryFault> {
    if let Some(most) = params.number("max_results").filter(|most| *most < 1) {
        let says = format!("Invalid value for max_results. It must be a positive integer, but got {most}");
        return Err(RegistryFault::invalid(says));
    }
    let range = range(params, PAGE)?;
    let page = registry.search_versions(params.text("filter"), &params.texts("order_by")?, range).await?;
    let items: Vec<_> = page.items.iter().map(WithoutAliases).collect();
    Ok(listing("model_versions", json!(items), items.is_empty(), page.next))
}

pub(super) async fn latest(registry: &Registry, params: &Params) -> Result<Value, RegistryFault> {
    let stages = params.texts("stages")?;
    let stages = stages.iter().map(|stage| Stage::read(stage)).collect::<Result<Vec<_>, _>>()?;
    let versions = registry.latest_versions(&params.name("name")?, &stages).await?;
    Ok(listing("model_versions", json!(versions), versions.is_empty(), None))
}

pub(super) async fn download_uri(registry: &Registry, params: &Params) -> Result<Value, RegistryFault> {
    let version = registry.version(&params.name("name")?, params.version()?).await?;
    Ok(json!({"artifact_uri": version.storage}))
}

pub(super) async fn set_tag(registry: &Registry, by: &Actor, params: &Params) -> Result<Value, RegistryFault> {
    let (name, version) = (params.name("name")?, params.version()?);
    registry.set_tag(by, &name, Some(version), params.text("key"), params.text("value")).await
}

pub(super) async fn delete_tag(registry: &Registry, by: &Actor, params: &Params) -> Result<Value, RegistryFault> {
    let (name, version) = (params.name("name")?, params.version()?);
    registry.delete_tag(by, &name, Some(version), params.text("key")).await
}
