//! What may be expected of a table, by Great Expectations' names. Owns their arguments: what is not one of a type's is refused,
//! since an expectation that is half understood is none.

use regex_lite::Regex;
use serde_json::{Map, Value};

/// The least and the most that something may be.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Range {
    /// The least, a number or a text.
    pub min: Option<Value>,
    /// The most.
    pub max: Option<Value>,
    /// Whether the least itself is too little.
    pub strict_min: bool,
    /// Whether the most itself is too much.
    pub strict_max: bool,
}

/// What each value of a column has to be.
#[derive(Debug, Clone)]
pub enum EachValue {
    /// There.
    NotNull,
    /// Not there.
    Null,
    /// Within a range.
    Between(Range),
    /// One of these, or none of them.
    InSet(Vec<Value>, bool),
    /// With the pattern somewhere in it, or not.
    Matches(Regex, bool),
    /// So long, in letters.
    Length(Range),
    /// No other row's.
    Unique,
}

/// A number of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// The mean.
    Mean,
    /// The median.
    Median,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The sum.
    Sum,
    /// The standard deviation of a sample.
    Stdev,
    /// How many different values there are.
    UniqueCount,
    /// The share of different values.
    UniqueShare,
}

/// What is expected.
#[derive(Debug, Clone)]
pub enum Expectation {
    /// So many rows.
    RowCount(Range),
    /// So many columns.
    ColumnCount(Range),
    /// These columns; no others, where that is asked.
    ColumnSet(Vec<String>, bool),
    /// These columns in this order.
    ColumnList(Vec<String>),
    /// A column.
    Exists(String),
    /// Values of a column, mostly.
    Values {
        /// The column.
        column: String,
        /// What each is.
        each: EachValue,
        /// Which share of them at least.
        mostly: f64,
    },
    /// The type of a column, one of these.
    Type(String, Vec<Kind>),
    /// A number of a column.
    Aggregate(String, Aggregate, Range),
    /// All different values of a column are among these.
    DistinctInSet(String, Vec<Value>),
    /// Values of two columns in each row, mostly.
    Pair {
        /// The one.
        one: String,
        /// The other.
        two: String,
        /// Whether the one is greater; else they are equal.
        is_greater: bool,
        /// Whether equal ones will do as well.
        or_equal: bool,
        /// Which share of them at least.
        mostly: f64,
    },
}

/// What is in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers.
    Integers,
    /// Numbers.
    Numbers,
    /// Texts, categories among them.
    Texts,
    /// Yes or no.
    Booleans,
}

/// The names that are known, for those who write another.
const KNOWN: &str = "expect_table_row_count_to_be_between, …_to_equal, expect_table_column_count_to_be_between, …_to_equal, \
     expect_table_columns_to_match_set, …_to_match_ordered_list, expect_column_to_exist, expect_column_values_to_be_between, \
     …_to_be_in_set, …_to_not_be_in_set, …_to_be_null, …_to_not_be_null, …_to_match_regex, …_to_not_match_regex, …_to_be_of_type, \
     …_to_be_in_type_list, …_to_be_unique, expect_column_value_lengths_to_be_between, …_to_equal, \
     expect_column_{mean,median,min,max,sum,stdev,unique_value_count,proportion_of_unique_values}_to_be_between, \
     expect_column_distinct_values_to_be_in_set, expect_column_pair_values_a_to_be_greater_than_b, …_to_be_equal";

