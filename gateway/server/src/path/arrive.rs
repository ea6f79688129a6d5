//! The body arrives: within its size and its time, and valid for its interface. Owns reading; the rules of the fields
//! are in `crate::body`.

use crate::body::{self, Scan};
use crate::classic::{self, Asked, Target};
use crate::listen::Peer;
use crate::snapshot::Snapshot;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http_body::Body;
use http_body_util::BodyExt;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::spec::Priority;
use tidegate_core::{Api, Caller, Fault, FaultKind, Ledger};
use tidegate_dialect::{Wrong, grpc};

/// The most room that is made for a body on its word.
const AHEAD: u64 = 4 << 20;

/// A body that is valid for its interface.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// The interface.
    pub(crate) api: Api,
    /// The caller's bytes.
    pub(crate) bytes: Bytes,
    /// Where in them stands what we need.
    pub(crate) scan: Scan,
    /// What a classic model is asked, where it is one; `bytes` are then the tensors as JSON, where anybody looks at them.
    pub(crate) predict: Option<Arc<Asked>>,
    /// How it stands in queues at most.
    pub(crate) most: Priority,
}

impl Arrived {
    /// The route asked for.
    pub(crate) fn route(&self) -> Cow<'_, str> {
        self.predict.as_ref().map_or_else(|| self.scan.model_name(&self.bytes), |asked| Cow::Borrowed(&asked.route))
    }
}

/// Where a call to a classic model comes from.
#[derive(Debug)]
pub(crate) struct From<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) caller: &'a Caller,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) peer: &'a Peer,
}

/// Reads and validates what a classic model is asked.
///
/// # Errors
/// The body is of a wrong type, too large, too slow, cut short or wrong in a field, or names no route.
pub(crate) async fn tensors<B>(target: Target, from: &From<'_>, body: B, ledger: &mut Ledger) -> Result<Arrived, Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let &From { snapshot, caller, headers, peer } = from;
    let is_csv = classic::takes(target.wire, headers)?;
    let bytes = collect(headers, body, peer.terms.max_body, peer.terms.body_timeout).await?;
    ledger.note(|event| event.request_bytes = bytes.len() as u64);
    let asked = classic::read(target, snapshot, caller, headers, is_csv, &bytes)?;
    let (predict, most) = (Some(Arc::new(asked)), peer.most);
    Ok(Arrived { api: Api::Predict, bytes: Bytes::new(), scan: Scan::default(), predict, most })
}

/// Reads and validates the only message of a body of gRPC.
///
/// # Errors
/// It is compressed, too large, too slow, cut short or wrong in a field.
pub(crate) async fn message<B>(headers: &HeaderMap, body: B, peer: &Peer, ledger: &mut Ledger) -> Result<Arrived, Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let most = peer.terms.max_body.saturating_add(grpc::HEAD as u64);
    let bytes = collect(headers, body, most, peer.terms.body_timeout).await?;
    if bytes.first() == Some(&1) && headers.get("grpc-encoding").is_some_and(|coding| coding != "identity") {
        let says = "compressed messages are not taken: send them with the encoding identity";
        return Err(Fault::new(FaultKind::UnsupportedMedia, says));
    }
    let message = grpc::only(&bytes).map_err(Wrong::of_caller)?;
    one(&message, false, peer, ledger)
}

/// Validates a message of gRPC.
///
/// # Errors
/// It is wrong in a field.
pub(crate) fn one(message: &Bytes, is_streamed: bool, peer: &Peer, ledger: &mut Ledger) -> Result<Arrived, Fault> {
    ledger.note(|event| event.request_bytes = message.len() as u64);
    let predict = Some(Arc::new(Asked::of_message(message, is_streamed)?));
    Ok(Arrived { api: Api::Predict, bytes: Bytes::new(), scan: Scan::default(), predict, most: peer.most })
}

/// Reads and validates the body.
///
/// # Errors
/// It is of a wrong type, too large, too slow, cut short or wrong in a field.
pub(crate) async fn read<B>(
    api: Api,
    headers: &HeaderMap,
    body: B,
    peer: &Peer,
    ledger: &mut Ledger,
) -> Result<Arrived, Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    takes(headers)?;
    let bytes = collect(headers, body, peer.terms.max_body, peer.terms.body_timeout).await?;
    ledger.note(|event| event.request_bytes = bytes.len() as u64);
    let scan = body::scan(api, &bytes)?;
    ledger.note(|event| event.stream = scan.stream);
    Ok(Arrived { api, bytes, scan, predict: None, most: peer.most })
}

