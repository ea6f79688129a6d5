//! What was found: each finding with its place, an excerpt, and how to mend it. Owns the order and the looks; finding
//! is done elsewhere.

use crate::place::Place;
use crate::source::Sources;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::ops::Range;
use std::path::PathBuf;

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub remedy: Option<String>,
    /// Where in the configuration, as `routes.support.policy`.
    pub path: String,
    /// The line of the file with the place marked; secrets are blotted out.
    #[serde(skip)]
    excerpt: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, message, remedy, excerpt, .. } = self;
        writeln!(f, "{}:{line}:{column}: {message}", file.display())?;
        f.write_str(excerpt)?;
        match remedy {
            Some(remedy) => writeln!(f, "{:width$} = {remedy}", "", width = gutter(*line)),
            None => Ok(()),
        }
    }
}

/// All faults of a configuration, sorted by their places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Report {
    /// The faults, at least one.
    pub findings: Vec<Finding>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.findings.iter().enumerate().try_for_each(|(i, finding)| {
            f.write_str(if i == 0 { "" } else { "\n" })?;
            finding.fmt(f)
        })
    }
}

impl std::error::Error for Report {}

/// A finding that still needs its excerpt: all places of secrets must be known before any line is shown.
#[derive(Debug)]
pub(crate) struct Note {
    at: Place,
    message: String,
    remedy: Option<String>,
    /// A second place, whose file and line end the message.
    first: Option<Place>,
}

/// The columns that are blotted out, by file and line.
type Secrets = HashMap<(usize, usize), Vec<Range<usize>>>;

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    faults: Vec<Note>,
    warnings: Vec<Note>,
    secrets: Vec<Place>,
}

impl Notes {
    /// Notes a fault.
    pub(crate) fn fault(&mut self, at: &Place, message: impl Into<String>) -> &mut Note {
        note(&mut self.faults, at.clone(), message.into())
    }

    /// Notes what works but is hardly meant.
    pub(crate) fn warn(&mut self, at: &Place, message: impl Into<String>) -> &mut Note {
        note(&mut self.warnings, at.clone(), message.into())
    }

    /// Notes that the same thing stands in two places, of which the second is at `at`.
    pub(crate) fn twice(&mut self, key: &str, at: &Place, first: &Place) {
        let remedy = "leave one of them out";
        self.faults.push(Note {
            at: at.clone(),
            message: format!("`{key}` stands here and in "),
            remedy: Some(remedy.into()),
            first: Some(first.clone()),
        });
    }

    /// What stands there is never shown.
    pub(crate) fn conceal(&mut self, at: &Place) {
        self.secrets.push(at.clone());
    }

    /// Whether a fault was noted.
    pub(crate) fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// The faults and the warnings, sorted.
    pub(crate) fn settle(self, sources: &Sources) -> (Report, Vec<Finding>) {
        let Self { faults, warnings, secrets: places } = self;
        let mut secrets = Secrets::new();
        for place in places {
            secrets.entry((place.source, place.line)).or_default().push(place.column..place.column + place.width);
        }
        let settle = |notes: Vec<Note>| {
            let mut findings: Vec<Finding> = notes.into_iter().map(|note| note.settle(sources, &secrets)).collect();
            findings
                .sort_by(|a, b| (&a.file, a.line, a.column, &a.message).cmp(&(&b.file, b.line, b.column, &b.message)));
            findings.dedup();
            findings
        };
        (Report { findings: settle(faults) }, settle(warnings))
    }
}

fn note(notes: &mut Vec<Note>, at: Place, message: String) -> &mut Note {
    notes.push(Note { at, message, remedy: None, first: None });
    let last = notes.len() - 1;
    &mut notes[last]
}

impl Note {
    /// Says how to mend it.
    pub(crate) fn remedy(&mut self, remedy: impl Into<String>) -> &mut Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Says what was probably meant, or else the remedy.
    pub(crate) fn meant(&mut self, meant: Option<&str>, remedy: impl FnOnce() -> String) -> &mut Self {
        self.remedy(meant.map_or_else(remedy, |meant| format!("did you mean `{meant}`?")))
    }

    fn settle(self, sources: &Sources, secrets: &Secrets) -> Finding {
        let Self { at, mut message, remedy, first } = self;
        if let Some(first) = first {
            write!(message, "{}:{}", sources.path(first.source).display(), first.line).unwrap_or_default();
        }
        let file = sources.path(at.source).to_owned();
        let excerpt = sources.line(at.source, at.line).map_or_else(String::new, |line| excerpt(line, &at, secrets));
        let clean = |text: String| text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        let (message, remedy) = (clean(message), remedy.map(clean));
        Finding { file, line: at.line, column: at.column, message, remedy, path: at.path.to_string(), excerpt }
    }
}

/// How wide line numbers are.
fn gutter(line: usize) -> usize {
    line.to_string().len()
}

/// The most characters of a line that are shown.
const WIDTH: usize = 110;

/// The line, with the place marked below it. A long line is cut to what surrounds the place.
fn excerpt(line: &str, at: &Place, secrets: &Secrets) -> String {
    let secrets = secrets.get(&(at.source, at.line)).map_or(&[][..], Vec::as_slice);
    let concealed = |column: usize| secrets.iter().any(|columns| columns.contains(&column));
    let shown = |(i, c): (usize, char)| match c {
        _ if concealed(i + 1) => '*',
        c if c.is_control() => ' ',
        c => c,
    };
    let characters: Vec<char> = line.chars().enumerate().map(shown).collect();
    let start = at.column.saturating_sub(1).min(characters.len());
    let skip = if characters.len() <= WIDTH { 0 } else { start.saturating_sub(WIDTH / 3) };
    let end = characters.len().min(skip + WIDTH);
    let text: String = characters[skip..end].iter().collect();
    let (before, after) = (if skip > 0 { "…" } else { "" }, if end < characters.len() { "…" } else { "" });
    let indent = start - skip + before.chars().count();
    let carets = "^".repeat(at.width.clamp(1, end.saturating_sub(start).max(1)));
    let (number, gutter) = (at.line, gutter(at.line));
    let mut out = String::new();
    write!(
        out,
        "{:gutter$} |\n{number} | {before}{}{after}\n{:gutter$} | {:indent$}{carets}\n",
        "",
        text.trim_end(),
        "",
        ""
    )
    .unwrap_or_default();
    out
}

#[cfg(test)]
mod tests;
