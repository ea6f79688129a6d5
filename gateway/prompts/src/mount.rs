//! The HTTP of prompts as a function: what was asked in, a status and JSON out. Owns the paths below `/v1/prompts` and
//! their forms; connections, roles and the form of errors are the server's.

use crate::author::Author;
use crate::book::{Entry, Version};
use crate::draft::{Body, Draft};
use crate::fault::PromptFault;
use crate::store::PromptStore;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tidegate_core::port::prompts::{PromptRole, Reach};
use tidegate_core::{Fault, FaultKind, PromptLabel, PromptName, PromptPick, PromptRef, PromptRefFault};

/// The most versions that one answer lists.
const PAGE: usize = 1000;

/// One request.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a Method,
    /// The parts of the path behind `/v1/prompts`, percent-decoded.
    pub segments: &'a [&'a str],
    /// The query, percent-decoded.
    pub query: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
    /// From where it comes.
    pub reach: Reach,
    /// Who asks.
    pub by: &'a Author,
}

/// What a request needs of whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To read.
    Read,
    /// To write.
    Write,
}

/// What a request to these path segments needs; `None` where there is no such path or method.
#[must_use]
pub fn need(method: &Method, segments: &[&str]) -> Option<Need> {
    match (method.as_str(), segments) {
        ("GET", [] | [_] | [_, "versions" | "diff"] | [_, "labels", _]) | ("POST", [_, "render"]) => Some(Need::Read),
        ("POST", [] | [_, "rollback"]) | ("PUT" | "DELETE", [_, "labels", _]) | ("DELETE", [_]) => Some(Need::Write),
        _ => None,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Render {
    version: Option<Value>,
    #[serde(default)]
    variables: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    version: Option<Value>,
    label: Option<PromptLabel>,
    #[serde(default)]
    why: String,
    /// Where the label points now; 0 where it is not there.
    expected: Option<u32>,
}

impl PromptStore {
    /// Answers a request. May read from the disk: run it where blocking is allowed.
    ///
    /// # Errors
    /// What was wrong, for the caller.
    pub fn answer(&self, asked: &Asked<'_>) -> Result<(StatusCode, Value), Fault> {
        let ok = |value: Value| Ok((StatusCode::OK, value));
        if need(asked.method, asked.segments).is_none() {
            return Err(unknown(asked));
        }
        match (asked.method.as_str(), asked.segments) {
            ("GET", []) => ok(self.list()),
            ("POST", []) => self.post(asked).map(|value| (StatusCode::CREATED, value)),
            ("GET", [name]) => ok(self.show(&reference(name, asked)?)?),
            ("DELETE", [name]) => ok(self.remove(&prompt(name)?, asked)?),
            ("GET", [name, "versions"]) => ok(self.versions(&prompt(name)?)?),
            ("GET", [name, "diff"]) => ok(self.compare(&prompt(name)?, asked)?),
            ("POST", [name, "render"]) => ok(self.render_body(name, asked)?),
            ("POST", [name, "rollback"]) => ok(self.roll(&prompt(name)?, asked)?),
            (method, [name, "labels", label]) => ok(self.label(method, &prompt(name)?, label, asked)?),
            _ => Err(unknown(asked)),
        }
    }

    fn list(&self) -> Value {
        let book = self.book();
        let prompts: Vec<Value> = book.prompts().map(|entry| summary(entry)).collect();
        json!({"object": "list", "data": prompts, "head": book.head(), "skipped": book.skipped()})
    }

    fn show(&self, reference: &PromptRef) -> Result<Value, PromptFault> {
        let book = self.book();
        let entry = book.entry(&reference.name)?;
        let mut shown = summary(entry);
        if reference.pick == PromptPick::Newest && entry.version(entry.newest).is_none() {
            return Ok(shown);
        }
        let version = entry.pick(&reference.pick)?;
        shown["version"] = self.version(version, true)?;
        Ok(shown)
    }

    fn versions(&self, name: &PromptName) -> Result<Value, PromptFault> {
        let book = self.book();
        let entry = book.entry(name)?;
        let there = entry.versions.iter().rev().filter(|version| !version.is_deleted).take(PAGE);
        let data = there.map(|version| self.version(version, false)).collect::<Result<Vec<_>, _>>()?;
        Ok(json!({"object": "list", "data": data, "labels": entry.labels}))
    }

    /// A version as JSON; with its templates where `is_whole`.
    fn version(&self, version: &Version, is_whole: bool) -> Result<Value, PromptFault> {
        let mut shown = json!({"n": version.n, "sha": version.sha});
        if let Some(note) = self.note(version.sha)? {
            shown["commit"] = json!(note);
        }
        if !is_whole {
            return Ok(shown);
        }
        match self.prompt(version) {
            Ok(prompt) => {
                let source = prompt.source();
                let messages: Vec<Value> =
                    source.messages.iter().map(|m| json!({"role": m.role, "template": m.template})).collect();
                shown["description"] = json!(version.description.as_ref().or(source.description.as_ref()));
                shown["messages"] = messages.into();
                shown["is_text"] = source.is_text.into();
                shown["variables"] =
                    prompt.variables().map(|(name, schema)| (name.to_owned(), schema.clone())).collect();
                shown["parameters"] = source.parameters.clone().into();
                shown["response_format"] = json!(source.response_format);
                shown["tests"] = source.tests.len().into();
                shown["tags"] = json!(version.tags_over(&source.tags));
            }
            Err(PromptFault::Source(fault)) => shown["fault"] = fault.to_string().into(),
            Err(other) => return Err(other),
        }
        Ok(shown)
    }

    fn compare(&self, name: &PromptName, asked: &Asked<'_>) -> Result<Value, Fault> {
        let side = |key: &'static str| -> Result<PromptRef, Fault> {
            let text =
                one(asked, key).ok_or_else(|| Fault::field(key, format!("`{key}` is missing: write ?from=1&to=2")))?;
            let reference =
                PromptRef::of(name.as_str(), Some(text)).map_err(|why| Fault::field(key, why.to_string()))?;
            if reference.pick == PromptPick::Dev && asked.reach != Reach::Loopback {
                return Err(Fault::new(FaultKind::Forbidden, "`@dev` is for callers on this machine alone"));
            }
            Ok(reference)
        };
        let (from, to) = (side("from")?, side("to")?);
        let mut shown = json!({"from": from, "to": to, "text": self.diff(&from, &to)?});
        let variables = match one(asked, "variables") {
            None => Map::new(),
            Some(text) => serde_json::from_str(text)
                .map_err(|e| Fault::field("variables", format!("`variables` is a JSON object: {e}")))?,
        };
        // Without variables a prompt that needs some has no rendered form: the text alone is the answer then.
        match self.diff_rendered(&from, &to, &variables, asked.reach) {
            Ok(rendered) => shown["rendered"] = rendered.into(),
            Err(fault) => shown["rendered_fault"] = fault.to_string().into(),
        }
        Ok(shown)
    }

    fn render_body(&self, name: &str, asked: &Asked<'_>) -> Result<Value, Fault> {
        let body: Render = read(asked.body)?;
        let version = body.version.as_ref().map(version_text).transpose()?;
        let reference = PromptRef::of(name, version.as_deref()).map_err(|why| wrong("version", &why))?;
        let rendered = self.rendered(&reference, &body.variables, asked.reach)?;
        serde_json::to_value(rendered).map_err(Fault::internal)
    }

    fn post(&self, asked: &Asked<'_>) -> Result<Value, Fault> {
        let body: Map<String, Value> = read(asked.body)?;
        let (name, draft, message) = posted(&body)?;
        if let Some(wanted) = body.get("ref") {
            self.check_branch(wanted)?;
        }
        let stamp = self.register(&name, &draft, asked.by, message)?;
        Ok(json!(stamp))
    }

    /// A `ref` must name the branch that is followed: a version elsewhere would be seen by nobody.
    fn check_branch(&self, wanted: &Value) -> Result<(), Fault> {
        let fault = |why: String| Fault::field("ref", format!("`ref`: {why}"));
        let text = wanted.as_str().ok_or_else(|| fault("is a text: the name of a branch".into()))?;
        let short = text.strip_prefix("refs/heads/").unwrap_or(text);
        tidegate_core::name::check(short).map_err(|why| fault(why.to_string()))?;
        let (branch, _) = self.repository.view().head()?;
        if branch.strip_prefix("refs/heads/") != Some(short) {
            let followed = branch.strip_prefix("refs/heads/").unwrap_or(&branch);
            let why = format!("`ref`: versions are written to the branch {followed:?}; leave `ref` out");
            return Err(Fault { param: Some("ref".into()), ..Fault::new(FaultKind::Conflict, why) });
        }
        Ok(())
    }

    fn remove(&self, name: &PromptName, asked: &Asked<'_>) -> Result<Value, Fault> {
        self.delete(name, asked.by)?;
        Ok(json!({"name": name, "deleted": true}))
    }

    fn roll(&self, name: &PromptName, asked: &Asked<'_>) -> Result<Value, Fault> {
        let body: Move = read(asked.body)?;
        let label = body.label.ok_or_else(|| Fault::field("label", "`label` is missing: which label to roll back"))?;
        let stamp = self.rollback(name, &label, asked.by, &body.why)?;
        Ok(json!({"label": label, "stamp": stamp}))
    }

    fn label(&self, method: &str, name: &PromptName, label: &str, asked: &Asked<'_>) -> Result<Value, Fault> {
        let label: PromptLabel = label.parse().map_err(|why: PromptRefFault| wrong("label", &why))?;
        match method {
            "GET" => {
                let n = self.book().entry(name)?.pick_label(&label)?;
                Ok(json!({"label": label, "n": n, "moves": self.label_moves(name, &label)?}))
            }
            "DELETE" => {
                self.delete_label(name, &label, asked.by, one(asked, "why").unwrap_or_default())?;
                Ok(json!({"label": label, "deleted": true}))
            }
            _ => {
                let body: Move = read(asked.body)?;
                let version = body.version.as_ref().map(version_text).transpose()?;
                let version =
                    version.ok_or_else(|| Fault::field("version", "`version` is missing: to which version"))?;
                let to = PromptRef::of(name.as_str(), Some(&version)).map_err(|why| wrong("version", &why))?;
                let stamp = self.set_label(name, &label, &to.pick, (asked.by, &body.why), body.expected)?;
                Ok(json!({"label": label, "stamp": stamp}))
            }
        }
    }
}

impl Version {
    /// The tags of a version: those of its files, and over them what was set since.
    #[must_use]
    pub fn tags_over(&self, files: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut tags = files.clone();
        for (key, value) in &self.tags {
            match value {
                Some(value) => drop(tags.insert(key.clone(), value.clone())),
                None => drop(tags.remove(key)),
            }
        }
        tags
    }
}

fn summary(entry: &Entry) -> Value {
    let newest = entry.version(entry.newest);
    json!({
        "name": entry.name,
        "n": newest.map(|version| version.n),
        "sha": newest.map(|version| version.sha),
        "versions": entry.versions.iter().filter(|version| !version.is_deleted).count(),
        "labels": entry.labels,
        "description": entry.description,
        "tags": entry.tags,
    })
}

fn unknown(asked: &Asked<'_>) -> Fault {
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
    if methods.iter().any(|method| need(method, asked.segments).is_some()) {
        return Fault::new(FaultKind::MethodNotAllowed, "this path does not take this method");
    }
    Fault::new(FaultKind::NotFound, "there is no such path below /v1/prompts")
}

fn wrong(param: &'static str, why: &PromptRefFault) -> Fault {
    Fault::field(param, format!("`{param}`: {why}"))
}

fn prompt(name: &str) -> Result<PromptName, Fault> {
    name.parse().map_err(|why| wrong("name", &why))
}

fn one<'a>(asked: &Asked<'a>, key: &str) -> Option<&'a str> {
    asked.query.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
}

