//! Which modules of a base an adapter's configuration means, by PEFT's rules.

use super::fault::AdapterFault;
use regex::Regex;

/// `target_modules` or `exclude_modules`.
#[derive(Debug)]
pub(super) enum Targets {
    /// Every product of every layer.
    AllLinear,
    /// Those whose path is one of these, or ends in one after a dot.
    Names(Vec<String>),
    /// Those whose whole path matches.
    Pattern(Regex),
}

impl Targets {
    /// A pattern that the whole path must match.
    pub(super) fn pattern(text: &str) -> Result<Self, AdapterFault> {
        Ok(Self::Pattern(regex(&format!("^(?:{text})$"))?))
    }

    /// Whether they mean the module at a path.
    pub(super) fn mean(&self, path: &str) -> bool {
        match self {
            Self::AllLinear => true,
            Self::Names(names) => names.iter().any(|name| is_end_of(path, name)),
            Self::Pattern(pattern) => pattern.is_match(path),
        }
    }
}

/// Whether a path is `name`, or ends in it after a dot.
pub(super) fn is_end_of(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// A number for modules whose path ends in what a pattern matches; the first pattern decides.
#[derive(Debug, Default)]
pub(super) struct Exceptions<T>(Vec<(Regex, T)>);

impl<T: Copy> Exceptions<T> {
    pub(super) fn of(pairs: impl IntoIterator<Item = (String, T)>) -> Result<Self, AdapterFault> {
        let one = |(text, value): (String, T)| Ok((regex(&format!("^(?:.*\\.)?(?:{text})$"))?, value));
        pairs.into_iter().map(one).collect::<Result<_, AdapterFault>>().map(Self)
    }

    pub(super) fn of_path(&self, path: &str) -> Option<T> {
        self.0.iter().find(|(pattern, _)| pattern.is_match(path)).map(|(_, value)| *value)
    }
}

fn regex(text: &str) -> Result<Regex, AdapterFault> {
    let refused = |e: regex::Error| AdapterFault::Config(format!("the pattern `{text}` cannot be read: {e}"));
    regex::RegexBuilder::new(text).size_limit(1 << 20).build().map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ends_of_paths_and_patterns_are_whole() {
        let path = "model.layers.11.self_attn.q_proj";
        let names = |names: &[&str]| Targets::Names(names.iter().map(|&name| name.to_owned()).collect());
        assert!(names(&["v_proj", "q_proj"]).mean(path) && names(&["self_attn.q_proj"]).mean(path));
        assert!(!names(&["proj", "model"]).mean(path));
        let pattern = |text: &str| Targets::pattern(text).unwrap();
        assert!(pattern(r".*\.q_proj").mean(path) && !pattern("q_proj").mean(path) && !pattern("model|x").mean(path));
        assert!(matches!(Targets::pattern("("), Err(AdapterFault::Config(_))));
        assert!(matches!(Targets::pattern("(?:a{1000}){1000}"), Err(AdapterFault::Config(_))));
    }

    #[test]
    fn the_first_exception_decides() {
        let path = "model.layers.1.mlp.down_proj";
        let of = |keys: &[(&str, usize)]| {
            Exceptions::of(keys.iter().map(|(key, value)| ((*key).to_owned(), *value))).unwrap().of_path(path)
        };
        assert_eq!(of(&[("q_proj", 1), (r"layers\.1\.mlp\.down_proj", 6), ("down_proj", 2)]), Some(6));
        assert_eq!(of(&[("n_proj", 1), ("proj", 2)]), None);
    }
}
