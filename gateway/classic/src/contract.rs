//! What a model's inputs were agreed to be: names, datatypes, shapes, and rules for values, each of which may be broken by a
//! share of rows (`mostly`). Pure: owns the check and its words; where contracts are kept is the registry's.

mod columns;
mod suite;

pub use suite::{ContractFault, Suite};

use columns::{Columns, Value};
use std::fmt;
use tidegate_core::{Datatype, Tensor};

/// What was agreed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contract {
    /// The fields of a row, or the input tensors.
    pub fields: Vec<FieldContract>,
    /// Whether fields that are not agreed are refused.
    pub is_closed: bool,
}

/// What was agreed for one field.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldContract {
    /// Its name.
    pub name: String,
    /// Whether it must be there.
    pub is_required: bool,
    /// Its datatype; any where it is not agreed. What can be read as it without loss is taken.
    pub datatype: Option<Datatype>,
    /// Its shape, of a tensor that is a field by itself; `None` inside is any size.
    pub shape: Option<Vec<Option<u64>>>,
    /// Rules for its values.
    pub rules: Vec<Rule>,
}

/// A rule for values.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What is checked.
    pub check: Check,
    /// Which share of the values must fulfil it; 1 is all.
    pub mostly: f64,
}

/// What is checked of a value. But for `NotMissing`, missing values are left out.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// It is there: no NaN.
    NotMissing,
    /// It lies between these, bounds included unless strict.
    Between {
        /// The lower bound.
        min: Option<f64>,
        /// The upper bound.
        max: Option<f64>,
        /// Whether the lower bound itself is too low.
        strict_min: bool,
        /// Whether the upper bound itself is too high.
        strict_max: bool,
    },
    /// It is one of these numbers.
    OneOfNumbers(Vec<f64>),
    /// It is one of these texts.
    OneOfTexts(Vec<String>),
    /// It is a whole number, as this datatype has them.
    Whole(Datatype),
}

/// A field that breaks what was agreed.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// Which field.
    pub field: String,
    /// The first row that breaks it, from 0; none where it is no row's fault.
    pub row: Option<usize>,
    /// The kind of what was agreed, of a closed set: `required`, `closed`, `type`, `shape`, `not_missing`, `between`, `one_of`.
    pub rule: &'static str,
    /// What was agreed, and what came instead.
    pub says: String,
    /// How many values break it.
    pub broken: usize,
    /// Of how many.
    pub of: usize,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "field `{}`", self.field)?;
        if let Some(row) = self.row {
            write!(f, ", row {row}")?;
        }
        write!(f, ": {}", self.says)?;
        if self.broken > 1 {
            write!(f, " ({} of {} values)", self.broken, self.of)?;
        }
        Ok(())
    }
}

impl Contract {
    /// What of a call breaks it; nothing where it is kept. `features` are the names of a row's values, where the call's
    /// tensor is of whole rows. Where datatypes are guesses (`is_loose`) a whole number may have come as a fraction.
    #[must_use]
    pub fn check(&self, inputs: &[Tensor], features: &[String], is_loose: bool) -> Vec<Violation> {
        let columns = Columns::of(inputs, features);
        let mut found: Vec<Violation> = self.fields.iter().flat_map(|field| field.check(&columns, is_loose)).collect();
        if self.is_closed {
            let unknown = columns.names().filter(|name| !self.fields.iter().any(|field| field.name == *name));
            found.extend(unknown.map(|name| whole(name, "closed", "is not agreed: leave it out".to_owned())));
        }
        found
    }
}

impl FieldContract {
    /// A field that must be there, without rules yet.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), is_required: true, datatype: None, shape: None, rules: Vec::new() }
    }

    fn check(&self, columns: &Columns<'_>, is_loose: bool) -> Vec<Violation> {
        let Some(column) = columns.column(&self.name) else {
            return if self.is_required {
                vec![whole(&self.name, "required", "is missing".to_owned())]
            } else {
                Vec::new()
            };
        };
        let given = column.datatype();
        let mut found = Vec::new();
        if let Some(wanted) = self.datatype.filter(|wanted| !is_read_as(given, *wanted)) {
            // A tensor of whole rows has one datatype for all its columns: what counts is whether the values are whole.
            let is_by_value = (is_loose || column.is_within_rows()) && given.is_float() && wanted.is_integer();
            if !is_by_value {
                return vec![whole(&self.name, "type", format!("is of {given}, but {wanted} is agreed"))];
            }
            found.extend(Rule::each(Check::Whole(wanted)).check(&self.name, column.values()));
        }
        if let (Some(wanted), Some(given)) = (&self.shape, column.shape()) {
            let fits = wanted.len() == given.len()
                && wanted.iter().zip(given).all(|(wanted, given)| wanted.is_none_or(|wanted| wanted == *given));
            if !fits {
                let wanted: Vec<String> =
                    wanted.iter().map(|size| size.map_or("-1".to_owned(), |size| size.to_string())).collect();
                let wanted = wanted.join(", ");
                return vec![whole(&self.name, "shape", format!("has the shape {given:?}, but [{wanted}] is agreed"))];
            }
        }
        found.extend(self.rules.iter().filter_map(|rule| rule.check(&self.name, column.values())));
        found
    }
}

