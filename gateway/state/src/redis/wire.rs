//! One connection to a Redis that many calls share at once. Owns that it is made beside the calls, anew where it broke or nothing
//! came for a while, and that nobody waits for a Redis that just could not be reached.

use super::{CONNECT, client, connect_within};
use crate::shared::StoreFault;
use ::redis::aio::MultiplexedConnection;
use ::redis::{Client, FromRedisValue, Pipeline, RedisResult};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidegate_core::{Fault, FaultKind, Secret};
use tokio::time::{Instant, timeout};

/// So long after a vain attempt nobody tries again.
const PAUSE: Duration = Duration::from_millis(500);
/// Where nothing came for so long, though it was asked for, the connection is given up.
const SILENCE: Duration = Duration::from_secs(1);

/// A connection that calls share.
pub struct RedisWire {
    client: Client,
    state: Mutex<State>,
    /// Who connects.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// Which connection it is, so that nobody gives up a newer one.
    number: u64,
    /// Since when an answer is due.
    due: Option<Instant>,
    /// When connecting failed last.
    failed: Option<Instant>,
}

impl std::fmt::Debug for RedisWire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisWire").field("is_connected", &self.state().connection.is_some()).finish_non_exhaustive()
    }
}

impl RedisWire {
    /// A connection to the Redis at `url`; made when it is first needed.
    ///
    /// # Errors
    /// That is no address of a Redis.
    pub fn at(url: &Secret) -> Result<Arc<Self>, StoreFault> {
        Ok(Arc::new(Self { client: client(url)?, state: Mutex::default(), turn: tokio::sync::Mutex::default() }))
    }

    /// Asks, for so long at most. Who gives up earlier harms nobody else.
    ///
    /// # Errors
    /// Redis cannot be reached, refuses, or does not answer in time.
    pub(super) async fn ask<T: FromRedisValue>(
        self: &Arc<Self>,
        questions: &Pipeline,
        within: Duration,
    ) -> Result<T, Fault> {
        let (mut connection, number) = self.connection().await?;
        let asked: Result<RedisResult<T>, _> = timeout(within, questions.query_async(&mut connection)).await;
        match asked {
            Ok(Ok(answer)) => {
                self.state().due = None;
                Ok(answer)
            }
            Ok(Err(error)) => {
                if error.is_io_error() || error.is_unrecoverable_error() {
                    self.give_up(number);
                } else {
                    self.state().due = None;
                }
                Err(Fault::new(FaultKind::UpstreamFailed, "Redis did not answer as it should").because(error))
            }
            Err(_) => Err(Fault::new(FaultKind::UpstreamTimeout, format!("Redis did not answer within {within:?}"))),
        }
    }

    async fn connection(self: &Arc<Self>) -> Result<(MultiplexedConnection, u64), Fault> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let this = Arc::clone(self);
        // A task of its own: a call with a short deadline does not end the attempt, and the next one finds it done.
        let connecting = tokio::spawn(async move {
            let _turn = this.turn.lock().await;
            if let Some(known) = this.known() {
                return Ok(known);
            }
            if this.state().failed.is_some_and(|at| at.elapsed() < PAUSE) {
                return Err(unreachable("it could not be reached just now"));
            }
            match timeout(CONNECT, connect_within(&this.client, super::EXCHANGE.max(Duration::from_secs(5)))).await {
                Ok(Ok(connection)) => {
                    let mut state = this.state();
                    let number = state.number + 1;
                    *state = State { connection: Some(connection.clone()), number, due: None, failed: None };
                    Ok((connection, number))
                }
                Ok(Err(error)) => Err(this.failed(&error)),
                Err(_) => Err(this.failed("no connection in time")),
            }
        });
        connecting.await.map_err(Fault::internal)?
    }

    /// The connection that there is, of which an answer is due from now on.
    fn known(&self) -> Option<(MultiplexedConnection, u64)> {
        let mut state = self.state();
        if state.due.is_some_and(|due| due.elapsed() > SILENCE) {
            (state.connection, state.due) = (None, None);
        }
        let connection = state.connection.clone()?;
        state.due.get_or_insert_with(Instant::now);
        Some((connection, state.number))
    }

    fn give_up(&self, number: u64) {
        let mut state = self.state();
        if state.number == number {
            (state.connection, state.due) = (None, None);
        }
    }

    fn failed(&self, why: impl std::fmt::Display) -> Fault {
        self.state().failed = Some(Instant::now());
        unreachable(why)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unreachable(why: impl std::fmt::Display) -> Fault {
    Fault::new(FaultKind::Unreachable, "Redis cannot be reached").because(why)
}
