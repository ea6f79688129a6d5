//! A version's files in the artifact store to files that the engine loads. Owns how they are told apart: a GGUF file by its
//! name, the others by what `config.json` says; where they lie is the store's.

use super::verified::Verified;
use crate::pull::{ModelFiles, ModelKind, is_classic};
use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tidegate_core::digest::Digest;
use tidegate_core::port::adapters::AdapterFiles;
use tidegate_core::port::blobs::{BlobEntry, BlobPath, Blobs};
use tidegate_core::port::models::ServedVersion;

/// The names that a classic model's file has in a folder, as MLflow's flavours and people write it.
const CLASSIC: [&str; 6] = ["model.json", "model.ubj", "model.xgb", "model.lgb", "model.txt", "model.onnx"];
/// Where MLflow says what it laid beside.
const MLMODEL: &str = "MLmodel";
/// The three files of an embedding model or a reranker.
const ENCODER: [&str; 3] = ["model.safetensors", "tokenizer.json", "config.json"];

/// What a decoder's folder may have beside its weights.
const SETTINGS: [&str; 6] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "chat_template.jinja",
    "model.safetensors.index.json",
];

/// The files of a version: one GGUF file, a folder of safetensors, or the three of an embedding model or reranker.
///
/// # Errors
/// They lie elsewhere, are neither, were damaged since they were stored, or are not those that were registered.
pub(crate) async fn files(
    version: &ServedVersion,
    blobs: &dyn Blobs,
    verified: &Verified,
) -> anyhow::Result<ModelFiles> {
    let folder = folder_of(version)?;
    let mut shelf = Opened { blobs, verified, digests: Vec::new() };
    let kind = if is_gguf(folder.name()) {
        ModelKind::Gguf { path: shelf.local(&folder).await? }
    } else if is_classic(folder.name()) {
        ModelKind::Classic { path: shelf.local(&folder).await?, signature: version.signature.clone() }
    } else {
        within(&folder, version, &mut shelf).await?
    };
    shelf.has_registered(version)?;
    Ok(ModelFiles { kind })
}

/// The model in a folder of this machine: one GGUF file, a language model's safetensors with their settings, or the three
/// files of an embedding model or a reranker.
///
/// # Errors
/// It is none of these.
pub(crate) fn folder(path: &Path) -> anyhow::Result<ModelFiles> {
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let is_file = |entry: &std::fs::DirEntry| entry.path().is_file();
    let entries = entries.flatten().filter(is_file).filter_map(|entry| entry.file_name().into_string().ok());
    let names: BTreeSet<String> = entries.collect();
    let at = |name: &str| path.join(name);
    let missing = |wanted: &[&'static str]| {
        wanted.iter().copied().filter(|name| !names.contains(*name)).collect::<Vec<_>>().join(", ")
    };
    let ggufs: Vec<&String> = names.iter().filter(|name| is_gguf(name)).collect();
    if let [only] = ggufs[..] {
        return Ok(ModelFiles { kind: ModelKind::Gguf { path: at(only) } });
    }
    ensure!(ggufs.is_empty(), "{} has several GGUF files: name one of them by `uris` and `sha256`", path.display());
    let lacks = missing(&["config.json", "tokenizer.json"]);
    ensure!(
        lacks.is_empty(),
        "{} has neither a GGUF file nor a safetensors model with its settings: there is no {lacks}",
        path.display()
    );
    let config = std::fs::read(at("config.json")).context("config.json")?;
    let config: Value = serde_json::from_slice(&config).context("config.json is no JSON")?;
    let form = Form::of(&config);
    if form == Form::Decoder {
        let of_model = |name: &&String| name.ends_with(".safetensors") || SETTINGS.contains(&name.as_str());
        let files = names.iter().filter(of_model).map(|name| (name.clone(), at(name))).collect();
        return Ok(ModelFiles { kind: ModelKind::Folder { files } });
    }
    let lacks = missing(&ENCODER);
    ensure!(lacks.is_empty(), "{} is no model that is served: there is no {lacks}", path.display());
    let [weights, tokenizer, config] = ENCODER.map(at);
    Ok(ModelFiles {
        kind: match form {
            Form::Reranker => ModelKind::Reranker { weights, tokenizer, config },
            _ => ModelKind::Embedder { weights, tokenizer, config },
        },
    })
}

/// The files of a version that is an adapter.
///
/// # Errors
/// They lie elsewhere, were damaged since they were stored, or are not those that were registered.
pub(crate) async fn adapter(
    version: &ServedVersion,
    blobs: &dyn Blobs,
    verified: &Verified,
) -> anyhow::Result<AdapterFiles> {
    let folder = folder_of(version)?;
    let mut shelf = Opened { blobs, verified, digests: Vec::new() };
    let entries = blobs.list(Some(&folder)).await.map_err(|fault| said(&fault))?;
    let missing = AdapterFiles::NAMES.into_iter().find(|name| !entries.iter().any(|it| it.name == *name));
    if let Some(missing) = missing {
        bail!("{} is no adapter: there is no {missing}", version.storage);
    }
    let named = |name: &str| BlobPath::new(&format!("{folder}/{name}")).map_err(|fault| said(&fault));
    let [config, numbers] = AdapterFiles::NAMES;
    let files =
        AdapterFiles { config: shelf.local(&named(config)?).await?, numbers: shelf.local(&named(numbers)?).await? };
    shelf.has_registered(version)?;
    Ok(files)
}

