//! What may be asked of the plugin. Owns reading the settings and refusing what means nothing; `config.schema.json` beside
//! this says the same to the gateway, and the README to people.

use crate::bootstrap::Bootstrap;
use crate::comparison::Comparison;
use crate::measure::{Empty, Measure};
use crate::pair::PairMeasure;
use crate::spread::Spread;
use serde::Deserialize;
use std::collections::BTreeMap;
use tidegate_window::{Bound, Bounds, Severity};

/// Settings that make sense.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What is measured of each group and of all together.
    pub measures: Vec<Measure>,
    /// How far these lie apart.
    pub spreads: Vec<Spread>,
    /// Comparisons that have names of their own.
    pub comparisons: Vec<Comparison>,
    /// Comparisons of all other groups with the privileged one.
    pub pairs: Vec<PairMeasure>,
    /// The privileged group; without one there are no pairs.
    pub privileged: Option<String>,
    /// What a rate of nothing is.
    pub empty: Empty,
    /// How intervals are drawn; none of 0 draws.
    pub bootstrap: Bootstrap,
    /// Whether only what is beyond its bound with all of its interval is breached.
    pub certain: bool,
    /// What numbers are held against.
    pub bounds: Bounds,
    /// How many groups are shown.
    pub most_groups: usize,
    /// Of what is breached.
    pub severity: Severity,
}

/// More draws say no more, and take longer than a window may.
const MOST_DRAWS: u32 = 10_000;
/// All measures of more groups do not fit into a report.
const MOST_GROUPS: usize = 400;

impl Config {
    /// Reads settings; an empty text is all defaults.
    ///
    /// # Errors
    /// They are no JSON, or mean nothing; said in words.
    pub fn read(json: &str) -> Result<Self, String> {
        let json = if json.trim().is_empty() { "{}" } else { json };
        let written: Written = serde_json::from_str(json).map_err(|fault| fault.to_string())?;
        if written.pairs.is_some() && written.privileged.is_none() {
            return Err("pairs compare all other groups with the privileged one: say `privileged`".to_owned());
        }
        let bootstrap = written.bootstrap.unwrap_or_default();
        if !(bootstrap.level > 0.0 && bootstrap.level < 1.0) {
            return Err(format!("bootstrap.level is above 0 and below 1, not {}", bootstrap.level));
        }
        if bootstrap.draws > MOST_DRAWS {
            return Err(format!("bootstrap.draws is at most {MOST_DRAWS}, not {}", bootstrap.draws));
        }
        let certain = written.breach == Some(Breach::Interval);
        if certain && bootstrap.draws == 0 {
            return Err("breach by interval needs draws: give bootstrap.draws, or breach by value".to_owned());
        }
        let most_groups = written.most_groups.unwrap_or(100);
        if !(2..=MOST_GROUPS).contains(&most_groups) {
            return Err(format!("most_groups is from 2 to {MOST_GROUPS}, not {most_groups}"));
        }
        let four_fifths = || [(Comparison::DemographicParityRatio.name().to_owned(), Bound::Least(0.8))].into();
        Ok(Self {
            measures: named("measures", written.measures, &Measure::ALL, Measure::name)?,
            spreads: named("spreads", written.spreads, &Spread::ALL, Spread::name)?,
            comparisons: named("comparisons", written.comparisons, &Comparison::ALL, Comparison::name)?,
            pairs: named("pairs", written.pairs, &PairMeasure::ALL, PairMeasure::name)?,
            privileged: written.privileged,
            empty: written.empty.map_or(Empty::Undefined, Into::into),
            bootstrap: Bootstrap { seed: bootstrap.seed, draws: bootstrap.draws, level: bootstrap.level },
            certain,
            bounds: Bounds::new(written.thresholds.unwrap_or_else(four_fifths))?,
            most_groups,
            severity: written.severity.unwrap_or(Severity::Alert),
        })
    }
}

/// The settings as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    measures: Option<Vec<String>>,
    spreads: Option<Vec<String>>,
    comparisons: Option<Vec<String>>,
    pairs: Option<Vec<String>>,
    privileged: Option<String>,
    empty: Option<WrittenEmpty>,
    bootstrap: Option<WrittenBootstrap>,
    breach: Option<Breach>,
    thresholds: Option<BTreeMap<String, Bound>>,
    most_groups: Option<usize>,
    severity: Option<Severity>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenBootstrap {
    seed: u64,
    draws: u32,
    level: f64,
}

