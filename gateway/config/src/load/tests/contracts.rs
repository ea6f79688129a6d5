//! What inputs of classic models are held to, by where these run.

use super::*;
use tidegate_core::spec::SignatureSpec;

/// A configuration with one model of one provider.
fn of(provider: &str, model: &str) -> String {
    let registry = if model.contains("@kept") { "store: {registry: \"sqlite:r.db\"}\n" } else { "" };
    format!(
        "listeners: {{public: {{address: 127.0.0.1:0}}}}\nproviders: {{p: {provider}}}\nmodels: {{m: {{provider: p, {model}}}}}\n\
         routes: {{r: {{model: m}}}}\n{registry}"
    )
}

#[test]
fn contracts_are_kept_where_their_models_run() {
    let classic = "{tf_serving: {endpoints: [{url: http://127.0.0.1:1}]}}";
    let local = "{local: {}}";
    for (provider, model, fault) in [
        (classic, "contract: {}", "says nothing that inputs are held to"),
        (classic, "contract: {signature: true}", "is said of models that run in this process"),
        (classic, "contract: {of: \"models:/fraud@champion\"}", "there is none"),
        (classic, "contract: {of: \"models:/fraud\"}", "this is no model of the registry"),
        (classic, "contract: {of: nowhere.json}", "the signature nowhere.json cannot be read"),
        (
            "{openai: {endpoints: [{url: http://127.0.0.1:1/v1}]}}",
            "contract: {suite: nowhere.json}",
            "serves no classic models",
        ),
        (local, "source: \"models:/fraud@kept\", contract: {of: \"models:/fraud@kept\"}", "of its own version"),
    ] {
        let report = load_str(&of(provider, model), Path::new("x.yaml"), &env).map(|_| ()).expect_err(model);
        assert!(report.findings.iter().any(|finding| finding.message.contains(fault)), "{model}: {report}");
        assert!(report.findings.iter().all(|finding| finding.remedy.is_some()), "no remedy: {report}");
    }
    let loaded = load_str(&of(classic, "contract: {of: \"models:/fraud@kept\"}"), Path::new("x.yaml"), &env).unwrap();
    let contract = loaded.spec.models.values().next().unwrap().contract.clone().unwrap();
    assert_eq!(contract.of, Some(SignatureSpec::Registry("models:/fraud@kept".parse().unwrap())));
}
