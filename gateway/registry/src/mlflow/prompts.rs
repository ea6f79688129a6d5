//! MLflow's calls on prompts, which it keeps among registered models by a tag: here they are those of the prompt shelf.
//! Owns how a prompt looks as a model and its templates as tags.

mod search;

use super::models::listing;
use super::params::Params;
use super::table::Call;
use crate::alias::AliasName;
use crate::facts::VersionFacts;
use crate::fault::{RegistryFault, RegistryFaultKind};
use crate::filter::{Filter, IS_PROMPT, Target};
use crate::model::{RegisteredModel, RegisteredName};
use crate::registry::{Actor, Registry};
use crate::tag::{PROMPT_TEXT as TEXT, Tags};
use crate::version::{ModelVersion, Stage};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tidegate_core::port::audit::Noted;
use tidegate_core::port::prompts::{PromptMessage, PromptRole};
use tidegate_core::port::shelf::{NewShelved, PromptShelf, ShelvedBody, ShelvedPrompt, ShelvedVersion, Writer};
use tidegate_core::{Fault, FaultKind};

/// The tag that says whether they are a text or a chat.
const TYPE: &str = "_mlflow_prompt_type";
/// What a version of a prompt has for its source.
pub(super) const SOURCES: [&str; 2] = ["dummy-source", "prompt-template"];

/// Whether these tags are those of a prompt.
pub(super) fn is_prompt(tags: &Tags) -> bool {
    tags.get(IS_PROMPT).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// A version of a prompt has no files, so it names none.
pub(super) fn wrong_source(source: &str) -> RegistryFault {
    let says = format!("Invalid prompt source: '{source}'. Prompt sources must use an MLflow placeholder.");
    RegistryFault::invalid(says)
}

/// Answers a call where it is about prompts; `None` where it is about models.
///
/// # Errors
/// What is wrong with it.
pub(super) async fn answer(
    shelf: &Arc<dyn PromptShelf>,
    registry: &Registry,
    call: Call,
    by: &Actor,
    params: &Params,
) -> Result<Option<Value>, RegistryFault> {
    let (shelf, name) = (Arc::clone(shelf), params.text("name").to_owned());
    let once = by.idempotency.as_ref().map(|key| key.once(&by.principal));
    let writer = Writer { principal: by.principal.clone(), once };
    let was_done = once.map_or(Ok(false), |once| shelf.was_done(&once)).map_err(refused)?;
    match call {
        Call::CreateModel => return create(shelf, registry, params, (writer, was_done)).await,
        // What was deleted is not there to be asked for.
        Call::DeleteModel | Call::DeleteVersion if was_done => return Ok(Some(json!({}))),
        Call::SearchModels if Filter::parse(params.text("filter"), Target::Models)?.prompts => {
            return search::models(shelf, params).await.map(Some);
        }
        Call::SearchVersions if Filter::parse(params.text("filter"), Target::Versions)?.prompts => {
            return search::versions(shelf, params).await.map(Some);
        }
        Call::RenameModel if shelf.has(params.text("new_name")) => {
            return Err(taken(params.text("new_name"), "registered model", "prompt"));
        }
        _ if name.is_empty() || !shelf.has(&name) => return Ok(None),
        _ => {}
    }
    let asked = Asked { call, name, by: writer, params: params.clone() };
    let answered = blocking(move || asked.answer(&*shelf)).await?;
    if let Some((action, subject, detail)) = deed(call, params, &answered) {
        registry.enter(Noted { by: by.principal.clone(), action, subject, detail }).await?;
    }
    if let Some((entity, action, data)) = told(call, params, &answered) {
        registry.tell(entity, action, data).await;
    }
    Ok(Some(answered))
}

/// What the audit log has of a call that was done.
fn deed(call: Call, params: &Params, answered: &Value) -> Option<(&'static str, String, Value)> {
    let name = params.text("name");
    let label = || format!("prompts:/{name}@{}", params.text("alias"));
    let version = || format!("prompts:/{name}/{}", params.text("version"));
    Some(match call {
        Call::SetAlias => ("prompt.label", label(), json!({"to": params.text("version")})),
        Call::DeleteAlias => ("prompt.label.delete", label(), json!({})),
        Call::CreateVersion => {
            let n = answered["model_version"]["version"].as_str().unwrap_or_default();
            ("prompt.register", format!("prompts:/{name}/{n}"), json!({}))
        }
        Call::DeleteVersion => ("prompt.version.delete", version(), json!({})),
        Call::DeleteModel => ("prompt.delete", format!("prompts:/{name}"), json!({})),
        _ => return None,
    })
}

/// What webhooks are told of a call that was done.
fn told(call: Call, params: &Params, answered: &Value) -> Option<(&'static str, &'static str, Value)> {
    let text = |name: &str| params.text(name);
    let data = |names: &[&str]| -> Value {
        Value::Object(names.iter().map(|name| ((*name).to_owned(), Value::from(text(name)))).collect())
    };
    Some(match call {
        Call::SetModelTag => ("prompt_tag", "set", data(&["name", "key", "value"])),
        Call::DeleteModelTag => ("prompt_tag", "deleted", data(&["name", "key"])),
        Call::SetVersionTag => ("prompt_version_tag", "set", data(&["name", "version", "key", "value"])),
        Call::DeleteVersionTag => ("prompt_version_tag", "deleted", data(&["name", "version", "key"])),
        Call::SetAlias => ("prompt_alias", "created", data(&["name", "alias", "version"])),
        Call::DeleteAlias => ("prompt_alias", "deleted", data(&["name", "alias"])),
        Call::CreateVersion => {
            let given = params.tags().ok()?;
            let said = json!({
                "name": text("name"),
                "version": answered["model_version"]["version"],
                "template": given.get(TEXT),
                "description": params.given("description"),
                "tags": without(&given, &[IS_PROMPT, TYPE, TEXT]),
            });
            ("prompt_version", "created", said)
        }
        _ => return None,
    })
}

/// Tags without those that say what MLflow keeps in them.
fn without(tags: &Tags, taken: &[&str]) -> Map<String, Value> {
    let kept = tags.iter().filter(|(key, _)| !taken.contains(key));
    kept.map(|(key, value)| (key.to_owned(), Value::from(value))).collect()
}

/// Reads and writes of prompts go to the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RegistryFault> + Send + 'static,
) -> Result<T, RegistryFault> {
    tokio::task::spawn_blocking(work).await.map_err(RegistryFault::internal)?
}

