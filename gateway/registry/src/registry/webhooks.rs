//! Webhooks: made, changed, removed, and told of what happened.

use super::{Actor, Begun, Registry};
use crate::db::Deed;
use crate::fault::RegistryFault;
use crate::store::search::{Page, Range};
use crate::store::webhooks;
use crate::webhook::delivery::{no_courier, tested};
use crate::webhook::{Event, Webhook, check_name, check_url};
use serde_json::{Value, json};
use tidegate_core::InferenceId;

/// The most webhooks of one registry: each change tells all of them.
const MOST: i64 = 1000;

/// A webhook to be made or changed: what is not given stays, or is empty where it is new.
#[derive(Debug, Clone, Default)]
pub struct WebhookRequest {
    /// What its owner calls it.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Where to.
    pub url: Option<String>,
    /// Of what.
    pub events: Option<Vec<Event>>,
    /// What deliveries are signed with.
    pub secret: Option<String>,
    /// Whether it is told anything.
    pub is_active: Option<bool>,
}

impl Registry {
    /// A webhook.
    ///
    /// # Errors
    /// There is none of this id.
    pub async fn webhook(&self, id: &str) -> Result<Webhook, RegistryFault> {
        webhooks::get(&mut *self.db.read().await?, id).await
    }

    /// Webhooks, the newest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn webhooks(&self, range: Range) -> Result<Page<Webhook>, RegistryFault> {
        let offset = i64::try_from(range.offset).unwrap_or(i64::MAX);
        let mut db = self.db.read().await?;
        let mut items = webhooks::list(&mut db, i64::from(range.limit) + 1, offset).await?;
        let next = (items.len() > range.limit as usize).then(|| range.offset + u64::from(range.limit));
        items.truncate(range.limit as usize);
        Ok(Page { items, next })
    }

    /// Makes a webhook; answers with it.
    ///
    /// # Errors
    /// A field of it is wrong.
    pub async fn create_webhook(&self, by: &Actor, new: WebhookRequest) -> Result<Value, RegistryFault> {
        let events = new.events.clone().unwrap_or_default();
        self.check_webhook(new.name.as_deref().unwrap_or_default(), new.url.as_deref().unwrap_or_default(), &events)?;
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        if webhooks::list(change.db(), 1, MOST - 1).await?.len() == 1 {
            return Err(RegistryFault::invalid(format!("a registry has at most {MOST} webhooks: remove one first")));
        }
        let now = change.now();
        let made = Webhook {
            id: InferenceId::new(&*self.clock, &*self.dice).to_string(),
            name: new.name.unwrap_or_default(),
            description: new.description.unwrap_or_default(),
            url: new.url.unwrap_or_default(),
            events,
            secret: new.secret.unwrap_or_default(),
            is_active: new.is_active.unwrap_or(true),
            created: now,
            updated: now,
        };
        webhooks::write(&mut change, &made).await?;
        let deed = Deed::new("webhook.create", format!("webhooks:/{}", made.id), json!(made));
        self.finish(change, by, deed, json!(made)).await
    }

    /// Changes a webhook; answers with it.
    ///
    /// # Errors
    /// There is none of this id, or a field is wrong.
    pub async fn update_webhook(&self, by: &Actor, id: &str, new: WebhookRequest) -> Result<Value, RegistryFault> {
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        let old = webhooks::get(change.db(), id).await?;
        let made = Webhook {
            id: old.id,
            name: new.name.unwrap_or(old.name),
            description: new.description.unwrap_or(old.description),
            url: new.url.unwrap_or(old.url),
            events: new.events.unwrap_or(old.events),
            secret: new.secret.unwrap_or(old.secret),
            is_active: new.is_active.unwrap_or(old.is_active),
            created: old.created,
            updated: change.now(),
        };
        self.check_webhook(&made.name, &made.url, &made.events)?;
        webhooks::write(&mut change, &made).await?;
        let deed = Deed::new("webhook.update", format!("webhooks:/{id}"), json!(made));
        self.finish(change, by, deed, json!(made)).await
    }

    /// Removes a webhook.
    ///
    /// # Errors
    /// There is none of this id.
    pub async fn delete_webhook(&self, by: &Actor, id: &str) -> Result<Value, RegistryFault> {
        let mut change = match self.begin(by).await? {
            Begun::Now(change) => change,
            Begun::Before(answer) => return Ok(answer),
        };
        webhooks::delete(&mut change, id).await?;
        let deed = Deed::new("webhook.delete", format!("webhooks:/{id}"), json!({}));
        self.finish(change, by, deed, json!({})).await
    }

    /// Sends a webhook an example, and says what came of it.
    ///
    /// # Errors
    /// There is none of this id, or nobody who delivers.
    pub async fn test_webhook(&self, id: &str, event: Option<Event>) -> Result<Value, RegistryFault> {
        let courier = self.courier.as_ref().ok_or_else(no_courier)?;
        let webhook = self.webhook(id).await?;
        let event = event.or_else(|| webhook.events.first().copied());
        let event = event.ok_or_else(|| RegistryFault::invalid("the webhook has no events"))?;
        Ok(tested(&courier.deliver(&webhook, event, &event.example()).await))
    }

    /// Tells whoever wants to know. The change is done already: nothing here fails it.
    pub(crate) async fn tell(&self, entity: &'static str, action: &'static str, data: Value) {
        let (Some(courier), Some(event)) = (&self.courier, Event::find(entity, action)) else { return };
        let all = async { webhooks::list(&mut *self.db.read().await?, MOST, 0).await };
        match all.await {
            Ok(all) => {
                for webhook in all.into_iter().filter(|webhook| webhook.is_active && webhook.events.contains(&event)) {
                    courier.tell(webhook, event, data.clone());
                }
            }
            Err(fault) => tracing::error!(%fault, entity, action, "webhooks were not told"),
        }
    }

    fn check_webhook(&self, name: &str, url: &str, events: &[Event]) -> Result<(), RegistryFault> {
        let courier = self.courier.as_ref().ok_or_else(no_courier)?;
        check_name(name)?;
        check_url(url, courier.reach())?;
        if events.is_empty() {
            return Err(RegistryFault::invalid("Webhook events must be a non-empty list of WebhookEvent objects: []."));
        }
        if (1..events.len()).any(|i| events[..i].contains(&events[i])) {
            return Err(RegistryFault::invalid("Webhook events must not name one twice."));
        }
        Ok(())
    }
}
