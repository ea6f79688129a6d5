//! A gateway with a registry, in which classic models of the repository stand as versions, and that serves them.

use super::home::{BASE, Ran, repository};
use super::{Client, Gateway, Home, eventually};
use serde_json::{Value, json};

const API: &str = "/api/2.0/mlflow";

/// A gateway with a registry.
pub(crate) struct Shelf {
    pub(crate) home: Home,
    pub(crate) gateway: Gateway,
    pub(crate) client: Client,
}

impl Shelf {
    /// One that serves a model of the repository by the route `first`, and nothing of its registry yet. `store` is what else
    /// stands in that section.
    pub(crate) async fn open(store: &str) -> Self {
        let home = Home::new();
        let events = if store.contains("governance") { ", durability: ack, content: hash" } else { "" };
        let store = format!(
            "store: {{events: {{to: \"file:events\"{events}}}, registry: \"sqlite:registry.db\", artifacts: \"file:artifacts\"{store}}}"
        );
        let base = BASE.replace("store: {events: {to: \"file:events\"}}", &store);
        let first = crate::classic::model_of("first", "configs/models/fraud.json", "input: x");
        let text = format!(
            "{base}providers: {{here: {{local: {{}}}}}}\nmodels: {{{first}}}\nroutes: {{first: {{model: first}}}}\n"
        );
        home.write("config.yaml", &text);
        let key = home.key(&["infer", "read", "write", "approve", "feedback"]);
        let gateway = home.serve().await;
        let client = gateway.client().with_key(&key);
        Self { home, gateway, client }
    }

    /// Makes a registered model.
    pub(crate) async fn make(&self, name: &str) {
        self.mlflow("registered-models/create", &json!({"name": name})).await;
    }

    /// A version of it, made of files: what each is called, and what it holds.
    pub(crate) async fn version(&self, name: &str, number: u32, files: &[(&str, &[u8])]) {
        for (file, content) in files {
            let path = format!("/api/2.0/mlflow-artifacts/artifacts/{name}/{number}/{file}");
            assert_eq!(self.client.send("PUT", &path, &[], content).await.status(), 200, "{path}");
        }
        let source = format!("mlflow-artifacts:/{name}/{number}");
        let made = self.mlflow("model-versions/create", &json!({"name": name, "source": source})).await;
        assert_eq!(made["model_version"]["version"], number.to_string(), "{made}");
    }

    /// Has an alias stand for a version.
    pub(crate) async fn alias(&self, name: &str, alias: &str, number: u32) {
        let body = json!({"name": name, "alias": alias, "version": number.to_string()});
        self.mlflow("registered-models/alias", &body).await;
    }

    async fn mlflow(&self, path: &str, body: &Value) -> Value {
        let answer = self.client.post(&format!("{API}/{path}"), body).await;
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// Runs `tidegate model` on its admin interface.
    pub(crate) fn model(&self, arguments: &[&str]) -> Ran {
        let url = format!("http://{}", self.gateway.address("admin"));
        self.home.run(&[&["model"], arguments, &["--url", &url]].concat())
    }

    /// Serves these models and routes too, with whatever else is said.
    pub(crate) async fn serve(&self, models: &str, routes: &str, rest: &str) {
        let text = self.home.read("config.yaml");
        let text = text.replace("models: {", &format!("models: {{{models}, "));
        let text = text.replace("routes: {", &format!("routes: {{{routes}, ")) + rest;
        self.home.replace("config.yaml", &text);
        let reloaded = self.gateway.admin().post("/admin/v1/reload", &json!({})).await;
        assert_eq!(reloaded.status(), 200, "{}", reloaded.text());
    }

    /// Waits until this version of a model of the configuration serves.
    pub(crate) async fn serves(&self, model: &str, version: u32) {
        eventually(&format!("version {version} of {model}"), async || {
            let ready = self.gateway.client().get("/readyz").await.json();
            (ready["models"][model]["version"] == version).then_some(())
        })
        .await;
    }
}

/// A file of the repository.
pub(crate) fn file(path: &str) -> Vec<u8> {
    std::fs::read(repository().join(path)).expect("it is in the repository")
}
