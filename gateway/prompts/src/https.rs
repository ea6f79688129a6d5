//! Git's smart protocol over HTTP: the requests that gix wants sent, handed to whoever can send them. Owns how a body that
//! is written and an answer that is read in parts become one request and one answer; connections, TLS and deadlines are
//! the sender's.

use base64::Engine as _;
use bytes::Bytes;
use gix_transport::client::blocking_io::http::{GetResponse, Http, PostBodyDataKind, PostResponse};
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use std::any::Any;
use std::fmt;
use std::io::{self, BufRead, Cursor, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_core::{Fault, Secret};

/// Sends one request and reads all of its answer; blocks, and follows no redirect.
pub type Exchange = dyn Fn(Request<Bytes>) -> Result<Response<Bytes>, Fault> + Send + Sync;

/// The way to servers of git, and who we are there.
#[derive(Clone)]
pub struct Web {
    /// Sends requests.
    pub exchange: Arc<Exchange>,
    /// The user and his token, sent by HTTP's basic authentication, where the repository is not public.
    pub login: Option<(String, Secret)>,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("login", &self.login).finish_non_exhaustive()
    }
}

impl Web {
    fn request(&self, method: Method, url: &str, lines: impl Iterator<Item = String>) -> io::Result<Request<Bytes>> {
        let mut request = Request::builder().method(method).uri(url).body(Bytes::new()).map_err(io::Error::other)?;
        let headers = request.headers_mut();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(|| io::Error::other("a header without a colon"))?;
            let name: HeaderName = name.trim().parse().map_err(io::Error::other)?;
            headers.append(name, value.trim().parse().map_err(io::Error::other)?);
        }
        if let Some((user, token)) = &self.login {
            let login = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{}", token.expose()));
            let mut value = HeaderValue::try_from(format!("Basic {login}")).map_err(io::Error::other)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(request)
    }

    fn send(&self, request: Request<Bytes>) -> io::Result<Response<Bytes>> {
        let answer = (self.exchange)(request).map_err(|fault| io::Error::other(fault.to_string()))?;
        let says = match answer.status() {
            StatusCode::OK => return Ok(answer),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                // Not as a lack of permission: gix would ask somebody else for another login.
                "the server refuses us: check `prompts.token`, and that it may read the repository".to_owned()
            }
            status if status.is_redirection() => {
                let to = answer.headers().get(http::header::LOCATION).and_then(|to| to.to_str().ok());
                format!("the repository moved to {}: write its new address", to.unwrap_or("an unnamed place"))
            }
            StatusCode::NOT_FOUND => "the server has no such repository, or does not show it to us".to_owned(),
            status => format!("the server answered with status {status}"),
        };
        Err(io::Error::other(says))
    }
}

/// The lines of an answer's headers.
fn lines(headers: &HeaderMap) -> Vec<u8> {
    let mut all = Vec::new();
    for (name, value) in headers {
        all.extend_from_slice(name.as_str().as_bytes());
        all.extend_from_slice(b": ");
        all.extend_from_slice(value.as_bytes());
        all.push(b'\n');
    }
    all
}

/// A request whose body is still written, or its answer.
enum Exchanged {
    Writing { web: Web, request: Box<Request<Bytes>>, body: Vec<u8> },
    Answered(Response<Bytes>),
    Failed(String),
}

impl Exchanged {
    /// The answer: the first who reads sends the request.
    fn answer(&mut self) -> io::Result<&Response<Bytes>> {
        if let Self::Writing { web, request, body } = self {
            *request.body_mut() = std::mem::take(body).into();
            *self = match web.send(std::mem::take(&mut **request)) {
                Ok(answer) => Self::Answered(answer),
                Err(e) => Self::Failed(e.to_string()),
            };
        }
        match self {
            Self::Answered(answer) => Ok(answer),
            Self::Failed(says) => Err(io::Error::other(says.clone())),
            Self::Writing { .. } => Err(io::Error::other("the request was not sent")),
        }
    }
}

type Shared = Arc<Mutex<Exchanged>>;

/// The body of a request, until it is dropped.
pub(crate) struct Body(Shared);

impl Write for Body {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Exchanged::Writing { body, .. } => {
                body.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            _ => Err(io::Error::other("the request is sent already")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is read of an answer.
pub(crate) struct Part {
    of: Shared,
    take: fn(&Response<Bytes>) -> Bytes,
    open: Option<Cursor<Bytes>>,
}

impl Part {
    fn open(&mut self) -> io::Result<&mut Cursor<Bytes>> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let mut exchanged = self.of.lock().unwrap_or_else(PoisonError::into_inner);
                Cursor::new((self.take)(exchanged.answer()?))
            }
        };
        Ok(self.open.insert(open))
    }
}

impl Read for Part {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.open()?.read(into)
    }
}

impl BufRead for Part {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.open()?.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if let Some(open) = &mut self.open {
            open.consume(amount);
        }
    }
}

fn begin(web: &Web, request: Request<Bytes>) -> PostResponse<Part, Part, Body> {
    let shared: Shared =
        Arc::new(Mutex::new(Exchanged::Writing { web: web.clone(), request: Box::new(request), body: Vec::new() }));
    let part = |take| Part { of: Arc::clone(&shared), take, open: None };
    PostResponse {
        headers: part(|answer| lines(answer.headers()).into()),
        body: part(|answer| answer.body().clone()),
        post_body: Body(shared),
    }
}

/// Carries what gix asks by the way that we have.
pub(crate) struct Carrier(pub(crate) Web);

impl Http for Carrier {
    type Headers = Part;
    type ResponseBody = Part;
    type PostBody = Body;

    fn get(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::error::Result<GetResponse<Part, Part>> {
        let lines = headers.into_iter().map(|line| line.as_ref().to_owned());
        let request = self.0.request(Method::GET, url, lines).map_err(gix::error::Error::from_error)?;
        Ok(begin(&self.0, request).into())
    }

    fn post(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _body: PostBodyDataKind,
    ) -> gix::error::Result<PostResponse<Part, Part, Body>> {
        let lines = headers.into_iter().map(|line| line.as_ref().to_owned());
        let request = self.0.request(Method::POST, url, lines).map_err(gix::error::Error::from_error)?;
        Ok(begin(&self.0, request))
    }

    fn configure(&mut self, _config: &dyn Any) -> gix::error::Result {
        Ok(())
    }
}
