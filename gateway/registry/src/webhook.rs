//! A webhook: where to tell of which events. Owns its fields, their grammar and what events there are, which are
//! MLflow's; sending is [`delivery`]'s.

pub mod delivery;

use crate::fault::RegistryFault;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use tidegate_core::port::outbound::Reach;

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// A UUID.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Where to.
    pub url: String,
    /// Of what.
    pub events: Vec<Event>,
    /// What deliveries are signed with; empty for none. Never shown.
    pub secret: String,
    /// Whether it is told anything.
    pub is_active: bool,
    /// Milliseconds since 1970 at which it was made.
    pub created: i64,
    /// Milliseconds since 1970 at which it changed.
    pub updated: i64,
}

/// Something that can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Event {
    /// What it happens to.
    pub entity: &'static str,
    /// What happens.
    pub action: &'static str,
}

const fn event(entity: &'static str, action: &'static str) -> Event {
    Event { entity, action }
}

/// Every event that there is.
pub const EVENTS: [Event; 14] = [
    event("registered_model", "created"),
    event("model_version", "created"),
    event("model_version_tag", "set"),
    event("model_version_tag", "deleted"),
    event("model_version_alias", "created"),
    event("model_version_alias", "deleted"),
    event("prompt", "created"),
    event("prompt_version", "created"),
    event("prompt_tag", "set"),
    event("prompt_tag", "deleted"),
    event("prompt_version_tag", "set"),
    event("prompt_version_tag", "deleted"),
    event("prompt_alias", "created"),
    event("prompt_alias", "deleted"),
];

/// Entities by their numbers on MLflow's wire.
const ENTITIES: [&str; 11] = [
    "entity_unspecified",
    "registered_model",
    "model_version",
    "model_version_tag",
    "model_version_alias",
    "prompt",
    "prompt_version",
    "prompt_tag",
    "prompt_version_tag",
    "prompt_alias",
    "budget_policy",
];

/// Actions by their numbers on MLflow's wire.
const ACTIONS: [&str; 6] = ["action_unspecified", "created", "updated", "deleted", "set", "exceeded"];

impl Event {
    /// The event of these lower-case words.
    #[must_use]
    pub fn find(entity: &str, action: &str) -> Option<Self> {
        EVENTS.into_iter().find(|event| event.entity == entity && event.action == action)
    }

    /// Reads `{"entity": …, "action": …}`, each by name or number.
    ///
    /// # Errors
    /// There is no such event.
    pub fn read(value: &Value) -> Result<Self, RegistryFault> {
        let word = |field: &str, words: &[&'static str]| -> Option<String> {
            match value.get(field)? {
                Value::String(name) => Some(name.to_ascii_lowercase()),
                Value::Number(number) => {
                    words.get(usize::try_from(number.as_u64()?).ok()?).map(|word| (*word).to_owned())
                }
                _ => None,
            }
        };
        let unknown =
            || RegistryFault::invalid(format!("{value} is no event: send its entity and action by their names"));
        let entity = word("entity", &ENTITIES).ok_or_else(unknown)?;
        let action = word("action", &ACTIONS).ok_or_else(unknown)?;
        if let Some(event) = Self::find(&entity, &action) {
            return Ok(event);
        }
        let mut valid: Vec<_> =
            EVENTS.iter().filter(|event| event.entity == entity).map(|event| event.action).collect();
        if valid.is_empty() {
            return Err(unknown());
        }
        valid.sort_unstable();
        let valid: Vec<_> = valid.into_iter().map(|action| format!("'{action}'")).collect();
        Err(RegistryFault::invalid(format!(
            "Invalid action '{action}' for entity '{entity}'. Valid actions are: [{}]",
            valid.join(", ")
        )))
    }

    /// What a delivery of this event would carry, for a test of a webhook.
    #[must_use]
    pub fn example(self) -> Value {
        let (kind, is_prompt) = if self.entity.starts_with("prompt") { ("prompt", true) } else { ("model", false) };
        let (name, tags) = (format!("example_{kind}"), json!({"example_key": "example_value"}));
        match (self.entity, self.action) {
            ("registered_model", _) => {
                json!({"name": name, "tags": tags, "description": "An example registered model"})
            }
            ("prompt", _) => json!({"name": name, "tags": tags, "description": "An example prompt"}),
            ("model_version", _) => json!({
                "name": name, "version": "1", "source": "models:/123", "run_id": "abcd1234abcd5678", "tags": tags,
                "description": "An example model version",
            }),
            ("prompt_version", _) => json!({
                "name": name, "version": "1", "template": "Hello {{name}}!", "tags": tags,
                "description": "An example prompt version",
            }),
            (entity, "created") if entity.ends_with("alias") => {
                json!({"name": name, "alias": "example_alias", "version": "1"})
            }
            (entity, _) if entity.ends_with("alias") => json!({"name": name, "alias": "example_alias"}),
            (entity, action) => {
                let mut data = json!({"name": name, "key": "example_key"});
                if let Some(map) = data.as_object_mut() {
                    if !is_prompt || entity == "prompt_version_tag" {
                        map.insert("version".into(), "1".into());
                    }
                    if action == "set" {
                        map.insert("value".into(), "example_value".into());
                    }
                }
                data
            }
        }
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        json!({"entity": self.entity.to_ascii_uppercase(), "action": self.action.to_ascii_uppercase()}).serialize(s)
    }
}

