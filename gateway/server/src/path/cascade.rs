//! An answer is held back until it is known to be good enough, where another variant could answer instead. Owns the holding
//! and who is asked; what makes an answer poor is pure and in the crate `tidegate-route`, and what comes next is the plan's.
//!
//! A stream is held until its end, so its caller gets its first byte late; what is too long to be held goes out as it is.

use crate::body::Sniffer;
use crate::path::arrive::Arrived;
use crate::path::attempt::Sent;
use crate::snapshot::{Arm, Route};
use bytes::Bytes;
use futures_util::StreamExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::event::{Attempt, Poor};
use tidegate_core::port::backend::Frames;
use tidegate_core::port::limits::Amounts;
use tidegate_core::spec::{CascadeSpec, PolicySpec};
use tidegate_core::{Api, Fault, FaultKind, Ledger, NanoUsd, PromptStamp, Said, Usage};
use tidegate_route::cascade::weakness;

/// The most of one stream that is held back.
const MOST: usize = 1024 * 1024;

/// An answer that was looked at.
#[derive(Debug)]
pub(crate) struct Regarded {
    /// The answer.
    pub(crate) sent: Sent,
    /// Why it is too poor, where it is.
    pub(crate) poor: Option<Poor>,
    /// Its tokens, as far as they are known.
    usage: Option<Usage>,
    /// What the judge's word took.
    pub(crate) judge: Amounts,
}

/// A poor answer, which the caller gets where no better one comes.
#[derive(Debug)]
pub(crate) struct Held {
    /// The answer.
    pub(crate) sent: Sent,
    /// The index of the arm that gave it.
    pub(crate) arm: usize,
    /// Tokens of the prompt that stood before the caller's messages.
    pub(crate) front: u64,
    used: Amounts,
    prompt: Option<Arc<PromptStamp>>,
}

/// Looks at an answer, which another variant could replace. Embeddings pass at once.
///
/// # Errors
/// A stream failed while it was held.
pub(crate) async fn regard(
    route: &Route,
    arrived: &Arrived,
    sent: Sent,
    remaining: Duration,
) -> Result<Regarded, Fault> {
    let (PolicySpec::Cascade(spec), false) = (&route.spec.policy, arrived.api == Api::Embeddings) else {
        return Ok(Regarded::passed(sent));
    };
    let (sent, parts, usage) = match sent {
        Sent::Whole(answer) => {
            let (body, usage) = (answer.body.clone(), answer.usage);
            (Sent::Whole(answer), Some(vec![body]), usage)
        }
        Sent::Stream(frames) => hold(frames, arrived.scan.prompt_tokens).await?,
    };
    let mut regarded = Regarded { usage, ..Regarded::passed(sent) };
    let Some(parts) = parts else { return Ok(regarded) };
    let said = Said::read(&parts);
    regarded.poor = weakness(&spec.escalate, &said, &arrived.bytes);
    if regarded.poor.is_none() {
        ask(route, spec, arrived, &said, remaining, &mut regarded).await;
    }
    Ok(regarded)
}

/// Asks the judge, where there is one. Without his word the answer passes: it is not held against it that he is slow.
async fn ask(
    route: &Route,
    spec: &CascadeSpec,
    arrived: &Arrived,
    said: &Said,
    remaining: Duration,
    regarded: &mut Regarded,
) {
    let (Some(judge), Some(asked)) = (&route.judge, &spec.judge) else { return };
    let word = tokio::time::timeout(asked.timeout.min(remaining), judge.judge(&arrived.bytes, said)).await;
    match word {
        Ok(Ok(opinion)) => {
            regarded.judge = Amounts { tokens: opinion.tokens, cost: NanoUsd::from_usd(opinion.usd) };
            regarded.poor = opinion.score.filter(|score| *score < asked.below).map(|_| Poor::Judged);
        }
        Ok(Err(fault)) => {
            tracing::warn!(route = %route.spec.name, %fault, "a judge has no word on an answer, which passes");
        }
        Err(_) => tracing::warn!(route = %route.spec.name, "a judge's word came too late, and the answer passes"),
    }
}

/// Holds a stream until its end: the same stream again, its parts where it was not too long, and its tokens.
async fn hold(mut frames: Frames, prompt: u64) -> Result<(Sent, Option<Vec<Bytes>>, Option<Usage>), Fault> {
    let (mut sniffer, mut parts, mut kept) = (Sniffer::new(false), Vec::new(), 0usize);
    let endpoint = frames.endpoint.clone();
    let again = |frames| Sent::Stream(Frames { endpoint: endpoint.clone(), frames });
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
            let completion = sniffer.content_events();
            let usage = sniffer.usage().unwrap_or(Usage { prompt, completion, ..Usage::default() });
            return Ok((again(replayed(parts.clone())), Some(parts), Some(usage)));
        }
        if kept > MOST {
            return Ok((again(Box::pin(replayed(parts).chain(frames.frames))), None, None));
        }
    }
    Err(of(Fault::internal("a backend ended its stream without saying how")))
}

