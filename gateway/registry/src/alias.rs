//! A name that stands for a version and can be moved. Owns its grammar, which is MLflow's.

use crate::fault::RegistryFault;
use std::fmt;

/// An alias.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AliasName(String);

impl AliasName {
    /// Checks the characters and the length of a text, which may be reserved.
    ///
    /// # Errors
    /// It is empty, too long or has a character that an alias must not have.
    pub fn check(text: &str) -> Result<(), RegistryFault> {
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        if text.is_empty() {
            return Err(RegistryFault::invalid("Registered model alias name cannot be empty."));
        }
        if !text.chars().all(fits) {
            return Err(RegistryFault::invalid(format!(
                "Invalid alias name: '{text}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
            )));
        }
        if text.chars().count() > 255 {
            return Err(RegistryFault::invalid(
                "'Registered model alias name' exceeds the maximum length of 255 characters",
            ));
        }
        Ok(())
    }

    /// Checks a text.
    ///
    /// # Errors
    /// It is no alias, or could be taken for a version.
    pub fn new(text: &str) -> Result<Self, RegistryFault> {
        Self::check(text)?;
        if text.eq_ignore_ascii_case("latest") {
            return Err(RegistryFault::invalid("'latest' alias name (case insensitive) is reserved."));
        }
        let digits = text.strip_prefix(['v', 'V']).unwrap_or_default();
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(RegistryFault::invalid(format!("Version alias name '{text}' is reserved.")));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AliasName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A move of an alias.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AliasMove {
    /// What it stood for.
    pub before: Option<i64>,
    /// What it stood for after; nothing where it was removed.
    pub after: Option<i64>,
    /// Milliseconds since 1970.
    pub at: i64,
    /// Who moved it.
    pub by: String,
}

/// An approval of a version.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Approval {
    /// For this alias.
    pub alias: String,
    /// Who approves.
    pub by: String,
    /// What he says.
    pub note: String,
    /// Milliseconds since 1970.
    pub at: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_a_version_is_no_alias() {
        for bad in ["", "latest", "LATEST", "v1", "v007", "a b", "a/b", "a@b", &"x".repeat(256)] {
            assert!(AliasName::new(bad).is_err(), "{bad:?}");
        }
        for good in ["champion", "v", "v1a", "a-b_c", "1"] {
            assert!(AliasName::new(good).is_ok(), "{good:?}");
        }
    }
}
