//! References to what lies in a registry of containers: `oci://HOST/REPOSITORY:TAG` and `…@sha256:DIGEST`. Owns their
//! grammar; what is asked of a registry is the program's business.

use crate::digest::Digest;
use http::uri::Authority;
use std::fmt;
use std::str::FromStr;

const SCHEME: &str = "oci://";

/// A manifest in a repository of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OciRef {
    /// The registry, with its port where it has one.
    pub host: Authority,
    /// The repository, such as `org/drift`.
    pub repository: String,
    /// Which manifest.
    pub pick: OciPick,
}

/// Which manifest of a repository is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OciPick {
    /// The one that a tag stands for now.
    Tag(String),
    /// The one with this digest, whatever tag stands beside it.
    Digest(Digest),
}

/// Why a text is no reference to a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OciRefFault {
    /// It has another form.
    #[error("it is written `oci://HOST/REPOSITORY:TAG` or `oci://HOST/REPOSITORY@sha256:DIGEST`")]
    Form,
    /// The host is none, or carries credentials.
    #[error("its host is none: write `HOST` or `HOST:PORT`, and a login under `auth`")]
    Host,
    /// The repository is none.
    #[error("a repository has small letters, digits, `.`, `_` and `-` between its slashes")]
    Repository,
    /// There is neither a tag nor a digest.
    #[error("it has neither a tag nor a digest: what `latest` means changes, so it is not taken unsaid")]
    Pick,
    /// The tag is none.
    #[error("a tag has at most 128 letters, digits, `.`, `_` and `-`")]
    Tag,
    /// The digest is none.
    #[error("a digest is `sha256:` and 64 hex digits")]
    Digest,
}

impl FromStr for OciRef {
    type Err = OciRefFault;

    fn from_str(text: &str) -> Result<Self, OciRefFault> {
        let rest = text.strip_prefix(SCHEME).ok_or(OciRefFault::Form)?;
        let (host, rest) = rest.split_once('/').ok_or(OciRefFault::Form)?;
        let host: Authority = host.parse().map_err(|_| OciRefFault::Host)?;
        let is_whole = !host.host().is_empty() && !host.as_str().contains('@');
        // A port that is empty, or too large, is no port to `Authority`.
        if !is_whole || (host.port_u16().is_none() && host.host() != host.as_str()) {
            return Err(OciRefFault::Host);
        }
        let (named, digest) = match rest.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (rest, None),
        };
        let (repository, tag) = match named.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (named, None),
        };
        if repository.len() > 255 || !repository.split('/').all(is_part) {
            return Err(OciRefFault::Repository);
        }
        if !tag.is_none_or(is_tag) {
            return Err(OciRefFault::Tag);
        }
        let pick = match (digest, tag) {
            (Some(digest), _) => {
                let hex = digest.strip_prefix("sha256:").and_then(|hex| hex.parse().ok());
                OciPick::Digest(hex.ok_or(OciRefFault::Digest)?)
            }
            (None, Some(tag)) => OciPick::Tag(tag.to_owned()),
            (None, None) => return Err(OciRefFault::Pick),
        };
        Ok(Self { host, repository: repository.to_owned(), pick })
    }
}

/// A part of a repository's name.
fn is_part(part: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = part.bytes().next().zip(part.bytes().last());
    ends.is_some_and(|(first, last)| is_plain(first) && is_plain(last))
        && part.bytes().all(|b| is_plain(b) || b"._-".contains(&b))
}

fn is_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

impl fmt::Display for OciPick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => write!(f, "sha256:{digest}"),
        }
    }
}

impl fmt::Display for OciRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, repository, pick } = self;
        let between = if matches!(pick, OciPick::Tag(_)) { ':' } else { '@' };
        write!(f, "{SCHEME}{host}/{repository}{between}{pick}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_they_are_written() {
        let digest = "ab".repeat(32);
        let pinned = format!("oci://ghcr.io/org/drift@sha256:{digest}");
        for good in ["oci://ghcr.io/org/drift:1.2.0", "oci://127.0.0.1:5000/a_b/c-d.e:X", "oci://[::1]:5/x:1", &pinned]
        {
            assert_eq!(good.parse::<OciRef>().unwrap().to_string(), good);
        }
        // A digest says more than a tag.
        let both = format!("oci://ghcr.io/org/drift:1@sha256:{digest}");
        assert_eq!(both.parse::<OciRef>().unwrap().to_string(), pinned);
    }

    #[test]
    fn what_is_none_is_told_why() {
        let short = format!("oci://h/x@sha256:{}", "a".repeat(63));
        let long = format!("oci://h/x:{}", "a".repeat(129));
        for (bad, fault) in [
            ("h/x:1", OciRefFault::Form),
            ("oci://h", OciRefFault::Form),
            ("oci:///x:1", OciRefFault::Host),
            ("oci://u:p@h/x:1", OciRefFault::Host),
            ("oci://h:/x:1", OciRefFault::Host),
            ("oci://h:99999/x:1", OciRefFault::Host),
            ("oci://h/X:1", OciRefFault::Repository),
            ("oci://h/a//b:1", OciRefFault::Repository),
            ("oci://h/../b:1", OciRefFault::Repository),
            ("oci://h/a?b:1", OciRefFault::Repository),
            ("oci://h/:1", OciRefFault::Repository),
            ("oci://h/x", OciRefFault::Pick),
            ("oci://h/x:", OciRefFault::Tag),
            ("oci://h/x:a/b", OciRefFault::Tag),
            ("oci://h/x:.a", OciRefFault::Tag),
            (&long, OciRefFault::Tag),
            (&short, OciRefFault::Digest),
            ("oci://h/x@md5:00", OciRefFault::Digest),
        ] {
            assert_eq!(bad.parse::<OciRef>().unwrap_err(), fault, "{bad}");
        }
    }
}
