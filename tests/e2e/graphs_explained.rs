//! Why a graph answers what it answers, from outside: of an ensemble the sum of its members' explanations by their weights,
//! else the explanation of the model that answered, and in the record where a model of it is governed.

use crate::classic::{ROW, Served, output, provider, x};
use crate::classic_explained::{case, governed, infer, numbers};
use crate::graphs::{DOUBTFUL, FRAUD, beside};
use crate::harness::Upstream;
use crate::harness::events::event;
use crate::harness::upstream::Act;
use serde_json::{Value, json};

/// The parts of an explanation that are numbers.
const PARTS: [&str; 3] = ["contributions", "base", "explained"];

/// The graph of these nodes' text, and each of its models by a route of its own.
async fn served(routes: &str) -> Served {
    let alone = ", alone-shallow: {model: shallow}, alone-second: {model: second}";
    Served::with("", &beside(), &format!("{alone}{routes}"), "").await
}

/// The answer to these rows, with why.
async fn explained(served: &Served, route: &str, rows: &[[f32; 3]]) -> Value {
    let mut body = x([rows.len() as u64, 3], &rows.concat());
    body["parameters"] = json!({"explain": true});
    let answer = served.infer(route, &body).await;
    assert_eq!(answer.status(), 200, "{route}: {}", answer.text());
    answer.json()
}

fn part(answer: &Value, name: &str) -> Vec<f64> {
    numbers(&output(answer, &format!("explanation.{name}"))["data"])
}

fn near(one: &[f64], other: &[f64]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| (one - other).abs() < 1e-9)
}

