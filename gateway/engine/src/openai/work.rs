//! The generations of one call and what comes of them, whole; the same in events is `frames`'.

use crate::constrain::{CallReader, CallStyle, Heard};
use crate::openai::completion::{Column, Head};
use crate::openai::{chat, completion};
use crate::{Alternative, Asleep, FinishReason, GenerateError, Generation, GenerationEvent, PromptToken, TokenLogprob};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::aside::Aside;
use tidegate_core::port::backend::Answer;
use tidegate_core::said::Sureness;
use tidegate_core::{Dice, Fault, FaultKind, Usage};

/// When a call that could not wake a model may come again.
const NEXT_TRY: Duration = Duration::from_secs(5);

/// The generations of one call: one for each prompt, each with `n` answers.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) head: Head,
    pub(super) chat: bool,
    pub(super) logprobs: bool,
    pub(super) n: usize,
    pub(super) running: VecDeque<Generation>,
    /// How many of them are over.
    pub(super) prompt: usize,
    /// How sure the model was of the answers that are complete, by their index.
    pub(super) sureness: Vec<Sureness>,
    pub(super) aside: Option<Arc<Aside>>,
    /// Whether its turn has come.
    pub(super) begun: bool,
    pub(super) form: &'static str,
    /// How calls are written, where tools may be called.
    pub(super) style: Option<CallStyle>,
    pub(super) dice: Arc<dyn Dice>,
}

impl Work {
    /// An id for a call of a tool.
    pub(super) fn call_id(&self) -> String {
        format!("call_{:016x}{:08x}", self.dice.next_u64(), self.dice.next_u64() >> 32)
    }

    /// Takes how sure the model was of an answer.
    pub(super) fn was_sure(&mut self, index: usize, of: Sureness) {
        if self.sureness.len() <= index {
            self.sureness.resize(index + 1, Sureness::default());
        }
        self.sureness[index] = of;
    }

    /// Says beside the answer, which is whole, what it has no place for.
    pub(super) fn say_aside(&mut self) {
        if let Some(aside) = self.aside.as_ref().filter(|aside| aside.wants_sureness) {
            drop(aside.sureness.set(std::mem::take(&mut self.sureness)));
        }
    }

    /// Runs to the end.
    pub(super) async fn whole(&mut self) -> Result<Answer, Fault> {
        let mut choices: Vec<Part> = Vec::new();
        let mut usage = Usage::default();
        while let Some(mut generation) = self.running.pop_front() {
            let first = choices.len();
            choices.resize_with(first + self.n, || Part { reader: self.style.map(CallReader::new), ..Part::default() });
            while let Some(event) = generation.next().await {
                match event {
                    GenerationEvent::Started { prompt_tokens, cached_tokens } => {
                        self.begun = true;
                        usage.prompt += prompt_tokens as u64;
                        usage.cached += cached_tokens as u64;
                    }
                    GenerationEvent::Prompt { text, tokens } => {
                        choices[first..].iter_mut().for_each(|part| part.echo(&text, &tokens));
                    }
                    GenerationEvent::Text { index, text, logprobs } => {
                        choices[first + index].more(&text, logprobs, || self.call_id());
                    }
                    GenerationEvent::Sureness { index, of } => self.was_sure(first + index, of),
                    GenerationEvent::Finished { index, reason, completion_tokens } => {
                        choices[first + index].end(reason);
                        usage.completion += completion_tokens as u64;
                    }
                    GenerationEvent::Failed(error) => return Err(broken(&error, self.form)),
                }
            }
        }
        self.say_aside();
        let shown = shown(&usage);
        let body = if self.chat {
            let choices: Vec<_> = choices.into_iter().map(|part| part.chat(self.logprobs)).collect();
            chat::answer(&self.head, &choices, &shown)
        } else {
            let choices: Vec<_> = choices.into_iter().map(|part| part.text(self.logprobs)).collect();
            completion::answer(&self.head, &choices, &shown)
        };
        Ok(Answer { body: body.into(), usage: Some(usage), endpoint: None, predicted: None })
    }
}