async fn create(
    shelf: Arc<dyn PromptShelf>,
    registry: &Registry,
    params: &Params,
    (by, was_done): (Writer, bool),
) -> Result<Option<Value>, RegistryFault> {
    let (name, tags) = (params.name("name")?, params.tags()?);
    if !is_prompt(&tags) {
        if shelf.has(name.as_str()) {
            return Err(taken(name.as_str(), "registered model", "prompt"));
        }
        return Ok(None);
    }
    if registry.model(&name).await.is_ok() {
        return Err(taken(name.as_str(), "prompt", "registered model"));
    }
    if shelf.has(name.as_str()) && !was_done {
        let says = format!("Prompt (name={name}) already exists.");
        return Err(RegistryFault::new(RegistryFaultKind::Exists, says));
    }
    let said = json!({
        "name": name.as_str(), "description": params.text("description"), "tags": without(&tags, &[IS_PROMPT, TYPE]),
    });
    let description = params.text("description").to_owned();
    let tags = tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let made = blocking(move || {
        shelf.create(name.as_str(), &description, &tags, &by).map_err(refused).and_then(|made| model(&*shelf, made))
    });
    let made = made.await?;
    registry.tell("prompt", "created", said).await;
    Ok(Some(json!({"registered_model": made})))
}

fn taken(name: &str, kind: &str, by: &str) -> RegistryFault {
    let says = format!(
        "Tried to create a {kind} with name '{name}', but the name is already taken by a {by}. MLflow does not allow \
         creating a model and a prompt with the same name."
    );
    RegistryFault::new(RegistryFaultKind::Exists, says)
}

/// A call on a prompt that is there.
struct Asked {
    call: Call,
    name: String,
    by: Writer,
    params: Params,
}

