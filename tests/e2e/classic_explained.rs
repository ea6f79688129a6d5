//! Why a classic model says what it says: exact contributions of trees as `shap` has them, of other models sums that add up,
//! as further tensors of the answer; and in the record of a governed model's call.

use crate::classic::{ROW, Served, model_of, output, provider, x};
use crate::harness::client::Answer;
use crate::harness::events::event;
use crate::harness::home::repository;
use crate::harness::shelf::file;
use crate::harness::upstream::Act;
use crate::harness::{Client, Shelf, Upstream};
use serde_json::{Value, json};

const GOLDEN: &str = "gateway/classic/tests/golden";

/// What the libraries say of their own models.
pub(crate) fn case(name: &str) -> Value {
    let text = std::fs::read_to_string(repository().join(GOLDEN).join("trees.json")).expect("goldens");
    let all: Value = serde_json::from_str(&text).expect("JSON");
    all["cases"].as_array().expect("cases").iter().find(|case| case["name"] == name).expect("a case").clone()
}

pub(crate) fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
}

/// Asks a route of the first rows of a case, and why where that is wanted. As raw numbers, since some are missing.
pub(crate) async fn infer(client: &Client, route: &str, case: &Value, rows: usize, why: bool) -> Answer {
    let rows: Vec<&Vec<Value>> =
        case["rows"].as_array().expect("rows").iter().take(rows).filter_map(Value::as_array).collect();
    let shape = json!([rows.len(), rows[0].len()]);
    let numbers = rows.into_iter().flatten().map(|number| number.as_f64().unwrap_or(f64::NAN));
    let raw: Vec<u8> = numbers.flat_map(f64::to_le_bytes).collect();
    let head = json!({
        "inputs": [{"name": "x", "shape": shape, "datatype": "FP64", "parameters": {"binary_data_size": raw.len()}}],
        "parameters": if why { json!({"explain": true}) } else { json!({}) },
    })
    .to_string();
    let length = head.len().to_string();
    let headers = [("inference-header-content-length", &*length), ("content-type", "application/octet-stream")];
    let body = [head.as_bytes(), &raw].concat();
    let answer = client.send("POST", &format!("/v2/models/{route}/infer"), &headers, &body).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contributions_of_trees_are_those_of_shap() {
    let names = ["xgb_binary", "lgb_binary", "xgb_softprob"];
    let models: String = names
        .iter()
        .map(|name| {
            let model = case(name)["model"].as_str().expect("a file").to_owned();
            format!(", {}", model_of(name, &format!("{GOLDEN}/{model}"), "input: x"))
        })
        .collect();
    let routes: String = names.iter().map(|name| format!(", {name}: {{model: {name}}}")).collect();
    let served = Served::with("", &models, &routes, "").await;
    for name in names {
        let case = case(name);
        let explained = usize::try_from(case["explained"].as_u64().expect("a count")).expect("few");
        let answer = infer(&served.client, name, &case, explained, true).await.json();
        let values = |output_name: &str| numbers(&output(&answer, output_name)["data"]);
        let features = output(&answer, "explanation.features")["data"].as_array().expect("names").len();
        let (contributions, base) = (values("explanation.contributions"), values("explanation.base"));
        let (shape, method) = (
            &output(&answer, "explanation.contributions")["shape"],
            &output(&answer, "explanation.contributions")["parameters"]["method"],
        );
        let groups = base.len() / explained;
        assert_eq!((shape, method), (&json!([explained, groups, features]), &json!("tree_shap")));
        // Theirs has the base behind each row's contributions.
        let each = contributions.chunks(features).zip(&base);
        let as_theirs: Vec<f64> = each.clone().flat_map(|(part, base)| [part, &[*base]].concat()).collect();
        for (nth, (ours, theirs)) in as_theirs.iter().zip(numbers(&case["contributions"])).enumerate() {
            assert!((ours - theirs).abs() <= 1e-4, "{name}, {nth}: {ours} and by shap {theirs}");
        }
        for ((part, base), explained) in each.zip(values("explanation.explained")) {
            assert!((part.iter().sum::<f64>() + base - explained).abs() <= 1e-4, "{name} does not add up");
        }
        // What is predicted stays as it is without.
        let plain = infer(&served.client, name, &case, explained, false).await.json();
        assert_eq!(output(&plain, "predict")["data"], output(&answer, "predict")["data"]);
        assert!(!plain.to_string().contains("explanation"), "nobody asked: {plain}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_models_are_explained_against_a_background_and_only_where_it_can_be_said() {
    let rows = [[5.1, 3.5, 1.4, 0.2], [6.0, 2.9, 4.5, 1.5]];
    let besides = "input: x, explain: {orders: 4, background: [5.8, 3.1, 3.8, 1.2]}";
    let models = format!(", {}", model_of("graph", &format!("{GOLDEN}/mlp_classes.onnx"), besides));
    let served = Served::with("", &models, ", graph: {model: graph}", "").await;
    let mut body = x([2, 4], &rows.concat());
    body["parameters"] = json!({"explain": true});
    body["outputs"] = json!([{"name": "probabilities"}]);
    let answer = served.infer("graph", &body).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let answer = answer.json();
    let values = |name: &str| numbers(&output(&answer, name)["data"]);
    assert_eq!(output(&answer, "explanation.base")["parameters"]["method"], "permutation");
    let sums = values("explanation.contributions");
    for (nth, (base, explained)) in values("explanation.base").iter().zip(values("explanation.explained")).enumerate() {
        let sum: f64 = sums[nth * 4..(nth + 1) * 4].iter().sum();
        assert!((base + sum - explained).abs() < 1e-6, "{nth} does not add up");
    }
    let near = |one: &[f64], other: &[f64]| one.iter().zip(other).all(|(one, other)| (one - other).abs() < 1e-6);
    assert!(near(&values("explanation.explained"), &values("probabilities")));
    // The same again, to the last digit.
    assert_eq!(served.infer("graph", &body).await.json()["outputs"], answer["outputs"]);
    body["parameters"] = json!({"explain": "please"});
    let wrong = served.infer("graph", &body).await;
    assert!(
        wrong.status() == 400 && wrong.text().contains("parameters.explain must be true or false"),
        "{}",
        wrong.text()
    );
    let body = json!({"inputs": rows, "params": {"explain": true}}).to_string();
    let wrong = served.client.send("POST", "/invocations", &[("x-model", "graph")], body.as_bytes()).await;
    assert!(wrong.status() == 400 && wrong.text().contains("/v2/models/NAME/infer"), "{}", wrong.text());
}

/// A gateway with these routes and one model twice: `governed` by a governed alias, `other` by any.
pub(crate) async fn governed(routes: &str) -> Shelf {
    let shelf = Shelf::open(", governance: {aliases: {production: {requires: [card]}}}").await;
    let model = file(&format!("{GOLDEN}/xgb_binary.json"));
    shelf.make("cancer").await;
    shelf.version("cancer", 1, &[("model.json", &model)]).await;
    let card = json!({
        "summary": "Tells tumours apart.", "owner": "ann", "license": "mit", "intended_use": "A second opinion.",
        "limitations": "Small.", "training_data": "Wisconsin, 1995.", "evaluation": "By hand.",
    });
    shelf.home.write("card.json", &card.to_string());
    let carded = shelf.model(&["card", "cancer/1", "--set", "card.json"]);
    assert_eq!(carded.code(), 0, "{}", carded.err());
    shelf.alias("cancer", "production", 1).await;
    shelf.alias("cancer", "trial", 1).await;
    let models = "governed: {provider: here, input: x, source: \"models:/cancer@production\"}, \
                  other: {provider: here, input: x, source: \"models:/cancer@trial\"}";
    shelf.serve(models, routes, "").await;
    shelf
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_a_governed_model_decided_so_stands_in_its_record() {
    let shelf = governed("governed: {model: governed}, other: {model: other}").await;
    let case = case("xgb_binary");
    let call = async |route: &str, why: bool| {
        let answer = infer(&shelf.client, route, &case, 2, why).await;
        let record = event(&shelf.gateway.admin(), &answer.request_id()).await;
        (answer, record)
    };
    let (answer, record) = call("governed", true).await;
    let reasons = &record["reasons"];
    assert_eq!(
        (&reasons["method"], &reasons["rows"], &record["model_version"]),
        (&json!("tree_shap"), &json!(2), &json!(1))
    );
    let said = answer.json();
    for row in 0..2 {
        let kept = &reasons["values"][row];
        assert_eq!(kept["explained"], output(&said, "explanation.explained")["data"][row], "{kept}");
        let first = &kept["contributions"][0];
        let features = output(&said, "explanation.features")["data"].as_array().expect("names");
        let place = features.iter().position(|name| *name == first["feature"]).expect("a feature");
        let all = numbers(&output(&said, "explanation.contributions")["data"]);
        let all = &all[row * features.len()..(row + 1) * features.len()];
        assert_eq!(first["value"].as_f64(), Some(all[place]));
        assert!(all.iter().all(|one| one.abs() <= all[place].abs()), "the largest comes first");
    }
    let told = shelf.home.run(&["explain", &answer.request_id(), "--config", "config.yaml"]);
    assert!(told.out().contains("by tree_shap the model came from"), "{}{}", told.out(), told.err());
    // Who does not ask leaves none, and neither does a model that is not governed.
    assert!(call("governed", false).await.1.get("reasons").is_none());
    assert!(call("other", true).await.1.get("reasons").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kserves_explain_says_of_each_row_what_the_tensors_say() {
    let served = Served::with("", "", "", "").await;
    let mut body = x([2, 3], &[ROW, [0.5, -2.0, -1.5]].concat());
    body["parameters"] = json!({"explain": true});
    let tensors = served.infer("fraud", &body).await.json();
    let rows = json!({"instances": [ROW, [0.5, -2.0, -1.5]]});
    let columns = json!({"inputs": {"x": [ROW, [0.5, -2.0, -1.5]]}});
    let records =
        json!({"instances": [{"f0": ROW[0], "f1": ROW[1], "f2": ROW[2]}, {"f0": 0.5, "f1": -2.0, "f2": -1.5}]});
    for (path, body) in [
        ("/v1/models/fraud:explain", &rows),
        ("/v1/models/fraud:explain", &columns),
        ("/v1/models/fraud/versions/1:explain", &records),
    ] {
        let answer = served.client.post(path, body).await;
        assert_eq!(answer.status(), 200, "{path} {body}: {}", answer.text());
        let answer = answer.json();
        assert_eq!(answer["predictions"], output(&tensors, "predict")["data"], "{answer}");
        let flat = |name: &str| -> Vec<Value> {
            let of = |one: &Value| one[name].as_array().expect("a list").clone();
            let all: Vec<Value> = answer["explanations"].as_array().expect("a list").iter().flat_map(of).collect();
            if name == "contributions" {
                all.iter().flat_map(|one| one.as_array().unwrap().clone()).collect()
            } else {
                all
            }
        };
        for name in ["contributions", "base", "explained"] {
            let data = &output(&tensors, &format!("explanation.{name}"))["data"];
            assert_eq!(&json!(flat(name)), data, "{name}: {answer}");
        }
        let first = &answer["explanations"][0];
        assert_eq!((&first["method"], &first["features"]), (&json!("tree_shap"), &json!(["f0", "f1", "f2"])));
        // They add up, as exactly as the model itself adds, which is in 32 bits.
        let sum: f64 = numbers(&first["contributions"][0]).iter().chain(&numbers(&first["base"])).sum();
        assert!((sum - first["explained"][0].as_f64().unwrap()).abs() < 1e-5, "{first}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explainer_of_others_is_asked_and_what_it_says_goes_on_as_it_is() {
    let upstream = Upstream::start().await;
    let kinds = ["open_inference", "tf_serving", "mlflow", "seldon"];
    let providers: String = kinds.iter().map(|kind| provider(kind, kind, &upstream)).collect();
    let more: String = kinds.iter().map(|kind| format!(", m_{kind}: {{provider: {kind}, model: cifar}}")).collect();
    let routes: String = kinds.iter().map(|kind| format!(", {kind}: {{model: m_{kind}}}")).collect();
    let served = Served::with(&providers, &more, &routes, "").await;
    let ask = async |kind: &str| {
        let body = json!({"instances": [[1.5, 2], [3, 4]]});
        served.client.post(&format!("/v1/models/{kind}:explain"), &body).await
    };
    // Alibi's words, and those of KServe's documentation.
    let alibi =
        r#"{"meta": {"name": "AnchorTabular", "version": "0.9.6"}, "data": {"anchor": ["f0 > 1"], "precision": 1e0}}"#;
    for said in [alibi, r#"{"predictions": [0, 1], "explanations": [[0.1, 0.2], [0.3, 0.4]]}"#] {
        upstream.always(Act::Answer(200, vec![], said.into()));
        for kind in ["open_inference", "tf_serving"] {
            let answer = ask(kind).await;
            assert_eq!((answer.status(), &*answer.text()), (200, said), "{kind}");
            let asked = upstream.last();
            assert_eq!(asked.path, "/v1/models/cifar:explain");
            assert_eq!(asked.json(), json!({"instances": [[1.5, 2.0], [3.0, 4.0]]}));
        }
    }
    let seen = upstream.count();
    for kind in ["mlflow", "seldon"] {
        let refused = ask(kind).await;
        assert!(refused.status() == 400 && refused.text().contains("has no explanations"), "{}", refused.text());
    }
    assert_eq!(upstream.count(), seen, "nobody was asked");
    // More of them than would eject an endpoint that fails: one that has no explainer is no worse for it.
    for status in [404, 405, 501] {
        upstream.always(Act::Answer(status, vec![], r#"{"error": "Not Found"}"#.into()));
        for _ in 0..8 {
            let refused = ask("tf_serving").await;
            let says = format!("explains nothing: it answered {status} at /v1/models/cifar:explain");
            assert!(refused.status() == 400 && refused.text().contains(&says), "{}", refused.text());
        }
    }
    upstream.always(Act::Answer(200, vec![], r#"{"outputs":[0.5]}"#.into()));
    let predicted = served.client.post("/v1/models/tf_serving:predict", &json!({"instances": [[1, 2]]})).await;
    assert_eq!(predicted.status(), 200, "{}", predicted.text());
    // What is no explanation is the provider's fault.
    upstream.always(Act::Answer(200, vec![], "[1, 2]".into()));
    assert_eq!(ask("tf_serving").await.status(), 502);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_explained_is_refused_as_its_protocol_says_it() {
    let served = Served::with("", "", "", "").await;
    let right = json!({"instances": [ROW]}).to_string();
    for (path, body, status, part) in [
        ("/v1/models/none:explain", &*right, 404, "none"),
        ("/v1/models/fraud/versions/9:explain", &right, 404, "version"),
        ("/v1/models/fraud:explains", &right, 404, ":explain"),
        ("/v1/models/:explain", &right, 404, ":explain"),
        ("/v1/models/fraud:explain", "{}", 400, "instances"),
        ("/v1/models/fraud:explain", "", 400, "JSON"),
        ("/v1/models/fraud:explain", r#"{"instances": []}"#, 400, "instances"),
        ("/v1/models/fraud:explain", r#"{"instances": [[1, 2, 3], [1]]}"#, 400, "equally long"),
        ("/v1/models/fraud:explain", r#"{"instances": [["a", "b", "c"]]}"#, 400, "reads numbers"),
        ("/v1/models/fraud:explain", r#"{"instances": [[1, 2]]}"#, 400, "3"),
        ("/v1/models/fraud:explain", r#"{"instances": [[1, 2, 3]], "inputs": [[1, 2, 3]]}"#, 400, "either"),
    ] {
        let answer = served.client.send("POST", path, &[], body.as_bytes()).await;
        assert_eq!(answer.status(), status, "{path} {body}: {}", answer.text());
        let json = answer.json();
        let says = json["error"].as_str().unwrap_or_else(|| panic!("{path} {body}: {json}"));
        assert!(says.contains(part), "{path} {body}: {says}");
    }
    let open = served.client.without_key().post("/v1/models/fraud:explain", &json!({"instances": [ROW]})).await;
    assert!(open.status() == 401 && open.json()["error"].is_string(), "{}", open.text());
}
