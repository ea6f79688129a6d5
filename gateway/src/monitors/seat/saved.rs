//! What is kept of a monitor between runs of the program. Owns its form, and what makes a monitor another one.

use super::Seat;
use crate::monitors::watching::Record;
use serde::{Deserialize, Serialize};
use tidegate_core::ModelName;
use tidegate_core::digest::Digest;
use tidegate_core::port::verdicts::Verdict;
use tidegate_core::spec::{MonitorSpec, Watched};
use tidegate_watch::{Ended, Marks, Reference, Saved as SavedWindows, Windows};

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
    /// Which parcels are in it, where it is of several replicas.
    #[serde(default)]
    pub(super) marks: Marks,
}

/// What is kept of the windows of a version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SavedWatching {
    model: ModelName,
    version: Option<u32>,
    windows: Option<SavedWindows>,
    record: Record,
    last_ms: u64,
    /// Windows that ended and were not judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unjudged: Vec<Ended>,
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

    pub(super) fn open(self) -> (Option<SavedWindows>, Record, u64, Vec<Ended>) {
        (self.windows, self.record, self.last_ms, self.unjudged)
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
        serde_json::to_vec(&self.saved(self.basis.saved())).map_err(|fault| fault.to_string())
    }

    /// The same for other replicas, who have what windows are compared with from elsewhere.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub(super) fn state(&self) -> Result<String, String> {
        serde_json::to_string(&self.saved(None)).map_err(|fault| fault.to_string())
    }

    fn saved(&self, reference: Option<Reference>) -> Saved {
        let (may, is_shared) = (self.may_save_windows(), self.member.is_some());
        let windows = |windows: &Windows| if is_shared { windows.saved_without_reference() } else { windows.saved() };
        let watched = self.watched.iter().map(|(watched, watching)| SavedWatching {
            model: watched.model.clone(),
            version: watched.version,
            windows: may.then(|| windows(&watching.windows)),
            record: watching.record.clone(),
            last_ms: watching.last_ms,
            unjudged: if is_shared { watching.unjudged() } else { Vec::new() },
        });
        // What was not taken up yet is kept as it came.
        let watched = watched.chain(self.coming.values().cloned()).collect();
        let marks = self.member.as_ref().map(|member| member.marks.clone()).unwrap_or_default();
        Saved { form: FORM, identity: identity(&self.spec), reference, watched, marks }
    }
}
