//! With what the windows of a monitor are compared: nothing, the calls that came first, or a baseline of the registry. Owns
//! that all versions are compared with the same, and when the registry is asked again.

use super::fleet;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::model_ref::ModelRef;
use tidegate_core::spec::{MonitorSpec, ReferenceSpec, WindowSpec};
use tidegate_watch::{Keep, Plan, Reference, Room, Shape, Windows};

/// How often the registry is asked what the baseline is, in milliseconds; sooner while there is none.
const ASK_EACH_MS: u64 = 60_000;
const ASK_AGAIN_MS: u64 = 5_000;
/// How much later than others of its window a call may come.
const LATENESS: Duration = Duration::from_secs(1);
/// The room for calls that wait where replicas share a monitor: others hear of all of it.
const ROOM_SHARED: Room = Room { bytes: 16 << 20, ..Room::USUAL };

/// A baseline of the registry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Baseline {
    /// The name of the registered model.
    pub(crate) model: String,
    /// The version.
    pub(crate) version: u32,
    /// The baseline, as the registry keeps it.
    pub(crate) json: Json,
}

/// With what windows are compared.
#[derive(Debug)]
pub(super) struct Basis {
    wanted: ReferenceSpec,
    reference: Option<Arc<Reference>>,
    /// Whether the registry is being asked.
    is_asked: bool,
    again_ms: u64,
    /// The baseline in use.
    used: Option<Baseline>,
    /// What is lacking, where anything is.
    lacks: Option<String>,
    /// Whether windows are of what replicas collect.
    is_shared: bool,
}

impl Basis {
    /// The basis of a monitor; `kept` is what the calls made that came first.
    pub(super) fn open(wanted: &ReferenceSpec, shape: &Shape, kept: Option<Reference>) -> Self {
        let is_first = matches!(wanted, ReferenceSpec::First(_));
        Self {
            wanted: wanted.clone(),
            reference: kept.filter(|kept| is_first && kept.fits(shape)).map(Arc::new),
            is_asked: false,
            again_ms: 0,
            used: None,
            lacks: None,
            is_shared: false,
        }
    }

    /// The same, of windows of what replicas collect.
    pub(super) const fn shared(mut self) -> Self {
        self.is_shared = true;
        self
    }

    /// With what windows are compared, once that is known.
    pub(super) const fn reference(&self) -> Option<&Arc<Reference>> {
        self.reference.as_ref()
    }

    /// Another replica says with what windows are compared, or that nothing is known.
    pub(super) fn given(&mut self, reference: Option<Reference>, shape: &Shape) {
        if self.wanted != ReferenceSpec::None {
            self.reference = reference.filter(|reference| reference.fits(shape)).map(Arc::new);
            // Who leads asks the registry at once whether it is so still.
            (self.used, self.again_ms) = (None, 0);
        }
    }

    /// Whether windows can begin.
    pub(super) const fn is_ready(&self) -> bool {
        !matches!(self.wanted, ReferenceSpec::Registry(_)) || self.reference.is_some()
    }

    /// Windows of a version.
    ///
    /// # Errors
    /// They cannot be, and why.
    pub(super) fn windows(&self, shape: &Shape, keep: Keep, spec: WindowSpec) -> Result<Windows, String> {
        let plan = Plan::new(shape.clone(), self.reference.clone(), keep).map_err(|fault| fault.to_string())?;
        let plan = Arc::new(plan);
        let windows = if self.is_shared {
            Windows::judging(plan, spec, fleet::LATENESS).map(|windows| windows.room(ROOM_SHARED))
        } else {
            Windows::new(plan, spec, LATENESS)
        };
        let windows = windows.map_err(|fault| fault.to_string())?;
        Ok(match self.wanted {
            ReferenceSpec::First(first) => windows.first(first),
            ReferenceSpec::None | ReferenceSpec::Registry(_) => windows,
        })
    }

