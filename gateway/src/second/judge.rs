//! A judge of answers that is a model. Owns what its word costs.

use super::Second;
use bytes::Bytes;
use std::time::Duration;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::judge::{Judge, Opinion};
use tidegate_core::{Fault, Price, Said};

/// Asks a model how good answers are.
#[derive(Debug)]
pub(crate) struct ModelJudge {
    model: Second,
    price: Option<Price>,
    timeout: Duration,
}

impl ModelJudge {
    /// A judge that takes so long at most.
    pub(crate) const fn new(model: Second, price: Option<Price>, timeout: Duration) -> Self {
        Self { model, price, timeout }
    }
}

impl Judge for ModelJudge {
    fn judge<'a>(&'a self, request: &'a Bytes, said: &'a Said) -> BoxFuture<'a, Result<Opinion, Fault>> {
        Box::pin(async move {
            let (score, word) = self.model.graded(request, &said.first(), self.timeout).await?;
            let usage = word.usage.unwrap_or_default();
            let usd = self.price.map_or(0.0, |price| price.cost(&usage));
            Ok(Opinion { score, tokens: usage.total(), usd })
        })
    }
}
