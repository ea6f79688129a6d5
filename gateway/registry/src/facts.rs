//! What is known of a version's file and of where it came from, fixed when the version is made: format, digest,
//! signature and lineage. Owns their check and their JSON.

use crate::fault::RegistryFault;
use crate::kind::{Format, short};
use crate::model::RegisteredName;
use serde_json::{Map, Value, json};
use std::fmt;
use tidegate_core::digest::Digest;

/// What is fixed of a version beside its source; all of it may be unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionFacts {
    /// The form of its file.
    pub format: Option<Format>,
    /// The SHA-256 of its file.
    pub sha256: Option<Digest>,
    /// What it takes and gives.
    pub signature: Option<Signature>,
    /// Where it came from.
    pub lineage: Lineage,
}

/// What a model takes and gives: MLflow's form, `{"inputs": […], "outputs": […]}`, each entry an object with a `type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(Value);

impl Signature {
    /// Checks a JSON value.
    ///
    /// # Errors
    /// It has another form.
    pub fn read(value: &Value) -> Result<Self, RegistryFault> {
        let wrong = |why: &str| {
            RegistryFault::invalid(format!(
                "signature: {why}; write {{\"inputs\": [{{\"name\": …, \"type\": …}}], \"outputs\": […]}}"
            ))
        };
        let Value::Object(parts) = value else { return Err(wrong("it is no object")) };
        if !parts.contains_key("inputs") {
            return Err(wrong("`inputs` is missing"));
        }
        for (key, part) in parts {
            if !matches!(key.as_str(), "inputs" | "outputs" | "params") {
                return Err(wrong(&format!("there is no `{}`", short(key))));
            }
            let fits = |entry: &Value| entry.get("type").is_some_and(Value::is_string);
            if !part.is_null() && !part.as_array().is_some_and(|entries| entries.iter().all(fits)) {
                return Err(wrong(&format!("`{key}` is no list of objects that have a `type`")));
            }
        }
        Ok(Self(value.clone()))
    }

    /// As JSON.
    #[must_use]
    pub const fn as_json(&self) -> &Value {
        &self.0
    }
}

/// A version of a model, as `name/version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionId {
    /// The model.
    pub name: RegisteredName,
    /// Its version.
    pub version: i64,
}

impl VersionId {
    /// Reads `name/version`.
    ///
    /// # Errors
    /// It has another form.
    pub fn read(text: &str) -> Result<Self, RegistryFault> {
        let parts = text.rsplit_once('/').and_then(|(name, number)| {
            let is_number = number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0');
            Some((name, number.parse::<i64>().ok().filter(|_| is_number)?))
        });
        let (name, version) =
            parts.ok_or_else(|| RegistryFault::invalid(format!("'{}' is no version: write `name/3`", short(text))))?;
        Ok(Self { name: RegisteredName::new(name)?, version })
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.version)
    }
}

/// Where a version came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    /// What it was made of: the base model of an adapter, the teacher of a distilled one.
    pub parent: Option<VersionId>,
    /// The SHA-256 of its training data.
    pub training_data: Option<Digest>,
    /// The data's pin in DVC: the `md5` of its `.dvc` file.
    pub dvc: Option<String>,
    /// The commit of the code that made it.
    pub git_commit: Option<String>,
}

impl Lineage {
    /// Reads the fields of a JSON object; null counts as not given.
    ///
    /// # Errors
    /// A field is unknown or has another form.
    pub fn read(value: &Value) -> Result<Self, RegistryFault> {
        let Value::Object(parts) = value else {
            return Err(RegistryFault::invalid("lineage: it is no object"));
        };
        let mut lineage = Self::default();
        for (key, value) in parts.iter().filter(|(_, value)| !value.is_null()) {
            let text = value
                .as_str()
                .ok_or_else(|| RegistryFault::invalid(format!("lineage.{}: it is no text", short(key))))?;
            let at = |fault: RegistryFault| RegistryFault::invalid(format!("lineage.{key}: {}", fault.says));
            match key.as_str() {
                "parent" => lineage.parent = Some(VersionId::read(text).map_err(at)?),
                "training_data" => lineage.training_data = Some(digest("lineage.training_data", text)?),
                "dvc" => lineage.dvc = Some(hex("lineage.dvc", text, 32..=36)?),
                "git_commit" => lineage.git_commit = Some(hex("lineage.git_commit", text, 40..=64)?),
                _ => {
                    return Err(RegistryFault::invalid(format!(
                        "lineage: there is no `{}`; it has parent, training_data, dvc, git_commit",
                        short(key)
                    )));
                }
            }
        }
        Ok(lineage)
    }

    /// As JSON: what is known alone.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut parts = Map::new();
        let mut put = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                parts.insert(key.to_owned(), json!(value));
            }
        };
        put("parent", self.parent.as_ref().map(VersionId::to_string));
        put("training_data", self.training_data.map(|digest| digest.to_string()));
        put("dvc", self.dvc.clone());
        put("git_commit", self.git_commit.clone());
        Value::Object(parts)
    }
}

/// A SHA-256 in hexadecimal, with or without `sha256:` before it.
///
/// # Errors
/// It is none.
pub(crate) fn digest(field: &str, text: &str) -> Result<Digest, RegistryFault> {
    let bare = text.strip_prefix("sha256:").unwrap_or(text);
    bare.parse().map_err(|_| {
        RegistryFault::invalid(format!("{field}: '{}' is no SHA-256: write its 64 hexadecimal digits", short(text)))
    })
}

fn hex(field: &str, text: &str, length: std::ops::RangeInclusive<usize>) -> Result<String, RegistryFault> {
    // DVC's pin of a folder ends in `.dir`.
    let digits = text.strip_suffix(".dir").unwrap_or(text);
    if length.contains(&text.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(RegistryFault::invalid(format!(
        "{field}: '{}' is no hash of {} hexadecimal digits",
        short(text),
        length.start()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lineage_is_read_back_and_faults_name_the_field() {
        let whole = json!({
            "parent": "base/3",
            "training_data": "a".repeat(64),
            "dvc": format!("{}.dir", "b".repeat(32)),
            "git_commit": "c".repeat(40),
        });
        assert_eq!(Lineage::read(&whole).unwrap().to_json(), whole);
        assert_eq!(Lineage::read(&json!({"parent": null})).unwrap(), Lineage::default());
        for (bad, says) in [
            (json!({"parent": "base"}), "lineage.parent: 'base' is no version: write `name/3`"),
            (json!({"parent": "base/0"}), "lineage.parent: 'base/0' is no version: write `name/3`"),
            (json!({"git_commit": "main"}), "lineage.git_commit: 'main' is no hash of 40 hexadecimal digits"),
            (json!({"dvc": 1}), "lineage.dvc: it is no text"),
            (json!({"who": "x"}), "lineage: there is no `who`; it has parent, training_data, dvc, git_commit"),
        ] {
            assert_eq!(Lineage::read(&bad).unwrap_err().says, says);
        }
    }

    #[test]
    fn a_signature_has_inputs_with_types() {
        let good = json!({"inputs": [{"name": "x", "type": "double"}], "outputs": [{"type": "long"}], "params": null});
        assert_eq!(Signature::read(&good).unwrap().as_json(), &good);
        for bad in [json!([]), json!({}), json!({"inputs": [1]}), json!({"inputs": [], "more": []})] {
            assert!(Signature::read(&bad).is_err(), "{bad}");
        }
    }
}
