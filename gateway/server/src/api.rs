//! The HTTP interfaces beside the request's path: thin handlers, and the one place where a fault becomes a response.

pub(crate) mod admin;
pub(crate) mod cors;
pub(crate) mod error;
pub(crate) mod models;
pub(crate) mod probe;
