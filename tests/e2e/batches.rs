//! `tidegate batch`: a table through a route and out again, in each form, the same whether it was broken off or not; rows that
//! are refused spoil no others, and every call leaves its record.

use crate::classic::{Served, model_of, output, x};
use crate::harness::Shelf;
use crate::harness::events::settled;
use crate::harness::home::{PROGRAM, repository};
use serde_json::{Value, json};

const GOLDEN: &str = "gateway/classic/tests/golden";

/// The numbers of row `nth`, in the order of the columns.
fn flower(nth: usize) -> [f32; 4] {
    let nth = nth as f32;
    [4.5 + nth % 7.0 / 4.0, 2.5 + nth % 5.0 / 4.0, 1.25 + nth % 11.0 / 2.0, 0.25 + nth % 3.0]
}

fn csv(rows: usize) -> String {
    let mut text = "id,sepal_length,sepal_width,petal_length,petal_width\n".to_owned();
    for nth in 0..rows {
        let [a, b, c, d] = flower(nth);
        text += &format!("00{nth},{a},{b},{c},{d}\n");
    }
    text
}

/// Rows of a file of JSON lines.
fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

struct Bench {
    served: Served,
    url: String,
    key: String,
}

impl Bench {
    async fn open() -> Self {
        let models = format!(", {}", model_of("trees", &format!("{GOLDEN}/xgb_softprob.json"), "input: x"));
        let served = Served::with("", &models, ", trees: {model: trees}", "").await;
        let url = format!("http://{}", served.gateway.address("public"));
        let key = served.home.key(&["infer"]);
        // A new key is seen by the next reload.
        let reloaded = served.gateway.admin().post("/admin/v1/reload", &json!({})).await;
        assert_eq!(reloaded.status(), 200, "{}", reloaded.text());
        Self { served, url, key }
    }

