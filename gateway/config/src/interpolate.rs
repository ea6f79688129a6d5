//! References within scalars: `${env:NAME}`, `${env:NAME:-default}`, `${file:PATH}`; `$${` is a `${`. Owns their form
//! and that what they yield is never shown.

use crate::load::Environment;
use crate::place::Place;
use crate::report::Notes;
use crate::source::Sources;
use crate::tree::{Kind, Node, Scalar, shortened};
use std::path::Path;

/// What references are answered from.
pub(crate) struct Answers<'a> {
    pub(crate) env: Environment<'a>,
    /// What the paths of `${file:…}` are relative to.
    pub(crate) base: &'a Path,
    pub(crate) sources: &'a mut Sources,
    pub(crate) notes: &'a mut Notes,
}

impl Answers<'_> {
    /// Puts the references of a whole tree in; where one has no answer, that is noted and the node is faulty.
    pub(crate) fn fill(&mut self, node: &mut Node) {
        match &mut node.kind {
            Kind::Scalar(scalar) if scalar.written.contains("${") => {
                if self.fill_scalar(scalar, &node.at).is_none() {
                    node.kind = Kind::Faulty;
                }
            }
            Kind::List(nodes) => nodes.iter_mut().for_each(|node| self.fill(node)),
            Kind::Map(entries) => entries.iter_mut().for_each(|entry| self.fill(&mut entry.node)),
            Kind::Scalar(_) | Kind::Null | Kind::Faulty => {}
        }
    }

    fn fill_scalar(&mut self, scalar: &mut Scalar, at: &Place) -> Option<()> {
        let mut value = String::new();
        let mut rest = scalar.written.as_str();
        while let Some(start) = rest.find("${") {
            let (before, found) = rest.split_at(start);
            if let Some(before) = before.strip_suffix('$') {
                value.push_str(before);
                value.push_str("${");
                rest = &found[2..];
                continue;
            }
            value.push_str(before);
            let Some((reference, after)) = found[2..].split_once('}') else {
                self.notes
                    .fault(at, format!("`{}` has no closing brace", shortened(found)))
                    .remedy("write `$${` where no reference is meant");
                return None;
            };
            value.push_str(&self.answer(reference, at)?);
            scalar.is_referred = true;
            rest = after;
        }
        value.push_str(rest);
        scalar.value = value;
        Some(())
    }

    fn answer(&mut self, reference: &str, at: &Place) -> Option<String> {
        match reference.split_once(':') {
            Some(("env", rest)) => self.variable(rest, at),
            Some(("file", path)) if !path.is_empty() => {
                let path = self.base.join(path);
                let read = self.sources.read_secret(&path);
                read.map_err(|fault| {
                    let message = format!("the file of `${{{}}}` cannot be read: {fault}", shortened(reference));
                    self.notes.fault(at, message).remedy("a path is relative to the folder of this file");
                })
                .ok()
            }
            _ => {
                let message = format!("`${{{}}}` is no reference", shortened(reference));
                self.notes
                    .fault(at, message)
                    .remedy("write `${env:NAME}` or `${file:PATH}`, or `$${` where no reference is meant");
                None
            }
        }
    }

    fn variable(&mut self, rest: &str, at: &Place) -> Option<String> {
        let (name, default) = rest.split_once(":-").map_or((rest, None), |(name, default)| (name, Some(default)));
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            self.notes
                .fault(at, format!("`{}` is no name of an environment variable", shortened(name)))
                .remedy("use letters, digits and `_`");
            return None;
        }
        let value = (self.env)(name).filter(|value| !(value.is_empty() && default.is_some()));
        let value = value.or_else(|| default.map(str::to_owned));
        if value.is_none() {
            self.notes
                .fault(at, format!("the environment variable `{name}` is not set"))
                .remedy(format!("set it, or give a default: `${{env:{name}:-default}}`"));
        }
        value
    }
}

#[cfg(test)]
mod tests;
