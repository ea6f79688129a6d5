//! What comes from outside may be anything: the loader answers, it never panics, and it shows no secret.

use proptest::prelude::*;
use std::path::{Path, PathBuf};
use tidegate_config::load_str;

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")
}

fn env(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("8080".to_owned()),
        "UPSTREAM" => Some("9000".to_owned()),
        "POOL_KEY" => Some("s3cret-of-the-pool".to_owned()),
        _ => None,
    }
}

const GOOD: [&str; 4] = ["quickstart.yaml", "acceptance.yaml", "bench.yaml", "reference.yaml"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_configuration_is_answered(
        file in 0..GOOD.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..40usize, "\\PC{0,6}|[\\[\\]{}:,&*!|>%@`\"'#\\n\\t \\-?$]{0,6}"), 1..6),
    ) {
        let origin = configs().join(GOOD[file]);
        let mut text: Vec<char> = std::fs::read_to_string(&origin).unwrap().chars().collect();
        for (start, length, fresh) in changes {
            let start = start.index(text.len() + 1);
            let end = (start + length).min(text.len());
            text.splice(start..end, fresh.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(report) = load_str(&text, &origin, &env) {
            prop_assert!(!report.findings.is_empty());
            prop_assert!(report.findings.is_sorted_by_key(|finding| (finding.file.clone(), finding.line, finding.column)));
            prop_assert!(!report.to_string().contains("s3cret-of-the-pool"));
        }
    }
}

/// What a reference yields may be a secret, wherever it was put: neither message nor remedy repeats it.
#[test]
fn what_a_reference_stands_for_is_never_reported() {
    let good = "listeners: {p: {address: \"127.0.0.1:0\"}}\nproviders: {a: {openai: {endpoints: [{url: \"http://h/v1\"}]}}, l: {local: {}}}\nmodels: {m: {provider: a}, n: {provider: l, source: smollm2}}\nroutes: {r: {variants: {v: {model: m}, w: {model: n}}, fallback: [{when: [timeout], to: {variant: w}}], timeouts: {total: 9s}}}\n";
    let origin = Path::new("x.yaml");
    assert!(load_str(good, origin, &env).is_ok());
    for place in [
        "\"http://h/v1\"",
        "provider: a",
        "provider: l",
        "source: smollm2",
        "model: m",
        "model: n",
        "variant: w",
        "total: 9s",
        "[timeout]",
        "\"127.0.0.1:0\"",
    ] {
        let (before, after) = match place.split_once(": ") {
            Some((field, _)) => (format!("{field}: "), String::new()),
            None if place.starts_with('[') => ("[".to_owned(), "]".to_owned()),
            None => (String::new(), String::new()),
        };
        let text = good.replacen(place, &format!("{before}\"${{env:POOL_KEY}}\"{after}"), 1);
        let report = load_str(&text, origin, &env).expect_err(place);
        let json = serde_json::to_string(&report).unwrap();
        assert!(!report.to_string().contains("s3cret") && !json.contains("s3cret"), "{place}: {report}");
    }
}

/// A header that carries a secret is one wherever it stands.
#[test]
fn a_literal_credential_among_headers_is_refused() {
    for name in ["authorization", "Authorization", "x-api-key", "api-key", "proxy-authorization", "cookie"] {
        let text = format!(
            "listeners: {{p: {{address: \"127.0.0.1:0\"}}}}\nproviders: {{a: {{openai: {{endpoints: [{{url: \"http://h/v1\"}}], headers: {{{name}: hunter2}}}}}}}}\nmodels: {{m: {{provider: a}}}}\nroutes: {{r: {{model: m}}}}\n"
        );
        let report = load_str(&text, Path::new("x.yaml"), &env).map(|_| name).expect_err(name);
        assert!(!report.to_string().contains("hunter2"), "{report}");
    }
}

#[test]
fn a_databases_password_is_a_reference_or_refused_and_never_shown() {
    let text = |url: &str| {
        format!(
            "listeners: {{p: {{address: \"127.0.0.1:0\"}}}}\nstore: {{registry: \"{url}\", artifacts: \"gs://b/x\"}}\nproviders: {{a: {{openai: {{endpoints: [{{url: \"http://h/v1\"}}]}}}}}}\nmodels: {{m: {{provider: a}}}}\nroutes: {{r: {{model: m}}}}\n"
        )
    };
    let report_of =
        |url: &str| load_str(&text(url), Path::new("c.yaml"), &|_| Some("hunter2".to_owned())).unwrap_err().to_string();
    let literal = report_of("postgres://u:hunter2@db/r");
    assert!(literal.contains("a secret stands in the file itself") && !literal.contains("hunter2"), "{literal}");
    // The other fault of each is the place of files, so that a good database is seen to be none.
    for good in ["postgres://u:${env:PW}@db/r", "postgres://u@db/r", "sqlite:r.db"] {
        let report = report_of(good);
        assert!(!report.contains("secret") && !report.contains("hunter2"), "{good}: {report}");
        assert!(report.contains("this is no place for files"), "{good}: {report}");
    }
    assert!(report_of("mysql://h/r").contains("this is no database for the registry"));
}
