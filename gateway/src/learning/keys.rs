//! The keys under which callers said something, so that it is taken once. Owns how many are known again; both a key and what
//! was said under it are digests.

use std::collections::{HashMap, VecDeque};
use tidegate_core::{Fault, FaultKind};

/// How many keys are known again.
const MOST: usize = 100_000;

/// The newest keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    said: HashMap<String, String>,
    order: VecDeque<String>,
}

impl Keys {
    /// Knows a key again, and what was said under it.
    pub(super) fn add(&mut self, (key, said): (String, String)) {
        self.order.push_back(key.clone());
        self.said.insert(key, said);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.said.remove(&oldest);
        }
    }

    /// Whether the same was said under this key before.
    ///
    /// # Errors
    /// Something else was.
    pub(super) fn knows(&self, once: Option<&(String, String)>) -> Result<bool, Fault> {
        match once.and_then(|(key, said)| self.said.get(key).map(|before| before == said)) {
            None => Ok(false),
            Some(true) => Ok(true),
            Some(false) => {
                let says = "this idempotency key was sent with another value before: take a new one for each";
                Err(Fault::new(FaultKind::Conflict, says))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_keys_are_known_and_what_was_said_under_them() {
        let once = |key: usize, said: &str| (key.to_string(), said.to_owned());
        let mut keys = Keys::default();
        (0..=MOST).for_each(|key| keys.add(once(key, "yes")));
        let knows = |key, said| keys.knows(Some(&once(key, said))).map_err(|fault| fault.kind);
        assert_eq!((knows(0, "yes"), knows(1, "yes"), knows(1, "no")), (Ok(false), Ok(true), Err(FaultKind::Conflict)));
        assert_eq!(keys.knows(None).ok(), Some(false));
    }
}
