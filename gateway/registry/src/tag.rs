//! Tags: keys and values of text. Owns their grammar, which is MLflow's.

use crate::fault::RegistryFault;
use std::collections::BTreeMap;

/// The longest key, in characters.
const LONGEST_KEY: usize = 250;
/// The longest value, in characters.
const LONGEST_VALUE: usize = 100_000;
/// The tag that holds the templates of a version of a prompt.
pub(crate) const PROMPT_TEXT: &str = "mlflow.prompt.text";

/// Checked tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags(BTreeMap<String, String>);

impl Tags {
    /// Adds a tag; the last of a key counts.
    ///
    /// # Errors
    /// Its key or value is wrong.
    pub fn add(&mut self, key: &str, value: &str) -> Result<(), RegistryFault> {
        check_key(key)?;
        check_value(key, value)?;
        self.0.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    /// The tags.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

/// Checks a key.
///
/// # Errors
/// It has a character that a key must not have, could be taken for a path, or is too long.
pub fn check_key(key: &str) -> Result<(), RegistryFault> {
    let fits = |c: char| c.is_alphanumeric() || "_/.-: ".contains(c);
    let wrong = |says: String| {
        Err(RegistryFault::invalid(format!("Invalid value \"{key}\" for parameter 'key' supplied: {says}")))
    };
    if !key.chars().all(fits) {
        return wrong(
            "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and \
             slashes (/)."
                .into(),
        );
    }
    let is_path = key.starts_with("..") || key.split('/').any(|part| matches!(part, "" | "." | ".."));
    if is_path {
        return wrong(format!(
            "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. \
             This name would resolve to '{}'",
            resolved(key)
        ));
    }
    if key.chars().count() > LONGEST_KEY {
        return Err(RegistryFault::invalid(format!("'key' exceeds the maximum length of {LONGEST_KEY} characters")));
    }
    Ok(())
}

/// Checks the value of a key.
///
/// # Errors
/// It is too long.
pub fn check_value(key: &str, value: &str) -> Result<(), RegistryFault> {
    if value.chars().count() <= LONGEST_VALUE {
        return Ok(());
    }
    Err(RegistryFault::invalid(if key == PROMPT_TEXT {
        format!("Prompt text exceeds max length of {LONGEST_VALUE} characters.")
    } else {
        format!("'value' exceeds the maximum length of {LONGEST_VALUE} characters")
    }))
}

/// What a path would resolve to, by POSIX's rules and Python's word for nothing.
pub(crate) fn resolved(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if path.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    match (path.starts_with('/'), parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_could_be_paths_or_forge_are_refused() {
        for bad in ["", "a/../b", "/a", ".", "..", "a//b", "..a", "a\n", "a;b", &"k".repeat(251)] {
            assert!(check_key(bad).is_err(), "{bad:?}");
        }
        for good in ["k", "mlflow.prompt.text", "a b", "a/b", "x:y", "ключ", &"k".repeat(250)] {
            assert!(check_key(good).is_ok(), "{good:?}");
        }
        assert!(check_value("k", &"v".repeat(100_001)).is_err());
    }

    #[test]
    fn a_path_resolves_as_posix_says() {
        for (path, to) in [("a/../b", "b"), ("/a", "/a"), ("", "."), ("a//b", "a/b"), ("..", ".."), ("/..", "/")] {
            assert_eq!(resolved(path), to, "{path}");
        }
    }
}
