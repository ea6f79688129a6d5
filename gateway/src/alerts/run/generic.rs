//! Anything that a POST can start: the parameters and the alarm, with a key by which a second one is known.

use crate::alerts::errand::{Errand, Telling, join};
use serde_json::json;
use tidegate_core::spec::RunSpec;

/// What starts it.
pub(super) fn errand(spec: &RunSpec, path: &str, telling: &Telling<'_>) -> Result<Errand, String> {
    let body = json!({
        "version": 1, "alert": telling.alert, "run": super::name(telling), "parameters": spec.parameters,
        "alarm": telling.alarm,
    });
    Errand::post(join(&spec.url, path)?, &body).with("idempotency-key", &telling.once())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::testing::{alarm, json as read, telling};
    use tidegate_core::spec::Runner;

    #[test]
    fn the_parameters_go_beside_the_alarm() {
        let spec = RunSpec {
            by: Runner::Generic { path: "/hooks/retrain".to_owned() },
            url: "https://ci.example".parse().unwrap(),
            bearer: None,
            basic: None,
            parameters: json!({"branch": "main"}),
            shown: json!({}),
        };
        let errand = telling(&alarm(true), |telling| errand(&spec, "/hooks/retrain", telling)).unwrap();
        let (name, once) = telling(&alarm(true), |telling| (super::super::name(telling), telling.once()));
        assert_eq!(errand.url, "https://ci.example/hooks/retrain");
        assert_eq!(errand.headers["idempotency-key"], once.as_str());
        let expected = json!({
            "version": 1, "alert": "duty", "run": name, "parameters": {"branch": "main"}, "alarm": alarm(true),
        });
        assert_eq!(read(&errand.body), expected);
    }
}
