//! A version registered, with its file or with the place where that lies.

use super::read_json;
use super::show::shown;
use crate::cli::Wrong;
use crate::cli::admin::Door;
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use tidegate_core::digest::Digest;

/// The arguments of `model register`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidegate model register support --file support.gguf --kind llm --training-data sha256:9f86…
  tidegate model register support --uri s3://models/support.safetensors --format safetensors --parent base/3")]
pub(in crate::cli) struct Register {
    /// The model; made where there is none of this name
    name: String,
    /// The file, sent to the gateway's artifact store
    #[arg(long, value_name = "FILE", required_unless_present = "uri", conflicts_with_all = ["uri", "sha256"])]
    file: Option<PathBuf>,
    /// Where the file lies
    #[arg(long)]
    uri: Option<String>,
    /// The file's form: gguf, safetensors, onnx, xgboost (its JSON) or lightgbm (its text); by the file's name where none is
    /// given
    #[arg(long)]
    format: Option<String>,
    /// The SHA-256 of the file at --uri
    #[arg(long)]
    sha256: Option<Digest>,
    /// What the model is: llm, lora-adapter, embedding, classic or plugin
    #[arg(long)]
    kind: Option<String>,
    /// The tier of the EU's AI Act: minimal, limited, high or unacceptable
    #[arg(long)]
    risk: Option<String>,
    /// What the version is, in words
    #[arg(long)]
    description: Option<String>,
    /// What it was made of, as NAME/3
    #[arg(long, value_name = "VERSION")]
    parent: Option<String>,
    /// The SHA-256 of its training data
    #[arg(long, value_name = "SHA256")]
    training_data: Option<String>,
    /// The data's pin in DVC
    #[arg(long, value_name = "MD5")]
    dvc: Option<String>,
    /// The commit of the code that made it
    #[arg(long, value_name = "COMMIT")]
    git_commit: Option<String>,
    /// What it takes and gives, a JSON file in MLflow's form
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// A tag as KEY=VALUE
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    tags: Vec<String>,
    #[command(flatten)]
    door: Door,
}

/// The form that files of such an end have.
fn of_end(end: &str) -> String {
    match end {
        "json" => "xgboost",
        "txt" | "lgb" => "lightgbm",
        other => other,
    }
    .to_owned()
}

impl Register {
    pub(in crate::cli) async fn run(self) -> anyhow::Result<()> {
        let admin = self.door.open();
        let mut body = self.body()?;
        if let Some(file) = &self.file {
            let stored = admin.upload(&[&self.name, "artifact"], file).await?;
            body["uri"] = stored["path"].clone();
            body["sha256"] = stored["sha256"].clone();
        }
        shown(&admin.ask("POST", &[], Some(&body)).await?)
    }

    /// What is registered; the place of a file that is still to be sent is not in it.
    fn body(&self) -> anyhow::Result<Value> {
        let place = self.file.as_ref().map(|file| file.to_string_lossy().into_owned()).or_else(|| self.uri.clone());
        let by_name = || {
            place.as_deref().and_then(|place| place.rsplit_once('.')).map(|(_, end)| of_end(&end.to_ascii_lowercase()))
        };
        let none = || Wrong("the file's form is not known by its name: say --format".to_owned());
        let format = self.format.clone().or_else(by_name).ok_or_else(none)?;
        let mut body = Map::from_iter([("name".to_owned(), json!(self.name)), ("format".to_owned(), json!(format))]);
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(key.to_owned(), value);
            }
        };
        put("uri", self.uri.as_ref().map(|uri| json!(uri)));
        put("sha256", self.sha256.map(|digest| json!(digest.to_string())));
        put("kind", self.kind.as_ref().map(|kind| json!(kind)));
        put("risk", self.risk.as_ref().map(|risk| json!(risk)));
        put("description", self.description.as_ref().map(|text| json!(text)));
        put("parent", self.parent.as_ref().map(|parent| json!(parent)));
        let lineage = [("training_data", &self.training_data), ("dvc", &self.dvc), ("git_commit", &self.git_commit)];
        let lineage: Map<String, Value> =
            lineage.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value.as_ref()?)))).collect();
        put("lineage", (!lineage.is_empty()).then_some(Value::Object(lineage)));
        put("signature", self.signature.as_deref().map(read_json).transpose()?);
        put("tags", self.tags()?);
        Ok(Value::Object(body))
    }

    fn tags(&self) -> anyhow::Result<Option<Value>> {
        let mut tags = Map::new();
        for text in &self.tags {
            let wrong = || Wrong(format!("`{text}` is no tag: it has the form KEY=VALUE"));
            let (key, value) = text.split_once('=').ok_or_else(wrong)?;
            tags.insert(key.to_owned(), json!(value));
        }
        Ok((!tags.is_empty()).then_some(Value::Object(tags)))
    }
}
