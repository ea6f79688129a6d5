//! The one pass over a request's body. Owns what is remembered of it, the refusal of duplicate fields, and the rules
//! that bind several fields.

use super::chat;
use super::cursor::{Bad, Cursor, Kind, Text};
use super::field::{self, Rule};
use super::input::{self, Texts};
use super::tools::{self, Choice};
use std::borrow::Cow;
use std::ops::Range;
use tidegate_core::{Api, Fault, FaultKind};

/// The most top-level fields that we do not know; no honest body comes near, and the search for doubles is quadratic.
const MOST_UNKNOWN: usize = 256;
/// The longest model name that is looked up (and may be echoed in an error).
const LONGEST_MODEL: usize = 256;
/// What an image or sound counts in the estimate of tokens; a middling image of OpenAI's tile arithmetic.
const TOKENS_PER_MEDIUM: u64 = 765;

/// What a valid body says about the things that the path needs, by places in its bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scan {
    /// The route asked for.
    pub(crate) model: Text,
    /// Whether the answer shall be a stream.
    pub(crate) stream: bool,
    /// Whether the caller asked for the usage chunk.
    pub(crate) include_usage: bool,
    /// The most tokens to produce for one choice, where the caller says so.
    pub(crate) max_tokens: Option<u64>,
    /// How many choices.
    pub(crate) n: u64,
    /// The caller's own name for its user.
    pub(crate) user: Option<Text>,
    /// Bytes of all texts of the prompt, as they are written; a token id counts as four.
    pub(crate) prompt_bytes: usize,
    /// The newest text of the prompt.
    pub(crate) newest: Option<Text>,
    /// Whether tools are given.
    pub(crate) has_tools: bool,
    /// A guess at the tokens of the prompt: a quarter of its bytes, ids as they are.
    pub(crate) prompt_tokens: u64,
    /// Where the messages are, for others to be put before them.
    pub(super) messages: Option<Messages>,
    /// Where a chat says which prompt stands before its messages, and with which variables.
    pub(crate) prompt: Option<PromptField>,
    /// Where `stream_options` and its member are, for the splice.
    pub(super) usage_option: UsageOption,
    /// Where the object's closing brace is, for members to be added.
    pub(super) close: usize,
}

impl Scan {
    /// The model's name as text.
    pub(crate) fn model_name<'a>(&self, bytes: &'a [u8]) -> Cow<'a, str> {
        self.model.decode(bytes)
    }

    /// The user's name as text.
    pub(crate) fn user_name<'a>(&self, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
        self.user.map(|user| user.decode(bytes))
    }

    /// The most that the call may cost in tokens, for a reservation; `default_max` where the caller names no limit.
    pub(crate) fn token_bound(&self, default_max: u64) -> u64 {
        let produced = self.max_tokens.unwrap_or(default_max).saturating_mul(self.n);
        self.prompt_tokens.saturating_add(produced)
    }
}

/// Where the messages of a chat are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Messages {
    /// Just behind the opening bracket.
    pub(super) inside: usize,
    /// Whether there are none.
    pub(super) empty: bool,
}

/// The member `prompt` of a chat, which is for us alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PromptField {
    /// Its value.
    pub(crate) value: Range<usize>,
    /// What is cut out so that it is gone: the member with the comma before it, or behind it where it is the first.
    pub(super) cut: Range<usize>,
    /// Whether the end of `cut` is where the next member begins, and that is not known yet.
    opens: bool,
}

/// Where the wish for usage is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum UsageOption {
    /// There is no `stream_options`.
    #[default]
    Absent,
    /// `stream_options` is null, here.
    Null(Range<usize>),
    /// `stream_options` is an object that opens here and has no `include_usage`.
    Object {
        /// Just behind its opening brace.
        inside: usize,
        /// Whether it has no members at all.
        empty: bool,
    },
    /// `include_usage` has its value here.
    Member(Range<usize>),
}

/// What is counted on the way.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) text_bytes: usize,
    /// The last text that was read.
    pub(super) newest: Option<Text>,
    pub(super) tokens: usize,
    pub(super) media: usize,
}

impl Tally {
    /// Counts a text of the prompt.
    pub(super) fn text(&mut self, text: Text) {
        self.text_bytes += text.len();
        self.newest = Some(text);
    }
}

#[derive(Debug)]
struct Draft<'a> {
    api: Api,
    seen: u64,
    unknown: Vec<Cow<'a, str>>,
    model: Option<Text>,
    /// Messages, prompts, inputs or documents.
    items: usize,
    has_query: bool,
    messages: Option<Messages>,
    prompt: Option<PromptField>,
    /// Where the member before this one ended; nothing where there was none.
    ended: Option<usize>,
    stream: bool,
    include_usage: bool,
    usage_option: UsageOption,
    max_tokens: Option<u64>,
    n: u64,
    user: Option<Text>,
    tools_at: Option<usize>,
    choice: Choice,
    tally: Tally,
}