impl Serialize for Webhook {
    /// Without its secret.
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut shown = json!({
            "webhook_id": self.id,
            "name": self.name,
            "url": self.url,
            "events": self.events,
            "status": if self.is_active { "ACTIVE" } else { "DISABLED" },
            "creation_timestamp": self.created,
            "last_updated_timestamp": self.updated,
        });
        if let (false, Some(map)) = (self.description.is_empty(), shown.as_object_mut()) {
            map.insert("description".into(), self.description.clone().into());
        }
        shown.serialize(s)
    }
}

/// Checks a webhook's name.
///
/// # Errors
/// It is none.
pub fn check_name(name: &str) -> Result<(), RegistryFault> {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let fits = (1..=63).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        && ends(name.chars().next())
        && ends(name.chars().last());
    if fits {
        return Ok(());
    }
    Err(RegistryFault::invalid(format!(
        "Webhook name {} is invalid. It must start and end with a letter or digit, be less than 63 characters long, and \
         contain only letters, digits, dots (.), underscores (_), and hyphens (-).",
        quoted(name)
    )))
}

/// Checks where a webhook goes, as far as the text alone tells; each delivery checks the address that it connects to.
///
/// # Errors
/// It is no address, or one that is not sent to.
pub fn check_url(url: &str, reach: Reach) -> Result<(), RegistryFault> {
    if url.trim().is_empty() {
        return Err(RegistryFault::invalid(format!("Webhook URL cannot be empty or just whitespace: {}", quoted(url))));
    }
    let (scheme, rest) = url.split_once("://").unwrap_or((url.split(':').next().unwrap_or_default(), ""));
    let scheme = if url.contains(':') { scheme.to_ascii_lowercase() } else { String::new() };
    let allowed: &[&str] = if reach == Reach::Any { &["http", "https"] } else { &["https"] };
    if !allowed.contains(&scheme.as_str()) {
        return Err(RegistryFault::invalid(format!(
            "Invalid webhook URL scheme: {}. Allowed schemes are: {}.",
            quoted(&scheme),
            allowed.join(", ")
        )));
    }
    let has_host = !rest.is_empty() && !rest.starts_with(['/', '?', '#']);
    if has_host && url.parse::<http::Uri>().is_err() {
        return Err(RegistryFault::invalid(format!("Invalid webhook URL {}", quoted(url))));
    }
    if !has_host {
        return Err(RegistryFault::invalid(format!("Webhook URL must include a hostname: {}", quoted(url))));
    }
    Ok(())
}

/// A text as Python quotes it, which MLflow's messages do.
fn quoted(text: &str) -> String {
    format!("'{}'", text.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_by_name_or_number_and_wrong_pairs_are_named() {
        let created = Event { entity: "registered_model", action: "created" };
        assert_eq!(Event::read(&json!({"entity": "REGISTERED_MODEL", "action": "CREATED"})).unwrap(), created);
        assert_eq!(Event::read(&json!({"entity": 1, "action": 1})).unwrap(), created);
        let fault = Event::read(&json!({"entity": "MODEL_VERSION_TAG", "action": "CREATED"})).unwrap_err();
        assert_eq!(
            fault.says,
            "Invalid action 'created' for entity 'model_version_tag'. Valid actions are: ['deleted', 'set']"
        );
        for bad in
            [json!({}), json!({"entity": 99, "action": 1}), json!(5), json!({"entity": "x", "action": "created"})]
        {
            assert!(Event::read(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_and_addresses_are_checked() {
        for bad in ["", "-a", "a-", "a b", "a/b", &"x".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        assert!(check_name("my.hook-1").is_ok());
        for bad in [
            "",
            " ",
            "http://h/",
            "ftp://h/",
            "https://",
            "https:///x",
            "h/x",
            "https:h",
            "https://[::1",
            "https://a b/",
        ] {
            assert!(check_url(bad, Reach::Public).is_err(), "{bad:?}");
        }
        assert!(check_url("https://example.com/hook", Reach::Public).is_ok());
        assert!(check_url("http://127.0.0.1:1/hook", Reach::Any).is_ok());
    }

    #[test]
    fn what_is_shown_has_no_secret() {
        let hook = Webhook {
            id: "i".into(),
            name: "n".into(),
            description: String::new(),
            url: "https://h/".into(),
            events: vec![EVENTS[0]],
            secret: "very secret".into(),
            is_active: true,
            created: 1,
            updated: 2,
        };
        assert_eq!(
            json!(hook),
            json!({"webhook_id": "i", "name": "n", "url": "https://h/", "status": "ACTIVE",
                   "events": [{"entity": "REGISTERED_MODEL", "action": "CREATED"}],
                   "creation_timestamp": 1, "last_updated_timestamp": 2})
        );
    }
}
