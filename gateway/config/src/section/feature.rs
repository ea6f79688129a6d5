//! `features` of a policy: what of a call it regards. Owns that each says something, and that they are not too many; how they
//! become numbers is the policy's.

use crate::place::Place;
use crate::report::Notes;
use crate::scalar::{At, Count, Text};
use crate::shape::{Placed, choice, record};
use http::HeaderName;
use tidegate_core::spec::feature::{FeatureSpec, MOST_FEATURES};

/// What counts as the longest prompt where nothing is said.
const LONGEST: u32 = 65_536;

choice! {
    /// A feature of a call.
    FeatureFile {
        words {
            /// The language that the prompt seems to be in: 8 numbers.
            Language = "language",
            /// The hour of the day: 2 numbers.
            Hour = "hour",
        }
        maps {
            /// How long the prompt is: 1 number.
            PromptLength(LengthFile) = "prompt_length",
            /// A tag of the caller's key: a number for each value.
            KeyTag(TagFile) = "key_tag",
            /// A header of the request: a number for each value.
            Header(HeaderFile) = "header",
        }
    }
}

record! {
    /// How long the prompt is, by the logarithm of its bytes.
    LengthFile {
        optional {
            /// The bytes that count as the longest; 65536 by default.
            most: At<Count>,
        }
    }
}

record! {
    /// A tag of the caller's key.
    TagFile {
        required {
            /// Its name.
            name: At<Text>,
            /// The values that are told apart; all others are one.
            values: Vec<At<Text>>,
        }
    }
}

record! {
    /// A header of the request.
    HeaderFile {
        required {
            /// Its name.
            name: At<HeaderName>,
            /// The values that are told apart; all others are one.
            values: Vec<At<Text>>,
        }
    }
}

/// The features of a policy that stands at this place.
pub(super) fn check(raw: &[FeatureFile], at: &Place, has_keys: bool, notes: &mut Notes) -> Option<Vec<FeatureSpec>> {
    let mut features: Vec<FeatureSpec> = Vec::with_capacity(raw.len());
    let mut is_whole = true;
    for one in raw {
        let Some(feature) = feature(one, has_keys, notes) else {
            is_whole = false;
            continue;
        };
        if let Some(name) = features.iter().find_map(|known| twice(known, &feature)) {
            is_whole = false;
            notes.fault(at, format!("`{name}` is regarded twice")).remedy("name each feature once");
        }
        features.push(feature);
    }
    if raw.is_empty() {
        is_whole = false;
        notes
            .fault(at, "no features are regarded, so that every call is the same to this policy")
            .remedy("add one, such as `features: [language]`, or use `ucb1` or `thompson`");
    }
    let numbers = FeatureSpec::dimensions(&features);
    if numbers > MOST_FEATURES {
        is_whole = false;
        notes
            .fault(at, format!("the features are {numbers} numbers, and at most {MOST_FEATURES} can be regarded"))
            .remedy("name fewer values of tags and headers");
    }
    is_whole.then_some(features)
}

fn feature(raw: &FeatureFile, has_keys: bool, notes: &mut Notes) -> Option<FeatureSpec> {
    match raw {
        FeatureFile::Language => Some(FeatureSpec::Language),
        FeatureFile::Hour => Some(FeatureSpec::Hour),
        FeatureFile::PromptLength(raw) => {
            Some(FeatureSpec::PromptLength { most: raw.most.as_ref().map_or(LONGEST, |count| count.value.0) })
        }
        FeatureFile::KeyTag(raw) => {
            if !has_keys {
                notes
                    .fault(raw.at(), "this can never apply: callers have no keys, whose tags these are")
                    .remedy("add `keys: {file: keys.yaml}`, or leave this feature out");
            }
            let values = values(raw.values.as_deref(), raw.at(), notes);
            Some(FeatureSpec::KeyTag { tag: raw.name.as_ref()?.value.0.clone(), values: values? })
        }
        FeatureFile::Header(raw) => {
            let values = values(raw.values.as_deref(), raw.at(), notes);
            // Names of headers are in lower case here, however they were written.
            Some(FeatureSpec::Header { name: raw.name.as_ref()?.value.as_str().to_owned(), values: values? })
        }
    }
}

fn values(raw: Option<&[At<Text>]>, at: &Place, notes: &mut Notes) -> Option<Vec<String>> {
    let raw = raw?;
    if raw.is_empty() {
        notes
            .fault(at, "no values are told apart, so that this says nothing of a call")
            .remedy("name the values that matter, such as `values: [chat, code]`");
        return None;
    }
    let mut values: Vec<String> = Vec::with_capacity(raw.len());
    for value in raw {
        if values.contains(&value.value.0) {
            notes.fault(&value.at, format!("`{}` stands here twice", value.value.0)).remedy("name each value once");
            return None;
        }
        values.push(value.value.0.clone());
    }
    Some(values)
}

/// What two features regard both, where they do.
fn twice(one: &FeatureSpec, other: &FeatureSpec) -> Option<String> {
    match (one, other) {
        (FeatureSpec::PromptLength { .. }, FeatureSpec::PromptLength { .. }) => Some("prompt_length".to_owned()),
        (FeatureSpec::Language, FeatureSpec::Language) => Some("language".to_owned()),
        (FeatureSpec::Hour, FeatureSpec::Hour) => Some("hour".to_owned()),
        (FeatureSpec::KeyTag { tag, .. }, FeatureSpec::KeyTag { tag: same, .. }) if tag == same => {
            Some(format!("key_tag {tag}"))
        }
        (FeatureSpec::Header { name, .. }, FeatureSpec::Header { name: same, .. }) if name == same => {
            Some(format!("header {name}"))
        }
        _ => None,
    }
}
