//! A block of `key=value` lines, and lists of numbers of a length that is known. Owns no meaning.

use super::damaged;
use crate::Unreadable;
use std::collections::HashMap;
use std::str::FromStr;

/// Lines by their key; a line without `=` is a key alone.
pub(super) struct Lines<'a>(HashMap<&'a str, &'a str>);

impl<'a> Lines<'a> {
    pub(super) fn of(block: &'a str) -> Self {
        Self(block.lines().map(|line| line.split_once('=').unwrap_or((line, ""))).collect())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).copied()
    }

    pub(super) fn count(&self, key: &str) -> Result<usize, Unreadable> {
        let text = self.text(key).ok_or_else(|| damaged(format!("`{key}` is missing")))?;
        text.trim().parse().map_err(|_| damaged(format!("`{key}` is `{}`, no count", short(text))))
    }

    /// A list of exactly so many numbers. Makes room for what is there, not for what was said to be there.
    pub(super) fn list<T: FromStr>(&self, key: &str, length: usize) -> Result<Vec<T>, Unreadable> {
        let text = self.text(key).ok_or_else(|| damaged(format!("`{key}` is missing")))?;
        let numbers = text.split_ascii_whitespace().map(|word| {
            word.parse().map_err(|_| damaged(format!("`{key}` has `{}`, which is no such number", short(word))))
        });
        let numbers = numbers.collect::<Result<Vec<T>, _>>()?;
        if numbers.len() == length {
            Ok(numbers)
        } else {
            Err(damaged(format!("`{key}` has {} numbers instead of {length}", numbers.len())))
        }
    }

    /// A list that old files lack: ones then.
    pub(super) fn list_or(&self, key: &str, length: usize) -> Result<Vec<f64>, Unreadable> {
        if self.text(key).is_some_and(|text| !text.trim().is_empty()) {
            self.list(key, length)
        } else {
            Ok(vec![1.0; length])
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
