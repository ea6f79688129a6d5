//! The engine's own worker threads: they share out the rows of a product and sleep when there is none. With one thread
//! there is no pool, and the engine's thread does all.

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

/// One thread, or a pool of several.
pub(crate) struct Threads {
    pool: Option<rayon::ThreadPool>,
    count: usize,
}

impl Threads {
    /// `count` threads in all, 0 taken as 1.
    pub(crate) fn new(count: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = match count {
            0 | 1 => None,
            n => Some(rayon::ThreadPoolBuilder::new().num_threads(n).thread_name(|i| format!("engine-{i}")).build()?),
        };
        Ok(Self { pool, count: count.max(1) })
    }

    /// How many work at once.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Calls `work(index, chunk)` for each chunk of `out`, in any order.
    pub(crate) fn chunks(&self, out: &mut [f32], chunk: usize, work: impl Fn(usize, &mut [f32]) + Sync + Send) {
        match &self.pool {
            None => out.chunks_mut(chunk.max(1)).enumerate().for_each(|(i, c)| work(i, c)),
            Some(pool) => {
                pool.install(|| out.par_chunks_mut(chunk.max(1)).enumerate().for_each(|(i, c)| work(i, c)));
            }
        }
    }
}

/// Cores less one, so that the rest of the program keeps its latency; at least one.
pub(crate) fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().saturating_sub(1).max(1))
}
