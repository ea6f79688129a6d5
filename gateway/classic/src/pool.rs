//! A model that serves calls: queued within bounds, put together into batches on threads of their own, swapped while calls
//! go on. Owns queue and threads; when a batch is run is decided in `batch`.

mod join;
mod warm;
mod worker;

use crate::batch::{BatchSpec, Pace};
use crate::{Explaining, Explanation, Model, Refused};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tidegate_core::{Clock, Tensor};
use tokio::sync::oneshot;

/// What is expected to take no longer than this is answered where it is asked: a thread's turn costs more.
const AT_ONCE: Duration = Duration::from_micros(100);

/// A model that serves calls.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
}

/// A model in force, and its number.
#[derive(Debug, Clone)]
pub struct Generation {
    /// Counts up with each swap, from 1.
    pub number: u64,
    /// The model.
    pub model: Arc<Model>,
}

/// An answer, and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Served<T> {
    /// What was asked for.
    pub answer: T,
    /// The generation that answered.
    pub generation: u64,
    /// How many rows were run together.
    pub batch: usize,
    /// How long the call waited for its run.
    pub waited: Duration,
}

/// Why a call got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unserved {
    /// Too many calls wait.
    #[error("{waiting} calls wait for the model already; try again in {retry_after:?}")]
    Busy {
        /// How many.
        waiting: usize,
        /// When those will have been answered, as things go.
        retry_after: Duration,
    },
    /// The model refuses the call.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The model is served no longer.
    #[error("the model is served no longer")]
    Stopped,
}

/// A model was not taken into service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unready {
    /// It fails on a row of zeros.
    #[error("the model fails when it is warmed up with zeros: {0}; write `warm_up: false`, if it cannot take zeros")]
    WarmUp(Refused),
    /// No thread.
    #[error("there is no thread for the model: {0}")]
    Thread(std::io::Error),
}

/// What is known of a pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolState {
    /// Calls that wait.
    pub waiting: usize,
    /// Batches that run.
    pub running: usize,
    /// Batches that were run since the start, by the power of two that their rows do not exceed: 1, 2, 4, and so on, the last
    /// for all that are larger. Those answered at once are left out.
    pub sizes: [u64; SIZES],
    /// Rows of those batches.
    pub rows: u64,
    /// Calls that were answered where they were asked.
    pub at_once: u64,
    /// Calls that were refused since too many waited.
    pub busy: u64,
}

/// How many sizes of batches are told apart.
pub const SIZES: usize = 12;

impl PoolState {
    /// How many batches were run.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.sizes.iter().sum()
    }

    fn ran(&mut self, rows: usize) {
        let size = rows.max(1).next_power_of_two().trailing_zeros() as usize;
        self.sizes[size.min(SIZES - 1)] += 1;
        self.rows += rows as u64;
    }
}

#[derive(Debug)]
struct Shared {
    spec: BatchSpec,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    turned: Condvar,
}

#[derive(Debug)]
struct State {
    generation: Generation,
    /// Whether rows of calls may be put together: each input and output has rows.
    is_joinable: bool,
    queue: VecDeque<Job>,
    pace: Pace,
    told: PoolState,
    is_stopped: bool,
}

#[derive(Debug)]
struct Job {
    generation: Generation,
    inputs: Vec<Tensor>,
    rows: usize,
    since: Instant,
    /// Whether it may be put together with others.
    is_joinable: bool,
    ask: Ask,
}

#[derive(Debug)]
enum Ask {
    Predict { wanted: Vec<String>, reply: oneshot::Sender<Reply<Vec<Tensor>>> },
    Explain { how: Explaining, reply: oneshot::Sender<Reply<Explanation>> },
}

type Reply<T> = Result<Served<T>, Refused>;

impl Pool {
    /// Takes a model into service.
    ///
    /// # Errors
    /// When it fails on a row of zeros, or there is no thread.
    pub fn start(model: Model, spec: BatchSpec, clock: Arc<dyn Clock>) -> Result<Self, Unready> {
        let mut pace = Pace::default();
        warm::warmed(&model, &spec, &*clock, &mut pace)?;
        let is_joinable = is_joinable(&model);
        let generation = Generation { number: 1, model: Arc::new(model) };
        let told = PoolState::default();
        let state = State { generation, is_joinable, queue: VecDeque::new(), pace, told, is_stopped: false };
        let shared = Arc::new(Shared { spec, clock, state: Mutex::new(state), turned: Condvar::new() });
        let pool = Self { shared };
        for _ in 0..spec.instances.max(1) {
            let shared = Arc::clone(&pool.shared);
            let thread = std::thread::Builder::new().name("classic".to_owned());
            thread.spawn(move || worker::work(&shared)).map_err(Unready::Thread)?;
        }
        Ok(pool)
    }

