//! `prompt.yaml`: read into a checked source. Owns what may stand in the file and where a fault in it lies; templates
//! are compiled by `template`.

use crate::case::Case;
use crate::fault::SourceFault;
use crate::folder::{Folder, PROMPT_FILE};
use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use tidegate_core::port::prompts::PromptRole;

/// Members of a call that no prompt sets: who answers, how, and how often.
const NO_PARAMETERS: [&str; 8] =
    ["model", "messages", "prompt", "stream", "stream_options", "n", "user", "response_format"];
/// The most messages of a prompt.
const MESSAGES: usize = 64;

/// What stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PromptFile {
    description: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    text: Option<Spanned<TextFile>>,
    messages: Option<Spanned<Vec<Spanned<MessageFile>>>>,
    variables: Option<BTreeMap<String, Spanned<Value>>>,
    #[serde(default)]
    parameters: Map<String, Value>,
    response_format: Option<Value>,
    #[serde(default)]
    tests: Vec<Spanned<Case>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextFile {
    content: Option<String>,
    file: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageFile {
    role: PromptRole,
    content: Option<String>,
    file: Option<String>,
}

/// A prompt as it was written: messages as templates, variables, parameters, cases.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptSource {
    /// What it is for.
    pub description: Option<String>,
    /// Tags of this version.
    pub tags: BTreeMap<String, String>,
    /// Whether it is one text, not a conversation; its one message is the user's.
    pub is_text: bool,
    /// The messages.
    pub messages: Vec<MessageSource>,
    /// The variables and their schemas; `None` where they follow from the templates.
    pub variables: Option<BTreeMap<String, VariableSource>>,
    /// Default parameters of the call.
    pub parameters: Map<String, Value>,
    /// The form of the answer.
    pub response_format: Option<Value>,
    /// Test cases.
    pub tests: Vec<Case>,
}

/// One message as a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageSource {
    /// Who speaks.
    pub role: PromptRole,
    /// The template.
    pub template: String,
    /// The file that holds it; `None` where it stands in `prompt.yaml`.
    pub file: Option<String>,
    /// The line in `prompt.yaml` where the message begins.
    pub line: Option<u64>,
}

/// One variable as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct VariableSource {
    /// Its JSON Schema; `default` in it is the default.
    pub schema: Value,
    /// The line in `prompt.yaml`.
    pub line: Option<u64>,
}

fn fault(line: Option<u64>, why: impl Into<String>) -> SourceFault {
    SourceFault::at(PROMPT_FILE, line, why)
}

fn line_of<T>(spanned: &Spanned<T>) -> Option<u64> {
    Some(spanned.referenced.line()).filter(|line| *line > 0)
}

impl PromptSource {
    /// Reads the prompt of a folder.
    ///
    /// # Errors
    /// Says what is wrong, with the file and the line where that is known.
    pub fn read(folder: &Folder) -> Result<Self, SourceFault> {
        let file = parse(folder.read(PROMPT_FILE)?)?;
        let (is_text, messages) = match (file.text, file.messages) {
            (Some(text), None) => {
                let line = line_of(&text);
                (true, vec![message(folder, PromptRole::User, text.value.content, text.value.file, line)?])
            }
            (None, Some(messages)) => {
                let line = line_of(&messages);
                if messages.value.is_empty() || messages.value.len() > MESSAGES {
                    return Err(fault(line, format!("`messages` has 1 to {MESSAGES} messages")));
                }
                let read = messages.value.into_iter().map(|m| {
                    let line = line_of(&m);
                    message(folder, m.value.role, m.value.content, m.value.file, line)
                });
                (false, read.collect::<Result<_, _>>()?)
            }
            (Some(text), Some(_)) => {
                return Err(fault(line_of(&text), "a prompt has `text` or `messages`: take one of them out"));
            }
            (None, None) => return Err(fault(None, "the prompt has neither `messages` nor `text`")),
        };
        let variables = file.variables.map(|variables| variables.into_iter().map(variable).collect()).transpose()?;
        for case in &file.tests {
            if let Some(why) = case.value.expect.iter().find_map(crate::case::Expectation::fault) {
                return Err(fault(line_of(case), format!("the case {:?}: {why}", case.value.name)));
            }
        }
        if let Some(name) = file.parameters.keys().find(|name| NO_PARAMETERS.contains(&name.as_str())) {
            return Err(fault(None, format!("`{name}` is the caller's to say, not a default parameter: take it out")));
        }
        Ok(Self {
            description: file.description,
            tags: file.tags,
            is_text,
            messages,
            variables,
            parameters: file.parameters,
            response_format: file.response_format,
            tests: file.tests.into_iter().map(|case| case.value).collect(),
        })
    }
}

