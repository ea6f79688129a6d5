//! Search filters: comparisons joined by AND, in MLflow's grammar. Owns parsing and checking; running one against a
//! database is `store::search`'s.

mod words;

use crate::fault::RegistryFault;
use words::{Word, Words};

/// The tag that makes a registered model a prompt.
pub const IS_PROMPT: &str = "mlflow.prompt.is_prompt";

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Registered models.
    Models,
    /// Versions of them.
    Versions,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// What is compared.
    pub key: Key,
    /// How.
    pub operator: Operator,
    /// With what.
    pub value: Operand,
}

/// What a comparison is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The model's name.
    Name,
    /// The version's number.
    Number,
    /// The run that made the version.
    RunId,
    /// Where the version was taken from.
    Source,
    /// A tag.
    Tag(String),
}

/// How two things are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `LIKE`, by case
    Like,
    /// `ILIKE`, in any case
    Ilike,
    /// `IN`
    In,
    /// `NOT IN`
    NotIn,
}

impl Operator {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::Like => "LIKE",
            Self::Ilike => "ILIKE",
            Self::In => "IN",
            Self::NotIn => "NOT IN",
        }
    }
}

/// What something is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
    /// Several texts.
    List(Vec<String>),
}

/// A checked filter. What it says of prompts is kept apart, since a missing tag counts as `false` there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// All must hold.
    pub clauses: Vec<Clause>,
    /// Whether prompts are searched, and nothing else.
    pub prompts: bool,
}

impl Filter {
    /// Parses and checks a text; an empty one holds for everything that is no prompt.
    ///
    /// # Errors
    /// Says which part of it is wrong.
    pub fn parse(text: &str, target: Target) -> Result<Self, RegistryFault> {
        let mut words = Words::of(text)?;
        let (mut found, mut senseless) = (Vec::new(), Vec::new());
        // One AND may be too many: the client adds a clause of its own to a filter that ends with one.
        let mut is_joined = true;
        while !words.is_done() {
            if words.take_keyword("AND") {
                is_joined = true;
                continue;
            }
            let start = words.place();
            match comparison(&mut words) {
                Some(it) if is_joined => {
                    found.push(it);
                    is_joined = false;
                }
                Some(_) => senseless.push(words.since(start)),
                None => {
                    words.back_to(start);
                    words.take_piece();
                    senseless.push(words.since(start));
                    // It joins nothing, but what follows it is not wrong too.
                    is_joined = true;
                }
            }
        }
        if !senseless.is_empty() {
            return Err(RegistryFault::invalid(format!(
                "Invalid clause(s) in filter string: {}",
                senseless.join(", ")
            )));
        }
        Ok(Self::of(found.into_iter().map(|it| it.check(target)).collect::<Result<_, _>>()?))
    }

    fn of(mut clauses: Vec<Clause>) -> Self {
        let is_about = |clause: &&Clause| matches!(&clause.key, Key::Tag(key) if key == IS_PROMPT);
        let prompts = clauses.iter().find(is_about).is_some_and(|clause| match (&clause.operator, &clause.value) {
            (Operator::Equal, Operand::Text(value)) => value.eq_ignore_ascii_case("true"),
            (Operator::Unequal, Operand::Text(value)) => value.eq_ignore_ascii_case("false"),
            _ => false,
        });
        clauses.retain(|clause| !is_about(&clause));
        Self { clauses, prompts }
    }
}

/// A value as it stands in a comparison.
enum Given<'a> {
    Text(String),
    Number(String),
    Bare(String),
    /// The words between brackets, and the list as it stands.
    List(Vec<Word>, &'a str),
}

/// What has the form of a comparison: that is looked at first, so that what is none at all is said before what is
/// compared wrongly.
struct Comparison<'a> {
    /// As it stands, with its quotes.
    left: &'a str,
    operator: Result<Operator, &'static str>,
    given: Given<'a>,
}

