//! From what a caller asks to the text of a grammar. Pure; compiled by `grammars`.

use super::calls::{self, CallStyle};
use super::{Constraint, Refusal, bounds, schema};
use crate::request::ToolUse;
use llguidance::api::TopLevelGrammar;
use llguidance::regex_to_lark;
use serde_json::json;

/// A grammar to be compiled.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    Json(serde_json::Value),
    Lark(String),
}

impl Form {
    /// What is to hold an answer; `None` where nothing is.
    pub(super) fn of(
        constraint: Option<&Constraint>,
        tools: Option<(&ToolUse, CallStyle)>,
    ) -> Result<Option<Self>, Refusal> {
        if let Some((wanted, style)) = tools {
            check_names(wanted)?;
            let content = constraint.map(content).transpose()?;
            if let Some(rules) = calls::rules(wanted, style, content.as_deref())? {
                return Ok(Some(Self::Lark(rules)));
            }
        }
        constraint.map(Self::alone).transpose()
    }

    fn alone(constraint: &Constraint) -> Result<Self, Refusal> {
        Ok(match constraint {
            Constraint::JsonObject => Self::Json(any_object()?),
            Constraint::JsonSchema(wanted) => Self::Json(schema::prepared(wanted).map_err(Refusal::form)?),
            Constraint::Grammar(text) => {
                bounds::grammar(text).map_err(Refusal::form)?;
                Self::Lark(text.clone())
            }
            Constraint::Regex(_) | Constraint::Choice(_) => {
                Self::Lark(format!("start: content\n{}", content(constraint)?))
            }
        })
    }

    /// The same text for the same form.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Json(schema) => schema.to_string(),
            Self::Lark(text) => text.clone(),
        }
    }

    pub(super) fn grammar(self) -> TopLevelGrammar {
        match self {
            Self::Json(schema) => TopLevelGrammar::from_json_schema(schema),
            Self::Lark(text) => TopLevelGrammar::from_lark(text),
        }
    }
}

fn any_object() -> Result<serde_json::Value, Refusal> {
    schema::prepared(&json!({"type": "object"})).map_err(Refusal::form)
}

/// The rule `content` of an answer in this form.
fn content(constraint: &Constraint) -> Result<String, Refusal> {
    Ok(match constraint {
        Constraint::JsonObject => format!("content: %json {}\n", any_object()?),
        Constraint::JsonSchema(wanted) => {
            format!("content: %json {}\n", schema::prepared(wanted).map_err(Refusal::form)?)
        }
        Constraint::Regex(text) => {
            bounds::regex(text).map_err(Refusal::form)?;
            format!("content: /{}/\n", regex_to_lark(text, ""))
        }
        Constraint::Choice(choices) => {
            let size: usize = choices.iter().map(String::len).sum();
            if choices.is_empty() || choices.iter().any(String::is_empty) || size > bounds::MOST_TEXT {
                let most = bounds::MOST_TEXT;
                return Err(Refusal::form(format!("choice wants at least one text, none empty, {most} bytes at most")));
            }
            let choices: Vec<String> = choices.iter().map(|c| calls::literal(c)).collect();
            format!("content: {}\n", choices.join(" | "))
        }
        Constraint::Grammar(_) => {
            return Err(Refusal::form("a grammar cannot be had together with tools; leave one of them out"));
        }
    })
}

fn check_names(wanted: &ToolUse) -> Result<(), Refusal> {
    for (i, tool) in wanted.tools.iter().enumerate() {
        if !calls::is_plain_name(&tool.name) {
            let says =
                format!("`{}` cannot be a tool's name: use letters, digits, `_`, `-` and `.`, at most 128", tool.name);
            return Err(Refusal::tools(says));
        }
        if wanted.tools[..i].iter().any(|other| other.name == tool.name) {
            return Err(Refusal::tools(format!("two tools are named `{}`", tool.name)));
        }
    }
    Ok(())
}
