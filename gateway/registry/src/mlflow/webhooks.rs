//! The calls on webhooks.

use super::models::listing;
use super::params::Params;
use crate::fault::RegistryFault;
use crate::page;
use crate::registry::{Actor, Registry, WebhookRequest};
use crate::store::search::Range;
use crate::webhook::Event;
use serde_json::{Value, json};

pub(super) async fn create(registry: &Registry, by: &Actor, params: &Params) -> Result<Value, RegistryFault> {
    let mut new = request(params)?;
    new.events.get_or_insert_default();
    Ok(json!({"webhook": registry.create_webhook(by, new).await?}))
}

pub(super) async fn list(registry: &Registry, params: &Params) -> Result<Value, RegistryFault> {
    let limit = match params.number("max_results") {
        None | Some(0) => 100,
        Some(limit @ 1..=1000) => limit,
        Some(_) => return Err(RegistryFault::invalid("max_results must be between 1 and 1000.")),
    };
    let token = params.text("page_token");
    let offset = if token.is_empty() { 0 } else { page::offset(token)? };
    let range = Range { limit: u32::try_from(limit).unwrap_or(100), offset };
    let page = registry.webhooks(range).await?;
    Ok(listing("webhooks", json!(page.items), page.items.is_empty(), page.next))
}

pub(super) async fn get(registry: &Registry, id: &str) -> Result<Value, RegistryFault> {
    Ok(json!({"webhook": registry.webhook(id).await?}))
}

pub(super) async fn update(registry: &Registry, by: &Actor, id: &str, params: &Params) -> Result<Value, RegistryFault> {
    let mut new = request(params)?;
    // What is sent empty stays as it was, but for a description and a secret, which can be taken away.
    new.name = new.name.filter(|name| !name.is_empty());
    new.url = new.url.filter(|url| !url.is_empty());
    new.events = new.events.filter(|events| !events.is_empty());
    Ok(json!({"webhook": registry.update_webhook(by, id, new).await?}))
}

pub(super) async fn delete(registry: &Registry, by: &Actor, id: &str) -> Result<Value, RegistryFault> {
    registry.delete_webhook(by, id).await
}

pub(super) async fn test(registry: &Registry, id: &str, params: &Params) -> Result<Value, RegistryFault> {
    let event = params.value("event").map(Event::read).transpose()?;
    Ok(json!({"result": registry.test_webhook(id, event).await?}))
}

fn request(params: &Params) -> Result<WebhookRequest, RegistryFault> {
    let text = |name: &str| params.given(name).map(str::to_owned);
    let events = match params.value("events") {
        Some(Value::Array(values)) => Some(values.iter().map(Event::read).collect::<Result<_, _>>()?),
        _ => None,
    };
    let is_active = match params.value("status") {
        Some(Value::String(status)) if status == "ACTIVE" => Some(true),
        Some(Value::String(status)) if status == "DISABLED" => Some(false),
        Some(Value::Number(status)) if status.as_u64() == Some(1) => Some(true),
        Some(Value::Number(status)) if status.as_u64() == Some(2) => Some(false),
        _ => None,
    };
    Ok(WebhookRequest {
        name: text("name"),
        description: text("description"),
        url: text("url"),
        events,
        secret: text("secret"),
        is_active,
    })
}
