//! `fields` of a monitor: what is taken of each call. Owns how places are written and which kinds of values stand there.

use super::Ground;
use crate::report::Notes;
use crate::scalar::{At, Flaw, Scalar};
use crate::section::Desk;
use crate::shape::{Item, Map, Read, choice, mismatch, record};
use crate::suggest::nearest;
use crate::tree::{Kind, Node, shortened};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use tidegate_core::spec::{FieldFrom, FieldKind, FieldSpec, RewardKind};
use tidegate_core::{LabelName, RewardName};

/// The most fields of a monitor.
const MOST: usize = 512;
/// The longest name of one, in characters.
const LONGEST: usize = 128;
/// What a place begins with, where it is none of the caller's body.
const WORDS: [&str; 6] = ["answer", "said", "label", "reward", "variant", "tag"];

record! {
    /// A value of each call, and what it is.
    LongFieldFile {
        required {
            /// Where it stands: `/a/0/b` in the caller's body (RFC 6901), `answer:/a/0/b` in the answer's, `said` (the text of
            /// the first choice), `label:NAME` or `reward:NAME` of later feedback, `variant`, or `tag:NAME` of the key.
            from: At<FieldFrom>,
        }
        optional {
            /// What its values are; by default what the first ones are.
            kind: FieldKindFile,
        }
    }
}

choice! {
    /// What the values of a field are.
    FieldKindFile {
        words {
            /// Numbers.
            Number = "number",
            /// A few texts, numbers or booleans, each a class.
            Category = "category",
            /// Texts.
            Text = "text",
            /// Vectors of numbers, such as embeddings.
            Vector = "vector",
        }
    }
}

/// A value of each call: its place, or that and its kind.
#[derive(Debug)]
pub(crate) enum FieldFile {
    Short(At<FieldFrom>),
    Long(LongFieldFile),
}

impl Read for FieldFile {
    fn read(node: &Node, notes: &mut Notes) -> Option<Self> {
        match &node.kind {
            Kind::Scalar(_) => At::read(node, notes).map(Self::Short),
            Kind::Map(_) => LongFieldFile::read(node, notes).map(Self::Long),
            _ => {
                mismatch(node, "a place such as `/features/amount`, or `{from: …, kind: …}`", notes);
                None
            }
        }
    }
}

impl JsonSchema for FieldFile {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "FieldFile".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (short, long) = (FieldFrom::schema(), generator.subschema_for::<LongFieldFile>());
        json_schema!({"anyOf": [short, long]})
    }
}

impl Scalar for FieldFrom {
    const WHAT: &'static str = "a place in a call";

