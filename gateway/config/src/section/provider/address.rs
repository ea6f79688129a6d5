//! The address of an endpoint: of the web, or `grpc://` where a server is asked over gRPC. Owns what may stand beside the latter.

use super::{EndpointFile, OpenAiFile, Url};
use crate::scalar::{Flaw, Scalar};
use crate::section::Desk;
use crate::shape::Placed as _;
use http::Uri;
use tidegate_core::spec::Dialect;

/// The address of an endpoint, as it is connected to: `http` or `https`.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) uri: Uri,
    /// Whether it is asked over gRPC.
    pub(crate) is_grpc: bool,
}

impl Scalar for Address {
    const WHAT: &'static str = "an address such as `http://127.0.0.1:8000/v1`";

    fn parse(text: &str) -> Result<Self, Flaw> {
        let Some(rest) = text.strip_prefix("grpc").filter(|rest| rest.starts_with("://") || rest.starts_with("s://"))
        else {
            return Url::parse(text).map(|Url(uri)| Self { uri, is_grpc: false });
        };
        let Url(uri) = Url::parse(&format!("http{rest}"))?;
        if uri.path().trim_end_matches('/').is_empty() {
            Ok(Self { uri, is_grpc: true })
        } else {
            Err(Flaw::why("it has a path, and gRPC has none of its own").mend("write host and port alone"))
        }
    }
}

/// Whether a provider is asked over gRPC: only some are, and then at all of their addresses.
pub(super) fn is_grpc(raw: &OpenAiFile, dialect: Option<Dialect>, desk: &mut Desk<'_>) -> bool {
    let given =
        |endpoint: &EndpointFile| Some((endpoint.url.as_ref()?.value.is_grpc, endpoint.url.as_ref()?.at.clone()));
    let all: Vec<_> = raw.endpoints.iter().flatten().filter_map(given).collect();
    let Some((_, at)) = all.iter().find(|(is_grpc, _)| *is_grpc) else { return false };
    if dialect != Some(Dialect::OpenInference) {
        desk.notes
            .fault(at, "only providers of `open_inference` are asked over gRPC")
            .remedy("write `http://` or `https://`");
        return false;
    }
    if let Some((_, at)) = all.iter().find(|(is_grpc, _)| !is_grpc) {
        desk.notes
            .fault(at, "another endpoint of this provider is asked over gRPC, and this one is not")
            .remedy("write `grpc://` or `grpcs://` for all of them, or make two providers");
    }
    if raw.query.is_some() {
        desk.notes
            .fault(raw.at(), "`query` can never apply: gRPC has no parameters in its addresses")
            .remedy("leave it out, or write `headers`, which go as metadata");
    }
    true
}
