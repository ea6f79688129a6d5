//! The way out for downloads, as a port: tests bring a fake, the program the web. Owns nothing of HTTP itself.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use std::fmt;
use std::time::Duration;
use tidegate_core::port::BoxFuture;

/// What comes with an answer, as it comes.
pub(crate) type Body = UnsyncBoxBody<Bytes, BodyFault>;

/// Why an answer's body broke off.
#[derive(Debug)]
pub(crate) struct BodyFault(pub(crate) String);

impl fmt::Display for BodyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum TransportFault {
    /// No connection.
    Unreachable(String),
    /// A connection, but no answer.
    Failed(String),
}

impl TransportFault {
    /// A failure after connecting.
    pub(crate) fn failed(why: impl fmt::Display) -> Self {
        Self::Failed(why.to_string())
    }
}

impl fmt::Display for TransportFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "no connection: {why}"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

/// Sends one request to the host of its absolute address; follows no redirects.
pub(crate) trait Transport: Send + Sync + fmt::Debug {
    /// The answer's head; its body comes as it is read. A connection may take `connect`.
    fn send(&self, request: Request<Bytes>, connect: Duration)
    -> BoxFuture<'_, Result<Response<Body>, TransportFault>>;
}
