//! What callers are held to: counters of this process, or leases of a store that replicas share. Owns the choice, and the
//! task that draws the leases.

use std::sync::Arc;
use tidegate_core::port::limits::Limits;
use tidegate_core::spec::{LimitSpec, SharedSpec};
use tidegate_core::{Clock, Dice};
use tidegate_server::observe::leases::LeaseCounts;
use tidegate_state::shared::{SharedCounts, Way};
use tidegate_state::{MemoryLimits, SharedLimits};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The limits in force.
#[derive(Debug, Clone)]
pub(crate) enum Limiter {
    /// Counters of this process alone.
    Memory(Arc<MemoryLimits>),
    /// Leased.
    Shared(Arc<SharedLimits>),
}

impl Limiter {
    /// Limits of nothing yet.
    pub(crate) fn new(shared: Option<&Leases>, clock: &Arc<dyn Clock>) -> Self {
        match shared {
            Some(leases) => Self::Shared(Arc::clone(&leases.limits)),
            None => Self::Memory(Arc::new(MemoryLimits::new(&[], Arc::clone(clock)))),
        }
    }

    /// The limits of a new configuration; what counts as before goes on.
    pub(crate) fn reconfigured(&self, specs: &[LimitSpec]) -> Self {
        match self {
            Self::Memory(limits) => Self::Memory(Arc::new(limits.reconfigured(specs))),
            Self::Shared(limits) => Self::Shared(Arc::new(limits.reconfigured(specs))),
        }
    }

    /// As calls see them.
    pub(crate) fn port(&self) -> Arc<dyn Limits> {
        match self {
            Self::Memory(limits) => Arc::<MemoryLimits>::clone(limits),
            Self::Shared(limits) => Arc::<SharedLimits>::clone(limits),
        }
    }

    /// The counters of this process, whose spending a restart must know; a shared store knows by itself.
    pub(crate) fn memory(&self) -> Option<Arc<MemoryLimits>> {
        match self {
            Self::Memory(limits) => Some(Arc::clone(limits)),
            Self::Shared(_) => None,
        }
    }

    /// Forgets the callers whose limits are full again.
    pub(crate) fn sweep(&self) {
        match self {
            Self::Memory(limits) => limits.sweep(),
            Self::Shared(limits) => limits.sweep(),
        };
    }
}

/// The way to the shared store.
#[derive(Debug)]
pub(crate) struct Leases {
    limits: Arc<SharedLimits>,
    stop: std::sync::Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl Leases {
    /// Begins to draw from the store; it need not be there yet.
    ///
    /// # Errors
    /// This is no address of a store, or the program was built without the feature that reaches it.
    #[cfg(feature = "redis")]
    pub(crate) fn begin(spec: &SharedSpec, clock: &Arc<dyn Clock>, dice: &Arc<dyn Dice>) -> anyhow::Result<Self> {
        use anyhow::Context as _;
        if spec.url.expose().starts_with("rediss:") {
            // The client takes the process's provider of cryptography; whether one was named before does not matter.
            drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        }
        let store = tidegate_state::RedisStore::at(&spec.url).context("`store.shared`")?;
        let holder = format!("{}-{:016x}", std::process::id(), dice.next_u64());
        let (limits, feeder) = tidegate_state::Feeder::new(&[], store, holder, Arc::clone(clock), Arc::clone(dice));
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(feeder.run(async {
            // Whether it is told to stop or nobody is left who could tell it is the same.
            drop(stopped.await);
        }));
        Ok(Self { limits: Arc::new(limits), stop: std::sync::Mutex::new(Some((stop, task))) })
    }

    /// Without the feature there is no way.
    #[cfg(not(feature = "redis"))]
    pub(crate) fn begin(_: &SharedSpec, _: &Arc<dyn Clock>, _: &Arc<dyn Dice>) -> anyhow::Result<Self> {
        anyhow::bail!("this program was built without the feature `redis`, which `store.shared` needs")
    }

    /// What happened, for the metrics.
    pub(crate) fn counts(&self) -> Arc<dyn LeaseCounts> {
        Arc::new(Counts(self.limits.counts()))
    }

    /// Gives back what is not spoken for, and ends.
    pub(crate) async fn close(&self) {
        let running = self.stop.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some((stop, task)) = running {
            // It may have ended by itself.
            let _ended = stop.send(());
            if let Err(e) = task.await {
                tracing::error!(error = %e, "leases were not given back: the shared store holds them until they end");
            }
        }
    }
}

/// The counts of shared limits, in the metrics' words.
#[derive(Debug)]
struct Counts(Arc<SharedCounts>);

impl LeaseCounts for Counts {
    fn is_up(&self) -> bool {
        self.0.is_up()
    }

    fn losses(&self) -> u64 {
        self.0.losses()
    }

    fn calls(&self) -> [(&'static str, u64); 2] {
        let [answered, unanswered] = self.0.calls();
        [("answered", answered), ("unanswered", unanswered)]
    }

    fn decided(&self) -> [(&'static str, u64); 4] {
        Way::ALL.map(|way| (way.label(), self.0.decided(way)))
    }

    fn reconciled(&self) -> u64 {
        self.0.reconciled()
    }
}
