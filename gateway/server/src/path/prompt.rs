//! A prompt stands before what the caller says: the variant's own, or the one that the caller names. Owns the field
//! `prompt` of a chat and what of a rendered prompt goes into the body; rendering is behind the port `Prompts`.

use crate::body::Splices;
use crate::listen::Peer;
use crate::path::arrive::Arrived;
use crate::path::parameters::Said;
use crate::path::permit::Admitted;
use crate::snapshot::{Arm, Snapshot};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::sync::Arc;
use tidegate_core::port::prompts::{Reach, RenderedPrompt};
use tidegate_core::{Api, Fault, FaultKind, Ledger, PromptRef, PromptStamp};

/// A call that says which prompt it wants.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The call.
    pub(crate) admitted: Admitted,
    /// The prompt.
    pub(crate) wanted: Wanted,
}

/// Which prompt a caller wants, and with which variables.
#[derive(Debug)]
pub(crate) struct Wanted {
    reference: Option<PromptRef>,
    variables: Map<String, Value>,
    reach: Reach,
}

/// The field as it is sent.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    id: Option<String>,
    version: Option<Value>,
    variables: Option<Map<String, Value>>,
}

/// Reads which prompt a call wants.
///
/// # Errors
/// The field is wrong, or names a prompt where the route has its own, or none where the route has none.
pub(crate) fn read(admitted: Admitted, peer: &Peer) -> Result<Prepared, Fault> {
    let field = match &admitted.arrived.scan.prompt {
        None => Field::default(),
        Some(at) => parse(admitted.arrived.bytes.get(at.value.clone()).unwrap_or_default())?,
    };
    let has_own = admitted.route.arms.iter().any(|arm| arm.prompt.is_some());
    let reference = match (&field.id, has_own) {
        (Some(_), true) => {
            return Err(Fault::field("prompt.id", "this route has a prompt of its own: leave prompt.id out"));
        }
        (Some(id), false) => Some(reference(id, field.version.as_ref())?),
        (None, _) if field.version.is_some() => {
            return Err(Fault::field("prompt.version", "prompt.version is of no use without prompt.id"));
        }
        (None, false) if admitted.arrived.scan.prompt.is_some() => {
            return Err(Fault::field(
                "prompt.id",
                "prompt.id is missing: it names the prompt, as `support@production`",
            ));
        }
        (None, _) => None,
    };
    let wanted = Wanted { reference, variables: field.variables.unwrap_or_default(), reach: peer.reach };
    Ok(Prepared { admitted, wanted })
}

fn parse(json: &[u8]) -> Result<Field, Fault> {
    serde_json::from_slice(json).map_err(|e| {
        Fault::field(
            "prompt",
            "prompt must be an object such as {\"id\": \"support\", \"version\": \"3\", \"variables\": {}}",
        )
        .because(e)
    })
}

fn reference(id: &str, version: Option<&Value>) -> Result<PromptRef, Fault> {
    let number;
    let version = match version {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.as_str()),
        Some(Value::Number(n)) => {
            number = n.to_string();
            Some(number.as_str())
        }
        Some(_) => return Err(Fault::field("prompt.version", "prompt.version must be a number, a label or a commit")),
    };
    PromptRef::of(id, version).map_err(|why| {
        let param = if id.parse::<PromptRef>().is_err() { "prompt.id" } else { "prompt.version" };
        Fault::field(param, format!("{param}: {why}"))
    })
}

/// What of a rendered prompt goes into a body.
#[derive(Debug)]
pub(crate) struct Front {
    /// JSON of the messages, with commas between.
    messages: String,
    /// Members that the caller did not send, each with its JSON.
    members: Vec<(String, String)>,
}

impl Front {
    /// A guess at its tokens: a quarter of its bytes.
    pub(crate) const fn tokens(&self) -> u64 {
        (self.messages.len() / 4) as u64
    }

