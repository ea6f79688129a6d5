//! A registered model: a name under which versions stand. Owns its fields and its name's grammar.

use crate::fault::RegistryFault;
use crate::kind::Kind;
use crate::version::ModelVersion;
use std::collections::BTreeMap;
use std::fmt;
use tidegate_core::spec::RiskTier;

/// The name of a registered model, by MLflow's grammar: anything without `/`, `:` and control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegisteredName(String);

impl RegisteredName {
    /// Checks a text.
    ///
    /// # Errors
    /// It is empty, too long or has a character that a name must not have.
    pub fn new(text: &str) -> Result<Self, RegistryFault> {
        if text.is_empty() {
            return Err(RegistryFault::invalid("Registered model name cannot be empty."));
        }
        if text.contains(['/', ':']) {
            return Err(RegistryFault::invalid(format!(
                "Invalid model name '{text}'. Names cannot contain '/' or ':'."
            )));
        }
        if text.len() > 256 || text.chars().any(char::is_control) || matches!(text, "." | "..") {
            return Err(RegistryFault::invalid(format!(
                "Invalid model name {text:?}. A name has at most 256 bytes, no control character, and is not '.' or '..'."
            )));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RegisteredName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A registered model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredModel {
    /// Its name.
    pub name: RegisteredName,
    /// Who registered it.
    pub owner: String,
    /// What it is, in words.
    pub description: String,
    /// The job that deploys it, where its user named one.
    pub deployment_job: String,
    /// What it is; unknown where nobody said.
    pub kind: Option<Kind>,
    /// How much harm it could do; unknown where nobody said.
    pub risk: Option<RiskTier>,
    /// Milliseconds since 1970 at which it was registered.
    pub created: i64,
    /// Milliseconds since 1970 at which it, or its set of versions, changed.
    pub updated: i64,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its aliases and the versions that they stand for.
    pub aliases: BTreeMap<String, i64>,
    /// The newest version of each stage, the oldest first.
    pub latest: Vec<ModelVersion>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_lead_elsewhere_are_refused() {
        for bad in ["", "a/b", "a:b", "..", ".", "a\nb", "a\0", &"x".repeat(257)] {
            assert!(RegisteredName::new(bad).is_err(), "{bad:?}");
        }
        for good in ["m", "Model 1 \" ' x", "имя", "a.b-c_d@e", "x..y"] {
            assert!(RegisteredName::new(good).is_ok(), "{good:?}");
        }
    }
}
