//! Local models that sleep: by an admin's word, and by themselves where the configuration says after which time.

use super::Reloader;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_core::port::audit::Noted;
use tidegate_core::port::sleeper::{Rest, Sleeper};
use tidegate_core::{Fault, FaultKind, ModelName};

/// How often is looked who sleeps by now.
const LOOK: Duration = Duration::from_millis(500);

/// What an admin wants of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RestOrder {
    /// That it gives its memory back.
    Sleep,
    /// That it takes it again.
    Wake,
}

/// Whether a model that shall sleep after so long without a call shall do so now.
fn is_due(rest: Rest, after: Duration, now: Instant) -> bool {
    matches!(rest, Rest::Idle { since } if now.saturating_duration_since(since) >= after)
}

impl Reloader {
    /// Has a model sleep or wakes it; says how it stands then.
    ///
    /// # Errors
    /// There is no such model, it cannot sleep, it has calls in work, or there is no room for it.
    pub(crate) async fn rest(&self, by: &str, model: &ModelName, order: RestOrder) -> Result<Rest, Fault> {
        let sleeper = self.sleeper(model).await?;
        let before = sleeper.rest();
        let action = match order {
            RestOrder::Sleep => {
                sleeper.sleep().await?;
                "model.sleep"
            }
            RestOrder::Wake => {
                sleeper.wake().await?;
                "model.wake"
            }
        };
        let now = sleeper.rest();
        if (before == Rest::Asleep) != (now == Rest::Asleep) {
            tracing::info!(%model, state = now.as_str(), by, "a model sleeps or wakes by an order");
            self.note_rest(by, action, model).await;
        }
        Ok(now)
    }

    /// How a model stands that can sleep.
    ///
    /// # Errors
    /// There is no such model, or it cannot sleep.
    pub(crate) async fn rest_of(&self, model: &ModelName) -> Result<Rest, Fault> {
        Ok(self.sleeper(model).await?.rest())
    }

    async fn sleeper(&self, model: &ModelName) -> Result<Arc<dyn Sleeper>, Fault> {
        let parts = self.parts.lock().await;
        let spec = self.spec();
        let none = || Fault::new(FaultKind::NotFound, format!("the configuration has no model `{model}`"));
        let found = spec.models.get(model).ok_or_else(none)?;
        let cannot = || {
            let says = format!("the model `{model}` cannot sleep: only language models of a local provider do");
            Fault::new(FaultKind::Conflict, says)
        };
        parts.backend(found).and_then(|backend| backend.sleeper()).ok_or_else(cannot)
    }

    /// Has those sleep who shall by themselves, until the gateway ends.
    pub(crate) fn follow_sleep(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        let this = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                let Some(this) = this.upgrade() else { return };
                // While a reload has the parts, which may load a model, the next look is soon enough.
                let sleepers = this.parts.try_lock().map(|parts| parts.sleepers()).unwrap_or_default();
                let now = this.tools.clock.now();
                for (model, after, sleeper) in sleepers {
                    if is_due(sleeper.rest(), after, now) && sleeper.sleep().await.is_ok() {
                        tracing::info!(%model, idle = after.as_secs(), "a model sleeps since nobody called it");
                    }
                }
            }
        })
    }

    /// Enters it into the audit log, where there is one; the deed stands all the same.
    async fn note_rest(&self, by: &str, action: &'static str, model: &ModelName) {
        let Some(audit) = self.tools.registry.as_ref().map(|shelf| Arc::clone(&shelf.audit)) else { return };
        let noted = Noted { by: by.to_owned(), action, subject: format!("local:/{model}"), detail: json!({}) };
        if let Err(fault) = audit.enter(noted).await {
            tracing::error!(%fault, "the audit log does not say so");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_had_no_call_for_that_long_sleeps_and_nobody_else() {
        let (since, after) = (Instant::now(), Duration::from_secs(10));
        let at = |seconds| since + Duration::from_secs(seconds);
        assert!(is_due(Rest::Idle { since }, after, at(10)) && !is_due(Rest::Idle { since }, after, at(9)));
        assert!(!is_due(Rest::Busy, after, at(100)) && !is_due(Rest::Asleep, after, at(100)));
    }
}
