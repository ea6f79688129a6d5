//! References to a version of a registered model: `models:/name@alias` and `models:/name/3`. Owns their grammar; what they
//! lead to is the registry's business.

use std::fmt;
use std::str::FromStr;

/// A reference to a version of a registered model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelRef {
    /// The registered model's name: anything without `/`, `:` and control characters.
    pub name: String,
    /// Which version.
    pub pick: ModelPick,
}

/// Which version of a model is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ModelPick {
    /// The one that an alias stands for now; `latest` is the one with the highest number.
    Alias(String),
    /// The one with this number, from 1.
    Version(u32),
}

/// Why a text is no reference to a registered model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelRefFault {
    /// It has another form.
    #[error("a model of the registry is written `models:/NAME@ALIAS` or `models:/NAME/VERSION`")]
    Form,
    /// The name is none.
    #[error("the name of a registered model has 1 to 256 bytes, no `:` and no control character")]
    Name,
    /// The alias is none.
    #[error("an alias has 1 to 255 letters, digits, _ and -")]
    Alias,
    /// The version is no number.
    #[error("a version is a number from 1")]
    Version,
}

impl FromStr for ModelRef {
    type Err = ModelRefFault;

    fn from_str(text: &str) -> Result<Self, ModelRefFault> {
        let rest = text.strip_prefix("models:/").ok_or(ModelRefFault::Form)?;
        let (name, pick) = if let Some((name, version)) = rest.split_once('/') {
            let is_number =
                !version.is_empty() && !version.starts_with('0') && version.bytes().all(|b| b.is_ascii_digit());
            let version = version.parse().ok().filter(|_| is_number).ok_or(ModelRefFault::Version)?;
            (name, ModelPick::Version(version))
        } else {
            let (name, alias) = rest.rsplit_once('@').ok_or(ModelRefFault::Form)?;
            let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
            if alias.is_empty() || alias.chars().count() > 255 || !alias.chars().all(fits) {
                return Err(ModelRefFault::Alias);
            }
            (name, ModelPick::Alias(alias.to_owned()))
        };
        let is_name = (1..=256).contains(&name.len()) && !matches!(name, "." | "..");
        if !is_name || name.chars().any(|c| c == ':' || c.is_control()) {
            return Err(ModelRefFault::Name);
        }
        Ok(Self { name: name.to_owned(), pick })
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pick {
            ModelPick::Alias(alias) => write!(f, "models:/{}@{alias}", self.name),
            ModelPick::Version(version) => write!(f, "models:/{}/{version}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_they_are_written() {
        for good in ["models:/m@champion", "models:/My model/12", "models:/a@b@latest"] {
            assert_eq!(good.parse::<ModelRef>().unwrap().to_string(), good);
        }
        for bad in [
            "m@a",
            "models:/m",
            "models:/m@",
            "models:/@a",
            "models:/m/0",
            "models:/m/03",
            "models:/m/x",
            "models:/a:b@c",
            "models:/../1",
            "models:/m@a/b",
            "models:/m@a b",
        ] {
            assert!(bad.parse::<ModelRef>().is_err(), "{bad}");
        }
    }
}
