//! Files that come up in parts, by MLflow's multipart upload. Owns the paths that parts go to, who may send them there,
//! and that the file is there whole or not at all.
//!
//! A part is sent without credentials to an address of ours, as it would be to a bucket's signed one: the address has the
//! upload's id in it, 256 random bits, for a day. `.uploads/SHA-256 of the id/about` says where the file shall lie, and
//! the parts lie beside it, so that every replica over one artifact store takes them, and a listing of the store shows
//! nobody an id. Completing copies the parts into the file, which is whole when its path leads to it.

use super::artifacts::target;
use super::of_port;
use super::params::Params;
use crate::content;
use crate::fault::RegistryFault;
use crate::registry::Registry;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::header::{ETAG, HeaderMap, HeaderValue};
use http::{Response, Uri};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tidegate_core::digest::Digest;
use tidegate_core::port::blobs::{BlobPath, Blobs};
use tidegate_core::port::mount::{Content, Frames};
use tidegate_core::{Fault, FaultKind};

/// Where uploads lie that are not complete; no caller reaches it by a path of his own.
pub(super) const FOLDER: &str = ".uploads";

/// How long an upload may take.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The most parts of one file.
const PARTS: u64 = 10_000;

/// An upload that has begun.
struct Upload {
    folder: String,
    /// Where the file shall lie.
    path: BlobPath,
    parts: u64,
    began: SystemTime,
}

impl Upload {
    fn part(&self, number: u64) -> Result<BlobPath, RegistryFault> {
        below(&self.folder, &format!("part-{number}"))
    }
}

/// Begins an upload to `folder`; the addresses of its parts begin as `origin`.
pub(super) async fn create(
    registry: &Registry,
    blobs: &dyn Blobs,
    folder: &str,
    params: &Params,
    origin: &str,
    now: SystemTime,
) -> Result<Value, RegistryFault> {
    let path = target(folder, params.text("path"))?;
    registry.may_change(&path).await?;
    let parts = params.number("num_parts").unwrap_or(1);
    let parts = u64::try_from(parts).ok().filter(|parts| (1..=PARTS).contains(parts));
    let parts = parts.ok_or_else(|| RegistryFault::invalid(format!("an upload has 1 to {PARTS} parts")))?;
    let began = now.duration_since(SystemTime::UNIX_EPOCH).map_err(RegistryFault::internal)?.as_secs();
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(RegistryFault::internal)?;
    let id = Digest::from_bytes(random).to_string();
    let about = json!({"path": path.as_str(), "parts": parts, "began": began}).to_string();
    let content: Frames = Box::pin(futures_util::stream::iter([Ok(Bytes::from(about))]));
    blobs.put(&below(&folder_of(&id), "about")?, content, 1 << 16).await.map_err(of_port)?;
    let address = |number: u64| format!("{origin}/api/2.0/mlflow-artifacts/mpu/part/{id}/{number}");
    let credentials: Vec<Value> =
        (1..=parts).map(|number| json!({"url": address(number), "part_number": number})).collect();
    Ok(json!({"upload_id": id, "credentials": credentials}))
}