    /// The edit that puts its messages into the caller's body.
    pub(crate) fn splice<'a>(&'a self, arrived: &Arrived, splices: &mut Splices<'a>) {
        splices.prompt(&arrived.scan, &self.messages);
    }

    /// Its messages, each with who speaks.
    ///
    /// # Errors
    /// It was written wrongly.
    pub(crate) fn said(&self) -> Result<Vec<(String, String)>, Fault> {
        #[derive(Deserialize)]
        struct Message {
            role: String,
            content: String,
        }
        let messages: Vec<Message> = serde_json::from_str(&format!("[{}]", self.messages)).map_err(Fault::internal)?;
        Ok(messages.into_iter().map(|message| (message.role, message.content)).collect())
    }

    /// What it says of members that the caller did not send, each with its JSON.
    pub(crate) fn members(&self) -> &[(String, String)] {
        &self.members
    }
}

impl Wanted {
    /// Renders what stands before the caller's messages at this arm, if anything does, and notes its version.
    ///
    /// # Errors
    /// There is no such prompt, a variable is missing or too many, or nothing would be left to send.
    pub(crate) fn front(
        &self,
        snapshot: &Snapshot,
        arm: &Arm,
        arrived: &Arrived,
        ledger: &mut Ledger,
    ) -> Result<Option<Front>, Fault> {
        ledger.note(|event| event.prompt = None);
        let Some((front, stamp)) = self.render(snapshot, arm, arrived)? else { return Ok(None) };
        ledger.note(|event| event.prompt = Some(stamp));
        Ok(Some(front))
    }

    /// The same, without a note: what stands before the messages, and which version it is.
    ///
    /// # Errors
    /// There is no such prompt, a variable is missing or too many, or nothing would be left to send.
    pub(crate) fn render(
        &self,
        snapshot: &Snapshot,
        arm: &Arm,
        arrived: &Arrived,
    ) -> Result<Option<(Front, Arc<PromptStamp>)>, Fault> {
        let Some(reference) = arm.prompt.as_ref().or(self.reference.as_ref()) else {
            return match &arrived.scan.prompt {
                None => Ok(None),
                Some(_) => {
                    Err(Fault::field("prompt", format!("the variant `{}` has no prompt: leave it out", arm.name)))
                }
            };
        };
        if arrived.api != Api::ChatCompletions {
            let says = "this route has a prompt, which is made of messages: call /v1/chat/completions";
            return Err(Fault::new(FaultKind::InvalidRequest, says));
        }
        let prompts = snapshot.prompts.as_ref().ok_or_else(|| {
            Fault::field(
                "prompt",
                "this gateway has no prompts: leave prompt out, or set `prompts` in its configuration",
            )
        })?;
        let rendered = prompts.render(reference, &self.variables, self.reach).map_err(|fault| {
            if arm.prompt.is_some() && fault.kind == FaultKind::NotFound {
                // Not the caller's mistake: he cannot say which prompt this arm has.
                let says = format!("the prompt of the variant `{}` cannot be had now", arm.name);
                return Fault::new(FaultKind::Unavailable, says).because(fault);
            }
            within_prompt(fault)
        })?;
        let front = front(&rendered, arrived)?;
        Ok(Some((front, Arc::new(rendered.stamp))))
    }
}

/// The port speaks of `variables.x`, callers sent `prompt.variables.x`.
fn within_prompt(mut fault: Fault) -> Fault {
    if let Some(param) = &fault.param {
        fault.param = Some(format!("prompt.{param}").into());
    } else if fault.kind == FaultKind::NotFound {
        fault.param = Some("prompt.id".into());
    }
    fault
}

fn front(rendered: &RenderedPrompt, arrived: &Arrived) -> Result<Front, Fault> {
    let mut messages = String::new();
    for message in &rendered.messages {
        let comma = if messages.is_empty() { "" } else { "," };
        let content = Value::String(message.content.clone());
        write!(messages, "{comma}{{\"role\":\"{}\",\"content\":{content}}}", message.role.word())
            .map_err(Fault::internal)?;
    }
    let format = rendered.response_format.as_ref().map(|format| ("response_format", format));
    let wished: Vec<_> = rendered.parameters.iter().map(|(name, value)| (name.as_str(), value)).chain(format).collect();
    let mut members = Vec::new();
    if !wished.is_empty() {
        let said = Said::of(arrived)?;
        members.extend(
            wished
                .into_iter()
                .filter(|(name, _)| !said.has(name))
                .map(|(name, value)| (name.to_owned(), value.to_string())),
        );
    }
    Ok(Front { messages, members })
}