fn parse(text: &str) -> Result<PromptFile, SourceFault> {
    let budget = serde_saphyr::budget! { max_events: 20_000, max_aliases: 64, max_anchors: 64 };
    let options = serde_saphyr::options! { budget: budget, with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|e| {
        let line = e.location().map(|at| at.line()).filter(|line| *line > 0);
        let why = e.to_string();
        let why = why.lines().next().unwrap_or_default();
        let at = line.and_then(|line| usize::try_from(line).ok()?.checked_sub(1)).and_then(|at| text.lines().nth(at));
        match at {
            Some(written) if written.starts_with("text:") && why.contains("mapping") => {
                fault(line, format!("{why}: write `text: {{content: …}}`, or `text: {{file: NAME}}`"))
            }
            _ => fault(line, why),
        }
    })
}

fn message(
    folder: &Folder,
    role: PromptRole,
    content: Option<String>,
    file: Option<String>,
    line: Option<u64>,
) -> Result<MessageSource, SourceFault> {
    match (content, file) {
        (Some(template), None) => Ok(MessageSource { role, template, file: None, line }),
        (None, Some(file)) => {
            let text = folder
                .read(&file)
                .map_err(|e| fault(line, format!("`file: {file}` must be a file of this folder: {}", e.why)))?;
            Ok(MessageSource { role, template: unended(text).to_owned(), file: Some(file), line })
        }
        (Some(_), Some(_)) => Err(fault(line, "a message has `content` or `file`: take one of them out")),
        (None, None) => Err(fault(line, "a message needs `content` or `file`")),
    }
}

/// A file's text without the line end that editors put at its end.
pub(crate) fn unended(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

fn variable((name, schema): (String, Spanned<Value>)) -> Result<(String, VariableSource), SourceFault> {
    let line = line_of(&schema);
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins || name.len() > 128 || name.chars().any(|c| !c.is_ascii_alphanumeric() && c != '_') {
        return Err(fault(line, format!("{name:?} is no variable: a name is made of letters, digits and _")));
    }
    let schema = if schema.value.is_null() { Value::Bool(true) } else { schema.value };
    if !schema.is_object() && !schema.is_boolean() {
        return Err(fault(line, format!("the variable `{name}` takes a JSON Schema, such as {{type: string}}")));
    }
    Ok((name, VariableSource { schema, line }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(yaml: &str) -> Result<PromptSource, SourceFault> {
        PromptSource::read(&Folder::of([
            (PROMPT_FILE.to_owned(), yaml.to_owned()),
            ("system.md".to_owned(), "Be {{ tone }}.\n".to_owned()),
        ]))
    }

    #[test]
    fn a_whole_prompt_is_read() {
        let source = read(
            "description: Answers\ntags: {team: support}\nmessages:\n- {role: system, file: system.md}\n- role: user\n  content: '{{ question }}'\n\
             variables:\n  question: {type: string, maxLength: 20}\n  tone: {enum: [kind, terse], default: kind}\n\
             parameters: {temperature: 0.2, max_tokens: 300}\ntests:\n- name: greets\n  variables: {question: hi}\n  expect: [{contains: hello}, {similar: {to: hi, at_least: 0.5}}]\n",
        )
        .unwrap();
        assert_eq!(source.messages[0].template, "Be {{ tone }}.");
        assert_eq!(source.messages[1].line, Some(5));
        assert_eq!(source.variables.unwrap()["tone"].schema["default"], "kind");
        assert_eq!(source.parameters["max_tokens"], 300);
        assert_eq!(source.tests.len(), 1);
    }

    #[test]
    fn faults_name_their_line() {
        for (yaml, line, says) in [
            ("text: {content: a}\nmesages: []\n", 2, "mesages"),
            ("text: Hello\n", 1, "write `text: {content: …}`"),
            ("messages:\n- {role: user, content: a}\n- {role: robot, content: a}\n", 3, "robot"),
            ("messages:\n- {role: user, file: ../../secret}\n", 2, "must be a file of this folder"),
            ("text: {content: a}\nvariables:\n  x: 3\n", 3, "JSON Schema"),
            ("text: {content: a}\nmessages: [{role: user, content: b}]\n", 1, "take one of them out"),
            ("text: {content: a}\ntests:\n- {name: t, expect: [{regex: '('}]}\n", 3, "pattern"),
            ("text: {content: a}\ntext: {content: b}\n", 2, "text"),
        ] {
            let fault = read(yaml).unwrap_err();
            assert_eq!(fault.line, Some(line), "{fault}");
            assert!(fault.why.contains(says), "{fault}");
        }
        assert!(read("description: a").unwrap_err().why.contains("neither"));
    }

    #[test]
    fn a_file_of_aliases_does_not_grow() {
        let mut yaml = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (name, of) in "bcdefghi".chars().zip("abcdefgh".chars()) {
            yaml.push_str(&format!("{name}: &{name} [*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of}]\n"));
        }
        assert!(read(&format!("text: {{content: a}}\nparameters:\n  {}", yaml.replace('\n', "\n  "))).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(yaml in "(text|messages|variables|role|content|file|: |\\{|\\}|\\[|\\]|\n|  |- |&a|\\*a|!x|'|\"|\\PC){0,24}") {
            let _read = read(&yaml).is_ok();
        }
    }
}
