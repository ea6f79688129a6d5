//! What an answer means: told, to be told again, or refused for good. Owns which is which for each receiver, and that what
//! a receiver said is shown without our secrets.

use super::run;
use super::text::cut;
use bytes::Bytes;
use chrono::DateTime;
use http::header::RETRY_AFTER;
use http::{Response, StatusCode};
use std::time::Duration;
use tidegate_core::spec::{AlertSpec, AlertTo, Runner};
use tidegate_core::{Fault, Secret, Side};

/// The most characters that are shown of what a receiver said.
const SHOWN: usize = 300;
/// The longest that a receiver may ask to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is told.
    Told(String),
    /// It may go another time, not before this has passed where that is said.
    Again(String, Option<Duration>),
    /// It never will.
    Refused(String),
}

impl Verdict {
    /// In words.
    pub(crate) fn says(&self) -> &str {
        match self {
            Self::Told(says) | Self::Again(says, _) | Self::Refused(says) => says,
        }
    }

    /// What this answer, or none, means at `now_ms`.
    pub(super) fn of(spec: &AlertSpec, answered: &Result<Response<Bytes>, Fault>, now_ms: u64) -> Self {
        match answered {
            Err(fault) if fault.side() == Side::Upstream => Self::Again(fault.to_string(), None),
            Err(fault) => Self::Refused(fault.to_string()),
            Ok(response) => Self::of_response(spec, response, now_ms),
        }
    }

    fn of_response(spec: &AlertSpec, response: &Response<Bytes>, now_ms: u64) -> Self {
        let status = response.status();
        let says = said(status, response.body(), &secrets(spec));
        let run = if let AlertTo::Run(run) = &spec.to { Some(&run.by) } else { None };
        match (status.as_u16(), run) {
            // The run has our id: an earlier try started it, and its answer was lost.
            (409, Some(Runner::Airflow { .. })) => Self::Told(says),
            (200..=299, Some(Runner::Dagster { .. })) => match run::refusal_of_dagster(response.body()) {
                None => Self::Told(says),
                Some((why, true)) => Self::Again(hushed(&why, &secrets(spec)), None),
                Some((why, false)) => Self::Refused(hushed(&why, &secrets(spec))),
            },
            (200..=299, _) => Self::Told(says),
            (300..=399, _) => Self::Refused(format!("{says}; redirects are not followed")),
            (408 | 425 | 429 | 500..=599, _) => Self::Again(says, asked_wait(response, now_ms)),
            _ => Self::Refused(says),
        }
    }
}

/// A status and the beginning of a body, in a line.
fn said(status: StatusCode, body: &[u8], secrets: &[&Secret]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * SHOWN)]);
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = hushed(line.trim(), secrets);
    if line.is_empty() { status.to_string() } else { format!("{status}: {line}") }
}

/// A text without these secrets, should a receiver repeat one, and of bounded length.
fn hushed(text: &str, secrets: &[&Secret]) -> String {
    let known = secrets.iter().map(|secret| secret.expose()).filter(|secret| secret.len() >= 4);
    cut(&known.fold(text.to_owned(), |text, secret| text.replace(secret, "***")), SHOWN)
}

fn secrets(spec: &AlertSpec) -> Vec<&Secret> {
    match &spec.to {
        AlertTo::Webhook { secret, .. } => secret.iter().collect(),
        AlertTo::PagerDuty { routing_key, .. } => vec![routing_key],
        AlertTo::Alertmanager { bearer, .. } => bearer.iter().collect(),
        AlertTo::Slack { url } => vec![url],
        AlertTo::Run(run) => run.bearer.iter().chain(&run.basic).collect(),
    }
}

