//! What an evaluator is called with, by its world, and how it is read from JSON (`tidegate plugin run --input`). Owns that
//! form; each fault names its place.

use crate::fault::{Fault, Kind};
use crate::frame::{Column, Data, Frame};
use crate::world::World;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Which window of which model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Window {
    /// Its id.
    pub id: String,
    /// The model.
    pub model: String,
    /// Its version.
    pub model_version: String,
    /// Its begin, in milliseconds since 1970.
    pub start_ms: u64,
    /// Its end.
    pub end_ms: u64,
}

/// What the columns of a table are to fairness.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// The column of predictions.
    pub prediction: String,
    /// The column of scores.
    #[serde(default)]
    pub score: Option<String>,
    /// The column of labels.
    #[serde(default)]
    pub label: Option<String>,
    /// The columns whose groups are compared.
    pub protected: Vec<String>,
    /// The prediction that is the good outcome.
    pub positive: String,
    /// Smaller groups are not shown.
    #[serde(default)]
    pub min_group_size: u32,
}

/// A passage that an answer was made of.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Passage {
    /// Its id.
    pub id: String,
    /// Its text.
    pub text: String,
    /// What the retriever gave it.
    pub score: Option<f64>,
}

/// An answer that was made of passages.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sample {
    /// The call.
    pub request_id: String,
    /// What was asked.
    pub question: String,
    /// What was found.
    pub passages: Vec<Passage>,
    /// What was answered.
    pub answer: String,
    /// What should have been answered.
    pub reference: Option<String>,
    /// What should have been found.
    pub relevant_ids: Vec<String>,
}

/// What a plugin is called with.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Of drift.
    Drift {
        /// Which window.
        window: Window,
        /// What it is compared with.
        reference: Frame,
        /// What is in it.
        current: Frame,
    },
    /// Of fairness.
    Fairness {
        /// Which window.
        window: Window,
        /// What is in it.
        data: Frame,
        /// What its columns are.
        roles: Roles,
    },
    /// Of rag.
    Rag {
        /// The answers.
        samples: Vec<Sample>,
    },
    /// Of a validator.
    Validator {
        /// The schema, as JSON.
        schema: String,
        /// What is held against it.
        data: Frame,
    },
}

impl Input {
    /// Reads the input of a world.
    ///
    /// # Errors
    /// A field is missing, unknown or not what it should be.
    pub fn read(world: World, json: Value) -> Result<Self, Fault> {
        let mut fields = Fields::of(json)?;
        let input = match world {
            World::Drift => Self::Drift {
                window: fields.window()?,
                reference: fields.frame("reference")?,
                current: fields.frame("current")?,
            },
            World::Fairness => {
                Self::Fairness { window: fields.window()?, data: fields.frame("data")?, roles: fields.typed("roles")? }
            }
            World::Rag => Self::Rag { samples: fields.typed("samples")? },
            World::Validator => {
                Self::Validator { schema: fields.needed("schema")?.to_string(), data: fields.frame("data")? }
            }
            _ => return Err(wrong(format!("the world `{world}` has no windows"))),
        };
        fields.end(world)?;
        Ok(input)
    }

    /// The world whose plugins take it.
    #[must_use]
    pub const fn world(&self) -> World {
        match self {
            Self::Drift { .. } => World::Drift,
            Self::Fairness { .. } => World::Fairness,
            Self::Rag { .. } => World::Rag,
            Self::Validator { .. } => World::Validator,
        }
    }
}

fn wrong(says: impl Into<String>) -> Fault {
    Fault::new(Kind::BadInput, says)
}

/// The fields of an object, taken one by one.
struct Fields(Map<String, Value>);

impl Fields {
    fn of(json: Value) -> Result<Self, Fault> {
        match json {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(wrong("the input is no JSON object")),
        }
    }

    fn needed(&mut self, name: &str) -> Result<Value, Fault> {
        self.0.remove(name).ok_or_else(|| wrong(format!("the input has no field `{name}`")))
    }

    fn typed<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Fault> {
        serde_json::from_value(self.needed(name)?).map_err(|error| wrong(format!("`{name}`: {error}")))
    }

    fn window(&mut self) -> Result<Window, Fault> {
        if self.0.contains_key("window") { self.typed("window") } else { Ok(Window::default()) }
    }

    fn frame(&mut self, name: &str) -> Result<Frame, Fault> {
        let Value::Object(columns) = self.needed(name)? else {
            return Err(wrong(format!("`{name}` is no object of columns")));
        };
        let read = |(column, json): (String, Value)| {
            self::column(&column, json).map_err(|says| wrong(format!("`{name}.{column}` {says}")))
        };
        let columns = columns.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Frame::of(columns).map_err(|says| wrong(format!("`{name}`: {says}")))
    }

    fn end(self, world: World) -> Result<(), Fault> {
        match self.0.keys().next() {
            Some(unknown) => {
                Err(wrong(format!("the input has a field `{unknown}`, which the world `{world}` does not take")))
            }
            None => Ok(()),
        }
    }
}

