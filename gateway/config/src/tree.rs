//! YAML as a tree whose nodes know their place. Owns what of YAML is refused for every section alike: repeated and odd
//! keys, anchors and aliases, tags, several documents, too much depth. What the nodes mean is `shape`'s.

use crate::place::{Path, Place};
use crate::report::Notes;
use granit_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::HashMap;

/// The most collections within each other.
const DEEPEST: usize = 32;
/// The most bytes of a key.
const LONGEST_KEY: usize = 256;

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    /// Where its value stands.
    pub(crate) at: Place,
    /// Where its key stands, or the value of a list's element.
    pub(crate) named: Place,
    pub(crate) kind: Kind,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Nothing, `~` or `null`.
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Something whose fault is noted already; nobody complains about it again.
    Faulty,
}

/// A text or number.
#[derive(Debug)]
pub(crate) struct Scalar {
    /// As it stands in the file.
    pub(crate) written: String,
    /// With references put in.
    pub(crate) value: String,
    /// Whether anything of it comes from a reference: such values are not shown.
    pub(crate) is_referred: bool,
    /// Whether it stands there without quotes, so that it may be a number.
    pub(crate) is_plain: bool,
}

/// One entry of a map.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) node: Node,
}

impl Node {
    /// The map's value of `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Kind::Map(entries) = &self.kind else { return None };
        entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// What it is, for messages.
    pub(crate) fn what(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".to_owned(),
            Kind::Scalar(scalar) => format!("`{}`", shortened(&scalar.written)),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
            Kind::Faulty => "something else".to_owned(),
        }
    }
}

/// A text cut to what fits into a message.
pub(crate) fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Reads the file of index `source` and text `text`. Where it is no YAML, that is the only fault and the tree is
/// `Kind::Faulty`.
pub(crate) fn parse(source: usize, text: &str, notes: &mut Notes) -> Node {
    let options = granit_parser::options! { emit_unresolved_aliases: true, emit_comments: false };
    let mut builder = Builder { source, notes, open: Vec::new(), root: None, skipping: 0, documents: 0 };
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => builder.take(event, &span),
            Err(fault) => {
                let mark = fault.marker();
                let at = Place { line: mark.line().max(1), column: mark.col() + 1, ..Place::start(source) };
                let path = builder.path();
                let note =
                    builder.notes.fault(&Place { path, ..at.clone() }, format!("this is no YAML: {}", fault.info()));
                note.remedy("mend it first; what stands behind it is not read");
                return Node { named: at.clone(), at, kind: Kind::Faulty };
            }
        }
    }
    let start = Place::start(source);
    builder.root.unwrap_or(Node { at: start.clone(), named: start, kind: Kind::Null })
}

/// A collection that is still open.
struct Open {
    at: Place,
    named: Place,
    path: Path,
    kind: Collection,
}

enum Collection {
    List(Vec<Node>),
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<Entry>,
    /// The lines of their keys.
    lines: HashMap<String, usize>,
    /// The key whose value comes next; `None` within it is a key that was refused.
    next: Option<(Place, Option<String>)>,
}

