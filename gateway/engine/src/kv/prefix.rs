//! Full blocks that are found again: by a chain of digests over all tokens up to their end, which begins with whose they
//! are. Owns which block stands for which beginning and which of those that nobody holds was used longest ago; who holds
//! what is the pool's.

use super::{BLOCK_TOKENS, BlockId};
use std::collections::{BTreeMap, HashMap};
use tidegate_core::digest::Digest;

/// Whose keys and values are shared with whom: only what agrees in all of it is. The model itself is no part of it,
/// since a pool is one loaded model's and dies with it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Salt<'a> {
    /// The tenant; those who have none share with one another.
    pub(crate) tenant: Option<&'a str>,
    /// The generation of the adapter; `None` is the bare model.
    pub(crate) adapter: Option<&'a str>,
}

/// Stands for a beginning that ends with a full block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PrefixKey(Digest);

/// The keys of a sequence's full blocks, as far as they were needed.
#[derive(Debug, Clone)]
pub(crate) struct PrefixChain {
    root: Digest,
    keys: Vec<PrefixKey>,
}

impl PrefixChain {
    /// Of no block yet.
    pub(crate) fn new(salt: Salt<'_>) -> Self {
        let mut bytes = Vec::new();
        for part in [salt.tenant, salt.adapter] {
            bytes.push(u8::from(part.is_some()));
            let part = part.unwrap_or_default().as_bytes();
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part);
        }
        Self { root: Digest::of(&bytes), keys: Vec::new() }
    }

    /// Goes on to the last full block of these tokens, whose beginning it has seen before.
    pub(crate) fn cover(&mut self, tokens: &[u32]) {
        let mut bytes = [0; 32 + 4 * BLOCK_TOKENS];
        let fresh = tokens.chunks_exact(BLOCK_TOKENS).skip(self.keys.len());
        for block in fresh {
            let before = self.keys.last().map_or(&self.root, |key| &key.0);
            bytes[..32].copy_from_slice(before.as_bytes());
            for (to, token) in bytes[32..].chunks_exact_mut(4).zip(block) {
                to.copy_from_slice(&token.to_le_bytes());
            }
            self.keys.push(PrefixKey(Digest::of(&bytes)));
        }
    }

    /// The keys so far, block by block.
    pub(crate) fn keys(&self) -> &[PrefixKey] {
        &self.keys
    }
}

/// Which blocks stand for which beginnings.
#[derive(Default)]
pub(super) struct Prefixes {
    blocks: HashMap<PrefixKey, BlockId>,
    /// The key of each block that has one.
    keys: Vec<Option<PrefixKey>>,
    /// Those that nobody holds, the one let go longest ago first.
    idle: BTreeMap<u64, BlockId>,
    /// When each block was let go, in the order of such events.
    since: Vec<u64>,
    events: u64,
}

impl Prefixes {
    pub(super) fn new(blocks: usize) -> Self {
        Self { keys: vec![None; blocks], since: vec![0; blocks], ..Self::default() }
    }

    pub(super) fn find(&self, key: PrefixKey) -> Option<BlockId> {
        self.blocks.get(&key).copied()
    }

    /// Lets a block stand for a beginning that no other stands for.
    pub(super) fn name(&mut self, key: PrefixKey, block: BlockId) {
        self.blocks.insert(key, block);
        self.keys[block.0 as usize] = Some(key);
    }

    /// Somebody holds a block again that nobody held.
    pub(super) fn woken(&mut self, block: BlockId) {
        self.idle.remove(&self.since[block.0 as usize]);
    }

    /// Nobody holds a block any more; whether it is kept.
    pub(super) fn let_go(&mut self, block: BlockId) -> bool {
        if self.keys[block.0 as usize].is_none() {
            return false;
        }
        self.events += 1;
        self.since[block.0 as usize] = self.events;
        self.idle.insert(self.events, block);
        true
    }

    /// Forgets the block that nobody held for the longest.
    pub(super) fn forget_oldest(&mut self) -> Option<BlockId> {
        let (_, block) = self.idle.pop_first()?;
        if let Some(key) = self.keys[block.0 as usize].take() {
            self.blocks.remove(&key);
        }
        Some(block)
    }

    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(salt: Salt<'_>, tokens: &[u32]) -> PrefixKey {
        let mut chain = PrefixChain::new(salt);
        chain.cover(tokens);
        *chain.keys().last().unwrap()
    }

    #[test]
    fn a_key_stands_for_all_before_it_and_for_whose_it_is() {
        let tokens: Vec<u32> = (0..70).collect();
        let of = |tenant, adapter| last(Salt { tenant, adapter }, &tokens);
        let mine = of(Some("a"), None);
        assert_eq!(mine, of(Some("a"), None));
        for other in [of(Some("b"), None), of(None, None), of(Some(""), None), of(Some("a"), Some("x"))] {
            assert_ne!(mine, other);
        }
        assert_ne!(of(Some("ab"), Some("c")), of(Some("a"), Some("bc")));
        assert_ne!(of(Some("a"), None), of(None, Some("a")));
        let mut changed = tokens.clone();
        changed[0] = 9;
        assert_ne!(last(Salt::default(), &tokens), last(Salt::default(), &changed));
        changed = tokens.clone();
        changed[69] = 1;
        assert_eq!(last(Salt::default(), &tokens), last(Salt::default(), &changed), "only full blocks count");
    }

    #[test]
    fn a_chain_goes_on_as_if_made_at_once() {
        let tokens: Vec<u32> = (0..100).collect();
        let mut chain = PrefixChain::new(Salt::default());
        for end in [10, 33, 64, 64, 100] {
            chain.cover(&tokens[..end]);
        }
        let mut whole = PrefixChain::new(Salt::default());
        whole.cover(&tokens);
        assert_eq!(chain.keys(), whole.keys());
        assert_eq!(whole.keys().len(), 3);
    }
}
