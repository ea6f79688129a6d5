//! Other servers, as plugins reach them by the contract's `http-out`. Owns what a request of a guest may be, how many an
//! instance may send and how long it may wait; where one may go, and the sending, are the program's, behind a port.

use crate::bindings::rag::tidegate::plugin::http_out as wit;
use crate::bindings::rag::tidegate::plugin::types::HostError;
use crate::cell::{Cell, harmless};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of a request's body.
const BODY_BYTES: usize = 1 << 20;
/// The most bytes of an answer's body.
pub const ANSWER_BYTES: usize = 1 << 20;
/// How often an instance may send something, and how long it waits where it does not say.
const MOST_REQUESTS: u32 = 64;
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest address, the most headers and the most bytes of them.
const URL_BYTES: usize = 4096;
const HEADERS: usize = 64;
const HEADER_BYTES: usize = 16 << 10;
/// What can be asked for.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
/// What the host says of a request itself, or what would say how the connection goes on.
const OURS: [&str; 11] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "cookie",
    "user-agent",
];

/// A request of a plugin, whose form was looked at; its address was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebRequest {
    /// `GET`, `HEAD`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// The address, as the plugin says it.
    pub url: String,
    /// Names in small letters, with values of visible characters.
    pub headers: Vec<(String, String)>,
    /// 1 MiB at most.
    pub body: Vec<u8>,
}

/// An answer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebResponse {
    /// Its status, 3xx included.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// [`ANSWER_BYTES`] at most.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsent {
    /// The plugin may not reach that.
    Denied(String),
    /// The answer is longer than it may be.
    TooLong,
    /// It took too long.
    Late,
    /// It cannot be reached.
    Unavailable(String),
}

/// Sends requests of one plugin to the servers that it was granted, and nowhere else: no redirect is followed.
pub trait Web: Send + Sync + fmt::Debug {
    /// Sends one and waits for its answer, this long at most.
    ///
    /// # Errors
    /// There is none.
    fn send(&self, request: WebRequest, within: Duration) -> Result<WebResponse, Unsent>;
}

/// What an instance was granted of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Granted {
    web: Option<Arc<dyn Web>>,
    sent: u32,
}

impl Granted {
    pub(crate) const fn to(web: Option<Arc<dyn Web>>) -> Self {
        Self { web, sent: 0 }
    }

    /// What sends the next one.
    fn next(&mut self) -> Result<Arc<dyn Web>, HostError> {
        let none = || HostError::Denied("no servers were granted to this plugin".to_owned());
        let web = self.web.clone().ok_or_else(none)?;
        if self.sent >= MOST_REQUESTS {
            return Err(HostError::Quota(format!("{MOST_REQUESTS} requests are the most in one window")));
        }
        self.sent += 1;
        Ok(web)
    }
}

impl wit::Host for Cell {
    fn send(&mut self, request: wit::HttpRequest) -> wasmtime::Result<Result<wit::HttpResponse, HostError>> {
        self.count_call()?;
        Ok(self.sent(request))
    }
}

impl Cell {
    fn sent(&mut self, request: wit::HttpRequest) -> Result<wit::HttpResponse, HostError> {
        let web = self.web.next()?;
        let asked = match request.timeout_ms {
            0 => PATIENCE,
            ms => Duration::from_millis(u64::from(ms)),
        };
        let request = vetted(request).map_err(HostError::Denied)?;
        let within = self.left().min(asked);
        if within.is_zero() {
            return Err(HostError::Timeout);
        }
        match web.send(request, within) {
            Ok(WebResponse { status, headers, body }) if body.len() <= ANSWER_BYTES => {
                Ok(wit::HttpResponse { status, headers, body })
            }
            Ok(_) | Err(Unsent::TooLong) => {
                Err(HostError::Quota(format!("the answer has more than {ANSWER_BYTES} bytes")))
            }
            Err(Unsent::Denied(says)) => {
                let (plugin, says) = (&*self.plugin, harmless(&says, URL_BYTES));
                tracing::warn!(plugin, says, "the plugin wanted to reach what it may not");
                Err(HostError::Denied(says))
            }
            Err(Unsent::Late) => Err(HostError::Timeout),
            Err(Unsent::Unavailable(says)) => Err(HostError::Unavailable(says)),
        }
    }
}

