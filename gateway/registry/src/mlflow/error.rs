//! Faults in MLflow's form: status, error code and message. The only place that maps them.

use crate::fault::{RegistryFault, RegistryFaultKind};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde_json::json;
use tidegate_core::port::mount::Content;
use tidegate_core::{Fault, FaultKind};

/// What a kind of fault looks like to a client: status, error code, and the class that goes with it.
const fn face(kind: RegistryFaultKind) -> (StatusCode, &'static str, Option<(&'static str, &'static str)>) {
    const INVALID: &str = "INVALID_PARAMETER_VALUE";
    match kind {
        RegistryFaultKind::Invalid => (StatusCode::BAD_REQUEST, INVALID, Some(("KAM00", INVALID))),
        RegistryFaultKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, INVALID, Some(("KAM00", INVALID))),
        RegistryFaultKind::Exists => {
            (StatusCode::BAD_REQUEST, "RESOURCE_ALREADY_EXISTS", Some(("KAM00", "RESOURCE_ALREADY_EXISTS")))
        }
        RegistryFaultKind::Missing => {
            (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST", Some(("KAM00", "RESOURCE_NOT_FOUND")))
        }
        RegistryFaultKind::NoEndpoint => {
            (StatusCode::NOT_FOUND, "ENDPOINT_NOT_FOUND", Some(("KAM00", "RESOURCE_NOT_FOUND")))
        }
        RegistryFaultKind::Forbidden => {
            (StatusCode::FORBIDDEN, "PERMISSION_DENIED", Some(("KAM00", "PERMISSION_DENIED")))
        }
        RegistryFaultKind::Conflict => (StatusCode::CONFLICT, "RESOURCE_CONFLICT", None),
        RegistryFaultKind::Unsupported => (StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED", None),
        RegistryFaultKind::Unavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE", Some(("XXM00", "CLIENT_INTERNAL_ERROR")))
        }
        RegistryFaultKind::Internal => {
            (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", Some(("XXM00", "CLIENT_INTERNAL_ERROR")))
        }
    }
}

/// The answer to a fault of the registry.
pub(super) fn respond(fault: &RegistryFault) -> Response<Content> {
    let (status, code, class) = face(fault.kind);
    let mut response = body(status, code, &fault.says, class);
    if fault.kind == RegistryFaultKind::Unavailable {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// The answer to a fault that the server found before the registry was asked.
pub(super) fn refuse(fault: &Fault) -> Response<Content> {
    let (status, code, class) = match fault.kind {
        FaultKind::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", None),
        FaultKind::Forbidden => face(RegistryFaultKind::Forbidden),
        FaultKind::NotFound => face(RegistryFaultKind::NoEndpoint),
        FaultKind::MethodNotAllowed => {
            (StatusCode::METHOD_NOT_ALLOWED, "ENDPOINT_NOT_FOUND", Some(("KAM00", "RESOURCE_NOT_FOUND")))
        }
        FaultKind::TooLarge => face(RegistryFaultKind::TooLarge),
        FaultKind::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "BAD_REQUEST", None),
        FaultKind::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "REQUEST_LIMIT_EXCEEDED", None),
        FaultKind::Overloaded | FaultKind::Unavailable => face(RegistryFaultKind::Unavailable),
        _ if fault.side() == tidegate_core::Side::Client => face(RegistryFaultKind::Invalid),
        _ => face(RegistryFaultKind::Internal),
    };
    body(status, code, &fault.says, class)
}

fn body(status: StatusCode, code: &str, says: &str, class: Option<(&str, &str)>) -> Response<Content> {
    let mut error = json!({"error_code": code, "message": says});
    if let (Some((state, class)), Some(map)) = (class, error.as_object_mut()) {
        map.insert("sqlstate".into(), state.into());
        map.insert("error_class".into(), class.into());
    }
    let mut response = Response::new(Content::Whole(error.to_string().into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn read(response: Response<Content>) -> (u16, Value) {
        let status = response.status().as_u16();
        let Content::Whole(bytes) = response.into_body() else { panic!("parts") };
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[test]
    fn faults_have_mlflows_codes() {
        for (fault, status, code) in [
            (RegistryFault::invalid("x"), 400, "INVALID_PARAMETER_VALUE"),
            (RegistryFault::missing("x"), 404, "RESOURCE_DOES_NOT_EXIST"),
            (RegistryFault::new(RegistryFaultKind::Exists, "x"), 400, "RESOURCE_ALREADY_EXISTS"),
            (RegistryFault::new(RegistryFaultKind::Conflict, "x"), 409, "RESOURCE_CONFLICT"),
            (RegistryFault::internal("secret"), 500, "INTERNAL_ERROR"),
        ] {
            let (got, body) = read(respond(&fault));
            assert_eq!((got, body["error_code"].as_str()), (status, Some(code)));
            assert!(!body.to_string().contains("secret"));
        }
        let (status, body) = read(refuse(&Fault::new(FaultKind::Unauthenticated, "no key")));
        assert_eq!(
            (status, body["error_code"].as_str(), body["message"].as_str()),
            (401, Some("UNAUTHENTICATED"), Some("no key"))
        );
    }
}
