//! Contracts as others write them: MLflow's signature of inputs, and suites of Great Expectations. Owns what their words
//! mean here, and says which it does not check.

use super::{Check, Contract, FieldContract, Rule};
use serde_json::{Map, Value};
use tidegate_core::Datatype;

/// A contract that was read, and what of it is checked elsewhere or not at all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Suite {
    /// What is checked.
    pub contract: Contract,
    /// The names of expectations that are not, each once.
    pub unchecked: Vec<String>,
}

/// What is no contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ContractFault(String);

impl Contract {
    /// The contract of an MLflow signature's inputs: a list of columns (`{"name", "type", "required"}`) or of tensors
    /// (`{"type": "tensor", "tensor-spec": {"dtype", "shape"}}`).
    ///
    /// # Errors
    /// When it is neither.
    pub fn of_signature(inputs: &Value) -> Result<Self, ContractFault> {
        let list = inputs.as_array().ok_or_else(|| fault("a signature's inputs are a list"))?;
        let fields = list.iter().enumerate().map(|(place, entry)| field(place, entry));
        Ok(Self { fields: fields.collect::<Result<_, _>>()?, is_closed: false })
    }
}

fn field(place: usize, entry: &Value) -> Result<FieldContract, ContractFault> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let name = text("name").map_or_else(|| format!("input-{place}"), str::to_owned);
    let kind = text("type").ok_or_else(|| fault(format!("input {place} has no `type`")))?;
    let mut field = FieldContract::named(&name);
    field.is_required = entry.get("required").and_then(Value::as_bool).unwrap_or(true);
    if kind == "tensor" {
        let spec = entry.get("tensor-spec").ok_or_else(|| fault(format!("`{name}` has no `tensor-spec`")))?;
        let dtype = spec.get("dtype").and_then(Value::as_str).unwrap_or_default();
        field.datatype = Some(datatype(dtype).ok_or_else(|| fault(format!("`{name}` has the dtype `{dtype}`")))?);
        let shape = spec.get("shape").and_then(Value::as_array);
        let shape = shape.ok_or_else(|| fault(format!("`{name}` has no `shape`")))?;
        field.shape = Some(shape.iter().map(Value::as_u64).collect());
    } else {
        field.datatype = Some(datatype(kind).ok_or_else(|| fault(format!("`{name}` has the type `{kind}`")))?);
    }
    Ok(field)
}

/// MLflow's types of columns and numpy's of tensors.
fn datatype(name: &str) -> Option<Datatype> {
    Some(match name {
        "boolean" | "bool" => Datatype::Bool,
        "int8" => Datatype::Int8,
        "int16" => Datatype::Int16,
        "integer" | "int32" => Datatype::Int32,
        "long" | "int64" => Datatype::Int64,
        "uint8" => Datatype::Uint8,
        "uint16" => Datatype::Uint16,
        "uint32" => Datatype::Uint32,
        "uint64" => Datatype::Uint64,
        "float16" => Datatype::Fp16,
        "float" | "float32" => Datatype::Fp32,
        "double" | "float64" => Datatype::Fp64,
        "string" | "str" | "object" | "binary" => Datatype::Bytes,
        _ => return None,
    })
}

impl Suite {
    /// A suite of Great Expectations, `{"expectations": [{"type" or "expectation_type", "kwargs"}]}`. Expectations of each
    /// value are checked; those of whole tables and statistics belong to monitors, and are told in `unchecked`.
    ///
    /// # Errors
    /// When it is no suite, or an expectation's arguments are not what they should be; in words that name it.
    pub fn read(suite: &Value) -> Result<Self, ContractFault> {
        let list = suite.get("expectations").and_then(Value::as_array);
        let list = list.ok_or_else(|| fault("a suite has the list `expectations`"))?;
        let mut read = Self::default();
        for entry in list {
            let name = entry.get("type").or_else(|| entry.get("expectation_type")).and_then(Value::as_str);
            let name = name.ok_or_else(|| fault("an expectation has no `type`"))?;
            let none = Map::new();
            let kwargs = entry.get("kwargs").and_then(Value::as_object).unwrap_or(&none);
            read.take(name, kwargs).map_err(|ContractFault(says)| fault(format!("`{name}`: {says}")))?;
        }
        Ok(read)
    }

    fn take(&mut self, name: &str, kwargs: &Map<String, Value>) -> Result<(), ContractFault> {
        let check = match name {
            "expect_column_to_exist" => {
                self.field(kwargs)?.is_required = true;
                return Ok(());
            }
            "expect_column_values_to_be_of_type" => {
                let kind = kwargs.get("type_").and_then(Value::as_str).unwrap_or_default();
                let wanted = datatype(kind).ok_or_else(|| fault(format!("the type `{kind}` is not known")))?;
                self.field(kwargs)?.datatype = Some(wanted);
                return Ok(());
            }
            "expect_column_values_to_not_be_null" => Check::NotMissing,
            "expect_column_values_to_be_between" => between(kwargs)?,
            "expect_column_values_to_be_in_set" => one_of(kwargs)?,
            other => {
                if !self.unchecked.iter().any(|name| name == other) {
                    self.unchecked.push(other.to_owned());
                }
                return Ok(());
            }
        };
        let mostly = match kwargs.get("mostly") {
            None | Some(Value::Null) => 1.0,
            Some(mostly) => mostly
                .as_f64()
                .filter(|mostly| (0.0..=1.0).contains(mostly))
                .ok_or_else(|| fault(format!("`mostly` is {mostly}, and must lie between 0 and 1")))?,
        };
        self.field(kwargs)?.rules.push(Rule { check, mostly });
        Ok(())
    }

    /// The field of an expectation. As in Great Expectations, a column that is not there
    /// breaks its rules, so it must be there.
    fn field(&mut self, kwargs: &Map<String, Value>) -> Result<&mut FieldContract, ContractFault> {
        let name = kwargs.get("column").and_then(Value::as_str).ok_or_else(|| fault("`column` is missing"))?;
        let fields = &mut self.contract.fields;
        let place = fields.iter().position(|field| field.name == name).unwrap_or_else(|| {
            fields.push(FieldContract::named(name));
            fields.len() - 1
        });
        Ok(&mut fields[place])
    }
}

fn between(kwargs: &Map<String, Value>) -> Result<Check, ContractFault> {
    let bound = |key: &str| match kwargs.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or_else(|| fault(format!("`{key}` is {value}, no number"))),
    };
    let strict = |key: &str| kwargs.get(key).and_then(Value::as_bool).unwrap_or(false);
    let (min, max) = (bound("min_value")?, bound("max_value")?);
    if min.is_none() && max.is_none() {
        return Err(fault("neither `min_value` nor `max_value` is given"));
    }
    Ok(Check::Between { min, max, strict_min: strict("strict_min"), strict_max: strict("strict_max") })
}

fn one_of(kwargs: &Map<String, Value>) -> Result<Check, ContractFault> {
    let set = kwargs.get("value_set").and_then(Value::as_array).ok_or_else(|| fault("`value_set` is no list"))?;
    let numbers: Option<Vec<f64>> = set.iter().map(Value::as_f64).collect();
    let texts = || set.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
    match (numbers, texts()) {
        (Some(numbers), _) => Ok(Check::OneOfNumbers(numbers)),
        (None, Some(texts)) => Ok(Check::OneOfTexts(texts)),
        (None, None) => Err(fault("`value_set` is neither of numbers nor of texts alone")),
    }
}

fn fault(says: impl Into<String>) -> ContractFault {
    ContractFault(says.into())
}
