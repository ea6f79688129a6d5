//! Addresses served.

use crate::Secret;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// An address served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSpec {
    /// Its name.
    pub name: String,
    /// The address; port 0 takes a free one.
    pub address: SocketAddr,
    /// TLS, where it has it.
    pub tls: Option<TlsSpec>,
    /// Which pages of browsers may call.
    pub cors: CorsSpec,
    /// The largest body taken, in bytes.
    pub max_body: u64,
    /// Until when the head of a request must be there, and how long an idle connection is kept.
    pub head_timeout: Duration,
    /// Until when its body must be there.
    pub body_timeout: Duration,
    /// The most connections at once.
    pub max_connections: usize,
}

/// The files of TLS, read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSpec {
    /// The certificate chain, PEM.
    pub cert: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
    /// The authorities of client certificates, PEM; a client must then show one.
    pub client_ca: Option<PathBuf>,
}

/// Which pages of browsers may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsSpec {
    /// None.
    Off,
    /// Any (the key is still needed).
    Any,
    /// Those of these origins.
    Origins(Vec<String>),
}

/// The admin interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSpec {
    /// The address; port 0 takes a free one.
    pub address: SocketAddr,
    /// A token that has the role `admin`, beside the keys that have it.
    pub token: Option<Secret>,
}
