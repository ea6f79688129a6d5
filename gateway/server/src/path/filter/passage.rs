//! How a stream goes to its caller where filters have a word in it: through them, or another answer instead.

use super::deltas::{Deltas, Passed};
use super::made::Known;
use bytes::Bytes;
use tidegate_core::{Api, Ledger, Usage};

/// The way of one stream.
#[derive(Debug)]
pub(crate) enum Passage {
    /// Delta by delta.
    Deltas(Deltas),
    /// A filter's answer, when the model's is over.
    Instead(Instead),
}

/// What goes out instead.
#[derive(Debug)]
pub(crate) struct Instead {
    pub(super) api: Api,
    pub(super) known: Known,
    pub(super) text: String,
    /// Whether the caller wants the tokens in it.
    pub(super) wants_usage: bool,
}

impl Passage {
    /// Takes the next events, and hands on what goes out; `usage` is what is known of the tokens so far.
    pub(crate) fn pass(&mut self, frame: Bytes, is_last: bool, usage: Option<Usage>) -> Passed {
        match self {
            Self::Deltas(deltas) => deltas.pass(frame, is_last),
            Self::Instead(instead) => {
                let usage = usage.filter(|_| instead.wants_usage);
                let events = || instead.known.events(instead.api, &instead.text, usage);
                Passed { bytes: if is_last { events() } else { Bytes::new() }, fault: None }
            }
        }
    }

    /// Notes what each filter did that looked at the deltas.
    pub(crate) fn note(&self, ledger: &mut Ledger) {
        if let Self::Deltas(deltas) = self {
            deltas.note(ledger);
        }
    }
}
