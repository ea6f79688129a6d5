//! TLS of a listener: its files, read again when they change, and who a client's certificate says it is.

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate_core::digest::Digest;
use tidegate_core::spec::TlsSpec;
use tidegate_core::{Caller, KeyRecord, Role};

/// The TLS of one listener; connections keep the certificate that they began with.
#[derive(Debug)]
pub struct Tls {
    spec: TlsSpec,
    current: ArcSwap<ServerConfig>,
}

/// Why TLS could not be set up from its files.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// A file cannot be read or holds nothing of its kind.
    #[error("{} holds no {what} in PEM: {why}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// Certificate and key do not go together, or rustls refuses them.
    #[error("the certificate and the key cannot be used: {0}")]
    Refused(#[from] rustls::Error),
    /// The client authorities cannot be used.
    #[error("the client authorities cannot be used: {0}")]
    Authorities(String),
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// Says which file cannot be used and why.
    pub fn read(spec: TlsSpec) -> Result<Self, TlsFault> {
        let current = ArcSwap::from_pointee(configure(&spec)?);
        Ok(Self { spec, current })
    }

    /// Reads the files again; new connections use them.
    ///
    /// # Errors
    /// Says which file cannot be used; the old ones stay in force.
    pub fn reload(&self) -> Result<(), TlsFault> {
        self.current.store(Arc::new(configure(&self.spec)?));
        Ok(())
    }

    /// What it was made from.
    #[must_use]
    pub const fn spec(&self) -> &TlsSpec {
        &self.spec
    }

    /// The configuration for a new connection.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

fn configure(spec: &TlsSpec) -> Result<ServerConfig, TlsFault> {
    let chain = certificates(&spec.cert)?;
    let key = PrivateKeyDer::from_pem_file(&spec.key).map_err(|e| file(&spec.key, "private key", &e))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match &spec.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(path)? {
                roots.add(authority)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|e| TlsFault::Authorities(e.to_string()))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|e| file(path, "certificate", &e))?;
    if found.is_empty() {
        return Err(file(path, "certificate", &"none found"));
    }
    Ok(found)
}

fn file(path: &Path, what: &'static str, why: &dyn std::fmt::Display) -> TlsFault {
    TlsFault::File { file: path.to_owned(), what, why: why.to_string() }
}

/// The caller that a verified client certificate names: its subject's common name as principal, its organisation as
/// tenant. It may call routes.
#[must_use]
pub fn certified(chain: Option<&[CertificateDer<'_>]>) -> Option<Caller> {
    let leaf = chain?.first()?;
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf).ok()?;
    let subject = parsed.subject();
    let common = subject.iter_common_name().next()?.as_str().ok()?;
    let organisation = subject.iter_organization().next().and_then(|o| o.as_str().ok()).unwrap_or("default");
    let name = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() || "._-@".contains(c) { c } else { '-' }).take(100).collect()
    };
    let digest = Digest::of(leaf);
    Some(Caller(Arc::new(KeyRecord {
        id: format!("cert-{}", digest.short()).parse().ok()?,
        digest,
        principal: name(common).parse().ok()?,
        tenant: name(organisation).parse().ok()?,
        roles: BTreeSet::from([Role::Infer, Role::Feedback]),
        routes: None,
        expires: None,
        tags: BTreeMap::new(),
    })))
}
