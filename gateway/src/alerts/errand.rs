//! The request that tells of an alarm: an address, headers and JSON, always a POST. Owns which builder makes it, and that
//! its end starts no run.

use super::{alertmanager, pagerduty, run, slack, webhook};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Request, Uri};
use serde_json::Value;
use tidegate_core::port::alerts::Alarm;
use tidegate_core::spec::{AlertSpec, AlertTo};
use tidegate_core::{AlertName, Secret};

/// What is told, and beside what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Telling<'a> {
    /// By which alert.
    pub(crate) alert: &'a AlertName,
    /// Of what.
    pub(crate) alarm: &'a Alarm,
    /// Now, in milliseconds since 1970.
    pub(crate) now_ms: u64,
    /// The same in each try.
    pub(crate) delivery: &'a str,
    /// Where monitors are shown, where that is known: the address before `/monitors/NAME`.
    pub(crate) console: Option<&'a str>,
}

impl Telling<'_> {
    /// Where the monitor is shown.
    pub(super) fn link(&self) -> Option<String> {
        self.console.map(|console| format!("{console}/monitors/{}", self.alarm.monitor))
    }

    /// Names this alarm, of all that this alert ever tells: what is started by it is started once.
    pub(super) fn once(&self) -> String {
        let since = self.alarm.since_ms.to_string();
        super::text::fingerprint(&[self.alert.as_str(), &self.alarm.dedup_key, &since])
    }
}

/// A POST that tells of an alarm.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Errand {
    /// Where to.
    pub(crate) url: Uri,
    /// With which headers beside the type of its body.
    pub(crate) headers: HeaderMap,
    /// Its JSON.
    pub(crate) body: String,
}

impl Errand {
    /// What tells of it by this alert; nothing where there is nothing to tell, as runs have no use for an alarm's end.
    ///
    /// # Errors
    /// An address or a secret makes no request; which one is said.
    pub(crate) fn of(spec: &AlertSpec, telling: &Telling<'_>) -> Result<Option<Self>, String> {
        Ok(Some(match &spec.to {
            AlertTo::Webhook { url, secret } => webhook::errand(url, secret.as_ref(), telling)?,
            AlertTo::PagerDuty { url, routing_key } => pagerduty::errand(url, routing_key, telling),
            AlertTo::Alertmanager { url, bearer } => alertmanager::errand(url, bearer.as_ref(), telling)?,
            AlertTo::Slack { url } => slack::errand(url, telling)?,
            AlertTo::Run(_) if !telling.alarm.firing => return Ok(None),
            AlertTo::Run(spec) => run::errand(spec, telling)?,
        }))
    }

    /// A POST of this JSON.
    pub(super) fn post(url: Uri, body: &Value) -> Self {
        Self { url, headers: HeaderMap::new(), body: body.to_string() }
    }

    /// With a header.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Result<Self, String> {
        let value = HeaderValue::from_str(value).map_err(|_| format!("the value of `{name}` fits into no header"))?;
        self.headers.insert(HeaderName::from_static(name), value);
        Ok(self)
    }

    /// With `Authorization: Bearer`, where there is a token.
    pub(super) fn bearer(self, token: Option<&Secret>) -> Result<Self, String> {
        match token {
            Some(token) => self.secret(format!("Bearer {}", token.expose())),
            None => Ok(self),
        }
    }

    /// With `Authorization: Basic`, where there are a user and a password.
    pub(super) fn basic(self, login: Option<&Secret>) -> Result<Self, String> {
        match login {
            Some(login) => self.secret(format!("Basic {}", STANDARD.encode(login.expose()))),
            None => Ok(self),
        }
    }

    fn secret(mut self, value: String) -> Result<Self, String> {
        let mut value = HeaderValue::try_from(value).map_err(|_| "the secret fits into no header".to_owned())?;
        value.set_sensitive(true);
        self.headers.insert(AUTHORIZATION, value);
        Ok(self)
    }

    /// As it is sent.
    pub(super) fn request(self) -> Request<Bytes> {
        let mut request = Request::new(Bytes::from(self.body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.url;
        *request.headers_mut() = self.headers;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }
}

/// An address with a path behind it.
pub(super) fn join(url: &Uri, path: &str) -> Result<Uri, String> {
    let text = format!("{}{path}", url.to_string().trim_end_matches('/'));
    text.parse().map_err(|_| format!("`{path}` makes no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stand_behind_addresses_with_and_without_one() {
        let joined = |url: &str| join(&url.parse().unwrap(), "/api/v2/alerts").unwrap().to_string();
        assert_eq!(joined("http://h:9093"), "http://h:9093/api/v2/alerts");
        assert_eq!(joined("https://h/am/"), "https://h/am/api/v2/alerts");
    }

    #[test]
    fn a_secret_is_not_shown_with_the_request() {
        let errand = Errand::post("https://h/".parse().unwrap(), &Value::Null);
        let errand = errand.basic(Some(&Secret::new("user:hunter2"))).unwrap();
        assert_eq!(errand.headers["authorization"], "Basic dXNlcjpodW50ZXIy");
        assert!(!format!("{errand:?}").contains("dXNlcjpodW50ZXIy"), "{errand:?}");
        let request = errand.request();
        assert_eq!(
            (request.method().as_str(), &request.headers()["content-type"]),
            ("POST", &HeaderValue::from_static("application/json"))
        );
    }
}
