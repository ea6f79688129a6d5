//! Where a version's file lies, as a caller writes it. Owns which places may be named: paths of the gateway's own artifact
//! store, other versions, and buckets; never a file of this machine, nor a host that the gateway would connect to.

use crate::fault::RegistryFault;
use crate::kind::short;
use crate::source::{Source, has_relative_parts};
use tidegate_core::port::blobs::BlobPath;

/// How a place in the artifact store begins.
pub(super) const STORE: &str = "mlflow-artifacts:/";

/// Reads a place.
///
/// # Errors
/// Says why it cannot be named.
pub(super) fn read(text: &str) -> Result<Source, RegistryFault> {
    let refused = |why: &str| {
        RegistryFault::invalid(format!(
            "'{}' {why}: write the path of a file in the artifact store such as `models/m.gguf`, or `models:/name/3`, \
             `s3://bucket/key` or `gs://bucket/key`",
            short(text)
        ))
    };
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest)) if !scheme.contains('/') => (scheme.to_ascii_lowercase(), rest),
        _ => (String::new(), text),
    };
    match scheme.as_str() {
        "" | "mlflow-artifacts" => {
            let path = if scheme.is_empty() { rest } else { rest.strip_prefix('/').unwrap_or_default() };
            let path = path_of(path).map_err(|fault| refused(&format!("is no path there ({})", fault.says)))?;
            Ok(Source::Elsewhere(format!("{STORE}{path}")))
        }
        "models" => Source::check(text, "", "").map_err(|_| refused("names no version of a model")),
        "s3" | "gs" if is_bucket(rest) => Source::check(text, "", "").map_err(|_| refused("leads out of its bucket")),
        "s3" | "gs" => Err(refused("names no bucket and key")),
        _ => Err(refused("lies where no file may lie")),
    }
}

/// A path in the artifact store.
///
/// # Errors
/// It leads elsewhere.
pub(super) fn path_of(text: &str) -> Result<BlobPath, RegistryFault> {
    if has_relative_parts(text) {
        return Err(RegistryFault::invalid("the path has a `.` or `..` part"));
    }
    BlobPath::new(text).map_err(crate::request::of_port)
}

/// Whether this is `//bucket/key`, where the bucket is a name and no address.
fn is_bucket(rest: &str) -> bool {
    let Some((bucket, key)) = rest.strip_prefix("//").and_then(|rest| rest.split_once('/')) else { return false };
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '_');
    (3..=222).contains(&bucket.len())
        && bucket.chars().all(fits)
        && bucket.contains(|c: char| c.is_ascii_lowercase())
        && !key.is_empty()
        && key.len() <= 1024
        && !key.chars().any(|c| c.is_control() || c == '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_that_hold_models_can_be_named() {
        for bad in [
            "",
            ".",
            "/",
            "/etc/passwd",
            "../../etc/passwd",
            "models/../../x",
            "models/%2e%2e/x",
            "models/%252e%252e/x",
            "models//x",
            "models/x\0",
            "models/x?y",
            "\\\\host\\x",
            "c:\\x",
            "c:/x",
            "file:///etc/passwd",
            "FILE:/etc/passwd",
            "mlflow-artifacts://host/x",
            "mlflow-artifacts:/",
            "mlflow-artifacts:/../x",
            "http://localhost:6379/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://[::1]/",
            "https://example.com/m.gguf",
            "ftp://h/x",
            "gopher://h/x",
            "data:,x",
            "runs:/abc/model",
            "models:/m",
            "models://h/m/1",
            "s3://",
            "s3://b",
            "s3://169.254.169.254/latest",
            "s3://bucket/../x",
            "s3:/bucket/x",
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
        let elsewhere = |text: &str| Ok::<_, String>(Source::Elsewhere(text.to_owned()));
        for (good, source) in [
            ("models/m1.gguf", "mlflow-artifacts:/models/m1.gguf"),
            ("mlflow-artifacts:/m/1", "mlflow-artifacts:/m/1"),
            ("s3://my-bucket/a/b.gguf", "s3://my-bucket/a/b.gguf"),
            ("gs://bucket/b", "gs://bucket/b"),
        ] {
            assert_eq!(read(good).map_err(|fault| fault.says.into_owned()), elsewhere(source));
        }
        assert!(matches!(read("models:/m/3"), Ok(Source::Version { version: 3, .. })));
        assert!(matches!(read("models:/m@champion"), Ok(Source::Alias { .. })));
    }
}
