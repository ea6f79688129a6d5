//! One timer for all deadlines of a call. Owns its laziness: a deadline that moves away costs nothing until the timer
//! fires, so reads do not touch the runtime's timer wheel.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that follows a moving deadline.
#[derive(Debug)]
pub(crate) struct Patience(Pin<Box<Sleep>>);

impl Patience {
    /// A timer that first looks at the time at `until`.
    pub(crate) fn until(until: Instant) -> Self {
        Self(Box::pin(sleep_until(until)))
    }

    /// Ready when `until` has passed; else the task is woken no later than that.
    pub(crate) fn poll_until(&mut self, cx: &mut Context<'_>, until: Instant) -> Poll<()> {
        if until < self.0.deadline() {
            self.0.as_mut().reset(until);
        }
        loop {
            ready!(self.0.as_mut().poll(cx));
            if self.0.deadline() >= until {
                return Poll::Ready(());
            }
            self.0.as_mut().reset(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn it_fires_at_the_deadline_whether_that_moved_near_or_far() {
        let start = Instant::now();
        let mut patience = Patience::until(start + Duration::from_secs(5));
        let far = start + Duration::from_secs(60);
        poll_fn(|cx| patience.poll_until(cx, far)).await;
        assert!(start.elapsed() >= Duration::from_secs(60));
        let near = Instant::now() + Duration::from_secs(1);
        let mut patience = Patience::until(Instant::now() + Duration::from_secs(50));
        poll_fn(|cx| patience.poll_until(cx, near)).await;
        assert!(Instant::now() < near + Duration::from_secs(2));
    }
}
