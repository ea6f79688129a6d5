//! What can go wrong with a call. Owns the kinds, their side and their retry class; the status and the body that a
//! caller sees are the server's.

use crate::EndpointName;
use crate::port::filter::Refused;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// Whose doing a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The caller's.
    Client,
    /// The provider's.
    Upstream,
    /// Ours.
    Us,
}

/// Whether the same call may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// It would fail again, or must not be repeated.
    Never,
    /// It never reached the provider: repeating it is safe.
    Unsent,
    /// The provider refused or failed it before any part of an answer.
    Refused,
}

/// What went wrong: a closed set, so it may be a metric label and a condition of a fallback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The body or a field of it is wrong (400).
    InvalidRequest,
    /// No key, or an unknown, revoked or expired one (401).
    Unauthenticated,
    /// The key may not do this (403).
    Forbidden,
    /// No such path (404).
    NotFound,
    /// No such route (404, `model_not_found`).
    ModelNotFound,
    /// The path does not take this method (405).
    MethodNotAllowed,
    /// The body did not arrive in time (408).
    RequestTimeout,
    /// The state of the thing named does not allow this (409).
    Conflict,
    /// The body is larger than the listener takes (413).
    TooLarge,
    /// The body is not of a type or encoding that is taken (415).
    UnsupportedMedia,
    /// The head is larger than the listener takes (431).
    HeadTooLarge,
    /// The prompt is longer than the model's context (400, `context_length_exceeded`).
    ContextLength,
    /// The provider withholds the answer, or refuses the prompt, by its rules for content (400, `content_filter`).
    ContentFilter,
    /// A filter of the route refuses the call or its answer (its own 4xx and code).
    Filtered,
    /// The inputs break what was agreed with a classic model (400, `contract_broken`).
    ContractBroken,
    /// A limit of the gateway is reached (429).
    RateLimited,
    /// Our queue for this work is full (503; 429 where it is a local model's, which `upstream_status` then says).
    Overloaded,
    /// We are stopping or not ready yet (503).
    Unavailable,
    /// A filter of the route that calls may not pass unseen failed (503).
    FilterFailed,
    /// The record of the call could not be made durable (503).
    NotDurable,
    /// No connection to the provider (502).
    Unreachable,
    /// The provider did not answer in time (504).
    UpstreamTimeout,
    /// The provider refused this call as wrong (its own 4xx).
    UpstreamRefused,
    /// The provider refused our credentials or does not know the model that is configured (502).
    UpstreamMisconfigured,
    /// The provider limits us (429).
    UpstreamRateLimited,
    /// The provider failed, or its answer makes no sense (502, or its own 503).
    UpstreamFailed,
    /// The provider's stream ended before it was done.
    StreamCut,
    /// A mistake of ours (500).
    Internal,
}

impl FaultKind {
    /// Whose doing it is.
    #[must_use]
    pub const fn side(self) -> Side {
        match self {
            Self::InvalidRequest
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::NotFound
            | Self::ModelNotFound
            | Self::MethodNotAllowed
            | Self::RequestTimeout
            | Self::Conflict
            | Self::TooLarge
            | Self::UnsupportedMedia
            | Self::HeadTooLarge
            | Self::ContextLength
            | Self::ContentFilter
            | Self::Filtered
            | Self::ContractBroken
            | Self::RateLimited
            | Self::UpstreamRefused => Side::Client,
            Self::Unreachable
            | Self::UpstreamTimeout
            | Self::UpstreamMisconfigured
            | Self::UpstreamRateLimited
            | Self::UpstreamFailed
            | Self::StreamCut => Side::Upstream,
            Self::Overloaded | Self::Unavailable | Self::FilterFailed | Self::NotDurable | Self::Internal => Side::Us,
        }
    }

    /// Whether the same call may be sent again.
    #[must_use]
    pub const fn retry(self) -> Retry {
        match self {
            Self::Unreachable | Self::Overloaded => Retry::Unsent,
            Self::UpstreamTimeout | Self::UpstreamRateLimited | Self::UpstreamFailed | Self::StreamCut => {
                Retry::Refused
            }
            _ => Retry::Never,
        }
    }
}

/// One thing that went wrong, with a message for the caller and one for the log.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{kind:?}: {says}{}", .detail.as_deref().map(|d| format!(" ({d})")).unwrap_or_default())]
pub struct Fault {
    /// What it is.
    pub kind: FaultKind,
    /// For the caller: what was wrong and how to mend it; never a secret or an internal.
    pub says: Cow<'static, str>,
    /// For the log alone.
    pub detail: Option<Box<str>>,
    /// The field of the request that is wrong.
    pub param: Option<Cow<'static, str>>,
    /// When to come again.
    pub retry_after: Option<Duration>,
    /// The provider's own status, where it gave one.
    pub upstream_status: Option<u16>,
    /// The endpoint that failed.
    pub endpoint: Option<EndpointName>,
    /// What a caller sees in the place of what its kind stands for, where a filter says so.
    pub face: Option<Box<Face>>,
    /// How many rules of its contract the inputs break.
    pub violations: u16,
}

/// What a caller sees of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Face {
    /// The status, 400 to 499.
    pub status: u16,
    /// A word for programs.
    pub code: String,
}

impl Fault {
    /// A fault with its message for the caller.
    #[must_use]
    pub fn new(kind: FaultKind, says: impl Into<Cow<'static, str>>) -> Self {
        let says = says.into();
        Self {
            kind,
            says,
            detail: None,
            param: None,
            retry_after: None,
            upstream_status: None,
            endpoint: None,
            face: None,
            violations: 0,
        }
    }

    /// What a filter refuses, in its own words.
    #[must_use]
    pub fn filtered(refused: Refused) -> Self {
        let face = Face { status: refused.status.clamp(400, 499), code: refused.code };
        Self { face: Some(Box::new(face)), ..Self::new(FaultKind::Filtered, refused.message) }
    }

    /// A wrong field of the request.
    #[must_use]
    pub fn field(param: impl Into<Cow<'static, str>>, says: impl Into<Cow<'static, str>>) -> Self {
        Self { param: Some(param.into()), ..Self::new(FaultKind::InvalidRequest, says) }
    }

    /// A mistake of ours: the caller learns nothing of it, the log all.
    #[must_use]
    pub fn internal(detail: impl std::fmt::Display) -> Self {
        Self::new(FaultKind::Internal, "the gateway failed to serve this call; its log says why").because(detail)
    }

    /// Adds what only the log shall know.
    #[must_use]
    pub fn because(mut self, detail: impl std::fmt::Display) -> Self {
        self.detail = Some(detail.to_string().into());
        self
    }

    /// Adds when to come again.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Adds the provider's own status.
    #[must_use]
    pub fn with_upstream_status(mut self, status: u16) -> Self {
        self.upstream_status = Some(status);
        self
    }

    /// Adds the endpoint that failed.
    #[must_use]
    pub fn at(mut self, endpoint: EndpointName) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Whose doing it is.
    #[must_use]
    pub const fn side(&self) -> Side {
        self.kind.side()
    }
}