/// How long the receiver asks to wait: seconds, or until a moment.
fn asked_wait(response: &Response<Bytes>, now_ms: u64) -> Option<Duration> {
    let asked = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match asked.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = u64::try_from(DateTime::parse_from_rfc2822(asked).ok()?.timestamp_millis()).ok()?;
            Duration::from_millis(until.saturating_sub(now_ms))
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tidegate_core::FaultKind;
    use tidegate_core::spec::RunSpec;

    fn spec(to: AlertTo) -> AlertSpec {
        AlertSpec { name: "a".parse().unwrap(), to }
    }

    fn pagerduty() -> AlertSpec {
        spec(AlertTo::PagerDuty { url: "https://h/".parse().unwrap(), routing_key: Secret::new("R0UT1NG") })
    }

    fn run_by(by: Runner) -> AlertSpec {
        let url = "http://h".parse().unwrap();
        let run = RunSpec { by, url, bearer: None, basic: None, parameters: json!({}), shown: json!({}) };
        spec(AlertTo::Run(Box::new(run)))
    }

    fn answer(status: u16, body: &str) -> Result<Response<Bytes>, Fault> {
        Ok(Response::builder().status(status).body(Bytes::copy_from_slice(body.as_bytes())).unwrap())
    }

    #[test]
    fn the_status_tells_whether_it_may_go_another_time() {
        let kind = |status: u16| match Verdict::of(&pagerduty(), &answer(status, ""), 0) {
            Verdict::Told(_) => "told",
            Verdict::Again(..) => "again",
            Verdict::Refused(_) => "refused",
        };
        for (status, expected) in [
            (200, "told"),
            (202, "told"),
            (301, "refused"),
            (400, "refused"),
            (404, "refused"),
            (408, "again"),
            (409, "refused"),
            (429, "again"),
            (500, "again"),
            (503, "again"),
        ] {
            assert_eq!(kind(status), expected, "{status}");
        }
        let lost = Err(Fault::new(FaultKind::Unreachable, "no"));
        assert!(matches!(Verdict::of(&pagerduty(), &lost, 0), Verdict::Again(_, None)));
        let ours = Err(Fault::new(FaultKind::InvalidRequest, "no"));
        assert!(matches!(Verdict::of(&pagerduty(), &ours, 0), Verdict::Refused(_)));
    }

    #[test]
    fn a_run_that_is_there_already_is_started() {
        let airflow = run_by(Runner::Airflow { dag: "d".to_owned(), api: 2 });
        assert!(matches!(Verdict::of(&airflow, &answer(409, "exists"), 0), Verdict::Told(_)));
        let prefect = run_by(Runner::Prefect { deployment: "d".to_owned() });
        assert!(matches!(Verdict::of(&prefect, &answer(409, "no such parameter"), 0), Verdict::Refused(_)));
    }

    #[test]
    fn dagster_refuses_with_200() {
        let dagster = run_by(Runner::Dagster { location: "l".into(), repository: "r".into(), job: "j".into() });
        let says = |kind: &str| {
            let body = json!({"data": {"launchRun": {"__typename": kind, "message": "m"}}});
            Verdict::of(&dagster, &answer(200, &body.to_string()), 0)
        };
        assert!(matches!(says("LaunchRunSuccess"), Verdict::Told(_)));
        assert_eq!(says("PipelineNotFoundError"), Verdict::Refused("PipelineNotFoundError: m".to_owned()));
        assert_eq!(says("PythonError"), Verdict::Again("PythonError: m".to_owned(), None));
    }

    #[test]
    fn a_receiver_may_ask_to_wait_for_a_while() {
        let waits = |asked: &str| {
            let mut response = answer(429, "").unwrap();
            response.headers_mut().insert(RETRY_AFTER, asked.parse().unwrap());
            match Verdict::of(&pagerduty(), &Ok(response), 1_445_412_470_000) {
                Verdict::Again(_, wait) => wait,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(waits("7"), Some(Duration::from_secs(7)));
        assert_eq!(waits("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(waits("Wed, 21 Oct 2015 07:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(waits("999999"), Some(LONGEST_WAIT));
        assert_eq!(waits("soon"), None);
    }

    #[test]
    fn what_was_said_is_a_short_line_without_our_secret() {
        let body = format!("bad key R0UT1NG\nas \u{1b}[31mgiven {}", "x".repeat(1000));
        let verdict = Verdict::of(&pagerduty(), &answer(400, &body), 0);
        let says = verdict.says();
        assert!(says.starts_with("400 Bad Request: bad key *** as  [31mgiven xxx"), "{says}");
        assert!(says.chars().count() < 330, "{says}");
    }
}
