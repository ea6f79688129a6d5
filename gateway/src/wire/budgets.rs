//! What was spent of budgets, beside the events: read at the start, written each second and at the end, so that a
//! restart does not forget a day's. Owns when, and that a file which cannot be written is said once.

use anyhow::Context as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use tidegate_state::{Kept, KeptFile, MemoryLimits};

/// The file, and what stands in it.
#[derive(Debug)]
pub(crate) struct Budgets {
    file: Option<KeptFile>,
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    kept: Vec<Kept>,
    failed: bool,
}

impl Budgets {
    /// Beside the events in this folder; without one, a restart forgets what was spent.
    #[must_use]
    pub(crate) fn beside(events: Option<&Path>) -> Self {
        let file = events.map(|folder| KeptFile::at(&folder.join("limits").join("budgets.jsonl")));
        Self { file, written: Mutex::default() }
    }

    /// Lets `limits` go on from what the last run kept.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn restore(&self, limits: &MemoryLimits) -> anyhow::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        limits.restore(&file.read().context("what was spent of budgets cannot be read: mend or remove the file")?);
        Ok(())
    }

    /// Writes what was spent, where that changed.
    pub(crate) fn keep(&self, limits: &MemoryLimits) {
        let Some(file) = &self.file else { return };
        let mut kept = limits.kept();
        kept.sort_by(|a, b| (&a.per, &a.every, &a.account).cmp(&(&b.per, &b.every, &b.account)));
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.kept == kept && !written.failed {
            return;
        }
        let fault = file.write(&kept).err();
        if let Some(fault) = fault.as_ref().filter(|_| !written.failed) {
            tracing::error!(%fault, "what was spent of budgets cannot be kept: a restart now would forget it");
        }
        *written = Written { kept, failed: fault.is_some() };
    }
}