impl Asked {
    fn answer(&self, shelf: &dyn PromptShelf) -> Result<Value, RegistryFault> {
        let (name, params) = (self.name.as_str(), &self.params);
        let whole =
            || Ok::<_, RegistryFault>(json!({"registered_model": model(shelf, shelf.prompt(name).map_err(refused)?)?}));
        let one = |n: u32| Ok::<_, RegistryFault>(json!({"model_version": self.version(shelf, n)?}));
        let given = |text: &'static str| params.given(text).filter(|text| !text.is_empty());
        match self.call {
            Call::GetModel => whole(),
            Call::UpdateModel => {
                shelf.describe(name, None, Some(params.text("description")), &self.by).map_err(refused)?;
                whole()
            }
            Call::DeleteModel => self.done(shelf.delete(name, None, &self.by)),
            Call::SetModelTag => {
                self.done(shelf.tag(name, None, params.text("key"), Some(params.text("value")), &self.by))
            }
            Call::DeleteModelTag => self.done(shelf.tag(name, None, params.text("key"), None, &self.by)),
            Call::SetAlias => {
                let alias = AliasName::new(params.text("alias"))?;
                let n = self.there(shelf)?;
                self.done(shelf.point(name, alias.as_str(), Some(n), &self.by))
            }
            Call::DeleteAlias => {
                AliasName::check(params.text("alias"))?;
                self.done(shelf.point(name, params.text("alias"), None, &self.by))
            }
            Call::GetAlias => one(self.by_alias(shelf)?),
            Call::LatestVersions => {
                let newest = shelf.versions(name).map_err(refused)?.into_iter().next();
                let found: Vec<_> = newest.map(as_version).transpose()?.into_iter().collect();
                Ok(listing("model_versions", json!(found), found.is_empty(), None))
            }
            Call::CreateVersion => self.register(shelf),
            Call::GetVersion => one(self.there(shelf)?),
            Call::UpdateVersion => {
                let n = self.there(shelf)?;
                shelf.describe(name, Some(n), given("description"), &self.by).map_err(refused)?;
                one(n)
            }
            Call::DeleteVersion => {
                let n = self.there(shelf)?;
                self.done(shelf.delete(name, Some(n), &self.by))
            }
            Call::SetVersionTag => {
                let n = self.there(shelf)?;
                self.done(shelf.tag(name, Some(n), params.text("key"), Some(params.text("value")), &self.by))
            }
            Call::DeleteVersionTag => {
                let n = self.there(shelf)?;
                self.done(shelf.tag(name, Some(n), params.text("key"), None, &self.by))
            }
            Call::DownloadUri => {
                self.there(shelf)?;
                Ok(json!({"artifact_uri": SOURCES[0]}))
            }
            _ => Err(RegistryFault::new(
                RegistryFaultKind::Unsupported,
                format!("'{name}' is a prompt, which is versioned in git: it is neither renamed nor has it stages"),
            )),
        }
    }

    fn done(&self, result: Result<(), Fault>) -> Result<Value, RegistryFault> {
        result.map(|()| json!({})).map_err(refused)
    }

    /// The number of a version that is there.
    fn there(&self, shelf: &dyn PromptShelf) -> Result<u32, RegistryFault> {
        let asked = self.params.version()?;
        let missing =
            || RegistryFault::missing(format!("Model Version (name={}, version={asked}) not found", self.name));
        let n = u32::try_from(asked).map_err(|_| missing())?;
        match shelf.version(&self.name, n) {
            Ok(_) => Ok(n),
            Err(fault) if fault.kind == FaultKind::NotFound => Err(missing()),
            Err(fault) => Err(refused(fault)),
        }
    }

    fn by_alias(&self, shelf: &dyn PromptShelf) -> Result<u32, RegistryFault> {
        let alias = self.params.text("alias");
        AliasName::check(alias)?;
        if alias.eq_ignore_ascii_case("latest") {
            let newest = shelf.versions(&self.name).map_err(refused)?.first().map(|version| version.n);
            let says = || format!("Latest version not found for model {}.", self.name);
            return newest.ok_or_else(|| RegistryFault::missing(says()));
        }
        let prompt = shelf.prompt(&self.name).map_err(refused)?;
        let says = || format!("Registered model alias {alias} not found.");
        prompt.labels.get(alias).copied().ok_or_else(|| RegistryFault::invalid(says()))
    }

    fn version(&self, shelf: &dyn PromptShelf, n: u32) -> Result<ModelVersion, RegistryFault> {
        as_version(shelf.version(&self.name, n).map_err(refused)?)
    }

    fn register(&self, shelf: &dyn PromptShelf) -> Result<Value, RegistryFault> {
        let given = self.params.tags()?;
        let source = self.params.text("source");
        if !is_prompt(&given) {
            return Err(taken(&self.name, "registered model", "prompt"));
        }
        if !SOURCES.contains(&source) {
            return Err(wrong_source(source));
        }
        let text = given.get(TEXT).unwrap_or_default();
        let body = if given.get(TYPE) == Some("chat") { chat(text)? } else { ShelvedBody::Text(text.to_owned()) };
        let kept = given.iter().filter(|(key, _)| ![IS_PROMPT, TEXT, TYPE].contains(key));
        let tags = kept.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let new = NewShelved { description: self.params.text("description").to_owned(), tags, body };
        let made = shelf.register(&self.name, new, &self.by).map_err(refused)?;
        Ok(json!({"model_version": as_version(made)?}))
    }
}

