//! Labels and demonstrations, from outside: taken as rewards are, kept as far as content is, and shown with their call.

use crate::harness::{Stage, chat, eventually};
use serde_json::{Value, json};

/// What lies in the log of notes.
fn notes(stage: &Stage) -> String {
    let folder = stage.home.path().join("events/notes");
    let files = std::fs::read_dir(folder).expect("a log of notes");
    files.map(|file| std::fs::read_to_string(file.expect("a file").path()).expect("text")).collect()
}

/// A call of an episode; its id.
async fn called(stage: &Stage, key: &str, episode: &str) -> String {
    let body = chat("mock").to_string();
    let client = stage.gateway.client().with_key(key);
    let headers = [("x-tidegate-episode", episode)];
    let answer = client.send("POST", "/v1/chat/completions", &headers, body.as_bytes()).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.request_id()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_and_demonstrations_are_checked_taken_once_and_shown() {
    let mut stage = Stage::new().await;
    let key = stage.home.key(&["infer", "feedback"]);
    let client = stage.gateway.client().with_key(&key);
    eventually("the key", async || (client.get("/v1/models").await.status() == 200).then_some(())).await;
    let id = called(&stage, &key, "e-1").await;
    for (body, param) in [
        (json!({"inference_id": id}), "reward"),
        (json!({"inference_id": id, "label": "a", "demonstration": "b"}), "reward"),
        (json!({"inference_id": id, "label": ""}), "label"),
        (json!({"inference_id": id, "label": "x".repeat(257)}), "label"),
        (json!({"inference_id": id, "label": "a", "name": "b c"}), "name"),
        (json!({"inference_id": id, "label": "a", "value": 1}), "value"),
        (json!({"inference_id": id, "demonstration": 5}), "demonstration"),
        (json!({"inference_id": id, "demonstration": "x".repeat(65_537)}), "demonstration"),
        (json!({"inference_id": "x", "label": "a"}), "inference_id"),
        (json!({"label": "a"}), "inference_id"),
    ] {
        let answer = client.post("/v1/feedback", &body).await;
        assert_eq!((answer.status(), &answer.error()["param"]), (400, &json!(param)), "{body}: {}", answer.text());
    }
    let unknown = json!({"inference_id": "01931c2e-8f10-7cc3-98c4-dc0c0c07398f", "label": "a"});
    assert_eq!(client.post("/v1/feedback", &unknown).await.status(), 404);

    let say = async |body: Value| {
        let answer = client.post("/v1/feedback", &body).await;
        (answer.status(), answer.json())
    };
    let label = |class: &str| json!({"inference_id": id, "label": class, "name": "topic", "idempotency_key": "k"});
    let taken = |was_known: bool, kept: &str| json!({"object": "feedback", "learnt": [], "was_known": was_known, "kept": kept, "late": false});
    assert_eq!(say(label("billing")).await, (200, taken(false, "full")));
    assert_eq!(say(label("billing")).await, (200, taken(true, "full")));
    assert_eq!(say(label("other")).await.0, 409);
    // No content is kept here, and so nothing of what would have been right.
    let secret = json!({"inference_id": id, "demonstration": {"answer": "a secret text"}});
    let (status, several) =
        say(json!([secret, {"episode_id": "e-1", "label": "long"}, {"inference_id": id, "label": 1}])).await;
    assert_eq!((status, &several["data"][0]), (200, &taken(false, "nothing")), "{several}");
    assert_eq!(several["data"][1], taken(false, "full"), "{several}");
    assert_eq!(several["data"][2]["error"]["param"], "label", "{several}");
    assert!(notes(&stage).contains("billing") && !notes(&stage).contains("secret"), "{}", notes(&stage));

    // Another tenant's call is not known.
    let other = stage.gateway.client().with_key(&stage.home.key_of("another", &["feedback"]));
    let theirs = json!({"inference_id": id, "label": "theirs"});
    eventually("the key", async || (other.post("/v1/feedback", &theirs).await.status() == 404).then_some(())).await;

    // A power cut takes nothing of it.
    let before = shown(&stage, &id);
    stage.gateway.kill();
    stage.gateway = stage.home.serve().await;
    assert_eq!(shown(&stage, &id), before);
    let again = stage.gateway.client().with_key(&key).post("/v1/feedback", &label("billing")).await;
    assert_eq!(again.json()["was_known"], true, "{}", again.text());
}

/// What the commands show of a call's feedback.
fn shown(stage: &Stage, id: &str) -> Value {
    let run = |command: &[&str]| stage.home.run(&[command, &[id, "--config", "config.yaml"]].concat());
    let ran = run(&["events", "show"]);
    let record: Value = serde_json::from_str(&ran.out()).unwrap_or_else(|e| panic!("{e}: {}", ran.err()));
    let feedback = record["feedback"].clone();
    let said: Vec<&Value> = feedback.as_array().expect("a list").iter().map(|one| &one["said"]).collect();
    let label = |name: &str, class: &str| json!({"label": {"name": name, "class": class}});
    let expected = [label("topic", "billing"), json!({"demonstration": {"kept": "nothing"}}), label("label", "long")];
    assert_eq!(said, expected.iter().collect::<Vec<_>>(), "{feedback}");
    assert!(feedback[0]["by"] == "tester" && feedback[0].get("once").is_none(), "{feedback}");
    let ran = run(&["explain"]);
    assert!(
        ran.out().contains(": topic is `billing`\n") && ran.out().contains("nothing of it is kept"),
        "{}",
        ran.out()
    );
    feedback
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_demonstration_so_much_is_kept_as_of_content() {
    let stage = Stage::new().await;
    let text = stage.home.read("config.yaml");
    let key = stage.home.key(&["infer", "feedback"]);
    let client = stage.gateway.client().with_key(&key);
    eventually("the key", async || (client.get("/v1/models").await.status() == 200).then_some(())).await;
    let id = called(&stage, &key, "e").await;
    let events = "events: {to: \"file:events\"";
    assert!(text.contains(events), "{text}");
    for (policy, kept) in [("hash", "sha256"), ("redacted", "[13 characters]"), ("full", "a secret text")] {
        stage.home.replace("config.yaml", &text.replace(events, &format!("{events}, content: {policy}")));
        let said = json!({"inference_id": id, "demonstration": "a secret text"});
        eventually("the policy", async || {
            let taken = client.post("/v1/feedback", &said).await;
            assert_eq!(taken.status(), 200, "{}", taken.text());
            (taken.json()["kept"] == policy).then_some(())
        })
        .await;
        assert!(notes(&stage).contains(kept), "{}", notes(&stage));
        assert_eq!(notes(&stage).contains("a secret text"), policy == "full");
    }
}
