//! A body of `multipart/form-data` (RFC 7578) as it comes in: small fields at once, the file in pieces, so that no file
//! is ever held whole. Owns the framing and its bounds; knows no field by its meaning.

use bytes::{Buf as _, Bytes, BytesMut};
use tidegate_core::port::mount::Frames;
use tidegate_core::{Fault, FaultKind};

/// The longest head of a part.
const LONGEST_HEAD: usize = 8 << 10;
/// The most parts.
const MOST_PARTS: usize = 32;
/// The longest boundary (RFC 2046 §5.1.1).
const LONGEST_BOUNDARY: usize = 70;

/// A body of a form.
pub(super) struct Form {
    frames: Frames,
    buffer: BytesMut,
    /// `\r\n--` and the boundary.
    delimiter: Vec<u8>,
    parts: usize,
    /// Whether a part's content is being read.
    is_within: bool,
    is_over: bool,
}

/// The head of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// The name of the field.
    pub(super) name: String,
    /// The name of the file, where it is one.
    pub(super) filename: Option<String>,
}

fn wrong(says: impl Into<String>) -> Fault {
    Fault::new(FaultKind::InvalidRequest, says.into())
}

impl Form {
    /// A body with this `content-type`.
    ///
    /// # Errors
    /// It is none of a form.
    pub(super) fn of(content_type: Option<&str>, frames: Frames) -> Result<Self, Fault> {
        let says = "send the file as `multipart/form-data` with the fields `file` and `purpose`";
        let unsupported = || Fault::new(FaultKind::UnsupportedMedia, says);
        let (essence, parameters) = content_type.and_then(|text| text.split_once(';')).ok_or_else(unsupported)?;
        if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
            return Err(unsupported());
        }
        let boundary = parameter(parameters, "boundary").filter(|text| (1..=LONGEST_BOUNDARY).contains(&text.len()));
        let boundary = boundary.ok_or_else(|| wrong("the content-type names no boundary of 1 to 70 characters"))?;
        // As if a line stood before the first delimiter, which it may.
        let (buffer, delimiter) = (BytesMut::from(&b"\r\n"[..]), format!("\r\n--{boundary}").into_bytes());
        Ok(Self { frames, buffer, delimiter, parts: 0, is_within: false, is_over: false })
    }

    /// The next part; what is left of the one before it is passed over.
    ///
    /// # Errors
    /// The body is none of a form, is cut, or has too many parts.
    pub(super) async fn part(&mut self) -> Result<Option<Head>, Fault> {
        if self.parts == 0 && !self.is_within {
            // A preamble says nothing.
            self.is_within = true;
        }
        while self.chunk().await?.is_some() {}
        if self.is_over {
            return Ok(None);
        }
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return Err(wrong(format!("the form has more than {MOST_PARTS} parts")));
        }
        let head = self.head().await?;
        self.is_within = true;
        Ok(Some(head))
    }

    /// The next piece of the part's content; nothing at its end.
    ///
    /// # Errors
    /// The body is cut.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        if !self.is_within {
            return Ok(None);
        }
        loop {
            if let Some(at) = find(&self.buffer, &self.delimiter) {
                if at > 0 {
                    return Ok(Some(self.buffer.split_to(at).freeze()));
                }
                self.is_within = false;
                self.buffer.advance(self.delimiter.len());
                return self.delimited().await.map(|()| None);
            }
            // What could be the beginning of a delimiter stays.
            let safe = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
            if safe > 0 {
                return Ok(Some(self.buffer.split_to(safe).freeze()));
            }
            self.more().await?;
        }
    }

    /// All of the part's content, which has at most so many bytes.
    ///
    /// # Errors
    /// It is longer, no text, or cut.
    pub(super) async fn text(&mut self, name: &str, most: usize) -> Result<String, Fault> {
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            all.extend_from_slice(&chunk);
            if all.len() > most {
                return Err(Fault::field(name.to_owned(), format!("the field `{name}` is longer than {most} bytes")));
            }
        }
        String::from_utf8(all).map_err(|_| Fault::field(name.to_owned(), format!("the field `{name}` is no text")))
    }

    /// What follows a delimiter: the end of a line, or two dashes and the end of the form.
    async fn delimited(&mut self) -> Result<(), Fault> {
        while self.buffer.len() < 2 {
            self.more().await?;
        }
        match &self.buffer[..2] {
            b"--" => self.is_over = true,
            b"\r\n" => self.buffer.advance(2),
            _ => return Err(wrong("the form is broken: something else than the end of a line follows a boundary")),
        }
        Ok(())
    }

    async fn head(&mut self) -> Result<Head, Fault> {
        let end = loop {
            // A part without any header begins with an empty line.
            if self.buffer.starts_with(b"\r\n") {
                break 0;
            }
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 2;
            }
            if self.buffer.len() > LONGEST_HEAD {
                return Err(wrong(format!("the head of a part is longer than {LONGEST_HEAD} bytes")));
            }
            self.more().await?;
        };
        let head = self.buffer.split_to(end);
        // The empty line.
        self.buffer.advance(2);
        let text = std::str::from_utf8(&head).map_err(|_| wrong("the head of a part is no text"))?;
        let disposition = text.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
        });
        let (kind, parameters) = disposition.and_then(|value| value.split_once(';')).unwrap_or_default();
        let name = parameter(parameters, "name").filter(|_| kind.trim().eq_ignore_ascii_case("form-data"));
        let name = name.ok_or_else(|| wrong("a part of the form has no name"))?;
        Ok(Head { name, filename: parameter(parameters, "filename") })
    }

    /// Reads more.
    async fn more(&mut self) -> Result<(), Fault> {
        let next = std::future::poll_fn(|cx| self.frames.as_mut().poll_next(cx)).await;
        let frame = next.ok_or_else(|| wrong("the form ends before its last boundary"))?;
        self.buffer.extend_from_slice(&frame?);
        Ok(())
    }
}

