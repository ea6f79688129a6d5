//! Monitors on real data: scikit-learn's breast-cancer table (569 tumours, 30 numbers of each) as calls of a route that two
//! versions of a registered model serve. Its first half is the baseline, its second half what is called with. As it is,
//! nothing alarms and the gate opens; with three of its features shifted the monitor names those three, the canary goes back,
//! the registry holds the evaluation, the gate stays closed and the alert arrives. The same for the fairness of a
//! classifier's predictions, whose labels come later.

use crate::harness::home::{BASE, PROGRAM};
use crate::harness::upstream::{Act, Seen};
use crate::harness::{Client, Gateway, Home, Upstream, eventually, may_be_left_out, receivers, tiny};
use crate::imports::python;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

const API: &str = "/api/2.0/mlflow";

/// The table in an order by chance (the file's is none: it begins with tumours of one kind), and what a classifier that
/// learnt from its first half says of each row.
const TABLE: &str = r#"
import json, numpy
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

data = load_breast_cancer()
order = numpy.random.default_rng(1).permutation(len(data.data))
rows, classes = data.data[order], data.target[order]
half = len(rows) // 2
classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(rows[:half], classes[:half])
named = lambda classes: [str(data.target_names[one]) for one in classes]
print(json.dumps({
    "names": [name.replace(" ", "_") for name in data.feature_names], "rows": rows.tolist(),
    "deviations": rows[:half].std(axis=0).tolist(), "medians": numpy.median(rows[:half], axis=0).tolist(),
    "diagnosis": named(classes), "predicted": named(classifier.predict(rows)),
}))
"#;

/// What is shifted, by a deviation and a half.
pub(crate) const SHIFTED: [&str; 3] = ["mean_smoothness", "mean_texture", "worst_symmetry"];
/// Whose halves are the groups: whether a tumour is malignant has little to do with it.
const GROUP: &str = "symmetry_error";

pub(crate) struct Table {
    names: Vec<String>,
    pub(crate) deviations: Vec<f64>,
    medians: Vec<f64>,
    pub(crate) tumours: Vec<Tumour>,
}

pub(crate) struct Tumour {
    pub(crate) numbers: Vec<f64>,
    pub(crate) diagnosis: String,
    predicted: String,
}

impl Tumour {
    /// One that was measured so.
    pub(crate) fn measured(numbers: Vec<f64>, diagnosis: &str) -> Self {
        Self { numbers, diagnosis: diagnosis.to_owned(), predicted: String::new() }
    }
}

impl Table {
    /// `None` where scikit-learn is not installed and that is no failure.
    pub(crate) fn read(test: &str) -> Option<Self> {
        let Some(python) = python() else {
            may_be_left_out(test, "scikit-learn, which comes with MLflow: run `tests/conformance/install mlflow`");
            return None;
        };
        let home = Home::new();
        home.write("table.py", TABLE);
        let made = home.command(python.to_str().expect("UTF-8")).arg("table.py").output().expect("Python runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let read: Value = serde_json::from_slice(&made.stdout).expect("JSON");
        let texts = |name: &str| -> Vec<String> { serde_json::from_value(read[name].clone()).expect("texts") };
        let numbers = |name: &str| -> Vec<f64> { serde_json::from_value(read[name].clone()).expect("numbers") };
        let rows: Vec<Vec<f64>> = serde_json::from_value(read["rows"].clone()).expect("a table");
        let tumours = rows.into_iter().zip(texts("diagnosis")).zip(texts("predicted"));
        let tumours = tumours.map(|((numbers, diagnosis), predicted)| Tumour { numbers, diagnosis, predicted });
        let (names, tumours) = (texts("names"), tumours.collect());
        let table = Self { names, deviations: numbers("deviations"), medians: numbers("medians"), tumours };
        assert_eq!((table.names.len(), table.tumours.len()), (30, 569), "it is another table");
        Some(table)
    }

    fn halves(&self) -> (&[Tumour], &[Tumour]) {
        self.tumours.split_at(self.tumours.len() / 2)
    }

    pub(crate) fn at(&self, name: &str) -> usize {
        self.names.iter().position(|known| known == name).expect("a feature of the table")
    }

    /// The first half as CSV, which is what the model learnt from.
    fn training(&self) -> String {
        let mut csv = self.names.join(",") + "\n";
        for tumour in self.halves().0 {
            let cells: Vec<String> = tumour.numbers.iter().map(f64::to_string).collect();
            writeln!(csv, "{}", cells.join(",")).expect("it grows");
        }
        csv
    }

    /// What a call says of a tumour.
    fn features(&self, tumour: &Tumour, is_shifted: bool) -> Map<String, Value> {
        let shift = |at: usize| {
            let moves = is_shifted && SHIFTED.contains(&self.names[at].as_str());
            if moves { 1.5 * self.deviations[at] } else { 0.0 }
        };
        let number = |(at, name): (usize, &String)| (name.clone(), json!(tumour.numbers[at] + shift(at)));
        self.names.iter().enumerate().map(number).collect()
    }

    fn group(&self, tumour: &Tumour) -> &'static str {
        let at = self.at(GROUP);
        if tumour.numbers[at] < self.medians[at] { "low" } else { "high" }
    }
}

