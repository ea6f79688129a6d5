//! Features: what a policy regards of a call when it picks an arm. Owns which there are and how many numbers each is; how a
//! call's numbers are found is the policy's.

use crate::StateId;

/// The most numbers that a policy regards.
pub const MOST_FEATURES: usize = 64;

/// A feature of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeatureSpec {
    /// How long the prompt is, by the logarithm of its bytes: −1 for none, 1 for `most` and more.
    PromptLength {
        /// The bytes that count as the longest, at least 1.
        most: u32,
    },
    /// The language that the prompt seems to be in.
    Language,
    /// The hour of the day, as a point on a circle, so that midnight lies beside midnight. It is that of UTC: with another
    /// zone the circle is only turned, which changes nothing of what can be learnt.
    Hour,
    /// The tag of the caller's key.
    KeyTag {
        /// Its name.
        tag: String,
        /// The values that are told apart; all others are one.
        values: Vec<String>,
    },
    /// A header of the request.
    Header {
        /// Its name, in lower case.
        name: String,
        /// The values that are told apart; all others are one.
        values: Vec<String>,
    },
}

impl FeatureSpec {
    /// How many numbers it is.
    #[must_use]
    pub const fn dimension(&self) -> usize {
        match self {
            Self::PromptLength { .. } => 1,
            Self::Language => Language::ALL.len(),
            Self::Hour => 2,
            Self::KeyTag { values, .. } | Self::Header { values, .. } => values.len(),
        }
    }

    /// What each of its numbers is, in words.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::PromptLength { .. } => vec!["the prompt's length".to_owned()],
            Self::Language => Language::ALL.map(|language| format!("language {}", language.word())).to_vec(),
            Self::Hour => vec!["the hour's sine".to_owned(), "the hour's cosine".to_owned()],
            Self::KeyTag { tag, values } => values.iter().map(|value| format!("key tag {tag}={value}")).collect(),
            Self::Header { name, values } => values.iter().map(|value| format!("header {name}={value}")).collect(),
        }
    }

    /// Names a declaration: what was learnt by one says nothing of calls that another regards. `None` where it has no
    /// features.
    #[must_use]
    pub fn id_of(features: &[Self]) -> Option<StateId> {
        // Strings stand there in quotes, so that no two declarations are written alike.
        let written = |feature: &Self| match feature {
            Self::PromptLength { most } => format!("prompt_length {most}\n"),
            Self::Language => "language\n".to_owned(),
            Self::Hour => "hour\n".to_owned(),
            Self::KeyTag { tag, values } => format!("key_tag {tag:?} {values:?}\n"),
            Self::Header { name, values } => format!("header {name:?} {values:?}\n"),
        };
        let content: String = features.iter().map(written).collect();
        (!features.is_empty()).then(|| StateId::of(content.as_bytes()))
    }

    /// How many numbers all of them are; at most [`MOST_FEATURES`] where they were checked.
    #[must_use]
    pub fn dimensions(of: &[Self]) -> usize {
        of.iter().map(Self::dimension).sum()
    }
}

/// A language, or a family of scripts, that a prompt is taken to be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
    /// Another one in Latin letters.
    Latin,
    /// In Cyrillic letters.
    Cyrillic,
    /// In Arabic letters.
    Arabic,
    /// Chinese, Japanese or Korean.
    Cjk,
}

impl Language {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::English,
        Self::German,
        Self::French,
        Self::Spanish,
        Self::Latin,
        Self::Cyrillic,
        Self::Arabic,
        Self::Cjk,
    ];

    /// Its name, as in a configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::English => "english",
            Self::German => "german",
            Self::French => "french",
            Self::Spanish => "spanish",
            Self::Latin => "latin",
            Self::Cyrillic => "cyrillic",
            Self::Arabic => "arabic",
            Self::Cjk => "cjk",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_as_many_numbers_as_it_tells_apart() {
        let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        let features = [
            FeatureSpec::PromptLength { most: 65_536 },
            FeatureSpec::Language,
            FeatureSpec::Hour,
            FeatureSpec::KeyTag { tag: "tier".to_owned(), values: values(&["free", "paid"]) },
            FeatureSpec::Header { name: "x-task".to_owned(), values: values(&["chat", "code", "sum"]) },
        ];
        assert_eq!(features.each_ref().map(FeatureSpec::dimension), [1, 8, 2, 2, 3]);
        assert_eq!((FeatureSpec::dimensions(&features), FeatureSpec::dimensions(&[])), (16, 0));
        assert!(features.iter().all(|feature| feature.names().len() == feature.dimension()));
    }

    #[test]
    fn other_declarations_have_other_names() {
        let header = |name: &str, values: &[&str]| FeatureSpec::Header {
            name: name.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let all = [
            vec![FeatureSpec::Language],
            vec![FeatureSpec::Language, FeatureSpec::Hour],
            vec![FeatureSpec::Hour, FeatureSpec::Language],
            vec![FeatureSpec::PromptLength { most: 1 }],
            vec![FeatureSpec::PromptLength { most: 2 }],
            vec![header("x", &["a", "b"])],
            vec![header("x", &["b", "a"])],
            vec![header("x", &["a\", \"b"])],
        ];
        let mut ids: Vec<u64> = all.iter().map(|features| FeatureSpec::id_of(features).unwrap().bits()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((ids.len(), FeatureSpec::id_of(&[])), (all.len(), None));
        assert_eq!(FeatureSpec::id_of(&all[5]), FeatureSpec::id_of(&[header("x", &["a", "b"])]));
    }
}
