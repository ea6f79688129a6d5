//! `store.artifacts` and `store.s3`: where the registry's files lie.

use super::Desk;
use super::provider::Url;
use crate::scalar::{At, Text};
use crate::shape::{Placed, record};
use std::path::PathBuf;
use tidegate_core::Secret;
use tidegate_core::spec::{ArtifactsSpec, S3Key, S3Spec};

record! {
    /// A bucket of S3, or of what speaks like it. What is left out is taken from the environment (`AWS_ENDPOINT_URL`,
    /// `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, …) as AWS's own tools do.
    S3File {
        optional {
            /// The server, where it is not AWS's own; the only way to plain http.
            endpoint: At<Url>,
            /// The region that requests are signed for; `us-east-1` by default.
            region: At<Text>,
            /// The name of the key; it comes with `secret_access_key`.
            access_key_id: At<Secret>,
            /// The key.
            secret_access_key: At<Secret>,
            /// The folder of this machine for files that are served from the bucket, relative to the working directory;
            /// `.tidegate/artifacts-cache` by default.
            cache: At<Text>,
        }
    }
}

/// Where files lie; `None` where that cannot be said, which is reported.
pub(super) fn check(to: Option<At<Text>>, s3: Option<S3File>, desk: &mut Desk<'_>) -> Option<ArtifactsSpec> {
    let bucket = to.as_ref().and_then(|to| to.value.0.strip_prefix("s3://"));
    if let Some(bucket) = bucket {
        let bucket = bucket.to_owned();
        let at = to?;
        let s3 = s3.map(|file| server(file, desk));
        let (bucket, prefix) = bucket.split_once('/').unwrap_or((&bucket, ""));
        let prefix = prefix.trim_end_matches('/');
        if !is_bucket(bucket) || !is_prefix(prefix) {
            desk.notes
                .fault(&at.at, "this is no bucket for files")
                .remedy("write `s3://BUCKET` or `s3://BUCKET/PREFIX`; the server stands under `store.s3.endpoint`");
            return None;
        }
        let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
        return Some(ArtifactsSpec::S3(S3Spec { bucket, prefix, ..s3.unwrap_or_else(ambient) }));
    }
    if let Some(s3) = &s3 {
        desk.notes
            .fault(s3.at(), "no files lie in a bucket, so there is nothing to reach")
            .remedy("write `artifacts: s3://BUCKET/PREFIX`, or leave this out");
    }
    let Some(to) = to else { return Some(ArtifactsSpec::Folder(".tidegate/artifacts".into())) };
    let folder = super::store::file_of(&to.value.0);
    if folder.is_none() {
        desk.notes.fault(&to.at, "this is no place for files").remedy("write `file:FOLDER` or `s3://BUCKET/PREFIX`");
    }
    folder.map(ArtifactsSpec::Folder)
}

/// All of it from the environment.
fn ambient() -> S3Spec {
    S3Spec {
        bucket: String::new(),
        prefix: String::new(),
        endpoint: None,
        region: None,
        key: None,
        cache: PathBuf::from(".tidegate/artifacts-cache"),
    }
}

fn server(file: S3File, desk: &mut Desk<'_>) -> S3Spec {
    let mut spec = ambient();
    let at = file.at().clone();
    spec.endpoint = file.endpoint.map(|given| given.value.0);
    spec.region = file.region.map(|given| given.value.0);
    spec.cache = file.cache.map_or(spec.cache, |given| given.value.0.into());
    spec.key = match (file.access_key_id, file.secret_access_key) {
        (None, None) => None,
        // The name of a key is no secret, and may stand in the file.
        (Some(id), Some(secret)) => Some(S3Key { id: id.value, secret: desk.secret(secret) }),
        (id, _) => {
            let missing = if id.is_some() { "secret_access_key" } else { "access_key_id" };
            desk.notes
                .fault(&at, format!("`{missing}` is missing"))
                .remedy("give both, or neither to take them from the environment");
            None
        }
    };
    spec
}

/// A bucket's name, by the rules of S3.
fn is_bucket(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    let ends = name.bytes().next().into_iter().chain(name.bytes().last());
    (3..=63).contains(&name.len()) && name.bytes().all(is_plain) && !ends.into_iter().any(|b| b"-.".contains(&b))
}

/// What keys may begin with: nothing that would have to be escaped.
fn is_prefix(prefix: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._=".contains(&b);
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(is_plain);
    prefix.is_empty() || (prefix.len() <= 200 && prefix.split('/').all(is_part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_and_prefixes_are_those_of_s3() {
        for good in ["abc", "my-bucket", "a.b.c", "123"] {
            assert!(is_bucket(good), "{good}");
        }
        for bad in ["", "ab", "My", "a_b", "-abc", "abc.", "host:9000", "a@b.c", &"x".repeat(64)] {
            assert!(!is_bucket(bad), "{bad}");
        }
        for good in ["", "a", "models/v=1", "a.b/c_d"] {
            assert!(is_prefix(good), "{good}");
        }
        for bad in ["a//b", "../a", "a b", "a?b", "/a"] {
            assert!(!is_prefix(bad), "{bad}");
        }
    }
}
