//! `alerts`: who is told of a monitor's alarms, and what is started by them.

use super::Desk;
use super::provider::Url;
use crate::json::Json;
use crate::place::Place;
use crate::scalar::{At, Count, Flaw, Scalar, Text};
use crate::shape::{Item, Placed as _, choice, record};
use http::{HeaderValue, Uri};
use std::net::IpAddr;
use tidegate_core::spec::{AlertSpec, AlertTo, RunSpec, Runner};
use tidegate_core::{AlertName, Secret};

/// Where PagerDuty takes events.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

choice! {
    /// Someone who is told of alarms, or something that is started by them.
    AlertFile {
        maps {
            /// A POST of Tidegate's own JSON.
            Webhook(WebhookFile) = "webhook",
            /// PagerDuty, by its Events API v2.
            PagerDuty(PagerDutyFile) = "pagerduty",
            /// Alertmanager, by its API v2.
            Alertmanager(AlertmanagerFile) = "alertmanager",
            /// An incoming webhook of Slack, or of what takes the same.
            Slack(SlackFile) = "slack",
            /// A run of an Airflow DAG.
            Airflow(Box<AirflowFile>) = "airflow",
            /// A run of a Prefect deployment.
            Prefect(Box<PrefectFile>) = "prefect",
            /// A run of a Dagster job.
            Dagster(Box<DagsterFile>) = "dagster",
            /// A run of a pipeline of Kubeflow Pipelines.
            Kfp(Box<KfpFile>) = "kfp",
            /// A POST of the parameters and the alarm, by which anything can be started.
            Generic(Box<GenericFile>) = "generic",
        }
    }
}

record! {
    /// A POST of Tidegate's own JSON.
    WebhookFile {
        required {
            /// Where to.
            url: At<Address>,
        }
        optional {
            /// With which it is signed, in `x-tidegate-signature`; it is not signed by default.
            secret: At<Secret>,
        }
    }
}

record! {
    /// PagerDuty, by its Events API v2.
    PagerDutyFile {
        required {
            /// The key of the integration.
            routing_key: At<Secret>,
        }
        optional {
            /// Where events are taken; `https://events.pagerduty.com/v2/enqueue` by default.
            url: At<Address>,
        }
    }
}

record! {
    /// Alertmanager, by its API v2.
    AlertmanagerFile {
        required {
            /// Its address, without `/api/v2`.
            url: At<Url>,
        }
        optional {
            /// The token that it asks for; none by default.
            bearer: At<Secret>,
        }
    }
}

record! {
    /// An incoming webhook of Slack, or of what takes the same.
    SlackFile {
        required {
            /// Where to; the address is the secret.
            url: At<Secret>,
        }
    }
}

record! {
    /// A run of an Airflow DAG.
    AirflowFile {
        required {
            /// Its address, without `/api`.
            url: At<Url>,
            /// The DAG.
            dag: At<Word>,
        }
        optional {
            /// The version of its API: 2 by default, 1 for an Airflow before 3.
            api: At<Count>,
            /// The token that it asks for.
            bearer: At<Secret>,
            /// Or `USER:PASSWORD`.
            basic: At<Secret>,
            /// What is in the run's `conf` beside `alarm`.
            parameters: Json,
        }
    }
}

record! {
    /// A run of a Prefect deployment.
    PrefectFile {
        required {
            /// Its address, without `/api`; of Prefect Cloud with it, up to the workspace.
            url: At<Url>,
            /// The id of the deployment.
            deployment: At<Word>,
        }
        optional {
            /// The token that it asks for.
            bearer: At<Secret>,
            /// Or `USER:PASSWORD`.
            basic: At<Secret>,
            /// The run's parameters; the alarm is in its context.
            parameters: Json,
        }
    }
}

record! {
    /// A run of a Dagster job.
    DagsterFile {
        required {
            /// Its address, without `/graphql`.
            url: At<Url>,
            /// The location of the repository.
            location: At<Text>,
            /// The job.
            job: At<Text>,
        }
        optional {
            /// The repository; `__repository__` by default, as where code is a module of definitions.
            repository: At<Text>,
            /// The token that it asks for.
            bearer: At<Secret>,
            /// Or `USER:PASSWORD`.
            basic: At<Secret>,
            /// The run's configuration; the alarm is in its tags.
            parameters: Json,
        }
    }
}

