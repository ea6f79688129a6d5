//! Rows to values and back: every statement of the registry but the schema and the audit log. Each function takes the
//! connection of a reader or of a change; none decides anything.

pub(crate) mod baselines;
pub(crate) mod governance;
pub(crate) mod imports;
pub(crate) mod models;
pub(crate) mod search;
pub(crate) mod serving;
pub(crate) mod versions;
pub(crate) mod webhooks;

use crate::fault::RegistryFault;
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// A text column.
fn text(row: &AnyRow, column: &str) -> Result<String, RegistryFault> {
    Ok(row.try_get::<Option<String>, _>(column)?.unwrap_or_default())
}

/// A word of a closed set; empty where nobody said.
fn known<T>(word: &str, read: impl Fn(&str) -> Result<T, RegistryFault>) -> Result<Option<T>, RegistryFault> {
    if word.is_empty() {
        return Ok(None);
    }
    // Nobody but us wrote it.
    read(word).map(Some).map_err(RegistryFault::internal)
}

/// A number column.
fn number(row: &AnyRow, column: &str) -> Result<i64, RegistryFault> {
    Ok(row.try_get(column)?)
}