type Events = Pin<Box<dyn futures_util::Stream<Item = Result<Bytes, Fault>> + Send>>;

fn replayed(parts: Vec<Bytes>) -> Events {
    Box::pin(futures_util::stream::iter(parts.into_iter().map(Ok)))
}

/// The stream of the try that served broke while it was held.
pub(crate) fn broke(fault: &Fault, ledger: &mut Ledger) {
    note_served(ledger, |attempt| (attempt.fault, attempt.status) = (Some(fault.kind), fault.upstream_status));
}

/// Notes something of the last try that served.
fn note_served(ledger: &mut Ledger, facts: impl FnOnce(&mut Attempt)) {
    ledger.note(|event| {
        let served = event.attempts.iter_mut().rfind(|attempt| attempt.fault.is_none() && !attempt.lost);
        if let Some(attempt) = served {
            facts(attempt);
        }
    });
}

impl Regarded {
    /// An answer that nobody looks at.
    pub(crate) fn passed(sent: Sent) -> Self {
        Self { sent, poor: None, usage: None, judge: Amounts::default() }
    }

    /// Keeps the answer for the case that no better one comes: until then it was for nothing, and counts all the same.
    pub(crate) fn held(self, why: Poor, (index, arm): (usize, &Arm), front: u64, ledger: &mut Ledger) -> Held {
        let cost_usd = self.usage.and_then(|usage| Some(arm.price?.cost(&usage)));
        note_served(ledger, |attempt| (attempt.poor, attempt.cost_usd) = (Some(why), cost_usd));
        let used = Amounts { tokens: self.usage.unwrap_or_default().total(), ..Amounts::default() };
        ledger.beside(used);
        let prompt = ledger.event().and_then(|event| event.prompt.clone());
        Held { sent: self.sent, arm: index, front, used, prompt }
    }
}

impl Held {
    /// It is the answer after all, and its cost that of the call.
    pub(crate) fn released(self, arm: &Arm, ledger: &mut Ledger) -> (Sent, u64) {
        ledger.not_beside(self.used);
        ledger.priced(arm.price);
        arm.note(ledger);
        let prompt = self.prompt;
        ledger.note(|event| {
            event.prompt = prompt;
            if let Some(own) = event.attempts.iter_mut().rfind(|attempt| attempt.poor.is_some()) {
                own.cost_usd = None;
            }
        });
        (self.sent, self.front)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(parts: &[&'static str], end: Option<Fault>) -> Frames {
        let parts: Vec<_> =
            parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).chain(end.map(Err)).collect();
        Frames { endpoint: Some("e:80".parse().unwrap()), frames: Box::pin(futures_util::stream::iter(parts)) }
    }

    async fn bytes(sent: Sent) -> Vec<u8> {
        let Sent::Stream(frames) = sent else { panic!("no stream") };
        frames.frames.map(|frame| frame.unwrap().to_vec()).concat().await
    }

    #[tokio::test]
    async fn a_stream_that_was_held_is_the_same_stream() {
        let parts = ["data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n", "data: [DONE]\n\n"];
        let (sent, kept, usage) = hold(stream(&parts, None), 7).await.unwrap();
        assert_eq!((kept.unwrap().len(), usage.unwrap().total(), sent.endpoint().is_some()), (2, 8, true));
        assert_eq!(bytes(sent).await, parts.concat().into_bytes());
    }

    #[tokio::test]
    async fn one_that_is_too_long_goes_on_and_one_that_breaks_is_a_fault_of_its_endpoint() {
        let long: &'static str = Box::leak(format!("data: {}\n\n", "x".repeat(MOST)).into_boxed_str());
        let (sent, kept, _) = hold(stream(&[long, "data: [DONE]\n\n"], None), 0).await.unwrap();
        assert!(kept.is_none());
        assert_eq!(bytes(sent).await.len(), long.len() + 14);
        let cut = hold(stream(&["data: {}\n\n"], Some(Fault::new(FaultKind::StreamCut, "cut"))), 0).await.unwrap_err();
        assert_eq!((cut.kind, cut.endpoint.is_some()), (FaultKind::StreamCut, true));
        let said = hold(stream(&["data: {\"error\":{\"message\":\"m\"}}\n\n"], None), 0).await.unwrap_err();
        assert_eq!(said.kind, FaultKind::UpstreamFailed);
    }
}