/// Refuses what is not plain JSON by its own word. A missing type is taken for JSON.
fn takes(headers: &HeaderMap) -> Result<(), Fault> {
    if let Some(value) = headers.get(CONTENT_TYPE) {
        let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(Fault::new(
                FaultKind::UnsupportedMedia,
                "the body must be JSON: send `content-type: application/json`",
            ));
        }
    }
    match headers.get(CONTENT_ENCODING) {
        Some(value) if !value.as_bytes().eq_ignore_ascii_case(b"identity") => Err(Fault::new(
            FaultKind::UnsupportedMedia,
            "compressed bodies are not taken: send it without content-encoding",
        )),
        _ => Ok(()),
    }
}

/// Reads a body of at most `max` bytes within `limit`.
///
/// # Errors
/// It is too large (from its declared length, before any of it is read), too slow or cut short.
pub(crate) async fn collect<B>(headers: &HeaderMap, body: B, max: u64, limit: Duration) -> Result<Bytes, Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let declared =
        headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<u64>().ok());
    if declared.is_some_and(|length| length > max) {
        return Err(too_large(max));
    }
    match tokio::time::timeout(limit, gather(body, max, declared.unwrap_or(0))).await {
        Ok(gathered) => gathered,
        Err(_) => Err(Fault::new(FaultKind::RequestTimeout, "the body did not arrive in time: send it without pauses")),
    }
}

async fn gather<B>(mut body: B, max: u64, declared: u64) -> Result<Bytes, Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut first = Bytes::new();
    let mut rest: Option<BytesMut> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| {
            Fault::new(FaultKind::InvalidRequest, "the body ended before its declared length, or its framing is wrong")
                .because(e)
        })?;
        let Ok(data) = frame.into_data() else { continue };
        let so_far = rest.as_ref().map_or(first.len(), BytesMut::len);
        if (so_far + data.len()) as u64 > max {
            return Err(too_large(max));
        }
        match &mut rest {
            Some(rest) => rest.extend_from_slice(&data),
            None if first.is_empty() => first = data,
            None => {
                // What is declared has not come yet: room for all of it only where that is little.
                let declared = usize::try_from(declared.min(AHEAD)).unwrap_or(0);
                let mut joined = BytesMut::with_capacity(declared.max((first.len() + data.len()) * 2));
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&data);
                rest = Some(joined);
            }
        }
    }
    Ok(rest.map_or(first, BytesMut::freeze))
}

fn too_large(max: u64) -> Fault {
    Fault::new(FaultKind::TooLarge, format!("the body is larger than the {max} bytes that this listener takes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{Full, StreamBody};

    fn parts(texts: &'static [&'static str]) -> impl Body<Data = Bytes, Error = std::convert::Infallible> + Unpin {
        StreamBody::new(futures_util::stream::iter(
            texts.iter().map(|t| Ok(http_body::Frame::data(Bytes::from_static(t.as_bytes())))),
        ))
    }

    #[tokio::test]
    async fn a_body_in_parts_is_put_together() {
        let got = collect(&HeaderMap::new(), parts(&["ab", "cd", "e"]), 5, Duration::from_secs(1)).await.unwrap();
        assert_eq!(&got[..], b"abcde");
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_whether_declared_or_not() {
        let fault = collect(&HeaderMap::new(), parts(&["ab", "cd", "e"]), 4, Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::TooLarge);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, "5".parse().unwrap());
        let unread = Full::new(Bytes::new());
        assert_eq!(collect(&headers, unread, 4, Duration::from_secs(1)).await.unwrap_err().kind, FaultKind::TooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_is_refused_in_time() {
        let stalled = StreamBody::new(futures_util::stream::pending::<
            Result<http_body::Frame<Bytes>, std::convert::Infallible>,
        >());
        let fault = collect(&HeaderMap::new(), stalled, 4, Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::RequestTimeout);
    }

    #[test]
    fn other_types_and_compressed_bodies_are_refused() {
        for (name, value, taken) in [
            ("content-type", "application/json; charset=utf-8", true),
            ("content-type", "text/plain", false),
            ("content-encoding", "gzip", false),
            ("content-encoding", "identity", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(http::HeaderName::from_static(name), value.parse().unwrap());
            assert_eq!(takes(&headers).is_ok(), taken, "{name}: {value}");
        }
    }
}
