//! A version's files in the artifact store to files that the engine loads. Owns how they are told apart; where they lie is
//! the store's.

use super::verified::Verified;
use crate::pull::{ModelFiles, ModelKind};
use anyhow::{Context as _, ensure};
use std::path::PathBuf;
use tidegate_core::port::blobs::{BlobEntry, BlobPath, Blobs};

/// The three files of an embedding model.
const EMBEDDER: [&str; 3] = ["model.safetensors", "tokenizer.json", "config.json"];

/// The files of the model that lies at `storage`: one GGUF file, or the three of an embedding model.
///
/// # Errors
/// It lies elsewhere, is neither, or was damaged since it was stored.
pub(crate) async fn files(storage: &str, blobs: &dyn Blobs, verified: &Verified) -> anyhow::Result<ModelFiles> {
    let path = storage.strip_prefix("mlflow-artifacts:").map(|path| path.trim_start_matches('/'));
    let path = path.with_context(|| {
        format!(
            "it lies at {storage}, and only files of the gateway's own artifact store (mlflow-artifacts:/…) are served"
        )
    })?;
    let folder = BlobPath::new(path).map_err(|fault| said(&fault))?;
    if is_gguf(folder.name()) {
        return Ok(ModelFiles { kind: ModelKind::Gguf { path: local(&folder, blobs, verified).await? } });
    }
    let entries = blobs.list(Some(&folder)).await.map_err(|fault| said(&fault))?;
    let named = |name: &str| BlobPath::new(&format!("{folder}/{name}")).map_err(|fault| said(&fault));
    let local = async |name: &str| local(&named(name)?, blobs, verified).await;
    let ggufs: Vec<&BlobEntry> = entries.iter().filter(|it| it.length.is_some() && is_gguf(&it.name)).collect();
    if let [only] = ggufs[..] {
        return Ok(ModelFiles { kind: ModelKind::Gguf { path: local(&only.name).await? } });
    }
    ensure!(ggufs.is_empty(), "{storage} has several GGUF files: let the version's source name one of them");
    let missing: Vec<&str> =
        EMBEDDER.into_iter().filter(|name| !entries.iter().any(|it| it.name == *name && it.length.is_some())).collect();
    ensure!(
        missing.is_empty(),
        "{storage} has neither a GGUF file nor an embedding model: there is no {}",
        missing.join(", ")
    );
    let [weights, tokenizer, config] = EMBEDDER;
    Ok(ModelFiles {
        kind: ModelKind::Embedder {
            weights: local(weights).await?,
            tokenizer: local(tokenizer).await?,
            config: local(config).await?,
        },
    })
}

/// The file at a path of the store, looked at.
async fn local(path: &BlobPath, blobs: &dyn Blobs, verified: &Verified) -> anyhow::Result<PathBuf> {
    // Nothing of it is read here: only what the store says of it.
    let stored = blobs.get(path, Some(0..0)).await.map_err(|fault| said(&fault))?;
    let file = blobs.local(path).await.map_err(|fault| said(&fault))?;
    verified.check(&file, stored.digest).await.with_context(|| path.to_string())?;
    Ok(file)
}

fn is_gguf(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".gguf")
}

fn said(fault: &tidegate_core::Fault) -> anyhow::Error {
    anyhow::anyhow!("{}", fault.says)
}
