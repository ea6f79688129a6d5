//! Parcels that many replicas hand to one of them, in Redis. Owns the connection, how long a lead holds and how much a queue
//! holds; what the texts say is not its concern.

use super::line::Line;
use crate::shared::StoreFault;
use std::time::Duration;
use tidegate_core::Secret;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::parcels::{Answer, Ask, Parcels, Post};
use tokio::sync::Mutex;

/// See its own words.
const PARCEL: &str = include_str!("parcel.lua");

/// How long a lead holds without being renewed, in milliseconds.
const HOLD_MS: u32 = 3_000;
/// How long one round trip may take: nobody waits for it, and states may be large.
const EXCHANGE: Duration = Duration::from_secs(2);
/// The most bytes that a queue holds.
const MOST_BYTES: usize = 64 << 20;
/// How many parcels, and of how many bytes, are told at a time.
const MOST_TOLD: usize = 256;
const MOST_TOLD_BYTES: usize = 8 << 20;
/// How long it is kept, in seconds, when nobody asks any more.
const KEEP_S: u32 = 7 * 86_400;

/// Parcels in Redis.
pub struct RedisParcels {
    line: Mutex<Line>,
    name: String,
}

impl std::fmt::Debug for RedisParcels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisParcels").field("name", &self.name).finish_non_exhaustive()
    }
}

impl RedisParcels {
    /// Parcels in the Redis at `url`, for the replica of this name. It connects when first asked.
    ///
    /// # Errors
    /// That is no address of a Redis.
    pub fn at(url: &Secret, name: String) -> Result<Self, StoreFault> {
        Ok(Self { line: Mutex::new(Line::patient(url, EXCHANGE)?), name })
    }

    fn command(&self, pipe: &mut ::redis::Pipeline, ask: &Ask) {
        pipe.cmd("EVAL").arg(PARCEL).arg(2).arg(&ask.key).arg(format!("{}:parcels", ask.key));
        pipe.arg(&self.name).arg(HOLD_MS).arg(u8::from(ask.leaves));
        pipe.arg(MOST_BYTES).arg(MOST_TOLD).arg(MOST_TOLD_BYTES).arg(KEEP_S);
        pipe.arg(&ask.state).arg(ask.taken).arg(&ask.known[0]).arg(&ask.known[1]);
        match &ask.stow {
            None => {
                pipe.arg("");
            }
            Some(stow) => {
                pipe.arg(&stow.name).arg(&stow.text).arg(stow.taken).arg(stow.posts.len());
                for (post, name, text) in &stow.posts {
                    pipe.arg(which(*post)).arg(name).arg(text);
                }
            }
        }
        pipe.arg(ask.parcels.len());
        for parcel in &ask.parcels {
            pipe.arg(parcel);
        }
    }
}

impl Parcels for RedisParcels {
    fn exchange(&self, asks: Vec<Ask>) -> BoxFuture<'_, Result<Vec<Answer>, String>> {
        Box::pin(async move {
            let mut pipe = ::redis::pipe();
            if asks.is_empty() {
                pipe.cmd("PING").ignore();
            }
            for ask in &asks {
                self.command(&mut pipe, ask);
            }
            let answers: Vec<Vec<String>> =
                self.line.lock().await.ask(&pipe).await.map_err(|fault| fault.to_string())?;
            let told = answers.len();
            let answers: Option<Vec<Answer>> = answers.into_iter().map(answer).collect();
            let answers = answers.filter(|answers| answers.len() == asks.len());
            answers.ok_or_else(|| format!("{told} answers to {} questions, or of another form", asks.len()))
        })
    }
}

/// By the place among [`Post::ALL`], from 1 on.
fn which(post: Post) -> usize {
    Post::ALL.iter().position(|one| *one == post).map_or(1, |at| at + 1)
}

/// An answer in the script's words.
fn answer(words: Vec<String>) -> Option<Answer> {
    let mut words = words.into_iter();
    let mut next = || words.next();
    let (leader, is_taken, state, text, more) = (next()?, next()? == "1", next()?, next()?, next()?);
    let mut posts = [None, None];
    for post in &mut posts {
        if next()? == "1" {
            *post = Some((next()?, next()?));
        }
    }
    Some(Answer {
        leader,
        is_taken,
        state,
        text: Some(text).filter(|text| !text.is_empty()),
        more: more.parse().ok()?,
        posts,
        parcels: words.collect(),
    })
}
