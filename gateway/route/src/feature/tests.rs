//! Calls and their vectors.

use super::*;
use proptest::prelude::*;

#[derive(Debug, Default)]
pub(crate) struct Call {
    pub(crate) bytes: usize,
    pub(crate) prompt: String,
    pub(crate) unix_ms: u64,
    pub(crate) tier: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) stream: bool,
}

impl Facts for Call {
    fn prompt_bytes(&self) -> usize {
        self.bytes
    }

    fn prompt(&self) -> &str {
        &self.prompt
    }

    fn unix_ms(&self) -> u64 {
        self.unix_ms
    }

    fn key_tag(&self, tag: &str) -> Option<&str> {
        self.tier.as_deref().filter(|_| tag == "tier")
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.task.as_deref().filter(|_| name == "x-task")
    }

    fn tenant(&self) -> &str {
        "shop"
    }

    fn principal(&self) -> &str {
        "ana"
    }

    fn user(&self) -> Option<&str> {
        None
    }

    fn is_stream(&self) -> bool {
        self.stream
    }

    fn has_tools(&self) -> bool {
        false
    }
}

fn values(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn all() -> Features {
    Features::new(vec![
        FeatureSpec::PromptLength { most: 65_535 },
        FeatureSpec::Hour,
        FeatureSpec::KeyTag { tag: "tier".to_owned(), values: values(&["free", "paid"]) },
        FeatureSpec::Header { name: "x-task".to_owned(), values: values(&["chat", "code"]) },
        FeatureSpec::Language,
    ])
}

#[test]
fn each_feature_has_its_place() {
    let call = Call {
        bytes: 255,
        prompt: "Wie spät ist es, und was ist das für eine Frage?".to_owned(),
        unix_ms: 86_400_000 * 20_000 + 6 * 3_600_000,
        tier: Some("paid".to_owned()),
        task: Some("sing".to_owned()),
        stream: false,
    };
    let got = all().of(&call);
    // The logarithm of 256 is half of that of 65,536; 6 o'clock is a quarter of the way round; the task is none of both.
    let wanted = [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    assert_eq!(got.len(), wanted.len());
    for (at, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        assert!((got - wanted).abs() < 1e-12, "{at}: {got} {wanted}");
    }
}

#[test]
fn lengths_reach_from_nothing_to_the_longest() {
    assert_eq!((length(0, 1000), length(1000, 1000), length(usize::MAX, 1000)), (-1.0, 1.0, 1.0));
    assert!(length(31, 1000) < length(32, 1000));
    assert_eq!(length(5, 0), 1.0, "a longest of 0 is taken for 1");
}

#[test]
fn midnight_lies_beside_midnight() {
    let (before, after) = (hour(86_399_999), hour(86_400_000));
    assert!((before[0] - after[0]).abs() < 1e-6 && (before[1] - after[1]).abs() < 1e-6);
    assert!((hour(43_200_000)[1] + 1.0).abs() < 1e-12, "noon is opposite");
}

proptest! {
    #[test]
    fn every_number_is_scaled_and_their_count_is_known(
        bytes: usize, prompt in ".*", unix_ms: u64, tier in prop::option::of("free|paid|other"), task in prop::option::of(".*"),
    ) {
        let features = all();
        let vector = features.of(&Call { bytes, prompt, unix_ms, tier, task, stream: false });
        prop_assert_eq!(vector.len(), features.dimension());
        prop_assert!(vector.iter().all(|number| (-1.0..=1.0).contains(number)), "{:?}", vector);
    }
}
