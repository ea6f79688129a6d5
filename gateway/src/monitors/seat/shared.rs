//! A monitor that replicas share: what is asked of the store for it, and what an answer does to it. Owns what of a parcel goes
//! where, and that a state is taken whole or not at all; when it is asked is the worker's.

use super::saved::{Saved, identity};
use super::{Basis, Seat};
use crate::monitors::counts::Left;
use crate::monitors::fleet::{Collector, Member, Replica, Turn};
use serde_json::Value as Json;
use tidegate_core::Tenant;
use tidegate_core::digest::Digest;
use tidegate_core::port::parcels::{Answer, Ask};
use tidegate_core::spec::{MonitorSpec, Watched};
use tidegate_watch::handed::FORM;
use tidegate_watch::{Handed, Keep, Marks, Reference, Shape};

/// Whole rows of a window take so many bytes at most: others hear of all of them.
const KEPT_BYTES: usize = 8 << 20;

/// The same, in less room.
pub(super) fn less(keep: Keep) -> Keep {
    Keep { bytes: keep.bytes.min(KEPT_BYTES), ..keep }
}

pub(super) fn basis(basis: Basis, is_shared: bool) -> Basis {
    if is_shared { basis.shared() } else { basis }
}

/// How a monitor stands among replicas before it has asked any.
pub(super) fn member(spec: &MonitorSpec, shape: &Shape, keep: Keep, replica: Replica) -> Result<Box<Member>, String> {
    // In braces, so that all of it lies in one place of a cluster.
    let key = format!("tidegate:{{monitor:{}:{}:{}}}", spec.name, identity(spec), keep.rows);
    Ok(Box::new(Member::new(key, replica, Collector::new(spec, shape, keep)?)))
}

/// Names a tenant in no room.
pub(in crate::monitors) fn whose(tenant: &Tenant) -> u64 {
    let digest = Digest::of(tenant.as_str().as_bytes());
    digest.as_bytes().iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte))
}

/// What follows from an answer for the monitor itself.
#[derive(Debug, Default)]
pub(in crate::monitors) struct Heard {
    pub(in crate::monitors) deeds: Vec<crate::monitors::deed::Deed>,
    /// It leads from now on.
    pub(in crate::monitors) begins: bool,
    /// What is to be taken in, in order.
    pub(in crate::monitors) parcels: Vec<String>,
    /// Whether more waits.
    pub(in crate::monitors) more: bool,
}

impl Seat {
    /// What is asked of the store now, where replicas share it.
    pub(in crate::monitors) fn ask(&mut self, now_ms: u64) -> Option<Ask> {
        let bytes = self.bytes();
        let is_due = self.member.as_ref()?.is_due(now_ms, bytes);
        if is_due {
            self.stow();
        }
        let member = self.member.as_mut()?;
        let (ask, lost) = member.ask();
        if lost > 0 {
            tracing::error!(monitor = %self.spec.name, calls = lost, "what came is too long to be handed over: it is left out");
            self.counts.left_all(Left::Way, lost);
        }
        Some(ask)
    }

    /// The last that is asked: what came is handed over, and nobody leads any more.
    pub(in crate::monitors) fn last_ask(&mut self) -> Option<Ask> {
        let member = self.member.as_mut()?;
        if member.is_leader && (member.is_new || member.is_pressed()) && !member.is_stowing() {
            self.stow();
        }
        let (ask, lost) = self.member.as_mut()?.ask();
        self.counts.left_all(Left::Way, lost);
        Some(Ask { leaves: true, ..ask })
    }

    fn stow(&mut self) {
        let basis =
            self.basis.reference().map(|reference| (reference.id().to_string(), serde_json::to_string(&**reference)));
        let basis = match basis {
            Some((id, Ok(text))) => Some((id, text)),
            Some((_, Err(_))) => None,
            None => Some((String::new(), String::new())),
        };
        let page = self.own_page().to_string();
        let page = Some((Digest::of(page.as_bytes()).short(), page));
        match (self.state(), &mut self.member) {
            (Ok(text), Some(member)) => member.stow(text, [page, basis]),
            (Err(why), _) => {
                tracing::error!(monitor = %self.spec.name, why, "a monitor cannot be told to other replicas");
            }
            _ => {}
        }
    }

