//! What monitors say now, for rollouts, cascades and whoever else asks. Owns that asking costs no more than a look.

use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_core::MonitorName;
use tidegate_core::port::verdicts::{Verdict, Verdicts};
use tidegate_core::spec::Watched;

/// The newest verdicts.
#[derive(Debug, Default)]
pub(crate) struct Board(ArcSwap<BTreeMap<MonitorName, Standing>>);

/// What a monitor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// Of all that it watches.
    pub(super) all: Verdict,
    /// Of each version of a model by itself.
    pub(super) of: BTreeMap<Watched, Verdict>,
}

impl Board {
    /// Puts up what each monitor says; of others nothing is known.
    #[cfg_attr(not(feature = "host"), expect(dead_code, reason = "without plugins nobody judges"))]
    pub(super) fn put_up(&self, all: BTreeMap<MonitorName, Standing>) {
        if **self.0.load() != all {
            self.0.store(Arc::new(all));
        }
    }
}

impl Verdicts for Board {
    fn verdict(&self, monitor: &MonitorName) -> Verdict {
        self.0.load().get(monitor).map_or(Verdict::Unknown, |standing| standing.all.clone())
    }

    fn verdict_of(&self, monitor: &MonitorName, watched: &Watched) -> Verdict {
        let all = self.0.load();
        let one = all.get(monitor).and_then(|standing| standing.of.get(watched));
        one.cloned().unwrap_or(Verdict::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_does_not_stand_there_nothing_is_known() {
        let (board, drift): (Board, MonitorName) = (Board::default(), "drift".parse().unwrap());
        let of = |model: &str, version| Watched { model: model.parse().unwrap(), version };
        assert_eq!(board.verdict(&drift), Verdict::Unknown);
        assert_eq!(board.verdict_of(&drift, &of("small", Some(2))), Verdict::Unknown);
        let alarm = Verdict::Alarm("amount".to_owned());
        let versions = [(of("small", Some(1)), Verdict::Well), (of("small", Some(2)), alarm.clone())];
        board.put_up(BTreeMap::from([(drift.clone(), Standing { all: alarm.clone(), of: versions.into() })]));
        assert_eq!(board.verdict(&drift), alarm);
        assert_eq!(board.verdict_of(&drift, &of("small", Some(2))), alarm);
        assert_eq!(board.verdict_of(&drift, &of("small", Some(1))), Verdict::Well, "each version by itself");
        assert_eq!(board.verdict_of(&drift, &of("big", None)), Verdict::Unknown);
        board.put_up(BTreeMap::new());
        assert_eq!(board.verdict(&drift), Verdict::Unknown);
    }
}
