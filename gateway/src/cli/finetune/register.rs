//! A finished adapter put into the registry of a gateway that runs: its files into the artifact store, then a version with
//! what it was made of.

use crate::cli::admin::Door;
use clap::Args;
use serde_json::{Map, Value, json};
use tidegate_core::port::adapters::AdapterFiles;
use tidegate_engine::{TuneOptions, Tuned};

/// Where it is registered.
#[derive(Debug, Args)]
pub(super) struct Registering {
    /// Register the adapter as a version of this model, with what it was made of
    #[arg(long, value_name = "NAME")]
    pub(super) register: Option<String>,
    /// The base's version in the registry, as NAME/3
    #[arg(long, value_name = "VERSION", requires = "register")]
    parent: Option<String>,
    /// Where the gateway takes calls, whose artifact store gets the files
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    gateway: String,
    #[command(flatten)]
    door: Door,
}

/// What it is called there.
pub(super) struct Registered {
    pub(super) reference: String,
}

impl Registering {
    /// Sends the files, and registers the version.
    pub(super) async fn register(
        &self,
        name: &str,
        options: &TuneOptions,
        tuned: &Tuned,
    ) -> anyhow::Result<Registered> {
        let folder = format!("adapters/{name}/{}", tuned.adapter.short());
        let store = self.door.open_at(&self.gateway);
        for file in AdapterFiles::NAMES.into_iter().chain(["training.json"]) {
            let path: Vec<&str> = folder.split('/').chain([file]).collect();
            store.put(&path, &options.out.join(file)).await?;
        }
        let body = body(name, &folder, self.parent.as_deref(), options, tuned);
        let version = self.door.open().ask("POST", &[], Some(&body)).await?;
        Ok(Registered { reference: format!("models:/{name}/{}", version["version"]) })
    }
}

/// The version: the base and the data by their digests, and the settings as tags.
fn body(name: &str, folder: &str, parent: Option<&str>, options: &TuneOptions, tuned: &Tuned) -> Value {
    let mut tags = Map::new();
    let mut tag = |key: String, value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        tags.insert(key, json!(text));
    };
    tag("base".into(), &json!(options.base_name));
    tag("base_sha256".into(), &json!(tuned.base));
    tag("loss".into(), &json!(tuned.losses.last()));
    for (key, value) in tuned.settings.as_object().into_iter().flatten() {
        tag(format!("training.{key}"), value);
    }
    let mut body = json!({
        "name": name, "format": "safetensors", "uri": folder, "sha256": tuned.adapter, "kind": "lora-adapter",
        "lineage": {"training_data": tuned.data}, "tags": tags,
        "description": format!("fine-tuned from {}", options.base_name),
    });
    if let Some(parent) = parent {
        body["parent"] = json!(parent);
    }
    body
}
