//! Runs of what trains again: an alarm starts one, its end none. Owns how a run is named, so that a try whose answer was
//! lost starts no second one where the API has a way to say so (Airflow, Prefect, `generic` by `idempotency-key`). Dagster
//! and Kubeflow Pipelines have none: there a lost answer may start a second run, which has the same tag or name.

mod airflow;
mod dagster;
mod generic;
mod kfp;
mod prefect;

use super::errand::{Errand, Telling};
use tidegate_core::spec::{RunSpec, Runner};

pub(super) use dagster::refusal as refusal_of_dagster;

/// What starts it.
///
/// # Errors
/// An address or a secret makes no request.
pub(super) fn errand(spec: &RunSpec, telling: &Telling<'_>) -> Result<Errand, String> {
    let errand = match &spec.by {
        Runner::Airflow { dag, api } => airflow::errand(spec, dag, *api, telling)?,
        Runner::Prefect { deployment } => prefect::errand(spec, deployment, telling)?,
        Runner::Dagster { location, repository, job } => dagster::errand(spec, [location, repository, job], telling)?,
        Runner::Kfp { pipeline, version, experiment } => {
            kfp::errand(spec, pipeline, [version.as_deref(), experiment.as_deref()], telling)?
        }
        Runner::Generic { path } => generic::errand(spec, path, telling)?,
    };
    errand.bearer(spec.bearer.as_ref())?.basic(spec.basic.as_ref())
}

/// A name that people know the run by: the monitor, and what makes it the only one.
fn name(telling: &Telling<'_>) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    let monitor: String = telling.alarm.monitor.as_str().chars().map(plain).collect();
    let once = telling.once();
    format!("tidegate-{monitor}-{}", once.get(..16).unwrap_or(&once))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::testing::{alarm, telling};
    use serde_json::json;
    use tidegate_core::Secret;

    #[test]
    fn who_we_are_stands_in_the_header() {
        let spec = |bearer: Option<&str>, basic: Option<&str>| RunSpec {
            by: Runner::Generic { path: "/x".to_owned() },
            url: "https://h".parse().unwrap(),
            bearer: bearer.map(Secret::new),
            basic: basic.map(Secret::new),
            parameters: json!({}),
            shown: json!({}),
        };
        let header = |spec: &RunSpec| {
            let errand = telling(&alarm(true), |telling| errand(spec, telling)).unwrap();
            errand.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(header(&spec(Some("t"), None)).as_deref(), Some("Bearer t"));
        assert_eq!(header(&spec(None, Some("u:p"))).as_deref(), Some("Basic dTpw"));
        assert_eq!(header(&spec(None, None)), None);
    }

    #[test]
    fn an_alarm_and_another_one_of_the_same_monitor_have_two_names() {
        let first = alarm(true);
        let mut second = alarm(true);
        second.since_ms += 1;
        let mut odd = alarm(true);
        odd.monitor = "a/b@c:d".parse().unwrap();
        let [first, again, second, odd] = [&first, &first, &second, &odd].map(|alarm| telling(alarm, name));
        assert!(first == again && first != second, "{first} {second}");
        assert!(first.starts_with("tidegate-fraud-drift-") && odd.starts_with("tidegate-a_b_c_d-"), "{first} {odd}");
    }
}
