//! Whom we trust, and the TLS settings of a client. Owns the choice of the one TLS provider and the loading of
//! authorities; connecting is `dial`'s.

use crate::BuildFault;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// Authorities that are trusted. Loading them costs milliseconds, so load once and share.
#[derive(Debug, Clone)]
pub struct TlsRoots(Arc<RootCertStore>);

impl TlsRoots {
    /// No authority: for providers that are not reached over TLS.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::new(RootCertStore::empty()))
    }

    /// The system's authorities; Mozilla's where the system has none.
    #[must_use]
    pub fn system() -> Self {
        let found = rustls_native_certs::load_native_certs();
        for fault in &found.errors {
            tracing::warn!(%fault, "an authority of the system cannot be read");
        }
        let mut store = RootCertStore::empty();
        let (added, ignored) = store.add_parsable_certificates(found.certs);
        if ignored > 0 {
            tracing::debug!(added, ignored, "some authorities of the system are malformed");
        }
        if store.is_empty() {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Self(Arc::new(store))
    }

    /// The authorities of a PEM file, and no others.
    ///
    /// # Errors
    /// The file cannot be read or holds no certificate.
    pub fn from_file(path: &Path) -> Result<Self, BuildFault> {
        let fault = |why: String| BuildFault::Authorities { path: path.to_owned(), why };
        let mut store = RootCertStore::empty();
        for cert in CertificateDer::pem_file_iter(path).map_err(|e| fault(e.to_string()))? {
            let cert = cert.map_err(|e| fault(e.to_string()))?;
            store.add(cert).map_err(|e| fault(e.to_string()))?;
        }
        if store.is_empty() {
            return Err(fault("it holds no certificate".to_owned()));
        }
        Ok(Self(Arc::new(store)))
    }

    /// Settings of a client that trusts them and offers `protocols`.
    pub(crate) fn client(&self, protocols: &[&[u8]]) -> Result<Arc<ClientConfig>, BuildFault> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&self.0))
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
        Ok(Arc::new(config))
    }
}
