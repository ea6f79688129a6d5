//! What a replica collects for the one that leads, until it is handed over. Owns what goes as counts and what as rows, and how
//! much of it may wait.

use crate::monitors::counts::Left;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::InferenceId;
use tidegate_core::spec::{MonitorSpec, ReferenceSpec, Watched, WindowSpec};
use tidegate_watch::handed::{Call, FORM, Of, Said};
use tidegate_watch::{Handed, Keep, Kept, Part, Plan, Reference, Shape, Value, Windows};

/// How much later than others of its window what is handed over may come.
pub(in crate::monitors) const LATENESS: Duration = Duration::from_secs(5);
/// So many versions are collected at once.
const MOST_WATCHED: usize = 8;
/// Rows of so many bytes may wait, and so much of what was said.
const MOST_BYTES: usize = 16 << 20;
const MOST_SAID: usize = 16_384;
/// So many windows by time wait for a leader; of older ones nothing is known any more.
const MOST_WINDOWS: usize = 64;
/// A parcel has rows of so many bytes, and so much of what was said.
const PARCEL_BYTES: usize = 512 << 10;
const PARCEL_SAID: usize = 4_096;
/// No parcel is longer than this.
const LONGEST: usize = 8 << 20;

/// What was collected.
#[derive(Debug)]
pub(in crate::monitors) struct Collector {
    shape: Shape,
    keep: Keep,
    window: WindowSpec,
    /// Whether windows are compared with anything, so that nothing can be counted before that is known.
    compares: bool,
    waits: bool,
    reference: Option<Arc<Reference>>,
    watched: BTreeMap<Watched, Collected>,
    bytes: usize,
    said: Vec<Said>,
    anew: Option<String>,
    seq: u64,
}

#[derive(Debug)]
struct Collected {
    /// Of windows in other bins, until they are handed over.
    parts: Vec<Part>,
    windows: Windows,
    rows: Vec<Call>,
}

impl Collector {
    /// Collects for this monitor.
    ///
    /// # Errors
    /// Its windows cannot be.
    pub(in crate::monitors) fn new(spec: &MonitorSpec, shape: &Shape, keep: Keep) -> Result<Self, String> {
        let mut collector = Self {
            shape: shape.clone(),
            keep,
            window: spec.window,
            compares: spec.reference != ReferenceSpec::None,
            waits: false,
            reference: None,
            watched: BTreeMap::new(),
            bytes: 0,
            said: Vec::new(),
            anew: None,
            seq: 0,
        };
        collector.waits = collector.windows()?.waits();
        Ok(collector)
    }

    fn windows(&self) -> Result<Windows, String> {
        let plan =
            Plan::new(self.shape.clone(), self.reference.clone(), self.keep).map_err(|fault| fault.to_string())?;
        Windows::collecting(Arc::new(plan), self.window, LATENESS).map_err(|fault| fault.to_string())
    }

    /// What windows are compared with from now on.
    pub(in crate::monitors) fn compare_with(&mut self, reference: Option<&Arc<Reference>>) {
        let id = |reference: Option<&Arc<Reference>>| reference.map(|reference| reference.id());
        let reference = reference.filter(|reference| reference.fits(&self.shape));
        if id(self.reference.as_ref()) == id(reference) {
            return;
        }
        self.reference = reference.cloned();
        // What is counted already is handed over as it was counted, and new windows are counted anew.
        let mut watched = std::mem::take(&mut self.watched);
        watched.retain(|_, collected| {
            let parts = collected.windows.drain_within(PARCEL_BYTES);
            collected.parts.extend(parts);
            self.windows().map(|windows| collected.windows = windows).is_ok()
        });
        self.watched = watched;
    }

