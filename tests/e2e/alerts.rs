//! Alerts: each receiver takes what is sent, the strict ones that refuse what the real ones refuse, and a real Alertmanager.

use crate::harness::upstream::{Act, Seen};
use crate::harness::{Client, Home, Upstream, eventually, home, may_be_left_out, receivers};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A receiver, a configuration that names it, and who may be started by it.
struct Stage {
    receiver: Upstream,
    home: Home,
}

impl Stage {
    /// `alert` is the entry, with `URL` for the receiver's address.
    async fn new(receiver: fn(&Seen) -> Act, alert: &str) -> Self {
        let stage = Self { receiver: Upstream::start().await, home: Home::new() };
        stage.receiver.always(Act::By(receiver));
        stage.configure(alert);
        stage
    }

    fn configure(&self, alert: &str) {
        let url = self.receiver.url();
        let alert = alert.replace("URL", url.strip_suffix("/v1").expect("the path of its models"));
        let rest = "\
providers: {p: {openai: {endpoints: [{url: \"http://127.0.0.1:9/v1\"}]}}}
models: {m: {provider: p}}
routes: {shop: {model: m}}
";
        self.home.write("keys.yaml", "[]\n");
        self.home.write("config.yaml", &format!("{}{rest}alerts: {{it: {alert}}}\n", home::BASE));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(home::PROGRAM);
        command.args(["alert", "test"]).args(arguments).args(["--config", "config.yaml"]);
        let slack = self.receiver.url().replace("/v1", &format!("/services/T0/B0/{}", receivers::SECRET));
        for (name, value) in [
            ("ROUTING_KEY", receivers::ROUTING_KEY),
            ("SECRET", receivers::SECRET),
            ("LOGIN", receivers::LOGIN),
            ("SLACK", &slack),
        ] {
            command.env(name, value);
        }
        command
    }

    /// Tests the alert; the code and what it printed.
    fn test(&self) -> (i32, Value, String) {
        let ran = home::Ran::of(self.command(&["it", "--json"]).output().expect("the program runs"));
        for secret in [receivers::ROUTING_KEY, receivers::SECRET, receivers::LOGIN] {
            assert!(!ran.out().contains(secret) && !ran.err().contains(secret), "{}{}", ran.out(), ran.err());
        }
        let said = serde_json::from_str(&ran.out()).unwrap_or_default();
        (ran.code(), said, ran.err())
    }
}

/// The receiver takes alarm and end; what it was sent.
async fn takes_both(receiver: fn(&Seen) -> Act, alert: &str) -> (Value, Value) {
    let stage = Stage::new(receiver, alert).await;
    let (code, said, err) = stage.test();
    assert_eq!(code, 0, "{said:#} {err}");
    assert_eq!((&said["came"]["alarm"]["result"], &said["came"]["end"]["result"]), (&json!("taken"), &json!("taken")));
    let seen = stage.receiver.seen();
    assert_eq!(seen.len(), 2);
    (seen[0].json(), seen[1].json())
}