/// Takes a part; `rest` is the upload's id and the part's number, which is all that is asked of whoever sends it.
pub(super) async fn part(
    blobs: &dyn Blobs,
    rest: &str,
    body: Frames,
    most: u64,
    now: SystemTime,
) -> Result<Response<Content>, RegistryFault> {
    let (id, number) = rest.split_once('/').ok_or_else(unknown)?;
    let upload = find(blobs, id, now).await?.ok_or_else(unknown)?;
    let number = number.parse().ok().filter(|number| (1..=upload.parts).contains(number)).ok_or_else(unknown)?;
    let info = blobs.put(&upload.part(number)?, body, most).await.map_err(of_port)?;
    let mut response = Response::new(Content::Whole(Bytes::new()));
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", info.digest)) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

/// Makes the file of its parts.
pub(super) async fn complete(
    registry: &Registry,
    blobs: &Arc<dyn Blobs>,
    folder: &str,
    params: &Params,
    most: u64,
    now: SystemTime,
) -> Result<Value, RegistryFault> {
    let path = target(folder, params.text("path"))?;
    let upload = find(&**blobs, params.text("upload_id"), now).await?.filter(|upload| upload.path == path);
    let upload = upload.ok_or_else(unknown)?;
    registry.may_change(&path).await?;
    let given = params.value("parts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if given.len() as u64 != upload.parts {
        return Err(RegistryFault::invalid(format!(
            "the upload has {} parts, and {} are named: name each with its ETag",
            upload.parts,
            given.len()
        )));
    }
    let mut parts = Vec::with_capacity(given.len());
    for (number, part) in (1..).zip(given) {
        let wrong = || RegistryFault::invalid(format!("part {number} is not there as it is named: send it again"));
        let is_its_number = part["part_number"].as_u64() == Some(number);
        let place = upload.part(number)?;
        let there = blobs.get(&place, None).await.map_err(|fault| match fault.kind {
            FaultKind::NotFound => wrong(),
            _ => of_port(fault),
        })?;
        let tag = part["etag"].as_str().unwrap_or_default().trim_matches('"');
        if !is_its_number || tag != there.digest.to_string() {
            return Err(wrong());
        }
        parts.push((place, there.digest));
    }
    let content = content::as_promised(path.name(), joined(Arc::clone(blobs), parts)).await?;
    blobs.put(&path, content, most).await.map_err(of_port)?;
    remove(&**blobs, &upload.folder).await?;
    Ok(json!({}))
}

/// The parts one after the other, each opened when the one before it ends; one sent again meanwhile ends it all.
fn joined(blobs: Arc<dyn Blobs>, parts: Vec<(BlobPath, Digest)>) -> Frames {
    let parts = futures_util::stream::iter(parts).then(move |(place, digest)| {
        let blobs = Arc::clone(&blobs);
        async move {
            let part = blobs.get(&place, None).await?;
            if part.digest == digest {
                return Ok(part.frames);
            }
            Err(Fault::new(FaultKind::InvalidRequest, "a part was sent again while the upload was completed"))
        }
    });
    Box::pin(parts.try_flatten())
}

/// Forgets an upload; one that is not there is forgotten already.
pub(super) async fn abort(blobs: &dyn Blobs, folder: &str, params: &Params) -> Result<Value, RegistryFault> {
    let path = target(folder, params.text("path"))?;
    let id = params.text("upload_id");
    // One that is too old to go on may still be taken back.
    if let Some(upload) = find(blobs, id, SystemTime::UNIX_EPOCH).await?.filter(|upload| upload.path == path) {
        remove(blobs, &upload.folder).await?;
    }
    Ok(json!({}))
}

/// Removes uploads that began more than a day ago; tells how many.
pub(super) async fn sweep(blobs: &dyn Blobs, now: SystemTime) -> Result<usize, RegistryFault> {
    let root = BlobPath::new(FOLDER).map_err(of_port)?;
    let mut removed = 0;
    for entry in blobs.list(Some(&root)).await.map_err(of_port)? {
        let folder = format!("{FOLDER}/{}", entry.name);
        // What says nothing about itself was being removed.
        if read(blobs, &folder).await?.is_none_or(|upload| is_over(upload.began, now)) {
            remove(blobs, &folder).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// The beginning of our addresses as the caller wrote it; a proxy before us that ends his TLS says so.
pub(super) fn origin(uri: &Uri, headers: &HeaderMap) -> Result<String, RegistryFault> {
    let said = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
    let scheme = said.filter(|said| matches!(*said, "http" | "https")).or(uri.scheme_str()).unwrap_or("http");
    let host = uri.authority().map(http::uri::Authority::as_str);
    let host = host.ok_or_else(|| RegistryFault::invalid("the request names no host: send the header `Host`"))?;
    Ok(format!("{scheme}://{host}"))
}

async fn find(blobs: &dyn Blobs, id: &str, now: SystemTime) -> Result<Option<Upload>, RegistryFault> {
    let is_id = id.len() == 64 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !is_id {
        return Ok(None);
    }
    Ok(read(blobs, &folder_of(id)).await?.filter(|upload| !is_over(upload.began, now)))
}

async fn read(blobs: &dyn Blobs, folder: &str) -> Result<Option<Upload>, RegistryFault> {
    let about = match blobs.get(&below(folder, "about")?, None).await {
        Ok(about) => about,
        Err(fault) if fault.kind == FaultKind::NotFound => return Ok(None),
        Err(fault) => return Err(of_port(fault)),
    };
    let bytes: Vec<Bytes> = about.frames.try_collect().await.map_err(of_port)?;
    let about: Value = serde_json::from_slice(&bytes.concat()).map_err(RegistryFault::internal)?;
    let path = BlobPath::new(about["path"].as_str().unwrap_or_default()).map_err(RegistryFault::internal)?;
    let number = |field: &str| about[field].as_u64().unwrap_or_default();
    let began = SystemTime::UNIX_EPOCH + Duration::from_secs(number("began"));
    Ok(Some(Upload { folder: folder.to_owned(), path, parts: number("parts"), began }))
}

async fn remove(blobs: &dyn Blobs, folder: &str) -> Result<(), RegistryFault> {
    let folder = BlobPath::new(folder).map_err(of_port)?;
    blobs.delete(&folder).await.map(drop).map_err(of_port)
}

fn folder_of(id: &str) -> String {
    format!("{FOLDER}/{}", Digest::of(id.as_bytes()))
}

fn below(folder: &str, name: &str) -> Result<BlobPath, RegistryFault> {
    BlobPath::new(&format!("{folder}/{name}")).map_err(of_port)
}

fn is_over(began: SystemTime, now: SystemTime) -> bool {
    now.duration_since(began).is_ok_and(|age| age > DAY)
}

fn unknown() -> RegistryFault {
    RegistryFault::invalid("there is no such upload, or it is more than a day old: begin it anew")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_begin_as_the_caller_wrote_them() {
        let uri = |text: &'static str| Uri::from_static(text);
        let none = HeaderMap::new();
        assert_eq!(origin(&uri("https://gate:8443/api"), &none).unwrap(), "https://gate:8443");
        assert!(origin(&uri("/api"), &none).is_err());
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        assert_eq!(origin(&uri("http://gate/api"), &headers).unwrap(), "https://gate");
        headers.insert("x-forwarded-proto", HeaderValue::from_static("file"));
        assert_eq!(origin(&uri("http://gate/api"), &headers).unwrap(), "http://gate");
    }

    #[test]
    fn an_upload_is_over_after_a_day() {
        let began = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        assert!(!is_over(began, began) && !is_over(began, SystemTime::UNIX_EPOCH) && !is_over(began, began + DAY));
        assert!(is_over(began, began + DAY + Duration::from_secs(1)));
    }
}
