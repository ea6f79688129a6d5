//! What the registry answers when it cannot do as asked. Owns the kinds and their side; how they look on a wire is the
//! wire's business.

use std::borrow::Cow;

/// What went wrong: a closed set, which each wire maps to its own codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RegistryFaultKind {
    /// A parameter is missing or wrong.
    Invalid,
    /// There is one of this name already.
    Exists,
    /// There is none of this name.
    Missing,
    /// The state of the thing does not allow it, or it changed meanwhile.
    Conflict,
    /// This caller may not do it.
    Forbidden,
    /// There is no such call.
    NoEndpoint,
    /// The call exists elsewhere and is not served here.
    Unsupported,
    /// What was sent is larger than is taken.
    TooLarge,
    /// The store cannot be reached or is full: come again.
    Unavailable,
    /// A mistake of ours.
    Internal,
}

/// One thing that went wrong, with a message for the caller and one for the log.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{kind:?}: {says}{}", .detail.as_deref().map(|d| format!(" ({d})")).unwrap_or_default())]
pub struct RegistryFault {
    /// What it is.
    pub kind: RegistryFaultKind,
    /// For the caller: what was wrong and how to mend it.
    pub says: Cow<'static, str>,
    /// For the log alone.
    pub detail: Option<String>,
}

impl RegistryFault {
    /// A fault with its message for the caller.
    #[must_use]
    pub fn new(kind: RegistryFaultKind, says: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, says: says.into(), detail: None }
    }

    /// A parameter is missing or wrong.
    #[must_use]
    pub fn invalid(says: impl Into<Cow<'static, str>>) -> Self {
        Self::new(RegistryFaultKind::Invalid, says)
    }

    /// There is none of this name.
    #[must_use]
    pub fn missing(says: impl Into<Cow<'static, str>>) -> Self {
        Self::new(RegistryFaultKind::Missing, says)
    }

    /// A mistake of ours: the caller learns nothing of it, the log all.
    #[must_use]
    pub fn internal(detail: impl std::fmt::Display) -> Self {
        Self::new(RegistryFaultKind::Internal, "the registry failed to do this; its log says why").because(detail)
    }

    /// Adds what only the log shall know.
    #[must_use]
    pub fn because(mut self, detail: impl std::fmt::Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }
}

impl From<sqlx::Error> for RegistryFault {
    fn from(error: sqlx::Error) -> Self {
        let is_gone = matches!(
            error,
            sqlx::Error::Io(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::Tls(_)
        );
        if is_gone || is_full_or_busy(&error) {
            return Self::new(
                RegistryFaultKind::Unavailable,
                "the registry's database cannot do this now: come again in a moment",
            )
            .because(error);
        }
        Self::internal(error)
    }
}

/// Whether the database is full, locked for too long, read-only or going away, by `SQLite`'s primary result codes and
/// PostgreSQL's classes 53, 57 and 08.
fn is_full_or_busy(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    let Some(code) = error.code() else { return false };
    match code.parse::<u32>() {
        // SQLite's codes are small numbers, of which the low byte is the primary one; PostgreSQL's have five digits.
        Ok(number) if code.len() < 5 => matches!(number & 0xFF, 5 | 6 | 8 | 10 | 13 | 14),
        _ => ["53", "57", "08", "25006", "40001", "40P01"].iter().any(|class| code.starts_with(class)),
    }
}