impl Comparison<'_> {
    fn check(self, target: Target) -> Result<Clause, RegistryFault> {
        if self.left.starts_with('\'') {
            let says = format!("Invalid comparison clause. Expected 'Identifier' found '{}'", self.left);
            return Err(RegistryFault::invalid(says));
        }
        let (key, shown) = key(self.left, target)?;
        let value = operand(self.given, &key, target)?;
        let operator = fits(&key, &shown, self.operator)?;
        Ok(Clause { key, operator, value })
    }
}

fn comparison<'a>(words: &mut Words<'a>) -> Option<Comparison<'a>> {
    let start = words.place();
    let (Word::Name(_) | Word::Text(_)) = words.take()? else { return None };
    let left = words.since(start);
    let operator = operator(words)?;
    let given = given(words)?;
    let is_list = matches!(given, Given::List(..));
    (is_list == matches!(operator, Ok(Operator::In | Operator::NotIn))).then_some(Comparison { left, operator, given })
}

fn given<'a>(words: &mut Words<'a>) -> Option<Given<'a>> {
    let start = words.place();
    Some(match words.take()? {
        Word::Text(text) => Given::Text(text),
        Word::Number(text) => Given::Number(text),
        // SQL's own words are no values.
        Word::Name(text)
            if ["true", "false", "null", "and", "or", "not"].iter().any(|w| text.eq_ignore_ascii_case(w)) =>
        {
            return None;
        }
        Word::Name(text) => Given::Bare(text),
        Word::Open => {
            let mut inner = Vec::new();
            loop {
                match words.take()? {
                    Word::Close => break Given::List(inner, words.since(start)),
                    word => inner.push(word),
                }
            }
        }
        _ => return None,
    })
}

fn operand(given: Given<'_>, key: &Key, target: Target) -> Result<Operand, RegistryFault> {
    let wrong = |says: String| Err(RegistryFault::invalid(says));
    match (given, key) {
        (Given::Text(text), Key::Number) => Ok(Operand::Number(whole(&text, &format!("'{text}'"))?)),
        (Given::Number(text), Key::Number) => Ok(Operand::Number(whole(&text, &text)?)),
        (Given::Text(text), _) => Ok(Operand::Text(text)),
        (Given::List(_, text), Key::Tag(_)) => wrong(no_tag(text)),
        (Given::List(words, _), key) => list(&words, key, target),
        (Given::Number(text), Key::Tag(_)) => wrong(no_tag(&text)),
        (Given::Number(text), _) if target == Target::Models => wrong(format!(
            "Expected a quoted string value or a list of quoted string values for attributes. Got value {text}"
        )),
        (Given::Number(_), _) => wrong(
            "Only the '{'version_number', 'creation_timestamp', 'last_updated_timestamp'}' attributes support comparison \
             with numeric values."
                .to_owned(),
        ),
        (Given::Bare(text), _) => wrong(format!(
            "Parameter value is either not quoted or unidentified quote types used for string value {text}. Use either \
             single or double quotes."
        )),
    }
}

/// The key that a name means, and how it is called in a message.
fn key(name: &str, target: Target) -> Result<(Key, String), RegistryFault> {
    let (kind, rest) = name.split_once('.').unwrap_or(("attribute", name));
    match kind {
        "tag" | "tags" => {
            let rest = rest.trim_matches(['`', '"']);
            Ok((Key::Tag(rest.to_owned()), rest.to_owned()))
        }
        "attribute" => {
            let key = match (rest, target) {
                ("name", _) => Key::Name,
                ("version_number", Target::Versions) => Key::Number,
                ("run_id", Target::Versions) => Key::RunId,
                ("source_path", Target::Versions) => Key::Source,
                _ => {
                    let valid = match target {
                        Target::Models => "{'name'}",
                        Target::Versions => "{'name', 'run_id', 'source_path', 'version_number'}",
                    };
                    return Err(RegistryFault::invalid(format!(
                        "Invalid attribute key '{rest}' specified. Valid keys are '{valid}'"
                    )));
                }
            };
            Ok((key, rest.to_owned()))
        }
        other => Err(RegistryFault::invalid(format!(
            "Invalid entity type '{other}'. Valid entity types are ('attribute', 'tag', 'tags')"
        ))),
    }
}

