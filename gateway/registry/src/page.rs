//! A page of a listing: its order, and the token that leads to the next one. Owns both texts.

use crate::fault::RegistryFault;
use crate::filter::Target;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// By what a listing is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The model's name.
    Name,
    /// The version's number.
    Number,
    /// When it was made.
    Created,
    /// When it changed.
    Updated,
}

/// One part of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub by: By,
    /// From the last to the first.
    pub descending: bool,
}

impl Order {
    /// Reads `key`, `key ASC` or `key DESC`.
    ///
    /// # Errors
    /// There is no such key or direction.
    pub fn parse(text: &str, target: Target) -> Result<Self, RegistryFault> {
        let unparsed = || RegistryFault::invalid(format!("Invalid order_by clause '{text}'. Could not be parsed."));
        if text.contains([',', ';']) || text.trim_start().starts_with(|c: char| c.is_ascii_digit()) {
            return Err(unparsed());
        }
        let mut words = text.split_whitespace();
        let key = words.next().ok_or_else(unparsed)?;
        let descending = match words.next() {
            None => false,
            Some(word) if word.eq_ignore_ascii_case("asc") => false,
            Some(word) if word.eq_ignore_ascii_case("desc") => true,
            Some(_) if words.next().is_some() => return Err(unparsed()),
            Some(_) => {
                return Err(RegistryFault::invalid(format!("Invalid ordering key in order_by clause '{text}'.")));
            }
        };
        if words.next().is_some() {
            return Err(unparsed());
        }
        // Of models, MLflow knows no prefix here.
        let (kind, key) = key.split_once('.').filter(|_| target == Target::Versions).unwrap_or(("attribute", key));
        let key = key.trim_matches(['`', '"']);
        if !matches!(kind, "attribute" | "tag" | "tags") {
            return Err(RegistryFault::invalid(format!(
                "Invalid entity type '{kind}'. Valid entity types are ('attribute', 'tag', 'tags')"
            )));
        }
        let by = match (key, target) {
            ("name", _) => By::Name,
            ("timestamp" | "last_updated_timestamp", Target::Models) | ("last_updated_timestamp", Target::Versions) => {
                By::Updated
            }
            ("creation_timestamp", Target::Versions) => By::Created,
            ("version_number", Target::Versions) => By::Number,
            (key, Target::Models) => {
                return Err(RegistryFault::invalid(format!(
                    "Invalid order by key '{key}' specified. Valid keys are '{{'name', 'timestamp'}}'"
                )));
            }
            (key, Target::Versions) => {
                return Err(RegistryFault::invalid(format!(
                    "Invalid attribute key '{key}' specified. Valid keys are '{{'name', 'version_number', \
                     'creation_timestamp', 'last_updated_timestamp'}}'"
                )));
            }
        };
        Ok(Self { by, descending })
    }

    /// Reads a list of them.
    ///
    /// # Errors
    /// One is wrong, or two are by the same key.
    pub fn parse_all(texts: &[String], target: Target) -> Result<Vec<Self>, RegistryFault> {
        let mut orders: Vec<Self> = Vec::new();
        for text in texts {
            let order = Self::parse(text, target)?;
            if orders.iter().any(|known| known.by == order.by) {
                let all: Vec<_> = texts.iter().map(|text| format!("'{text}'")).collect();
                return Err(RegistryFault::invalid(format!(
                    "`order_by` contains duplicate fields: [{}]",
                    all.join(", ")
                )));
            }
            orders.push(order);
        }
        Ok(orders)
    }
}

/// The token of the page that begins at `offset`.
#[must_use]
pub fn token(offset: u64) -> String {
    STANDARD.encode(format!("{{\"offset\": {offset}}}"))
}

/// Where a token's page begins.
///
/// # Errors
/// It is none of ours.
pub fn offset(token: &str) -> Result<u64, RegistryFault> {
    let bytes = STANDARD
        .decode(token.trim())
        .map_err(|_| RegistryFault::invalid("Invalid page token, could not base64-decode"))?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|_| {
        RegistryFault::invalid(format!("Invalid page token, decoded value={:?}", String::from_utf8_lossy(&bytes)))
    })?;
    value
        .get("offset")
        .and_then(serde_json::Value::as_u64)
        .filter(|offset| (1..=i64::MAX as u64).contains(offset))
        .ok_or_else(|| RegistryFault::invalid(format!("Invalid page token, parsed value={value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_and_wrong_ones_named() {
        assert_eq!(Order::parse("name", Target::Models).unwrap(), Order { by: By::Name, descending: false });
        assert_eq!(
            Order::parse("`version_number` desc", Target::Versions).unwrap(),
            Order { by: By::Number, descending: true }
        );
        for (text, says) in [
            ("", "Could not be parsed"),
            ("name, x", "Could not be parsed"),
            ("name ASC DESC", "Could not be parsed"),
            ("name up", "Invalid ordering key"),
            ("version_number", "Invalid order by key 'version_number'"),
            ("attribute.name", "Invalid order by key 'attribute.name'"),
            ("1", "Could not be parsed"),
            ("name asc;x", "Could not be parsed"),
        ] {
            assert!(Order::parse(text, Target::Models).unwrap_err().says.contains(says), "{text}");
        }
        assert!(
            Order::parse("metrics.name", Target::Versions).unwrap_err().says.contains("Invalid entity type 'metrics'")
        );
        assert!(Order::parse("attribute.name", Target::Versions).is_ok());
        let twice = Order::parse_all(&["name ASC".into(), "name DESC".into()], Target::Models).unwrap_err();
        assert_eq!(twice.says, "`order_by` contains duplicate fields: ['name ASC', 'name DESC']");
    }

    #[test]
    fn a_token_leads_back_and_no_other_text_does() {
        assert_eq!(offset(&token(29)).unwrap(), 29);
        for bad in
            ["zzz", "", &STANDARD.encode("{}"), &STANDARD.encode("x"), &token(0), &STANDARD.encode("{\"offset\": -1}")]
        {
            assert!(offset(bad).unwrap_err().says.starts_with("Invalid page token"), "{bad}");
        }
    }
}
