//! A stream is held back until its end. Owns the holding, and that what was held is the same stream again.

use crate::body::Sniffer;
use bytes::Bytes;
use futures_util::StreamExt as _;
use std::pin::Pin;
use tidegate_core::port::backend::Frames;
use tidegate_core::{Fault, FaultKind, Usage};

/// A stream that was held.
#[derive(Debug)]
pub(crate) struct Holding {
    /// The same stream.
    pub(crate) frames: Frames,
    /// Its parts; nothing where it is too long, and was not held to its end.
    pub(crate) parts: Option<Vec<Bytes>>,
    /// What was learnt of it.
    sniffer: Sniffer,
}

impl Holding {
    /// Its tokens: the provider's count, or ours where it gave none, and whether it is ours.
    pub(crate) fn usage(&self, prompt: u64) -> (Usage, bool) {
        let completion = self.sniffer.content_events();
        match self.sniffer.usage() {
            Some(usage) => (usage, false),
            None => (Usage { prompt, completion, ..Usage::default() }, true),
        }
    }
}

/// Holds a stream until its end, or until it is longer than `most` bytes.
///
/// # Errors
/// It failed.
pub(crate) async fn hold(mut frames: Frames, most: usize) -> Result<Holding, Fault> {
    let (mut sniffer, mut parts, mut kept) = (Sniffer::new(false), Vec::new(), 0usize);
    let endpoint = frames.endpoint.clone();
    let again = |frames| Frames { endpoint: endpoint.clone(), frames };
    let of = |fault: Fault| Fault { endpoint: fault.endpoint.clone().or_else(|| endpoint.clone()), ..fault };
    while let Some(frame) = frames.frames.next().await {
        let frame = frame.map_err(of)?;
        let done = sniffer.pass(frame.clone()).done;
        if let Some(said) = sniffer.error() {
            let says = "the provider failed within its stream";
            return Err(of(Fault::new(FaultKind::UpstreamFailed, says).because(said)));
        }
        kept = kept.saturating_add(frame.len());
        parts.push(frame);
        if done {
            return Ok(Holding { frames: again(replayed(parts.clone())), parts: Some(parts), sniffer });
        }
        if kept > most {
            let frames = again(Box::pin(replayed(parts).chain(frames.frames)));
            return Ok(Holding { frames, parts: None, sniffer });
        }
    }
    Err(of(Fault::internal("a backend ended its stream without saying how")))
}

type Events = Pin<Box<dyn futures_util::Stream<Item = Result<Bytes, Fault>> + Send>>;

/// A stream of parts that are there.
pub(crate) fn replayed(parts: Vec<Bytes>) -> Events {
    Box::pin(futures_util::stream::iter(parts.into_iter().map(Ok)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1024;

    fn stream(parts: &[&'static str], end: Option<Fault>) -> Frames {
        let parts: Vec<_> =
            parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).chain(end.map(Err)).collect();
        Frames { endpoint: Some("e:80".parse().unwrap()), frames: Box::pin(futures_util::stream::iter(parts)) }
    }

    async fn bytes(frames: Frames) -> Vec<u8> {
        frames.frames.map(|frame| frame.unwrap().to_vec()).concat().await
    }

    #[tokio::test]
    async fn a_stream_that_was_held_is_the_same_stream() {
        let parts = ["data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n", "data: [DONE]\n\n"];
        let held = hold(stream(&parts, None), MOST).await.unwrap();
        let (usage, is_ours) = held.usage(7);
        assert_eq!((held.parts.as_ref().unwrap().len(), usage.total(), is_ours), (2, 8, true));
        assert!(held.frames.endpoint.is_some());
        assert_eq!(bytes(held.frames).await, parts.concat().into_bytes());
    }

    #[tokio::test]
    async fn one_that_is_too_long_goes_on_and_one_that_breaks_is_a_fault_of_its_endpoint() {
        let long: &'static str = Box::leak(format!("data: {}\n\n", "x".repeat(MOST)).into_boxed_str());
        let held = hold(stream(&[long, "data: [DONE]\n\n"], None), MOST).await.unwrap();
        assert!(held.parts.is_none());
        assert_eq!(bytes(held.frames).await.len(), long.len() + 14);
        let cut =
            hold(stream(&["data: {}\n\n"], Some(Fault::new(FaultKind::StreamCut, "cut"))), MOST).await.unwrap_err();
        assert_eq!((cut.kind, cut.endpoint.is_some()), (FaultKind::StreamCut, true));
        let said = hold(stream(&["data: {\"error\":{\"message\":\"m\"}}\n\n"], None), MOST).await.unwrap_err();
        assert_eq!(said.kind, FaultKind::UpstreamFailed);
    }
}
