//! A version's files in the artifact store to files that the engine loads. Owns how they are told apart; where they lie is
//! the store's.

use super::verified::Verified;
use crate::pull::{ModelFiles, ModelKind};
use anyhow::{Context as _, bail, ensure};
use std::path::PathBuf;
use tidegate_core::digest::Digest;
use tidegate_core::port::adapters::AdapterFiles;
use tidegate_core::port::blobs::{BlobEntry, BlobPath, Blobs};
use tidegate_core::port::models::ServedVersion;

/// The three files of an embedding model.
const EMBEDDER: [&str; 3] = ["model.safetensors", "tokenizer.json", "config.json"];

/// The files of a version: one GGUF file, or the three of an embedding model.
///
/// # Errors
/// They lie elsewhere, are neither, were damaged since they were stored, or are not those that were registered.
pub(crate) async fn files(
    version: &ServedVersion,
    blobs: &dyn Blobs,
    verified: &Verified,
) -> anyhow::Result<ModelFiles> {
    let storage = &version.storage;
    let folder = folder_of(version)?;
    let mut shelf = Opened { blobs, verified, digests: Vec::new() };
    let kind = if is_gguf(folder.name()) {
        ModelKind::Gguf { path: shelf.local(&folder).await? }
    } else {
        within(&folder, storage, &mut shelf).await?
    };
    shelf.has_registered(version)?;
    Ok(ModelFiles { kind })
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
async fn within(folder: &BlobPath, storage: &str, shelf: &mut Opened<'_>) -> anyhow::Result<ModelKind> {
    let entries = shelf.blobs.list(Some(folder)).await.map_err(|fault| said(&fault))?;
    let named = |name: &str| BlobPath::new(&format!("{folder}/{name}")).map_err(|fault| said(&fault));
    let ggufs: Vec<&BlobEntry> = entries.iter().filter(|it| it.length.is_some() && is_gguf(&it.name)).collect();
    if let [only] = ggufs[..] {
        return Ok(ModelKind::Gguf { path: shelf.local(&named(&only.name)?).await? });
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
    Ok(ModelKind::Embedder {
        weights: shelf.local(&named(weights)?).await?,
        tokenizer: shelf.local(&named(tokenizer)?).await?,
        config: shelf.local(&named(config)?).await?,
    })
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

    #[tokio::test]
    async fn a_file_that_is_not_the_registered_one_serves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FolderBlobs::open(folder.path()).unwrap();
        let content = Box::pin(futures_util::stream::iter([Ok(Bytes::from_static(b"GGUF"))]));
        blobs.put(&BlobPath::new("m/1.gguf").unwrap(), content, 100).await.unwrap();
        let found = async |storage: &str, sha256: Option<Digest>| {
            let version = ServedVersion { version: 1, storage: storage.to_owned(), sha256 };
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
