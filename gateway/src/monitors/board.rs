//! What monitors say now, for rollouts and whoever else asks. Owns that asking costs no more than a look.

use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_core::MonitorName;
use tidegate_core::port::verdicts::{Verdict, Verdicts};

/// The newest verdicts.
#[derive(Debug, Default)]
pub(crate) struct Board(ArcSwap<BTreeMap<MonitorName, Verdict>>);

impl Board {
    /// Puts up what each monitor says; of others nothing is known.
    #[cfg_attr(not(feature = "host"), expect(dead_code, reason = "without plugins nobody judges"))]
    pub(super) fn put_up(&self, all: BTreeMap<MonitorName, Verdict>) {
        if **self.0.load() != all {
            self.0.store(Arc::new(all));
        }
    }
}

impl Verdicts for Board {
    fn verdict(&self, monitor: &MonitorName) -> Verdict {
        self.0.load().get(monitor).cloned().unwrap_or(Verdict::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_does_not_stand_there_nothing_is_known() {
        let (board, drift): (Board, MonitorName) = (Board::default(), "drift".parse().unwrap());
        assert_eq!(board.verdict(&drift), Verdict::Unknown);
        board.put_up(BTreeMap::from([(drift.clone(), Verdict::Alarm("amount".to_owned()))]));
        assert_eq!(board.verdict(&drift), Verdict::Alarm("amount".to_owned()));
        board.put_up(BTreeMap::new());
        assert_eq!(board.verdict(&drift), Verdict::Unknown);
    }
}
