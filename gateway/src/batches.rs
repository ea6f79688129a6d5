//! Batches of calls in OpenAI's form: files of requests, worked off while nobody waits. Owns when work begins and how
//! it ends with the gateway; [`mount`] is what callers see, [`worker`] what is done, [`shelf`] where it lies.

mod batch;
mod file;
mod form;
mod input;
mod line;
mod mount;
mod progress;
mod shelf;
mod worker;

pub(crate) use mount::BatchMount;
pub(crate) use shelf::Shelf;

use batch::Batch;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tidegate_core::KeyId;
use tidegate_core::port::BoxFuture;
use tidegate_server::Server;
use tidegate_server::errand::{Brought, Errand};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use worker::{Asks, Worker};

/// How often what is too old is removed.
const SWEEP: Duration = Duration::from_secs(3600);
/// How long a stop waits for what is under way.
const CLOSE_LIMIT: Duration = Duration::from_secs(8);

/// Batches, from start to stop.
#[derive(Debug)]
pub(crate) struct Batches {
    pub(crate) shelf: Arc<Shelf>,
    stop: watch::Sender<bool>,
    /// The server and what asks it; set when the server is there.
    begun: OnceLock<(Arc<Server>, Arc<Worker>)>,
    tasks: Mutex<JoinSet<()>>,
    /// Held as long as the folder is ours.
    _lock: std::fs::File,
}

/// Asks by the way that all calls go.
#[derive(Debug)]
struct ByServer(Arc<Server>);

impl Asks for ByServer {
    fn ask(&self, errand: Errand) -> BoxFuture<'static, Brought> {
        Box::pin(Arc::clone(&self.0).run(errand))
    }

    fn is_stopping(&self) -> bool {
        self.0.is_draining()
    }
}

impl Batches {
    /// Batches of which none is worked off yet.
    pub(crate) fn new(shelf: Shelf, lock: std::fs::File) -> Self {
        let (shelf, stop) = (Arc::new(shelf), watch::Sender::new(false));
        Self { shelf, stop, begun: OnceLock::new(), tasks: Mutex::default(), _lock: lock }
    }

    /// Works off what has not ended, and whatever comes.
    pub(crate) fn begin(self: &Arc<Self>, server: &Arc<Server>) -> JoinHandle<()> {
        let asks = Arc::new(ByServer(Arc::clone(server)));
        let worker = Worker::new(Arc::clone(&self.shelf), asks, self.stop.subscribe());
        // It is begun once.
        drop(self.begun.set((Arc::clone(server), Arc::new(worker))));
        for batch in self.shelf.open_batches() {
            self.work(batch);
        }
        let shelf = Arc::clone(&self.shelf);
        tokio::spawn(async move {
            loop {
                if let Err(fault) = shelf.sweep().await {
                    tracing::error!(%fault, "old files of batches cannot be removed");
                }
                tokio::time::sleep(SWEEP).await;
            }
        })
    }

    /// Works a batch off, beside others.
    fn work(&self, batch: Batch) {
        let Some((_, worker)) = self.begun.get() else { return };
        let worker = Arc::clone(worker);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that ended are not kept.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move { worker.work(batch).await });
    }

    /// Whether this key is one that lines can be asked with.
    fn knows(&self, key: &KeyId) -> bool {
        self.begun.get().is_none_or(|(server, _)| server.caller_of(key).is_some())
    }

    /// No further line is asked; what came is written down.
    pub(crate) async fn close(&self) {
        self.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(CLOSE_LIMIT, all).await.is_err() {
            tracing::warn!("batches did not stop in time; they go on at the next start");
        }
    }
}
