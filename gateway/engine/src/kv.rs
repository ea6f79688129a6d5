//! The key and value cache: blocks of 32 tokens, allocated once, counted by reference so that several answers to one
//! prompt share it, and kept when nobody holds them until the room is needed, for prompts that begin alike (`prefix`).
//! Owns the memory and who holds what; which block belongs to which sequence is the scheduler's.

mod prefix;

use crate::kernel::{Isa, PAGE};
use prefix::Prefixes;
pub(crate) use prefix::{PrefixChain, PrefixKey, Salt};

/// Tokens in a block.
pub(crate) const BLOCK_TOKENS: usize = PAGE;

/// What one token needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KvShape {
    /// Layers of the model.
    pub(crate) layers: usize,
    /// Key-value heads of a layer.
    pub(crate) heads: usize,
    /// Numbers in a head.
    pub(crate) dim: usize,
}

impl KvShape {
    fn page(self) -> usize {
        self.dim * PAGE
    }

    fn block(self) -> usize {
        self.layers * self.heads * 2 * self.page()
    }

    /// Bytes of a block (half precision).
    pub(crate) fn block_bytes(self) -> usize {
        self.block() * 2
    }
}

/// A block in the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct BlockId(u32);

/// All blocks. Memory is touched, and so taken from the system, only as blocks are first used.
pub(crate) struct KvPool {
    shape: KvShape,
    data: Vec<u16>,
    holders: Vec<u32>,
    free: Vec<BlockId>,
    prefixes: Prefixes,
}

impl KvPool {
    /// As many blocks as fit in `bytes`.
    pub(crate) fn new(shape: KvShape, bytes: usize) -> Self {
        let blocks = (bytes / shape.block_bytes().max(1)).min(u32::MAX as usize);
        let ids = (0..blocks).rev().map(|i| BlockId(i as u32)).collect();
        Self {
            shape,
            data: vec![0; blocks * shape.block()],
            holders: vec![0; blocks],
            free: ids,
            prefixes: Prefixes::new(blocks),
        }
    }

    /// Blocks in all.
    pub(crate) fn capacity(&self) -> usize {
        self.holders.len()
    }

    /// Bytes of one.
    pub(crate) fn block_bytes(&self) -> usize {
        self.shape.block_bytes()
    }

    /// Blocks that nobody holds, kept ones among them.
    pub(crate) fn available(&self) -> usize {
        self.free.len() + self.prefixes.idle()
    }

    /// Blocks that nobody holds and that are kept.
    pub(crate) fn kept(&self) -> usize {
        self.prefixes.idle()
    }

    /// Takes a block; one that is kept only where no other is left, and then the one let go longest ago.
    pub(crate) fn take(&mut self) -> Option<BlockId> {
        let block = self.free.pop().or_else(|| self.prefixes.forget_oldest())?;
        self.holders[block.0 as usize] = 1;
        Some(block)
    }

    /// Holds the block that stands for a beginning, if there is one.
    pub(crate) fn find(&mut self, key: PrefixKey) -> Option<BlockId> {
        let block = self.prefixes.find(key)?;
        if self.holders[block.0 as usize] == 0 {
            self.prefixes.woken(block);
        }
        self.holders[block.0 as usize] += 1;
        Some(block)
    }

    /// How many of these beginnings, one after another, need no room: somebody holds their blocks already.
    pub(crate) fn shareable(&self, keys: &[PrefixKey]) -> usize {
        let found = keys.iter().map_while(|key| self.prefixes.find(*key));
        found.filter(|block| self.holders[block.0 as usize] > 0).count()
    }

    /// Lets a full block, held by the caller, stand for a beginning. Where another one does already, which then has the
    /// same numbers, the hold goes over to that one.
    pub(crate) fn publish(&mut self, block: BlockId, key: PrefixKey) -> BlockId {
        match self.find(key) {
            Some(known) => {
                self.release(block);
                known
            }
            None => {
                self.prefixes.name(key, block);
                block
            }
        }
    }

    /// Holds a block once more.
    pub(crate) fn share(&mut self, block: BlockId) {
        self.holders[block.0 as usize] += 1;
    }

    /// Gives up one hold; with the last one the block is kept where it stands for a beginning, and else free.
    pub(crate) fn release(&mut self, block: BlockId) {
        let holders = &mut self.holders[block.0 as usize];
        debug_assert!(*holders > 0, "a block was released that nobody held");
        *holders = holders.saturating_sub(1);
        if *holders == 0 && !self.prefixes.let_go(block) {
            self.free.push(block);
        }
    }

    /// Takes a block with the contents of another.
    pub(crate) fn copy(&mut self, from: BlockId) -> Option<BlockId> {
        let to = self.take()?;
        let size = self.shape.block();
        let start = from.0 as usize * size;
        self.data.copy_within(start..start + size, to.0 as usize * size);
        Some(to)
    }