/// A column: an array, whose kind is that of its values, or `{"KIND": array}`. `null` is a missing value.
fn column(name: &str, json: Value) -> Result<Column, String> {
    let (kind, values) = match json {
        Value::Array(values) => (kind_of(&values)?, values),
        Value::Object(mut fields) if fields.len() == 1 => {
            let known = ["numbers", "integers", "categories", "texts", "booleans"];
            let found = known.into_iter().find_map(|kind| Some((kind, fields.remove(kind)?)));
            match found {
                Some((kind, Value::Array(values))) => (kind, values),
                _ => return Err(format!("is no array below one of {}", known.join(", "))),
            }
        }
        _ => return Err("is neither an array nor an object of one".to_owned()),
    };
    let missing = (0u32..).zip(&values).filter(|(_, value)| value.is_null()).map(|(row, _)| row).collect();
    let data = match kind {
        "numbers" => Data::Numbers(each(&values, kind, 0.0, Value::as_f64)?),
        "integers" => Data::Integers(each(&values, kind, 0, Value::as_i64)?),
        "booleans" => Data::Booleans(each(&values, kind, false, Value::as_bool)?),
        "texts" => Data::Texts(each(&values, kind, String::new(), |value| value.as_str().map(str::to_owned))?),
        _ => categories(&each(&values, kind, "", Value::as_str)?, &values),
    };
    Ok(Column { name: name.to_owned(), data, missing })
}

fn kind_of(values: &[Value]) -> Result<&'static str, String> {
    match values.iter().find(|value| !value.is_null()) {
        Some(Value::Number(_)) | None => Ok("numbers"),
        Some(Value::String(_)) => Ok("categories"),
        Some(Value::Bool(_)) => Ok("booleans"),
        Some(_) => Err("has values that are neither numbers, texts nor booleans".to_owned()),
    }
}

fn each<'a, T: Clone>(
    values: &'a [Value],
    kind: &str,
    gap: T,
    read: impl Fn(&'a Value) -> Option<T>,
) -> Result<Vec<T>, String> {
    let one = |(row, value): (usize, &'a Value)| match value {
        Value::Null => Ok(gap.clone()),
        value => read(value).ok_or_else(|| format!("has at row {row} what is none of {kind}")),
    };
    values.iter().enumerate().map(one).collect()
}

/// Texts as codes, by levels in order of the alphabet; gaps have the code 0.
fn categories(texts: &[&str], values: &[Value]) -> Data {
    let present = texts.iter().zip(values).filter(|(_, value)| !value.is_null());
    let mut places: BTreeMap<&str, u32> = present.map(|(text, _)| (*text, 0)).collect();
    for (place, (_, code)) in (0u32..).zip(places.iter_mut()) {
        *code = place;
    }
    let codes = texts.iter().map(|text| places.get(text).copied().unwrap_or_default()).collect();
    Data::Categories { codes, levels: places.into_keys().map(str::to_owned).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_window_of_drift_has_its_columns_by_what_is_in_them() {
        let json = json!({
            "window": {"id": "w", "start_ms": 5},
            "reference": {"x": [1, null, 2.5], "c": ["b", "a", null], "t": {"texts": ["p", "q", "r"]}, "i": {"integers": [1, 2, 3]}},
            "current": {"x": []},
        });
        let Input::Drift { window, reference, current } = Input::read(World::Drift, json).unwrap() else { panic!() };
        assert_eq!((window.id.as_str(), window.start_ms, reference.rows, current.rows), ("w", 5, 3, 0));
        let x = reference.column("x").unwrap();
        assert_eq!((&x.data, x.missing.as_slice()), (&Data::Numbers(vec![1.0, 0.0, 2.5]), &[1][..]));
        let levels = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(reference.column("c").unwrap().data, Data::Categories { codes: vec![1, 0, 0], levels });
        assert_eq!(reference.column("i").unwrap().data, Data::Integers(vec![1, 2, 3]));
        assert!(matches!(reference.column("t").unwrap().data, Data::Texts(_)));
    }

    #[test]
    fn the_other_worlds_have_their_own_fields() {
        let roles = json!({"prediction": "p", "protected": ["g"], "positive": "1"});
        let fairness = Input::read(World::Fairness, json!({"data": {"p": [true], "g": ["a"]}, "roles": roles}));
        assert_eq!(fairness.unwrap().world(), World::Fairness);
        let rag = Input::read(World::Rag, json!({"samples": [{"question": "q", "passages": [{"text": "t"}]}]}));
        assert_eq!(rag.unwrap().world(), World::Rag);
        let validator = Input::read(World::Validator, json!({"schema": {"a": 1}, "data": {}}));
        assert!(matches!(validator, Ok(Input::Validator { schema, .. }) if schema == "{\"a\":1}"));
    }

    #[test]
    fn a_fault_names_its_place() {
        for (json, part) in [
            (json!([]), "no JSON object"),
            (json!({"reference": {}}), "no field `current`"),
            (json!({"reference": {}, "current": {}, "cur": 1}), "`cur`"),
            (json!({"reference": 3, "current": {}}), "`reference` is no object"),
            (json!({"reference": {"x": [1, "a"]}, "current": {}}), "`reference.x` has at row 1"),
            (json!({"reference": {"x": [[]]}, "current": {}}), "neither numbers"),
            (json!({"reference": {"x": {"floats": []}}, "current": {}}), "below one of"),
            (json!({"reference": {"x": [1], "y": []}, "current": {}}), "`y` has 0 entries"),
            (json!({"reference": {}, "current": {}, "window": {"ids": 1}}), "`window`"),
        ] {
            let fault = Input::read(World::Drift, json).unwrap_err();
            assert!(fault.kind == Kind::BadInput && fault.says.contains(part), "{part}: {}", fault.says);
        }
        assert!(Input::read(World::Router, json!({})).is_err());
    }
}