impl Expectation {
    /// By its type and its arguments.
    ///
    /// # Errors
    /// The type is not known, or an argument is not there or is odd; said in words.
    pub fn read(rule: &str, kwargs: &mut Kwargs<'_>) -> Result<Self, String> {
        if let Some(aggregate) = aggregate(rule) {
            return Ok(Self::Aggregate(kwargs.text("column")?, aggregate, kwargs.range()?));
        }
        Ok(match rule {
            "expect_table_row_count_to_be_between" => Self::RowCount(kwargs.range()?),
            "expect_table_row_count_to_equal" => Self::RowCount(kwargs.exactly()?),
            "expect_table_column_count_to_be_between" => Self::ColumnCount(kwargs.range()?),
            "expect_table_column_count_to_equal" => Self::ColumnCount(kwargs.exactly()?),
            "expect_table_columns_to_match_set" => {
                Self::ColumnSet(kwargs.texts("column_set")?, kwargs.is("exact_match", true)?)
            }
            "expect_table_columns_to_match_ordered_list" => Self::ColumnList(kwargs.texts("column_list")?),
            "expect_column_to_exist" => Self::Exists(kwargs.text("column")?),
            "expect_column_values_to_be_of_type" => {
                let column = kwargs.text("column")?;
                Self::Type(column, vec![kind(&kwargs.text("type_")?)?])
            }
            "expect_column_values_to_be_in_type_list" => {
                let column = kwargs.text("column")?;
                let kinds = kwargs.texts("type_list")?.iter().map(|name| kind(name)).collect::<Result<_, _>>()?;
                Self::Type(column, kinds)
            }
            "expect_column_distinct_values_to_be_in_set" => {
                Self::DistinctInSet(kwargs.text("column")?, kwargs.list("value_set")?)
            }
            "expect_column_pair_values_a_to_be_greater_than_b" | "expect_column_pair_values_to_be_equal" => {
                let is_greater = rule.ends_with("greater_than_b");
                let (one, two) = (kwargs.text("column_A")?, kwargs.text("column_B")?);
                let or_equal = is_greater && kwargs.is("or_equal", false)?;
                Self::Pair { one, two, is_greater, or_equal, mostly: kwargs.mostly()? }
            }
            _ => {
                let each = each(rule, kwargs)?;
                Self::Values { column: kwargs.text("column")?, each, mostly: kwargs.mostly()? }
            }
        })
    }
}

fn each(rule: &str, kwargs: &mut Kwargs<'_>) -> Result<EachValue, String> {
    Ok(match rule {
        "expect_column_values_to_not_be_null" => EachValue::NotNull,
        "expect_column_values_to_be_null" => EachValue::Null,
        "expect_column_values_to_be_between" => EachValue::Between(kwargs.range()?),
        "expect_column_values_to_be_in_set" => EachValue::InSet(kwargs.list("value_set")?, true),
        "expect_column_values_to_not_be_in_set" => EachValue::InSet(kwargs.list("value_set")?, false),
        "expect_column_values_to_match_regex" => EachValue::Matches(kwargs.pattern()?, true),
        "expect_column_values_to_not_match_regex" => EachValue::Matches(kwargs.pattern()?, false),
        "expect_column_values_to_be_unique" => EachValue::Unique,
        "expect_column_value_lengths_to_be_between" => EachValue::Length(kwargs.range()?),
        "expect_column_value_lengths_to_equal" => EachValue::Length(kwargs.exactly()?),
        _ => return Err(format!("{rule} is not known; these are: {KNOWN}")),
    })
}

fn aggregate(rule: &str) -> Option<Aggregate> {
    let of = rule.strip_prefix("expect_column_")?.strip_suffix("_to_be_between")?;
    Some(match of {
        "mean" => Aggregate::Mean,
        "median" => Aggregate::Median,
        "min" => Aggregate::Min,
        "max" => Aggregate::Max,
        "sum" => Aggregate::Sum,
        "stdev" => Aggregate::Stdev,
        "unique_value_count" => Aggregate::UniqueCount,
        "proportion_of_unique_values" => Aggregate::UniqueShare,
        _ => return None,
    })
}

/// A type by the names of Python, pandas, SQL and Spark.
fn kind(name: &str) -> Result<Kind, String> {
    let plain = name.to_ascii_lowercase();
    Ok(match plain.trim_end_matches("type") {
        "int" | "int8" | "int16" | "int32" | "int64" | "uint8" | "uint16" | "uint32" | "uint64" | "integer"
        | "bigint" | "smallint" | "long" | "short" => Kind::Integers,
        "float" | "float32" | "float64" | "double" | "number" | "numeric" | "decimal" | "real" | "double_precision" => {
            Kind::Numbers
        }
        "str" | "string" | "object" | "varchar" | "text" | "char" | "category" => Kind::Texts,
        "bool" | "boolean" | "bool_" => Kind::Booleans,
        _ => return Err(format!("the type {name} is not known: there are int, float, str and bool, by many names")),
    })
}

