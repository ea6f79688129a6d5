//! Whether the form of an answer is right: looked at where the route wants it, when the answer is whole. Owns what is kept of
//! an answer until then; what is right is `tidegate_core::said`'s.

use crate::path::arrive::Arrived;
use bytes::Bytes;
use tidegate_core::spec::{Implicit, RouteSpec};
use tidegate_core::{Checks, Ledger, Said};

/// The most of one answer that is looked at; nothing is said of a longer one.
const MOST: usize = 4 * 1024 * 1024;

/// An answer that is looked at when it is whole.
#[derive(Debug)]
pub(crate) struct Examine {
    is_json_asked: bool,
    /// The caller's body, which offers tools, where calls of them are looked at.
    request: Option<Bytes>,
    parts: Vec<Bytes>,
    kept: usize,
}

impl Examine {
    /// What is looked at in the answer to a call; nothing where its route does not want it.
    pub(crate) fn of(route: &RouteSpec, arrived: &Arrived) -> Option<Box<Self>> {
        let is_json_asked = route.looks_at(Implicit::ValidJson);
        let are_tools_asked = route.looks_at(Implicit::ValidToolCall);
        if !(is_json_asked || are_tools_asked) || !arrived.api.makes_text() {
            return None;
        }
        let request = are_tools_asked.then(|| arrived.bytes.clone());
        Some(Box::new(Self { is_json_asked, request, parts: Vec::new(), kept: 0 }))
    }

    /// Takes a part of the answer.
    pub(crate) fn part(&mut self, bytes: &Bytes) {
        self.kept = self.kept.saturating_add(bytes.len());
        if self.kept > MOST {
            self.parts.clear();
        } else {
            self.parts.push(bytes.clone());
        }
    }

    /// The answer is whole: notes what is found.
    pub(crate) fn end(&mut self, ledger: &mut Ledger) {
        if self.kept > MOST {
            return;
        }
        let said = Said::read(&std::mem::take(&mut self.parts));
        let checks = Checks {
            json: if self.is_json_asked { said.is_json() } else { None },
            tool_calls: self.request.as_ref().and_then(|request| said.calls_offered_tools(request)),
        };
        ledger.note(|event| event.checks = Some(checks));
    }
}
