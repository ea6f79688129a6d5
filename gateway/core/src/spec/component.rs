//! Where the component of a plugin lies, and what shows there who asks. Owns which addresses may be one.

use crate::Secret;
use crate::oci_ref::{OciRef, OciRefFault};
use http::Uri;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Where the component of a plugin lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComponentAt {
    /// In a file of this machine.
    File(PathBuf),
    /// At an address of the web.
    Web(Uri),
    /// In a registry of containers, as a layer of WebAssembly.
    Oci(OciRef),
}

/// What shows who asks for a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComponentAuth {
    /// `USER:PASSWORD`.
    Basic(Secret),
    /// A token, as it is.
    Bearer(Secret),
}

/// Why a text is no place of a component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComponentFault {
    /// Of a scheme that is not known.
    #[error("components are not taken from `{0}:`: name a file, `https://…` or `oci://…`")]
    Scheme(String),
    /// No address of the web.
    #[error("it is no address such as `https://HOST/PATH`")]
    Address,
    /// With credentials.
    #[error("it carries credentials: give them under `auth`")]
    Credentials,
    /// With a query or fragment.
    #[error("it has a query or fragment, in which a secret may stand: name an address without one")]
    Query,
    /// By plain http, and not on this machine.
    #[error("`http://` is for this machine alone: write `https://…`")]
    Open,
    /// No reference to a registry.
    #[error(transparent)]
    Oci(#[from] OciRefFault),
}

impl ComponentAt {
    /// Whether it has to be fetched.
    #[must_use]
    pub const fn is_far(&self) -> bool {
        !matches!(self, Self::File(_))
    }
}

impl FromStr for ComponentAt {
    type Err = ComponentFault;

    fn from_str(text: &str) -> Result<Self, ComponentFault> {
        match text.split_once(':') {
            Some(("oci", _)) => Ok(Self::Oci(text.parse()?)),
            Some(("http" | "https", _)) => web(text).map(Self::Web),
            Some((scheme, rest)) if rest.starts_with("//") && scheme != "file" => {
                Err(ComponentFault::Scheme(scheme.to_owned()))
            }
            Some(("file", path)) => Ok(Self::File(path.into())),
            _ => Ok(Self::File(text.into())),
        }
    }
}

fn web(text: &str) -> Result<Uri, ComponentFault> {
    if text.contains(['?', '#']) {
        return Err(ComponentFault::Query);
    }
    let uri: Uri = text.parse().map_err(|_| ComponentFault::Address)?;
    let (Some(authority), Some(host)) = (uri.authority(), uri.host()) else { return Err(ComponentFault::Address) };
    if authority.as_str().contains('@') {
        return Err(ComponentFault::Credentials);
    }
    let is_host = !host.is_empty() && (uri.port_u16().is_some() || host == authority.as_str());
    if !is_host || matches!(uri.path(), "" | "/") {
        return Err(ComponentFault::Address);
    }
    if uri.scheme_str() == Some("http") && !is_this_machine(host) {
        return Err(ComponentFault::Open);
    }
    Ok(uri)
}

/// Whether a host is this machine, as far as its name tells.
#[must_use]
pub fn is_this_machine(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

impl fmt::Display for ComponentAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Web(uri) => uri.fmt(f),
            Self::Oci(reference) => reference.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart_by_their_schemes() {
        let read = |text: &str| text.parse::<ComponentAt>();
        for (text, path) in [("x.wasm", "x.wasm"), ("file:/a/x.wasm", "/a/x.wasm"), ("a:b/x.wasm", "a:b/x.wasm")] {
            assert_eq!(read(text), Ok(ComponentAt::File(path.into())), "{text}");
        }
        for far in ["https://h/x.wasm", "http://127.0.0.1:8/x", "http://[::1]/x", "http://localhost/x", "oci://h/x:1"] {
            assert!(read(far).is_ok_and(|at| at.is_far() && at.to_string() == far), "{far}");
        }
        for (text, fault) in [
            ("ftp://h/x", ComponentFault::Scheme("ftp".to_owned())),
            ("https:x", ComponentFault::Address),
            ("https://", ComponentFault::Address),
            ("https://h", ComponentFault::Address),
            ("https://h:x/x", ComponentFault::Address),
            ("https://u:p@h/x", ComponentFault::Credentials),
            ("https://h/x?token=1", ComponentFault::Query),
            ("http://h/x", ComponentFault::Open),
            ("http://10.0.0.1/x", ComponentFault::Open),
            ("http://localhost.example/x", ComponentFault::Open),
            ("oci://h/x", ComponentFault::Oci(OciRefFault::Pick)),
            ("oci:h/x", ComponentFault::Oci(OciRefFault::Form)),
        ] {
            assert_eq!(read(text).unwrap_err(), fault, "{text}");
        }
    }
}
