//! The port to those who say how good an answer is, before its caller gets it.

use super::BoxFuture;
use crate::Fault;
use crate::said::Said;
use bytes::Bytes;

/// Says how good answers are.
pub trait Judge: Send + Sync + std::fmt::Debug {
    /// How good what was `said` is as the answer to this request, which is the caller's body.
    ///
    /// # Errors
    /// Nobody can say it now.
    fn judge<'a>(&'a self, request: &'a Bytes, said: &'a Said) -> BoxFuture<'a, Result<Opinion, Fault>>;
}

/// What a judge says.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Opinion {
    /// How good the answer is, in `[0, 1]`; `None` where the judge has nothing to say.
    pub score: Option<f64>,
    /// What the judgement cost, in tokens.
    pub tokens: u64,
    /// And in USD.
    pub usd: f64,
}
