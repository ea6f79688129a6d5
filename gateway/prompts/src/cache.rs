//! Compiled prompts by the tree of their folder: the same files are the same prompt. Owns what is kept and for how long.

use crate::fault::SourceFault;
use crate::template::Prompt;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_core::CommitSha;

/// The most prompts kept.
const PROMPTS: usize = 512;
/// The most bytes of their files.
const BYTES: u64 = 32 << 20;

pub(crate) type Compiled = Result<Arc<Prompt>, SourceFault>;

#[derive(Debug, Default)]
pub(crate) struct Cache {
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    by_tree: HashMap<CommitSha, Slot>,
    bytes: u64,
    turn: u64,
}

#[derive(Debug)]
struct Slot {
    compiled: Compiled,
    bytes: u64,
    used: u64,
}

impl Cache {
    pub(crate) fn get(&self, tree: CommitSha) -> Option<Compiled> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.turn += 1;
        let turn = slots.turn;
        let slot = slots.by_tree.get_mut(&tree)?;
        slot.used = turn;
        Some(slot.compiled.clone())
    }

    pub(crate) fn put(&self, tree: CommitSha, compiled: Compiled) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = compiled.as_ref().map_or(0, |prompt| prompt.bytes());
        while slots.by_tree.len() >= PROMPTS || slots.bytes + bytes > BYTES {
            let Some(oldest) = slots.by_tree.iter().min_by_key(|(_, slot)| slot.used).map(|(tree, _)| *tree) else {
                break;
            };
            slots.bytes -= slots.by_tree.remove(&oldest).map_or(0, |slot| slot.bytes);
        }
        slots.bytes += bytes;
        let used = slots.turn;
        if let Some(old) = slots.by_tree.insert(tree, Slot { compiled, bytes, used }) {
            slots.bytes -= old.bytes;
        }
    }
}