/// A request whose form is right.
fn vetted(request: wit::HttpRequest) -> Result<WebRequest, String> {
    let wit::HttpRequest { method, url, headers, body, timeout_ms: _ } = request;
    if !METHODS.contains(&method.as_str()) {
        return Err(format!("the method is one of {}", METHODS.join(", ")));
    }
    if url.len() > URL_BYTES {
        return Err(format!("the address has {} bytes, and {URL_BYTES} are the most", url.len()));
    }
    if body.len() > BODY_BYTES {
        return Err(format!("the body has {} bytes, and {BODY_BYTES} are the most", body.len()));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() > HEADERS || bytes > HEADER_BYTES {
        return Err(format!("{HEADERS} headers of {HEADER_BYTES} bytes together are the most"));
    }
    let headers = headers.into_iter().map(header).collect::<Result<_, _>>()?;
    Ok(WebRequest { method, url, headers, body })
}

fn header((name, value): (String, String)) -> Result<(String, String), String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err("a header has no name".to_owned());
    }
    let name = name.to_ascii_lowercase();
    if OURS.contains(&name.as_str()) || name.starts_with("proxy-") {
        return Err(format!("the header `{name}` is not a plugin's to say"));
    }
    if !value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)) {
        return Err(format!("the header `{name}` has characters that no header has"));
    }
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::reach::Outside;
    use std::sync::Mutex;

    /// Answers with what it was asked.
    #[derive(Debug, Default)]
    struct Echo(Mutex<Vec<Duration>>);

    impl Web for Echo {
        fn send(&self, request: WebRequest, within: Duration) -> Result<WebResponse, Unsent> {
            self.0.lock().unwrap().push(within);
            match request.url.as_str() {
                "denied" => Err(Unsent::Denied("not\nlisted".to_owned())),
                "late" => Err(Unsent::Late),
                "gone" => Err(Unsent::Unavailable("gone".to_owned())),
                "long" => Ok(WebResponse { status: 200, headers: vec![], body: vec![0; ANSWER_BYTES + 1] }),
                _ => Ok(WebResponse { status: 302, headers: request.headers, body: request.body }),
            }
        }
    }

    fn cell(web: Option<Arc<dyn Web>>) -> Cell {
        let mut cell = Cell::new("x".into(), Outside::default(), Arc::new(Limits::default()));
        cell.web = Granted::to(web);
        cell.begin(Duration::from_secs(5));
        cell
    }

    fn request(url: &str, headers: &[(&str, &str)]) -> wit::HttpRequest {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        wit::HttpRequest { method: "GET".to_owned(), url: url.to_owned(), headers, body: vec![7], timeout_ms: 0 }
    }

    #[test]
    fn nothing_is_reached_without_a_grant() {
        let denied = cell(None).sent(request("", &[])).unwrap_err();
        assert!(matches!(denied, HostError::Denied(says) if says.contains("granted")));
    }

    #[test]
    fn what_comes_back_is_what_the_contract_says() {
        let echo = Arc::new(Echo::default());
        let mut cell = cell(Some(Arc::clone(&echo) as Arc<dyn Web>));
        let answer = cell.sent(request("a", &[("X-A", "b")])).unwrap();
        assert_eq!((answer.status, answer.headers, answer.body), (302, vec![("x-a".into(), "b".into())], vec![7]));
        let mut fails = |url: &str| cell.sent(request(url, &[])).unwrap_err();
        assert!(matches!(fails("denied"), HostError::Denied(says) if says == "not listed"));
        assert!(matches!(fails("late"), HostError::Timeout));
        assert!(matches!(fails("gone"), HostError::Unavailable(_)));
        assert!(matches!(fails("long"), HostError::Quota(_)));
        // What is left of the call is all that is waited for, unless the plugin waits less.
        let mut hasty = request("a", &[]);
        hasty.timeout_ms = 20;
        cell.sent(hasty).unwrap();
        let waited = echo.0.lock().unwrap().clone();
        assert!(waited[0] > Duration::from_secs(1) && waited[0] <= Duration::from_secs(5), "{waited:?}");
        assert_eq!(waited.last(), Some(&Duration::from_millis(20)));
        cell.begin(Duration::ZERO);
        assert!(matches!(cell.sent(request("a", &[])), Err(HostError::Timeout)));
    }

    #[test]
    fn requests_have_an_end() {
        let mut cell = cell(Some(Arc::new(Echo::default())));
        for _ in 0..MOST_REQUESTS {
            cell.sent(request("a", &[])).unwrap();
        }
        assert!(matches!(cell.sent(request("a", &[])), Err(HostError::Quota(_))));
    }

    #[test]
    fn a_request_says_what_is_a_plugins_to_say() {
        for name in ["Host", "Content-Length", "TRANSFER-ENCODING", "connection", "Proxy-Authorization", "cookie", "te"]
        {
            let why = vetted(request("a", &[(name, "x")])).unwrap_err();
            assert!(why.contains(&name.to_ascii_lowercase()), "{why}");
        }
        for (name, value) in [("", "x"), ("a b", "x"), ("a:", "x"), ("a", "x\r\nhost: y"), ("a", "ä"), ("a", "\0")] {
            assert!(vetted(request("a", &[(name, value)])).is_err(), "{name:?}: {value:?}");
        }
        assert!(vetted(request("a", &[("authorization", "Bearer x"), ("x", "a\tb")])).is_ok());
        assert!(vetted(request("a", &[("a", "b"); 65])).is_err());
        assert!(vetted(request("a", &[("a", &"b".repeat(HEADER_BYTES))])).is_err());
        assert!(vetted(request(&"a".repeat(URL_BYTES + 1), &[])).is_err());
        for method in ["get", "CONNECT", "TRACE", "GET / HTTP/1.1\r\n", ""] {
            assert!(vetted(wit::HttpRequest { method: method.to_owned(), ..request("a", &[]) }).is_err(), "{method}");
        }
        assert!(vetted(wit::HttpRequest { body: vec![0; BODY_BYTES + 1], ..request("a", &[]) }).is_err());
    }
}