    fn parse(text: &str) -> Result<Self, Flaw> {
        let name =
            |fault: tidegate_core::name::NameFault| Flaw::why(fault.to_string()).mend("name it as feedback does");
        match text.split_once(':') {
            _ if text.starts_with('/') => pointer(text).map(Self::Request),
            Some(("answer", at)) => pointer(at).map(Self::Answer),
            Some(("label", label)) => label.parse::<LabelName>().map(Self::Label).map_err(name),
            Some(("reward", reward)) => reward.parse::<RewardName>().map(Self::Reward).map_err(name),
            Some(("tag", tag)) if !tag.is_empty() => Ok(Self::Tag(tag.to_owned())),
            None if text == "said" => Ok(Self::Said),
            None if text == "variant" => Ok(Self::Variant),
            None if text == "violations" => Ok(Self::Violations),
            _ => {
                let word = text.split(':').next().unwrap_or_default();
                let known = "write a pointer such as `/features/amount`, `answer:/usage/total_tokens`, `said`, `label:NAME`, \
                             `reward:NAME`, `variant`, `violations` or `tag:NAME`";
                let meant = nearest(word, WORDS).filter(|meant| *meant != word);
                Err(Flaw::default()
                    .mend(meant.map_or_else(|| known.to_owned(), |meant| format!("did you mean `{meant}`?"))))
            }
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^(/|answer:/|label:.|reward:.|tag:.|said$|variant$|violations$|\\$\\{)"})
    }
}

fn pointer(text: &str) -> Result<String, Flaw> {
    if !text.starts_with('/') {
        return Err(Flaw::why("a JSON pointer begins with `/`").mend("write it like `answer:/usage/total_tokens`"));
    }
    let is_escaped = |rest: &str| rest.starts_with(['0', '1']);
    if !text.split('~').skip(1).all(is_escaped) {
        return Err(Flaw::why("in a JSON pointer `~` is written `~0`, and `/` within a name `~1`").mend("write it so"));
    }
    Ok(text.to_owned())
}

/// A field that was read.
pub(super) struct Column {
    /// What is made of it.
    pub(super) spec: FieldSpec,
    /// Whether the file says of which kind it is.
    is_said: bool,
    possible: &'static [FieldKind],
}

impl Column {
    /// Makes it the kind that a role asks for; whether it can be.
    pub(super) fn settle(&mut self, kind: FieldKind) -> bool {
        let fits = if self.is_said { self.spec.kind == Some(kind) } else { self.possible.contains(&kind) };
        if fits {
            self.spec.kind = Some(kind);
        }
        fits
    }
}

/// The fields of a monitor; what is wrong with one does not hide the others.
pub(super) fn check(raw: Map<FieldFile>, ground: &Ground<'_>, desk: &mut Desk<'_>) -> Option<Vec<Column>> {
    let mut is_whole = true;
    if let Some(item) = raw.0.get(MOST) {
        desk.notes
            .fault(&item.at, format!("a monitor has at most {MOST} fields"))
            .remedy("leave some out, or watch them by another monitor");
    }
    let mut fields = Vec::new();
    for item in raw.0 {
        let field = one(item, ground, desk);
        is_whole &= field.is_some();
        fields.extend(field);
    }
    is_whole.then_some(fields)
}

fn one(item: Item<FieldFile>, ground: &Ground<'_>, desk: &mut Desk<'_>) -> Option<Column> {
    if item.name.chars().count() > LONGEST || item.name.chars().any(char::is_control) {
        desk.notes
            .fault(&item.at, format!("`{}` is not the name of a field", shortened(&item.name)))
            .remedy(format!("give it one of at most {LONGEST} characters, none of them a control character"));
    }
    let (from, kind) = match item.value? {
        FieldFile::Short(from) => (from, None),
        FieldFile::Long(raw) => (raw.from?, raw.kind.map(|kind| self::kind(&kind))),
    };
    let reward = match &from.value {
        FieldFrom::Reward(name) => Some(ground.reward(name, &from, desk)?),
        _ => None,
    };
    let possible = possible(&from.value, reward);
    if let Some(kind) = kind
        && !possible.contains(&kind)
    {
        let words: Vec<&str> = possible.iter().copied().map(word).collect();
        desk.notes
            .fault(&from.at, format!("what `{}` gives is never a {}", shown(&from.value), word(kind)))
            .remedy(format!("it may be {}; or leave `kind` out", words.join(" or ")));
    }
    // In a body anything may stand; elsewhere it is known.
    let known = match &from.value {
        FieldFrom::Request(_) | FieldFrom::Answer(_) => None,
        _ => possible.first().copied(),
    };
    let spec = FieldSpec { name: item.name, from: from.value, kind: kind.or(known) };
    Some(Column { spec, is_said: kind.is_some(), possible })
}

/// What may stand at a place, the likeliest first.
fn possible(from: &FieldFrom, reward: Option<RewardKind>) -> &'static [FieldKind] {
    use FieldKind::{Category, Number, Text, Vector};
    match (from, reward) {
        (FieldFrom::Request(_) | FieldFrom::Answer(_), _) => &[Number, Category, Text, Vector],
        (FieldFrom::Said, _) => &[Text, Category, Number],
        (FieldFrom::Reward(_), Some(RewardKind::Float(_))) => &[Number],
        (FieldFrom::Label(_) | FieldFrom::Tag(_) | FieldFrom::Reward(_), _) => &[Category, Number],
        (FieldFrom::Variant, _) => &[Category],
        (FieldFrom::Violations, _) => &[Number],
    }
}

const fn kind(raw: &FieldKindFile) -> FieldKind {
    match raw {
        FieldKindFile::Number => FieldKind::Number,
        FieldKindFile::Category => FieldKind::Category,
        FieldKindFile::Text => FieldKind::Text,
        FieldKindFile::Vector => FieldKind::Vector,
    }
}

/// How a kind is written.
pub(crate) const fn word(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Number => "number",
        FieldKind::Category => "category",
        FieldKind::Text => "text",
        FieldKind::Vector => "vector",
    }
}

/// How a place is written.
pub(crate) fn shown(from: &FieldFrom) -> String {
    match from {
        FieldFrom::Request(pointer) => pointer.clone(),
        FieldFrom::Answer(pointer) => format!("answer:{pointer}"),
        FieldFrom::Said => "said".to_owned(),
        FieldFrom::Label(name) => format!("label:{name}"),
        FieldFrom::Reward(name) => format!("reward:{name}"),
        FieldFrom::Variant => "variant".to_owned(),
        FieldFrom::Violations => "violations".to_owned(),
        FieldFrom::Tag(name) => format!("tag:{name}"),
    }
}
