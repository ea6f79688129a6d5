//! The task that tells other replicas what is learnt here, and hears what they tell. Owns when it begins and ends, and the
//! name under which others know this replica.

#[cfg(feature = "redis")]
mod teller;

use super::learners::Learners;
use anyhow::Context as _;
use std::io::ErrorKind;
use std::path::Path;
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
    pub(crate) fn begin(
        spec: &SharedSpec,
        events: Option<&Path>,
        learners: &Learners,
        dice: &dyn Dice,
    ) -> anyhow::Result<Self> {
        let pins = tidegate_state::RedisPins::at(&spec.url).context("`store.shared`")?;
        let name = replica(events, dice)?;
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
    pub(crate) fn begin(_: &SharedSpec, _: Option<&Path>, _: &Learners, _: &dyn Dice) -> anyhow::Result<Self> {
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

/// The name of this replica: kept beside what it learnt, so that it goes on under it; where nothing is kept, one for this
/// run.
#[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "there is nobody to tell it"))]
fn replica(events: Option<&Path>, dice: &dyn Dice) -> anyhow::Result<String> {
    let new = format!("{:016x}", dice.next_u64());
    let Some(folder) = events else { return Ok(new) };
    let file = folder.join("replica");
    match std::fs::read_to_string(&file) {
        Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
        Err(e) if e.kind() != ErrorKind::NotFound => {
            return Err(e).with_context(|| format!("the name of this replica in {}", file.display()));
        }
        _ => {}
    }
    let kept = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&file, format!("{new}\n")));
    kept.with_context(|| format!("the name of this replica cannot be kept in {}", file.display()))?;
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::dice::SplitMix;

    #[test]
    fn a_replica_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let dice = SplitMix::seeded(1);
        let (first, again) =
            (replica(Some(folder.path()), &dice).unwrap(), replica(Some(folder.path()), &dice).unwrap());
        assert_eq!(first, again);
        assert_ne!(replica(None, &dice).unwrap(), replica(None, &dice).unwrap(), "who keeps nothing is new each time");
    }
}
