//! From the tree to raw types, field by field: a fault in one field is noted and the others are still read. Owns
//! maps, lists, records and choices; what a single scalar may be is `scalar`'s. The JSON Schema of a type says the same
//! as its reading, since both come from one declaration.

use crate::place::Place;
use crate::report::Notes;
use crate::suggest::nearest;
use crate::tree::{Entry, Kind, Node};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// What can be read from a node.
pub(crate) trait Read: Sized {
    /// Whether nothing at all can stand for a value of it, as it can for a map without entries.
    const TAKES_NOTHING: bool = false;

    /// Reads it. `None` says that a fault was noted that leaves nothing of it; faults within it are noted and it is
    /// given all the same.
    fn read(node: &Node, notes: &mut Notes) -> Option<Self>;
}

/// Notes that something of another shape stands there.
pub(crate) fn mismatch(node: &Node, expected: &str, notes: &mut Notes) {
    if matches!(node.kind, Kind::Faulty) {
        return;
    }
    let remedy = match expected {
        "a list" => "write `[…]`, or a line with `- ` for each element".to_owned(),
        "a map" => "write `{…}`, or a line with `name: value` for each entry".to_owned(),
        expected => format!("write {expected}"),
    };
    notes.fault(&node.at, format!("expected {expected}, found {}", node.what())).remedy(remedy);
}

impl<T: Read> Read for Box<T> {
    const TAKES_NOTHING: bool = T::TAKES_NOTHING;

    fn read(node: &Node, notes: &mut Notes) -> Option<Self> {
        T::read(node, notes).map(Self::new)
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, notes: &mut Notes) -> Option<Self> {
        match &node.kind {
            Kind::List(nodes) => {
                let read: Self = nodes.iter().filter_map(|node| T::read(node, notes)).collect();
                // Where every element is faulty the list is too: it must not pass for an empty one.
                (nodes.is_empty() || !read.is_empty()).then_some(read)
            }
            _ => {
                mismatch(node, "a list", notes);
                None
            }
        }
    }
}

/// Named entries in the order of the file.
#[derive(Debug)]
pub(crate) struct Map<T>(pub(crate) Vec<Item<T>>);

/// One named entry; its name is known even where its value is faulty, so that references to it still hold.
#[derive(Debug)]
pub(crate) struct Item<T> {
    pub(crate) name: String,
    pub(crate) at: Place,
    pub(crate) value: Option<T>,
}

impl<T> Default for Map<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Map<T> {
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|item| item.name.as_str())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }
}

impl<T: Read> Read for Map<T> {
    const TAKES_NOTHING: bool = true;

    fn read(node: &Node, notes: &mut Notes) -> Option<Self> {
        let item = |Entry { key, node }: &Entry, notes: &mut Notes| Item {
            name: key.clone(),
            at: node.named.clone(),
            value: T::read(node, notes),
        };
        match &node.kind {
            Kind::Map(entries) => Some(Self(entries.iter().map(|entry| item(entry, notes)).collect())),
            Kind::Null => Some(Self(Vec::new())),
            _ => {
                mismatch(node, "a map", notes);
                None
            }
        }
    }
}

impl<T: JsonSchema> JsonSchema for Map<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("MapOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let values = generator.subschema_for::<T>();
        json_schema!({"type": "object", "additionalProperties": values})
    }
}

/// Where a record stands and which of its fields, right or wrong.
#[derive(Debug)]
pub(crate) struct Here {
    pub(crate) at: Place,
    given: Vec<String>,
}

impl Here {
    pub(crate) fn has(&self, field: &str) -> bool {
        self.given.iter().any(|given| given == field)
    }
}

/// A record's own place.
pub(crate) trait Placed {
    fn here(&self) -> &Here;

    fn at(&self) -> &Place {
        &self.here().at
    }
}

/// The fields of a node that is to be a record.
pub(crate) struct Fields<'a> {
    node: &'a Node,
}

impl<'a> Fields<'a> {
    /// Checks that it is a map of known fields. `later` are those that come with another version.
    pub(crate) fn of(node: &'a Node, known: &[&str], later: &[&str], notes: &mut Notes) -> Option<Self> {
        match &node.kind {
            Kind::Null => {}
            Kind::Map(entries) => {
                for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
                    refuse(
                        &entry.node.named,
                        &format!("unknown field `{}`", entry.key),
                        &entry.key,
                        known,
                        later,
                        notes,
                    );
                }
            }
            _ => {
                mismatch(node, "a map", notes);
                return None;
            }
        }
        Some(Self { node })
    }

    pub(crate) fn optional<T: Read>(&self, name: &str, notes: &mut Notes) -> Option<T> {
        self.given::<T>(name).and_then(|node| T::read(node, notes))
    }

    pub(crate) fn required<T: Read>(&self, name: &str, notes: &mut Notes) -> Option<T> {
        let Some(node) = self.given::<T>(name) else {
            notes.fault(&self.node.named, format!("`{name}` is missing")).remedy(format!("add `{name}: …`"));
            return None;
        };
        T::read(node, notes)
    }

    fn given<T: Read>(&self, name: &str) -> Option<&'a Node> {
        self.node.get(name).filter(|node| T::TAKES_NOTHING || !matches!(node.kind, Kind::Null))
    }

    pub(crate) fn here(&self) -> Here {
        let entries = if let Kind::Map(entries) = &self.node.kind { entries.as_slice() } else { &[] };
        let given =
            entries.iter().filter(|entry| !matches!(entry.node.kind, Kind::Null)).map(|entry| entry.key.clone());
        Here { at: self.node.named.clone(), given: given.collect() }
    }
}

