//! The task that tells other replicas what is learnt here, and hears what they tell. Owns when it begins and ends.

#[cfg(feature = "redis")]
mod teller;

use super::learners::Learners;
#[cfg(feature = "redis")]
use anyhow::Context as _;
use std::sync::{Mutex, PoisonError};
use tidegate_core::Dice;
use tidegate_core::spec::SharedSpec;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Tells and hears for as long as it is not closed.
#[derive(Debug)]
pub(crate) struct Sharing(Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>);

impl Sharing {
    /// Begins; the shared store need not be there yet.
    ///
    /// # Errors
    /// This is no address of a store, or the replica's name cannot be kept.
    #[cfg(feature = "redis")]
    pub(crate) fn begin(spec: &SharedSpec, name: String, learners: &Learners, dice: &dyn Dice) -> anyhow::Result<Self> {
        let pins = tidegate_state::RedisPins::at(&spec.url).context("`store.shared`")?;
        let teller = teller::Teller::new(pins, name, format!("{:016x}", dice.next_u64()), learners);
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(teller.run(async {
            // Whether it is told to stop or nobody is left who could tell it is the same.
            drop(stopped.await);
        }));
        Ok(Self(Mutex::new(Some((stop, task)))))
    }

    /// Without the feature there is no way to others.
    #[cfg(not(feature = "redis"))]
    pub(crate) fn begin(_: &SharedSpec, _: String, _: &Learners, _: &dyn Dice) -> anyhow::Result<Self> {
        anyhow::bail!("this program was built without the feature `redis`, which `store.shared` needs")
    }

    /// Tells what was learnt last, and ends.
    pub(crate) async fn close(&self) {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, task)) = running {
            // It may have ended by itself.
            let _ended = stop.send(());
            if let Err(e) = task.await {
                tracing::error!(error = %e, "other replicas were not told what was learnt last");
            }
        }
    }
}
