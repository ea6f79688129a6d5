//! How an answer is generated where the caller does not say: by the variant, else by its prompt. Owns who is heard first; the
//! caller always is.

use crate::path::arrive::Arrived;
use crate::path::prompt::Front;
use crate::snapshot::Arm;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use tidegate_core::{Api, Fault};

/// Two names of one bound.
const BOUNDS: [&str; 2] = ["max_tokens", "max_completion_tokens"];
/// What only chats have.
const OF_CHATS: [&str; 2] = ["max_completion_tokens", "reasoning_effort"];

/// Whether two members say the same thing.
fn is_same(one: &str, other: &str) -> bool {
    one == other || (BOUNDS.contains(&one) && BOUNDS.contains(&other))
}

/// The members of a body as its caller sent them.
#[derive(Debug)]
pub(crate) struct Said<'a>(HashMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Said<'a> {
    /// Those of a body.
    ///
    /// # Errors
    /// It is no JSON object, which the scan of it should have found.
    pub(crate) fn of(arrived: &'a Arrived) -> Result<Self, Fault> {
        serde_json::from_slice(&arrived.bytes).map(Self).map_err(Fault::internal)
    }

    /// Whether the caller says this, be it by another name or as null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.keys().any(|said| is_same(said, name))
    }
}

/// The members that are added to a body for this arm, each with its JSON: what the arm says where the caller does not, and
/// what its prompt says where neither does.
///
/// # Errors
/// The body is no JSON object, which the scan of it should have found.
pub(crate) fn added<'a>(
    arrived: &Arrived,
    arm: &'a Arm,
    front: Option<&'a Front>,
) -> Result<Vec<(&'a str, &'a str)>, Fault> {
    let of_prompt = front.map_or(&[][..], Front::members).iter().map(|(name, json)| (name.as_str(), json.as_str()));
    if arm.parameters.is_empty() || !arrived.api.makes_text() {
        return Ok(of_prompt.collect());
    }
    let said = Said::of(arrived)?;
    let fits = |name: &str| arrived.api == Api::ChatCompletions || !OF_CHATS.contains(&name);
    let own = arm.parameters.iter().map(|one| (one.name, one.json.as_str()));
    let mut members: Vec<_> = own.filter(|(name, _)| fits(name) && !said.has(name)).collect();
    let own = members.len();
    for (name, json) in of_prompt {
        if !members[..own].iter().any(|(known, _)| is_same(known, name)) {
            members.push((name, json));
        }
    }
    Ok(members)
}