/// Notes that a word is not among the known ones: it may be one of another version, or be misspelt.
fn refuse(at: &Place, message: &str, word: &str, known: &[&str], later: &[&str], notes: &mut Notes) {
    if later.contains(&word) {
        notes
            .fault(at, format!("`{word}` is not available in this version"))
            .remedy(format!("leave it out; known here: {}", known.join(", ")));
        return;
    }
    let meant = nearest(word, known.iter().copied());
    notes.fault(at, message).meant(meant, || format!("known here: {}", known.join(", ")));
}

/// What stands where one of several things can: a word, or a map of one key.
pub(crate) enum Chosen<'a> {
    Word(&'a str),
    Map(&'a str, &'a Node),
}

/// Reads a choice, noting what is none of `words` and no key of `maps`.
pub(crate) fn choose<'a>(
    node: &'a Node,
    words: &[&str],
    maps: &[&str],
    later: &[&str],
    notes: &mut Notes,
) -> Option<Chosen<'a>> {
    let known: Vec<&str> = words.iter().chain(maps).copied().collect();
    let (chosen, word, at) = match &node.kind {
        Kind::Scalar(scalar) => (Chosen::Word(&scalar.value), scalar.value.as_str(), &node.at),
        Kind::Map(entries) => match entries.as_slice() {
            [Entry { key, node }] => (Chosen::Map(key, node), key.as_str(), &node.named),
            _ => {
                let message = format!("exactly one of {} stands here, not {}", known.join(", "), entries.len());
                let remedy = if entries.is_empty() { "write one of them" } else { "keep one of them" };
                notes.fault(&node.named, message).remedy(remedy);
                return None;
            }
        },
        _ => {
            mismatch(node, &format!("one of {}", known.join(", ")), notes);
            return None;
        }
    };
    let is_word = matches!(chosen, Chosen::Word(_));
    let (fitting, other) = if is_word { (words, maps) } else { (maps, words) };
    if fitting.contains(&word) {
        return Some(chosen);
    }
    if other.contains(&word) {
        let form = if is_word { format!("{{{word}: …}}") } else { word.to_owned() };
        notes.fault(at, format!("`{word}` has another form here")).remedy(format!("write `{form}`"));
        return None;
    }
    let shown = if let Kind::Scalar(_) = &node.kind { node.what() } else { format!("`{word}`") };
    refuse(at, &format!("{shown} is not one of the choices"), word, &known, later, notes);
    None
}

/// Declares a record: a map of known fields. All of them are `Option`s; a missing one of `required` is noted.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident {
        $(required { $($(#[$rdoc:meta])* $rfield:ident: $rtype:ty,)* })?
        $(optional { $($(#[$odoc:meta])* $ofield:ident: $otype:ty,)* })?
        $(later { $($later:literal),* })?
    }) => {
        $(#[$doc])*
        #[derive(Debug, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub(crate) struct $name {
            $($($(#[$rdoc])* #[schemars(required)] pub(crate) $rfield: Option<$rtype>,)*)?
            $($($(#[$odoc])* pub(crate) $ofield: Option<$otype>,)*)?
            #[schemars(skip)]
            here: $crate::shape::Here,
        }

        impl $crate::shape::Placed for $name {
            fn here(&self) -> &$crate::shape::Here {
                &self.here
            }
        }

        impl $crate::shape::Read for $name {
            const TAKES_NOTHING: bool = true;

            fn read(node: &$crate::tree::Node, notes: &mut $crate::report::Notes) -> Option<Self> {
                let known = [$($(stringify!($rfield),)*)? $($(stringify!($ofield),)*)?];
                let fields = $crate::shape::Fields::of(node, &known, &[$($($later),*)?], notes)?;
                Some(Self {
                    $($($rfield: fields.required(stringify!($rfield), notes),)*)?
                    $($($ofield: fields.optional(stringify!($ofield), notes),)*)?
                    here: fields.here(),
                })
            }
        }
    };
}

/// Declares a choice: one of some words, or a map of one key.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident {
        $(words { $($(#[$wdoc:meta])* $wname:ident = $word:literal,)* })?
        $(maps { $($(#[$mdoc:meta])* $mname:ident($mtype:ty) = $map:literal,)* })?
        $(later { $($later:literal),* })?
    }) => {
        $(#[$doc])*
        #[derive(Debug, schemars::JsonSchema)]
        pub(crate) enum $name {
            $($($(#[$wdoc])* #[schemars(rename = $word)] $wname,)*)?
            $($($(#[$mdoc])* #[schemars(rename = $map)] $mname($mtype),)*)?
        }

        impl $crate::shape::Read for $name {
            fn read(node: &$crate::tree::Node, notes: &mut $crate::report::Notes) -> Option<Self> {
                let (words, maps): (&[&str], &[&str]) = (&[$($($word),*)?], &[$($($map),*)?]);
                match $crate::shape::choose(node, words, maps, &[$($($later),*)?], notes)? {
                    $($($crate::shape::Chosen::Word($word) => Some(Self::$wname),)*)?
                    $($($crate::shape::Chosen::Map($map, node) => <$mtype as $crate::shape::Read>::read(node, notes).map(Self::$mname),)*)?
                    $crate::shape::Chosen::Word(_) | $crate::shape::Chosen::Map(..) => None,
                }
            }
        }
    };
}

pub(crate) use {choice, record};