/// Where it stands first.
fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    let first = *what.first()?;
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|byte| *byte == first) {
        let at = from + at;
        if text[at..].starts_with(what) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// A parameter of a header, quoted or not.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text;
    while let Some((name, behind)) = rest.split_once('=') {
        let behind = behind.trim_start();
        let (value, next) = match behind.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let (value, next) = behind.split_once(';').unwrap_or((behind, ""));
                (value.trim().to_owned(), next)
            }
        };
        if name.trim_matches([' ', '\t', ';']).eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = next;
    }
    None
}

/// A quoted text and what is behind it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    const BODY: &str = "preamble\r\n--b-1\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b-1\r\n\
        content-disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".jsonl\"\r\ncontent-type: x/y\r\n\r\n\
        {\"a\": 1}\r\n--b-\r\n--not\r\n\r\n--b-1\r\nContent-Disposition: form-data; name=empty\r\n\r\n\r\n--b-1--\r\nepilogue";

    fn form(body: &'static [u8], piece: usize) -> Form {
        let frames: Vec<Result<Bytes, Fault>> = body.chunks(piece).map(|chunk| Ok(Bytes::from_static(chunk))).collect();
        Form::of(Some("multipart/form-data; charset=x; boundary=\"b-1\""), Box::pin(stream::iter(frames))).unwrap()
    }

    async fn parts(mut form: Form) -> Result<Vec<(Head, String)>, Fault> {
        let mut all = Vec::new();
        while let Some(head) = form.part().await? {
            let text = form.text(&head.name, 1000).await?;
            all.push((head, text));
        }
        Ok(all)
    }

    #[tokio::test]
    async fn parts_are_whole_wherever_the_body_is_cut() {
        let head =
            |name: &str, filename: Option<&str>| Head { name: name.to_owned(), filename: filename.map(str::to_owned) };
        let wanted = [
            (head("purpose", None), "batch".to_owned()),
            (head("file", Some("a \"b\".jsonl")), "{\"a\": 1}\r\n--b-\r\n--not\r\n".to_owned()),
            (head("empty", None), String::new()),
        ];
        for piece in 1..BODY.len() {
            assert_eq!(parts(form(BODY.as_bytes(), piece)).await.unwrap(), wanted, "{piece}");
        }
    }

    #[tokio::test]
    async fn a_body_that_is_cut_anywhere_is_refused() {
        let end = BODY.len() - "\r\nepilogue".len();
        for length in 0..end {
            assert!(parts(form(&BODY.as_bytes()[..length], 7)).await.is_err(), "{length}");
        }
        assert!(parts(form(&BODY.as_bytes()[..end], 7)).await.is_ok());
    }

    #[tokio::test]
    async fn what_is_no_form_is_refused() {
        let of = |text: Option<&str>| Form::of(text, Box::pin(stream::empty())).map(|_| ()).unwrap_err().kind;
        for text in [None, Some("application/json"), Some("application/json; boundary=x")] {
            assert_eq!(of(text), FaultKind::UnsupportedMedia, "{text:?}");
        }
        for text in ["multipart/form-data; x=y", "multipart/form-data; boundary=\"", "multipart/form-data; boundary="] {
            assert_eq!(of(Some(text)), FaultKind::InvalidRequest, "{text:?}");
        }
        for body in [
            &b"--b-1\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b-1--"[..],
            b"--b-1\r\n\r\nx\r\n--b-1--",
            b"--b-1x\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--b-1--",
            b"--b-1\r\nContent-Disposition: form-data; name=\xFF\r\n\r\nx\r\n--b-1--",
        ] {
            assert!(parts(form(body, 5)).await.is_err(), "{body:?}");
        }
        let many = "--b-1\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n".repeat(40) + "--b-1--";
        let many: &'static str = Box::leak(many.into_boxed_str());
        assert!(parts(form(many.as_bytes(), 100)).await.unwrap_err().says.contains("more than 32 parts"));
    }
}
