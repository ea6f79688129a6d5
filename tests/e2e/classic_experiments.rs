//! What language models' routes can, those of classic models can, too, with real data: scikit-learn's breast-cancer table, of
//! which XGBoost and LightGBM learnt. A/B by units, a bandit, a shadow whose numbers are compared, a canary that goes back on
//! drift; and an experiment whose units are the same on a classic and on a language model's route.

use crate::breast_cancer::{SHIFTED, Table, Tumour};
use crate::classic::{Served, model_of, output};
use crate::harness::client::Answer;
use crate::harness::home::repository;
use crate::harness::upstream::{Act, completion};
use crate::harness::{Upstream, chat, eventually};
use serde_json::{Value, json};

const GOLDEN: &str = "gateway/classic/tests/golden";
/// Models of the table: what each is called here, and its file.
const MODELS: [(&str, &str); 3] =
    [("trees", "xgb_binary.json"), ("leaves", "lgb_binary.txt"), ("few", "xgb_early.json")];

fn models() -> String {
    let one = |(name, file): &(&str, &str)| format!(", {}", model_of(name, &format!("{GOLDEN}/{file}"), "input: x"));
    MODELS.iter().map(one).collect()
}

/// Asks a route about a tumour, of which only the score is wanted.
async fn ask(served: &Served, route: &str, tumour: &Tumour, headers: &[(&str, &str)]) -> Answer {
    let body = json!({
        "inputs": [{"name": "x", "shape": [1, 30], "datatype": "FP64", "data": tumour.numbers}],
        "outputs": [{"name": "predict"}],
    });
    let path = format!("/v2/models/{route}/infer");
    let answer = served.client.send("POST", &path, headers, body.to_string().as_bytes()).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer
}

/// How probable it is that a tumour is benign, as an answer says.
fn score(answer: &Answer) -> f64 {
    output(&answer.json(), "predict")["data"][0].as_f64().expect("a score")
}

fn is_right(tumour: &Tumour, score: f64) -> bool {
    (score > 0.5) == (tumour.diagnosis == "benign")
}

async fn say(served: &Served, feedback: Value) {
    let told = served.client.post("/v1/feedback", &feedback).await;
    assert!(told.status() == 200 && !told.text().contains("error"), "{}", told.text());
}

/// What `tidegate experiment` says, as soon as it knows of so many calls.
async fn experiment(served: &Served, name: &str, reward: &str, calls: usize) -> Value {
    eventually("the experiment's calls", async || {
        let path = format!("/admin/v1/experiments/{name}?reward={reward}");
        let found = served.gateway.admin().get(&path).await;
        assert_eq!(found.status(), 200, "{}", found.text());
        Some(found.json()).filter(|found| found["calls"] == calls)
    })
    .await
}

const RIGHT: &str = "rewards: {right: {kind: boolean}}\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_libraries_are_tried_on_the_same_tumours_and_none_is_preferred() {
    let Some(table) = Table::read("an A/B test of classic models") else { return };
    let route =
        ", cancer: {variants: {xgboost: {model: trees}, lightgbm: {model: leaves}}, sticky: {by: {header: x-patient}}}";
    let served = Served::with("", &models(), route, RIGHT).await;
    let mut variants = Vec::new();
    for (nth, tumour) in table.tumours.iter().enumerate() {
        let patient = format!("patient-{nth}");
        let answer = ask(&served, "cancer", tumour, &[("x-patient", &patient)]).await;
        let is_right = is_right(tumour, score(&answer));
        say(&served, json!({"inference_id": answer.request_id(), "reward": "right", "value": is_right})).await;
        variants.push((patient, score(&answer)));
    }
    // Whoever comes again meets the same model.
    for (patient, before) in variants.iter().take(40) {
        let nth: usize = patient["patient-".len()..].parse().expect("a number");
        let again = score(&ask(&served, "cancer", &table.tumours[nth], &[("x-patient", patient)]).await);
        assert_eq!(again.to_bits(), before.to_bits(), "{patient} met another model");
    }
    let found = experiment(&served, "cancer", "right", table.tumours.len() + 40).await;
    assert!(found["sample_ratio_p"].as_f64() > Some(0.001), "{found:#}");
    let arms = found["arms"].as_array().expect("arms");
    let units: f64 = arms.iter().filter_map(|arm| arm["units"].as_f64()).sum();
    assert_eq!(units as usize, table.tumours.len(), "each patient is a unit of one arm");
    assert!(arms.iter().all(|arm| arm["mean"].as_f64() > Some(0.9)), "both have learnt it: {found:#}");
    assert!(found["compared"][0]["msprt_p"].as_f64() > Some(0.05), "neither is better: {found:#}");
}

