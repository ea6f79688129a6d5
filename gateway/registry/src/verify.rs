//! The files of a version read again: each must still have the digest that it had when it was written, and the version's
//! own digest must be among them. Owns what counts as its files.

use crate::fault::RegistryFault;
use crate::request::of_port;
use crate::version::ModelVersion;
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tidegate_core::FaultKind;
use tidegate_core::digest::Digest;
use tidegate_core::port::blobs::{BlobPath, Blobs};

/// More files than this are no model.
const MOST: usize = 10_000;

/// A file that was read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VerifiedFile {
    /// Its path in the artifact store, or the place that is none there.
    pub(crate) path: String,
    /// What is wrong with it.
    pub(crate) fault: Option<String>,
}

/// Reads the files of a version again.
pub(crate) async fn files(version: &ModelVersion, blobs: &dyn Blobs) -> Result<Vec<VerifiedFile>, RegistryFault> {
    let place = version.storage.strip_prefix("mlflow-artifacts:").unwrap_or(&version.storage).trim_start_matches('/');
    let elsewhere =
        |fault: &str| Ok(vec![VerifiedFile { path: version.storage.clone(), fault: Some(fault.to_owned()) }]);
    let Ok(place) = BlobPath::new(place) else { return elsewhere("it lies outside of the gateway's artifact store") };
    let paths = below(&place, blobs).await?;
    if paths.is_empty() {
        return elsewhere("there is no such file or folder");
    }
    let (mut found, mut digests) = (Vec::new(), Vec::new());
    for path in paths {
        let (digest, fault) = read(&path, blobs).await?;
        digests.push(digest);
        found.push(VerifiedFile { path: path.to_string(), fault });
    }
    if let Some(recorded) = version.facts.sha256.filter(|recorded| !digests.contains(recorded)) {
        let fault = Some(format!("the version was registered with the SHA-256 {recorded}, which no file has"));
        found.push(VerifiedFile { path: place.to_string(), fault });
    }
    Ok(found)
}

/// The file at a place, or all files below it.
async fn below(place: &BlobPath, blobs: &dyn Blobs) -> Result<Vec<BlobPath>, RegistryFault> {
    let (mut files, mut folders) = (Vec::new(), vec![place.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in blobs.list(Some(&folder)).await.map_err(of_port)? {
            let path = BlobPath::new(&format!("{folder}/{}", entry.name)).map_err(of_port)?;
            if entry.length.is_some() { files.push(path) } else { folders.push(path) }
        }
        if files.len() + folders.len() > MOST {
            return Err(RegistryFault::invalid(format!("{place} has more than {MOST} files")));
        }
    }
    if files.is_empty() {
        match blobs.get(place, Some(0..0)).await {
            Ok(_) => files.push(place.clone()),
            Err(fault) if matches!(fault.kind, FaultKind::NotFound | FaultKind::Conflict) => {}
            Err(fault) => return Err(of_port(fault)),
        }
    }
    Ok(files)
}

/// The digest that a file has now, and what is wrong with it.
async fn read(path: &BlobPath, blobs: &dyn Blobs) -> Result<(Digest, Option<String>), RegistryFault> {
    let mut blob = blobs.get(path, None).await.map_err(of_port)?;
    let (mut hash, mut length) = (Sha256::new(), 0_u64);
    while let Some(frame) = blob.frames.next().await {
        match frame {
            Ok(bytes) => {
                length += bytes.len() as u64;
                hash.update(&bytes);
            }
            Err(fault) => return Ok((blob.digest, Some(format!("it cannot be read to its end: {}", fault.says)))),
        }
    }
    let digest = Digest::from_bytes(hash.finalize().into());
    let fault = match (digest == blob.digest, length == blob.length) {
        (true, true) => None,
        (_, false) => Some(format!("it has {length} bytes, and was written with {}", blob.length)),
        (false, true) => Some(format!("its SHA-256 is {digest}, and was {} when it was written", blob.digest)),
    };
    Ok((digest, fault))
}