    /// The store answered.
    pub(in crate::monitors) fn answered_by_store(&mut self, now_ms: u64, answer: Answer) -> Heard {
        let Some(member) = &mut self.member else { return Heard::default() };
        let before = member.footing;
        let came = member.answered(now_ms, answer);
        let now = member.footing;
        if before != now {
            tracing::info!(monitor = %self.spec.name, stands = now.name(), "a monitor that replicas share");
        }
        if let Some(text) = came.basis {
            let reference: Option<Reference> = serde_json::from_str(&text).ok();
            self.basis.given(reference, &self.shape);
        }
        let begins = matches!(came.turn, Turn::Begins(_));
        match came.turn {
            Turn::Begins(Some(text)) => self.load(&text),
            // Nobody has stowed anything: it goes on from what it has itself.
            Turn::Begins(None) => self.restore(),
            Turn::Ends | Turn::Follows => {
                self.let_go();
                // Nothing is taken of what it does not have any more.
                self.member.iter_mut().for_each(|member| member.marks = Marks::default());
            }
            Turn::Leads => {}
        }
        if let Some(member) = &mut self.member {
            member.collector.compare_with(self.basis.reference());
        }
        Heard { deeds: came.deeds, begins, parcels: came.parcels, more: came.more }
    }

    /// What windows are belongs to another one.
    fn let_go(&mut self) {
        if !self.watched.is_empty() || !self.coming.is_empty() {
            self.watched.clear();
            self.coming.clear();
            self.era += 1;
        }
    }

    /// Goes on from the state of the one who led before.
    fn load(&mut self, text: &str) {
        self.let_go();
        self.era += 1;
        let Some(saved) = Saved::read(text.as_bytes(), &self.spec) else { return };
        self.coming = saved.watched.into_iter().map(|one| (one.watched(), one)).collect();
        if let Some(member) = &mut self.member {
            member.marks = saved.marks;
        }
        self.restore();
    }

    /// Takes a parcel in, once; who wants all to begin anew, where somebody does.
    pub(in crate::monitors) fn absorb(&mut self, now_ms: u64, text: &str) -> Option<String> {
        let member = self.member.as_mut()?;
        member.is_new = true;
        let handed: Handed = match serde_json::from_str(text) {
            Ok(handed) => handed,
            Err(error) => {
                tracing::error!(monitor = %self.spec.name, %error, "what another replica handed over cannot be read");
                return None;
            }
        };
        if handed.handed != FORM {
            tracing::error!(monitor = %self.spec.name, by = handed.by, "what another replica handed over is of another version's form");
            return None;
        }
        if !member.marks.take(now_ms, &handed.by, handed.seq) {
            return None;
        }
        if handed.anew.is_some() {
            return handed.anew;
        }
        for of in handed.of {
            let watched = Watched { model: of.model, version: of.version };
            for part in of.parts {
                self.add(now_ms, &watched, part);
            }
            for call in of.rows {
                let kept = call.kept;
                if let Err(why) = self.put(now_ms, &watched, (kept.call, call.whose), kept.unix_ms, &kept.row) {
                    self.counts.left(why);
                }
            }
        }
        for said in handed.said {
            self.hear(now_ms, (said.call, said.who), said.at, &said.value);
        }
        self.spread();
        self.is_dirty = true;
        None
    }

    fn add(&mut self, now_ms: u64, watched: &Watched, part: tidegate_watch::Part) {
        let (calls, min) = (part.pane.rows(), self.spec.window.min);
        let watching = match self.watching(now_ms, watched) {
            Ok(watching) => watching,
            Err(why) => return self.counts.left_all(why, calls),
        };
        watching.last_ms = now_ms;
        let late = watching.windows.counts().late;
        let closed = watching.windows.absorb(now_ms, part);
        let late = watching.windows.counts().late - late;
        match closed {
            Ok(closed) => {
                watching.ended(closed, min);
                self.counts.left_all(Left::Time, late);
            }
            // It was counted before all heard with what windows are compared now.
            Err(fault) => {
                tracing::info!(monitor = %self.spec.name, calls, %fault, "what another replica collected does not fit any more");
                self.counts.left_all(Left::Time, calls);
            }
        }
    }

    /// All that has come is taken in: time passes, unless others may have to say something of before.
    pub(in crate::monitors) fn caught_up(&mut self, now_ms: u64) {
        if self.member.as_ref().is_some_and(|member| member.is_leader && now_ms >= member.rests_ms) {
            self.pass(now_ms);
        }
    }

    /// The store did not answer.
    pub(in crate::monitors) fn cut_off(&mut self) {
        if let Some(member) = &mut self.member {
            member.cut_off();
        }
    }

    /// Forgets all that was seen, and goes on leading.
    pub(in crate::monitors) fn start_over(&mut self) {
        self.let_go();
        self.era += 1;
        self.basis = basis(Basis::open(&self.spec.reference, &self.shape, None), true);
        if let Some(member) = &mut self.member {
            member.is_new = true;
        }
    }

    /// What another one who leads shows.
    pub(super) fn shown_by_leader(&self) -> Option<Json> {
        self.member.as_ref().and_then(|member| member.page())
    }
}
