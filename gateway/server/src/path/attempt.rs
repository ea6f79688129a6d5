//! One try at one arm. Owns that the arm is measured where that matters, the time that a try has, and what of it stands in
//! the record.

use crate::snapshot::Arm;
use std::time::{Duration, Instant};
use tidegate_core::event::Attempt;
use tidegate_core::port::backend::{Answer, Call, Deadlines, Frames};
use tidegate_core::spec::TimeoutSpec;
use tidegate_core::{Clock, EndpointName, Fault, Ledger};
use tidegate_route::{Gauge, Ride};

/// What came of a call.
#[derive(Debug)]
pub(crate) enum Sent {
    /// A whole answer.
    Whole(Answer),
    /// A stream whose first event is there.
    Stream(Frames),
}

impl Sent {
    /// Which endpoint it came from.
    #[must_use]
    pub(crate) const fn endpoint(&self) -> Option<&EndpointName> {
        match self {
            Self::Whole(answer) => answer.endpoint.as_ref(),
            Self::Stream(frames) => frames.endpoint.as_ref(),
        }
    }
}

/// A try whose answer is there or has begun.
#[derive(Debug)]
pub(crate) struct Begun {
    /// What came.
    pub(crate) sent: Sent,
    /// Its way at the arm, where the arm is measured.
    pub(crate) ride: Option<Ride>,
}

/// Tries an arm once.
///
/// # Errors
/// What the try failed by.
pub(crate) async fn once(
    arm: &Arm,
    call: Call,
    stream: bool,
    clock: &dyn Clock,
    ledger: &mut Ledger,
) -> Result<Begun, Fault> {
    let began = clock.now();
    let tried = dispatch(arm, call, stream).await;
    ledger.attempt(of(arm, &tried, since(clock, began)), arm.price);
    tried
}

/// Sends it to an arm, which is measured where that matters; a call that is dropped on the way is measured too.
pub(crate) async fn dispatch(arm: &Arm, call: Call, stream: bool) -> Result<Begun, Fault> {
    let mut ride = arm.gauge.as_ref().map(Gauge::begin);
    let sent = if stream {
        arm.backend.stream(call).await.map(Sent::Stream)
    } else {
        arm.backend.complete(call).await.map(Sent::Whole)
    };
    match (&sent, &mut ride) {
        (Ok(_), Some(ride)) => ride.answered(),
        (Err(fault), Some(ride)) => ride.failed(fault),
        (_, None) => {}
    }
    sent.map(|sent| Begun { sent, ride })
}

/// What the record has of a try.
pub(crate) fn of(arm: &Arm, tried: &Result<Begun, Fault>, took: Duration) -> Attempt {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let plain = Attempt { us, ..Attempt::of(arm.name.clone()) };
    match tried {
        Ok(begun) => Attempt { endpoint: begun.sent.endpoint().cloned(), ..plain },
        Err(fault) => {
            tracing::debug!(variant = %arm.name, %fault, "attempt failed");
            let (endpoint, status) = (fault.endpoint.clone(), fault.upstream_status);
            Attempt { endpoint, fault: Some(fault.kind), status, ..plain }
        }
    }
}

/// What of a route's times a try has that begins when so much of them is spent.
pub(crate) fn deadlines(spec: TimeoutSpec, spent: Duration) -> Deadlines {
    let total = spec.total.saturating_sub(spent);
    Deadlines { connect: spec.connect.min(total), first_token: spec.first_token.min(total), idle: spec.idle, total }
}

pub(crate) fn since(clock: &dyn Clock, then: Instant) -> Duration {
    clock.now().saturating_duration_since(then)
}
