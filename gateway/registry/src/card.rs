//! A model card: what a version is for, what it was made of and where it fails, as those who answer for it say. Owns
//! its fields and their check; how it looks as a page is `render`'s.

pub mod render;

use crate::fault::RegistryFault;
use crate::kind::short;
use serde_json::{Map, Value};

/// The longest field, in bytes.
const LONGEST: usize = 64 * 1024;
/// The most entries of a list.
const MOST: usize = 100;

/// The fields that a card must have, in the order of its page.
pub const REQUIRED: [&str; 7] =
    ["summary", "owner", "license", "intended_use", "limitations", "training_data", "evaluation"];
/// Those that it may have.
pub const OPTIONAL: [&str; 5] = ["out_of_scope", "ethics", "review_by", "pipeline_tag", "library_name"];
/// Those that are lists of texts.
pub const LISTS: [&str; 3] = ["languages", "tags", "datasets"];

/// A model card that has all that it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card(Map<String, Value>);

impl Card {
    /// Checks a JSON object; null counts as not given.
    ///
    /// # Errors
    /// Fields are missing, empty, unknown or of another form: the fault names all of them.
    pub fn read(value: &Value) -> Result<Self, RegistryFault> {
        let Value::Object(given) = value else {
            return Err(RegistryFault::invalid("the card is no JSON object"));
        };
        let mut faults = Vec::new();
        let mut card = Map::new();
        for field in REQUIRED {
            if given.get(field).and_then(Value::as_str).is_none_or(|text| text.trim().is_empty()) {
                faults.push(format!("`{field}` is missing: a text"));
            }
        }
        for (field, value) in given.iter().filter(|(_, value)| !value.is_null()) {
            if let Some(fault) = wrong(field, value) {
                // A required field that is no text was named above.
                if !REQUIRED.contains(&field.as_str()) || value.is_string() {
                    faults.push(fault);
                }
            } else {
                card.insert(field.clone(), value.clone());
            }
        }
        if faults.is_empty() {
            return Ok(Self(card));
        }
        Err(RegistryFault::invalid(format!("the card: {}", faults.join("; "))))
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Object(self.0.clone())
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
    }

    fn list(&self, field: &str) -> Vec<&str> {
        self.0
            .get(field)
            .and_then(Value::as_array)
            .map_or_else(Vec::new, |all| all.iter().filter_map(Value::as_str).collect())
    }
}

/// What is wrong with a field that was given.
fn wrong(field: &str, value: &Value) -> Option<String> {
    if LISTS.contains(&field) {
        let fits = |entry: &Value| entry.as_str().is_some_and(|text| !text.trim().is_empty() && text.len() <= 256);
        let is_list = value.as_array().is_some_and(|all| all.len() <= MOST && all.iter().all(fits));
        return (!is_list).then(|| format!("`{field}` is no list of at most {MOST} short texts"));
    }
    if !REQUIRED.contains(&field) && !OPTIONAL.contains(&field) {
        return Some(format!("there is no `{}`", short(field)));
    }
    let Some(text) = value.as_str() else { return Some(format!("`{field}` is no text")) };
    if text.len() > LONGEST {
        return Some(format!("`{field}` is longer than {LONGEST} bytes"));
    }
    if field == "review_by" && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_err() {
        return Some("`review_by` is no date such as 2027-01-31".to_owned());
    }
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn sample() -> Value {
        json!({
            "summary": "Sorts support mail.",
            "owner": "support-ml@example.org",
            "license": "apache-2.0",
            "intended_use": "Routing of mail in German and English.",
            "limitations": "Short mails are sorted by chance.",
            "training_data": "300,000 mails of 2024, without names.",
            "evaluation": "Accuracy 0.93 on 10,000 mails of 2025.",
            "languages": ["de", "en"],
            "review_by": "2027-01-31",
        })
    }

    #[test]
    fn a_card_has_all_that_it_must_have() {
        assert_eq!(Card::read(&sample()).unwrap().to_json(), sample());
        let says = Card::read(&json!({"summary": " ", "owner": 1, "who": "x", "tags": "x", "review_by": "soon"}));
        assert_eq!(
            says.unwrap_err().says,
            "the card: `summary` is missing: a text; `owner` is missing: a text; `license` is missing: a text; \
             `intended_use` is missing: a text; `limitations` is missing: a text; `training_data` is missing: a text; \
             `evaluation` is missing: a text; there is no `who`; `tags` is no list of at most 100 short texts; \
             `review_by` is no date such as 2027-01-31"
        );
    }
}
