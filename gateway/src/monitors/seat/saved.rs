//! What is kept of a monitor between runs of the program. Owns its form, and what makes a monitor another one.

use super::Seat;
use crate::monitors::watching::Record;
use serde::{Deserialize, Serialize};
use tidegate_core::ModelName;
use tidegate_core::digest::Digest;
use tidegate_core::port::verdicts::Verdict;
use tidegate_core::spec::{MonitorSpec, Watched};
use tidegate_watch::{Reference, Saved as SavedWindows};

/// The version of the form.
const FORM: u32 = 1;

/// What is kept of a monitor.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    form: u32,
    identity: String,
    /// What the calls made that came first.
    pub(super) reference: Option<Reference>,
    pub(super) watched: Vec<SavedWatching>,
}

/// What is kept of the windows of a version.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedWatching {
    model: ModelName,
    version: Option<u32>,
    windows: Option<SavedWindows>,
    record: Record,
    last_ms: u64,
}

/// Two monitors have the same windows where they take the same of the same calls and compare it with the same. The plugin,
/// its settings and what follows may be others.
pub(super) fn identity(spec: &MonitorSpec) -> String {
    let MonitorSpec { route, variant, share, fields, roles, window, reference, plugin, .. } = spec;
    let all = format!("{route} {variant:?} {share} {fields:?} {roles:?} {window:?} {reference:?} {plugin}");
    Digest::of(all.as_bytes()).short()
}

impl Saved {
    /// Reads what was kept, if it is of this monitor and not damaged.
    pub(super) fn read(kept: &[u8], spec: &MonitorSpec) -> Option<Self> {
        match serde_json::from_slice::<Self>(kept) {
            Ok(saved) if saved.form == FORM && saved.identity == identity(spec) => Some(saved),
            Ok(_) => {
                tracing::info!(monitor = %spec.name, "the monitor is another one than was kept: it begins anew");
                None
            }
            Err(error) => {
                tracing::error!(monitor = %spec.name, %error, "what was kept of the monitor is damaged: it begins anew");
                None
            }
        }
    }
}

impl SavedWatching {
    pub(super) fn watched(&self) -> Watched {
        Watched { model: self.model.clone(), version: self.version }
    }

    pub(super) fn open(self) -> (Option<SavedWindows>, Record, u64) {
        (self.windows, self.record, self.last_ms)
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.record.verdict()
    }

    pub(super) const fn record(&self) -> &Record {
        &self.record
    }
}

impl Seat {
    /// What is to be kept of it, as JSON.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub(in crate::monitors) fn content(&self) -> Result<Vec<u8>, String> {
        let may = self.may_save_windows();
        let watched = self.watched.iter().map(|(watched, watching)| SavedWatching {
            model: watched.model.clone(),
            version: watched.version,
            windows: may.then(|| watching.windows.saved()),
            record: watching.record.clone(),
            last_ms: watching.last_ms,
        });
        let saved = Saved {
            form: FORM,
            identity: identity(&self.spec),
            reference: self.basis.saved(),
            watched: watched.collect(),
        };
        // What was not taken up yet is kept as it came.
        let mut saved = serde_json::to_value(saved).map_err(|fault| fault.to_string())?;
        if let Some(all) = saved["watched"].as_array_mut() {
            let coming = self.coming.values().filter_map(|one| serde_json::to_value(one).ok());
            all.extend(coming);
        }
        Ok(saved.to_string().into_bytes())
    }
}
