//! A prompt, compiled: variables in, messages out. Owns the sandbox around the template engine (what is let in, steps,
//! bytes, files of the same folder alone) and how its faults are told.

use crate::capped::Capped;
use crate::environment::environment;
use crate::fault::{RenderFault, SourceFault};
use crate::folder::{Folder, PROMPT_FILE};
use crate::sandbox::{self, GROWTH, Scan};
use crate::source::{MessageSource, PromptSource, unended};
use crate::variables::Variables;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_core::port::prompts::{PromptMessage, PromptRole};

/// The most bytes of all messages.
const RENDERED_BYTES: usize = 4 << 20;

/// What a rendering gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The messages, in order.
    pub messages: Vec<PromptMessage>,
    /// Default parameters of the call.
    pub parameters: Map<String, Value>,
    /// The form of the answer.
    pub response_format: Option<Value>,
}

/// A compiled prompt.
#[derive(Debug)]
pub struct Prompt {
    source: PromptSource,
    environment: Environment<'static>,
    /// The role of each message and the name of its template.
    messages: Vec<(PromptRole, String)>,
    variables: Variables,
    bytes: u64,
}

impl Prompt {
    /// Reads and compiles the prompt of a folder.
    ///
    /// # Errors
    /// Says what is wrong, with the file and the line where that is known.
    pub fn compile(folder: &Folder) -> Result<Self, SourceFault> {
        let source = PromptSource::read(folder)?;
        let mut environment = environment();
        let mut scans = BTreeMap::new();
        let mut messages = Vec::new();
        for (at, message) in source.messages.iter().enumerate() {
            let name = message.file.clone().unwrap_or_else(|| format!("{PROMPT_FILE}: messages[{at}]"));
            if !scans.contains_key(&name) {
                add(&mut environment, &mut scans, &name, &message.template)?;
            }
            messages.push((message.role, name));
        }
        include_all(folder, &mut environment, &mut scans)?;
        check_reach(&scans)?;
        let variables = variables(&source, &environment, &messages, &scans)?;
        let prompt = Self { source, environment, messages, variables, bytes: folder.bytes() };
        prompt.probe()?;
        Ok(prompt)
    }

    /// What was compiled.
    #[must_use]
    pub fn source(&self) -> &PromptSource {
        &self.source
    }

    /// The variables and their schemas.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.variables.schemas()
    }

    /// The bytes of its files.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Renders the messages.
    ///
    /// # Errors
    /// Names the variable that is missing, unknown or wrong, or says what the template did.
    pub fn render(&self, given: &Map<String, Value>) -> Result<Rendered, RenderFault> {
        let filled = self.variables.fill(given)?;
        let context = minijinja::Value::from_serialize(&filled);
        let mut room = RENDERED_BYTES;
        let mut messages = Vec::with_capacity(self.messages.len());
        for (role, name) in &self.messages {
            let content = self.one(&self.environment, name, &context, room).map_err(|e| told(&e))?;
            room -= content.len();
            messages.push(PromptMessage { role: *role, content });
        }
        let parameters = self.source.parameters.clone();
        Ok(Rendered { messages, parameters, response_format: self.source.response_format.clone() })
    }

    fn one(
        &self,
        environment: &Environment<'static>,
        name: &str,
        context: &minijinja::Value,
        room: usize,
    ) -> Result<String, Error> {
        let mut out = Capped::new(room);
        environment.get_template(name)?.render_captured_to(context, &mut out)?;
        debug_assert!(out.len() <= room, "the buffer is capped");
        out.into_text().map_err(|e| Error::new(ErrorKind::WriteFailure, e.to_string()))
    }

    /// Renders once without variables, to find what could never be rendered: filters that there are not, and endless
    /// loops over constants.
    fn probe(&self) -> Result<(), SourceFault> {
        let mut lenient = self.environment.clone();
        lenient.set_undefined_behavior(UndefinedBehavior::Chainable);
        for (_, name) in &self.messages {
            let Err(error) = self.one(&lenient, name, &minijinja::Value::from(()), RENDERED_BYTES) else { continue };
            let hopeless = matches!(
                error.kind(),
                ErrorKind::OutOfFuel
                    | ErrorKind::UnknownFilter
                    | ErrorKind::UnknownTest
                    | ErrorKind::UnknownFunction
                    | ErrorKind::WriteFailure
            );
            if hopeless {
                return Err(broken(name, &error));
            }
        }
        Ok(())
    }
}

/// Lets a template in.
fn add(
    environment: &mut Environment<'static>,
    scans: &mut BTreeMap<String, Scan>,
    name: &str,
    text: &str,
) -> Result<(), SourceFault> {
    let scan = sandbox::scan(text).map_err(|e| SourceFault::at(name, Some(e.line), format!("template: {}", e.why)))?;
    environment.add_template_owned(name.to_owned(), text.to_owned()).map_err(|e| broken(name, &e))?;
    scans.insert(name.to_owned(), scan);
    Ok(())
}

