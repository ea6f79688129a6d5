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
    #[cfg(test)]
    pub(crate) fn new(count: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        Self::standing_back(count, 0)
    }

    /// `count` threads in all, 0 taken as 1, so far behind others.
    pub(crate) fn standing_back(count: usize, nice: u8) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = match count {
            0 | 1 => None,
            n => {
                let builder = rayon::ThreadPoolBuilder::new().num_threads(n).thread_name(|i| format!("engine-{i}"));
                Some(builder.start_handler(move |_| stand_back(nice)).build()?)
            }
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

/// Lets this thread stand behind others of the processor, so that who only passes calls on is not kept waiting by who
/// computes. Where the system does not let it, it stays as it is.
#[cfg(target_os = "linux")]
pub(crate) fn stand_back(nice: u8) {
    if nice == 0 {
        return;
    }
    // On Linux a niceness is a thread's own, and no process at all means the calling thread.
    if let Err(error) = rustix::process::setpriority_process(None, i32::from(nice)) {
        tracing::warn!(%error, "the engine's threads cannot stand behind others");
    }
}

/// Elsewhere a niceness is the whole process's, which serves calls too.
#[cfg(not(target_os = "linux"))]
pub(crate) fn stand_back(_nice: u8) {}

/// Cores less one, so that the rest of the program keeps its latency; at least one.
pub(crate) fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().saturating_sub(1).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn only_the_engines_own_threads_stand_back() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let inside = std::thread::spawn(move || {
            stand_back(7);
            nice()
        });
        assert_eq!((inside.join().unwrap(), nice()), (before.max(7), before));
        let mut found = vec![0.0; 8];
        let threads = Threads::standing_back(2, 5).unwrap();
        threads.chunks(&mut found, 1, |_, out| out[0] = nice() as f32);
        assert!(found.iter().all(|nice| *nice >= 5.0), "{found:?}");
        assert_eq!(nice(), before);
    }
}
