//! Rows of training data as tokens, and which of them are learnt. Owns the forms that rows may have; each fault is told
//! with its line.

use super::fault::TuneFault;
use crate::request::{ChatMessage, Role};
use crate::template::ChatTemplate;
use crate::vocabulary::{Piece, Vocabulary};
use serde::Deserialize;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Faults that are told at once.
const MOST_FAULTS: usize = 20;
/// Bytes of a line at most.
const MOST_LINE: usize = 16 << 20;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lesson {
    pub(super) tokens: Vec<u32>,
    /// Whether each of them is to be said, or only heard.
    says: Vec<bool>,
}

/// All rows of a file.
#[derive(Debug)]
pub(super) struct Lessons {
    pub(super) rows: Vec<Lesson>,
    /// How many lost their end.
    pub(super) cut: usize,
}

/// What rows are made to tokens by.
pub(super) struct Reader<'a> {
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) template: Option<&'a ChatTemplate>,
    /// Tokens of a row at most.
    pub(super) most: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    messages: Option<Vec<RawMessage>>,
    prompt: Option<String>,
    completion: Option<String>,
    text: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMessage {
    role: String,
    content: String,
}

impl Lesson {
    /// The places of the tokens that are learnt; the first token of a row never is, as nothing stands before it.
    pub(super) fn learnt(&self) -> impl Iterator<Item = usize> {
        self.says.iter().enumerate().skip(1).filter(|(_, says)| **says).map(|(at, _)| at)
    }

    /// Tokens of which those from `first` on are learnt.
    #[cfg(test)]
    pub(super) fn after(tokens: &[u32], first: usize) -> Self {
        Self { tokens: tokens.to_vec(), says: (0..tokens.len()).map(|at| at >= first).collect() }
    }

    fn push(&mut self, tokens: &[u32], says: bool) {
        self.tokens.extend_from_slice(tokens);
        self.says.resize(self.tokens.len(), says);
    }
}

