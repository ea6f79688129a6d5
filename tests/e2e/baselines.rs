//! Baselines: made by the command of a file that stays where it is, kept by the registry, and checked when they come
//! otherwise.

use crate::harness::home::BASE;
use crate::harness::{Home, Upstream, provider};
use serde_json::json;
use std::fmt::Write as _;

#[tokio::test]
async fn the_profile_of_training_data_is_kept_and_the_data_is_not_sent() {
    let (upstream, home) = (Upstream::start().await, Home::new());
    let store = "{events: {to: \"file:events\"}, registry: \"sqlite:registry.db\", artifacts: \"file:artifacts\"}";
    let base = BASE.replace("{events: {to: \"file:events\"}}", store);
    home.write("config.yaml", &format!("{base}{}{}", provider("pool", &[&upstream]), crate::harness::ROUTES));
    home.key(&["read"]);
    let gateway = home.serve().await;
    let admin = gateway.admin();
    let url = format!("http://{}", gateway.address("admin"));
    let new = json!({"name": "fraud", "format": "onnx", "uri": "s3://models/fraud.onnx"});
    let made = admin.post("/admin/v1/models", &new).await;
    assert_eq!(made.status(), 201, "{}", made.text());
    let mut csv = "customer,amount,country\n".to_owned();
    for i in 0..3000 {
        writeln!(csv, "secret-{i},{}.5,{}", i % 700, ["de", "fr"][i % 2]).expect("it grows");
    }
    home.write("training.csv", &csv);
    let model =
        |arguments: &[&str]| home.run(&[&["model", "baseline", "fraud/1"], arguments, &["--url", &url]].concat());
    let ran = model(&[]);
    assert!(ran.code() == 1 && ran.err().contains("has no baseline"), "{}", ran.err());
    let ran = model(&["--file", "training.csv", "--except", "customer", "--no-sample"]);
    let says = "fraud/1 has a baseline of 3000 rows, 1 numeric and 1 categorical columns; 0 rows are its sample\n";
    assert_eq!((ran.code(), ran.out().as_str()), (0, says), "{}", ran.err());
    let path = "/admin/v1/models/fraud/versions/1/baseline";
    let kept = admin.get(path).await.json();
    assert_eq!(kept["columns"][0]["numeric"]["bins"].as_array().map(Vec::len), Some(256), "{kept}");
    assert_eq!(kept["columns"][1]["categorical"]["categories"][0], json!({"value": "de", "count": 1500}));
    assert!(!kept.to_string().contains("secret"));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&model(&[]).out()).expect("JSON"), kept);
    // What does not hold together is not kept.
    let mut wrong = kept.clone();
    wrong["rows"] = json!(2999);
    let json = [("content-type", "application/json")];
    let answer = admin.send("PUT", path, &json, wrong.to_string().as_bytes()).await;
    assert!(answer.status() == 400 && answer.text().contains("column `amount`"), "{}", answer.text());
    assert_eq!(admin.get(path).await.json(), kept);
    // Neither is a file that is no table.
    home.write("training.csv", "a,b\n1\n");
    let ran = model(&["--file", "training.csv"]);
    assert!(ran.code() == 2 && ran.err().contains("has 1 cells, and 2 columns are named"), "{}", ran.err());
    let log = home.run(&["audit", "export", "--config", "config.yaml"]).out();
    assert_eq!(log.matches("version.baseline").count(), 1, "{log}");
}
