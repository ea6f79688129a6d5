//! LoRA adapters: small differences of a model's products, many of them in one batch over one base. Owns reading them
//! (`peft`, `weights`), their arithmetic (`pair`, `worn`), and which of them there are (`store`); which call wears which one
//! is the caller's.

mod base;
mod fault;
mod peft;
mod store;
mod target;
mod weights;
mod worn;

pub(crate) mod pair;

#[cfg(test)]
pub(crate) mod testing;

pub use fault::AdapterFault;
pub use store::{AdapterHandle, AdapterStore, Prepared, Taken};

pub(crate) use base::{BaseShape, PROJECTIONS, Size, slot_of};
pub(crate) use worn::Worn;

use crate::kernel::Isa;
use crate::matrix::packed::Packed;
use pair::Plan;
use tidegate_core::digest::Digest;
use tidegate_core::port::adapters::AdapterFiles;

/// The largest `adapter_config.json` that is read.
const MOST_CONFIG: u64 = 1 << 20;

/// An adapter that fits its base: for each product of each layer the difference, where there is one.
pub(crate) struct Adapter {
    /// What its files digest to: the same numbers are the same generation, wherever they lie.
    generation: String,
    rank: usize,
    /// The bytes of all its pairs.
    numbers: Packed,
    /// Where in them a pair begins and what it is, at `layer * PROJECTIONS.len() + slot`.
    places: Vec<Option<(usize, Plan)>>,
}

/// The difference of a product.
#[derive(Clone, Copy)]
pub(crate) struct Difference<'a> {
    numbers: &'a [u8],
    plan: &'a Plan,
}

impl Adapter {
    /// Reads PEFT's files and checks them against the base; `most` bounds how many bytes of numbers are read.
    pub(crate) fn read(files: &AdapterFiles, base: &BaseShape, most: usize) -> Result<Self, AdapterFault> {
        let config = weights::bytes_of(&files.config, MOST_CONFIG)?;
        weights::is_no_pickle(&files.numbers)?;
        let numbers = weights::bytes_of(&files.numbers, most as u64)?;
        Self::of(&config, &numbers, base)
    }

    /// The same from the bytes of its two files.
    pub(crate) fn of(config: &[u8], numbers: &[u8], base: &BaseShape) -> Result<Self, AdapterFault> {
        let checked = peft::Config::of(config)?;
        let pairs = weights::pairs(&checked, numbers, base)?;
        let plans: Vec<_> = pairs.iter().map(|pair| pair.as_ref().map(|pair| pair.plan)).collect();
        let rank = plans.iter().flatten().map(Plan::rank).max().unwrap_or_default();
        let both = [config, numbers].map(|bytes| Digest::of(bytes).to_string()).concat();
        let (numbers, begins) = Packed::joined(pairs.into_iter().flatten().map(|pair| pair.numbers).collect());
        let mut begins = begins.into_iter();
        let places = plans.into_iter().map(|plan| plan.and_then(|plan| Some((begins.next()?, plan)))).collect();
        Ok(Self { generation: Digest::of(both.as_bytes()).to_string(), rank, numbers, places })
    }

    /// What its files digest to.
    pub(crate) fn generation(&self) -> &str {
        &self.generation
    }

    /// Its largest rank.
    pub(crate) fn rank(&self) -> usize {
        self.rank
    }

    /// What it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.places.iter().flatten().map(|(_, plan)| plan.bytes()).sum()
    }

    /// The difference of a product, where it has one.
    pub(crate) fn difference(&self, layer: usize, slot: usize) -> Option<Difference<'_>> {
        let (begin, plan) = self.places.get(layer * PROJECTIONS.len() + slot)?.as_ref()?;
        Some(Difference { numbers: &self.numbers.get()[*begin..][..plan.bytes()], plan })
    }
}

impl Difference<'_> {
    /// Adds it for up to four rows of `x`, each of which begins in `out` where `begin` says.
    pub(crate) fn apply(self, isa: Isa, x: &[&[f32]], out: &mut [f32], begin: &[usize]) {
        self.plan.apply(self.numbers, isa, x, out, begin);
    }
}

impl std::fmt::Debug for Adapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Adapter")
            .field("generation", &self.generation)
            .field("rank", &self.rank)
            .finish_non_exhaustive()
    }
}
