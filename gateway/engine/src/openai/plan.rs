//! A call's body as requests of the engine, and why the engine did not take them.

use crate::openai::form;
use crate::openai::request::{self, ChatBody, CompletionBody, MessageBody, Piece, Sampling as SamplingBody};
use crate::{ChatMessage, GenerateRequest, Prompt, Role, Sampling, SubmitError, ToolCall};
use serde_json::Value;
use tidegate_core::{Fault, FaultKind};

/// What the old interface produces where the caller names no limit.
const COMPLETION_DEFAULT: usize = 16;

/// A call as the engine needs it.
pub(super) struct JobPlan {
    pub(super) model: String,
    pub(super) chat: bool,
    pub(super) usage: bool,
    pub(super) logprobs: bool,
    pub(super) n: usize,
    /// The member that asked for a form.
    pub(super) form: &'static str,
    pub(super) requests: Vec<GenerateRequest>,
}

/// Reads a chat.
pub(super) fn chat_plan(body: &[u8]) -> Result<JobPlan, Fault> {
    let sampling: SamplingBody = request::read(body)?;
    let chat: ChatBody = request::read(body)?;
    let (form, constraint) = form::constraint(&chat)?.map_or(("response_format", None), |(form, c)| (form, Some(c)));
    let tools = form::tools(&chat)?;
    let messages = chat.messages.into_iter().map(message).collect::<Result<Vec<_>, _>>()?;
    let max_tokens = chat.max_completion_tokens.or(chat.max_tokens).map(|most| most as usize);
    let logprobs = chat.logprobs.unwrap_or(false).then(|| usize::from(chat.top_logprobs.unwrap_or(0)));
    let request = generation(Prompt::Chat(messages), sampling, max_tokens, logprobs, false)?;
    let request = GenerateRequest { constraint, tools, ..request };
    let usage = chat.stream_options.and_then(|options| options.include_usage).unwrap_or(false);
    Ok(JobPlan {
        model: chat.model,
        chat: true,
        usage,
        logprobs: logprobs.is_some(),
        n: request.n,
        form,
        requests: vec![request],
    })
}

/// Reads a text completion, with as many requests as it has prompts.
pub(super) fn completion_plan(body: &[u8]) -> Result<JobPlan, Fault> {
    let text: CompletionBody = request::read(body)?;
    let max_tokens = text.max_tokens.map_or(COMPLETION_DEFAULT, |most| most as usize);
    let logprobs = text.logprobs.map(usize::from);
    let echo = text.echo.unwrap_or(false);
    let requests = text.prompt.pieces().into_iter().map(|piece| {
        let prompt = match piece {
            Piece::Text(text) => Prompt::Text(text),
            Piece::Tokens(tokens) => Prompt::Tokens(tokens),
        };
        generation(prompt, request::read(body)?, Some(max_tokens), logprobs, echo)
    });
    let requests = requests.collect::<Result<Vec<_>, Fault>>()?;
    let usage = text.stream_options.and_then(|options| options.include_usage).unwrap_or(false);
    let n = requests.first().map_or(1, |request| request.n);
    let form = "response_format";
    Ok(JobPlan { model: text.model, chat: false, usage, logprobs: logprobs.is_some(), n, form, requests })
}

fn message(body: MessageBody) -> Result<ChatMessage, Fault> {
    let role = match body.role.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        other => {
            return Err(Fault::field(
                "messages",
                format!("a message has the role `{other}`, which the model does not know"),
            ));
        }
    };
    let content = body.content.map(request::ContentBody::into_text).transpose()?.unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let tool_calls = body.tool_calls.unwrap_or_default();
    let tool_calls = tool_calls.iter().map(|call| ToolCall {
        id: text(&call["id"]),
        name: text(&call["function"]["name"]),
        arguments: text(&call["function"]["arguments"]),
    });
    let (name, tool_call_id) = (body.name, body.tool_call_id);
    Ok(ChatMessage { tool_calls: tool_calls.collect(), name, tool_call_id, ..ChatMessage::new(role, content) })
}

fn generation(
    prompt: Prompt,
    body: SamplingBody,
    max_tokens: Option<usize>,
    logprobs: Option<usize>,
    echo: bool,
) -> Result<GenerateRequest, Fault> {
    let default = Sampling::default();
    let bias = body.logit_bias.unwrap_or_default().into_iter().map(|(token, bias)| {
        let token = token
            .parse()
            .map_err(|_| Fault::field("logit_bias", "logit_bias maps token ids, as whole numbers, to numbers"))?;
        Ok((token, bias))
    });
    let sampling = Sampling {
        temperature: body.temperature.unwrap_or(default.temperature),
        // An empty nucleus still has its likeliest token.
        top_p: body.top_p.map_or(default.top_p, |p| p.max(f32::MIN_POSITIVE)),
        top_k: body.top_k.map_or(default.top_k, |k| k as usize),
        min_p: body.min_p.unwrap_or(default.min_p),
        seed: body.seed.map(i64::cast_unsigned),
        logit_bias: bias.collect::<Result<Vec<_>, Fault>>()?,
        presence_penalty: body.presence_penalty.unwrap_or(0.0),
        frequency_penalty: body.frequency_penalty.unwrap_or(0.0),
    };
    let stop = body
        .stop
        .map(request::OneOrMany::into_vec)
        .unwrap_or_default()
        .into_iter()
        .filter(|stop| !stop.is_empty())
        .collect();
    Ok(GenerateRequest {
        prompt,
        n: body.n.unwrap_or(1) as usize,
        max_tokens,
        sampling,
        stop,
        logprobs,
        echo,
        ..GenerateRequest::default()
    })
}

/// `form` is the member that asked for a form, if any did.
pub(super) fn refused(error: SubmitError, form: &'static str) -> Fault {
    match error {
        SubmitError::Invalid { field: "constraint", problem } => Fault::field(form, format!("{form}: {problem}")),
        SubmitError::QueueFull { wait, .. } => {
            Fault::new(FaultKind::Overloaded, error.to_string()).after(wait).with_upstream_status(429)
        }
        SubmitError::PromptTooLong { .. } => {
            Fault { param: Some("messages".into()), ..Fault::new(FaultKind::ContextLength, error.to_string()) }
        }
        SubmitError::Invalid { field, .. } => Fault::field(field, error.to_string()),
        SubmitError::NoTemplate | SubmitError::Template(_) => Fault::field("messages", error.to_string()),
        _ => Fault::new(FaultKind::Unavailable, "the local model has stopped: try again later").because(error),
    }
}
