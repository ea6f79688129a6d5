//! Listeners: sockets to requests. Owns accepting, TLS, HTTP/1 and HTTP/2, their deadlines and the drain.

pub mod connection;
pub mod drain;
pub mod listener;
pub mod stall;
pub mod tls;

pub use drain::Drain;
pub use listener::Listener;

use std::sync::Arc;
use std::time::Duration;
use tidegate_core::Caller;
use tidegate_core::port::prompts::Reach;
use tidegate_core::spec::{CorsSpec, Priority};

/// The other end of a connection, and what its listener grants it.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Who its client certificate says it is.
    pub certified: Option<Caller>,
    /// From where it comes.
    pub reach: Reach,
    /// How its calls stand in queues at most.
    pub most: Priority,
    /// What all connections of its listener share.
    pub terms: Arc<Terms>,
}

/// What a listener grants its connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Whether it is the admin listener.
    pub admin: bool,
    /// Whether it speaks TLS.
    pub is_tls: bool,
    /// Which pages of browsers may call.
    pub cors: CorsSpec,
    /// The largest body taken, in bytes.
    pub max_body: u64,
    /// Until when the head of a request must be there.
    pub head_timeout: Duration,
    /// Until when its body must be there.
    pub body_timeout: Duration,
}
