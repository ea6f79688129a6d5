//! The port of an HTTP interface that an organ brings with it: the server finds out who asks, and hands the request
//! over. The organ knows its paths, and which role each needs.

use super::BoxFuture;
use super::prompts::Reach;
use crate::{Caller, Fault, Role};
use bytes::Bytes;
use futures_core::Stream;
use http::{Method, Request, Response};
use std::pin::Pin;

/// An interface below some paths.
pub trait Mount: Send + Sync + std::fmt::Debug {
    /// What a method and a path lead to here, at this door. The path is as it came: not decoded.
    fn find(&self, door: Door, method: &Method, path: &str) -> Passage;

    /// Answers a request that came from `reach`: of a caller who has the role that it needs, or of anybody where it needs
    /// none. Its faults are answers too, in the interface's own form.
    fn serve(&self, caller: Option<Caller>, reach: Reach, request: Request<Frames>)
    -> BoxFuture<'_, Response<Content>>;

    /// The interface's own form of a fault that the server found.
    fn refuse(&self, fault: &Fault) -> Response<Content>;
}

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// A listener of callers.
    Public,
    /// The admin listener.
    Admin,
}

/// What a method and a path lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passage {
    /// A handler that needs this role.
    Needs(Role),
    /// A handler that is open to anybody.
    Open,
    /// The path is there, but takes only these methods, as they stand in an `Allow` header.
    WrongMethod(String),
    /// Nothing of this interface.
    Nothing,
}

/// A body in parts.
pub type Frames = Pin<Box<dyn Stream<Item = Result<Bytes, Fault>> + Send>>;

/// The body of an answer.
pub enum Content {
    /// All of it at once.
    Whole(Bytes),
    /// In parts, of which the length is known; where one fails, the connection is cut, so that nobody takes what came
    /// for all of it.
    Parts {
        /// How many bytes there are.
        length: u64,
        /// They.
        frames: Frames,
    },
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(bytes) => f.debug_tuple("Whole").field(&bytes.len()).finish(),
            Self::Parts { length, .. } => f.debug_struct("Parts").field("length", length).finish_non_exhaustive(),
        }
    }
}

/// What stands behind a path's pattern: nothing where it is that path, the rest where it ends in `{}` and there is one.
/// `None` where it is another path.
#[must_use]
pub fn rest_of<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    match pattern.strip_suffix("{}") {
        None => (pattern == path).then_some(""),
        Some(stem) => path.strip_prefix(stem).filter(|rest| !rest.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_path_or_the_beginning_of_one() {
        assert_eq!(rest_of("/a", "/a"), Some(""));
        assert_eq!(rest_of("/a", "/a/b"), None);
        assert_eq!(rest_of("/a/{}", "/a/b/c"), Some("b/c"));
        assert_eq!(rest_of("/a/{}", "/a/"), None);
    }
}