/// Where a version's files lie in the store.
fn folder_of(version: &ServedVersion) -> anyhow::Result<BlobPath> {
    let storage = &version.storage;
    let path = storage.strip_prefix("mlflow-artifacts:").map(|path| path.trim_start_matches('/'));
    let path = path.with_context(|| {
        format!(
            "it lies at {storage}, and only files of the gateway's own artifact store (mlflow-artifacts:/…) are served"
        )
    })?;
    BlobPath::new(path).map_err(|fault| said(&fault))
}

/// The model in a folder.
async fn within(folder: &BlobPath, version: &ServedVersion, shelf: &mut Opened<'_>) -> anyhow::Result<ModelKind> {
    let storage = &version.storage;
    let entries = shelf.blobs.list(Some(folder)).await.map_err(|fault| said(&fault))?;
    let named = |name: &str| BlobPath::new(&format!("{folder}/{name}")).map_err(|fault| said(&fault));
    let ggufs: Vec<&BlobEntry> = entries.iter().filter(|it| it.length.is_some() && is_gguf(&it.name)).collect();
    if let [only] = ggufs[..] {
        return Ok(ModelKind::Gguf { path: shelf.local(&named(&only.name)?).await? });
    }
    ensure!(ggufs.is_empty(), "{storage} has several GGUF files: let the version's source name one of them");
    let is_one = |it: &&BlobEntry| it.length.is_some() && CLASSIC.contains(&it.name.as_str());
    if let [only] = entries.iter().filter(is_one).collect::<Vec<_>>()[..] {
        let path = shelf.local(&named(&only.name)?).await?;
        let signature = match &version.signature {
            Some(signature) => Some(signature.clone()),
            None if entries.iter().any(|it| it.name == MLMODEL) => logged(&named(MLMODEL)?, shelf).await,
            None => None,
        };
        return Ok(ModelKind::Classic { path, signature });
    }
    let has = |name: &str| entries.iter().any(|it| it.name == name && it.length.is_some());
    let missing =
        |names: &[&'static str]| names.iter().copied().filter(|name| !has(name)).collect::<Vec<_>>().join(", ");
    let lacks = missing(&["config.json", "tokenizer.json"]);
    ensure!(
        lacks.is_empty(),
        "{storage} has neither a GGUF file nor a classic model nor a safetensors model with its settings: there is no {lacks}"
    );
    let config = shelf.local(&named("config.json")?).await?;
    let config = tokio::fs::read(&config).await.with_context(|| format!("{storage}/config.json"))?;
    let config: Value = serde_json::from_slice(&config).with_context(|| format!("{storage}/config.json is no JSON"))?;
    let form = Form::of(&config);
    if form == Form::Decoder {
        let mut files = BTreeMap::new();
        let of_model = |name: &str| name.ends_with(".safetensors") || SETTINGS.contains(&name);
        for entry in entries.iter().filter(|it| it.length.is_some() && of_model(&it.name)) {
            files.insert(entry.name.clone(), shelf.local(&named(&entry.name)?).await?);
        }
        return Ok(ModelKind::Folder { files });
    }
    let lacks = missing(&ENCODER);
    ensure!(lacks.is_empty(), "{storage} is no model that is served: there is no {lacks}");
    let [weights, tokenizer, config] = ENCODER;
    let weights = shelf.local(&named(weights)?).await?;
    let tokenizer = shelf.local(&named(tokenizer)?).await?;
    let config = shelf.local(&named(config)?).await?;
    Ok(match form {
        Form::Reranker => ModelKind::Reranker { weights, tokenizer, config },
        _ => ModelKind::Embedder { weights, tokenizer, config },
    })
}

/// The signature that MLflow wrote beside a model, where it can be read.
async fn logged(path: &BlobPath, shelf: &mut Opened<'_>) -> Option<Value> {
    let read = async {
        let text = tokio::fs::read_to_string(shelf.local(path).await?).await?;
        tidegate_config::mlmodel::signature(&text).map_err(anyhow::Error::msg)
    };
    match read.await {
        Ok(signature) => signature,
        Err(fault) => {
            tracing::warn!(file = %path, fault = format!("{fault:#}"), "the signature of a logged model cannot be read");
            None
        }
    }
}

/// What a model with a `config.json` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// It generates text.
    Decoder,
    /// It ranks documents.
    Reranker,
    /// It makes embeddings.
    Embedder,
}

