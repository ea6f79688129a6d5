//! The calls on registered models, their tags and aliases.

use super::params::{Params, wrong};
use crate::alias::AliasName;
use crate::fault::RegistryFault;
use crate::filter::IS_PROMPT;
use crate::page;
use crate::registry::{Actor, NewModel, Registry};
use crate::store::search::Range;
use serde_json::{Value, json};

/// How many models a page has unless told otherwise.
const PAGE: i64 = 100;

pub(super) async fn create(registry: &Registry, by: &Actor, params: &Params) -> Result<Value, RegistryFault> {
    let new = NewModel {
        name: params.name("name")?,
        description: params.text("description").to_owned(),
        deployment_job: params.text("deployment_job_id").to_owned(),
        tags: params.tags()?,
        kind: None,
        risk: None,
    };
    not_a_prompt(new.tags.get(IS_PROMPT))?;
    Ok(json!({"registered_model": registry.create_model(by, new).await?}))
}

pub(super) async fn get(registry: &Registry, params: &Params) -> Result<Value, RegistryFault> {
    Ok(json!({"registered_model": registry.model(&params.name("name")?).await?}))
}

pub(super) async fn rename(registry: &Registry, by: &Actor, params: &Params) -> Result<Value, RegistryFault> {
    let (name, new_name) = (params.name("name")?, params.name("new_name")?);
    Ok(json!({"registered_model": registry.rename_model(by, &name, &new_name).await?}))
}

pub(super) async fn update(registry: &Registry, by: &Actor, params: &Params) -> Result<Value, RegistryFault> {
    let name = params.name("name")?;
    let (description, job) = (params.text("description"), params.given("deployment_job_id"));
    Ok(json!({"registered_model": registry.describe_model(by, &name, description, job).await?}))
}

pub(super) async fn delete(registry: &Registry, by: &Actor, params: &Params) -> Result<Value, RegistryFault> {
    registry.delete_model(by, &params.name("name")?).await
}

pub(super) async fn search(registry: &Registry, params: &Params) -> Result<Value, RegistryFault> {
    let range = range(params, PAGE)?;
    let page = registry.search_models(params.text("filter"), &params.texts("order_by")?, range).await?;
    Ok(listing("registered_models", json!(page.items), page.items.is_empty(), page.next))
}

pub(super) async fn set_tag(registry: &Registry, by: &Actor, params: &Params) -> Result<Value, RegistryFault> {
    if params.text("key") == IS_PROMPT {
        not_a_prompt(Some(params.text("value")))?;
    }
    registry.set_tag(by, &params.name("name")?, None, params.text("key"), params.text("value")).await
}

pub(super) async fn delete_tag(registry: &Registry, by: &Actor, params: &Params) -> Result<Value, RegistryFault> {
    registry.delete_tag(by, &params.name("name")?, None, params.text("key")).await
}

pub(super) async fn set_alias(registry: &Registry, by: &Actor, params: &Params) -> Result<Value, RegistryFault> {
    let (name, alias) = (params.name("name")?, AliasName::new(params.text("alias"))?);
    registry.set_alias(by, &name, &alias, params.version()?).await
}

pub(super) async fn delete_alias(registry: &Registry, by: &Actor, params: &Params) -> Result<Value, RegistryFault> {
    registry.delete_alias(by, &params.name("name")?, params.text("alias")).await
}

pub(super) async fn get_alias(registry: &Registry, params: &Params) -> Result<Value, RegistryFault> {
    let version = registry.version_by_alias(&params.name("name")?, params.text("alias")).await?;
    Ok(json!({"model_version": version}))
}

/// MLflow keeps prompts among models, by a tag. Here they are kept in git, and a model is never one.
pub(super) fn not_a_prompt(tag: Option<&str>) -> Result<(), RegistryFault> {
    if tag.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err(RegistryFault::invalid(
            "A model cannot become a prompt: prompts are versioned in git, and are made by a call that creates one, at a \
             gateway whose configuration names their repository in `prompts`.",
        ));
    }
    Ok(())
}

/// Which part of a listing is asked for.
pub(super) fn range(params: &Params, page: i64) -> Result<Range, RegistryFault> {
    let limit = params.number("max_results").unwrap_or(page);
    if limit < 0 {
        // MLflow answers -1 with an empty page and a token that leads nowhere.
        return Err(wrong("max_results", &Value::from(limit)));
    }
    let token = params.text("page_token");
    let offset = if token.is_empty() { 0 } else { page::offset(token)? };
    Ok(Range { limit: u32::try_from(limit).unwrap_or(u32::MAX), offset })
}

/// A listing as MLflow answers it: what is empty is left out.
pub(super) fn listing(field: &str, items: Value, is_empty: bool, next: Option<u64>) -> Value {
    let mut answer = serde_json::Map::new();
    if !is_empty {
        answer.insert(field.to_owned(), items);
    }
    if let Some(next) = next {
        answer.insert("next_page_token".into(), page::token(next).into());
    }
    Value::Object(answer)
}
