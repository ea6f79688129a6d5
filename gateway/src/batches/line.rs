//! The lines of a batch's files. Owns which lines are requests, the words that OpenAI has for those that are none, and
//! the lines of answers and errors. Pure.

use super::batch::LineFault;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use tidegate_core::Api;
use tidegate_core::digest::Digest;

/// The most lines of a batch, as OpenAI has it.
pub(super) const MOST_LINES: u64 = 50_000;
/// The longest line.
pub(super) const LONGEST_LINE: usize = 8 << 20;
/// The longest id of a line.
const LONGEST_ID: usize = 512;
/// The most faults that are told of one input.
const MOST_FAULTS: usize = 100;
/// The longest text of one, in characters: all of them stand in the batch's state.
const LONGEST_FAULT: usize = 200;
/// A longer line leaves no room behind that others would not need.
const LARGE_LINE: usize = 1 << 20;
/// The room for lines that is kept.
const ROOM: usize = 64 << 10;

/// The interfaces that batches are of.
pub(super) const APIS: [Api; 3] = [Api::ChatCompletions, Api::Embeddings, Api::Completions];

/// A line as it is written.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow, default)]
    custom_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// The caller's name for it.
    pub(super) custom_id: String,
    /// What is asked, byte for byte as it stands there.
    pub(super) body: String,
}

/// Reads a line of a batch to this interface.
pub(super) fn read(line: &[u8], api: Api) -> Result<Line, LineFault> {
    let fault = |code: &str, param: Option<&str>, message: String| LineFault {
        code: code.to_owned(),
        message,
        param: param.map(str::to_owned),
        line: None,
    };
    if line.len() > LONGEST_LINE {
        return Err(fault("line_too_long", None, format!("this line is longer than {LONGEST_LINE} bytes")));
    }
    // serde would take a list for its fields, and repeat all of a text.
    if !line.trim_ascii_start().starts_with(b"{") {
        return Err(fault("invalid_json_line", None, "This line is no request: it is no JSON object.".to_owned()));
    }
    let no_json = || "This line is not parseable as valid JSON.".to_owned();
    let raw: Raw<'_> = serde_json::from_slice(line).map_err(|why| {
        let says = if why.is_data() { format!("This line is no request: {why}") } else { no_json() };
        fault("invalid_json_line", None, says)
    })?;
    let missing = |param: &'static str| {
        fault("missing_required_parameter", Some(param), format!("Missing required parameter: '{param}'."))
    };
    let custom_id = raw.custom_id.filter(|id| !id.is_empty()).ok_or_else(|| missing("custom_id"))?;
    if custom_id.len() > LONGEST_ID {
        let says = format!("a custom_id has at most {LONGEST_ID} bytes");
        return Err(fault("invalid_custom_id", Some("custom_id"), says));
    }
    let method = raw.method.ok_or_else(|| missing("method"))?;
    if method != "POST" {
        return Err(fault("invalid_method", Some("method"), "Invalid value: 'method' must be 'POST'.".to_owned()));
    }
    let (url, wanted) = (raw.url.ok_or_else(|| missing("url"))?, format!("/v1{}", api.path()));
    if url != wanted {
        let says = format!("The URL of this line is not that of the batch's endpoint, '{wanted}'.");
        return Err(fault("invalid_url", Some("url"), says));
    }
    let body = raw.body.ok_or_else(|| missing("body"))?.get();
    if !body.starts_with('{') {
        let says = "Invalid type for 'body': expected an object.".to_owned();
        return Err(fault("invalid_type", Some("body"), says));
    }
    Ok(Line { custom_id: custom_id.into_owned(), body: body.to_owned() })
}

/// What is known of an input while its lines are looked at.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Lines that are requests.
    lines: u64,
    /// Digests of their ids, so that long ones take no room.
    ids: HashSet<[u8; 32]>,
    faults: Vec<LineFault>,
}

impl Look {
    /// Looks at the line of this number, from 1. An empty one is none.
    pub(super) fn at(&mut self, number: u64, line: &[u8], api: Api) {
        if line.trim_ascii().is_empty() {
            return;
        }
        self.lines += 1;
        let fault = match read(line, api) {
            Ok(line) if self.ids.insert(*Digest::of(line.custom_id.as_bytes()).as_bytes()) => return,
            Ok(line) => LineFault {
                code: "duplicate_custom_id".to_owned(),
                message: format!("The custom_id '{}' for this line is a duplicate of another line.", line.custom_id),
                param: Some("custom_id".to_owned()),
                line: None,
            },
            Err(fault) => fault,
        };
        if self.faults.len() < MOST_FAULTS {
            let message = fault.message.chars().take(LONGEST_FAULT).collect();
            self.faults.push(LineFault { line: Some(number), message, ..fault });
        }
    }

