//! In which form a caller hears what came of his call. Owns which interface has which.

use crate::api::error;
use crate::grpc;
use crate::reply::ReplyBody;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use tidegate_core::Fault;
use tidegate_dialect::Sheet;

/// The form of an interface.
#[derive(Debug)]
pub(crate) enum Voice {
    /// OpenAI's.
    OpenAi,
    /// That of the protocols of classic models over HTTP.
    Plain,
    /// A message of gRPC.
    Message,
    /// A message of gRPC among others, for what the caller calls so.
    Streamed(String),
}

impl Voice {
    /// A fault of the call that has the id `call` here.
    pub(crate) fn fault(&self, fault: &Fault, call: &str) -> Response<ReplyBody> {
        match self {
            Self::OpenAi => error::respond(fault),
            Self::Plain => error::plain(fault),
            Self::Message => grpc::refused(fault),
            Self::Streamed(id) => {
                let says = grpc::status(fault).says;
                Response::new(ReplyBody::Whole(tidegate_dialect::grpc::write_failed(&says, id, call)))
            }
        }
    }

    /// A whole answer.
    pub(crate) fn whole(&self, sheet: Sheet) -> Response<ReplyBody> {
        let header_length = sheet.header_length;
        let mut response = match self {
            Self::Message => return grpc::answered(sheet.joined()),
            Self::Streamed(_) | Self::OpenAi | Self::Plain => Response::new(ReplyBody::of(sheet)),
        };
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().reserve(super::reply::USUAL_HEADERS);
        let mut kind = HeaderValue::from_static("application/json");
        if let Some(length) = header_length {
            kind = HeaderValue::from_static("application/octet-stream");
            response.headers_mut().insert(crate::classic::HEADER_LENGTH, HeaderValue::from(length));
        }
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }
}