/// A gateway that serves two versions of the model `cancer` of its registry, and a receiver of alerts.
struct Ward {
    home: Home,
    gateway: Gateway,
    client: Client,
    receiver: Upstream,
}

impl Ward {
    async fn open(table: &Table, route: &str, monitor: &str) -> Self {
        let receiver = Upstream::start().await;
        receiver.always(Act::By(receivers::webhook));
        let home = Home::new();
        home.write("training.csv", &table.training());
        // A version may be what an alias stands for if its last evaluation by the monitor passed.
        let gate = "{requires: [baseline, {evaluation: {monitor: features}}]}";
        let store = format!(
            "{{events: {{to: \"file:events\"}}, registry: \"sqlite:registry.db\", artifacts: \"file:artifacts\", \
             governance: {{decisions: optional, aliases: {{staging: {gate}, production: {gate}}}}}}}"
        );
        let base = BASE.replace("{events: {to: \"file:events\"}}", &store);
        let nobody = "providers: {p: {openai: {endpoints: [{url: \"http://127.0.0.1:9/v1\"}]}}}\nmodels: {m: {provider: p}}\nroutes: {m: {model: m}}\n";
        home.write("config.yaml", &format!("{base}{nobody}"));
        let key = home.key(&["infer", "feedback", "read", "write", "approve"]);
        let mut program = home.command(PROGRAM);
        program.env("SECRET", receivers::SECRET);
        let gateway = Gateway::start(program).await;
        let client = gateway.client().with_key(&key);
        let ward = Self { home, gateway, client, receiver };
        ward.register().await;
        let plugins = crate::harness::home::repository().join("plugins/dist");
        let plugin =
            |name: &str| format!("{name}: {{component: \"{}\"}}", plugins.join(format!("{name}.wasm")).display());
        let hook = ward.receiver.url().replace("/v1", "/hook");
        let text = format!(
            "{base}providers: {{here: {{local: {{threads: 1}}}}}}\n\
             models: {{first: {{provider: here, source: \"models:/cancer/1\"}}, second: {{provider: here, source: \"models:/cancer/2\"}}}}\n\
             routes: {{cancer: {route}}}\n\
             plugins: {{{}, {}}}\n\
             alerts: {{duty: {{webhook: {{url: \"{hook}\", secret: \"${{env:SECRET}}\"}}}}}}\n\
             monitors: {{features: {{route: cancer, alert: [duty], {monitor}}}}}\n",
            plugin("drift"),
            plugin("fairness"),
        );
        ward.home.replace("config.yaml", &text);
        let reloaded = ward.gateway.admin().post("/admin/v1/reload", &json!({})).await;
        assert_eq!(reloaded.status(), 200, "{}", reloaded.text());
        ward
    }

    /// Two versions, of which the first half of the table is the baseline.
    async fn register(&self) {
        let made = self.client.post(&format!("{API}/registered-models/create"), &json!({"name": "cancer"})).await;
        assert_eq!(made.status(), 200, "{}", made.text());
        for version in [1, 2] {
            for (name, content) in [
                ("model.safetensors", tiny::weights(version)),
                ("tokenizer.json", tiny::tokenizer().into_bytes()),
                ("config.json", tiny::config().into_bytes()),
            ] {
                let path = format!("/api/2.0/mlflow-artifacts/artifacts/cancer/{version}/{name}");
                assert_eq!(self.client.send("PUT", &path, &[], &content).await.status(), 200);
            }
            let source = format!("mlflow-artifacts:/cancer/{version}");
            let new = json!({"name": "cancer", "source": source});
            let made = self.client.post(&format!("{API}/model-versions/create"), &new).await;
            assert_eq!(made.status(), 200, "{}", made.text());
            let (of, url) = (format!("cancer/{version}"), format!("http://{}", self.gateway.address("admin")));
            let kept = self.home.run(&["model", "baseline", &of, "--file", "training.csv", "--url", &url]);
            assert!(kept.out().contains("284 rows, 30 numeric"), "{}{}", kept.out(), kept.err());
        }
    }