/// The operator that comes next; one that SQL has and MLflow does not, by its text.
fn operator(words: &mut Words<'_>) -> Option<Result<Operator, &'static str>> {
    Some(Ok(match words.take()? {
        Word::Operator("=") => Operator::Equal,
        Word::Operator("!=") => Operator::Unequal,
        Word::Operator("<") => Operator::Less,
        Word::Operator("<=") => Operator::AtMost,
        Word::Operator(">") => Operator::Greater,
        Word::Operator(">=") => Operator::AtLeast,
        Word::Operator(other) => return Some(Err(other)),
        Word::Name(name) if name.eq_ignore_ascii_case("LIKE") => Operator::Like,
        Word::Name(name) if name.eq_ignore_ascii_case("ILIKE") => Operator::Ilike,
        Word::Name(name) if name.eq_ignore_ascii_case("IN") => Operator::In,
        Word::Name(name) if name.eq_ignore_ascii_case("NOT") && words.take_keyword("IN") => Operator::NotIn,
        _ => return None,
    }))
}

fn no_tag(given: &str) -> String {
    format!("Expected a quoted string value for tag (e.g. 'my-value'). Got value {given}")
}

fn list(words: &[Word], key: &Key, target: Target) -> Result<Operand, RegistryFault> {
    let supported = match target {
        Target::Models => (matches!(key, Key::Name), "['name']"),
        Target::Versions => (matches!(key, Key::Name | Key::RunId), "['name', 'run_id']"),
    };
    if !supported.0 {
        return Err(RegistryFault::invalid(format!(
            "Only {} attributes support comparison with a list of quoted string values.",
            supported.1
        )));
    }
    let expected = |what: &str| {
        RegistryFault::invalid(format!(
            "While parsing a list in the query, expected a non-empty list of string values, but got {what}"
        ))
    };
    if words.is_empty() {
        return Err(expected("empty list"));
    }
    let mut texts = Vec::new();
    for (i, word) in words.iter().enumerate() {
        match word {
            Word::Text(text) if i % 2 == 0 => texts.push(text.clone()),
            Word::Comma if i % 2 == 1 && i + 1 < words.len() => {}
            Word::Number(_) | Word::Name(_) => {
                return Err(RegistryFault::invalid(format!(
                    "While parsing a list in the query, expected string value, punctuation, or whitespace, but got \
                     different type in list: {}",
                    shown(words)
                )));
            }
            _ => return Err(expected("ill-formed list.")),
        }
    }
    Ok(Operand::List(texts))
}

/// A list as Python shows one.
fn shown(words: &[Word]) -> String {
    let items = words.iter().filter_map(|word| match word {
        Word::Text(text) => Some(format!("'{text}'")),
        Word::Number(text) | Word::Name(text) => Some(text.clone()),
        _ => None,
    });
    format!("({})", items.collect::<Vec<_>>().join(", "))
}

fn whole(text: &str, shown: &str) -> Result<i64, RegistryFault> {
    text.trim()
        .parse()
        .map_err(|_| RegistryFault::invalid(format!("Invalid value for numeric attribute 'version_number': {shown}")))
}

/// The operator, where such a key can be compared by it.
fn fits(key: &Key, shown: &str, operator: Result<Operator, &'static str>) -> Result<Operator, RegistryFault> {
    use Operator::{Equal, Ilike, In, Like, NotIn, Unequal};
    let fits = operator.is_ok_and(|operator| match key {
        Key::Number => !matches!(operator, Like | Ilike | In | NotIn),
        Key::Tag(_) | Key::Source => matches!(operator, Equal | Unequal | Like | Ilike),
        Key::Name | Key::RunId => matches!(operator, Equal | Unequal | Like | Ilike | In | NotIn),
    });
    match operator {
        Ok(operator) if fits => Ok(operator),
        _ => {
            let subject = match key {
                Key::Number => format!("attribute {shown}"),
                Key::Tag(_) => "tag".to_owned(),
                _ => "attribute".to_owned(),
            };
            let operator = operator.map_or_else(|other| other, Operator::as_str);
            Err(RegistryFault::invalid(format!("Invalid comparator for {subject}: {operator}")))
        }
    }
}

#[cfg(test)]
mod tests;
