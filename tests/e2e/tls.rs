//! TLS: HTTP/1.1 and HTTP/2 by ALPN, certificates that change without dropping anybody, and clients known by theirs.

use crate::harness::events::event;
use crate::harness::wire::Part;
use crate::harness::{Client, Gateway, Home, Upstream, chat, eventually, home};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority of the tests");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate with its key, both PEM.
    fn issue(&self, common: &str, organisation: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, common);
        params.distinguished_name.push(DnType::OrganizationName, organisation);
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// What a client that trusts this authority brings along.
    fn client(
        &self,
        own: Option<(String, String)>,
        alpn: &[&str],
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    fn plain_client(&self) -> Arc<rustls::ClientConfig> {
        self.client(None, &["http/1.1"], rustls::DEFAULT_VERSIONS)
    }
}

struct Secured {
    authority: Authority,
    home: Home,
    gateway: Gateway,
    client: Client,
    _upstream: Upstream,
}

async fn secured(client_ca: bool) -> Secured {
    let (authority, upstream, home) = (Authority::new(), Upstream::start().await, Home::new());
    let (cert, key) = authority.issue("gateway", "tests");
    home.write("cert.pem", &cert);
    home.write("key.pem", &key);
    home.write("ca.pem", &authority.pem());
    let tls =
        if client_ca { "{cert: cert.pem, key: key.pem, client_ca: ca.pem}" } else { "{cert: cert.pem, key: key.pem}" };
    let base = home::BASE
        .replace("{address: \"127.0.0.1:0\"}}\nadmin", &format!("{{address: \"127.0.0.1:0\", tls: {tls}}}}}\nadmin"));
    home.write(
        "config.yaml",
        &format!("{base}{}{}", crate::harness::provider("pool", &[&upstream]), crate::harness::ROUTES),
    );
    let key = home.key(&["infer"]);
    let gateway = home.serve().await;
    let client = gateway.client().with_key(&key).with_tls(authority.plain_client());
    Secured { authority, home, gateway, client, _upstream: upstream }
}

#[tokio::test]
async fn calls_go_through_tls() {
    let secured = secured(false).await;
    assert_eq!(secured.client.chat(&chat("mock")).await.status(), 200);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = secured.client.with_tls(secured.authority.client(None, &["http/1.1"], &[version]));
        assert_eq!(client.chat(&chat("mock")).await.status(), 200, "{version:?}");
    }
}

#[tokio::test]
async fn http2_is_agreed_upon() {
    let secured = secured(false).await;
    let tls = secured.authority.client(None, &["h2", "http/1.1"], rustls::DEFAULT_VERSIONS);
    let stream = tokio::net::TcpStream::connect(secured.gateway.address("public")).await.unwrap();
    let mut stream =
        tokio_rustls::TlsConnector::from(tls).connect("localhost".try_into().unwrap(), stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[3], 4, "the first frame of an HTTP/2 server is SETTINGS");
}

#[tokio::test]
async fn plain_text_on_a_tls_listener_does_no_harm() {
    let secured = secured(false).await;
    let mut wire = secured.gateway.client().connect().await;
    wire.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let told = wire.rest().await;
    assert!(!told.starts_with(b"HTTP/1.1 200"), "{told:?}");
    assert_eq!(secured.client.chat(&chat("mock")).await.status(), 200);
}

/// The serial number of the certificate that a new connection is shown.
async fn shown(secured: &Secured) -> CertificateDer<'static> {
    let stream = tokio::net::TcpStream::connect(secured.gateway.address("public")).await.unwrap();
    let stream = tokio_rustls::TlsConnector::from(secured.authority.plain_client())
        .connect("localhost".try_into().unwrap(), stream)
        .await
        .unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test]
async fn a_new_certificate_is_shown_and_nobody_is_dropped() {
    let secured = secured(false).await;
    let mut wire = secured.client.connect().await;
    let old = shown(&secured).await;
    let (cert, key) = secured.authority.issue("gateway", "renewed");
    // Between the two writes the files do not fit together, which must do no harm.
    secured.home.replace("cert.pem", &cert);
    secured.home.replace("key.pem", &key);
    eventually("the new certificate", async || (shown(&secured).await != old).then_some(())).await;
    assert_eq!(secured.client.chat(&chat("mock")).await.status(), 200);
    wire.write(&secured.client.request("POST", "/v1/chat/completions", &[], chat("mock").to_string().as_bytes())).await;
    let head = wire.head().await.expect("the old connection lives");
    assert_eq!(head.status, 200);
    let mut framing = head.framing();
    while let Part::Data(_) = wire.part(&mut framing).await {}
    secured.home.replace("cert.pem", "no certificate");
    let refused = secured.gateway.admin().post("/admin/v1/reload", &serde_json::json!({})).await;
    assert_eq!(refused.status(), 422, "{}", refused.text());
    assert_eq!(secured.client.chat(&chat("mock")).await.status(), 200);
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate() {
    let secured = secured(true).await;
    let bare = secured.client.without_key();
    let mut refused = true;
    if let Ok(mut wire) = bare.try_connect().await {
        // With TLS 1.3 the client learns of its refusal at its first read.
        wire.write(&bare.request("GET", "/v1/models", &[], b"")).await;
        refused = wire.head().await.is_none();
    }
    assert!(refused, "a client without a certificate was let in");
    let stranger = Authority::new();
    let foreign = bare.with_tls(secured.authority.client(
        Some(stranger.issue("eve", "x")),
        &["http/1.1"],
        rustls::DEFAULT_VERSIONS,
    ));
    if let Ok(mut wire) = foreign.try_connect().await {
        wire.write(&foreign.request("GET", "/v1/models", &[], b"")).await;
        assert!(wire.head().await.is_none(), "a stranger's certificate was taken");
    }
    let known = bare.with_tls(secured.authority.client(
        Some(secured.authority.issue("alice", "shop")),
        &["http/1.1"],
        rustls::DEFAULT_VERSIONS,
    ));
    let answer = known.chat(&chat("mock")).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let record = event(&secured.gateway.admin(), &answer.request_id()).await;
    assert_eq!((record["principal"].as_str(), record["tenant"].as_str()), (Some("alice"), Some("shop")));
}