    /// A call with this beside; its id.
    async fn call(&self, beside: &Value, episode: &str) -> String {
        let body = json!({"model": "cancer", "input": "a b", "metadata": beside}).to_string();
        let headers = [("content-type", "application/json"), ("x-tidegate-episode", episode)];
        let answer = self.client.send("POST", "/v1/embeddings", &headers, body.as_bytes()).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.request_id()
    }

    async fn monitor(&self) -> Value {
        self.gateway.admin().get("/admin/v1/monitors/features").await.json()
    }

    async fn until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || Some(self.monitor().await).filter(&is)).await
    }

    /// The newest evaluation of a version by the monitor, as soon as it says this.
    async fn evaluated(&self, version: u32, passed: bool) -> Value {
        eventually("the evaluation in the registry", async || {
            let path = format!("/admin/v1/models/cancer/versions/{version}/evaluations");
            let found = self.gateway.admin().get(&path).await.json()["data"][0].take();
            (found["monitor"] == "features" && found["passed"] == passed).then_some(found)
        })
        .await
    }

    /// Tries to have a governed alias stand for a version: the status, and what is said.
    async fn promote(&self, version: u32, alias: &str) -> (u16, String) {
        let body = json!({"name": "cancer", "alias": alias, "version": version.to_string()});
        let answer = self.client.post(&format!("{API}/registered-models/alias"), &body).await;
        (answer.status(), answer.text())
    }
}

/// The labels `label` of those numbers that are out of bounds, each once.
fn breached(numbers: &Value, label: &str) -> Vec<String> {
    // An alarm has no other ones.
    let is_out = |one: &Value| one.get("breached").is_none_or(|is_out| is_out == true);
    let of = |one: &Value| Some(one["labels"][label].as_str()?.to_owned()).filter(|_| is_out(one));
    let mut all: Vec<String> = numbers.as_array().into_iter().flatten().filter_map(of).collect();
    all.sort();
    all.dedup();
    all
}