/// One answer on its way.
#[derive(Debug, Default)]
struct Part {
    text: String,
    prompt: Vec<PromptToken>,
    tokens: Vec<TokenLogprob>,
    reader: Option<CallReader>,
    calls: Vec<chat::CalledTool>,
    finish: Option<&'static str>,
}

impl Part {
    fn echo(&mut self, text: &str, tokens: &[PromptToken]) {
        self.text.push_str(text);
        self.prompt = tokens.to_vec();
    }

    fn more(&mut self, text: &str, tokens: Vec<TokenLogprob>, id: impl Fn() -> String) {
        self.tokens.extend(tokens);
        let Some(reader) = &mut self.reader else { return self.text.push_str(text) };
        for part in reader.push(text) {
            match part {
                Heard::Text(text) => self.text.push_str(&text),
                Heard::Call { name, .. } => {
                    self.calls.push(chat::CalledTool { id: id(), name, arguments: String::new() });
                }
                Heard::Arguments { text, .. } => {
                    self.calls.last_mut().into_iter().for_each(|call| call.arguments.push_str(&text));
                }
            }
        }
    }

    fn end(&mut self, reason: FinishReason) {
        if let Some(Heard::Text(rest)) = self.reader.as_mut().and_then(CallReader::finish) {
            self.text.push_str(&rest);
        }
        self.finish = Some(word(reason, !self.calls.is_empty()));
    }

    fn chat(self, logprobs: bool) -> chat::Choice {
        chat::Choice {
            text: self.text,
            calls: self.calls,
            logprobs: logprobs.then(|| self.tokens.iter().map(entry).collect()),
            finish: self.finish,
        }
    }

    fn text(self, logprobs: bool) -> completion::Choice {
        let columns = self.prompt.iter().map(prompt_column).chain(self.tokens.iter().map(column));
        completion::Choice { columns: logprobs.then(|| columns.collect()), text: self.text, finish: self.finish }
    }
}

/// What ended a call, as its caller sees it.
pub(super) fn broken(error: &GenerateError, form: &'static str) -> Fault {
    match error {
        GenerateError::Constraint(_) => Fault::field(form, error.to_string()),
        GenerateError::Late { .. } => Fault::new(FaultKind::UpstreamTimeout, error.to_string()),
        GenerateError::Asleep(asleep) => sleeps(asleep),
        _ => Fault::internal(error),
    }
}

/// A model that sleeps and cannot be woken: where others have its memory they may give it back, and where its files are not
/// what they were, somebody may mend that.
pub(super) fn sleeps(asleep: &Asleep) -> Fault {
    let (kind, says) = if asleep.no_room {
        (FaultKind::Overloaded, "the model sleeps, and other models have the memory that it needs: try again later")
    } else {
        (FaultKind::Unavailable, "the model sleeps and cannot be woken; the gateway's log says why: try again later")
    };
    Fault::new(kind, says).because(asleep).after(NEXT_TRY)
}

/// Why an answer ended, in OpenAI's words.
pub(super) const fn word(reason: FinishReason, has_calls: bool) -> &'static str {
    match reason {
        FinishReason::Stop if has_calls => "tool_calls",
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
    }
}

/// Tokens of a call.
pub(super) fn shown(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt, "completion_tokens": usage.completion, "total_tokens": usage.total(),
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    })
}

/// A token of a chat with its log-probability.
pub(super) fn entry(token: &TokenLogprob) -> Value {
    let top: Vec<Value> =
        token.top.iter().map(|t| json!({"token": t.token, "logprob": t.logprob, "bytes": t.bytes})).collect();
    json!({"token": token.token, "logprob": token.logprob, "bytes": token.bytes, "top_logprobs": top})
}

/// The same in the columnar form.
pub(super) fn column(token: &TokenLogprob) -> Column {
    Column { text: token.token.clone(), logprob: Some(token.logprob), top: Some(pairs(&token.top)) }
}

/// The same of an echoed prompt.
pub(super) fn prompt_column(token: &PromptToken) -> Column {
    Column { text: token.token.clone(), logprob: token.logprob, top: token.logprob.map(|_| pairs(&token.top)) }
}

fn pairs(top: &[Alternative]) -> Vec<(String, f32)> {
    top.iter().map(|t| (t.token.clone(), t.logprob)).collect()
}
