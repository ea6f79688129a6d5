//! Why a backend cannot be built. Owns the messages of configuration mistakes; what goes wrong with a call is a
//! `tidegate_core::Fault`.

use std::path::PathBuf;

/// Why a backend cannot be built from its spec.
#[derive(Debug, thiserror::Error)]
pub enum BuildFault {
    /// No endpoints.
    #[error("the provider has no endpoint; give it at least one `url`")]
    NoEndpoint,
    /// An address that cannot be called.
    #[error("{url} cannot be called: {why}")]
    Url {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A proxy that cannot be used.
    #[error("the proxy {proxy} cannot be used: {why}")]
    Proxy {
        /// The proxy, without its credentials.
        proxy: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A certificate file that cannot be read.
    #[error("the authorities in {} cannot be read: {why}; `ca` names a PEM file with at least one certificate", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A secret that does not fit into a header.
    #[error("the credentials of the provider hold a character that no header can carry; look for a line break in them")]
    Credentials,
    /// The TLS library refuses its settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}
