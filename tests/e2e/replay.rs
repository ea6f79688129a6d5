//! Replay from outside: which routes are replayed, that a policy replayed on its own log is itself, what is refused, and that
//! a log which was changed is found.

use crate::harness::{Home, Upstream, chat, home, upstream};
use serde_json::{Value, json};

const LEARNS: &str = "{thompson: {reward: good, half_life: 40}}";
const FIXED: &str = "{weighted: {x: 60%, y: 40%}}";
const CERTAIN: &str = "{weighted: {x: 100%, y: 0%}}";

/// Three routes: one that learns, one with fixed shares, one without chance.
fn text(urls: &[String; 2], policies: [&str; 3]) -> String {
    let route = |policy: &str| format!("{{variants: {{x: {{model: mx}}, y: {{model: my}}}}, policy: {policy}}}");
    let [learns, fixed, certain] = policies.map(route);
    format!(
        "{}providers: {{px: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}, py: {{openai: {{endpoints: [{{url: \"{}\"}}]}}}}}}\nmodels: {{mx: {{provider: px, model: x}}, my: {{provider: py, model: y}}}}\nrewards: {{good: {{kind: boolean}}}}\nroutes: {{learns: {learns}, fixed: {fixed}, certain: {certain}}}\n",
        home::BASE,
        urls[0],
        urls[1]
    )
}

/// A home whose gateway had 120 calls of each route, of which `y` was judged better.
async fn logged() -> (Home, [String; 2]) {
    let (x, y) = (Upstream::start().await, Upstream::start().await);
    x.always(upstream::completion("from-x", 3, 2));
    y.always(upstream::completion("from-y", 3, 2));
    let (home, urls) = (Home::new(), [x.url(), y.url()]);
    home.write("config.yaml", &text(&urls, [LEARNS, FIXED, CERTAIN]));
    let key = home.key(&["infer", "feedback", "read"]);
    let mut gateway = home.serve().await;
    let client = gateway.client().with_key(&key);
    for call in 0..360usize {
        let answer = client.chat(&chat(["learns", "fixed", "certain"][call % 3])).await;
        let good = if answer.text().contains("from-y") { call % 5 != 0 } else { call % 5 == 0 };
        let said = json!({"inference_id": answer.request_id(), "reward": "good", "value": good});
        assert_eq!(client.post("/v1/feedback", &said).await.status(), 200);
    }
    gateway.signal("TERM");
    gateway.ended().await;
    (home, urls)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_are_replayed_verified_and_refused() {
    let (home, urls) = logged().await;
    let run = |arguments: &[&str]| {
        let ran = home.run(&[&["replay"], arguments].concat());
        (ran.code(), ran.out(), ran.err())
    };
    itself(&run);
    others(&home, &urls, &run);
    changed(&home, &run);
}

type Run<'a> = dyn Fn(&[&str]) -> (i32, String, String) + 'a;

/// A policy on its own log: the probabilities are those that calls had, so every weight is 1, to the bit.
fn itself(run: &Run<'_>) {
    let (code, _, err) = run(&["--config", "config.yaml", "--reward", "good"]);
    assert!(code == 1 && err.contains("no route has another policy than its newest calls had"), "{err}");
    for arguments in [&["--route", "learns", "--relearn"][..], &["--route", "fixed"]] {
        let route = arguments[1];
        let (code, out, err) = run(&[&["--config", "config.yaml", "--reward", "good", "--json"], arguments].concat());
        assert_eq!(code, 0, "{route}: {err}");
        let found: Value = serde_json::from_str(&out).expect("JSON");
        let (estimates, mean) = (&found[0]["estimates"], &found[0]["as_it_was"]);
        assert_eq!((&found[0]["calls"], &estimates["max_weight"]), (&json!(120), &json!(1.0)), "{found}");
        assert_eq!(estimates["effective_sample_size"], json!(120.0), "{found}");
        let close = |one: &Value| (one.as_f64().unwrap() - mean.as_f64().unwrap()).abs() < 1e-12;
        assert!(close(&estimates["snips"]) && close(&estimates["ips"]), "{found}");
    }
}

/// Only what differs is replayed; a route that is refused fails the command, and does not hide the others.
fn others(home: &Home, urls: &[String; 2], run: &Run<'_>) {
    home.write("new.yaml", &text(urls, [LEARNS, "{weighted: {x: 10%, y: 90%}}", CERTAIN]));
    let (code, out, err) = run(&["--config", "new.yaml", "--reward", "good"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("fixed: 120 calls, 120 of them with `good`\n"), "{out}");
    assert!(!out.contains("learns:") && !out.contains("certain:"), "{out}");
    home.write("new.yaml", &text(urls, [LEARNS, "{weighted: {x: 10%, y: 90%}}", "{weighted: {x: 0%, y: 100%}}"]));
    let (code, out, err) = run(&["--config", "new.yaml", "--reward", "good"]);
    assert!(code == 1 && out.starts_with("fixed: 120 calls"), "{out}{err}");
    assert!(err.contains("`certain` cannot be replayed: "), "{err}");
    home.write("new.yaml", &text(urls, [LEARNS, FIXED, "{weighted: {x: 50%, y: 50%}}"]));
    let (code, out, err) = run(&["--config", "new.yaml", "--reward", "good", "--json"]);
    assert!(code == 1 && out.is_empty() && err.contains("a deterministic log"), "{out}{err}");
}

/// Decisions and states are the same again, until somebody changes the log.
fn changed(home: &Home, run: &Run<'_>) {
    let verify = ["--config", "config.yaml", "--verify"];
    let (code, out, err) = run(&verify);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("360 of 360 decisions are the same when they are drawn again\n"), "{out}");
    let shown: Value = serde_json::from_str(&run(&[&verify[..], &["--json"]].concat()).1).expect("JSON");
    assert!(shown["states"].as_u64().is_some_and(|states| states > 1), "{shown}");
    assert_eq!((&shown["states"], &shown["states_unknown"]), (&shown["states_same"], &json!(0)), "{shown}");
    let folder = std::fs::read_dir(home.path().join("events/learning")).expect("the log");
    let path = folder.filter_map(Result::ok).map(|entry| entry.path()).min().expect("a day of the log");
    let log = std::fs::read_to_string(&path).expect("text");
    let (before, after) = log.split_once("\"reward\":\"good\",\"value\":1.0,\"id\"").expect("a reward");
    std::fs::write(&path, format!("{before}\"reward\":\"good\",\"value\":0.0,\"id\"{after}")).expect("written");
    let (code, _, err) = run(&verify);
    assert!(code == 1 && err.contains(" is not: its log was changed"), "{err}");
}
