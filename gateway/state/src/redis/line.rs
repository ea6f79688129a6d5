//! One connection to Redis that is made when it is first needed, and again when it failed. Owns how long an answer may take.

use super::{CONNECT, EXCHANGE, client, connect_within};
use crate::shared::StoreFault;
use ::redis::aio::MultiplexedConnection;
use ::redis::{Client, FromRedisValue, Pipeline, RedisResult};
use std::time::Duration;
use tidegate_core::Secret;
use tokio::time::timeout;

/// A line to a Redis.
pub(super) struct Line {
    client: Client,
    connected: Option<MultiplexedConnection>,
    /// How long an answer may take.
    exchange: Duration,
}

impl Line {
    /// A line to the Redis at `url`.
    pub(super) fn at(url: &Secret) -> Result<Self, StoreFault> {
        Self::patient(url, EXCHANGE)
    }

    /// The same, where an answer may take so long.
    pub(super) fn patient(url: &Secret, exchange: Duration) -> Result<Self, StoreFault> {
        Ok(Self { client: client(url)?, connected: None, exchange })
    }

    /// Whether the last question was answered.
    pub(super) const fn is_connected(&self) -> bool {
        self.connected.is_some()
    }

    /// Asks; whatever goes wrong, nobody knows whether it was done.
    pub(super) async fn ask<T: FromRedisValue>(&mut self, questions: &Pipeline) -> Result<T, StoreFault> {
        // Taken, so that a connection with an answer outstanding is not used again.
        let mut connection = match self.connected.take() {
            Some(connection) => connection,
            None => match timeout(CONNECT, connect_within(&self.client, self.exchange)).await {
                Ok(known) => known.map_err(|e| StoreFault(format!("cannot connect: {e}")))?,
                Err(_) => return Err(StoreFault(format!("no connection within {CONNECT:?}"))),
            },
        };
        let asked = async {
            let answer: RedisResult<T> = questions.query_async(&mut connection).await;
            answer
        };
        let answer = match timeout(self.exchange, asked).await {
            Ok(known) => known.map_err(|e| StoreFault(e.to_string()))?,
            Err(_) => return Err(StoreFault(format!("no answer within {:?}", self.exchange))),
        };
        self.connected = Some(connection);
        Ok(answer)
    }
}