    /// Puts another model into force, after it was warmed up. Calls under way keep theirs.
    ///
    /// # Errors
    /// When it fails on a row of zeros; the former one stays.
    pub fn swap(&self, model: Model) -> Result<u64, Unready> {
        let mut pace = Pace::default();
        warm::warmed(&model, &self.shared.spec, &*self.shared.clock, &mut pace)?;
        let is_joinable = is_joinable(&model);
        let mut state = self.shared.lock();
        let number = state.generation.number + 1;
        state.generation = Generation { number, model: Arc::new(model) };
        state.is_joinable = is_joinable;
        state.pace = pace;
        Ok(number)
    }

    /// The model in force.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.shared.lock().generation.clone()
    }

    /// What is known of the pool now.
    #[must_use]
    pub fn state(&self) -> PoolState {
        let state = self.shared.lock();
        PoolState { waiting: state.queue.len(), ..state.told }
    }

    /// What the model says of these inputs. Dropped, the call is given up.
    ///
    /// # Errors
    /// When too many calls wait, or the model refuses these inputs.
    pub async fn predict(&self, inputs: Vec<Tensor>, wanted: Vec<String>) -> Result<Served<Vec<Tensor>>, Unserved> {
        if let Some(generation) = self.answers_at_once(&inputs) {
            let answer = generation.model.predict(&inputs, &wanted)?;
            let batch = join::rows(&inputs).unwrap_or(1);
            return Ok(Served { answer, generation: generation.number, batch, waited: Duration::ZERO });
        }
        let (reply, told) = oneshot::channel();
        self.put(inputs, Ask::Predict { wanted, reply })?;
        told.await.map_err(|_| Unserved::Stopped)?.map_err(Unserved::Refused)
    }

    /// Why the model says it. Dropped, the call is given up.
    ///
    /// # Errors
    /// As [`Pool::predict`], and when the model cannot be explained.
    pub async fn explain(&self, inputs: Vec<Tensor>, how: Explaining) -> Result<Served<Explanation>, Unserved> {
        let (reply, told) = oneshot::channel();
        self.put(inputs, Ask::Explain { how, reply })?;
        told.await.map_err(|_| Unserved::Stopped)?.map_err(Unserved::Refused)
    }

    /// The model that answers without a thread's turn: trees, as long as they are known to take but moments.
    fn answers_at_once(&self, inputs: &[Tensor]) -> Option<Generation> {
        let mut state = self.shared.lock();
        let rows = join::rows(inputs).unwrap_or(1);
        let is_trees = state.generation.model.is_trees();
        if !is_trees || !state.pace.is_known() || state.pace.expected(rows) > AT_ONCE {
            return None;
        }
        state.told.at_once += 1;
        Some(state.generation.clone())
    }

    fn put(&self, inputs: Vec<Tensor>, ask: Ask) -> Result<(), Unserved> {
        let now = self.shared.clock.now();
        let mut state = self.shared.lock();
        state.pace.arrived(now);
        let waiting = state.queue.len();
        if waiting >= self.shared.spec.queue {
            state.told.busy += 1;
            let rows = state.queue.iter().map(|job| job.rows).sum();
            let retry_after = state.pace.expected(rows).max(Duration::from_millis(1));
            return Err(Unserved::Busy { waiting, retry_after });
        }
        let rows = join::rows(&inputs);
        let is_joinable = state.is_joinable && rows.is_some() && matches!(ask, Ask::Predict { .. });
        let generation = state.generation.clone();
        state.queue.push_back(Job { generation, inputs, rows: rows.unwrap_or(1), since: now, is_joinable, ask });
        drop(state);
        self.shared.turned.notify_one();
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_stopped = true;
        state.queue.clear();
        drop(state);
        self.shared.turned.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ask {
    /// Whether the caller left.
    fn is_given_up(&self) -> bool {
        match self {
            Self::Predict { reply, .. } => reply.is_closed(),
            Self::Explain { reply, .. } => reply.is_closed(),
        }
    }
}

/// Whether each input and output has a number of rows that calls decide.
fn is_joinable(model: &Model) -> bool {
    let has_rows = |shape: &Vec<Option<u64>>| shape.first() == Some(&None);
    model.inputs().iter().chain(model.outputs()).all(|meta| has_rows(&meta.shape))
}

#[cfg(test)]
mod tests;
