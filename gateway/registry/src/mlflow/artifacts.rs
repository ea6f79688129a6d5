//! Files of versions, by MLflow's artifact proxy: up, down, listed, removed. Owns the paths as they come in a URL.

use super::multipart;
use super::params::Params;
use super::{of_port, reply};
use crate::content;
use crate::fault::{RegistryFault, RegistryFaultKind};
use crate::registry::Registry;
use crate::source::has_relative_parts;
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
    LAST_MODIFIED, RANGE,
};
use http::{Response, StatusCode};
use serde_json::{Value, json};
use std::ops::Range;
use tidegate_core::port::blobs::{BlobPath, Blobs};
use tidegate_core::port::mount::{Content, Frames};
use tidegate_core::{FaultKind, percent};

/// Ends of names of files that are text.
const TEXTS: [&str; 24] = [
    "txt",
    "log",
    "err",
    "cfg",
    "conf",
    "cnf",
    "cf",
    "ini",
    "properties",
    "prop",
    "hocon",
    "toml",
    "yaml",
    "yml",
    "xml",
    "json",
    "js",
    "py",
    "py3",
    "csv",
    "tsv",
    "md",
    "rst",
    "ipynb",
];

pub(super) async fn upload(
    registry: &Registry,
    blobs: &dyn Blobs,
    path: &str,
    body: Frames,
    most: u64,
) -> Result<Response<Content>, RegistryFault> {
    if path.ends_with('/') {
        return Err(RegistryFault::invalid("Artifact path must include a filename (cannot end with '/')."));
    }
    let path = checked(path)?;
    registry.may_change(&path).await?;
    let body = content::as_promised(path.name(), body).await?;
    blobs.put(&path, body, most).await.map_err(of_port)?;
    let mut response = Response::new(Content::Whole(Bytes::new()));
    *response.status_mut() = StatusCode::OK;
    Ok(response)
}

pub(super) async fn download(
    blobs: &dyn Blobs,
    path: &str,
    headers: &HeaderMap,
) -> Result<Response<Content>, RegistryFault> {
    let path = checked(path)?;
    let asked = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let found = |fault: tidegate_core::Fault| match fault.kind {
        FaultKind::NotFound => RegistryFault::missing(format!("No such artifact: '{path}'")),
        FaultKind::Conflict => {
            RegistryFault::invalid(format!("Artifact path refers to a directory, not a file: '{path}'"))
        }
        _ => of_port(fault),
    };
    let mut blob = blobs.get(&path, None).await.map_err(found)?;
    let part = asked.and_then(|asked| range(asked, blob.length));
    let (status, length) = match &part {
        None => (StatusCode::OK, blob.length),
        Some(None) => (StatusCode::RANGE_NOT_SATISFIABLE, 0),
        Some(Some(part)) => {
            blob = blobs.get(&path, Some(part.clone())).await.map_err(found)?;
            (StatusCode::PARTIAL_CONTENT, part.end - part.start)
        }
    };
    let mut response = Response::new(if status == StatusCode::RANGE_NOT_SATISFIABLE {
        Content::Whole(Bytes::new())
    } else {
        Content::Parts { length, frames: blob.frames }
    });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(path.name())));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let range = match part {
        Some(Some(part)) => Some(format!("bytes {}-{}/{}", part.start, part.end - 1, blob.length)),
        Some(None) => Some(format!("bytes */{}", blob.length)),
        None => None,
    };
    for (name, value) in [
        (CONTENT_RANGE, range),
        (ETAG, Some(format!("\"{}\"", blob.digest))),
        (LAST_MODIFIED, Some(httpdate::fmt_http_date(blob.written))),
        (CONTENT_DISPOSITION, Some(disposition(path.name()))),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

pub(super) async fn remove(
    registry: &Registry,
    blobs: &dyn Blobs,
    path: &str,
) -> Result<Response<Content>, RegistryFault> {
    // One that is not there is removed already.
    let path = checked(path)?;
    registry.may_change(&path).await?;
    blobs.delete(&path).await.map_err(of_port)?;
    Ok(reply(&json!({})))
}

pub(super) async fn list(blobs: &dyn Blobs, params: &Params) -> Result<Value, RegistryFault> {
    let text = params.text("path");
    let folder = if text.is_empty() { None } else { Some(decoded(text)?) };
    let entries = blobs.list(folder.as_ref()).await.map_err(of_port)?;
    let files: Vec<Value> = entries
        .into_iter()
        .filter(|entry| folder.is_some() || entry.name != multipart::FOLDER)
        .map(|entry| match entry.length {
            Some(length) => json!({"path": entry.name, "is_dir": false, "file_size": length}),
            None => json!({"path": entry.name, "is_dir": true}),
        })
        .collect();
    Ok(if files.is_empty() { json!({}) } else { json!({"files": files}) })
}

/// What is asked for works without it, and the client then does: plain requests carry files of any length.
pub(super) fn unsupported() -> RegistryFault {
    let says = "Multipart download is not supported for the current artifact repository";
    RegistryFault::new(RegistryFaultKind::Unsupported, says)
}

/// Where a file goes that comes up in parts: into the folder that the URL names, by the last part of the name that it has
/// at the caller's.
pub(super) fn target(folder: &str, local: &str) -> Result<BlobPath, RegistryFault> {
    let folder = checked(folder)?;
    let name = local.rsplit(['/', '\\']).next().unwrap_or_default();
    decoded(&format!("{folder}/{name}"))
}

/// The path of a URL, decoded once and checked; one that is escaped twice to get past a check is refused.
fn checked(path: &str) -> Result<BlobPath, RegistryFault> {
    decoded(&percent::decoded(path))
}

fn decoded(text: &str) -> Result<BlobPath, RegistryFault> {
    let refused = || RegistryFault::invalid("Invalid path");
    if has_relative_parts(text) {
        return Err(refused());
    }
    let path = BlobPath::new(text).map_err(|fault| refused().because(fault))?;
    if path.as_str().split('/').next() == Some(multipart::FOLDER) {
        return Err(refused());
    }
    Ok(path)
}

/// The one range of a header: `None` where it asks for nothing that we give in parts, `Some(None)` where it begins after
/// the end.
fn range(header: &str, length: u64) -> Option<Option<Range<u64>>> {
    let (from, to) = header.strip_prefix("bytes=")?.split_once('-')?;
    if to.contains(',') {
        return None;
    }
    let part = match (from.is_empty(), to.is_empty()) {
        (true, _) => length.saturating_sub(to.parse().ok()?)..length,
        (false, true) => from.parse().ok()?..length,
        (false, false) => from.parse().ok()?..to.parse::<u64>().ok()?.saturating_add(1).min(length),
    };
    Some((part.start < part.end).then_some(part))
}

fn content_type(name: &str) -> &'static str {
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    match end.to_ascii_lowercase().as_str() {
        _ if matches!(name, "MLmodel" | "MLproject") => "text/plain",
        end if TEXTS.contains(&end) => "text/plain",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "svg" => "image/svg+xml",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        // No page of ours: a model's report must not run as one.
        _ => "application/octet-stream",
    }
}