    /// Whether nothing that follows can change anything.
    pub(super) fn is_over(&self) -> bool {
        self.lines > MOST_LINES || self.faults.len() >= MOST_FAULTS
    }

    /// How many requests there are, or why it is no batch.
    pub(super) fn end(self) -> Result<u64, Vec<LineFault>> {
        let whole =
            |code: &str, message: String| vec![LineFault { code: code.to_owned(), message, param: None, line: None }];
        if self.lines > MOST_LINES {
            let says = format!("The input has more than {MOST_LINES} lines: make several batches of it.");
            return Err(whole("too_many_tasks", says));
        }
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        if self.lines == 0 {
            return Err(whole(
                "empty_file",
                "The input file is empty. Please ensure that the batch contains at least one request.".to_owned(),
            ));
        }
        Ok(self.lines)
    }
}

/// The line of an answer, or of a refusal: `body` is JSON.
pub(super) fn answered(call: &str, custom_id: &str, status: u16, body: &[u8]) -> String {
    let body = match serde_json::from_slice::<&RawValue>(body) {
        Ok(json) => json.get().replace(['\n', '\r'], " "),
        // What is no JSON is shown as a text.
        Err(_) => json!(String::from_utf8_lossy(body)).to_string(),
    };
    let (id, custom_id, call) = (json!(named(call)), json!(custom_id), json!(call));
    format!(
        r#"{{"id":{id},"custom_id":{custom_id},"response":{{"status_code":{status},"request_id":{call},"body":{body}}},"error":null}}"#
    )
}

/// The line of a request that was not asked.
pub(super) fn unasked(name: &str, custom_id: &str, code: &str, message: &str) -> String {
    let error = json!({"code": code, "message": message});
    let shown = json!({"id": named(name), "custom_id": custom_id, "response": Value::Null, "error": error});
    shown.to_string()
}

fn named(call: &str) -> String {
    format!("batch_req_{}", call.replace('-', ""))
}

/// Whether a body asks for a stream.
pub(super) fn is_stream(body: &str) -> bool {
    // A name may be written with escapes.
    let is_suspect = body.contains("\"stream\"") || body.contains('\\');
    let fields = || serde_json::from_str::<HashMap<String, &RawValue>>(body);
    is_suspect && fields().is_ok_and(|fields| fields.get("stream").is_some_and(|value| value.get() == "true"))
}

/// Takes lines out of pieces of a file.
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
    /// Where the next line begins. What is before it goes with the next piece, not with each line.
    from: usize,
    /// Where the end of a line was not found.
    looked: usize,
}

impl Lines {
    /// Adds a piece.
    pub(super) fn add(&mut self, piece: &[u8]) {
        self.shed();
        self.rest.extend_from_slice(piece);
    }

