//! The port to other servers, for single requests such as the delivery of a webhook.

use super::BoxFuture;
use crate::Fault;
use bytes::Bytes;
use http::{Request, Response};
use std::net::IpAddr;

/// Sends single requests.
pub trait Outbound: Send + Sync + std::fmt::Debug {
    /// Sends a request to the absolute URI that it has and reads all of the answer, whatever its status. No redirect is
    /// followed.
    fn send(&self, request: Request<Bytes>, reach: Reach) -> BoxFuture<'_, Result<Response<Bytes>, Fault>>;
}

/// Where a request may go, whatever its address says: what a caller wrote must not reach what only we can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// By `https` to public addresses alone.
    Public,
    /// Anywhere.
    Any,
    /// To this address, which was checked; what the name of its host leads to is not asked again.
    At(IpAddr),
}
