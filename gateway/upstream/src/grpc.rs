//! A server of classic models asked over gRPC. Owns the head of such a request, and what the status of its answer means; the
//! connection, its deadlines and the endpoint's health are those of any call.

use crate::ask::{Ask, Form};
use crate::refusal::{clean, plain_words};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::time::Duration;
use tidegate_core::tensor::ModelMeta;
use tidegate_core::{Fault, FaultKind, PredictAnswer};
use tidegate_dialect::Wrong;
use tidegate_dialect::grpc::{Code, Status, only, read_answer, read_metadata};

const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// `grpc-timeout` has eight digits at most.
const MOST_MS: u128 = 99_999_999;

/// A call of a method, with the body of its message.
pub(crate) fn ask(method: &str, body: Bytes) -> Ask {
    let path = format!("/inference.GRPCInferenceService/{method}");
    Ask { method: Method::POST, path, body, form: Form::Message }
}

/// Makes the headers of a request those of gRPC, whose answer is waited for so long.
pub(crate) fn dress(headers: &mut HeaderMap, total: Duration) {
    headers.remove(ACCEPT);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    if let Ok(limit) = HeaderValue::try_from(format!("{}m", total.as_millis().min(MOST_MS))) {
        headers.insert(TIMEOUT, limit);
    }
}

/// What a model answers; `headers` are those before the body and behind it.
///
/// # Errors
/// The call failed there, or the answer is none of the protocol.
pub(crate) fn answer(headers: &HeaderMap, body: &Bytes) -> Result<PredictAnswer, Fault> {
    read_answer(&message(headers, body)?).map_err(Wrong::of_provider)
}

/// What a model says of itself.
///
/// # Errors
/// As of an answer.
pub(crate) fn metadata(headers: &HeaderMap, body: &Bytes) -> Result<ModelMeta, Fault> {
    read_metadata(&message(headers, body)?).map_err(Wrong::of_provider)
}

fn message(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, Fault> {
    let get = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    let Some(code) = get("grpc-status") else {
        return Err(Wrong::new("grpc-status", "the answer has no status of gRPC").of_provider());
    };
    let status = Status::read(code, get("grpc-message"), get("grpc-status-details-bin"));
    if status.code != Code::Ok {
        return Err(fault(&status));
    }
    only(body).map_err(Wrong::of_provider)
}

/// The fault that a status is, and the status of HTTP that it stands for.
fn fault(status: &Status) -> Fault {
    let (kind, http) = match status.code {
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => (FaultKind::UpstreamRefused, 400),
        Code::AlreadyExists => (FaultKind::UpstreamRefused, 409),
        Code::DeadlineExceeded => (FaultKind::UpstreamTimeout, 504),
        Code::NotFound => (FaultKind::UpstreamMisconfigured, 404),
        Code::PermissionDenied => (FaultKind::UpstreamMisconfigured, 403),
        Code::Unauthenticated => (FaultKind::UpstreamMisconfigured, 401),
        Code::Unimplemented => (FaultKind::UpstreamMisconfigured, 501),
        Code::ResourceExhausted => (FaultKind::UpstreamRateLimited, 429),
        Code::Unavailable => (FaultKind::UpstreamFailed, 503),
        Code::Ok | Code::Cancelled | Code::Unknown | Code::Aborted | Code::Internal | Code::DataLoss => {
            (FaultKind::UpstreamFailed, 500)
        }
    };
    let says = clean(&status.says);
    let detail = format!("gRPC status {}, {says:?}", status.code.number());
    // What providers say about our own credentials is not for callers.
    let is_hidden = kind == FaultKind::UpstreamMisconfigured || says.is_empty();
    let fault = if is_hidden { Fault::new(kind, plain_words(kind)) } else { Fault::new(kind, says) };
    let fault = fault.because(detail).with_upstream_status(http);
    match status.retry_after {
        Some(wait) => fault.after(wait),
        None => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::Side;
    use tidegate_core::fault::Retry;

    fn of(code: Code, says: &str) -> Fault {
        fault(&Status { code, says: says.to_owned(), retry_after: None })
    }

    #[test]
    fn each_status_has_its_side_and_whether_it_may_be_tried_again() {
        for (code, side, retry) in [
            (Code::InvalidArgument, Side::Client, Retry::Never),
            (Code::OutOfRange, Side::Client, Retry::Never),
            (Code::NotFound, Side::Upstream, Retry::Never),
            (Code::Unauthenticated, Side::Upstream, Retry::Never),
            (Code::Unimplemented, Side::Upstream, Retry::Never),
            (Code::ResourceExhausted, Side::Upstream, Retry::Refused),
            (Code::DeadlineExceeded, Side::Upstream, Retry::Refused),
            (Code::Unavailable, Side::Upstream, Retry::Refused),
            (Code::Internal, Side::Upstream, Retry::Refused),
            (Code::Unknown, Side::Upstream, Retry::Refused),
        ] {
            let fault = of(code, "x");
            assert_eq!((fault.side(), fault.kind.retry()), (side, retry), "{code:?}");
        }
    }

    #[test]
    fn what_a_provider_says_goes_on_unless_it_is_about_us() {
        assert_eq!(of(Code::InvalidArgument, "no input `x`\n").says, "no input `x`");
        let hidden = of(Code::Unauthenticated, "key sk-1 is unknown");
        assert!(!hidden.says.contains("sk-1") && hidden.detail.unwrap().contains("sk-1"));
        assert!(!of(Code::Internal, "").says.is_empty());
    }

    #[test]
    fn an_answer_is_a_message_and_a_status_and_all_else_is_the_providers_fault() {
        let headers = |status: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", HeaderValue::from_static(status));
            headers
        };
        let body = tidegate_dialect::grpc::framed(b"");
        assert_eq!(answer(&headers("0"), &body).unwrap(), PredictAnswer::default());
        for (headers, body) in [
            (HeaderMap::new(), body.clone()),
            (headers("0"), Bytes::new()),
            (headers("0"), Bytes::from_static(b"<html>")),
            (headers("0"), Bytes::from_static(&[0, 0, 0, 0, 9, 1])),
            (headers("0"), Bytes::from_static(&[1, 0, 0, 0, 0])),
            (headers("0"), Bytes::from_static(&[0, 0, 0, 0, 2, 0x2A, 9])),
            (headers("x"), body),
        ] {
            assert_eq!(answer(&headers, &body).unwrap_err().kind, FaultKind::UpstreamFailed, "{body:?}");
        }
    }

    #[test]
    fn a_request_says_how_long_it_is_waited_for() {
        for (total, wanted) in [(Duration::from_millis(1500), "1500m"), (Duration::from_secs(1 << 40), "99999999m")] {
            let mut headers = HeaderMap::new();
            dress(&mut headers, total);
            assert_eq!(headers["grpc-timeout"], wanted);
            assert_eq!(headers["te"], "trailers");
        }
    }
}