/// The arguments of an expectation, taken one by one.
#[derive(Debug)]
pub struct Kwargs<'a> {
    rule: &'a str,
    left: Map<String, Value>,
}

/// Arguments that say how a result is told, which is ours to say.
const OF_RESULTS: [&str; 5] = ["result_format", "include_config", "catch_exceptions", "batch_id", "meta"];

impl<'a> Kwargs<'a> {
    /// Of an expectation of this type. What is null is not said.
    #[must_use]
    pub fn of(rule: &'a str, kwargs: &Map<String, Value>) -> Self {
        let said = kwargs.iter().filter(|(name, value)| !value.is_null() && !OF_RESULTS.contains(&name.as_str()));
        Self { rule, left: said.map(|(name, value)| (name.clone(), value.clone())).collect() }
    }

    /// That nothing is left.
    ///
    /// # Errors
    /// What is.
    pub fn end(self) -> Result<(), String> {
        match self.left.keys().next() {
            Some(name) => Err(format!("{} takes no argument `{name}`, or it is not understood here", self.rule)),
            None => Ok(()),
        }
    }

    fn odd(&self, name: &str, wanted: &str) -> String {
        format!("{} wants {wanted} as `{name}`", self.rule)
    }

    fn text(&mut self, name: &str) -> Result<String, String> {
        match self.left.remove(name) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(self.odd(name, "a text")),
        }
    }

    fn list(&mut self, name: &str) -> Result<Vec<Value>, String> {
        match self.left.remove(name) {
            Some(Value::Array(values)) => Ok(values),
            _ => Err(self.odd(name, "a list")),
        }
    }

    fn texts(&mut self, name: &str) -> Result<Vec<String>, String> {
        let values = self.list(name)?;
        let texts: Option<Vec<String>> = values.iter().map(|value| value.as_str().map(str::to_owned)).collect();
        texts.ok_or_else(|| self.odd(name, "a list of texts"))
    }

    fn is(&mut self, name: &str, otherwise: bool) -> Result<bool, String> {
        match self.left.remove(name) {
            None => Ok(otherwise),
            Some(Value::Bool(is)) => Ok(is),
            Some(_) => Err(self.odd(name, "true or false")),
        }
    }

    fn mostly(&mut self) -> Result<f64, String> {
        match self.left.remove("mostly") {
            None => Ok(1.0),
            Some(value) => {
                let share = value.as_f64().filter(|share| (0.0..=1.0).contains(share));
                share.ok_or_else(|| self.odd("mostly", "a number from 0 to 1"))
            }
        }
    }

    fn pattern(&mut self) -> Result<Regex, String> {
        let pattern = self.text("regex")?;
        Regex::new(&pattern)
            .map_err(|fault| format!("the `regex` {pattern} of {} is not understood: {fault}", self.rule))
    }

    fn bound(&mut self, name: &str) -> Result<Option<Value>, String> {
        match self.left.remove(name) {
            Some(value) if value.is_number() || value.is_string() => Ok(Some(value)),
            None => Ok(None),
            Some(_) => Err(self.odd(name, "a number or a text")),
        }
    }

    fn range(&mut self) -> Result<Range, String> {
        let (min, max) = (self.bound("min_value")?, self.bound("max_value")?);
        if min.is_none() && max.is_none() {
            return Err(format!("{} says neither `min_value` nor `max_value`", self.rule));
        }
        let (strict_min, strict_max) = (self.is("strict_min", false)?, self.is("strict_max", false)?);
        Ok(Range { min, max, strict_min, strict_max })
    }

    fn exactly(&mut self) -> Result<Range, String> {
        let value = self.bound("value")?.filter(Value::is_number);
        let value = value.ok_or_else(|| self.odd("value", "a number"))?;
        Ok(Range { min: Some(value.clone()), max: Some(value), ..Range::default() })
    }
}
