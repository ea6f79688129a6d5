//! Names that people give: one grammar, one newtype for each kind of thing. Owns the grammar.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// Nothing, or more than 128 bytes.
    #[error("a name has 1 to 128 characters, not {0}")]
    Length(usize),
    /// A character outside of the grammar.
    #[error("a name is made of letters, digits and . _ - / : @, and {0:?} is none of them")]
    Character(char),
    /// A start or a part that could be taken for a path.
    #[error("a name starts with a letter or digit and has no empty, `.` or `..` part between slashes")]
    Shape,
}

/// Checks `text` against the grammar of names: safe in a path, a label, a header and a log line.
///
/// # Errors
/// Says which rule the text breaks.
pub fn check(text: &str) -> Result<(), NameFault> {
    if text.is_empty() || text.len() > 128 {
        return Err(NameFault::Length(text.len()));
    }
    if let Some(c) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !"._-/:@".contains(*c)) {
        return Err(NameFault::Character(c));
    }
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !starts_well || text.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(NameFault::Shape);
    }
    Ok(())
}

/// Texts with a grammar, each a type of its own: `TYPE by CHECK`, where CHECK refuses with the fault named first.
macro_rules! texts {
    ($fault:ty: $($(#[$doc:meta])* $name:ident by $check:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = $fault;

            fn from_str(text: &str) -> Result<Self, $fault> {
                $check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

pub(crate) use texts;

texts! { NameFault:
    /// What callers name as `model`.
    RouteName by check
    /// One arm of a route.
    VariantName by check
    /// A name bound to a provider and the model there.
    ModelName by check
    /// A LoRA adapter on a base model.
    AdapterName by check
    /// A connection to something that runs models.
    ProviderName by check
    /// One address of a provider, as `host:port`.
    EndpointName by check
    /// The public part of a key.
    KeyId by check
    /// Who calls.
    Principal by check
    /// For whom a principal calls.
    Tenant by check
    /// A value by which the arms of a route are compared.
    RewardName by check
    /// What the classes of a label are of, such as `topic`.
    LabelName by check
    /// Something that watches traffic.
    MonitorName by check
    /// A plugin, as the configuration calls it.
    PluginName by check
    /// A node of a graph of classic models.
    NodeName by check
    /// Someone who is told of alarms.
    AlertName by check
    /// The features of one kind of entity, as the configuration calls them.
    ViewName by check
    /// One process of those that serve together.
    ReplicaId by check
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_paths_or_forge_lines_are_refused() {
        for bad in ["", "..", "a/../b", "/a", "a//b", "a/", "a b", "a\nb", "a\0", ".env", "ü"] {
            assert!(bad.parse::<RouteName>().is_err(), "{bad:?}");
        }
        assert!("a".repeat(129).parse::<RouteName>().is_err());
    }

    #[test]
    fn names_of_the_field_are_accepted() {
        for good in
            ["smollm2", "gpt-4o", "meta-llama/Llama-3.1-8B", "support@production", "ft:gpt-4o:org::1", "10.0.0.1:80"]
        {
            assert!(good.parse::<RouteName>().is_ok(), "{good:?}");
        }
    }
}