record! {
    /// A run of a pipeline of Kubeflow Pipelines.
    KfpFile {
        required {
            /// Its address, without `/apis`.
            url: At<Url>,
            /// The id of the pipeline.
            pipeline: At<Word>,
        }
        optional {
            /// The id of its version; the newest by default.
            version: At<Word>,
            /// The id of the experiment; the default one by default.
            experiment: At<Word>,
            /// The token that it asks for.
            bearer: At<Secret>,
            /// Or `USER:PASSWORD`.
            basic: At<Secret>,
            /// The run's parameters; the alarm is in its description.
            parameters: Json,
        }
    }
}

record! {
    /// A POST of the parameters and the alarm, by which anything can be started.
    GenericFile {
        required {
            /// Its address.
            url: At<Url>,
            /// The path there, such as `/hooks/retrain`.
            path: At<HttpPath>,
        }
        optional {
            /// The token that it asks for.
            bearer: At<Secret>,
            /// Or `USER:PASSWORD`.
            basic: At<Secret>,
            /// What is in the body's `parameters`, beside `alarm`.
            parameters: Json,
        }
    }
}

/// An address of the web, where a query may stand: it is the whole of it, and nothing is put behind it.
#[derive(Debug, Clone)]
pub(crate) struct Address(Uri);

impl Scalar for Address {
    const WHAT: &'static str = "an address such as `https://example.com/hook`";

    fn parse(text: &str) -> Result<Self, Flaw> {
        let (bare, query) = text.split_once('?').map_or((text, ""), |(bare, query)| (bare, query));
        if query.contains('#') {
            return Err(Flaw::why("it has a fragment").mend("leave it out"));
        }
        // Host, port, scheme and credentials are judged as everywhere.
        Url::parse(bare).map_err(|flaw| match flaw.why.as_deref() {
            Some("it carries credentials") => Flaw::why("it carries credentials").mend("leave them out"),
            Some("it has a query or fragment") => Flaw::why("it has a fragment").mend("leave it out"),
            _ => flaw,
        })?;
        text.parse().map(Self).map_err(|_| Flaw::default())
    }
}

/// An id as it may stand in a path.
#[derive(Debug, Clone)]
pub(crate) struct Word(String);

impl Scalar for Word {
    const WHAT: &'static str = "an id of letters, digits, `_`, `-` and `.`";

    fn parse(text: &str) -> Result<Self, Flaw> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
        let fits = (1..=250).contains(&text.len()) && text.bytes().all(is_plain) && !text.starts_with('.');
        if fits { Ok(Self(text.to_owned())) } else { Err(Flaw::default().mend("write it as it stands in its address")) }
    }
}

/// A path at a server.
#[derive(Debug, Clone)]
pub(crate) struct HttpPath(String);

impl Scalar for HttpPath {
    const WHAT: &'static str = "a path such as `/hooks/retrain`";

    fn parse(text: &str) -> Result<Self, Flaw> {
        let is_path = text.starts_with('/') && !text.starts_with("//") && !text.contains(['#', '?']);
        let fits = is_path && text.parse::<http::uri::PathAndQuery>().is_ok();
        if fits { Ok(Self(text.to_owned())) } else { Err(Flaw::default().mend("it starts with `/` and has no query")) }
    }
}

