//! The audit log: who did what to what, in one chain of hashes. Owns an entry's form and the check of a chain; writing
//! is part of every change (`db::Change`).
//!
//! Each entry's hash covers the one before it, so that a changed, missing or moved entry shows; the newest hash stands
//! in the registry's head, so that a cut tail shows too, and whoever notes it elsewhere sees a head that was changed with
//! it. The particulars enter by a salted hash of theirs: a chain without them is whole.

pub(crate) mod erasure;

pub use erasure::Erasure;

use crate::db::{Deed, Sql};
use crate::fault::RegistryFault;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};
use std::collections::BTreeSet;
use tidegate_core::digest::Digest;

/// The hash before the first entry.
pub(crate) const GENESIS: Digest = Digest::from_bytes([0; 32]);

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    /// Its number, from 1 without gaps: the registry's revision that the change made.
    pub seq: i64,
    /// Milliseconds since 1970.
    pub at: i64,
    /// Who.
    pub actor: String,
    /// Did what.
    pub action: String,
    /// To what.
    pub subject: String,
    /// The particulars in JSON; `None` once erased.
    pub detail: Option<String>,
    /// What their hash is salted with, so that erased particulars cannot be guessed; erased with them.
    pub salt: Option<String>,
    /// SHA-256 over salt and particulars.
    pub detail_hash: Digest,
    /// SHA-256 over the hash before and everything above but the particulars and their salt.
    pub hash: Digest,
}

impl Entry {
    /// The entry that follows `before`.
    pub(crate) fn new(before: Digest, seq: i64, at: i64, actor: &str, deed: Deed) -> Result<Self, RegistryFault> {
        let mut random = [0u8; 16];
        getrandom::fill(&mut random).map_err(RegistryFault::internal)?;
        let salt: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let detail = deed.detail.to_string();
        let mut entry = Self {
            seq,
            at,
            actor: actor.to_owned(),
            action: deed.action.to_owned(),
            subject: deed.subject,
            detail_hash: detail_hash(&salt, &detail),
            detail: Some(detail),
            salt: Some(salt),
            hash: GENESIS,
        };
        entry.hash = entry.expected(before);
        Ok(entry)
    }

    /// The hash that it must have after `before`.
    fn expected(&self, before: Digest) -> Digest {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(before.as_bytes());
        bytes.extend_from_slice(&self.seq.to_be_bytes());
        bytes.extend_from_slice(&self.at.to_be_bytes());
        // Lengths before texts: no two entries have the same bytes.
        for text in [&self.actor, &self.action, &self.subject] {
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(self.detail_hash.as_bytes());
        Digest::of(&bytes)
    }
}

fn detail_hash(salt: &str, detail: &str) -> Digest {
    Digest::of(format!("{salt}\n{detail}").as_bytes())
}

/// Why a log is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Tampering {
    /// An entry is missing, doubled or out of its order.
    #[error("entry {expected} should follow, and {found} does: entries are missing, doubled or out of order")]
    Order {
        /// The number that should follow.
        expected: i64,
        /// The one that does.
        found: i64,
    },
    /// An entry is not the one that was written.
    #[error("entry {0} was changed: its hash does not fit its content and the entry before it")]
    Changed(i64),
    /// The particulars of an entry are not those that were written.
    #[error("the particulars of entry {0} were changed")]
    Detail(i64),
    /// The particulars of an entry are gone, and no later entry says that they were erased.
    #[error("the particulars of entry {0} are gone, and no entry says that they were erased")]
    Erased(i64),
    /// An entry is another than the one that was noted outside of the registry.
    #[error("entry {0} is another than the one that was noted outside of the registry: the log was written anew")]
    Anchor(i64),
    /// The log ends before its head.
    #[error("the log ends at entry {found}, and {head} were written: its tail was cut")]
    Cut {
        /// How many were written.
        head: i64,
        /// How many are there.
        found: i64,
    },
    /// The log ends with another entry than its head says.
    #[error("the newest entry is {0}, with another hash than the head of the registry or its anchor says")]
    Head(i64),
}

/// Follows a log entry by entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    seq: i64,
    hash: Digest,
    /// Entries without particulars that no later one named so far.
    blank: BTreeSet<i64>,
}

impl Default for Chain {
    fn default() -> Self {
        Self { seq: 0, hash: GENESIS, blank: BTreeSet::new() }
    }
}

impl Chain {
    /// How many entries were followed.
    #[must_use]
    pub const fn length(&self) -> i64 {
        self.seq
    }