    /// The next whole line, without its end; one that is too long ends where that is seen.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let end = self.rest[self.looked..].iter().position(|byte| *byte == b'\n').map(|at| at + self.looked);
        match end {
            Some(end) => {
                let line = &self.rest[self.from..end];
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.from = end + 1;
                self.looked = self.from;
                if line.len() > LARGE_LINE {
                    self.shed();
                }
                Some(line)
            }
            None if self.rest.len() - self.from > LONGEST_LINE => self.last(),
            None => {
                self.looked = self.rest.len();
                None
            }
        }
    }

    /// What stands behind the last end of a line.
    pub(super) fn last(&mut self) -> Option<Vec<u8>> {
        self.shed();
        self.looked = 0;
        Some(std::mem::take(&mut self.rest)).filter(|line| !line.is_empty())
    }

    /// Forgets the lines that were taken, and room that only a long one needed.
    fn shed(&mut self) {
        self.rest.drain(..self.from);
        self.looked -= self.from;
        self.from = 0;
        if self.rest.capacity() > LARGE_LINE {
            self.rest.shrink_to(ROOM);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(custom_id: &str) -> String {
        format!(
            r#"{{"custom_id":"{custom_id}","method":"POST","url":"/v1/embeddings","body":{{"model": "m", "input":"a\u0062"}}}}"#
        )
    }

    #[test]
    fn a_body_is_kept_as_it_is_written() {
        let read = read(line("a").as_bytes(), Api::Embeddings).unwrap();
        assert_eq!(read, Line { custom_id: "a".to_owned(), body: r#"{"model": "m", "input":"a\u0062"}"#.to_owned() });
    }

    #[test]
    fn what_is_no_request_has_openais_word_for_it() {
        let with = |from: &str, to: &str| line("a").replace(from, to);
        for (text, code, param) in [
            ("{".to_owned(), "invalid_json_line", None),
            (r#"["a", "POST", "/v1/embeddings", {}]"#.to_owned(), "invalid_json_line", None),
            (format!("\"{}\"", "x".repeat(2 << 20)), "invalid_json_line", None),
            (with(r#""custom_id":"a","#, ""), "missing_required_parameter", Some("custom_id")),
            (with(r#""custom_id":"a""#, r#""custom_id":7"#), "invalid_json_line", None),
            (with("POST", "GET"), "invalid_method", Some("method")),
            (with("/v1/embeddings", "/v1/completions"), "invalid_url", Some("url")),
            (with(r#""body":{"#, r#""bodies":{"#), "missing_required_parameter", Some("body")),
            (with(r#"{"model": "m", "input":"a\u0062"}"#, "[1]"), "invalid_type", Some("body")),
            (line(&"x".repeat(600)), "invalid_custom_id", Some("custom_id")),
        ] {
            let fault = read(text.as_bytes(), Api::Embeddings).unwrap_err();
            assert_eq!((&*fault.code, fault.param.as_deref()), (code, param), "{fault:?}");
            assert!(fault.message.len() < 600, "what is told is short: {}", fault.message.len());
        }
    }

    #[test]
    fn many_empty_lines_are_many_lines() {
        let mut lines = Lines::default();
        lines.add(&vec![b'\n'; 4 << 20]);
        lines.add(b"x");
        let mut count = 0;
        while let Some(line) = lines.next() {
            assert!(line.is_empty());
            count += 1;
        }
        assert_eq!((count, lines.last()), (4 << 20, Some(b"x".to_vec())));
    }

    #[test]
    fn a_long_line_leaves_no_room_behind() {
        let mut lines = Lines::default();
        for _ in 0..3 {
            lines.add(&[b'x'; 1 << 20]);
            assert_eq!(lines.next(), None);
        }
        lines.add(b"\nrest");
        assert_eq!(lines.next().map(|line| line.len()), Some(3 << 20));
        assert!(lines.rest.capacity() <= ROOM, "{}", lines.rest.capacity());
        assert_eq!((lines.next(), lines.last()), (None, Some(b"rest".to_vec())));
    }

    #[test]
    fn an_input_is_looked_at_whole() {
        let mut look = Look::default();
        for (number, text) in [line("a"), String::new(), line("b"), "{".to_owned(), line("a")].iter().enumerate() {
            look.at(number as u64 + 1, text.as_bytes(), Api::Embeddings);
        }
        let faults = look.end().unwrap_err();
        let told: Vec<(&str, Option<u64>)> = faults.iter().map(|fault| (&*fault.code, fault.line)).collect();
        assert_eq!(told, [("invalid_json_line", Some(4)), ("duplicate_custom_id", Some(5))]);
        assert_eq!(Look::default().end().unwrap_err()[0].code, "empty_file");
        let mut good = Look::default();
        good.at(1, line("a").as_bytes(), Api::Embeddings);
        assert_eq!(good.end(), Ok(1));
    }

    #[test]
    fn lines_come_out_of_pieces_wherever_they_are_cut() {
        let text = b"one\r\n\ntwo\nthree";
        for cut in 1..text.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for piece in text.chunks(cut) {
                lines.add(piece);
                while let Some(line) = lines.next() {
                    found.push(line);
                }
            }
            found.extend(lines.last());
            assert_eq!(found, [&b"one"[..], b"", b"two", b"three"], "{cut}");
        }
    }

    #[test]
    fn answers_are_single_lines_in_openais_shape() {
        let text = answered("01931c2e-8f10", "a\"b", 200, b"{\n \"x\": \"y\\n\"\n}");
        assert!(!text.contains('\n'));
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&json["id"], &json["custom_id"]), (&json!("batch_req_01931c2e8f10"), &json!("a\"b")));
        assert_eq!(json["response"]["body"]["x"], "y\n");
        assert_eq!(json["error"], Value::Null);
        let plain: Value = serde_json::from_str(&answered("c", "d", 502, b"no \"JSON\"\n\xFF")).unwrap();
        assert_eq!(plain["response"]["body"], "no \"JSON\"\n\u{FFFD}");
        let late: Value = serde_json::from_str(&unasked("b-1", "c", "batch_expired", "late")).unwrap();
        assert_eq!((&late["response"], &late["error"]["code"]), (&Value::Null, &json!("batch_expired")));
    }

    #[test]
    fn a_stream_is_seen_however_it_is_written() {
        for body in [r#"{"stream": true}"#, r#"{"str\u0065am":true}"#, r#"{"a":"\n","stream" :true }"#] {
            assert!(is_stream(body), "{body}");
        }
        for body in ["{}", r#"{"stream":false}"#, r#"{"a":{"stream":true}}"#, r#"{"a":"\n"}"#] {
            assert!(!is_stream(body), "{body}");
        }
    }
}
