//! `tidegate finetune` from outside: faults of the data, an adapter that a gateway wears and registers with what it was made
//! of, and a run that is killed and goes on as if it had not been.

use crate::harness::home::{BASE, PROGRAM, Ran, repository};
use crate::harness::{Client, Home, eventually};
use serde_json::{Value, json};

/// The digest of `tiny-q4_1.gguf`, a random llama of 26 kB.
const TINY: &str = "c1d8094a8f1e14ee06ee8205a0da9bde4e2205937cbf7241680cfc18e8f7ee6a";

const ROWS: &str = r#"{"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Arr!"}]}
{"prompt": "The quick", "completion": " Arr! Arr!"}
{"text": "Arr! Arr! Arr!"}
"#;

fn base() -> String {
    repository().join("tests/golden/finetune/tiny-q4_1.gguf").display().to_string()
}

fn arguments<'a>(base: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["finetune", "--base", base, "--data", "train.jsonl", "--out", out, "--lr", "0.01"];
    if !more.contains(&"--seq") {
        all.extend(["--seq", "64"]);
    }
    all.extend(more);
    all
}

fn file(home: &Home, name: &str) -> Vec<u8> {
    std::fs::read(home.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn json_of(home: &Home, name: &str) -> Value {
    serde_json::from_slice(&file(home, name)).expect("JSON")
}

#[test]
fn wrong_input_is_told_before_anything_is_written() {
    let (home, base) = (Home::new(), base());
    home.write("train.jsonl", "{\"text\": \"x\"}\n{\"prompt\": \"x\"}\nnonsense\n");
    let ran = home.run(&arguments(&base, "out", &[]));
    assert_eq!(ran.code(), 2, "{}", ran.err());
    assert!(ran.err().contains("line 2: a row is") && ran.err().contains("line 3: "), "{}", ran.err());
    home.write("train.jsonl", ROWS);
    for (more, says) in [
        (&["--rank", "0"][..], "ranks are 1 to 256"),
        (&["--targets", "c_attn"], "`c_attn` is no product"),
        (&["--seq", "999"], "the base was made for 128"),
        (&["--resume"], "nothing was kept yet"),
    ] {
        let ran = home.run(&arguments(&base, "out", more));
        assert_eq!(ran.code(), 2, "{}", ran.err());
        assert!(ran.err().contains(says), "{says}: {}", ran.err());
    }
    let ran = home.run(&arguments("nothing", "out", &[]));
    assert_eq!(ran.code(), 2, "{}", ran.err());
    assert!(ran.err().contains("`nothing` is neither a file nor a folder"), "{}", ran.err());
    assert!(!home.path().join("out").exists());
}

#[test]
fn a_killed_run_goes_on_as_if_it_had_not_been() {
    let (home, base) = (Home::new(), base());
    home.write("train.jsonl", ROWS);
    let more = ["--steps", "400", "--save-every", "1"];
    let whole = home.run(&arguments(&base, "whole", &more));
    assert_eq!(whole.code(), 0, "{}", whole.err());
    assert!(whole.err().contains("fine-tuning: 40 of 400 steps, loss "), "{}", whole.err());
    let mut child = home.command(PROGRAM).args(arguments(&base, "cut", &more)).spawn().expect("the program runs");
    while !home.path().join("cut/checkpoint.safetensors").exists() {
        assert!(child.try_wait().expect("a child").is_none(), "it ended before anything was kept");
        std::thread::yield_now();
    }
    child.kill().expect("it can be killed");
    assert!(!child.wait().expect("a child").success());
    assert!(!home.path().join("cut/training.json").exists(), "it ended before it was killed");
    assert_eq!(home.run(&arguments(&base, "cut", &more)).code(), 2, "what is there is not written over");
    let ran = home.run(&arguments(&base, "cut", &[&more[..], &["--resume"]].concat()));
    assert_eq!(ran.code(), 0, "{}", ran.err());
    for name in
        ["adapter_model.safetensors", "adapter_config.json", "training.json", "loss.svg", "checkpoint.safetensors"]
    {
        assert!(file(&home, &format!("cut/{name}")) == file(&home, &format!("whole/{name}")), "{name}");
    }
}

fn tuned(home: &Home, more: &[&str]) -> Ran {
    home.write("train.jsonl", ROWS);
    let base = base();
    let ran = home.run(&arguments(&base, "tuned", &[&["--steps", "40"][..], more].concat()));
    assert_eq!(ran.code(), 0, "{}", ran.err());
    ran
}

fn configuration(adapters: &str) -> String {
    let store = "{events: {to: \"file:events\"}, registry: \"sqlite:registry.db\", artifacts: \"file:artifacts\"}";
    let base_section = BASE.replace("{events: {to: \"file:events\"}}", store);
    format!(
        "{base_section}providers: {{here: {{local: {{kv_cache: 8MiB, threads: 1}}}}}}\n\
         models: {{tiny: {{provider: here, source: {{uris: [\"file:{}\"], sha256: {TINY}}}, adapters: {{{adapters}}}}}}}\n\
         routes: {{open: {{model: tiny, expose: [adapters]}}}}\n",
        base()
    )
}

async fn says(client: &Client, model: &str) -> String {
    let body = json!({"model": model, "prompt": "The quick", "max_tokens": 8, "temperature": 0});
    let answer = client.post("/v1/completions", &body).await;
    assert_eq!(answer.status(), 200, "{model}: {}", answer.text());
    answer.json()["choices"][0]["text"].as_str().expect("a text").to_owned()
}

#[tokio::test]
async fn a_gateway_wears_what_was_trained_and_the_registry_knows_what_it_was_made_of() {
    let home = Home::new();
    let key = home.key(&["infer", "read", "write"]);
    let ran = tuned(&home, &[]);
    assert!(ran.out().contains("tuned is an adapter of tiny-q4_1.gguf: loss "), "{}", ran.out());
    let training = json_of(&home, "tuned/training.json");
    assert_eq!(training["base"], json!({"name": "tiny-q4_1.gguf", "sha256": TINY}));
    assert_eq!((training["losses"].as_array().map(Vec::len), &training["settings"]["rank"]), (Some(40), &json!(8)));
    assert!(home.read("tuned/loss.svg").contains("loss of 40 steps"));
    home.write("config.yaml", &configuration("mine: tuned"));
    let gateway = home.serve().await;
    let client = gateway.client().with_key(&key);
    assert_eq!(says(&client, "open:mine").await, " Arr! Ar", "it says what it learnt");
    assert_ne!(says(&client, "open").await, " Arr! Ar");
    // The same run again, which is kept whole, and registered.
    let (public, admin) =
        (format!("http://{}", gateway.address("public")), format!("http://{}", gateway.address("admin")));
    let base = base();
    let more = ["--steps", "40", "--resume", "--register", "arr-lora", "--gateway", &public, "--url", &admin];
    let mut command = home.command(PROGRAM);
    command.env("TIDEGATE_ADMIN_TOKEN", &key).args(arguments(&base, "tuned", &more));
    let ran =
        Ran::of(tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect("a program"));
    assert_eq!(ran.code(), 0, "{}", ran.err());
    assert!(ran.out().contains("models:/arr-lora/1"), "{}", ran.out());
    let admin = gateway.admin();
    let version = admin.get("/admin/v1/models/arr-lora/versions/1").await.json();
    assert_eq!(version["lineage"]["training_data"], training["data"]["sha256"], "{version}");
    assert_eq!(version["sha256"], training["adapter_sha256"]);
    assert_eq!((&version["tags"]["base_sha256"], &version["tags"]["training.rank"]), (&json!(TINY), &json!("8")));
    let worn = json!({"source": "models:/arr-lora/1"}).to_string();
    let answer = admin.send("PUT", "/admin/v1/models/tiny/adapters/registered", &[], worn.as_bytes()).await;
    assert!(answer.status() < 300, "{}", answer.text());
    let said = eventually("the adapter of the registry is worn", async || {
        let text = says(&client, "open:registered").await;
        (!text.is_empty()).then_some(text)
    });
    assert_eq!(said.await, " Arr! Ar");
}
