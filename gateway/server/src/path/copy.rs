//! Copies of a call for the shadows of its route. Owns when a copy is made: after the caller has his whole answer, and only
//! where a shadow has a place for it.

use crate::path::arrive::Arrived;
use crate::path::attempt::deadlines;
use crate::path::filter::asked::TextEdit;
use crate::path::prompt::Wanted;
use crate::path::send::{predict, splice};
use crate::snapshot::{Route, ShadowArm, Snapshot};
use bytes::Bytes;
use http::HeaderMap;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::aside::Aside;
use tidegate_core::port::backend::{Call, Turn};
use tidegate_core::port::shadow::{Copied, Place, Primary, Shadow};
use tidegate_core::spec::Priority;
use tidegate_core::{Dice, Ledger};

/// The most of one answer that is kept to be compared; a longer one is not compared.
const MOST: usize = 1024 * 1024;

/// The copies that one call will have.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    /// Who takes each, what he is asked, and the place that is held for it.
    wanted: Vec<(Arc<dyn Shadow>, Call, Place)>,
    stream: bool,
    answer: Vec<Bytes>,
    kept: usize,
}

impl Copies {
    /// Those of a call whose answer has begun, with the texts that filters put in. A shadow whose prompt cannot be rendered gets
    /// none.
    pub(crate) fn of(
        route: &Route,
        snapshot: &Snapshot,
        arrived: &Arrived,
        put: (&Wanted, &[TextEdit]),
        headers: &Arc<HeaderMap>,
        dice: &dyn Dice,
    ) -> Self {
        let mut copies = Self { stream: arrived.scan.stream, ..Self::default() };
        for shadow in &route.shadows {
            if shadow.share < 1.0 && dice.unit() >= shadow.share {
                continue;
            }
            let Some(place) = shadow.taker.place() else { continue };
            if let Some(call) = call(shadow, route, snapshot, arrived, put, headers) {
                copies.wanted.push((Arc::clone(&shadow.taker), call, place));
            }
        }
        copies
    }

    /// Takes a part of the answer.
    pub(crate) fn part(&mut self, bytes: &Bytes) {
        if !self.wanted.is_empty() {
            self.kept += bytes.len();
            if self.kept > MOST {
                // Its places are free again.
                self.wanted.clear();
                self.answer.clear();
                return;
            }
            self.answer.push(bytes.clone());
        }
    }

    /// The answer is whole: the copies go out.
    pub(crate) fn send(&mut self, ledger: &Ledger) {
        if self.wanted.is_empty() {
            return;
        }
        let Some(event) = ledger.event() else { return };
        let (answer, us, usd) = (std::mem::take(&mut self.answer), ledger.elapsed_us(), ledger.cost());
        for (taker, mut call, place) in self.wanted.drain(..) {
            call.turn.tenant = event.tenant.clone();
            // What draws by the call draws as it did for the caller.
            call.aside = Some(Arc::new(Aside { call: Some(event.id), ..Aside::default() }));
            let primary = Primary { variant: event.variant.clone(), answer: answer.clone(), us, usd };
            taker.take(Copied { of: event.id, call, stream: self.stream, primary }, place);
        }
    }
}

fn call(
    shadow: &ShadowArm,
    route: &Route,
    snapshot: &Snapshot,
    arrived: &Arrived,
    (wanted, edits): (&Wanted, &[TextEdit]),
    headers: &Arc<HeaderMap>,
) -> Option<Call> {
    let front = wanted.render(snapshot, &shadow.arm, arrived).ok()?.map(|(front, _)| front);
    Some(Call {
        api: arrived.api,
        model: shadow.arm.model.clone(),
        adapter: shadow.arm.adapter.clone(),
        body: splice(arrived, &shadow.arm, front.as_ref(), edits).ok()?,
        headers: Arc::clone(headers),
        // Shadows are one caller, and behind all who wait for an answer. Whose the prompt is, is known when it goes out.
        turn: Turn { priority: Priority::Background, ..Turn::default() },
        deadlines: deadlines(route.spec.timeouts, Duration::ZERO),
        avoid: None,
        taken: None,
        predict: predict(&shadow.arm, arrived),
        aside: None,
    })
}