impl Form {
    /// By the class that it was saved as, which names its head; a file without one is of an encoder.
    fn of(config: &Value) -> Self {
        let classes = config["architectures"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut ends =
            classes.map(|class| (class.ends_with("ForCausalLM"), class.ends_with("ForSequenceClassification")));
        match ends.find(|(decodes, ranks)| *decodes || *ranks) {
            Some((true, _)) => Self::Decoder,
            Some(_) => Self::Reranker,
            None => Self::Embedder,
        }
    }
}

/// The store, and the digests of what was taken from it.
struct Opened<'a> {
    blobs: &'a dyn Blobs,
    verified: &'a Verified,
    digests: Vec<Digest>,
}

impl Opened<'_> {
    /// Whether what was taken has the file with which the version was registered.
    fn has_registered(&self, version: &ServedVersion) -> anyhow::Result<()> {
        let Some(registered) = version.sha256 else { return Ok(()) };
        ensure!(
            self.digests.contains(&registered),
            "{} has no file with the SHA-256 {registered}, with which the version was registered: register what is there \
             as a new version",
            version.storage
        );
        Ok(())
    }

    /// The file at a path of the store, looked at.
    async fn local(&mut self, path: &BlobPath) -> anyhow::Result<PathBuf> {
        // Nothing of it is read here: only what the store says of it.
        let stored = self.blobs.get(path, Some(0..0)).await.map_err(|fault| said(&fault))?;
        let file = self.blobs.local(path).await.map_err(|fault| said(&fault))?;
        self.verified.check(&file, stored.digest).await.with_context(|| path.to_string())?;
        self.digests.push(stored.digest);
        Ok(file)
    }
}

fn is_gguf(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".gguf")
}

fn said(fault: &tidegate_core::Fault) -> anyhow::Error {
    anyhow::anyhow!("{}", fault.says)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use tidegate_storage::blobs::FolderBlobs;

    #[test]
    fn a_model_is_told_by_the_class_that_it_was_saved_as() {
        let of = |class: &str| Form::of(&serde_json::json!({"architectures": [class]}));
        assert_eq!(of("Qwen2ForCausalLM"), Form::Decoder);
        assert_eq!(of("BertForSequenceClassification"), Form::Reranker);
        assert_eq!(of("BertModel"), Form::Embedder);
        assert_eq!(Form::of(&Value::Null), Form::Embedder);
    }

    #[test]
    fn a_folder_of_this_machine_is_told_by_what_lies_in_it() {
        let home = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
        let found = || folder(home.path()).map(|files| files.kind).map_err(|e| format!("{e:#}"));
        assert!(found().unwrap_err().contains("there is no config.json, tokenizer.json"));
        write("config.json", r#"{"architectures": ["LlamaForCausalLM"]}"#);
        for name in ["tokenizer.json", "model.safetensors", "generation_config.json", "notes.md"] {
            write(name, "{}");
        }
        let ModelKind::Folder { files } = found().unwrap() else { panic!("no decoder") };
        let names: Vec<_> = files.keys().map(String::as_str).collect();
        assert_eq!(names, ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"]);
        write("config.json", r#"{"architectures": ["BertForSequenceClassification"]}"#);
        assert!(matches!(found().unwrap(), ModelKind::Reranker { .. }));
        write("config.json", "{}");
        assert!(matches!(found().unwrap(), ModelKind::Embedder { .. }));
        write("m.GGUF", "GGUF");
        assert!(matches!(found().unwrap(), ModelKind::Gguf { .. }));
        write("n.gguf", "GGUF");
        assert!(found().unwrap_err().contains("several GGUF files"));
    }

    #[tokio::test]
    async fn a_file_that_is_not_the_registered_one_serves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FolderBlobs::open(folder.path()).unwrap();
        let content = Box::pin(futures_util::stream::iter([Ok(Bytes::from_static(b"GGUF"))]));
        blobs.put(&BlobPath::new("m/1.gguf").unwrap(), content, 100).await.unwrap();
        let found = async |storage: &str, sha256: Option<Digest>| {
            let version = ServedVersion { version: 1, storage: storage.to_owned(), sha256, signature: None };
            files(&version, &blobs, &Verified::default()).await.map_err(|e| format!("{e:#}"))
        };
        for storage in ["mlflow-artifacts:/m/1.gguf", "mlflow-artifacts:/m"] {
            for sha256 in [None, Some(Digest::of(b"GGUF"))] {
                assert!(matches!(found(storage, sha256).await.unwrap().kind, ModelKind::Gguf { .. }), "{storage}");
            }
            let fault = found(storage, Some(Digest::of(b"other"))).await.unwrap_err();
            assert!(fault.contains("with which the version was registered"), "{fault}");
        }
        assert!(found("s3://bucket/x", None).await.unwrap_err().contains("artifact store"));
        assert!(found("mlflow-artifacts:/none", None).await.is_err());
    }
}