/// That a graph's explanation is that of these routes together, by their weights, and adds up.
async fn is_sum_of(served: &Served, graph: &Value, members: &[(f64, &str)], rows: &[[f32; 3]]) {
    let total: f64 = members.iter().map(|(weight, _)| weight).sum();
    for name in PARTS {
        let ours = part(graph, name);
        let mut sum = vec![0.0; ours.len()];
        for (weight, route) in members {
            let theirs = part(&explained(served, route, rows).await, name);
            sum.iter_mut().zip(theirs).for_each(|(sum, value)| *sum += weight / total * value);
        }
        assert!(near(&ours, &sum), "{name}: {ours:?} and {sum:?}");
    }
    // As exactly as the models themselves add, which is in 32 bits.
    let (base, whole) = (part(graph, "base"), part(graph, "explained"));
    for (nth, row) in part(graph, "contributions").chunks(3).enumerate() {
        assert!((row.iter().sum::<f64>() + base[nth] - whole[nth]).abs() < 1e-5, "row {nth} does not add up: {graph}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ensemble_of_trees_is_explained_by_the_sum_of_theirs() {
    let all = "members: [{model: fraud, weight: 2}, {model: shallow}, {model: second}], outputs: [probabilities]";
    let even = all.replace(", weight: 2", "");
    let routes = format!(
        ", panel: {{graph: {{nodes: {{panel: {{ensemble: {{combine: weighted, {all}}}}}}}}}}}, \
         mean: {{graph: {{nodes: {{mean: {{ensemble: {{combine: mean, {even}}}}}}}}}}}"
    );
    let served = served(&routes).await;
    let rows = [ROW, DOUBTFUL, [0.5, -2.0, -1.5]];
    for (route, weight) in [("panel", 2.0), ("mean", 1.0)] {
        let answer = explained(&served, route, &rows).await;
        is_sum_of(&served, &answer, &[(weight, "fraud"), (1.0, "alone-shallow"), (1.0, "alone-second")], &rows).await;
        assert_eq!(output(&answer, "explanation.features")["data"], json!(["f0", "f1", "f2"]));
        assert_eq!(output(&answer, "explanation.base")["parameters"]["method"], "tree_shap");
        // What is answered stays as it is without.
        let plain = served.infer(route, &x([3, 3], &rows.concat())).await.json();
        assert_eq!((&answer["outputs"][0], plain["outputs"].as_array().unwrap().len()), (&plain["outputs"][0], 1));
        // KServe's words for it.
        let said = served.client.post(&format!("/v1/models/{route}:explain"), &json!({"instances": rows})).await;
        assert_eq!(said.status(), 200, "{}", said.text());
        let said = said.json();
        let flat: Vec<f64> = (0..3).flat_map(|row| numbers(&said["explanations"][row]["contributions"][0])).collect();
        assert!(near(&flat, &part(&answer, "contributions")), "{said}");
        assert_eq!(said["predictions"].as_array().map(Vec::len), Some(3), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn else_the_model_that_answered_is_explained() {
    let split =
        "split: {graph: {nodes: {trial: {splitter: [{share: 50%, model: fraud}, {share: 50%, model: second}]}}}}";
    let served = served(&format!(", {FRAUD}, {split}")).await;
    // The switch sends it to the panel, and what is clear stays with the first model.
    let doubtful = explained(&served, "careful", &[DOUBTFUL]).await;
    let panel = [(2.0, "fraud"), (1.0, "alone-shallow"), (1.0, "alone-second")];
    is_sum_of(&served, &doubtful, &panel, &[DOUBTFUL]).await;
    let clear = explained(&served, "careful", &[ROW]).await;
    is_sum_of(&served, &clear, &[(1.0, "alone-shallow")], &[ROW]).await;
    assert!(output(&clear, "predict")["data"].is_array());
    let drawn = explained(&served, "split", &[DOUBTFUL]).await;
    let score = output(&drawn, "predict");
    let of_first = explained(&served, "fraud", &[DOUBTFUL]).await;
    let member = if output(&of_first, "predict") == score { "fraud" } else { "alone-second" };
    is_sum_of(&served, &drawn, &[(1.0, member)], &[DOUBTFUL]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_explanation_is_refused_in_words_that_name_the_node() {
    let upstream = Upstream::start().await;
    let said =
        json!({"model_name": "up", "outputs": [{"name": "predict", "datatype": "FP32", "shape": [1], "data": [0.5]}]});
    upstream.always(Act::Answer(200, vec![], said.to_string().into()));
    let routes = ", vote: {graph: {nodes: {most: {ensemble: {combine: vote, members: [{model: fraud}, {model: shallow}], outputs: [label]}}}}}, \
                  far: {graph: {nodes: {both: {ensemble: {combine: mean, members: [{model: fraud}, {model: far}], outputs: [predict]}}}}}, \
                  fed: {graph: {nodes: {fed: {ensemble: {combine: mean, members: [{model: fraud}, {model: shallow, inputs: {x: x}}], outputs: [predict]}}}}}";
    let more = format!("{}, far: {{provider: peer}}", beside());
    let served = Served::with(&provider("peer", "open_inference", &upstream), &more, routes, "").await;
    for (route, says) in [
        ("vote", "the node `most`: a vote is not explained"),
        ("far", "the node `both`, model `far`: what it answers has no explanation"),
        ("fed", "members 0 and 1 do not add up, since these members were given different tensors"),
    ] {
        let mut body = x([1, 3], &ROW);
        assert_eq!(served.infer(route, &body).await.status(), 200, "{route}");
        body["parameters"] = json!({"explain": true});
        let refused = served.infer(route, &body).await;
        assert!(refused.status() == 400 && refused.text().contains(says), "{route}: {}", refused.text());
        // Who names no inputs cannot have them named otherwise.
        if route == "fed" {
            continue;
        }
        let refused = served.client.post(&format!("/v1/models/{route}:explain"), &json!({"instances": [ROW]})).await;
        assert!(refused.status() == 400 && refused.text().contains(says), "{route}: {}", refused.text());
    }
    let mut wrong = x([1, 3], &ROW);
    wrong["parameters"] = json!({"explain": "yes"});
    let refused = served.infer("vote", &wrong).await;
    assert!(refused.status() == 400 && refused.text().contains("must be true or false"), "{}", refused.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_a_graph_with_a_governed_model_decided_so_stands_in_its_record() {
    let routes = "both: {graph: {nodes: {both: {ensemble: {combine: mean, members: [{model: governed}, {model: other}]}}}}}, \
                  free: {graph: {nodes: {row: {sequence: [{model: governed}, {model: other, takes: request}]}}}}";
    let shelf = governed(routes).await;
    let case = case("xgb_binary");
    let answer = infer(&shelf.client, "both", &case, 2, true).await;
    let record = event(&shelf.gateway.admin(), &answer.request_id()).await;
    let (reasons, said) = (&record["reasons"], answer.json());
    assert_eq!((&reasons["method"], &reasons["rows"]), (&json!("tree_shap"), &json!(2)), "{record}");
    assert_eq!(reasons["values"][1]["explained"], output(&said, "explanation.explained")["data"][1], "{record}");
    // Nobody asked; and here the model that answered is one that nobody governs.
    for (route, why) in [("both", false), ("free", true)] {
        let answer = infer(&shelf.client, route, &case, 2, why).await;
        let record = event(&shelf.gateway.admin(), &answer.request_id()).await;
        assert!(record.get("reasons").is_none(), "{route}: {record}");
    }
}
