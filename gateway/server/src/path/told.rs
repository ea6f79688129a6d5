//! Who is told of an answer while it goes out: what is kept of it, the copies for shadows, who looks at its form, who watches.
//! Owns that all hear every part that is sent, and who of them is told of an answer that did not come to its end.

use crate::path::copy::Copies;
use crate::path::examine::Examine;
use crate::path::keep::Keep;
use crate::path::watch::Watching;
use bytes::Bytes;
use tidegate_core::Ledger;

/// All who are told.
#[derive(Debug)]
pub(crate) struct Told {
    /// What is kept of the content.
    pub(crate) keep: Keep,
    /// What shadows get of it.
    pub(crate) copies: Copies,
    /// What looks at its form, where that is wanted.
    pub(crate) examine: Option<Box<Examine>>,
    /// Who gets it when it is over, where anybody watches.
    pub(crate) watching: Option<Box<Watching>>,
}

impl Told {
    /// This part goes out.
    pub(crate) fn part(&mut self, bytes: &Bytes) {
        self.keep.part(bytes);
        self.copies.part(bytes);
        if let Some(examine) = &mut self.examine {
            examine.part(bytes);
        }
        if let Some(watching) = &mut self.watching {
            watching.part(bytes);
        }
    }

    /// Nothing more goes out; `is_whole` where it is all of the answer.
    pub(crate) fn end(&mut self, is_whole: bool, ledger: &mut Ledger) {
        self.keep.end(ledger);
        if !is_whole {
            return;
        }
        self.copies.send(ledger);
        if let Some(examine) = &mut self.examine {
            examine.end(ledger);
        }
        if let Some(watching) = &mut self.watching {
            watching.end(ledger);
        }
    }
}
