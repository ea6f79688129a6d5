//! The call that takes a model's file: judged as it comes, and kept where no other file is.

use super::uri::path_of;
use crate::content;
use crate::fault::{RegistryFault, RegistryFaultKind};
use crate::kind::Format;
use crate::model::RegisteredName;
use crate::registry::Registry;
use crate::request::of_port;
use serde_json::{Value, json};
use tidegate_core::FaultKind;
use tidegate_core::port::blobs::{BlobPath, Blobs};
use tidegate_core::port::mount::Frames;

/// Keeps a file at `path`, or where none is given in a folder of its own below the model's; says where it lies.
pub(super) async fn upload(
    registry: &Registry,
    blobs: &dyn Blobs,
    name: &RegisteredName,
    path: Option<&str>,
    body: Frames,
    most: u64,
) -> Result<Value, RegistryFault> {
    let given = path.map(path_of).transpose().map_err(|fault| at("path", &fault))?;
    let (format, frames) = content::judged(body).await?;
    let path = match given {
        Some(path) => path,
        None => fresh(registry, name, format)?,
    };
    is_free(blobs, &path).await?;
    registry.may_change(&path).await?;
    let kept = blobs.put(&path, frames, most).await.map_err(of_port)?;
    Ok(json!({
        "path": path.as_str(),
        "format": format.as_str(),
        "sha256": kept.digest.to_string(),
        "length": kept.length,
    }))
}

fn fresh(registry: &Registry, name: &RegisteredName, format: Format) -> Result<BlobPath, RegistryFault> {
    path_of(&format!("models/{name}/{:016x}/model.{}", registry.unique(), format.extension()))
        .map_err(|fault| at("name", &fault))
}

fn at(field: &str, fault: &RegistryFault) -> RegistryFault {
    RegistryFault::invalid(format!("{field}: {}", fault.says))
}

/// Whether nothing lies there: what a version's file holds never changes.
async fn is_free(blobs: &dyn Blobs, path: &BlobPath) -> Result<(), RegistryFault> {
    match blobs.get(path, Some(0..0)).await {
        Err(fault) if fault.kind == FaultKind::NotFound => Ok(()),
        Err(fault) if fault.kind != FaultKind::Conflict => Err(of_port(fault)),
        _ => Err(RegistryFault::new(
            RegistryFaultKind::Conflict,
            format!(
                "path: there is something at {path} already: files are written once; leave `path` out for a new place"
            ),
        )),
    }
}
