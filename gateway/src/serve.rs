//! `tidegate serve`: builds everything, listens, follows changes of the configuration and stops in order.

use crate::wire::{self, Gateway};
use anyhow::Context as _;
use std::path::Path;
use std::time::Duration;
use tidegate_server::listen::Drain;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long running calls may go on after the signal to stop.
const DRAIN: Duration = Duration::from_secs(30);

/// Serves until it is told to stop.
///
/// # Errors
/// The configuration is wrong, an address cannot be had, a model cannot be loaded or the event store not be opened.
pub(crate) fn run(config: &Path) -> anyhow::Result<()> {
    wire::log::begin();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // One core needs no work stealing, and its price would be paid by every call.
    let mut builder = if threads == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let runtime = builder.enable_all().build().context("the runtime cannot start")?;
    let served = runtime.block_on(serve(config));
    runtime.shutdown_timeout(Duration::from_secs(2));
    served
}

async fn serve(config: &Path) -> anyhow::Result<()> {
    // Before anything else: a signal that comes while models are fetched and loaded is heeded.
    let mut signals = Signals::heed()?;
    let drain = Drain::default();
    let gateway = tokio::select! {
        built = Gateway::build(config, drain.clone()) => built?,
        () = signals.stop() => {
            tracing::info!("stopped before it served");
            return Ok(());
        }
    };
    let listeners = gateway.listen().await?;
    let watching = gateway.watch()?;
    for listener in &listeners {
        let address = listener.address()?;
        tracing::info!(listener = listener.name(), %address, "listening");
    }
    let running: Vec<_> =
        listeners.into_iter().map(|listener| tokio::spawn(listener.run(gateway.server(), drain.clone()))).collect();
    let sweeping = gateway.sweep();
    let following = gateway.follow();
    signals.until_told(&gateway).await;

    tracing::info!(connections = drain.open(), "stopping: running calls may end");
    drain.begin();
    for listener in running {
        listener.await.context("a listener failed")?;
    }
    let cut = drain.emptied(DRAIN).await;
    if cut > 0 {
        tracing::warn!(connections = cut, "cut connections that did not end in time");
    }
    drop(watching);
    sweeping.abort();
    for following in following {
        following.abort();
    }
    gateway.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// The signals that a gateway heeds.
struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn heed() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the signal to stop.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }

    /// Waits for the signal to stop; SIGHUP reads the configuration again meanwhile.
    async fn until_told(&mut self, gateway: &Gateway) {
        loop {
            tokio::select! {
                _ = self.term.recv() => return,
                _ = self.int.recv() => return,
                _ = self.hup.recv() => gateway.reload("SIGHUP").await,
            }
        }
    }
}
