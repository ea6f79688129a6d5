//! Requests to S3 over the port `Outbound`, so that one client and one TLS serve all of the program. Owns that nothing
//! goes unencrypted unless its address was named.

use futures_util::FutureExt as _;
use http::Uri;
use http_body_util::BodyExt as _;
use object_store::ClientConfigKey;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use std::pin::Pin;
use std::sync::Arc;
use tidegate_core::port::outbound::{Outbound, Reach};
use tidegate_core::{Fault, FaultKind};

/// What makes clients.
#[derive(Debug)]
pub(super) struct Connector {
    outbound: Arc<dyn Outbound>,
}

impl Connector {
    pub(super) const fn new(outbound: Arc<dyn Outbound>) -> Self {
        Self { outbound }
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let is_plain_allowed = options.get_config_value(&ClientConfigKey::AllowHttp).as_deref() == Some("true");
        Ok(HttpClient::new(Service { outbound: Arc::clone(&self.outbound), is_plain_allowed }))
    }
}

/// A client.
#[derive(Debug)]
struct Service {
    outbound: Arc<dyn Outbound>,
    is_plain_allowed: bool,
}

impl Service {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        check(request.uri(), self.is_plain_allowed)?;
        let (head, body) = request.into_parts();
        let bytes = match body.as_bytes() {
            Some(bytes) => bytes.clone(),
            None => body.collect().await?.to_bytes(),
        };
        let request = http::Request::from_parts(head, bytes);
        // The operator wrote the address, or AWS gave it to this machine.
        let response = self.outbound.send(request, Reach::Any).await.map_err(failed)?;
        Ok(response.map(HttpResponseBody::from))
    }
}

impl HttpService for Service {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        self.send(request).boxed()
    }
}

fn check(uri: &Uri, is_plain_allowed: bool) -> Result<(), HttpError> {
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_plain_allowed => Ok(()),
        _ => {
            let why = Fault::new(FaultKind::InvalidRequest, "S3 is reached by `https` unless its address is named");
            Err(HttpError::new(HttpErrorKind::Unknown, why))
        }
    }
}

fn failed(fault: Fault) -> HttpError {
    let kind = match fault.kind {
        FaultKind::Unreachable => HttpErrorKind::Connect,
        FaultKind::UpstreamTimeout => HttpErrorKind::Timeout,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_unencrypted_to_an_address_that_nobody_named() {
        let allowed = |uri: &'static str, plain| check(&Uri::from_static(uri), plain).is_ok();
        assert!(allowed("https://s3.amazonaws.com/b", false));
        assert!(!allowed("http://s3.amazonaws.com/b", false));
        assert!(allowed("http://127.0.0.1:9000/b", true));
        assert!(!allowed("ftp://127.0.0.1/b", true));
    }
}