/// The messages of a chat, as MLflow writes them.
fn chat(text: &str) -> Result<ShelvedBody, RegistryFault> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Said {
        role: PromptRole,
        content: String,
    }
    let messages: Vec<Said> = serde_json::from_str(text).map_err(|e| {
        RegistryFault::invalid("A prompt's messages must be a list of objects, each with a role and a content of text.")
            .because(e)
    })?;
    let messages = messages.into_iter().map(|said| PromptMessage { role: said.role, content: said.content });
    Ok(ShelvedBody::Chat(messages.collect()))
}

/// The templates as MLflow writes them: a chat as Python's JSON.
fn text_of(body: &ShelvedBody) -> (&'static str, String) {
    match body {
        ShelvedBody::Text(text) => ("text", text.clone()),
        ShelvedBody::Chat(messages) => {
            let messages = messages.iter().map(|message| {
                format!("{{\"role\": \"{}\", \"content\": {}}}", message.role.word(), ascii(&message.content))
            });
            ("chat", format!("[{}]", messages.collect::<Vec<_>>().join(", ")))
        }
    }
}

/// A JSON string in ASCII.
fn ascii(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    let mut out = String::with_capacity(quoted.len());
    for c in quoted.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}

fn as_version(it: ShelvedVersion) -> Result<ModelVersion, RegistryFault> {
    let (kind, text) = text_of(&it.body);
    let mut tags = it.tags;
    tags.insert(IS_PROMPT.into(), "true".into());
    tags.insert(TYPE.into(), kind.into());
    tags.insert(TEXT.into(), text);
    Ok(ModelVersion {
        name: RegisteredName::new(&it.name)?,
        version: it.n.into(),
        source: SOURCES[0].into(),
        storage: SOURCES[0].into(),
        run_id: String::new(),
        run_link: String::new(),
        logged_model: String::new(),
        facts: VersionFacts::default(),
        owner: String::new(),
        description: Some(it.description.unwrap_or_default()),
        stage: Stage::None,
        created: it.created,
        updated: it.created,
        tags,
        aliases: it.labels,
    })
}

fn model(shelf: &dyn PromptShelf, it: ShelvedPrompt) -> Result<RegisteredModel, RegistryFault> {
    let newest = shelf.versions(&it.name).map_err(refused)?.into_iter().next();
    let mut tags = it.tags;
    tags.insert(IS_PROMPT.into(), "true".into());
    Ok(RegisteredModel {
        name: RegisteredName::new(&it.name)?,
        owner: String::new(),
        description: it.description,
        deployment_job: String::new(),
        kind: None,
        risk: None,
        created: it.created,
        updated: it.updated,
        tags,
        aliases: it.labels.into_iter().map(|(label, n)| (label, n.into())).collect(),
        latest: newest.map(as_version).transpose()?.into_iter().collect(),
    })
}

/// The shelf's fault as one of the registry.
fn refused(fault: Fault) -> RegistryFault {
    let kind = match fault.kind {
        FaultKind::InvalidRequest => RegistryFaultKind::Invalid,
        FaultKind::NotFound => RegistryFaultKind::Missing,
        FaultKind::Conflict => RegistryFaultKind::Conflict,
        FaultKind::Forbidden => RegistryFaultKind::Forbidden,
        FaultKind::Unavailable => RegistryFaultKind::Unavailable,
        _ => return RegistryFault::internal(fault),
    };
    let detail = fault.detail.clone();
    let made = RegistryFault::new(kind, fault.says);
    if let Some(detail) = detail { made.because(detail) } else { made }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_is_written_as_python_does() {
        let said = r#"[{"role": "system", "content": "Gr\u00fc\u00dfe \ud83d\ude00 \"{{ x }}\"\n"}, {"role": "user", "content": "a"}]"#;
        let body = chat(said).unwrap();
        assert_eq!(text_of(&body), ("chat", said.to_owned()));
        assert!(chat("[{\"role\": \"tool\", \"content\": \"x\"}]").is_err());
        assert!(chat("nonsense").is_err());
    }
}
