//! What changed between two versions: the files line by line, and what they render to. Owns the form of both.

use crate::fault::PromptFault;
use crate::folder::Folder;
use crate::store::PromptStore;
use crate::template::Rendered;
use serde_json::{Map, Value};
use similar::TextDiff;
use std::collections::BTreeSet;
use std::time::Duration;
use tidegate_core::PromptRef;
use tidegate_core::port::prompts::Reach;

/// The longest that is spent on one file.
const DEADLINE: Duration = Duration::from_millis(200);

impl PromptStore {
    /// The files of two versions, compared as `diff -u` would.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn diff(&self, from: &PromptRef, to: &PromptRef) -> Result<String, PromptFault> {
        Ok(files(&self.files_of(from)?, &self.files_of(to)?, (&from.to_string(), &to.to_string())))
    }

    /// What two versions render to with the same variables, compared. Variables that only one of them has are given
    /// to that one alone.
    ///
    /// # Errors
    /// When one of them is not there or cannot be rendered.
    pub fn diff_rendered(
        &self,
        from: &PromptRef,
        to: &PromptRef,
        variables: &Map<String, Value>,
        reach: Reach,
    ) -> Result<String, PromptFault> {
        let shown = |reference: &PromptRef| -> Result<String, PromptFault> {
            let (prompt, _) = self.resolve(reference, reach)?;
            let known: BTreeSet<&str> = prompt.variables().map(|(name, _)| name).collect();
            let given = variables.iter().filter(|(name, _)| known.contains(name.as_str()));
            let given = given.map(|(name, value)| (name.clone(), value.clone())).collect();
            Ok(shown(&prompt.render(&given)?))
        };
        Ok(unified(&shown(from)?, &shown(to)?, (&from.to_string(), &to.to_string())))
    }
}

fn shown(rendered: &Rendered) -> String {
    let mut text = String::new();
    for message in &rendered.messages {
        text.push_str(&format!("[{}]\n{}\n", message.role.word(), message.content));
    }
    text
}

fn files(from: &Folder, to: &Folder, (a, b): (&str, &str)) -> String {
    let paths: BTreeSet<&str> = from.files().chain(to.files()).map(|(path, _)| path).collect();
    let text = |folder: &Folder, path: &str| folder.read(path).unwrap_or_default().to_owned();
    let of =
        |path: &str| unified(&text(from, path), &text(to, path), (&format!("{a}: {path}"), &format!("{b}: {path}")));
    paths.into_iter().map(of).collect()
}

fn unified(from: &str, to: &str, (a, b): (&str, &str)) -> String {
    let diff = TextDiff::configure().timeout(DEADLINE).diff_lines(from, to);
    diff.unified_diff().header(a, b).to_string()
}