struct Builder<'a> {
    source: usize,
    notes: &'a mut Notes,
    open: Vec<Open>,
    root: Option<Node>,
    /// How many collections are open that are left out.
    skipping: usize,
    documents: usize,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: &Span) {
        if self.skipping > 0 {
            match event {
                Event::SequenceStart(..) | Event::MappingStart(..) => self.skipping += 1,
                Event::SequenceEnd | Event::MappingEnd => self.skipping -= 1,
                _ => {}
            }
            return;
        }
        let at = self.place(span);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents == 2 {
                    self.notes
                        .fault(&at, "a second document starts here")
                        .remedy("put it into a file of its own and give the folder of both");
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.notes.fault(&at, "an alias stands here, and none are taken").remedy("write the value itself");
                self.place_scalar(at, Kind::Faulty, None);
            }
            Event::Scalar(value, style, anchor, tag) => {
                self.refuse_properties(&at, anchor, tag.is_some());
                let is_plain = style == ScalarStyle::Plain;
                let kind = match &*value {
                    "" | "~" | "null" if is_plain => Kind::Null,
                    text => {
                        let (written, value) = (text.to_owned(), text.to_owned());
                        Kind::Scalar(Scalar { written, value, is_referred: false, is_plain })
                    }
                };
                self.place_scalar(at, kind, Some(&value));
            }
            Event::SequenceStart(_, anchor, tag) => self.open(at, Collection::List(Vec::new()), anchor, tag.is_some()),
            Event::MappingStart(_, anchor, tag) => {
                self.open(at, Collection::Map(OpenMap::default()), anchor, tag.is_some());
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            _ => {}
        }
    }

    fn place(&self, span: &Span) -> Place {
        let (start, end) = (span.start, span.end);
        let width = if end.line() == start.line() { end.col().saturating_sub(start.col()) } else { 1 };
        Place {
            source: self.source,
            line: start.line().max(1),
            column: start.col() + 1,
            width: width.max(1),
            path: self.path(),
        }
    }

    /// The path of what comes next.
    fn path(&self) -> Path {
        match self.open.last() {
            None => Path::default(),
            Some(open) => match &open.kind {
                Collection::List(list) => open.path.index(list.len()),
                Collection::Map(OpenMap { next: Some((_, Some(key))), .. }) => open.path.key(key),
                Collection::Map(..) => open.path.clone(),
            },
        }
    }

    fn refuse_properties(&mut self, at: &Place, anchor: usize, has_tag: bool) {
        if anchor != 0 {
            self.notes
                .fault(at, "an anchor stands here, and none are taken")
                .remedy("write the value at each place where it is meant");
        }
        if has_tag {
            self.notes.fault(at, "a tag stands here, and none are taken").remedy("leave out what starts with `!`");
        }
    }

    /// A scalar is a key or a value, as the open collection has it.
    fn place_scalar(&mut self, at: Place, kind: Kind, text: Option<&str>) {
        if let Some(Open { kind: Collection::Map(OpenMap { next: next @ None, .. }), path, .. }) = self.open.last_mut()
        {
            let key = match (&kind, text) {
                (Kind::Scalar(_), Some(text)) if text.len() <= LONGEST_KEY => Some(text.to_owned()),
                (Kind::Faulty, _) => None,
                _ => {
                    self.notes.fault(&at, "a key is a text of 1 to 256 bytes").remedy("name it");
                    None
                }
            };
            let path = key.as_ref().map_or_else(|| path.clone(), |key| path.key(key));
            *next = Some((Place { path, ..at }, key));
            return;
        }
        self.put(at, kind);
    }

    fn open(&mut self, at: Place, kind: Collection, anchor: usize, has_tag: bool) {
        self.refuse_properties(&at, anchor, has_tag);
        let is_key = matches!(self.open.last(), Some(Open { kind: Collection::Map(OpenMap { next: None, .. }), .. }));
        if is_key || self.open.len() >= DEEPEST {
            let (message, remedy) = match is_key {
                true => ("a key is a text, not a list or map", "quote it if braces or brackets belong to it"),
                false => ("this lies more than 32 levels deep", "no section needs as much"),
            };
            self.notes.fault(&at, message).remedy(remedy);
            self.skipping = 1;
            self.place_scalar(at, Kind::Faulty, None);
            return;
        }
        let named = self.named().unwrap_or_else(|| at.clone());
        self.open.push(Open { path: at.path.clone(), at, named, kind });
    }

    fn close(&mut self) {
        let Some(Open { at, named, kind, .. }) = self.open.pop() else { return };
        let kind = match kind {
            Collection::List(list) => Kind::List(list),
            Collection::Map(map) => Kind::Map(map.entries),
        };
        self.put_named(at, named, kind);
    }

    /// The place of the key whose value comes next.
    fn named(&self) -> Option<Place> {
        match &self.open.last()?.kind {
            Collection::Map(OpenMap { next: Some((named, _)), .. }) => Some(named.clone()),
            _ => None,
        }
    }

    fn put(&mut self, at: Place, kind: Kind) {
        let named = self.named().unwrap_or_else(|| at.clone());
        // The value of `key:` with nothing behind it stands at the key.
        let at = if matches!(kind, Kind::Null) { named.clone() } else { at };
        self.put_named(at, named, kind);
    }

    fn put_named(&mut self, at: Place, named: Place, kind: Kind) {
        let node = Node { at, named, kind };
        match self.open.last_mut() {
            None if self.root.is_none() => self.root = Some(node),
            None => {}
            Some(Open { kind: Collection::List(list), .. }) => list.push(node),
            Some(Open { kind: Collection::Map(map), .. }) => {
                let Some((place, Some(key))) = map.next.take() else { return };
                if let Some(line) = map.lines.get(&key) {
                    self.notes
                        .fault(&place, format!("`{key}` stands here twice; the first is in line {line}"))
                        .remedy("leave one of them out");
                    return;
                }
                map.lines.insert(key.clone(), place.line);
                map.entries.push(Entry { key, node });
            }
        }
    }
}

#[cfg(test)]
mod tests;