/// A server that says of every tumour the same.
async fn always(score: f64) -> Upstream {
    let upstream = Upstream::start().await;
    let output = json!({"name": "predict", "datatype": "FP32", "shape": [1], "data": [score]});
    let body = json!({"model_name": "old", "outputs": [output]}).to_string();
    upstream.always(Act::Answer(200, vec![], body.into()));
    upstream
}

fn far(upstream: &Upstream) -> String {
    format!(", far: {{open_inference: {{endpoints: [{{url: \"{}\"}}]}}}}", upstream.url().trim_end_matches("/v1"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bandit_finds_the_model_that_is_right() {
    let Some(table) = Table::read("a bandit of classic models") else { return };
    // A rule that fears the worst is right of more than a third.
    let old = always(0.0).await;
    let models = models() + ", old: {provider: far, model: old}";
    let route = ", cancer: {variants: {old: {model: old}, new: {model: trees}}, policy: {thompson: {reward: right, min_share: 2%}}}";
    let served = Served::with(&far(&old), &models, route, RIGHT).await;
    let mut of_old = Vec::new();
    for tumour in &table.tumours {
        let before = old.count();
        let answer = ask(&served, "cancer", tumour, &[]).await;
        of_old.push(old.count() > before);
        let is_right = is_right(tumour, score(&answer));
        say(&served, json!({"inference_id": answer.request_id(), "reward": "right", "value": is_right})).await;
    }
    let share = |calls: &[bool]| calls.iter().filter(|is_old| **is_old).count() as f64 / calls.len() as f64;
    let (first, last) = (share(&of_old[..40]), share(&of_old[369..]));
    assert!(first > 0.05 && last < 0.1, "of the first 40 calls the rule had {first}, of the last 200 {last}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadows_numbers_are_compared_within_what_is_tolerated() {
    let Some(table) = Table::read("a shadow of classic models") else { return };
    const TOLERANCE: f64 = 0.05;
    let route = ", cancer: {model: trees, shadow: [{variant: {model: few}, compare: {numeric_tolerance: 5%}}]}, few: {model: few}";
    let served = Served::with("", &models(), route, "").await;
    let entries = || -> Vec<Value> {
        let files = std::fs::read_dir(served.home.path().join("events/shadows")).into_iter().flatten().flatten();
        let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
        texts
            .flat_map(|text| text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<Value>>())
            .collect()
    };
    let (mut wanted, mut apart) = (Vec::new(), 0);
    for tumour in table.tumours.iter().take(60) {
        let answer = ask(&served, "cancer", tumour, &[]).await;
        let (own, shadow) = (score(&answer), score(&ask(&served, "few", tumour, &[]).await));
        let differs = (own - shadow).abs() > TOLERANCE * own.abs().max(shadow.abs());
        apart += usize::from(differs);
        wanted.push((answer.request_id(), differs));
        // One after the other, so that no copy is left out.
        eventually("the comparison", async || (entries().len() == wanted.len()).then_some(())).await;
    }
    assert!(apart > 5 && apart < 55, "{apart} of 60 differ, which tells nothing");
    let entries = entries();
    for (id, differs) in wanted {
        let entry = entries.iter().find(|entry| entry["id"] == *id).expect("an entry");
        let paths = entry["compared"]["fields"].as_array().expect("both are JSON");
        let is_score = |path: &&Value| path.as_str() == Some("/predict/data/0");
        assert_eq!(paths.iter().any(|path| is_score(&path)), differs, "{entry}");
        assert!(paths.iter().all(|path| is_score(&path)), "only numbers differ: {entry}");
    }
}

#[cfg(feature = "host")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_goes_back_when_tumours_are_measured_otherwise() {
    let Some(table) = Table::read("a canary of classic models") else { return };
    let plugin = repository().join("plugins/dist/drift.wasm");
    let field = |name: &&str| format!("{name}: /inputs/0/data/{}", table.at(name));
    let fields: Vec<String> = SHIFTED.iter().chain(&["mean_radius"]).map(field).collect();
    let rest = format!(
        "plugins: {{drift: {{component: \"{}\"}}}}\n\
         monitors: {{features: {{plugin: drift, route: cancer, fields: {{{}}}, \
         window: {{size: 100, min: 50}}, baseline: {{first: 200}}, config: {{alpha: 0.0001}}, alarm: {{breaches: 1, of: 1}}}}}}\n",
        plugin.display(),
        fields.join(", ")
    );
    let route = ", cancer: {variants: {blue: {model: trees}, green: {model: few}}, rollout: {canary: {from: blue, to: green, \
                 steps: [50%, 100%], every: 10m, interval: 1s, min_samples: 20, analysis: [{monitor: features}]}}}";
    let served = Served::with("", &models(), route, &rest).await;
    let monitor = async || served.gateway.admin().get("/admin/v1/monitors/features").await.json();
    let standing = async || served.gateway.admin().get("/admin/v1/rollouts/cancer").await.json();
    for tumour in table.tumours.iter().cycle().take(2 * table.tumours.len()) {
        ask(&served, "cancer", tumour, &[]).await;
    }
    eventually("windows", async || (monitor().await["counts"]["windows"].as_u64() >= Some(2)).then_some(())).await;
    assert_eq!((&monitor().await["state"], &standing().await["stage"]), (&json!("well"), &json!("step 1")));
    for tumour in &table.tumours {
        let mut numbers = tumour.numbers.clone();
        for name in SHIFTED {
            numbers[table.at(name)] += 1.5 * table.deviations[table.at(name)];
        }
        let shifted = Tumour::measured(numbers, &tumour.diagnosis);
        ask(&served, "cancer", &shifted, &[]).await;
    }
    let over =
        eventually("rolled back", async || Some(standing().await).filter(|now| now["stage"] == "rolled back")).await;
    let why = over["turns"][0]["why"].as_str().expect("a reason");
    assert!(why.starts_with("monitor features: "), "{why}");
    let breached = monitor().await;
    let windows = breached["watched"].as_array().into_iter().flatten();
    let windows = windows.flat_map(|watched| watched["windows"].as_array().into_iter().flatten());
    let measured = windows.flat_map(|window| window["measurements"].as_array().into_iter().flatten());
    let out: Vec<&str> =
        measured.filter(|one| one["breached"] == true).filter_map(|one| one["labels"]["column"].as_str()).collect();
    assert!(SHIFTED.iter().all(|name| out.contains(name)) && !out.contains(&"mean_radius"), "{out:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_experiment_spans_a_classic_and_a_language_models_route() {
    let Some(table) = Table::read("an experiment over two routes") else { return };
    let (plain, kind) = (Upstream::start().await, Upstream::start().await);
    plain.always(completion("plain", 3, 2));
    kind.always(completion("kind", 3, 2));
    let providers = format!(
        ", p: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}, k: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}",
        plain.url(),
        kind.url()
    );
    let models = models() + ", plain: {provider: p}, kind: {provider: k}";
    let sticky = "sticky: {by: {header: x-patient}, experiment: ward}";
    let routes = format!(
        ", cancer: {{variants: {{old: {{model: few}}, new: {{model: trees}}}}, {sticky}}}, \
         letter: {{variants: {{old: {{model: plain}}, new: {{model: kind}}}}, {sticky}}}, \
         other: {{variants: {{old: {{model: plain}}, new: {{model: kind}}}}, sticky: {{by: {{header: x-patient}}}}}}"
    );
    let rest = "rewards: {understood: {kind: boolean, level: episode}}\n";
    let served = Served::with(&providers, &models, &routes, rest).await;
    let patients = 400;
    let (mut of_new, mut elsewhere) = (0, 0);
    for (nth, tumour) in table.tumours.iter().take(patients).enumerate() {
        let (patient, episode) = (format!("patient-{nth}"), format!("visit-{nth}"));
        let headers = [("x-patient", &*patient), ("x-tidegate-episode", &*episode)];
        ask(&served, "cancer", tumour, &headers).await;
        let text = async |route: &str| {
            let body = chat(route).to_string();
            let answer = served.client.send("POST", "/v1/chat/completions", &headers, body.as_bytes()).await;
            answer.json()["choices"][0]["message"]["content"].as_str().expect("a text").to_owned()
        };
        let is_new = text("letter").await == "kind";
        of_new += usize::from(is_new);
        elsewhere += usize::from((text("other").await == "kind") != is_new);
        // Once for the whole visit: kind letters are understood by most, plain ones by some.
        let understood = if is_new { nth % 10 != 0 } else { nth % 10 < 4 };
        say(&served, json!({"episode_id": episode, "reward": "understood", "value": understood})).await;
    }
    // The record of each call says which variant it had: a patient has the same on both routes.
    let found = experiment(&served, "ward", "understood", 2 * patients).await;
    assert_eq!(found["routes"], json!(["cancer", "letter"]), "{found:#}");
    let arms = found["arms"].as_array().expect("arms");
    let units: Vec<f64> = arms.iter().filter_map(|arm| arm["units"].as_f64()).collect();
    assert_eq!(units, [(patients - of_new) as f64, of_new as f64], "each patient is a unit of one arm: {found:#}");
    let drawn: Vec<u64> = arms.iter().filter_map(|arm| arm["drawn"].as_u64()).collect();
    assert_eq!(drawn, [(patients - of_new) as u64, of_new as u64], "and was drawn once");
    assert!(found["sample_ratio_p"].as_f64() > Some(0.001), "{found:#}");
    let better = &found["compared"][0];
    assert!(better["treatment"] == "new" && better["adjusted_p"].as_f64() < Some(0.001), "{better:#}");
    assert!(elsewhere > patients / 4, "a route of its own draws anew: {elsewhere}");
    let told = served.home.run(&["experiment", "ward", "--reward", "understood", "--config", "config.yaml"]);
    assert!(told.code() == 0 && told.out().contains("ward"), "{}{}", told.out(), told.err());
}

#[test]
fn routes_of_one_experiment_are_alike() {
    use crate::harness::{Home, home};
    let check = |other: &str| {
        let home = Home::new();
        let sticky = "sticky: {by: {header: x-patient}, experiment: ward}";
        let text = format!(
            "{}providers: {{p: {{openai: {{endpoints: [{{url: \"http://127.0.0.1:1/v1\"}}]}}}}}}\nmodels: {{m: {{provider: p}}, n: {{provider: p}}}}\nroutes: {{one: {{variants: {{a: {{model: m}}, b: {{model: n}}}}, {sticky}}}, two: {{{other}, {sticky}}}}}\n",
            home::BASE
        );
        home.key(&["infer"]);
        home.write("config.yaml", &text);
        let ran = home.run(&["check", "config.yaml"]);
        (ran.code(), ran.out() + &ran.err())
    };
    let alike = check("variants: {a: {model: n}, b: {model: m}}, policy: {weighted: {a: 50%, b: 50%}}");
    assert_eq!(alike.0, 0, "{}", alike.1);
    for (other, says) in [
        ("variants: {b: {model: n}, a: {model: m}}", "has other variants or shares"),
        (
            "variants: {a: {model: n}, b: {model: m}}, policy: {weighted: {a: 60%, b: 40%}}",
            "has other variants or shares",
        ),
        ("variants: {a: {model: n}, b: {model: m}}, policy: {thompson: {reward: error}}", "has fixed shares"),
    ] {
        let (code, said) = check(other);
        assert!(code == 2 && said.contains(says), "{other}: {said}");
    }
}
