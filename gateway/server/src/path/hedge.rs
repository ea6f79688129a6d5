//! A second request goes out beside a first one that is slow, to another endpoint where there is one: the first answer
//! is taken, and the other request is dropped, which cancels it. Owns the race and what the record has of both; when a
//! request is slow, and how many second ones there may be, is pure and in the crate `tidegate-route`.

use crate::path::attempt::{self, Begun, deadlines, since};
use crate::snapshot::Arm;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tidegate_core::event::Attempt;
use tidegate_core::port::backend::Call;
use tidegate_core::spec::TimeoutSpec;
use tidegate_core::{Clock, EndpointName, Fault, Ledger, Usage};
use tidegate_route::{Allowance, Pace};

/// The first try of a call at an arm.
#[derive(Debug)]
pub(crate) struct Race<'a> {
    /// The arm.
    pub(crate) arm: &'a Arm,
    /// How long its requests take.
    pub(crate) pace: &'a Pace,
    /// How many second requests the route may still send.
    pub(crate) allowance: &'a Allowance,
    /// The route's times, of which the call has used what passed since …
    pub(crate) timeouts: TimeoutSpec,
    /// … it began.
    pub(crate) started: Instant,
    /// Tokens of the prompt by our estimate, which a request costs that is given up.
    pub(crate) prompt_estimate: u64,
    /// Whether it is a stream.
    pub(crate) stream: bool,
    /// The time.
    pub(crate) clock: &'a dyn Clock,
}

/// One of the two requests.
struct Runner<F> {
    request: F,
    began: Instant,
    /// Where it went, as soon as that is known.
    taken: Arc<OnceLock<EndpointName>>,
}

/// How a request ended, with what the record has of it.
type Ended = (Result<Begun, Fault>, Attempt);

impl Race<'_> {
    /// Tries the arm, with a second request where the first one is slow.
    ///
    /// # Errors
    /// What the first request failed by, where no other answered.
    pub(crate) async fn run(&self, mut call: Call, ledger: &mut Ledger) -> Result<Begun, Fault> {
        let (api, patience) = (call.api, self.pace.patience(call.api, self.stream));
        let mut again = call.clone();
        let taken = Arc::new(OnceLock::new());
        call.taken = Some(Arc::clone(&taken));
        let began = self.clock.now();
        let first = pin!(attempt::dispatch(self.arm, call, self.stream));
        let mut first = Runner { request: first, began, taken };
        let early = match patience {
            None => Some(first.request.as_mut().await),
            Some(patience) => tokio::time::timeout(patience, first.request.as_mut()).await.ok(),
        };
        let early = match early {
            None if !self.allowance.withdraw() => Some(first.request.as_mut().await),
            early => early,
        };
        if let Some(tried) = early {
            let took = since(self.clock, began);
            if tried.is_ok() {
                self.pace.saw(api, self.stream, took);
            }
            ledger.attempt(attempt::of(self.arm, &tried, took), self.arm.price);
            return tried;
        }
        tracing::debug!(variant = %self.arm.name, ?patience, "a second request goes out");
        again.avoid = first.taken.get().cloned();
        again.deadlines = deadlines(self.timeouts, since(self.clock, self.started));
        let taken = Arc::new(OnceLock::new());
        again.taken = Some(Arc::clone(&taken));
        let began = self.clock.now();
        let second = pin!(attempt::dispatch(self.arm, again, self.stream));
        let (tried, [one, other]) = self.both(&mut first, &mut Runner { request: second, began, taken }).await;
        if one.fault.is_none() {
            self.pace.saw(api, self.stream, Duration::from_micros(one.us));
        }
        ledger.attempt(one, self.arm.price);
        ledger.attempt(Attempt { hedge: true, ..other }, self.arm.price);
        tried
    }

    /// Waits for the first answer of two requests, or until both have failed: then by what the first one did.
    async fn both<F>(
        &self,
        first: &mut Runner<Pin<&mut F>>,
        second: &mut Runner<Pin<&mut F>>,
    ) -> (Result<Begun, Fault>, [Attempt; 2])
    where
        F: Future<Output = Result<Begun, Fault>>,
    {
        // On a tie the first one wins: its answer is measured, and the second one was not needed.
        tokio::select! {
            biased;
            tried = first.request.as_mut() => match self.ended(tried, first.began) {
                (Ok(begun), one) => (Ok(begun), [one, self.lost(second)]),
                (Err(fault), one) => {
                    let (tried, other) = self.end(second).await;
                    (tried.map_err(|_| fault), [one, other])
                }
            },
            tried = second.request.as_mut() => match self.ended(tried, second.began) {
                (Ok(begun), other) => (Ok(begun), [self.lost(first), other]),
                (Err(_), other) => {
                    let (tried, one) = self.end(first).await;
                    (tried, [one, other])
                }
            },
        }
    }

    async fn end<F>(&self, runner: &mut Runner<Pin<&mut F>>) -> Ended
    where
        F: Future<Output = Result<Begun, Fault>>,
    {
        let tried = runner.request.as_mut().await;
        self.ended(tried, runner.began)
    }

    fn ended(&self, tried: Result<Begun, Fault>, began: Instant) -> Ended {
        let attempt = attempt::of(self.arm, &tried, since(self.clock, began));
        (tried, attempt)
    }

    /// The record of a request that is given up: its prompt is paid for where it went out at all.
    fn lost<F>(&self, runner: &Runner<F>) -> Attempt {
        let endpoint = runner.taken.get().cloned();
        let prompt = Usage { prompt: self.prompt_estimate, ..Usage::default() };
        let cost_usd = endpoint.as_ref().and(self.arm.price).map(|price| price.cost(&prompt));
        let us = u64::try_from(since(self.clock, runner.began).as_micros()).unwrap_or(u64::MAX);
        Attempt { endpoint, lost: true, cost_usd, us, ..Attempt::of(self.arm.name.clone()) }
    }
}

#[cfg(test)]
mod tests;