/// A run is started by the alarm, and nothing by its end; what was sent.
async fn starts_one(receiver: fn(&Seen) -> Act, alert: &str) -> Value {
    let stage = Stage::new(receiver, alert).await;
    let (code, said, err) = stage.test();
    assert_eq!(code, 0, "{said:#} {err}");
    assert_eq!(
        (&said["came"]["alarm"]["result"], &said["came"]["end"]["result"]),
        (&json!("taken"), &json!("not sent"))
    );
    assert_eq!(stage.receiver.count(), 1);
    stage.receiver.last().json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pagerduty_takes_an_alarm_and_its_end() {
    let alert = "{pagerduty: {routing_key: \"${env:ROUTING_KEY}\", url: \"URL/v2/enqueue\"}}";
    let (begin, end) = takes_both(receivers::pagerduty, alert).await;
    assert_eq!((&begin["event_action"], &end["event_action"]), (&json!("trigger"), &json!("resolve")));
    assert_eq!(begin["dedup_key"], end["dedup_key"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alertmanager_takes_an_alarm_and_its_end() {
    let alert = "{alertmanager: {url: URL, bearer: \"${env:SECRET}\"}}";
    let (begin, end) = takes_both(receivers::alertmanager, alert).await;
    assert_eq!(begin[0]["labels"], end[0]["labels"]);
    assert!(begin[0]["endsAt"].as_str() > end[0]["endsAt"].as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slack_takes_an_alarm_and_its_end() {
    let (begin, _) = takes_both(receivers::slack, "{slack: {url: \"${env:SLACK}\"}}").await;
    assert!(begin["text"].as_str().is_some_and(|text| text.contains("This is a test of the alert")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_webhook_is_signed() {
    let alert = "{webhook: {url: \"URL/hook\", secret: \"${env:SECRET}\"}}";
    let (begin, end) = takes_both(receivers::webhook, alert).await;
    assert_eq!((&begin["status"], &end["status"]), (&json!("firing"), &json!("resolved")));
    assert_ne!(begin["delivery"], end["delivery"]);
    // With another secret the receiver takes neither.
    let alert = "{webhook: {url: \"URL/hook\", secret: \"${env:ROUTING_KEY}\"}}";
    let (code, said, err) = Stage::new(receivers::webhook, alert).await.test();
    assert_eq!((code, &said["came"]["alarm"]["result"]), (1, &json!("refused")), "{err}");
    assert!(said["came"]["alarm"]["says"].as_str().is_some_and(|says| says.contains("another one's")), "{said:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn airflow_runs_a_dag() {
    let alert = |api: u8| {
        format!(
            "{{airflow: {{url: URL, dag: retrain, api: {api}, basic: \"${{env:LOGIN}}\", parameters: {{epochs: 3}}}}}}"
        )
    };
    let run = starts_one(receivers::airflow1, &alert(1)).await;
    assert_eq!(run["conf"]["alarm"]["route"], "shop");
    let run = starts_one(receivers::airflow2, &alert(2)).await;
    assert!(run["dag_run_id"].as_str().is_some_and(|id| id.starts_with("tidegate-tidegate-test-")), "{run:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prefect_runs_a_deployment() {
    let alert = format!(
        "{{prefect: {{url: URL, deployment: {}, basic: \"${{env:LOGIN}}\", parameters: {{epochs: 3}}}}}}",
        receivers::DEPLOYMENT
    );
    let run = starts_one(receivers::prefect, &alert).await;
    assert_eq!(run["tags"], json!(["tidegate", "monitor:tidegate-test"]));
    let (code, said, _) = Stage::new(receivers::prefect, &alert.replace("epochs", "other")).await.test();
    assert_eq!((code, &said["came"]["alarm"]["result"]), (1, &json!("refused")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dagster_runs_a_job() {
    let alert =
        "{dagster: {url: URL, location: training, job: JOB, parameters: {ops: {train: {config: {epochs: 3}}}}}}";
    starts_one(receivers::dagster, &alert.replace("JOB", "retrain")).await;
    let stage = Stage::new(receivers::dagster, &alert.replace("JOB", "other")).await;
    let (code, said, _) = stage.test();
    assert_eq!((code, &said["came"]["alarm"]["result"]), (1, &json!("refused")));
    assert!(said["came"]["alarm"]["says"].as_str().is_some_and(|says| says.starts_with("PipelineNotFoundError")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubeflow_and_anything_else_run_what_they_have() {
    let alert = "{kfp: {url: URL, pipeline: p1, version: v2, experiment: e3, bearer: \"${env:SECRET}\", parameters: {epochs: 3}}}";
    let run = starts_one(receivers::kfp, alert).await;
    assert_eq!(run["pipeline_version_reference"], json!({"pipeline_id": "p1", "pipeline_version_id": "v2"}));
    let run =
        starts_one(receivers::generic, "{generic: {url: URL, path: /hooks/retrain, parameters: {b: main}}}").await;
    assert_eq!(run["parameters"], json!({"b": "main"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_back_is_printed_and_decides_the_code() {
    let alert = "{webhook: {url: \"URL/hook\"}}";
    let stage = Stage::new(receivers::webhook, alert).await;
    let ran = home::Ran::of(stage.command(&["it"]).output().expect("the program runs"));
    assert_eq!(ran.code(), 1);
    assert!(ran.out().starts_with("alarm  refused: 401 Unauthorized"), "{}", ran.out());
    // A redirect is not followed.
    stage.receiver.always(Act::Answer(307, vec![("location", "http://127.0.0.1:9/".to_owned())], "".into()));
    let (code, said, _) = stage.test();
    assert_eq!(code, 1);
    assert!(said["came"]["alarm"]["says"].as_str().is_some_and(|says| says.ends_with("redirects are not followed")));
    // One that cannot say yes now is told apart.
    stage.receiver.always(Act::Answer(503, vec![], "".into()));
    assert_eq!(stage.test().1["came"]["end"]["result"], "not now");
    let ran = home::Ran::of(stage.command(&["its"]).output().expect("the program runs"));
    assert!(ran.code() == 2 && ran.err().contains("it has it"), "{}", ran.err());
}

/// Debian's Alertmanager on a port of its own.
struct Alertmanager {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Alertmanager {
    /// Starts one; `None` where it is not installed.
    async fn start() -> Option<Self> {
        let names = ["prometheus-alertmanager", "alertmanager"];
        let is_there = |name: &&&str| {
            Command::new(name).arg("--version").stderr(Stdio::null()).stdout(Stdio::null()).status().is_ok()
        };
        let program = names.iter().find(is_there)?;
        let folder = TempDir::with_prefix("tidegate-alertmanager-").expect("a temporary folder");
        std::fs::write(folder.path().join("c.yml"), "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
            .expect("written");
        // It takes an address and tells nobody which: one that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|taken| taken.local_addr()).expect("a port").port();
        let process = Command::new(program)
            .args(["--config.file=c.yml", "--storage.path=data", "--cluster.listen-address="])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let server = Self { process, port, _folder: folder };
        let client = server.client();
        eventually("Alertmanager to be ready", async || {
            drop(client.try_connect().await.ok()?);
            (client.send("GET", "/-/ready", &[], b"").await.status() == 200).then_some(())
        })
        .await;
        Some(server)
    }

    fn client(&self) -> Client {
        Client::of(([127, 0, 0, 1], self.port).into())
    }

    /// The alerts that it holds for active.
    async fn active(&self) -> Vec<Value> {
        let answer = self.client().send("GET", "/api/v2/alerts?active=true", &[], b"").await;
        serde_json::from_str(&answer.text()).expect("a list")
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_alertmanager_holds_an_alarm_until_its_end() {
    let Some(server) = Alertmanager::start().await else {
        assert!(may_be_left_out("a real Alertmanager", "Debian's package prometheus-alertmanager"));
        return;
    };
    // Between the two stands a receiver that keeps the end back until the alarm was looked at.
    let stage = Stage::new(receivers::alertmanager, "{alertmanager: {url: URL, bearer: \"${env:SECRET}\"}}").await;
    assert_eq!(stage.test().0, 0);
    let told: Vec<Seen> = stage.receiver.seen();
    let hand_on = async |seen: &Seen| {
        let headers = [("content-type", "application/json")];
        let answer = server.client().send("POST", &seen.path, &headers, &seen.body).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
    };
    hand_on(&told[0]).await;
    let active = server.active().await;
    assert_eq!(active.len(), 1, "{active:#?}");
    assert_eq!(active[0]["labels"]["monitor"], "tidegate-test");
    assert_eq!(active[0]["status"]["state"], "active");
    hand_on(&told[1]).await;
    eventually("the alert to be over", async || server.active().await.is_empty().then_some(())).await;
    // And by itself, without anybody between.
    stage.configure(&format!("{{alertmanager: {{url: \"http://127.0.0.1:{}\"}}}}", server.port));
    let (code, said, err) = stage.test();
    assert_eq!(code, 0, "{said:#} {err}");
    eventually("the second one to be over", async || server.active().await.is_empty().then_some(())).await;
}