/// The reference of a path and the query's `version`.
fn reference(name: &str, asked: &Asked<'_>) -> Result<PromptRef, Fault> {
    PromptRef::of(name, one(asked, "version")).map_err(|why| wrong("version", &why))
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Fault> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|e| Fault::new(FaultKind::InvalidRequest, format!("the body is not what is taken here: {e}")))
}

/// A version as callers write it: a number, or a text with a number, a label or a commit.
fn version_text(value: &Value) -> Result<String, Fault> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(n) if n.is_u64() => Ok(n.to_string()),
        _ => Err(Fault::field("version", "`version` is a number, a label or a commit")),
    }
}

/// The name, the draft and the message of a posted version.
fn posted(body: &Map<String, Value>) -> Result<(PromptName, Draft, &str), Fault> {
    const TAKEN: [&str; 11] = [
        "name",
        "ref",
        "template",
        "messages",
        "variables",
        "parameters",
        "response_format",
        "description",
        "tags",
        "tests",
        "message",
    ];
    if let Some(key) = body.keys().find(|key| !TAKEN.contains(&key.as_str())) {
        let shown: String = key.chars().take(100).collect();
        return Err(Fault::field(
            shown.clone(),
            format!("`{shown}` is not taken here; there are {}", TAKEN.join(", ")),
        ));
    }
    fn field<T: serde::de::DeserializeOwned>(body: &Map<String, Value>, key: &'static str) -> Result<Option<T>, Fault> {
        let Some(value) = body.get(key) else { return Ok(None) };
        serde_json::from_value(value.clone()).map(Some).map_err(|e| Fault::field(key, format!("`{key}`: {e}")))
    }
    let text = |key: &'static str| match body.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(Fault::field(key, format!("`{key}` is a text"))),
    };
    let name = text("name")?.ok_or_else(|| Fault::field("name", "`name` is missing: the prompt's name"))?;
    let name = prompt(name)?;
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Message {
        role: PromptRole,
        content: String,
    }
    let chat: Option<Vec<Message>> = field(body, "messages")?;
    let body_of = match (text("template")?, chat) {
        (Some(template), None) => Body::Text(template.to_owned()),
        (None, Some(messages)) => Body::Chat(messages.into_iter().map(|m| (m.role, m.content)).collect()),
        _ => return Err(Fault::field("template", "give `template`, one text, or `messages`, a conversation")),
    };
    let draft = Draft {
        description: text("description")?.map(str::to_owned),
        tags: field(body, "tags")?.unwrap_or_default(),
        variables: field(body, "variables")?,
        parameters: field(body, "parameters")?.unwrap_or_default(),
        response_format: body.get("response_format").cloned(),
        tests: field(body, "tests")?,
        body: body_of,
    };
    Ok((name, draft, text("message")?.unwrap_or_default()))
}

#[cfg(test)]
mod tests;
