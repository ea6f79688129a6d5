//! A model that runs elsewhere and whose inputs are held to what was agreed. Owns that a call that breaks it is refused before its
//! provider is asked; all else is the provider's.

use super::Agreed;
use std::sync::Arc;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::backend::{Answer, Backend, Call, EndpointReport, Frames};
use tidegate_core::tensor::ModelMeta;
use tidegate_core::{EndpointName, Fault, PredictAnswer};

/// A provider of classic models behind what was agreed of one of them.
#[derive(Debug)]
pub(crate) struct Held {
    inner: Arc<dyn Backend>,
    agreed: Agreed,
}

impl Held {
    /// `inner` behind what was agreed.
    pub(crate) fn new(inner: Arc<dyn Backend>, agreed: Agreed) -> Self {
        Self { inner, agreed }
    }

    async fn answered(&self, call: Call) -> Result<Answer, Fault> {
        let violations = call.predict.as_ref().map(|asked| self.agreed.hold(&asked.request)).transpose()?;
        let mut answer = self.inner.complete(call).await?;
        if let Some(predicted) = answer.predicted.take() {
            let predicted = Arc::unwrap_or_clone(predicted);
            answer.predicted = Some(Arc::new(PredictAnswer { violations: violations.map(u32::from), ..predicted }));
        }
        Ok(answer)
    }
}

impl Backend for Held {
    fn complete(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(self.answered(call))
    }

    fn stream(&self, call: Call) -> BoxFuture<'_, Result<Frames, Fault>> {
        self.inner.stream(call)
    }

    fn ready(&self) -> bool {
        self.inner.ready()
    }

    fn is_classic(&self) -> bool {
        self.inner.is_classic()
    }

    fn describe<'a>(&'a self, model: &'a str) -> BoxFuture<'a, Result<ModelMeta, Fault>> {
        self.inner.describe(model)
    }

    fn has_other(&self, than: &EndpointName) -> bool {
        self.inner.has_other(than)
    }

    fn endpoints(&self) -> Vec<EndpointReport> {
        self.inner.endpoints()
    }

    fn violations(&self) -> Vec<(String, &'static str, u64)> {
        self.agreed.broken()
    }
}