impl Reader<'_> {
    /// Reads a file of rows, one JSON object a line; empty lines are passed over.
    pub(super) fn file(&self, path: &Path) -> Result<Lessons, TuneFault> {
        let unread = |why| TuneFault::File { what: "read", path: path.to_owned(), why };
        let mut input = BufReader::new(std::fs::File::open(path).map_err(unread)?);
        let (mut lessons, mut faults) = (Lessons { rows: Vec::new(), cut: 0 }, Vec::new());
        let (mut line, mut number) = (Vec::new(), 0);
        while input.read_until(b'\n', &mut line).map_err(unread)? > 0 {
            number += 1;
            if !line.trim_ascii().is_empty() {
                match self.line(&line) {
                    Ok((lesson, is_cut)) => {
                        lessons.cut += usize::from(is_cut);
                        lessons.rows.push(lesson);
                    }
                    Err(says) => faults.push(format!("line {number}: {says}")),
                }
            }
            if faults.len() == MOST_FAULTS {
                faults.push("and perhaps more after that".into());
                break;
            }
            line.clear();
        }
        if faults.is_empty() && lessons.rows.is_empty() {
            faults.push("it has no rows".into());
        }
        if faults.is_empty() { Ok(lessons) } else { Err(TuneFault::Data { path: path.to_owned(), faults }) }
    }

    /// One row, and whether it lost its end.
    fn line(&self, line: &[u8]) -> Result<(Lesson, bool), String> {
        if line.len() > MOST_LINE {
            return Err(format!("it has {} bytes, and {MOST_LINE} are read at most", line.len()));
        }
        let forms = "a row is {\"messages\": […]}, {\"prompt\": …, \"completion\": …} or {\"text\": …}";
        // Of a line that is read by itself, serde says that it is the first.
        let told = |e: serde_json::Error| e.to_string().replace(" at line 1 column", " at column");
        let raw: Raw = serde_json::from_slice(line).map_err(|e| format!("{}; {forms}", told(e)))?;
        let mut lesson = match raw {
            Raw { messages: Some(messages), prompt: None, completion: None, text: None } => self.chat(&messages)?,
            Raw { messages: None, prompt: Some(prompt), completion: Some(completion), text: None } => {
                let mut lesson = Lesson { tokens: Vec::new(), says: Vec::new() };
                lesson.push(&self.vocabulary.encode_text(&prompt)?, false);
                lesson.push(&self.vocabulary.encode_plain(&completion)?, true);
                self.ended(lesson)
            }
            Raw { messages: None, prompt: None, completion: None, text: Some(text) } => {
                let mut lesson = Lesson { tokens: Vec::new(), says: Vec::new() };
                lesson.push(&self.vocabulary.encode_text(&text)?, true);
                self.ended(lesson)
            }
            _ => return Err(forms.into()),
        };
        let first = lesson.learnt().next().ok_or("nothing in it is to be said")?;
        let is_cut = lesson.tokens.len() > self.most;
        if first >= self.most {
            return Err(format!("what is to be said begins after {first} tokens, and {} are kept (--seq)", self.most));
        }
        lesson.tokens.truncate(self.most);
        lesson.says.truncate(self.most);
        Ok((lesson, is_cut))
    }

    /// The token that ends an answer, after it.
    fn ended(&self, mut lesson: Lesson) -> Lesson {
        if let Some(end) = self.vocabulary.end() {
            lesson.push(&[end], true);
        }
        lesson
    }

    /// A conversation: what the assistant says is learnt, with the token that ends it.
    fn chat(&self, raw: &[RawMessage]) -> Result<Lesson, String> {
        let template =
            self.template.ok_or("the base has no chat template: use `prompt` and `completion`, or `text`")?;
        let mut messages = Vec::with_capacity(raw.len());
        for RawMessage { role, content } in raw {
            let role = match role.as_str() {
                "system" => Role::System,
                "developer" => Role::Developer,
                "user" => Role::User,
                "assistant" => Role::Assistant,
                other => return Err(format!("the role `{other}`: rows have system, developer, user and assistant")),
            };
            messages.push(ChatMessage::new(role, content.as_str()));
        }
        let encode = |pieces: Vec<Piece>| self.vocabulary.encode_pieces(&pieces);
        let tokens = encode(template.render_ended(&messages)?)?;
        let mut says = vec![false; tokens.len()];
        for at in (0..messages.len()).filter(|at| messages[*at].role == Role::Assistant) {
            let before = encode(template.render(&messages[..at])?)?;
            let after = encode(template.render_ended(&messages[..=at])?)?;
            if !after.starts_with(&before) || !tokens.starts_with(&after) {
                return Err(format!(
                    "message {}: the base's chat template does not write it as it would be said",
                    at + 1
                ));
            }
            let said = &after[before.len()..];
            // Whatever the template writes after the end is not said.
            let length =
                said.iter().position(|token| self.vocabulary.is_ending(*token)).map_or(said.len(), |at| at + 1);
            says[before.len()..][..length].fill(true);
        }
        Ok(Lesson { tokens, says })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHATML: &str = "{% for m in messages %}{{ '<|im_end|>' if false }}{{ m.role[:1] }}:{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}a:{% endif %}";

    fn read(text: &str, most: usize) -> Result<Lessons, TuneFault> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.jsonl");
        std::fs::write(&path, text).unwrap();
        let vocabulary = Vocabulary::of_bytes();
        let template = ChatTemplate::new(CHATML, vocabulary.control(), vocabulary.borders()).unwrap();
        Reader { vocabulary: &vocabulary, template: Some(&template), most }.file(&path)
    }

    /// What is said, as text, `$` for the end.
    fn said(lesson: &Lesson) -> String {
        let letter = |at| match lesson.tokens[at] {
            256 => '$',
            byte => char::from(u8::try_from(byte).unwrap()),
        };
        lesson.learnt().map(letter).collect()
    }

    #[test]
    fn what_is_said_is_learnt_in_each_form() {
        let lessons = read(
            "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", \"content\": \"Ho\"}, {\"role\": \"user\", \"content\": \"x\"}, {\"role\": \"assistant\", \"content\": \"yz\"}]}\n\n\
             {\"prompt\": \"2+2=\", \"completion\": \"4\"}\n{\"text\": \"abc\"}",
            512,
        )
        .unwrap();
        let texts: Vec<String> = lessons.rows.iter().map(said).collect();
        assert_eq!(texts, ["Ho$yz$", "4$", "bc$"]);
        assert_eq!((lessons.rows[1].tokens.len(), lessons.cut), (6, 0));
    }

    #[test]
    fn long_rows_lose_their_end_and_are_counted() {
        let lessons = read("{\"text\": \"abcdef\"}\n{\"text\": \"ab\"}", 4).unwrap();
        assert_eq!((lessons.cut, said(&lessons.rows[0]), said(&lessons.rows[1])), (1, "bcd".into(), "b$".into()));
    }

    #[test]
    fn faults_are_told_with_their_lines() {
        let text = "{\"text\": \"ok\"}\nnonsense\n{\"prompt\": \"x\"}\n{\"text\": \"x\", \"labels\": 1}\n\
                    {\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}\n{\"messages\": [{\"role\": \"robot\", \"content\": \"Hi\"}]}\n\
                    {\"prompt\": \"a long prompt\", \"completion\": \"x\"}";
        let fault = read(text, 8).unwrap_err().to_string();
        for says in [
            "line 2: expected",
            "line 3: a row is",
            "line 4: unknown field `labels`",
            "line 5: nothing in it is to be said",
            "line 6: the role `robot`",
            "line 7: what is to be said begins after 13 tokens, and 8 are kept",
        ] {
            assert!(fault.contains(says), "{says}: {fault}");
        }
        assert!(!fault.contains("line 1:"));
        assert!(read("\n", 8).unwrap_err().to_string().contains("no rows"));
        let many = "x\n".repeat(50);
        assert_eq!(read(&many, 8).unwrap_err().to_string().matches("line ").count(), MOST_FAULTS);
    }
}
