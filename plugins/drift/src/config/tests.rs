//! Which settings are understood, and what is said of others.

use super::*;

#[test]
fn defaults_are_those_of_the_readme() {
    let config = Config::read("").expect("nothing is asked");
    assert_eq!((config.alpha, config.correction, config.share), (0.05, Correction::Bonferroni, 0.5));
    assert!(config.asks.is_empty() && config.least_rows == 1 && config.severity == Severity::Alert);
    let evidently = Config::read(r#"{"choose": "evidently"}"#).expect("a choice");
    assert_eq!(evidently.correction, Correction::None);
}

#[test]
fn each_test_has_its_name_and_its_settings() {
    let config = Config::read(
        r#"{"tests": [
            {"column": "x", "test": "ks", "method": "exact"},
            {"column": "x", "test": "psi", "threshold": 0.2},
            {"prefix": "e.", "test": "mmd", "sigma": 2, "permutations": 0},
            {"name": "mine", "column": "c", "test": "jensen_shannon", "base": "2"}
        ]}"#,
    )
    .expect("they mean something");
    let names: Vec<&str> = config.asks.iter().map(|ask| ask.name.as_str()).collect();
    assert_eq!(names, ["ks:x", "psi:x", "mmd:e.*", "mine"]);
    assert_eq!(config.asks[0].measure, Measure::Ks { method: Method::Exact });
    assert_eq!(config.asks[1].threshold, Some(0.2));
    assert_eq!(config.asks[2].measure, Measure::Mmd { sigma: Some(2.0), permutations: 0, seed: 0 });
    assert_eq!(config.asks[3].measure, Measure::JensenShannon { base: Base::Two, bins: Binning::Evidently });
}

#[test]
fn what_means_nothing_is_refused_by_name() {
    for (json, expected) in [
        (r#"{"test": []}"#, "unknown field `test`"),
        (r#"{"alpha": 2}"#, "alpha is above 0 and at most 1, not 2"),
        (r#"{"tests": [{"column": "x", "test": "kolmogorov"}]}"#, "tests[0]: kolmogorov is no test"),
        (r#"{"tests": [{"column": "x", "test": "psi", "method": "exact"}]}"#, "method is no setting of psi"),
        (r#"{"tests": [{"column": "x", "test": "ks", "method": "quick"}]}"#, "not quick"),
        (r#"{"tests": [{"test": "ks"}]}"#, "say one of column, columns and prefix"),
        (r#"{"tests": [{"columns": ["a", "b"], "test": "ks"}]}"#, "ks compares one column"),
        (r#"{"tests": [{"column": "x", "test": "mmd", "sigma": -1}]}"#, "sigma is \"median\" or a number above 0"),
        (
            r#"{"tests": [{"column": "x", "test": "z"}, {"column": "x", "test": "z"}]}"#,
            "tests[1]: there is another z:x",
        ),
        ("[", "EOF"),
    ] {
        let fault = Config::read(json).expect_err("it means nothing");
        assert!(fault.contains(expected), "{json}: {fault}");
    }
}

#[test]
fn the_schema_names_what_is_read() {
    let schema: serde_json::Value = serde_json::from_str(crate::CONFIG_SCHEMA).expect("the schema is JSON");
    let known: Vec<&str> = schema["properties"].as_object().expect("properties").keys().map(String::as_str).collect();
    let expected = ["alpha", "choose", "correction", "least_effect", "least_rows", "severity", "share", "tests"];
    assert_eq!(known, expected);
    let forms = schema["properties"]["tests"]["items"]["oneOf"].as_array().expect("one form a test");
    let named: Vec<&str> = forms.iter().filter_map(|form| form["properties"]["test"]["const"].as_str()).collect();
    assert_eq!(named, TESTS);
}
