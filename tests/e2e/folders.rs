//! Models that lie in a folder of this machine: served as they are, refused by name where they are none.

use crate::harness::home::BASE;
use crate::harness::{Home, tiny};
use serde_json::json;

fn save(home: &Home) {
    let folder = home.path().join("saved");
    std::fs::create_dir_all(&folder).expect("a folder");
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).expect("a file");
    write("config.json", tiny::config().as_bytes());
    write("tokenizer.json", tiny::tokenizer().as_bytes());
    write("model.safetensors", &tiny::weights(3));
}

fn config(more: &str) -> String {
    format!(
        "{BASE}providers: {{here: {{local: {{threads: 1}}}}}}\n\
         models: {{saved: {{provider: here, source: {{folder: saved}}{more}}}}}\nroutes: {{vectors: {{model: saved}}}}\n"
    )
}

#[tokio::test]
async fn a_model_in_a_folder_is_served_as_it_lies_there() {
    let home = Home::new();
    home.write("config.yaml", &config(""));
    let key = home.key(&["infer"]);
    let missing = home.run(&["check", "config.yaml"]);
    assert_eq!(missing.code(), 2);
    assert!(missing.out().contains("saved is no folder"), "{}{}", missing.out(), missing.err());
    save(&home);
    let gateway = home.serve().await;
    let client = gateway.client().with_key(&key);
    let answer = client.post("/v1/embeddings", &json!({"model": "vectors", "input": "a b"})).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.json()["data"][0]["embedding"].as_array().expect("a vector").len(), 8);
}

#[tokio::test]
async fn what_only_language_models_have_is_refused_of_others() {
    let home = Home::new();
    save(&home);
    home.key(&["infer"]);
    for (more, says) in
        [(", precision: f32", "it has `precision`"), (", sleep_after: 1m", "only language models sleep")]
    {
        home.write("config.yaml", &config(more));
        let refused = home.run(&["serve", "--config", "config.yaml"]);
        assert_ne!(refused.code(), 0);
        assert!(refused.err().contains(says), "{}", refused.err());
    }
}
