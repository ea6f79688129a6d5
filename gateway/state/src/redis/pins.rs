//! What replicas pin in Redis for each other to read: under each topic one text of each of them. Owns the connection; what
//! the texts say is not its concern.

use super::line::Line;
use crate::shared::StoreFault;
use std::collections::BTreeMap;
use tidegate_core::Secret;

/// The texts of one topic, by the names of those who pinned them.
pub type Pinned = BTreeMap<String, String>;

/// A board in Redis.
pub struct RedisPins {
    line: Line,
}

impl std::fmt::Debug for RedisPins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisPins").field("is_connected", &self.line.is_connected()).finish_non_exhaustive()
    }
}

impl RedisPins {
    /// A board in the Redis at `url`. It connects when first asked.
    ///
    /// # Errors
    /// That is no address of a Redis.
    pub fn at(url: &Secret) -> Result<Self, StoreFault> {
        Ok(Self { line: Line::at(url)? })
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
        let answers: Vec<Pinned> = self.line.ask(&pipe).await?;
        if answers.len() != topics.len() {
            return Err(StoreFault(format!("{} answers to {} questions", answers.len(), topics.len())));
        }
        Ok(answers)
    }
}
