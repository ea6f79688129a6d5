//! The registry: opened from its spec with its files, which are swept each day.

use super::parts::Shelf;
use anyhow::Context as _;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::mount::Mount;
use tidegate_core::port::shelf::PromptShelf;
use tidegate_core::spec::RegistrySpec;
use tidegate_core::{Clock, Dice};
use tidegate_registry::Registry;
use tidegate_registry::mlflow::Mlflow;
use tidegate_registry::tracking::Tracking;
use tidegate_registry::webhook::delivery::Courier;
use tidegate_storage::blobs::FolderBlobs;
use tidegate_upstream::TlsRoots;
use tidegate_upstream::outbound::{Appetite, OneShot};

/// How often files that nothing leads to are removed.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The registry and its interface.
#[derive(Debug)]
pub(crate) struct OpenRegistry {
    registry: Arc<Registry>,
    mlflow: Arc<Mlflow>,
    blobs: Arc<FolderBlobs>,
}

/// Opens the registry of `spec`.
///
/// # Errors
/// Its database cannot be opened, or its folder not be used.
pub(crate) async fn open(
    spec: &RegistrySpec,
    clock: &Arc<dyn Clock>,
    dice: &Arc<dyn Dice>,
    prompts: Option<Arc<dyn PromptShelf>>,
) -> anyhow::Result<OpenRegistry> {
    let outbound = Arc::new(OneShot::new(TlsRoots::system, Appetite::Beginning));
    let tracking = spec.tracking.clone().map(|url| Tracking::new(url, Arc::<OneShot>::clone(&outbound)));
    let courier = Courier::new(outbound, spec.webhooks, Arc::clone(clock), Arc::clone(dice));
    let registry = Registry::open(&spec.database, Arc::clone(clock), Arc::clone(dice), Some(courier))
        .await
        .context("store.registry cannot be opened")?;
    let blobs = FolderBlobs::open(&spec.artifacts)
        .with_context(|| format!("store.artifacts: the folder {} cannot be used", spec.artifacts.display()))?;
    let registry = Arc::new(registry.beside(tracking).governed(spec.governance.clone()));
    let blobs = Arc::new(blobs);
    let mlflow = Mlflow::new(Arc::clone(&registry), Arc::<FolderBlobs>::clone(&blobs), spec.largest_artifact)
        .with_prompts(prompts);
    Ok(OpenRegistry { registry, mlflow: Arc::new(mlflow), blobs })
}

impl OpenRegistry {
    /// Its interface.
    pub(crate) fn mount(&self) -> Arc<dyn Mount> {
        Arc::<Mlflow>::clone(&self.mlflow)
    }

    /// What serving takes models from.
    pub(crate) fn shelf(&self) -> Shelf {
        Shelf { models: Arc::<Registry>::clone(&self.registry), blobs: Arc::clone(&self.blobs) }
    }

    /// Removes files that nothing leads to any more, now and each day, until aborted.
    pub(crate) fn sweep(&self) -> tokio::task::JoinHandle<()> {
        let blobs = Arc::clone(&self.blobs);
        tokio::spawn(async move {
            loop {
                match blobs.sweep().await {
                    Ok(0) => {}
                    Ok(removed) => tracing::info!(removed, "files that nothing led to any more were removed"),
                    Err(fault) => tracing::error!(%fault, "the artifact store cannot be swept"),
                }
                tokio::time::sleep(DAY).await;
            }
        })
    }

    /// Ends its connections.
    pub(crate) async fn close(&self) {
        self.registry.close().await;
    }
}
