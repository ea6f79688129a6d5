//! A request that is not one of OpenAI's paths: a path below the provider's base address, with a body that we wrote.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Method, Uri};

/// What goes out.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// `GET` or `POST`.
    pub(crate) method: Method,
    /// The path below the base address.
    pub(crate) path: String,
    /// The body.
    pub(crate) body: Bytes,
    /// What that is.
    pub(crate) form: Form,
}

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON, or none.
    Json,
    /// So many bytes of JSON, then raw tensors.
    Raw(usize),
    /// A message of gRPC.
    Message,
}

/// Where a provider's paths begin, and the query that all of them have.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) path: String,
    /// With its question mark; empty where there is none.
    pub(crate) query: String,
}

impl Base {
    /// The base that `known`, the address of a path below it, begins with.
    pub(crate) fn of(known: &PathAndQuery, below: &str) -> Self {
        let path = known.path().strip_suffix(below).unwrap_or_default().to_owned();
        Self { path, query: known.query().map(|query| format!("?{query}")).unwrap_or_default() }
    }

    /// Another address below the base; `known` is one of them.
    pub(crate) fn address(&self, known: &Uri, path: &str) -> Uri {
        let mut parts = known.clone().into_parts();
        let text = format!("{}{path}{}", self.path, self.query);
        // Segments are escaped, so it is one; were it none, the address that is known answers that there is nothing.
        if let Ok(path) = PathAndQuery::try_from(text) {
            parts.path_and_query = Some(path);
        }
        Uri::from_parts(parts).unwrap_or_else(|_| known.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stand_below_the_base_with_its_query() {
        for (known, wanted) in
            [("http://h:1/x/chat?k=1", "http://h:1/x/v2/models/a%20b/infer?k=1"), ("/chat", "/v2/models/a%20b/infer")]
        {
            let known: Uri = known.parse().unwrap();
            let base = Base::of(known.path_and_query().unwrap(), "/chat");
            assert_eq!(base.address(&known, "/v2/models/a%20b/infer"), wanted);
        }
    }
}
