//! Airflow: `POST /api/v2/dags/{dag}/dagRuns`, or `/api/v1/…` before its third major version. The id of the run is the
//! alarm's, so that a second one is answered with 409.

use crate::alerts::errand::{Errand, Telling, join};
use crate::alerts::text::cut;
use serde_json::{Value, json};
use tidegate_core::spec::RunSpec;

/// The most characters of a note.
const NOTE: usize = 1000;

/// What starts it.
pub(super) fn errand(spec: &RunSpec, dag: &str, api: u8, telling: &Telling<'_>) -> Result<Errand, String> {
    let mut conf = spec.parameters.as_object().cloned().unwrap_or_default();
    conf.insert("alarm".to_owned(), json!(telling.alarm));
    let mut body = json!({"dag_run_id": super::name(telling), "conf": Value::Object(conf)});
    if api != 1 {
        // It has to be there. A run by hand has none; a moment would be one that only one run of the DAG may have.
        body["logical_date"] = Value::Null;
        body["note"] = json!(cut(&telling.alarm.summary, NOTE));
    }
    Ok(Errand::post(join(&spec.url, &format!("/api/v{api}/dags/{dag}/dagRuns"))?, &body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::testing::{alarm, json as read, telling};
    use tidegate_core::spec::Runner;

    #[test]
    fn each_version_has_its_path_and_its_members() {
        let started = |api: u8| {
            let spec = RunSpec {
                by: Runner::Airflow { dag: "retrain".to_owned(), api },
                url: "http://127.0.0.1:8080".parse().unwrap(),
                bearer: None,
                basic: None,
                parameters: json!({"epochs": 3}),
                shown: json!({}),
            };
            let errand = telling(&alarm(true), |telling| errand(&spec, "retrain", api, telling)).unwrap();
            (errand.url.to_string(), read(&errand.body))
        };
        let conf = json!({"epochs": 3, "alarm": alarm(true)});
        let name = telling(&alarm(true), super::super::name);
        let expected = json!({"dag_run_id": name, "conf": conf});
        assert_eq!(started(1), ("http://127.0.0.1:8080/api/v1/dags/retrain/dagRuns".to_owned(), expected));
        let expected = json!({
            "dag_run_id": name, "conf": conf, "logical_date": null,
            "note": "amount has drifted: psi 0.31 > 0.2 & <more>",
        });
        assert_eq!(started(2), ("http://127.0.0.1:8080/api/v2/dags/retrain/dagRuns".to_owned(), expected));
    }
}
