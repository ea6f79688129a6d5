//! A small server of a test: it answers each request by a function, with TLS where it is given a certificate. Owns just as
//! much HTTP as clients of one request need; it lives to the end of the test, or until it is stopped.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What a server was asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// The path with its query.
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What it answers: a status, further headers and a body.
pub(crate) type Said = (u16, Vec<(String, String)>, Vec<u8>);

/// How it answers.
pub(crate) type By = dyn Fn(&Asked) -> Said + Send + Sync;

/// A server.
pub(crate) struct Server {
    address: SocketAddr,
    scheme: &'static str,
    asked: Arc<Mutex<Vec<Asked>>>,
    is_over: Arc<AtomicBool>,
}

/// A certificate for `localhost` that certifies itself, and its key, both PEM.
pub(crate) fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

impl Server {
    /// Over plain http.
    pub(crate) fn start(by: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        Self::serve(None, Arc::new(by))
    }

    /// Over https, as `localhost`.
    pub(crate) fn start_tls(
        (cert, key): &(String, String),
        by: impl Fn(&Asked) -> Said + Send + Sync + 'static,
    ) -> Self {
        let cert = CertificateDer::from_pem_slice(cert.as_bytes()).expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![cert], key)
            .expect("they fit together");
        Self::serve(Some(Arc::new(config)), Arc::new(by))
    }

    fn serve(tls: Option<Arc<rustls::ServerConfig>>, by: Arc<By>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (asked, is_over) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::<AtomicBool>::default());
        let server = Self { address, scheme, asked: Arc::clone(&asked), is_over: Arc::clone(&is_over) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if is_over.load(Ordering::SeqCst) {
                    break;
                }
                let (tls, by, asked) = (tls.clone(), Arc::clone(&by), Arc::clone(&asked));
                std::thread::spawn(move || match tls {
                    None => answer(stream, &*by, &asked),
                    Some(config) => {
                        let connection = rustls::ServerConnection::new(config).expect("a connection");
                        answer(rustls::StreamOwned::new(connection, stream), &*by, &asked);
                    }
                });
            }
        });
        server
    }

    /// Its address, with this path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.address.port())
    }

    /// Its host and port.
    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no thread panicked").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts, which then ends and closes the port.
        drop(TcpStream::connect(self.address));
    }
}

fn answer(stream: impl Read + Write, by: &By, all: &Mutex<Vec<Asked>>) {
    let mut reader = BufReader::new(stream);
    let Some(asked) = read(&mut reader) else { return };
    let (status, headers, body) = by(&asked);
    all.lock().expect("no thread panicked").push(asked);
    let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    let mut stream = reader.into_inner();
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).and_then(|()| stream.flush()));
}

fn read(reader: &mut BufReader<impl Read>) -> Option<Asked> {
    let (mut asked, mut line, mut length) = (Asked::default(), String::new(), 0);
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    (asked.method, asked.path) = (words.next()?.to_owned(), words.next()?.to_owned());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().ok()?;
        }
        asked.headers.push((name.to_owned(), value.to_owned()));
    }
    asked.body = vec![0; length];
    reader.read_exact(&mut asked.body).ok()?;
    Some(asked)
}