    /// The hash of the newest one.
    #[must_use]
    pub const fn hash(&self) -> Digest {
        self.hash
    }

    /// Follows one more entry.
    ///
    /// # Errors
    /// It does not follow.
    pub fn follow(&mut self, entry: &Entry) -> Result<(), Tampering> {
        if entry.seq != self.seq + 1 {
            return Err(Tampering::Order { expected: self.seq + 1, found: entry.seq });
        }
        if entry.expected(self.hash) != entry.hash {
            return Err(Tampering::Changed(entry.seq));
        }
        let erased = entry.detail.is_none() && entry.salt.is_none();
        let fits =
            || detail_hash(entry.salt.as_deref()?, entry.detail.as_deref()?).eq(&entry.detail_hash).then_some(());
        if !erased && fits().is_none() {
            return Err(Tampering::Detail(entry.seq));
        }
        if erased {
            self.blank.insert(entry.seq);
        }
        erasure::explain(entry, &mut self.blank);
        (self.seq, self.hash) = (entry.seq, entry.hash);
        Ok(())
    }

    /// Ends at the registry's head: its number and hash.
    ///
    /// # Errors
    /// The log ends before it, or with another entry, or particulars are gone that nobody erased.
    fn end(&self, head: i64, hash: Digest) -> Result<(), Tampering> {
        if self.seq < head {
            return Err(Tampering::Cut { head, found: self.seq });
        }
        if self.seq > head || self.hash != hash {
            return Err(Tampering::Head(self.seq));
        }
        self.blank.first().map_or(Ok(()), |entry| Err(Tampering::Erased(*entry)))
    }
}

/// Entries after `after`, the oldest first.
pub(crate) async fn read(db: &mut AnyConnection, after: i64, limit: u32) -> Result<Vec<Entry>, RegistryFault> {
    let mut sql =
        Sql::new("SELECT seq, at, actor, action, subject, detail, salt, detail_hash, hash FROM audit WHERE seq > ");
    sql.bind(after).push(" ORDER BY seq LIMIT ").bind(i64::from(limit));
    sql.all(db).await?.iter().map(row).collect()
}

fn row(row: &AnyRow) -> Result<Entry, RegistryFault> {
    // A hash that is no hash is tampering too: it then fits nothing.
    let digest = |column: &str| -> Result<Digest, RegistryFault> {
        Ok(row.try_get::<String, _>(column)?.parse().unwrap_or(GENESIS))
    };
    Ok(Entry {
        seq: row.try_get("seq")?,
        at: row.try_get("at")?,
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        subject: row.try_get("subject")?,
        detail: row.try_get("detail")?,
        salt: row.try_get("salt")?,
        detail_hash: digest("detail_hash")?,
        hash: digest("hash")?,
    })
}

/// Whether anything was ever done to `subject`, exactly so named.
pub(crate) async fn mentions(db: &mut AnyConnection, subject: &str) -> Result<bool, RegistryFault> {
    let mut sql = Sql::new("SELECT seq FROM audit WHERE subject = ");
    sql.bind(subject).push(" LIMIT 1");
    Ok(sql.one(db).await?.is_some())
}

/// The number and the hash of the newest entry.
pub(crate) async fn head(db: &mut AnyConnection) -> Result<(i64, Digest), RegistryFault> {
    let head = Sql::new("SELECT revision, hash FROM head WHERE one = 1").one(db).await?;
    let head = head.ok_or_else(|| RegistryFault::internal("the registry has no head"))?;
    Ok((head.try_get(0)?, head.try_get::<String, _>(1)?.parse().unwrap_or(GENESIS)))
}

