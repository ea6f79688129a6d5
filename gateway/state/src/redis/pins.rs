//! What replicas pin in Redis for each other to read: under each topic one text of each of them. Owns the connection; what
//! the texts say is not its concern.

use super::{CONNECT, EXCHANGE, client, connect};
use crate::shared::StoreFault;
use ::redis::aio::MultiplexedConnection;
use ::redis::{Client, RedisResult};
use std::collections::BTreeMap;
use tidegate_core::Secret;
use tokio::time::timeout;

/// The texts of one topic, by the names of those who pinned them.
pub type Pinned = BTreeMap<String, String>;

/// A board in Redis.
pub struct RedisPins {
    client: Client,
    connected: Option<MultiplexedConnection>,
}

impl std::fmt::Debug for RedisPins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisPins").field("is_connected", &self.connected.is_some()).finish_non_exhaustive()
    }
}

impl RedisPins {
    /// A board in the Redis at `url`. It connects when first asked.
    ///
    /// # Errors
    /// That is no address of a Redis.
    pub fn at(url: &Secret) -> Result<Self, StoreFault> {
        Ok(Self { client: client(url)?, connected: None })
    }

    /// Reads what is pinned under `topics`, in their order, then pins `texts` (topic, text) under this name; in one round
    /// trip. What is read is what was there before.
    ///
    /// # Errors
    /// Redis cannot be reached, or does not answer in time: then nobody knows whether anything was pinned.
    pub async fn exchange(
        &mut self,
        name: &str,
        topics: &[String],
        texts: &[(String, String)],
    ) -> Result<Vec<Pinned>, StoreFault> {
        // Taken, so that a connection with an answer outstanding is not used again.
        let mut connection = match self.connected.take() {
            Some(connection) => connection,
            None => match timeout(CONNECT, connect(&self.client)).await {
                Ok(known) => known.map_err(|e| StoreFault(format!("cannot connect: {e}")))?,
                Err(_) => return Err(StoreFault(format!("no connection within {CONNECT:?}"))),
            },
        };
        let mut pipe = ::redis::pipe();
        for topic in topics {
            pipe.cmd("HGETALL").arg(topic);
        }
        for (topic, text) in texts {
            pipe.cmd("HSET").arg(topic).arg(name).arg(text).ignore();
        }
        if topics.is_empty() && texts.is_empty() {
            pipe.cmd("PING").ignore();
        }
        let asked = async {
            let answers: RedisResult<Vec<Pinned>> = pipe.query_async(&mut connection).await;
            answers
        };
        let answers = match timeout(EXCHANGE, asked).await {
            Ok(known) => known.map_err(|e| StoreFault(e.to_string()))?,
            Err(_) => return Err(StoreFault(format!("no answer within {EXCHANGE:?}"))),
        };
        if answers.len() != topics.len() {
            return Err(StoreFault(format!("{} answers to {} questions", answers.len(), topics.len())));
        }
        self.connected = Some(connection);
        Ok(answers)
    }
}
