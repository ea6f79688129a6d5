//! How far a version has come to the replicas. Owns the decision alone: what replicas do is noted by themselves.

use tidegate_core::port::models::{ReplicaServing, ServingState};

/// How far a version has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rollout {
    /// So many replicas have the reference, and all serve it.
    Done(usize),
    /// No replica has the reference.
    Nobody,
    /// These do not serve it yet.
    Underway {
        /// How many do.
        serve: usize,
        /// The others, and what they do instead.
        others: Vec<String>,
    },
    /// A replica could not load it.
    Refused {
        /// The replica.
        replica: String,
        /// Why.
        reason: String,
    },
}

impl Rollout {
    /// How far `version` has come to those who have `reference`.
    #[must_use]
    pub fn of(all: &[ReplicaServing], reference: &str, version: u32) -> Self {
        let having: Vec<&ReplicaServing> = all.iter().filter(|one| one.reference == reference).collect();
        let refuses = |one: &&&ReplicaServing| one.state == ServingState::Refused && one.version == version;
        if let Some(refusal) = having.iter().find(refuses) {
            return Self::Refused { replica: refusal.replica.to_string(), reason: refusal.reason.clone() };
        }
        let (serving, others): (Vec<&ReplicaServing>, Vec<&ReplicaServing>) =
            having.into_iter().partition(|one| one.state == ServingState::Serves && one.version == version);
        match (serving.len(), others.is_empty()) {
            (0, true) => Self::Nobody,
            (serve, true) => Self::Done(serve),
            (serve, false) => {
                let does = |one: &ReplicaServing| format!("{} {} {}", one.replica, one.state.as_str(), one.version);
                Self::Underway { serve, others: others.into_iter().map(does).collect() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(replica: &str, reference: &str, version: u32, state: ServingState) -> ReplicaServing {
        ReplicaServing {
            replica: replica.parse().unwrap(),
            reference: reference.into(),
            version,
            state,
            reason: if state == ServingState::Refused { "damaged".into() } else { String::new() },
            at: 0,
        }
    }

    #[test]
    fn a_version_has_come_when_all_who_have_the_reference_serve_it() {
        use ServingState::{Loads, Refused, Serves};
        let reference = "models:/m@champion";
        let of = |all: &[ReplicaServing]| Rollout::of(all, reference, 2);
        assert_eq!(of(&[]), Rollout::Nobody);
        assert_eq!(of(&[one("a", "models:/m@other", 1, Serves)]), Rollout::Nobody);
        let (a, other) = (one("a", reference, 2, Serves), one("c", "models:/m/1", 1, Serves));
        assert_eq!(of(&[a.clone(), other.clone()]), Rollout::Done(1));
        let late = [a.clone(), one("b", reference, 1, Serves), one("d", reference, 2, Loads), other];
        let others = vec!["b serves 1".to_owned(), "d loads 2".to_owned()];
        assert_eq!(of(&late), Rollout::Underway { serve: 1, others });
        // A refusal of another version says nothing of this one.
        let before = [a.clone(), one("b", reference, 1, Refused)];
        assert_eq!(of(&before), Rollout::Underway { serve: 1, others: vec!["b refused 1".to_owned()] });
        let refused = [a, one("b", reference, 2, Refused), one("d", reference, 2, Loads)];
        assert_eq!(of(&refused), Rollout::Refused { replica: "b".into(), reason: "damaged".into() });
    }
}
