//! What may be asked of the plugin. Owns reading the settings and refusing what means nothing; `config.schema.json` beside
//! this says the same to the gateway, and the README to people.

use crate::find::Kind;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Settings that make sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What is looked for, in the order in which it is.
    pub kinds: Vec<Kind>,
    /// What is done about it.
    pub mode: Mode,
    /// What stands in its place.
    replacements: BTreeMap<Kind, String>,
    /// What is no secret, in lower case: whole finds, or `@domain` for all addresses there.
    allow: Vec<String>,
}

/// What is done about personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Something else stands in its place.
    #[default]
    Redact,
    /// The call, or the answer, is refused.
    Refuse,
}

/// The longest replacement, in bytes.
const LONGEST: usize = 64;

impl Config {
    /// Reads settings; an empty text is all defaults.
    ///
    /// # Errors
    /// They are no JSON, or mean nothing; said in words.
    pub fn read(json: &str) -> Result<Self, String> {
        let json = if json.trim().is_empty() { "{}" } else { json };
        let written: Written = serde_json::from_str(json).map_err(|fault| fault.to_string())?;
        let mut kinds = match written.kinds {
            Some(names) => names.iter().map(|name| kind("kinds", name)).collect::<Result<Vec<_>, _>>()?,
            None => Kind::ALL.to_vec(),
        };
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.is_empty() {
            return Err("kinds is empty, so that nothing would be looked for: leave it out for all".to_owned());
        }
        let mut replacements = BTreeMap::new();
        for (name, text) in written.replacements.unwrap_or_default() {
            if text.len() > LONGEST || text.chars().any(|letter| letter.is_control() || letter == '"' || letter == '\\')
            {
                let most = format!("has {LONGEST} bytes at most, and no quotes, backslashes and control characters");
                return Err(format!("replacements.{name} {most}"));
            }
            replacements.insert(kind("replacements", &name)?, text);
        }
        let allow = written.allow.unwrap_or_default().iter().map(|allowed| allowed.to_lowercase()).collect();
        Ok(Self { kinds, mode: written.mode.unwrap_or_default(), replacements, allow })
    }

    /// What stands in the place of a find.
    #[must_use]
    pub fn replacement(&self, kind: Kind) -> &str {
        self.replacements.get(&kind).map_or_else(|| kind.replacement(), String::as_str)
    }

    /// Whether a find is no secret.
    #[must_use]
    pub fn allows(&self, kind: Kind, found: &str) -> bool {
        if self.allow.is_empty() {
            return false;
        }
        let found = found.to_lowercase();
        let domain = (kind == Kind::Email).then(|| found.rfind('@').map(|at| &found[at..])).flatten();
        self.allow.iter().any(|allowed| *allowed == found || Some(allowed.as_str()) == domain)
    }
}

fn kind(field: &str, name: &str) -> Result<Kind, String> {
    let known = || Kind::ALL.map(Kind::name).join(", ");
    let found = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    found.ok_or_else(|| format!("{field}: there is no {name}, but {}", known()))
}

/// The settings as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kinds: Option<Vec<String>>,
    mode: Option<Mode>,
    replacements: Option<BTreeMap<String, String>>,
    allow: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_readme() {
        let config = Config::read("").expect("nothing is asked");
        assert_eq!((config.kinds.as_slice(), config.mode), (&Kind::ALL[..], Mode::Redact));
        assert_eq!(config.replacement(Kind::Email), "[EMAIL]");
        let some = Config::read(r#"{"kinds": ["phone", "email"], "replacements": {"phone": "[TEL]"}}"#).expect("some");
        assert_eq!((some.kinds.as_slice(), some.replacement(Kind::Phone)), (&[Kind::Email, Kind::Phone][..], "[TEL]"));
    }

    #[test]
    fn what_is_no_secret_is_named() {
        let config = Config::read(r#"{"allow": ["@Ours.example", "192.0.2.1"]}"#).expect("settings");
        assert!(config.allows(Kind::Email, "Help@ours.example") && config.allows(Kind::Ipv4, "192.0.2.1"));
        assert!(!config.allows(Kind::Email, "help@not-ours.example") && !config.allows(Kind::Ipv4, "192.0.2.10"));
    }

    #[test]
    fn what_means_nothing_is_refused_by_name() {
        for (json, expected) in [
            (r#"{"kind": []}"#, "unknown field `kind`"),
            (r#"{"kinds": []}"#, "leave it out for all"),
            (r#"{"kinds": ["name"]}"#, "kinds: there is no name, but email, iban"),
            (r#"{"mode": "mask"}"#, "unknown variant `mask`"),
            (r#"{"replacements": {"email": "\""}}"#, "replacements.email has 64 bytes at most"),
            (r#"{"replacements": {"mail": ""}}"#, "replacements: there is no mail"),
        ] {
            let fault = Config::read(json).expect_err("it means nothing");
            assert!(fault.contains(expected), "{json}: {fault}");
        }
    }

    #[test]
    fn the_schema_names_what_is_read() {
        let schema: serde_json::Value = serde_json::from_str(crate::CONFIG_SCHEMA).expect("the schema is JSON");
        let known: Vec<&str> =
            schema["properties"].as_object().expect("properties").keys().map(String::as_str).collect();
        assert_eq!(known, ["allow", "kinds", "mode", "replacements"]);
        let kinds = schema["properties"]["kinds"]["items"]["enum"].as_array().expect("names");
        assert_eq!(kinds.iter().filter_map(|kind| kind.as_str()).collect::<Vec<_>>(), Kind::ALL.map(Kind::name));
    }
}