/// The alert of an entry.
pub(crate) fn check(item: Item<AlertFile>, desk: &mut Desk<'_>) -> Option<AlertSpec> {
    let name = super::name::<AlertName>(&item.name, &item.at, desk);
    let to = match item.value? {
        AlertFile::Webhook(raw) => {
            let secret = raw.secret.map(|secret| desk.secret(secret));
            raw.url.and_then(|url| address(&url, desk)).map(|url| AlertTo::Webhook { url, secret })
        }
        AlertFile::PagerDuty(raw) => pagerduty(raw, desk),
        AlertFile::Alertmanager(raw) => {
            let bearer = raw.bearer.map(|bearer| header(bearer, desk));
            raw.url.and_then(|url| server(&url, desk)).map(|url| AlertTo::Alertmanager { url, bearer })
        }
        AlertFile::Slack(raw) => raw.url.and_then(|url| slack(url, desk)).map(|url| AlertTo::Slack { url }),
        AlertFile::Airflow(raw) => {
            let api = api(raw.api.as_ref(), desk);
            if raw.parameters.as_ref().is_some_and(|given| given.value.get("alarm").is_some()) {
                desk.notes
                    .fault(raw.at(), "`alarm` is what the alarm is called among the parameters")
                    .remedy("call this parameter otherwise");
            }
            let by = raw.dag.map(|dag| Runner::Airflow { dag: dag.value.0, api });
            run(by, raw.url, (raw.bearer, raw.basic), raw.parameters, desk)
        }
        AlertFile::Prefect(raw) => {
            let by = raw.deployment.and_then(|given| deployment(given, desk));
            run(by, raw.url, (raw.bearer, raw.basic), raw.parameters, desk)
        }
        AlertFile::Dagster(raw) => {
            let repository = raw.repository.map_or_else(|| "__repository__".to_owned(), |given| given.value.0);
            let by = raw.location.zip(raw.job);
            let by =
                by.map(|(location, job)| Runner::Dagster { location: location.value.0, repository, job: job.value.0 });
            run(by, raw.url, (raw.bearer, raw.basic), raw.parameters, desk)
        }
        AlertFile::Kfp(raw) => {
            let (version, experiment) = (raw.version.map(|it| it.value.0), raw.experiment.map(|it| it.value.0));
            let by = raw.pipeline.map(|pipeline| Runner::Kfp { pipeline: pipeline.value.0, version, experiment });
            run(by, raw.url, (raw.bearer, raw.basic), raw.parameters, desk)
        }
        AlertFile::Generic(raw) => {
            let by = raw.path.map(|path| Runner::Generic { path: path.value.0 });
            run(by, raw.url, (raw.bearer, raw.basic), raw.parameters, desk)
        }
    };
    Some(AlertSpec { name: name?, to: to? })
}

fn pagerduty(raw: PagerDutyFile, desk: &mut Desk<'_>) -> Option<AlertTo> {
    let routing_key = raw.routing_key.map(|key| desk.secret(key));
    let url = match raw.url {
        None => PAGERDUTY.parse().ok(),
        Some(url) => address(&url, desk),
    };
    Some(AlertTo::PagerDuty { url: url?, routing_key: routing_key? })
}

/// What Slack gives out is a capability: who has the address may write.
fn slack(url: At<Secret>, desk: &mut Desk<'_>) -> Option<Secret> {
    let at = url.at.clone();
    let is_referred = url.is_referred;
    let secret = desk.secret(url);
    match Address::parse(secret.expose()) {
        Ok(Address(uri)) => {
            refuse_open(&uri, &at, desk);
            Some(secret)
        }
        // Nothing of it is shown, not even why.
        Err(_) if is_referred => {
            desk.notes
                .fault(&at, "what the reference stands for is no address of a webhook")
                .remedy("it starts with `https://`, as the page of the webhook shows it");
            None
        }
        Err(_) => None,
    }
}

fn api(given: Option<&At<Count>>, desk: &mut Desk<'_>) -> u8 {
    match given.map(|given| given.value.0) {
        None | Some(2) => 2,
        Some(1) => 1,
        Some(_) => {
            if let Some(given) = given {
                desk.notes
                    .fault(&given.at, "Airflow has no such version of its API")
                    .remedy("write 2, or 1 for an Airflow before 3");
            }
            2
        }
    }
}

fn deployment(given: At<Word>, desk: &mut Desk<'_>) -> Option<Runner> {
    let text = &given.value.0;
    let is_dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let fits = text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| if is_dash(at) { b == b'-' } else { b.is_ascii_hexdigit() });
    if !fits {
        desk.notes
            .fault(&given.at, "this is no id of a deployment")
            .remedy("write the UUID that `prefect deployment inspect FLOW/DEPLOYMENT` shows");
        return None;
    }
    Some(Runner::Prefect { deployment: given.value.0 })
}

