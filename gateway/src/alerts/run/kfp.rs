//! Kubeflow Pipelines: `POST /apis/v2beta1/runs`. A pipeline refuses parameters that it does not have, so the alarm is
//! told in the run's description.

use crate::alerts::errand::{Errand, Telling, join};
use crate::alerts::text::cut;
use serde_json::json;
use tidegate_core::spec::RunSpec;

/// The most characters of a description, which is a column of a table.
const DESCRIPTION: usize = 255;

/// What starts it. `of` are the version and the experiment, where they are named.
pub(super) fn errand(
    spec: &RunSpec,
    pipeline: &str,
    of: [Option<&str>; 2],
    telling: &Telling<'_>,
) -> Result<Errand, String> {
    let [version, experiment] = of;
    let mut reference = json!({"pipeline_id": pipeline});
    if let Some(version) = version {
        reference["pipeline_version_id"] = json!(version);
    }
    let alarm = telling.alarm;
    let mut body = json!({
        "display_name": super::name(telling),
        "description": cut(&format!("{} ({} of route {})", alarm.summary, alarm.monitor, alarm.route), DESCRIPTION),
        "pipeline_version_reference": reference,
        "runtime_config": {"parameters": spec.parameters},
    });
    if let Some(experiment) = experiment {
        body["experiment_id"] = json!(experiment);
    }
    Ok(Errand::post(join(&spec.url, "/apis/v2beta1/runs")?, &body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::testing::{alarm, json as read, telling};
    use tidegate_core::spec::Runner;

    #[test]
    fn a_run_refers_to_its_pipeline_and_to_what_else_is_named() {
        let started = |of: [Option<&str>; 2]| {
            let spec = RunSpec {
                by: Runner::Kfp { pipeline: "p".to_owned(), version: None, experiment: None },
                url: "http://127.0.0.1:8888".parse().unwrap(),
                bearer: None,
                basic: None,
                parameters: json!({"epochs": 3}),
                shown: json!({}),
            };
            let errand = telling(&alarm(true), |telling| errand(&spec, "p", of, telling)).unwrap();
            assert_eq!(errand.url, "http://127.0.0.1:8888/apis/v2beta1/runs");
            read(&errand.body)
        };
        let name = telling(&alarm(true), super::super::name);
        let description = "amount has drifted: psi 0.31 > 0.2 & <more> (fraud-drift of route fraud)";
        let mut expected = json!({
            "display_name": name, "description": description, "pipeline_version_reference": {"pipeline_id": "p"},
            "runtime_config": {"parameters": {"epochs": 3}},
        });
        assert_eq!(started([None, None]), expected);
        expected["pipeline_version_reference"]["pipeline_version_id"] = json!("v");
        expected["experiment_id"] = json!("e");
        assert_eq!(started([Some("v"), Some("e")]), expected);
    }
}