/// Validates a body in one pass.
///
/// # Errors
/// Says where the JSON is broken, or which field is wrong and what it must be.
pub(crate) fn scan(api: Api, bytes: &[u8]) -> Result<Scan, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        Fault::new(FaultKind::InvalidRequest, format!("the body is not UTF-8: byte {} is wrong", e.valid_up_to()))
    })?;
    let draft = Draft {
        api,
        seen: 0,
        unknown: Vec::new(),
        model: None,
        items: 0,
        has_query: false,
        messages: None,
        prompt: None,
        ended: None,
        stream: false,
        include_usage: false,
        usage_option: UsageOption::Absent,
        max_tokens: None,
        n: 1,
        user: None,
        tools_at: None,
        choice: Choice::Free,
        tally: Tally::default(),
    };
    draft.body(Cursor::new(text)).map_err(|bad| bad.into_fault(bytes))
}

impl<'a> Draft<'a> {
    fn body(mut self, mut c: Cursor<'a>) -> Result<Scan, Bad> {
        if c.kind()? != Kind::Object {
            let says = "the body must be a JSON object";
            return Err(Bad::Field(Box::new(Fault::new(FaultKind::InvalidRequest, says))));
        }
        c.object(|c, key| self.member(c, key))?;
        let close = c.at() - 1;
        c.end()?;
        self.finish(&c, close)
    }

    fn member(&mut self, c: &mut Cursor<'a>, key: Text) -> Result<(), Bad> {
        let from = key.literal().start;
        if let Some(prompt) = self.prompt.as_mut().filter(|prompt| prompt.opens) {
            (prompt.cut.end, prompt.opens) = (from, false);
        }
        self.read(c, key)?;
        if let Some(prompt) = self.prompt.as_mut().filter(|prompt| prompt.cut.is_empty()) {
            (prompt.cut, prompt.opens) = (self.ended.unwrap_or(from)..prompt.value.end, self.ended.is_none());
        }
        self.ended = Some(c.at());
        Ok(())
    }

    fn read(&mut self, c: &mut Cursor<'a>, key: Text) -> Result<(), Bad> {
        let key = c.decode(key);
        let Some((name, bit, rule)) = field::rule(self.api, &key) else {
            self.note_unknown(key)?;
            return c.skip();
        };
        if self.seen & bit != 0 {
            return Err(duplicate(name.into()));
        }
        self.seen |= bit;
        if c.kind()? == Kind::Null && !rule.is_required() {
            let from = c.at();
            c.null()?;
            if rule == Rule::StreamOptions {
                self.usage_option = UsageOption::Null(from..c.at());
            }
            return Ok(());
        }
        self.value(c, name, rule)
    }

    fn note_unknown(&mut self, key: Cow<'a, str>) -> Result<(), Bad> {
        if self.unknown.contains(&key) {
            return Err(duplicate(key.into_owned()));
        }
        if self.unknown.len() == MOST_UNKNOWN {
            let says = format!("the body has more than {MOST_UNKNOWN} unknown fields");
            return Err(Bad::Field(Box::new(Fault::new(FaultKind::InvalidRequest, says))));
        }
        self.unknown.push(key);
        Ok(())
    }

    fn value(&mut self, c: &mut Cursor<'a>, name: &'static str, rule: Rule) -> Result<(), Bad> {
        match rule {
            Rule::Model => self.model = Some(model(c)?),
            Rule::Messages => {
                let inside = c.at() + 1;
                self.items = chat::messages(c, &mut self.tally)?;
                self.messages = Some(Messages { inside, empty: self.items == 0 });
            }
            Rule::UsePrompt => {
                let from = c.at();
                field::object(c, name)?;
                self.prompt = Some(PromptField { value: from..c.at(), cut: 0..0, opens: false });
            }
            Rule::Prompt => self.items = input::items(c, name, Texts::MayBeEmpty, &mut self.tally)?,
            Rule::Input => self.items = input::items(c, name, Texts::NotEmpty, &mut self.tally)?,
            Rule::Query => {
                input::query(c, &mut self.tally)?;
                self.has_query = true;
            }
            Rule::Documents => self.items = input::documents(c, &mut self.tally)?,
            Rule::Stream => self.stream = field::bool(c, name)?,
            Rule::StreamOptions => self.stream_options(c)?,
            Rule::MaxTokens(low) => {
                let max = field::max_tokens(c, name, low)?;
                self.max_tokens = Some(self.max_tokens.map_or(max, |other| other.min(max)));
            }
            Rule::Count => self.n = field::integer(c, name, 1, 128)?.unsigned_abs(),
            Rule::User => self.user = Some(field::string(c, name)?),
            Rule::Number(low, high) => field::number(c, name, low, high)?,
            Rule::Integer(low, high) => field::integer(c, name, low, high).map(drop)?,
            Rule::Bool => field::bool(c, name).map(drop)?,
            Rule::String => field::string(c, name).map(drop)?,
            Rule::Object => field::object(c, name)?,
            Rule::Stop => field::stop(c)?,
            Rule::LogitBias => field::logit_bias(c)?,
            Rule::Tools => {
                let from = c.at();
                self.tools_at = (tools::tools(c, &mut self.tally)? > 0).then_some(from);
            }
            Rule::ToolChoice => self.choice = tools::tool_choice(c)?,
            Rule::ResponseFormat => tools::response_format(c)?,
            Rule::EncodingFormat => field::one_of(c, name, &["float", "base64"])?,
        }
        Ok(())
    }