fn run(
    by: Option<Runner>,
    url: Option<At<Url>>,
    (bearer, basic): (Option<At<Secret>>, Option<At<Secret>>),
    parameters: Option<Json>,
    desk: &mut Desk<'_>,
) -> Option<AlertTo> {
    if let (Some(_), Some(basic)) = (&bearer, &basic) {
        desk.notes
            .fault(&basic.at, "`bearer` and `basic` both say who we are")
            .remedy("keep the one that the server asks for");
    }
    if let Some(basic) = basic.as_ref().filter(|basic| basic.is_referred && !basic.value.expose().contains(':')) {
        desk.notes
            .fault(&basic.at, "what the reference stands for has no `:` between user and password")
            .remedy("write `USER:PASSWORD` there");
    }
    let bearer = bearer.map(|bearer| header(bearer, desk));
    let basic = basic.map(|basic| desk.secret(basic));
    let url = url.and_then(|url| server(&url, desk));
    let Json { value: parameters, shown } = parameters.unwrap_or_else(Json::nothing);
    Some(AlertTo::Run(Box::new(RunSpec { by: by?, url: url?, bearer, basic, parameters, shown })))
}

/// A secret that goes into a header.
fn header(given: At<Secret>, desk: &mut Desk<'_>) -> Secret {
    if HeaderValue::from_str(given.value.expose()).is_err() {
        desk.notes
            .fault(&given.at, "this secret fits into no header")
            .remedy("see that it has no line break and no other odd character");
    }
    desk.secret(given)
}

fn server(given: &At<Url>, desk: &mut Desk<'_>) -> Option<Uri> {
    refuse_open(&given.value.0, &given.at, desk).then(|| given.value.0.clone())
}

/// The address of a webhook. What stands in its query often is a key.
fn address(given: &At<Address>, desk: &mut Desk<'_>) -> Option<Uri> {
    let uri = &given.value.0;
    if uri.query().is_some() && !given.is_referred {
        desk.notes.conceal(&given.at);
        desk.notes.fault(&given.at, "a secret may stand in the query of this address").remedy(
            "put the address into the environment or a file of its own and write `${env:NAME}` or `${file:PATH}`",
        );
        return None;
    }
    refuse_open(uri, &given.at, desk).then(|| uri.clone())
}

/// Whether nobody on the way can read what is sent: by https, or within the own network.
fn refuse_open(uri: &Uri, at: &Place, desk: &mut Desk<'_>) -> bool {
    let is_safe = uri.scheme_str() == Some("https") || uri.host().is_some_and(is_near);
    if !is_safe {
        desk.notes
            .fault(at, "alarms and secrets would go through the open network as plain text")
            .remedy("write `https://…`; `http://` is for this machine and private addresses");
    }
    is_safe
}

/// Whether a host is in the own network, as far as its name tells.
fn is_near(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.segments()[0] & 0xFE00 == 0xFC00,
        Err(_) => {
            // A name without a dot is looked up in one's own domain only; the others belong to nobody by their standards,
            // or to a cluster.
            const NEAR: [&str; 7] = ["localhost", "local", "internal", "lan", "home.arpa", "svc", "test"];
            let name = bare.trim_end_matches('.').to_ascii_lowercase();
            !name.contains('.')
                || NEAR.iter().any(|near| name.strip_suffix(near).is_some_and(|rest| rest.ends_with('.')))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_only_the_own_network_knows_may_be_spoken_to_without_tls() {
        for near in [
            "127.0.0.1",
            "[::1]",
            "10.1.2.3",
            "192.168.0.9",
            "[fd00::1]",
            "localhost",
            "alertmanager",
            "am.monitoring.svc",
            "am.monitoring.svc.cluster.local",
            "airflow.corp.internal",
        ] {
            assert!(is_near(near), "{near}");
        }
        for far in
            ["example.com", "8.8.8.8", "169.254.169.254", "[2001:4860::1]", "localhost.example", "mylocal.example"]
        {
            assert!(!is_near(far), "{far}");
        }
    }

    #[test]
    fn addresses_of_webhooks_may_have_a_query() {
        for good in ["https://h/a?b=c", "https://h", "http://h:1/a/b"] {
            assert!(Address::parse(good).is_ok(), "{good}");
        }
        for bad in
            ["", "h/a", "ftp://h/", "https://u:p@h/", "https://h/#a", "https://h/?a#b", "https://h:x/", "https://?a"]
        {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