/// Follows the whole log of a database to its head, by way of `anchors`: entries whose hashes were noted elsewhere.
pub(crate) async fn verify(
    db: &mut AnyConnection,
    anchors: &[(i64, Digest)],
) -> Result<Result<Chain, Tampering>, RegistryFault> {
    const PAGE: u32 = 1000;
    // The head is read first: entries that come meanwhile are beyond it, and are followed only up to it.
    let (revision, hash) = head(db).await?;
    let mut chain = Chain::default();
    while chain.length() < revision {
        let page = read(db, chain.length(), PAGE).await?;
        if page.is_empty() {
            break;
        }
        for entry in page.iter().take_while(|entry| entry.seq <= revision) {
            if let Err(tampering) = chain.follow(entry) {
                return Ok(Err(tampering));
            }
            if anchors.iter().any(|(seq, hash)| *seq == entry.seq && *hash != entry.hash) {
                return Ok(Err(Tampering::Anchor(entry.seq)));
            }
        }
        if page.iter().any(|entry| entry.seq > revision) {
            break;
        }
    }
    let beyond = anchors.iter().map(|(seq, _)| *seq).filter(|seq| *seq > revision).max();
    Ok(match beyond {
        Some(head) => Err(Tampering::Cut { head, found: chain.length() }),
        None => chain.end(revision, hash).map(|()| chain),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn log(length: i64) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for seq in 1..=length {
            let before = entries.last().map_or(GENESIS, |entry| entry.hash);
            let deed = Deed::new("model.create", format!("models:/m{seq}"), json!({"who": "x"}));
            entries.push(Entry::new(before, seq, 1000 + seq, "ann", deed).unwrap());
        }
        entries
    }

    fn verify(entries: &[Entry], head: &Entry) -> Result<(), Tampering> {
        let mut chain = Chain::default();
        for entry in entries {
            chain.follow(entry)?;
        }
        chain.end(head.seq, head.hash)
    }

    #[test]
    fn what_was_written_verifies_and_so_does_an_erased_entry() {
        let mut entries = log(5);
        let head = entries[4].clone();
        assert_eq!(verify(&entries, &head), Ok(()));
        // Erased, and a later entry says so; without it, somebody else took them away.
        (entries[2].detail, entries[2].salt) = (None, None);
        assert_eq!(verify(&entries, &head), Err(Tampering::Erased(3)));
        let deed = Deed::new(erasure::ERASE, "audit", json!({"entries": [[3, 3]]}));
        entries.push(Entry::new(head.hash, 6, 9, "ann", deed).unwrap());
        assert_eq!(verify(&entries, &entries[5]), Ok(()));
        (entries[5].detail, entries[5].salt) = (None, None);
        assert_eq!(verify(&entries, &entries[5]), Err(Tampering::Erased(3)));
    }

    #[test]
    fn a_changed_field_shows_at_its_entry() {
        let changes: [fn(&mut Entry); 6] = [
            |entry| entry.actor.push('x'),
            |entry| entry.action = "model.delete".into(),
            |entry| entry.subject = "models:/other".into(),
            |entry| entry.at += 1,
            |entry| entry.detail_hash = Digest::of(b"x"),
            |entry| entry.hash = Digest::of(b"x"),
        ];
        for change in changes {
            let mut entries = log(5);
            change(&mut entries[2]);
            assert_eq!(verify(&entries, &log(5)[4]), Err(Tampering::Changed(3)));
        }
        let mut entries = log(5);
        entries[2].detail = Some("{}".into());
        assert_eq!(verify(&entries, &log(5)[4]), Err(Tampering::Detail(3)));
        let mut entries = log(5);
        entries[2].salt = None;
        assert_eq!(verify(&entries, &log(5)[4]), Err(Tampering::Detail(3)));
    }

    #[test]
    fn letters_cannot_move_between_fields() {
        let mut entries = log(1);
        let head = entries[0].clone();
        (entries[0].actor, entries[0].action) = ("annm".into(), "odel.create".into());
        assert_eq!(verify(&entries, &head), Err(Tampering::Changed(1)));
    }

    #[test]
    fn a_missing_doubled_or_moved_entry_and_a_cut_tail_show() {
        let entries = log(5);
        let head = &entries[4];
        let mut without = entries.clone();
        without.remove(2);
        assert_eq!(verify(&without, head), Err(Tampering::Order { expected: 3, found: 4 }));
        let mut doubled = entries.clone();
        doubled.insert(2, entries[2].clone());
        assert_eq!(verify(&doubled, head), Err(Tampering::Order { expected: 4, found: 3 }));
        let mut moved = entries.clone();
        moved.swap(1, 2);
        assert_eq!(verify(&moved, head), Err(Tampering::Order { expected: 2, found: 3 }));
        assert_eq!(verify(&entries[..4], head), Err(Tampering::Cut { head: 5, found: 4 }));
        // A tail written anew has the right length and another hash.
        let mut forged = entries[..4].to_vec();
        let deed = Deed::new("model.delete", "models:/m5", json!({}));
        forged.push(Entry::new(entries[3].hash, 5, 9, "eve", deed).unwrap());
        assert_eq!(verify(&forged, head), Err(Tampering::Head(5)));
    }
}
