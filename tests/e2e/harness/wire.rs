//! HTTP/1.1 as bytes, from the side that asks: nothing is repaired, hidden or tried again. Owns one connection.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Anything that bytes go through.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// One connection.
pub(crate) struct Wire {
    io: Box<dyn Io>,
    waiting: Vec<u8>,
}

/// The head of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
}

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
    Close,
}

/// What comes next of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Data(Vec<u8>),
    /// It is whole.
    End,
    /// The connection ended before it was.
    Cut,
}

impl Head {
    /// The value of a header that comes at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert!(values.next().is_none(), "{name} comes twice");
        value
    }

    pub(crate) fn framing(&self) -> Framing {
        match (self.header("transfer-encoding"), self.header("content-length")) {
            (Some("chunked"), None) => Framing::Chunked,
            (None, Some(length)) => Framing::Length(length.parse().expect("a length")),
            (None, None) if matches!(self.status, 204 | 304) => Framing::Length(0),
            (None, None) => Framing::Close,
            other => panic!("an answer framed by {other:?}"),
        }
    }
}

impl Wire {
    pub(crate) fn over(io: impl Io + 'static) -> Self {
        Self { io: Box::new(io), waiting: Vec::new() }
    }

    /// Writes bytes; an error means that the other side has closed, which the next read tells as well.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let written = self.io.write_all(bytes).await;
        if written.is_ok() {
            self.io.flush().await.unwrap_or_default();
        }
    }

    /// Reads more; false where nothing comes any more.
    async fn fill(&mut self) -> bool {
        self.waiting.reserve(16 * 1024);
        self.io.read_buf(&mut self.waiting).await.is_ok_and(|count| count > 0)
    }

    /// Takes all up to and with `mark`.
    async fn until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.waiting.windows(mark.len()).position(|window| window == mark) {
                return Some(self.waiting.drain(..at + mark.len()).collect());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    async fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.waiting.len() < count {
            if !self.fill().await {
                return None;
            }
        }
        Some(self.waiting.drain(..count).collect())
    }

    /// The head of the next answer; none where the connection was closed instead.
    pub(crate) async fn head(&mut self) -> Option<Head> {
        let bytes = self.until(b"\r\n\r\n").await?;
        let text = String::from_utf8(bytes).expect("a head is ASCII");
        let mut lines = text.trim_end().split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        assert!(status_line.starts_with("HTTP/1.1 "), "no status line: {status_line:?}");
        let status = status_line[9..12].parse().expect("a status");
        let headers = lines.map(|line| {
            line.split_once(": ")
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .expect("a header line")
        });
        Some(Head { status, headers: headers.collect() })
    }

    /// The next part of a body.
    pub(crate) async fn part(&mut self, framing: &mut Framing) -> Part {
        match framing {
            Framing::Length(0) => Part::End,
            Framing::Length(left) => {
                if self.waiting.is_empty() && !self.fill().await {
                    return Part::Cut;
                }
                let take = self.waiting.len().min(*left);
                *left -= take;
                Part::Data(self.waiting.drain(..take).collect())
            }
            Framing::Close if self.waiting.is_empty() && !self.fill().await => Part::End,
            Framing::Close => Part::Data(std::mem::take(&mut self.waiting)),
            Framing::Chunked => self.chunk().await.unwrap_or(Part::Cut),
        }
    }

    async fn chunk(&mut self) -> Option<Part> {
        let line = self.until(b"\r\n").await?;
        let digits = String::from_utf8(line).expect("a chunk's size is ASCII");
        let size = usize::from_str_radix(digits.trim_end(), 16).expect("a chunk's size is hexadecimal");
        let mut data = self.exactly(size + 2).await?;
        assert_eq!(data.split_off(size), b"\r\n", "a chunk ends with CRLF");
        Some(if size == 0 { Part::End } else { Part::Data(data) })
    }

    /// Reads until the other side closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.fill().await {}
        std::mem::take(&mut self.waiting)
    }
}
