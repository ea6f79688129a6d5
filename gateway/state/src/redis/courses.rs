//! The courses of what many replicas run together, in Redis: one of them leads, each notes what it saw, and a course is
//! only ever replaced by the one that follows it. Owns the connection; what the texts say is not its concern.

use super::line::Line;
use crate::shared::StoreFault;
use std::collections::BTreeMap;
use tidegate_core::Secret;

/// See their own words.
const ROUND: &str = include_str!("course.lua");
const COMMIT: &str = include_str!("commit.lua");

/// How long a lead holds without being renewed, in milliseconds.
const HOLD_MS: u32 = 3_000;

/// What is known of one course.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Course {
    /// How often it was replaced; 0 where there is none yet.
    pub version: u64,
    /// Its text.
    pub text: Option<String>,
    /// Who leads.
    pub leader: String,
    /// What each replica saw, by its name; the asker's own is what it noted now.
    pub seen: BTreeMap<String, String>,
}

/// A question about one course.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CourseAsk {
    /// The key that it is kept under.
    pub key: String,
    /// What the asker saw; `None` where that is noted already.
    pub seen: Option<String>,
}

/// Courses in Redis.
pub struct RedisCourses {
    line: Line,
    name: String,
}

impl std::fmt::Debug for RedisCourses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisCourses").field("is_connected", &self.line.is_connected()).finish_non_exhaustive()
    }
}

impl RedisCourses {
    /// Courses in the Redis at `url`, for the replica of this name. It connects when first asked.
    ///
    /// # Errors
    /// That is no address of a Redis.
    pub fn at(url: &Secret, name: String) -> Result<Self, StoreFault> {
        Ok(Self { line: Line::at(url)?, name })
    }

    /// The replica's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Notes what was seen, takes or renews the lead of what nobody else leads, and tells what is known, in the order of
    /// the questions; in one round trip.
    ///
    /// # Errors
    /// Redis cannot be reached, or does not answer in time: then nobody knows what was noted.
    pub async fn round(&mut self, asks: &[CourseAsk]) -> Result<Vec<Course>, StoreFault> {
        let mut pipe = ::redis::pipe();
        if asks.is_empty() {
            pipe.cmd("PING").ignore();
        }
        for ask in asks {
            pipe.cmd("EVAL").arg(ROUND).arg(1).arg(&ask.key).arg(&self.name).arg(HOLD_MS);
            pipe.arg(ask.seen.as_deref().unwrap_or_default());
        }
        let answers: Vec<BTreeMap<String, String>> = self.line.ask(&pipe).await?;
        if answers.len() != asks.len() {
            return Err(StoreFault(format!("{} answers to {} questions", answers.len(), asks.len())));
        }
        Ok(answers.into_iter().map(course).collect())
    }

    /// Replaces the course of version `before` by the one of version `after`; whether it was the one.
    ///
    /// # Errors
    /// Redis cannot be reached, or does not answer in time: then nobody knows whether it was replaced.
    pub async fn commit(&mut self, key: &str, (before, after): (u64, u64), text: &str) -> Result<bool, StoreFault> {
        let mut pipe = ::redis::pipe();
        pipe.cmd("EVAL").arg(COMMIT).arg(1).arg(key).arg(before).arg(after).arg(text);
        let answers: Vec<i64> = self.line.ask(&pipe).await?;
        Ok(answers == [1])
    }
}

fn course(fields: BTreeMap<String, String>) -> Course {
    let mut course = Course::default();
    for (field, text) in fields {
        match field.as_str() {
            "version" => course.version = text.parse().unwrap_or(0),
            "course" => course.text = Some(text),
            "leader" => course.leader = text,
            _ => {
                if let Some(name) = field.strip_prefix("seen:") {
                    course.seen.insert(name.to_owned(), text);
                }
            }
        }
    }
    course
}