/// The name under which a browser saves it (RFC 6266).
fn disposition(name: &str) -> String {
    let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if is_plain {
        return format!("attachment; filename={name}");
    }
    if name.bytes().all(|b| matches!(b, b' '..=b'~') && !b"\"\\%".contains(&b)) {
        return format!("attachment; filename=\"{name}\"");
    }
    let escaped: String = name
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"._-".contains(&b) { (b as char).to_string() } else { format!("%{b:02X}") }
        })
        .collect();
    format!("attachment; filename*=UTF-8''{escaped}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_out_are_refused_however_they_are_written() {
        for bad in ["../x", "a/../../x", "%2e%2e/x", "%252e%252e/x", "/etc/passwd", "a%5cb", "a%00", "a%23b", "c%3a/x"]
        {
            assert_eq!(checked(bad).unwrap_err().says, "Invalid path", "{bad}");
        }
        assert!(checked(".uploads/x").is_err() && checked(".uploads").is_err() && checked("m/.uploads").is_ok());
        assert!(target("m", "/home/x/..").is_err() && target(".uploads", "x").is_err());
        assert_eq!(target("m/1", "C:\\x\\model.bin").unwrap().as_str(), "m/1/model.bin");
        assert_eq!(checked("1/a%20b/MLmodel").unwrap().as_str(), "1/a b/MLmodel");
    }

    #[test]
    fn ranges_are_those_of_rfc_9110() {
        assert_eq!(range("bytes=0-4", 10), Some(Some(0..5)));
        assert_eq!(range("bytes=5-", 10), Some(Some(5..10)));
        assert_eq!(range("bytes=-3", 10), Some(Some(7..10)));
        assert_eq!(range("bytes=-30", 10), Some(Some(0..10)));
        assert_eq!(range("bytes=0-99", 10), Some(Some(0..10)));
        assert_eq!(range("bytes=10-", 10), Some(None));
        assert_eq!(range("bytes=4-2", 10), Some(None));
        for whole in ["", "bytes", "items=0-1", "bytes=0-1,3-4", "bytes=a-b"] {
            assert_eq!(range(whole, 10), None, "{whole}");
        }
    }

    #[test]
    fn names_are_safe_in_headers() {
        assert_eq!(disposition("model.pkl"), "attachment; filename=model.pkl");
        assert_eq!(disposition("a b;c.csv"), "attachment; filename=\"a b;c.csv\"");
        assert_eq!(disposition("été"), "attachment; filename*=UTF-8''%C3%A9t%C3%A9");
        assert_eq!(disposition("a \"b\"\r\nx"), "attachment; filename*=UTF-8''a%20%22b%22%0D%0Ax");
        assert_eq!(content_type("x.html"), "application/octet-stream");
        assert_eq!(content_type("MLmodel"), "text/plain");
    }
}