    /// Takes a call.
    pub(in crate::monitors) fn take(
        &mut self,
        now_ms: u64,
        watched: &Watched,
        (call, whose): (InferenceId, u64),
        row: &[Value<'_>],
    ) -> Result<(), Left> {
        let is_row = self.waits || (self.compares && self.reference.is_none());
        let kept = is_row.then(|| {
            let values = (0..self.shape.len()).map(|at| row.get(at).unwrap_or(&Value::Missing));
            let row = values.enumerate().map(|(at, value)| value.to_kept(self.kind(at))).collect();
            Kept { call, unix_ms: now_ms, row }
        });
        let bytes = kept.as_ref().map_or(0, Kept::bytes);
        if self.bytes + bytes > MOST_BYTES {
            return Err(Left::Way);
        }
        if !self.watched.contains_key(watched) {
            if self.watched.len() >= MOST_WATCHED {
                return Err(Left::Model);
            }
            let windows = self.windows().map_err(|_| Left::Reference)?;
            self.watched.insert(watched.clone(), Collected { windows, parts: Vec::new(), rows: Vec::new() });
        }
        let Some(collected) = self.watched.get_mut(watched) else { return Err(Left::Model) };
        match kept {
            Some(kept) => collected.rows.push(Call { kept, whose: Some(whose) }),
            // None ends here.
            None => drop(collected.windows.take(now_ms, call, now_ms, row)),
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Takes what was said of a call; whether there was room.
    pub(in crate::monitors) fn say(
        &mut self,
        call: InferenceId,
        at: usize,
        value: &Value<'_>,
        who: Option<u64>,
    ) -> bool {
        let has_room = self.said.len() < MOST_SAID;
        if has_room {
            self.said.push(Said { call, at, value: value.to_kept(self.kind(at)), who });
        }
        has_room
    }

    /// Somebody wants all to begin anew.
    pub(in crate::monitors) fn begin_anew(&mut self, by: &str) {
        self.anew = Some(by.to_owned());
    }

    /// Lets go what waits for too long; of how many calls.
    pub(in crate::monitors) fn tidy(&mut self) -> u64 {
        self.watched.values_mut().map(|collected| collected.windows.let_go(MOST_WINDOWS)).sum()
    }

    fn kind(&self, at: usize) -> Option<tidegate_core::spec::FieldKind> {
        self.shape.kind(at)
    }

    /// All that was collected, in parcels; and how many calls are in none, since theirs would be too long.
    pub(in crate::monitors) fn parcels(&mut self, by: &str) -> (Vec<String>, u64) {
        let mut all: Vec<(u64, Handed)> = Vec::new();
        let parcel =
            || Handed { handed: FORM, by: by.to_owned(), seq: 0, of: Vec::new(), said: Vec::new(), anew: None };
        if let Some(who) = self.anew.take() {
            all.push((0, Handed { anew: Some(who), ..parcel() }));
        }
        for (Watched { model, version }, mut collected) in std::mem::take(&mut self.watched) {
            let mut parts = collected.parts;
            parts.extend(collected.windows.drain_within(PARCEL_BYTES));
            for rows in chunks(collected.rows) {
                let parts = std::mem::take(&mut parts);
                let calls = parts.iter().map(|part| part.pane.rows()).sum::<u64>() + rows.len() as u64;
                if calls > 0 {
                    let of = vec![Of { model: model.clone(), version, parts, rows }];
                    all.push((calls, Handed { of, ..parcel() }));
                }
            }
        }
        self.bytes = 0;
        let mut said = std::mem::take(&mut self.said);
        while !said.is_empty() {
            let later = said.split_off(said.len().min(PARCEL_SAID));
            // Behind the calls: what is said of a call comes after it.
            match all.last_mut() {
                Some((_, last)) if last.said.is_empty() => last.said = said,
                _ => all.push((0, Handed { said, ..parcel() })),
            }
            said = later;
        }
        let (mut texts, mut lost) = (Vec::new(), 0);
        for (calls, mut handed) in all {
            handed.seq = self.seq + 1;
            match serde_json::to_string(&handed) {
                Ok(text) if text.len() <= LONGEST => {
                    self.seq += 1;
                    texts.push(text);
                }
                _ => lost += calls,
            }
        }
        (texts, lost)
    }
}

/// Rows in lots of so many bytes; one at least, be it empty.
fn chunks(rows: Vec<Call>) -> Vec<Vec<Call>> {
    let (mut all, mut bytes) = (vec![Vec::new()], 0);
    for call in rows {
        let more = call.kept.bytes();
        if bytes + more > PARCEL_BYTES && bytes > 0 {
            all.push(Vec::new());
            bytes = 0;
        }
        bytes += more;
        if let Some(last) = all.last_mut() {
            last.push(call);
        }
    }
    all
}
