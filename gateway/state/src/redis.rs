//! The store of leases in Redis: a script that runs there whole, one round trip for many exchanges. Owns the connection
//! and its times; what is asked and what an answer means are the feeder's.

mod courses;
mod features;
mod line;
mod parcels;
mod pins;
mod wire;

pub use courses::{Course, CourseAsk, RedisCourses};
pub use features::RedisFeatures;
pub use parcels::RedisParcels;
pub use pins::{Pinned, RedisPins};
pub use wire::RedisWire;

use crate::shared::{Answer, Ask, Store, StoreFault, Verdict};
use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, RedisResult};
use std::time::Duration;
use tidegate_core::Secret;
use tokio::time::timeout;

/// How long Redis may take to be connected to.
const CONNECT: Duration = Duration::from_secs(1);
/// How long one round trip may take; calls that wait for it wait for less.
const EXCHANGE: Duration = Duration::from_millis(250);
/// See its own words.
const LEASE: &str = include_str!("redis/lease.lua");

fn client(url: &Secret) -> Result<Client, StoreFault> {
    Client::open(url.expose()).map_err(|e| StoreFault(e.to_string()))
}

async fn connect(client: &Client) -> RedisResult<MultiplexedConnection> {
    connect_within(client, EXCHANGE).await
}

/// A connection whose answers may take so long.
async fn connect_within(client: &Client, exchange: Duration) -> RedisResult<MultiplexedConnection> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(exchange));
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// Leases drawn from Redis.
pub struct RedisStore {
    client: Client,
    connected: Option<Connected>,
}

/// A connection to a Redis that knows the script.
struct Connected {
    connection: MultiplexedConnection,
    script: String,
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStore").field("is_connected", &self.connected.is_some()).finish_non_exhaustive()
    }
}

impl RedisStore {
    /// The Redis at `url`, such as `redis://user:password@host:6379/0`. It connects when first asked.
    ///
    /// # Errors
    /// That is no address of a Redis.
    pub fn at(url: &Secret) -> Result<Self, StoreFault> {
        Ok(Self { client: client(url)?, connected: None })
    }

    async fn connect(&self) -> RedisResult<Connected> {
        let mut connection = connect(&self.client).await?;
        let script = ::redis::cmd("SCRIPT").arg("LOAD").arg(LEASE).query_async(&mut connection).await?;
        Ok(Connected { connection, script })
    }
}

impl Connected {
    /// At `now_us`, in microseconds since 1970; 0 where Redis reads its own clock.
    async fn exchange(&mut self, asks: &[Ask], now_us: u64) -> RedisResult<Vec<[i64; 6]>> {
        let mut pipe = ::redis::pipe();
        if asks.is_empty() {
            pipe.cmd("PING").ignore();
        }
        for ask in asks {
            pipe.cmd("EVALSHA").arg(&self.script).arg(1).arg(&ask.key).arg(&ask.holder);
            let numbers = [
                ask.seq,
                ask.drawn,
                ask.settled,
                ask.acked,
                ask.least,
                ask.need,
                ask.like,
                ask.most,
                ask.every_us,
                ask.until_ms,
                ask.hold_ms,
            ];
            pipe.arg(&numbers[..]).arg(now_us);
        }
        pipe.query_async(&mut self.connection).await
    }
}

impl Store for RedisStore {
    async fn exchange(&mut self, asks: &[Ask]) -> Result<Vec<Answer>, StoreFault> {
        // Taken, so that a connection with an answer outstanding is not used again.
        let mut connected = match self.connected.take() {
            Some(connected) => connected,
            None => match timeout(CONNECT, self.connect()).await {
                Ok(known) => known.map_err(|e| StoreFault(format!("cannot connect: {e}")))?,
                Err(_) => return Err(StoreFault(format!("no connection within {CONNECT:?}"))),
            },
        };
        let answers = match timeout(EXCHANGE, connected.exchange(asks, 0)).await {
            Ok(known) => known.map_err(|e| StoreFault(e.to_string()))?,
            Err(_) => return Err(StoreFault(format!("no answer within {EXCHANGE:?}"))),
        };
        if answers.len() != asks.len() {
            return Err(StoreFault(format!("{} answers to {} questions", answers.len(), asks.len())));
        }
        self.connected = Some(connected);
        Ok(answers.iter().map(answer).collect())
    }
}

/// An answer in the script's words.
fn answer([verdict, granted, level, wait_us, is_wanted, now_us]: &[i64; 6]) -> Answer {
    let positive = |n: &i64| u64::try_from(*n).unwrap_or(0);
    Answer {
        verdict: match verdict {
            0 => Verdict::Stale,
            1 => Verdict::Done,
            _ => Verdict::Over,
        },
        granted: positive(granted),
        level: *level,
        wait: Duration::from_micros(positive(wait_us)),
        is_wanted: *is_wanted == 1,
        unix_ms: positive(now_us) / 1000,
    }
}

#[cfg(test)]
mod tests;
