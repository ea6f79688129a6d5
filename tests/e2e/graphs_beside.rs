//! Graphs of classic models beside what else a gateway does, from outside: as what is shadowed and as a shadow, with
//! plugins among their steps, and in the metrics.

#[cfg(feature = "host")]
use crate::classic::provider;
use crate::classic::{ROW, Served, another, output, x};
use crate::graphs::{DOUBTFUL, FRAUD, beside};
use crate::harness::events::Counts;
use crate::harness::eventually;
#[cfg(feature = "host")]
use crate::harness::{Upstream, home::repository, upstream::Act};
use serde_json::{Value, json};

/// What was written down of copies, when there are so many of them.
async fn entries(served: &Served, count: usize) -> Vec<Value> {
    let folder = served.home.path().join("events/shadows");
    eventually("the comparisons", async || {
        let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
        // A line that is being written is not whole yet.
        let lines =
            |text: String| text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<Value>>();
        let all: Vec<Value> = texts.flat_map(lines).collect();
        (all.len() >= count).then_some(all)
    })
    .await
}

fn of<'a>(entries: &'a [Value], id: &str, shadow: &str) -> &'a Value {
    let found = entries.iter().find(|entry| entry["id"] == id && entry["shadow"] == shadow);
    found.unwrap_or_else(|| panic!("no comparison of {id} with {shadow}: {entries:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graph_is_shadowed_and_a_graph_shadows_and_their_numbers_are_compared() {
    let compare = "compare: {numeric_tolerance: 1%}";
    let careful = FRAUD.strip_suffix("}}").unwrap();
    // The second shadow is the same graph again, and so always agrees.
    let again = FRAUD.strip_prefix("careful: {").unwrap().strip_suffix('}').unwrap();
    let routes = format!(
        ", {careful}}}, shadow: [{{variant: {{model: shallow}}, {compare}}}, {{name: again, variant: {{{again}}}, {compare}}}]}}, \
         alone: {{model: shallow, shadow: [{{variant: {{graph: {{nodes: {{both: {{ensemble: {{combine: mean, members: [{{model: shallow}}, {{model: second}}], outputs: [predict]}}}}}}}}}}, {compare}}}]}}, \
         both: {{graph: {{nodes: {{both: {{ensemble: {{combine: mean, members: [{{model: shallow}}, {{model: second}}], outputs: [predict]}}}}}}}}}}"
    );
    let served = Served::with("", &beside(), &routes, "").await;
    let ask = async |route: &str, row: &[f32; 3]| {
        let answer = served.infer(route, &x([1, 3], row)).await;
        assert_eq!(answer.status(), 200, "{route}: {}", answer.text());
        answer
    };
    // One after the other, so that no copy is left out.
    let clear = ask("careful", &ROW).await;
    entries(&served, 2).await;
    let doubtful = ask("careful", &DOUBTFUL).await;
    entries(&served, 4).await;
    let alone = ask("alone", &DOUBTFUL).await;
    let entries = entries(&served, 5).await;
    // Where the first model answers, the shadow is that model; where the panel does, its probabilities are others.
    let same = of(&entries, &clear.request_id(), "shallow");
    assert_eq!((&same["compared"]["exact"], &same["compared"]["fields"]), (&json!(true), &json!([])), "{same}");
    let other = of(&entries, &doubtful.request_id(), "shallow");
    let fields = ["/probabilities/data/0", "/probabilities/data/1"];
    assert_eq!(other["compared"]["fields"], json!(fields), "{other}");
    for answer in [&clear, &doubtful] {
        let again = of(&entries, &answer.request_id(), "again");
        assert_eq!(again["compared"]["exact"], json!(true), "{again}");
    }
    // A graph that answers less than the caller got, and something else: what lacks is named, and what differs.
    let found = of(&entries, &alone.request_id(), "graph");
    let (got, graph) = (alone.json(), ask("both", &DOUBTFUL).await.json());
    let score = |answer: &Value| output(answer, "predict")["data"][0].as_f64().unwrap();
    assert!((score(&got) - score(&graph)).abs() > 0.02 * score(&got), "{got} {graph}");
    let outputs = got["outputs"].as_array().unwrap().iter().map(|output| output["name"].as_str().unwrap());
    let mut wanted: Vec<String> =
        outputs.map(|name| if name == "predict" { "/predict/data/0".to_owned() } else { format!("/{name}") }).collect();
    wanted.sort_unstable();
    assert_eq!(found["compared"]["fields"], json!(wanted), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_behind_graphs_alone_are_in_the_metrics() {
    let inner = "{graph: {nodes: {row: {sequence: [{model: inner}]}}}}";
    let shadowed = "{graph: {nodes: {row: {sequence: [{model: copied}]}}}}";
    let routes = format!(", row: {inner}, copied: {{model: fraud, shadow: [{{variant: {shadowed}}}]}}");
    let served = Served::with("", &format!("{}{}", another("inner"), another("copied")), &routes, "").await;
    for route in ["row", "copied"] {
        assert_eq!(served.infer(route, &x([1, 3], &ROW)).await.status(), 200);
    }
    entries(&served, 1).await;
    let page = Counts::read(&served.gateway.admin()).await;
    for model in ["fraud", "inner", "copied"] {
        let series = |name: &str| page.series(&format!("tidegate_classic_{name}{{model=\"{model}\"}}"));
        assert!(series("at_once_total") + series("batch_rows_count") >= 1.0, "{model}: {}", page.text());
    }
}

#[cfg(feature = "host")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_is_a_plugin_puts_other_tensors_in_or_refuses() {
    let upstream = Upstream::start().await;
    let said = json!({"model_name": "up", "outputs": [{"name": "y", "datatype": "FP64", "shape": [1], "data": [0.5]}]});
    upstream.always(Act::Answer(200, vec![], said.to_string().into()));
    let component = repository().join("plugins/dist/pii.wasm");
    let plugin = |name: &str, config: &str| {
        // Its time is not what is tested, and others may have the processor for longer than it usually has.
        let rest = format!("config: {config}, limits: {{deadline: 2s}}");
        format!("{name}: {{component: \"{}\", {rest}}}", component.display())
    };
    let row = |name: &str, plugin: &str, model: &str| {
        format!(", {name}: {{graph: {{nodes: {{row: {{sequence: [{{plugin: {plugin}}}, {{model: {model}}}]}}}}}}}}")
    };
    let routes =
        [row("hides", "hides", "far"), row("objects", "objects", "far"), row("local", "hides", "fraud")].concat();
    let rest = format!(
        "plugins: {{{}, {}}}\n",
        plugin("hides", "{kinds: [email]}"),
        plugin("objects", "{kinds: [email], mode: refuse}")
    );
    let peer = provider("peer", "open_inference", &upstream);
    let served = Served::with(&peer, ", far: {provider: peer}", &routes, &rest).await;
    let text = |text: &str| json!({"inputs": [{"name": "said", "shape": [1], "datatype": "BYTES", "data": [text]}]});
    // The model sees what the plugin made of it.
    let answer = served.infer("hides", &text("write to ann.smith@example.com, please")).await;
    assert_eq!((answer.status(), &output(&answer.json(), "y")["data"]), (200, &json!([0.5])), "{}", answer.text());
    assert_eq!(upstream.last().json()["inputs"][0]["data"], json!(["write to [EMAIL], please"]));
    let record = crate::harness::events::event(&served.gateway.admin(), &answer.request_id()).await;
    let visits: Vec<&Value> = record["visits"].as_array().unwrap().iter().collect();
    assert_eq!((&visits[1]["plugin"], &visits[2]["model"]), (&json!("hides"), &json!("far")), "{record}");
    let told = served.home.run(&["explain", &answer.request_id(), "--config", "config.yaml"]);
    assert!(told.out().contains("plugin `hides` answered"), "{}{}", told.out(), told.err());
    // It may object, and then nobody is asked.
    let seen = upstream.count();
    let refused = served.infer("objects", &text("write to ann.smith@example.com, please")).await;
    assert!(
        refused.status() == 400 && refused.text().contains("the node `row`, plugin `objects`:"),
        "{}",
        refused.text()
    );
    assert_eq!(upstream.count(), seen);
    assert_eq!(served.infer("objects", &text("nothing of the kind")).await.status(), 200);
    // Numbers pass as they are, to the last digit, and the model behind says why.
    let mut body = x([1, 3], &ROW);
    body["parameters"] = json!({"explain": true});
    let (through, alone) = (served.infer("local", &body).await, served.infer("fraud", &body).await);
    assert_eq!(through.status(), 200, "{}", through.text());
    let sorted = |answer: &Value| {
        let mut outputs = answer["outputs"].as_array().unwrap().clone();
        outputs.sort_by_key(|output| output["name"].to_string());
        outputs
    };
    assert_eq!(sorted(&through.json()), sorted(&alone.json()));
}
