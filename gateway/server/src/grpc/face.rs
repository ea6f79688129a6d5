//! Fault to status of gRPC: the only such place. Owns the headers of answers and refusals.

use crate::api::error;
use crate::reply::ReplyBody;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use tidegate_core::{Fault, FaultKind};
use tidegate_dialect::grpc::{Code, Status};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const ENCODINGS: HeaderName = HeaderName::from_static("grpc-accept-encoding");
/// When a client that retries by itself shall do so.
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// What a response means in HTTP whose status is 200 because gRPC has its own: the metrics count by that, and the record says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meant(pub(crate) StatusCode);

/// How many characters of a fault are said: it goes in a header, and clients drop answers whose headers are large.
const SAID: usize = 2048;

/// What a fault is to callers of gRPC.
pub(crate) fn status(fault: &Fault) -> Status {
    let says = fault.says.chars().take(SAID).collect();
    Status { code: code(fault), says, retry_after: fault.retry_after }
}

fn code(fault: &Fault) -> Code {
    match fault.kind {
        FaultKind::InvalidRequest | FaultKind::ContextLength | FaultKind::ContentFilter | FaultKind::ContractBroken => {
            Code::InvalidArgument
        }
        FaultKind::Filtered | FaultKind::UpstreamRefused => refused_by(error::face(fault).0),
        FaultKind::Unauthenticated => Code::Unauthenticated,
        FaultKind::Forbidden => Code::PermissionDenied,
        FaultKind::NotFound | FaultKind::ModelNotFound => Code::NotFound,
        FaultKind::MethodNotAllowed | FaultKind::UnsupportedMedia => Code::Unimplemented,
        FaultKind::RequestTimeout | FaultKind::UpstreamTimeout => Code::DeadlineExceeded,
        FaultKind::Conflict => Code::FailedPrecondition,
        FaultKind::TooLarge | FaultKind::HeadTooLarge | FaultKind::RateLimited | FaultKind::UpstreamRateLimited => {
            Code::ResourceExhausted
        }
        // A local model's queue: who asks less often is served.
        FaultKind::Overloaded if fault.upstream_status == Some(429) => Code::ResourceExhausted,
        FaultKind::Overloaded
        | FaultKind::Unavailable
        | FaultKind::FilterFailed
        | FaultKind::Unreachable
        | FaultKind::StreamCut => Code::Unavailable,
        // What was broken off may do the next time; what the provider says of itself will not.
        FaultKind::UpstreamFailed if matches!(fault.upstream_status, None | Some(503)) => Code::Unavailable,
        // Clients try `UNAVAILABLE` again: not what was made and is billed, nor what somebody must mend first.
        FaultKind::UpstreamFailed | FaultKind::UpstreamMisconfigured | FaultKind::NotDurable | FaultKind::Internal => {
            Code::Internal
        }
    }
}

/// The code of a refusal that has a status of its own.
fn refused_by(status: StatusCode) -> Code {
    match status.as_u16() {
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        409 => Code::FailedPrecondition,
        429 => Code::ResourceExhausted,
        _ => Code::InvalidArgument,
    }
}

/// The status of a call, as trailers.
pub(crate) fn trailers(fault: Option<&Fault>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(fault) = fault else {
        headers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
        return headers;
    };
    let status = status(fault);
    headers.insert(GRPC_STATUS, HeaderValue::from(u16::from(status.code.number())));
    if let Ok(says) = HeaderValue::try_from(status.message()) {
        headers.insert(GRPC_MESSAGE, says);
    }
    if let Some(details) = status.details().and_then(|details| HeaderValue::try_from(details).ok()) {
        headers.insert(DETAILS, details);
    }
    if let Some(wait) = status.retry_after {
        headers.insert(PUSHBACK, HeaderValue::from(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)));
    }
    if fault.kind == FaultKind::UnsupportedMedia {
        headers.insert(ENCODINGS, HeaderValue::from_static("identity"));
    }
    headers
}

/// The response to a fault: its status is in the head, and there is no more.
pub(crate) fn refused(fault: &Fault) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::Whole(Bytes::new()));
    response.extensions_mut().insert(Meant(error::face(fault).0));
    *response.headers_mut() = trailers(Some(fault));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// The response of one message, as it stands in a body.
pub(crate) fn answered(message: Bytes) -> Response<ReplyBody> {
    begun(ReplyBody::Message { message, trailers: Some(trailers(None)) })
}

/// A response that has begun; its status is behind its body.
pub(crate) fn begun(body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tidegate_core::Side;

    #[test]
    fn a_callers_fault_is_never_said_to_be_ours_and_ours_never_his() {
        let his = [
            Code::InvalidArgument,
            Code::NotFound,
            Code::PermissionDenied,
            Code::Unauthenticated,
            Code::ResourceExhausted,
            Code::FailedPrecondition,
            Code::Unimplemented,
            Code::DeadlineExceeded,
        ];
        for kind in [
            FaultKind::InvalidRequest,
            FaultKind::ModelNotFound,
            FaultKind::TooLarge,
            FaultKind::RateLimited,
            FaultKind::RequestTimeout,
            FaultKind::UnsupportedMedia,
            FaultKind::ContractBroken,
            FaultKind::UpstreamRefused,
            FaultKind::Unreachable,
            FaultKind::UpstreamFailed,
            FaultKind::UpstreamMisconfigured,
            FaultKind::Unavailable,
            FaultKind::Internal,
        ] {
            let code = code(&Fault::new(kind, "x"));
            assert_eq!(his.contains(&code), kind.side() == Side::Client, "{kind:?} is {code:?}");
        }
    }

    #[test]
    fn a_refusal_has_code_text_and_when_to_come_again() {
        let fault = Fault::new(FaultKind::RateLimited, "100 % \u{e9}\n").after(Duration::from_millis(1500));
        let response = refused(&fault);
        assert_eq!(response.extensions().get(), Some(&Meant(StatusCode::TOO_MANY_REQUESTS)));
        let headers = response.headers();
        for (name, wanted) in
            [("grpc-status", "8"), ("grpc-retry-pushback-ms", "1500"), ("grpc-message", "100 %25 %C3%A9%0A")]
        {
            assert_eq!(headers[name], wanted);
        }
        let get = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
        let read = Status::read(b"8", get("grpc-message"), get("grpc-status-details-bin"));
        assert_eq!(read, status(&fault));
    }
}