/// All numbers of all windows.
fn numbers(monitor: &Value) -> Value {
    let watched = monitor["watched"].as_array().into_iter().flatten();
    let windows = watched.flat_map(|one| one["windows"].as_array().into_iter().flatten());
    windows.flat_map(|window| window["measurements"].as_array().into_iter().flatten()).cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_shifts_in_real_data_is_named_takes_a_canary_back_and_closes_the_gate() {
    let Some(table) = Table::read("drift in real data") else { return };
    let route = "{variants: {old: {model: first}, new: {model: second}}, rollout: {canary: {from: old, to: new, \
                 steps: [50%, 100%], every: 10m, interval: 1s, min_samples: 20, analysis: [{monitor: features}]}}}";
    let fields: Vec<String> = table.names.iter().map(|name| format!("{name}: /metadata/{name}")).collect();
    let monitor = format!(
        "plugin: drift, variant: new, fields: {{{}}}, baseline: \"models:/cancer/1\", config: {{alpha: 0.0001}}, \
         window: {{size: 60, min: 50}}, alarm: {{breaches: 2, of: 2}}",
        fields.join(", ")
    );
    let ward = Ward::open(&table, route, &monitor).await;
    ward.until("the baseline", |now| now["reference"]["is_ready"] == true).await;
    // Half of the calls are the canary's, so each tumour comes twice.
    let second_half = async |is_shifted: bool| {
        for tumour in table.halves().1.iter().chain(table.halves().1) {
            ward.call(&table.features(tumour, is_shifted).into(), "e").await;
        }
    };
    second_half(false).await;
    let well = ward.until("windows", |now| now["counts"]["windows"].as_u64() >= Some(3)).await;
    assert_eq!((&well["state"], breached(&numbers(&well), "column")), (&json!("well"), vec![]), "{well:#}");
    let standing = async || ward.gateway.admin().get("/admin/v1/rollouts/cancer").await.json();
    assert_eq!(standing().await["stage"], "step 1");
    let passed = ward.evaluated(2, true).await;
    assert_eq!(ward.promote(2, "staging").await.0, 200, "{passed:#}");
    assert_eq!(ward.receiver.count(), 0);

    second_half(true).await;
    let alarm = ward.until("the alarm", |now| now["state"] == "alarm").await;
    assert_eq!(breached(&numbers(&alarm), "column"), SHIFTED, "{alarm:#}");
    let over =
        eventually("rolled back", async || Some(standing().await).filter(|now| now["stage"] == "rolled back")).await;
    let why = over["turns"][0]["why"].as_str().unwrap_or_default();
    assert!(why.starts_with("monitor features: "), "{why}");
    let failed = ward.evaluated(2, false).await;
    let measured = failed["details"]["measurements"].to_string();
    assert!(SHIFTED.iter().all(|name| measured.contains(name)), "{failed:#}");
    let (status, says) = ward.promote(2, "production").await;
    assert_eq!(status, 403, "{says}");
    assert!(says.contains("its newest evaluation by `features` did not pass"), "{says}");
    let told = eventually("the alert", async || ward.receiver.seen().first().map(Seen::json)).await;
    assert_eq!((&told["status"], &told["alarm"]["monitor"]), (&json!("firing"), &json!("features")), "{told:#}");
    assert_eq!((&told["alarm"]["model"], &told["alarm"]["model_version"]), (&json!("second"), &json!(2)));
    assert_eq!(breached(&told["alarm"]["measurements"], "column"), SHIFTED, "{told:#}");
    assert_eq!(ward.receiver.count(), 1, "it is told once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_misses_one_groups_tumours_is_found_when_the_labels_come() {
    let Some(table) = Table::read("fairness of predictions of real data") else { return };
    let monitor = "plugin: fairness, fields: {predicted: /metadata/predicted, group: /metadata/group, diagnosis: \"label:diagnosis\"}, \
                   roles: {prediction: predicted, label: diagnosis, protected: [group], positive: malignant, min_group_size: 20}, \
                   config: {comparisons: [equalized_odds_difference], thresholds: {equalized_odds_difference: {most: 0.2}}, \
                   bootstrap: {draws: 200}, breach: interval}, window: {size: 140, min: 100, wait: 10m}, alarm: {breaches: 1, of: 1}";
    let ward = Ward::open(&table, "{model: first}", monitor).await;
    // What the model says of each tumour is told with the call; a biopsy says later what it is.
    let later = async |round: &str, is_unfair: bool| {
        let mut biopsies = Vec::new();
        for (nth, tumour) in table.halves().1.iter().enumerate() {
            let group = table.group(tumour);
            let predicted = if is_unfair && group == "high" { "benign" } else { &tumour.predicted };
            let (said, episode) = (json!({"predicted": predicted, "group": group}), format!("{round}-{nth}"));
            let id = ward.call(&said, &episode).await;
            // Some know the call, others the patient.
            let about = if nth % 2 == 0 { ("inference_id", id) } else { ("episode_id", episode) };
            biopsies.push(json!({(about.0): about.1, "label": tumour.diagnosis, "name": "diagnosis"}));
        }
        biopsies
    };
    let label = async |biopsies: Vec<Value>| {
        let answer = ward.client.post("/v1/feedback", &biopsies.into()).await;
        assert!(answer.status() == 200 && !answer.text().contains("error"), "{}", answer.text());
    };
    let biopsies = later("fair", false).await;
    let n = biopsies.len();
    let waiting = |now: &Value| now["watched"][0]["open"]["waiting"].as_u64() == Some(n as u64);
    let silent = ward.until("calls that wait for their labels", waiting).await;
    assert_eq!((&silent["state"], &silent["counts"]["windows"]), (&json!("unknown"), &json!(0)), "{silent:#}");
    label(biopsies).await;
    let fair = ward.until("windows", |now| now["counts"]["windows"] == 2).await;
    assert_eq!((&fair["state"], &fair["counts"]["breached"]), (&json!("well"), &json!(0)), "{fair:#}");
    ward.evaluated(1, true).await;
    assert_eq!(ward.promote(1, "staging").await.0, 200);
    assert_eq!(ward.receiver.count(), 0);

    let biopsies = later("unfair", true).await;
    assert_eq!(ward.monitor().await["state"], "well", "nobody knows it yet");
    label(biopsies).await;
    let alarm = ward.until("the alarm", |now| now["state"] == "alarm").await;
    assert!(alarm["says"].as_str().is_some_and(|says| says.contains("equalized_odds_difference")), "{alarm:#}");
    let failed = ward.evaluated(1, false).await;
    let worst = &failed["details"]["measurements"][0];
    assert_eq!((&worst["name"], &worst["breached"]), (&json!("equalized_odds_difference"), &json!(true)), "{failed:#}");
    assert!(worst["value"].as_f64() > Some(0.6), "a whole group is missed: {worst}");
    let (status, says) = ward.promote(1, "production").await;
    assert!(status == 403 && says.contains("its newest evaluation by `features` did not pass"), "{status} {says}");
    let told = eventually("the alert", async || ward.receiver.seen().first().map(Seen::json)).await;
    assert_eq!(told["alarm"]["measurements"][0]["name"], "equalized_odds_difference", "{told:#}");
}