    fn stream_options(&mut self, c: &mut Cursor<'a>) -> Result<(), Bad> {
        if c.kind()? != Kind::Object {
            return Err(Bad::field(
                "stream_options",
                "stream_options must be an object such as {\"include_usage\": true}",
            ));
        }
        let inside = c.at() + 1;
        let mut found = None;
        let members = c.object(|c, key| {
            if c.decode(key) != "include_usage" {
                return c.skip();
            }
            let kind = c.kind()?;
            let from = c.at();
            match kind {
                Kind::Null => c.null()?,
                Kind::Bool => self.include_usage = c.bool()?,
                _ => {
                    return Err(Bad::field(
                        "stream_options.include_usage",
                        "stream_options.include_usage must be true or false",
                    ));
                }
            }
            match found.replace(from..c.at()) {
                None => Ok(()),
                Some(_) => Err(duplicate("stream_options.include_usage".into())),
            }
        })?;
        self.usage_option = found.map_or(UsageOption::Object { inside, empty: members == 0 }, UsageOption::Member);
        Ok(())
    }

    fn finish(self, c: &Cursor<'a>, close: usize) -> Result<Scan, Bad> {
        let model = self.model.ok_or_else(|| Bad::field("model", "model is missing; it names the route to call"))?;
        if self.messages.is_some_and(|messages| messages.empty) && self.prompt.is_none() {
            return Err(Bad::field("messages", "messages must not be empty: send at least one message"));
        }
        if self.api == Api::Rerank && !self.has_query {
            return Err(Bad::field("query", "query is missing; it is what the documents are ranked by"));
        }
        if self.items == 0 && self.prompt.is_none() {
            let name = match self.api {
                Api::ChatCompletions => "messages",
                Api::Completions => "prompt",
                Api::Embeddings | Api::Predict => "input",
                Api::Rerank => "documents",
            };
            return Err(Bad::field(name, format!("{name} is missing")));
        }
        if matches!(self.usage_option, UsageOption::Object { .. } | UsageOption::Member(_)) && !self.stream {
            return Err(Bad::field("stream_options", "stream_options is allowed only where stream is true"));
        }
        tools::choice_is_met(c, self.choice, self.tools_at)?;
        Ok(Scan {
            model,
            stream: self.stream,
            include_usage: self.include_usage,
            max_tokens: self.max_tokens,
            n: self.n,
            user: self.user,
            newest: self.tally.newest,
            has_tools: self.tools_at.is_some(),
            prompt_tokens: self.prompt_tokens(),
            prompt_bytes: self.tally.text_bytes.saturating_add(self.tally.tokens.saturating_mul(4)),
            messages: self.messages,
            prompt: self.prompt,
            usage_option: self.usage_option,
            close,
        })
    }

    fn prompt_tokens(&self) -> u64 {
        let per_message = if self.api == Api::ChatCompletions { 4 } else { 0 };
        let text = self.tally.text_bytes.div_ceil(4) + self.tally.tokens + self.items * per_message;
        let text = u64::try_from(text).unwrap_or(u64::MAX);
        let media = u64::try_from(self.tally.media).unwrap_or(u64::MAX);
        text.saturating_add(media.saturating_mul(TOKENS_PER_MEDIUM))
    }
}

fn model(c: &mut Cursor<'_>) -> Result<Text, Bad> {
    if c.kind()? != Kind::String {
        return Err(Bad::field("model", "model must be a non-empty string that names a route"));
    }
    let text = c.string()?;
    match text.len() {
        0 => Err(Bad::field("model", "model must not be empty; it names the route to call")),
        1..=LONGEST_MODEL => Ok(text),
        _ => Err(Bad::field("model", "model is longer than any name of a route may be")),
    }
}

/// A long key is cut: a message is no echo.
fn duplicate(mut name: String) -> Bad {
    if let Some((cut, _)) = name.char_indices().nth(64) {
        name.truncate(cut);
    }
    let says = format!("the field {name:?} is given twice; send it once");
    Bad::field(name, says)
}
