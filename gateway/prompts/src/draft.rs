//! A version that is to be written: what a caller gives, and the files that it becomes. Owns that form, which people
//! read and edit in git afterwards: templates in files of their own, the rest in `prompt.yaml`.

use crate::case::Case;
use crate::folder::PROMPT_FILE;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use tidegate_core::port::prompts::PromptRole;

/// A version that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// What the prompt is for; `None` leaves it as it was.
    pub description: Option<String>,
    /// Tags of the version.
    pub tags: BTreeMap<String, String>,
    /// The templates.
    pub body: Body,
    /// Variables and their JSON Schemas; `None` where they follow from the templates.
    pub variables: Option<Map<String, Value>>,
    /// Default parameters of the call.
    pub parameters: Map<String, Value>,
    /// The form of the answer.
    pub response_format: Option<Value>,
    /// Test cases; `None` leaves them as they were.
    pub tests: Option<Vec<Case>>,
}

/// The templates of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// One text.
    Text(String),
    /// A conversation.
    Chat(Vec<(PromptRole, String)>),
}

impl Draft {
    /// A draft of these templates alone.
    #[must_use]
    pub fn of(body: Body) -> Self {
        Self {
            description: None,
            tags: BTreeMap::new(),
            body,
            variables: None,
            parameters: Map::new(),
            response_format: None,
            tests: None,
        }
    }

    /// The files of the prompt's folder.
    pub(crate) fn files(&self) -> BTreeMap<String, String> {
        let (mut files, mut yaml) = (BTreeMap::new(), String::new());
        if let Some(description) = &self.description {
            line(&mut yaml, "description", &Value::from(description.as_str()));
        }
        if !self.tags.is_empty() {
            entries(&mut yaml, "tags", self.tags.iter().map(|(key, value)| (key, Value::from(value.as_str()))));
        }
        match &self.body {
            Body::Text(text) => {
                yaml.push_str("text: {file: template.md}\n");
                files.insert("template.md".to_owned(), format!("{text}\n"));
            }
            Body::Chat(messages) => {
                yaml.push_str("messages:\n");
                for (at, (role, text)) in messages.iter().enumerate() {
                    let file = format!("{}-{}.md", at + 1, role.word());
                    put(&mut yaml, format_args!("- {{role: {}, file: {file}}}\n", role.word()));
                    files.insert(file, format!("{text}\n"));
                }
            }
        }
        if let Some(variables) = &self.variables {
            entries(&mut yaml, "variables", variables.iter().map(|(name, schema)| (name, schema.clone())));
        }
        if !self.parameters.is_empty() {
            entries(&mut yaml, "parameters", self.parameters.iter().map(|(name, value)| (name, value.clone())));
        }
        if let Some(format) = &self.response_format {
            line(&mut yaml, "response_format", format);
        }
        if let Some(tests) = self.tests.as_ref().filter(|tests| !tests.is_empty()) {
            yaml.push_str("tests:\n");
            for case in tests {
                put(&mut yaml, format_args!("- {}\n", serde_json::to_value(case).unwrap_or_default()));
            }
        }
        files.insert(PROMPT_FILE.to_owned(), yaml);
        files
    }
}

fn put(yaml: &mut String, what: std::fmt::Arguments<'_>) {
    yaml.push_str(&what.to_string());
}

/// JSON is YAML, but for the characters that YAML wants escaped.
fn line(yaml: &mut String, key: &str, value: &Value) {
    put(yaml, format_args!("{key}: {}\n", escaped(value)));
}

fn entries<'a>(yaml: &mut String, key: &str, entries: impl Iterator<Item = (&'a String, Value)>) {
    let mut is_empty = true;
    put(yaml, format_args!("{key}:"));
    for (name, value) in entries {
        let head = if is_empty { "\n" } else { "" };
        put(yaml, format_args!("{head}  {}: {}\n", escaped(&Value::from(name.as_str())), escaped(&value)));
        is_empty = false;
    }
    if is_empty {
        yaml.push_str(" {}\n");
    }
}

fn escaped(value: &Value) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        let is_special = c.is_control() || matches!(c, '\u{85}' | '\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}');
        if is_special && (c as u32) < 0x1_0000 {
            put(&mut out, format_args!("\\u{:04x}", c as u32));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Folder, PromptSource};
    use proptest::prelude::*;

    fn back(draft: &Draft) -> PromptSource {
        PromptSource::read(&Folder::of(draft.files())).unwrap()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_the_same(
            texts in prop::collection::vec("(\\PC|\n|\r| |\u{85}|\u{2028}){0,40}", 1..4),
            description in "(\\PC|\n|:|#|\u{2028}){0,30}",
            tag in "(\\PC|\n){1,12}",
        ) {
            let mut draft = Draft::of(Body::Chat(texts.iter().map(|t| (PromptRole::User, t.clone())).collect()));
            draft.description = Some(description.clone());
            draft.tags.insert(tag.clone(), description.clone());
            draft.parameters.insert("temperature".into(), 0.5.into());
            draft.variables = Some(Map::from_iter([("x".to_owned(), serde_json::json!({"type": "string", "default": tag}))]));
            let source = back(&draft);
            prop_assert_eq!(source.messages.iter().map(|m| m.template.clone()).collect::<Vec<_>>(), texts);
            prop_assert_eq!(source.description.as_deref(), Some(description.as_str()));
            prop_assert_eq!(&source.tags, &draft.tags);
            prop_assert_eq!(&source.parameters, &draft.parameters);
            let variables = source.variables.unwrap();
            prop_assert_eq!(variables["x"].schema["default"].as_str(), Some(tag.as_str()));
        }
    }
}
