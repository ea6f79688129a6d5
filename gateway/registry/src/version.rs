//! A version of a registered model: what is fixed when it is made, and what may change. Owns stages and numbers.

use crate::facts::VersionFacts;
use crate::fault::RegistryFault;
use crate::model::RegisteredName;
use std::collections::BTreeMap;

/// A version of a registered model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelVersion {
    /// The model.
    pub name: RegisteredName,
    /// Its number, from 1; never used again, even after it was deleted.
    pub version: i64,
    /// Where it was taken from, as its maker said.
    pub source: String,
    /// Where its files lie: the source itself, or what the source leads to.
    pub storage: String,
    /// The run that made it.
    pub run_id: String,
    /// A link to that run.
    pub run_link: String,
    /// The logged model behind it.
    pub logged_model: String,
    /// What else was fixed when it was made.
    pub facts: VersionFacts,
    /// Who made it.
    pub owner: String,
    /// What it is, in words; none once it was taken away.
    pub description: Option<String>,
    /// Its stage.
    pub stage: Stage,
    /// Milliseconds since 1970 at which it was made.
    pub created: i64,
    /// Milliseconds since 1970 at which it changed.
    pub updated: i64,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The aliases that stand for it.
    pub aliases: Vec<String>,
}

/// The stage of a version, as MLflow has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// None yet.
    None,
    /// Being tried.
    Staging,
    /// In use.
    Production,
    /// Put away.
    Archived,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 4] = [Self::None, Self::Staging, Self::Production, Self::Archived];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Staging => "Staging",
            Self::Production => "Production",
            Self::Archived => "Archived",
        }
    }

    /// The stage of this name, in whatever case.
    ///
    /// # Errors
    /// There is none.
    pub fn read(text: &str) -> Result<Self, RegistryFault> {
        Self::ALL.into_iter().find(|stage| stage.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| {
            RegistryFault::invalid(format!(
                "Invalid Model Version stage: {text}. Value must be one of None, Staging, Production, Archived."
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_read_in_any_case() {
        assert_eq!(Stage::read("production").unwrap(), Stage::Production);
        assert!(Stage::read("Foo").unwrap_err().says.contains("None, Staging, Production, Archived"));
    }
}