    /// One of these may have gathered what all are compared with from then on; whether that is so.
    pub(super) fn spread<'w>(&mut self, all: impl Iterator<Item = &'w mut Windows>) -> bool {
        if self.reference.is_some() || !matches!(self.wanted, ReferenceSpec::First(_)) {
            return false;
        }
        let mut all: Vec<&mut Windows> = all.collect();
        let Some(reference) = all.iter().find_map(|windows| windows.reference().cloned()) else { return false };
        self.settle(reference, all.drain(..));
        true
    }

    /// From now on windows are compared with this.
    fn settle<'w>(&mut self, reference: Arc<Reference>, all: impl Iterator<Item = &'w mut Windows>) {
        for windows in all {
            if let Err(fault) = windows.adopt(Arc::clone(&reference)) {
                tracing::error!(%fault, "the windows of a version cannot be compared with what others are");
            }
        }
        self.reference = Some(reference);
    }

    /// Of which version the registry is to be asked for the baseline now.
    pub(super) fn due(&mut self, now_ms: u64) -> Option<ModelRef> {
        let ReferenceSpec::Registry(reference) = &self.wanted else { return None };
        if self.is_asked || now_ms < self.again_ms {
            return None;
        }
        self.is_asked = true;
        Some(reference.clone())
    }

    /// The registry answered. With another baseline windows begin anew.
    ///
    /// # Errors
    /// What it answered is none for these columns, or it answered nothing; what windows are compared with stays.
    pub(super) fn answered<'w>(
        &mut self,
        now_ms: u64,
        baseline: Result<Baseline, String>,
        shape: &Shape,
        all: impl Iterator<Item = &'w mut Windows>,
    ) -> Result<(), String> {
        self.is_asked = false;
        self.again_ms = now_ms + if baseline.is_ok() { ASK_EACH_MS } else { ASK_AGAIN_MS };
        let read = baseline.and_then(|baseline| {
            if self.used.as_ref() == Some(&baseline) {
                return Ok(());
            }
            let reference = Reference::from_baseline(shape, &baseline.json).map_err(|fault| fault.to_string())?;
            self.used = Some(baseline);
            self.settle(Arc::new(reference), all);
            Ok(())
        });
        self.lacks = read.as_ref().err().cloned();
        read
    }

    /// The version of the registry whose baseline is in use.
    pub(super) fn version(&self) -> Option<(&str, u32)> {
        self.used.as_ref().map(|used| (used.model.as_str(), used.version))
    }

    /// What is to be kept of it: what cannot be had again.
    pub(super) fn saved(&self) -> Option<Reference> {
        let is_first = matches!(self.wanted, ReferenceSpec::First(_));
        self.reference.as_ref().filter(|_| is_first).map(|reference| Reference::clone(reference))
    }

    /// How far it is, for people. `gathered` says how many calls of how many were gathered.
    pub(super) fn shown(&self, gathered: Option<(u64, u64)>) -> Json {
        let from = match &self.wanted {
            ReferenceSpec::None => return json!({"from": "nothing"}),
            ReferenceSpec::Registry(reference) => json!({"registry": reference.to_string()}),
            ReferenceSpec::First(first) => json!({"first": first}),
        };
        let waits = match (&self.reference, &self.lacks, gathered) {
            (_, Some(why), _) => Some(why.clone()),
            (Some(_), None, _) => None,
            (None, None, Some((have, of))) => Some(format!("{have} of {of} calls are gathered")),
            (None, None, None) => Some("nothing was read or gathered yet".to_owned()),
        };
        json!({
            "from": from,
            "version": self.version().map(|(model, version)| format!("models:/{model}/{version}")),
            "rows": self.reference.as_ref().map(|reference| reference.rows()),
            "is_ready": self.reference.is_some(),
            "waits_for": waits,
            "knows_nothing_of": self.reference.as_ref().map(|reference| reference.lacks().collect::<Vec<_>>()),
        })
    }
}

/// Whether the windows of a monitor can be.
///
/// # Errors
/// They cannot, and how to mend it.
pub(super) fn can_be(spec: &MonitorSpec) -> Result<(), String> {
    let basis = Basis::open(&ReferenceSpec::None, &Shape::default(), None);
    basis.windows(&Shape::of(&spec.fields), Keep::NONE, spec.window).map(drop)
}
