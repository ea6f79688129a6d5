//! Who watches a route gets the calls that were answered to their end. Owns when they are told: when the caller has his whole
//! answer, and only those who had a place for the call when it began. Who wants to know is told of calls, too, that were
//! refused since their inputs break a contract. And of answers that a cascade holds back because of
//! an alarm, without which that alarm could never end.

use crate::path::permit::Admitted;
use bytes::Bytes;
use std::sync::Arc;
use tidegate_core::port::shadow::Place;
use tidegate_core::port::watcher::{Answered, Watcher};
use tidegate_core::{Caller, Fault, Ledger};

/// The most of one answer that is kept to be watched; a longer one is not.
const MOST: usize = 1024 * 1024;

/// What watchers will get of one call.
#[derive(Debug)]
pub(crate) struct Watching {
    /// Who, and the place that is held for it.
    wanted: Vec<(Arc<dyn Watcher>, Place)>,
    caller: Caller,
    request: Bytes,
    stream: bool,
    answer: Vec<Bytes>,
    kept: usize,
    violations: Option<u32>,
}

impl Watching {
    /// That of a call whose answer has begun; nothing where nobody has a place for it.
    pub(crate) fn of(admitted: &Admitted, violations: Option<u32>, ledger: &Ledger) -> Option<Box<Self>> {
        Self::by(admitted, violations, ledger, |_| true)
    }

    /// Tells of a call that was refused since its inputs break a contract.
    pub(crate) fn refused(admitted: &Admitted, fault: &Fault, ledger: &Ledger) {
        let violations = Some(fault.violations.max(1).into());
        if let Some(mut watching) = Self::by(admitted, violations, ledger, |watcher| watcher.takes_refused()) {
            watching.end(ledger);
        }
    }

    fn by(
        admitted: &Admitted,
        violations: Option<u32>,
        ledger: &Ledger,
        is_told: impl Fn(&dyn Watcher) -> bool,
    ) -> Option<Box<Self>> {
        let watchers = &admitted.route.watchers;
        if watchers.is_empty() {
            return None;
        }
        let call = ledger.event()?.id;
        let place = |watcher: &Arc<dyn Watcher>| Some((Arc::clone(watcher), watcher.place(call)?));
        let wanted: Vec<_> = watchers.iter().filter(|watcher| is_told(&***watcher)).filter_map(place).collect();
        (!wanted.is_empty()).then(|| {
            Box::new(Self {
                wanted,
                caller: admitted.caller.clone(),
                request: admitted.arrived.bytes.clone(),
                stream: admitted.arrived.scan.stream,
                answer: Vec::new(),
                kept: 0,
                violations,
            })
        })
    }

    /// Tells of an answer that a monitor's alarm holds back, whose arm the record names now. Where filters look at the
    /// answers of the route they did not see this one, and nobody does.
    pub(crate) fn held_back(admitted: &Admitted, parts: &[Bytes], ledger: &Ledger) {
        if admitted.route.filters.iter().any(|filter| filter.spec.at_answer) {
            return;
        }
        let Some(mut watching) = Self::of(admitted, None, ledger) else { return };
        parts.iter().for_each(|part| watching.part(part));
        watching.end(ledger);
    }

    /// Takes a part of the answer.
    pub(crate) fn part(&mut self, bytes: &Bytes) {
        if self.wanted.is_empty() {
            return;
        }
        self.kept += bytes.len();
        if self.kept > MOST {
            // Its places are free again.
            self.wanted.clear();
            self.answer = Vec::new();
            return;
        }
        self.answer.push(bytes.clone());
    }

    /// The answer is whole: the watchers are told.
    pub(crate) fn end(&mut self, ledger: &Ledger) {
        let (Some(event), false) = (ledger.event(), self.wanted.is_empty()) else { return };
        let Some(route) = event.route.clone() else { return };
        let answered = Arc::new(Answered {
            id: event.id,
            unix_ms: event.unix_ms,
            route,
            variant: event.variant.clone(),
            model: event.model.clone(),
            model_version: event.model_version,
            caller: self.caller.clone(),
            request: self.request.clone(),
            answer: std::mem::take(&mut self.answer),
            stream: self.stream,
            violations: self.violations,
        });
        for (watcher, place) in self.wanted.drain(..) {
            watcher.take(Arc::clone(&answered), place);
        }
    }
}

#[cfg(test)]
mod tests;