/// Lets the files in that the templates include, and those that these include.
fn include_all(
    folder: &Folder,
    environment: &mut Environment<'static>,
    scans: &mut BTreeMap<String, Scan>,
) -> Result<(), SourceFault> {
    let missing = |scans: &BTreeMap<String, Scan>| {
        let wanted = scans.iter().flat_map(|(by, scan)| scan.includes.iter().map(move |name| (by, name)));
        let mut wanted = wanted.filter(|(_, name)| !scans.contains_key(*name));
        wanted.next().map(|(by, name)| (by.clone(), name.clone()))
    };
    while let Some((by, name)) = missing(scans) {
        let text = folder.read(&name).map_err(|e| {
            SourceFault::at(by, None, format!("`include` of {name:?}, a file of this folder: {}", e.why))
        })?;
        add(environment, scans, &name, unended(text))?;
    }
    Ok(())
}

/// No file includes itself, by whatever way, and all bindings together grow little.
fn check_reach(scans: &BTreeMap<String, Scan>) -> Result<(), SourceFault> {
    fn walk<'a>(
        scans: &'a BTreeMap<String, Scan>,
        name: &'a str,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Result<(), SourceFault> {
        if way.contains(&name) {
            return Err(SourceFault::at(
                name,
                None,
                format!("the file includes itself: {} -> {name}", way.join(" -> ")),
            ));
        }
        if !done.insert(name) {
            return Ok(());
        }
        way.push(name);
        for next in scans.get(name).into_iter().flat_map(|scan| &scan.includes) {
            walk(scans, next, way, done)?;
        }
        way.pop();
        Ok(())
    }
    let mut done = BTreeSet::new();
    for name in scans.keys() {
        walk(scans, name, &mut Vec::new(), &mut done)?;
    }
    let growth = scans.values().fold(1u64, |all, scan| all.saturating_mul(scan.growth));
    if growth > GROWTH {
        let why = "the `~ + * ,` in `set`, `with` and `for` of all files could multiply a text too often: put it out in pieces";
        return Err(SourceFault::at(PROMPT_FILE, None, why));
    }
    Ok(())
}

/// The variables that are declared, or else those that the templates use.
fn variables(
    source: &PromptSource,
    environment: &Environment<'static>,
    messages: &[(PromptRole, String)],
    scans: &BTreeMap<String, Scan>,
) -> Result<Variables, SourceFault> {
    let globals: BTreeSet<&str> = environment.globals().map(|(name, _)| name).collect();
    let used = |name: &str| -> BTreeSet<String> {
        let used = environment.get_template(name).map(|t| t.undeclared_variables(false)).unwrap_or_default();
        used.into_iter().filter(|used| !globals.contains(used.as_str())).collect()
    };
    let mut variables = Variables::default();
    if let Some(declared) = &source.variables {
        for (name, variable) in declared {
            variables
                .declare(name, variable.schema.clone())
                .map_err(|why| SourceFault::at(PROMPT_FILE, variable.line, format!("the variable `{name}`: {why}")))?;
        }
        for ((_, template), message) in messages.iter().zip(&source.messages) {
            if let Some(name) = used(template).into_iter().find(|name| !variables.knows(name)) {
                return Err(undeclared(message, template, &name));
            }
        }
        return Ok(variables);
    }
    if scans.values().any(|scan| !scan.includes.is_empty()) {
        let why = "a prompt that includes files must declare its `variables`";
        return Err(SourceFault::at(PROMPT_FILE, None, why));
    }
    for name in messages.iter().flat_map(|(_, template)| used(template)) {
        variables.declare(&name, Value::Bool(true)).map_err(|why| SourceFault::at(PROMPT_FILE, None, why))?;
    }
    Ok(variables)
}

fn undeclared(message: &MessageSource, template: &str, name: &str) -> SourceFault {
    let why = format!("the template uses `{name}`, which `variables` in {PROMPT_FILE} does not declare");
    match &message.file {
        Some(_) => SourceFault::at(template, None, why),
        None => SourceFault::at(PROMPT_FILE, message.line, why),
    }
}

fn why_of(error: &Error) -> String {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    detail.lines().next().unwrap_or_default().chars().take(300).collect()
}

fn broken(name: &str, error: &Error) -> SourceFault {
    let file = error.name().unwrap_or(name).to_owned();
    SourceFault::at(file, error.line().map(|line| line as u64), format!("template: {}", why_of(error)))
}

fn told(error: &Error) -> RenderFault {
    match error.kind() {
        ErrorKind::WriteFailure => RenderFault::Long(RENDERED_BYTES),
        ErrorKind::OutOfFuel => RenderFault::Endless,
        _ => {
            let name = error.name().unwrap_or("the template");
            let place = error.line().map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
            RenderFault::Template { place, why: why_of(error) }
        }
    }
}

#[cfg(test)]
mod tests;