    fn batch(&self, arguments: &[&str]) -> crate::harness::home::Ran {
        let mut command = self.served.home.command(PROGRAM);
        command.arg("batch").args(arguments).args(["--url", &self.url]).env("TIDEGATE_API_KEY", &self.key);
        crate::harness::home::Ran::of(command.output().expect("the program runs"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_goes_through_a_route_and_out_in_each_form() {
    const ROWS: usize = 500;
    let bench = Bench::open().await;
    let home = &bench.served.home;
    home.write("in.csv", &csv(ROWS));
    let usual = ["--route", "trees", "--leave", "id", "--by-position", "--rows", "64"];
    let ran = bench.batch(&[&["--in", "in.csv", "--out", "out.jsonl"], &usual[..]].concat());
    assert_eq!(ran.code(), 0, "{}{}", ran.out(), ran.err());
    assert!(
        ran.out().contains("500 rows: out.jsonl") && ran.err().contains("(500 of 500 rows)"),
        "{}{}",
        ran.out(),
        ran.err()
    );
    let rows = lines(&home.read("out.jsonl"));
    assert_eq!(rows.len(), ROWS);
    for nth in [0, 63, 64, 499] {
        let alone = bench.served.infer("trees", &x([1, 4], &flower(nth))).await.json();
        assert_eq!(rows[nth]["id"], format!("00{nth}"), "an id is no number");
        assert_eq!(rows[nth]["label"], output(&alone, "label")["data"][0]);
        for class in 0..3 {
            let (one, other) =
                (&rows[nth][format!("probabilities.{class}")], &output(&alone, "probabilities")["data"][class]);
            let apart = one.as_f64().expect("a number") - other.as_f64().expect("a number");
            assert!(apart.abs() < 1e-9, "{nth}: {one} and {other}");
        }
    }
    // Out as Parquet, in as Parquet, and out as CSV: the model's own answers are left aside then.
    let ran = bench.batch(&[&["--in", "in.csv", "--out", "out.parquet"], &usual[..]].concat());
    assert_eq!(ran.code(), 0, "{}", ran.err());
    let own = ["predict.0", "predict.1", "predict.2", "label", "probabilities.0", "probabilities.1", "probabilities.2"];
    let leave: Vec<&str> = own.iter().flat_map(|name| ["--leave", name]).collect();
    let ran = bench.batch(&[&["--in", "out.parquet", "--out", "again.csv"], &usual[..], &leave].concat());
    assert_eq!(ran.code(), 0, "{}", ran.err());
    let again = home.read("again.csv");
    let names: Vec<&str> = again.lines().next().expect("names").split(',').collect();
    let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
    let at = |name: &str| names.iter().position(|known| *known == name).expect("a column");
    for (line, row) in again.lines().skip(1).zip(&rows) {
        let cells = cells(line);
        assert_eq!(cells[at("id")], *row["id"].as_str().expect("a text"));
        assert_eq!(cells[at("label")], cells[at("output.label")], "the same again");
        assert_eq!(cells[at("probabilities.2")], cells[at("output.probabilities.2")]);
    }
    assert_eq!(again.lines().count(), ROWS + 1);
    // Each call went the way of all calls: eight in each of three batches, and four alone.
    let counts = settled(&bench.served.gateway.admin(), 28.0).await;
    assert_eq!(counts.sum("tidegate_events_total"), 28.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_broken_off_goes_on_and_is_the_same() {
    let bench = Bench::open().await;
    let home = &bench.served.home;
    home.write("in.csv", &csv(200));
    let usual = ["--in", "in.csv", "--route", "trees", "--leave", "id", "--by-position", "--rows", "16"];
    assert_eq!(bench.batch(&[&usual[..], &["--out", "whole.jsonl"]].concat()).code(), 0);
    let whole = home.read("whole.jsonl");
    // As if the power had gone within row 57: its first line says of what it is a part, which the command itself wrote.
    let out = ["--out", "half.jsonl"];
    let before = bench.batch(&[&usual[..], &out, &["--url", "http://127.0.0.1:1"]].concat());
    assert_eq!(before.code(), 2, "two addresses are one too many");
    bench.served.home.write("half.jsonl.part", "{\"batch\": {\"route\": \"other\"}}\n");
    let other = bench.batch(&[&usual[..], &out].concat());
    assert!(other.code() == 2 && other.err().contains("another batch"), "{}", other.err());
    let sha256 = tidegate_core::digest::Digest::of(home.read("in.csv").as_bytes()).to_string();
    let heading = json!({"batch": {
        "route": "trees", "sha256": sha256,
        "columns": ["id", "sepal_length", "sepal_width", "petal_length", "petal_width"], "leave": ["id"], "by_position": true,
    }});
    let done: Vec<&str> = whole.lines().take(57).collect();
    let half = format!("{heading}\n{}\n{}", done.join("\n"), &whole.lines().nth(57).expect("a row")[..20]);
    home.write("half.jsonl.part", &half);
    let calls = settled(&bench.served.gateway.admin(), 13.0).await.sum("tidegate_calls_total");
    let ran = bench.batch(&[&usual[..], &out].concat());
    assert_eq!(ran.code(), 0, "{}", ran.err());
    assert_eq!(home.read("half.jsonl"), whole);
    assert!(!home.path().join("half.jsonl.part").exists());
    let after = settled(&bench.served.gateway.admin(), calls + 9.0).await.sum("tidegate_calls_total");
    assert_eq!(after - calls, 9.0, "143 rows are left, of which 16 go at a time");
    // What is there is not written over unasked.
    let ran = bench.batch(&[&usual[..], &out].concat());
    assert!(ran.code() == 2 && ran.err().contains("--force"), "{}", ran.err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_refused_spoil_no_others() {
    let shelf = Shelf::open("").await;
    let kinds = ["sepal_length", "sepal_width", "petal_length", "petal_width"];
    let inputs: Vec<Value> = kinds.iter().map(|name| json!({"name": name, "type": "double"})).collect();
    shelf.home.write("signature.json", &json!({"inputs": inputs}).to_string());
    let graph = repository().join(GOLDEN).join("mlp_classes.onnx");
    let registered = shelf.model(&[
        "register",
        "flowers",
        "--file",
        graph.to_str().expect("UTF-8"),
        "--signature",
        "signature.json",
    ]);
    assert_eq!(registered.code(), 0, "{}", registered.err());
    let between =
        json!({"type": "expect_column_values_to_be_between", "kwargs": {"column": "sepal_length", "max_value": 50}});
    shelf.home.write("suite.json", &json!({"expectations": [between]}).to_string());
    let model = "flowers: {provider: here, input: x, source: \"models:/flowers/1\", contract: {suite: suite.json}}";
    shelf.serve(model, "flowers: {model: flowers}", "").await;
    // The columns go by their names, whatever their order.
    let mut rows = Vec::new();
    for nth in 0..40 {
        let [a, b, c, d] = flower(nth);
        let a = if nth == 17 || nth == 30 { 99.5 } else { a };
        rows.push(json!({"petal_width": d, "sepal_length": a, "sepal_width": b, "petal_length": c}).to_string());
    }
    shelf.home.write("in.jsonl", &rows.join("\n"));
    let url = format!("http://{}", shelf.gateway.address("public"));
    let key = shelf.home.key(&["infer"]);
    assert_eq!(shelf.gateway.admin().post("/admin/v1/reload", &json!({})).await.status(), 200);
    let batch = |route: &str, out: &str| {
        shelf.home.run(&["batch", "--route", route, "--in", "in.jsonl", "--out", out, "--url", &url, "--key", &key])
    };
    let ran = batch("flowers", "out.jsonl");
    assert!(ran.code() == 0 && ran.out().contains("40 rows, of which 2 were refused"), "{}{}", ran.out(), ran.err());
    let rows = lines(&shelf.home.read("out.jsonl"));
    for (nth, row) in rows.iter().enumerate() {
        if nth == 17 || nth == 30 {
            let why = row["error"].as_str().expect("a reason");
            assert!(
                why.contains("field `sepal_length`, row 0: 99.5 is not at most 50") && row.get("label").is_none(),
                "{row}"
            );
            continue;
        }
        let alone = shelf.client.post("/v2/models/flowers/infer", &x([1, 4], &flower(nth))).await.json();
        assert_eq!((&row["label"], row.get("error")), (&output(&alone, "label")["data"][0], None), "{nth}");
    }
    let none = batch("nobody", "none.csv");
    assert!(none.code() == 1 && none.err().contains("404"), "{}", none.err());
    let wrong = shelf.home.run(&["batch", "--route", "flowers", "--in", "in.jsonl", "--out", "x.xlsx", "--url", &url]);
    assert!(wrong.code() == 2 && wrong.err().contains(".parquet"), "{}", wrong.err());
}