    fn page_at(&self, block: BlockId, layer: usize, head: usize) -> usize {
        block.0 as usize * self.shape.block() + (layer * self.shape.heads + head) * 2 * self.shape.page()
    }

    /// The keys (transposed: `dim` × 32 tokens) and values (32 tokens × `dim`) of one head.
    pub(crate) fn page(&self, block: BlockId, layer: usize, head: usize) -> (&[u16], &[u16]) {
        let page = self.shape.page();
        self.data[self.page_at(block, layer, head)..][..2 * page].split_at(page)
    }

    /// Writes one token's keys and values of all heads of a layer.
    pub(crate) fn write(&mut self, isa: Isa, block: BlockId, layer: usize, slot: usize, keys: &[f32], values: &[f32]) {
        let (dim, page) = (self.shape.dim, self.shape.page());
        let mut half = [0u16; 512];
        for (head, (k, v)) in keys.chunks_exact(dim).zip(values.chunks_exact(dim)).enumerate() {
            let at = self.page_at(block, layer, head);
            let (to_keys, to_values) = self.data[at..][..2 * page].split_at_mut(page);
            isa.to_f16(v, &mut to_values[slot * dim..][..dim]);
            for (part, k) in k.chunks(half.len()).enumerate() {
                let half = &mut half[..k.len()];
                isa.to_f16(k, half);
                for (j, k) in half.iter().enumerate() {
                    to_keys[(part * 512 + j) * PAGE + slot] = *k;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: KvShape = KvShape { layers: 2, heads: 3, dim: 8 };

    #[test]
    fn blocks_are_given_once_and_come_back() {
        let mut pool = KvPool::new(SHAPE, SHAPE.block_bytes() * 3 + 1);
        assert_eq!(pool.capacity(), 3);
        let blocks: Vec<_> = (0..3).filter_map(|_| pool.take()).collect();
        assert_eq!(blocks.iter().collect::<std::collections::HashSet<_>>().len(), 3);
        assert!(pool.take().is_none() && pool.copy(blocks[0]).is_none());
        pool.share(blocks[1]);
        pool.release(blocks[1]);
        assert_eq!(pool.available(), 0);
        pool.release(blocks[1]);
        assert_eq!(pool.available(), 1);
    }

    #[test]
    fn full_blocks_are_kept_until_the_room_is_needed_the_oldest_first() {
        let mut pool = KvPool::new(SHAPE, SHAPE.block_bytes() * 3);
        let mut chain = PrefixChain::new(Salt::default());
        chain.cover(&(0..96).collect::<Vec<u32>>());
        let [a, b, c] = chain.keys() else { panic!("three keys") };
        let first = pool.take().unwrap();
        let second = pool.take().unwrap();
        assert_eq!((pool.publish(first, *a), pool.publish(second, *b)), (first, second));
        // One block stands for a beginning; a second one with the same numbers is given back.
        let twin = pool.take().unwrap();
        assert_eq!((pool.publish(twin, *a), pool.available()), (first, 1));
        pool.release(first);
        for block in [second, first] {
            pool.release(block);
        }
        assert_eq!((pool.available(), pool.kept(), pool.shareable(chain.keys())), (3, 2, 0));
        assert_eq!(pool.find(*a), Some(first));
        assert_eq!((pool.available(), pool.kept(), pool.shareable(chain.keys())), (2, 1, 1));
        // The free one goes first, then what was let go longest ago; what is held stays.
        assert_eq!(pool.take(), Some(twin));
        assert_eq!((pool.find(*c), pool.take(), pool.find(*b)), (None, Some(second), None));
        assert!(pool.take().is_none());
        assert_eq!(pool.find(*a), Some(first));
    }

    #[test]
    fn what_is_written_is_read_and_copied() {
        let mut pool = KvPool::new(SHAPE, SHAPE.block_bytes() * 2);
        let block = pool.take().unwrap();
        let keys: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let values: Vec<f32> = (0..24).map(|i| -(i as f32)).collect();
        pool.write(Isa::detect(), block, 1, 5, &keys, &values);
        let copy = pool.copy(block).unwrap();
        let half = |v: u16| half::f16::from_bits(v).to_f32();
        for block in [block, copy] {
            let (k, v) = pool.page(block, 1, 2);
            for j in 0..8 {
                assert_eq!(half(k[j * PAGE + 5]), keys[16 + j]);
                assert_eq!(half(v[5 * 8 + j]), values[16 + j]);
            }
            assert!(pool.page(block, 0, 2).0.iter().all(|v| *v == 0));
        }
    }
}
