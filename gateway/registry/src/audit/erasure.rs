//! Erasure of particulars in the audit log. The chain holds without them, and an entry of its own says whose are gone, so
//! that particulars that somebody else took away still show. Owns which entries are meant and that entry's form.

use super::Entry;
use crate::db::{Change, Deed, Sql};
use crate::fault::RegistryFault;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Row as _};
use std::collections::BTreeSet;
use tidegate_core::digest::Digest;

/// The action of the entry that says what was erased; its own particulars never are.
pub(crate) const ERASE: &str = "audit.erase";

/// How many entries are looked at, or changed, by one statement.
const PAGE: usize = 500;

/// Whose particulars are erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erasure {
    /// Of entries on this subject, such as `models:/name`, and on what belongs to it: its versions and aliases.
    Subject(String),
    /// Of entries whose particulars contain this text, such as a person's address.
    Mentions(String),
    /// Of entries from before this time, in milliseconds since 1970.
    Before(i64),
}

impl Erasure {
    /// Whether an entry is meant.
    fn means(&self, at: i64, subject: &str, detail: &str) -> bool {
        match self {
            Self::Subject(wanted) => {
                subject.strip_prefix(&**wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '@']))
            }
            // Particulars are JSON: the text stands there as JSON writes it.
            Self::Mentions(text) => {
                let written = Value::from(&**text).to_string();
                detail.contains(&written[1..written.len() - 1])
            }
            Self::Before(time) => at < *time,
        }
    }

    /// What the log says of it: never the text that was to be forgotten.
    fn told(&self) -> Value {
        match self {
            Self::Subject(subject) => json!({"subject": subject}),
            Self::Mentions(text) => json!({"mentions_sha256": Digest::of(text.as_bytes()).to_string()}),
            Self::Before(time) => json!({"before": time}),
        }
    }
}

/// Erases what is meant; tells how many entries lost their particulars.
pub(crate) async fn erase(change: &mut Change, erasure: &Erasure) -> Result<(usize, Deed), RegistryFault> {
    let mut meant = Vec::new();
    let mut after = 0;
    loop {
        let mut sql = Sql::new("SELECT seq, at, subject, detail FROM audit WHERE detail IS NOT NULL AND action <> ");
        sql.bind(ERASE).push(" AND seq > ").bind(after).push(" ORDER BY seq LIMIT ").number(PAGE as u64);
        let rows = sql.all(change.db()).await?;
        for row in &rows {
            after = row.try_get("seq")?;
            let (subject, detail): (String, String) = (row.try_get("subject")?, row.try_get("detail")?);
            if erasure.means(row.try_get("at")?, &subject, &detail) {
                meant.push(after);
            }
        }
        if rows.len() < PAGE {
            break;
        }
    }
    for part in meant.chunks(PAGE) {
        let mut sql = Sql::new("UPDATE audit SET detail = NULL, salt = NULL WHERE seq IN ");
        sql.list(part.iter().copied());
        sql.run(change.db()).await?;
    }
    let detail = json!({"of": erasure.told(), "count": meant.len(), "entries": ranges(&meant)});
    Ok((meant.len(), Deed::new(ERASE, "audit", detail)))
}

/// Whether an entry from before `time` has particulars that can be erased.
pub(crate) async fn is_any_before(db: &mut AnyConnection, time: i64) -> Result<bool, RegistryFault> {
    let mut sql = Sql::new("SELECT seq FROM audit WHERE detail IS NOT NULL AND action <> ");
    sql.bind(ERASE).push(" AND at < ").bind(time).push(" LIMIT 1");
    Ok(sql.one(db).await?.is_some())
}

/// Ascending numbers as `[first, last]` pairs.
fn ranges(numbers: &[i64]) -> Vec<[i64; 2]> {
    let mut ranges: Vec<[i64; 2]> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some(last) if last[1] + 1 == number => last[1] = number,
            _ => ranges.push([number, number]),
        }
    }
    ranges
}

/// Takes those out of `blank` that an entry says were erased.
pub(super) fn explain(entry: &Entry, blank: &mut BTreeSet<i64>) {
    if entry.action != ERASE {
        return;
    }
    let detail = entry.detail.as_deref().and_then(|detail| serde_json::from_str::<Value>(detail).ok());
    let told = detail.and_then(|mut detail| serde_json::from_value::<Vec<[i64; 2]>>(detail["entries"].take()).ok());
    for [first, last] in told.unwrap_or_default() {
        let within: Vec<i64> = blank.range(first..=last.max(first)).copied().collect();
        for number in within {
            blank.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_meant_with_what_belongs_to_it() {
        let erasure = Erasure::Subject("models:/m".into());
        for subject in ["models:/m", "models:/m/3", "models:/m@champion"] {
            assert!(erasure.means(0, subject, "{}"), "{subject}");
        }
        for subject in ["models:/mm", "models:/", "webhooks/m"] {
            assert!(!erasure.means(0, subject, "{}"), "{subject}");
        }
    }

    #[test]
    fn a_mention_is_found_as_json_writes_it_and_is_not_told() {
        let erasure = Erasure::Mentions("Ann \"A\"".into());
        let detail = json!({"description": "by Ann \"A\" B."}).to_string();
        assert!(erasure.means(0, "", &detail));
        assert!(!erasure.means(0, "", r#"{"description":"by Ann"}"#));
        assert!(!erasure.told().to_string().contains("Ann"));
    }

    #[test]
    fn numbers_become_ranges_and_explain_what_is_blank() {
        assert_eq!(ranges(&[1, 2, 3, 5, 7, 8]), [[1, 3], [5, 5], [7, 8]]);
        assert_eq!(ranges(&[]), Vec::<[i64; 2]>::new());
    }
}