impl Default for WrittenBootstrap {
    fn default() -> Self {
        let Bootstrap { seed, draws, level } = Bootstrap::default();
        Self { seed, draws, level }
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenEmpty {
    Undefined,
    LeftOut,
    Zero,
}

impl From<WrittenEmpty> for Empty {
    fn from(written: WrittenEmpty) -> Self {
        match written {
            WrittenEmpty::Undefined => Self::Undefined,
            WrittenEmpty::LeftOut => Self::LeftOut,
            WrittenEmpty::Zero => Self::Zero,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Breach {
    Value,
    Interval,
}

/// What is meant by names; all where nothing is said.
fn named<T: Copy + PartialEq>(
    of: &str,
    names: Option<Vec<String>>,
    all: &[T],
    name_of: impl Fn(T) -> &'static str,
) -> Result<Vec<T>, String> {
    let Some(names) = names else { return Ok(all.to_vec()) };
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let Some(one) = all.iter().copied().find(|one| name_of(*one) == name) else {
            let known: Vec<&str> = all.iter().map(|one| name_of(*one)).collect();
            return Err(format!("{of}: there is no {name}, but {}", known.join(", ")));
        };
        if !found.contains(&one) {
            found.push(one);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_readme() {
        let config = Config::read("").expect("nothing is asked");
        assert_eq!((config.measures.len(), config.spreads.len(), config.comparisons.len()), (14, 6, 10));
        assert_eq!((config.empty, config.privileged.clone(), config.most_groups), (Empty::Undefined, None, 100));
        assert_eq!(config.bootstrap, Bootstrap { seed: 1, draws: 1000, level: 0.95 });
        assert_eq!(config.bounds.of("demographic_parity_ratio"), Some(Bound::Least(0.8)));
        assert!(!config.certain && config.severity == Severity::Alert);
    }

    #[test]
    fn what_means_nothing_is_refused_by_name() {
        for (json, expected) in [
            (r#"{"measure": []}"#, "unknown field `measure`"),
            (r#"{"measures": ["tpr"]}"#, "measures: there is no tpr, but selection_rate"),
            (r#"{"pairs": ["theil_index"]}"#, "say `privileged`"),
            (r#"{"bootstrap": {"level": 1}}"#, "bootstrap.level is above 0 and below 1, not 1"),
            (r#"{"bootstrap": {"draws": 10001}}"#, "at most 10000"),
            (r#"{"bootstrap": {"draws": 0}, "breach": "interval"}"#, "needs draws"),
            (r#"{"empty": "null"}"#, "unknown variant `null`"),
            (r#"{"most_groups": 1}"#, "from 2 to 400, not 1"),
            (r#"{"thresholds": {"x": {"above": 1}}}"#, "unknown variant `above`"),
        ] {
            let fault = Config::read(json).expect_err("it means nothing");
            assert!(fault.contains(expected), "{json}: {fault}");
        }
    }

    #[test]
    fn the_schema_names_what_is_read() {
        let schema: serde_json::Value = serde_json::from_str(crate::CONFIG_SCHEMA).expect("the schema is JSON");
        let known: Vec<&str> =
            schema["properties"].as_object().expect("properties").keys().map(String::as_str).collect();
        let expected = [
            "bootstrap",
            "breach",
            "comparisons",
            "empty",
            "measures",
            "most_groups",
            "pairs",
            "privileged",
            "severity",
            "spreads",
            "thresholds",
        ];
        assert_eq!(known, expected);
        let names = |field: &str| -> Vec<String> {
            let listed = schema["properties"][field]["items"]["enum"].as_array().expect("names");
            listed.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
        };
        assert_eq!(names("measures"), Measure::ALL.map(Measure::name));
        assert_eq!(names("spreads"), Spread::ALL.map(Spread::name));
        assert_eq!(names("comparisons"), Comparison::ALL.map(Comparison::name));
        assert_eq!(names("pairs"), PairMeasure::ALL.map(PairMeasure::name));
    }
}