impl Rule {
    /// A rule that each value must fulfil.
    #[must_use]
    pub fn each(check: Check) -> Self {
        Self { check, mostly: 1.0 }
    }

    fn check<'a>(&self, field: &str, values: impl Iterator<Item = Value<'a>>) -> Option<Violation> {
        let (mut of, mut broken, mut first) = (0_usize, 0_usize, None);
        for (row, value) in values.enumerate() {
            if value.is_missing() && self.check != Check::NotMissing {
                continue;
            }
            of += 1;
            if !self.check.holds(&value) {
                broken += 1;
                first.get_or_insert((row, value));
            }
        }
        let (row, value) = first?;
        let kept = (of - broken) as f64 / of as f64;
        if kept >= self.mostly {
            return None;
        }
        let share = if self.mostly < 1.0 {
            format!(" for at least {} % of values", self.mostly * 100.0)
        } else {
            String::new()
        };
        Some(Violation {
            field: field.to_owned(),
            row: Some(row),
            rule: self.check.name(),
            says: format!("{value} {}{share}", self.check.broken()),
            broken,
            of,
        })
    }
}

impl Check {
    fn holds(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::NotMissing, value) => !value.is_missing(),
            (Self::Between { min, max, strict_min, strict_max }, Value::Number(x)) => {
                let above = min.is_none_or(|min| if *strict_min { *x > min } else { *x >= min });
                let below = max.is_none_or(|max| if *strict_max { *x < max } else { *x <= max });
                above && below
            }
            (Self::OneOfNumbers(set), Value::Number(x)) => set.contains(x),
            (Self::Whole(_), Value::Number(x)) => x.fract() == 0.0,
            (Self::OneOfTexts(set), Value::Text(text)) => set.iter().any(|one| one.as_bytes() == *text),
            // A text is in no range and no number is a text.
            _ => false,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::NotMissing => "not_missing",
            Self::Between { .. } => "between",
            Self::OneOfNumbers(_) | Self::OneOfTexts(_) => "one_of",
            Self::Whole(_) => "type",
        }
    }

    /// What a value is not that breaks it.
    fn broken(&self) -> String {
        match self {
            Self::NotMissing => "is missing".to_owned(),
            Self::Between { min, max, strict_min, strict_max } => match (min, max) {
                (Some(min), Some(max)) if !strict_min && !strict_max => format!("is not between {min} and {max}"),
                (min, max) => {
                    let low = min.map(|min| format!("{} {min}", if *strict_min { "above" } else { "at least" }));
                    let high = max.map(|max| format!("{} {max}", if *strict_max { "below" } else { "at most" }));
                    let bounds: Vec<String> = low.into_iter().chain(high).collect();
                    format!("is not {}", bounds.join(" and "))
                }
            },
            Self::Whole(datatype) => format!("is no whole number, but {datatype} is agreed"),
            Self::OneOfNumbers(set) => format!("is none of {}", listed(set.iter().map(f64::to_string))),
            Self::OneOfTexts(set) => format!("is none of {}", listed(set.iter().map(|text| format!("`{text}`")))),
        }
    }
}

/// Whether a datatype may come where another is agreed: numbers that lose nothing, and floats for floats.
fn is_read_as(given: Datatype, wanted: Datatype) -> bool {
    given == wanted
        || (given.is_float() && wanted.is_float())
        || (given.is_integer() && (wanted.is_integer() || wanted.is_float()))
        || (given == Datatype::Bool && wanted.width().is_some())
}

fn listed(all: impl Iterator<Item = String>) -> String {
    const MOST: usize = 8;
    let all: Vec<String> = all.collect();
    let more = if all.len() > MOST { ", …" } else { "" };
    all.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ") + more
}

fn whole(field: &str, rule: &'static str, says: String) -> Violation {
    Violation { field: field.to_owned(), row: None, rule, says, broken: 1, of: 1 }
}

#[cfg(test)]
mod tests;
