//! The registry: opened from its spec with its files, which are swept each day, and its audit log's head noted elsewhere.

use super::announcer::Announcer;
use super::parts::Shelf;
#[cfg(feature = "engine")]
use super::verified::Verified;
use anyhow::Context as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tidegate_core::port::audit::Audit;
use tidegate_core::port::blobs::Blobs;
use tidegate_core::port::mount::Mount;
use tidegate_core::port::shelf::PromptShelf;
use tidegate_core::spec::{ArtifactsSpec, RegistrySpec};
use tidegate_core::{Clock, Dice};
use tidegate_registry::Registry;
use tidegate_registry::admin::Admin;
use tidegate_registry::mlflow::Mlflow;
use tidegate_registry::tracking::Tracking;
use tidegate_registry::webhook::delivery::Courier;
use tidegate_server::mounted::refusal;
use tidegate_storage::anchors::{Anchor, Anchors};
use tidegate_storage::blobs::{FolderBlobs, S3Blobs};
use tidegate_upstream::TlsRoots;
use tidegate_upstream::outbound::{Appetite, OneShot};

/// How often what nobody keeps is removed.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How often the head of the audit log is noted.
const ANCHOR: Duration = Duration::from_secs(600);

/// The registry and its interfaces.
#[derive(Debug)]
pub(crate) struct OpenRegistry {
    registry: Arc<Registry>,
    mlflow: Arc<Mlflow>,
    admin: Arc<Admin>,
    blobs: Arc<dyn Blobs>,
    #[cfg(feature = "engine")]
    verified: Arc<Verified>,
    announcer: Arc<Announcer>,
    /// Where heads of the audit log are noted, where records are kept.
    anchors: Option<Anchors>,
    clock: Arc<dyn Clock>,
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
    events: Option<&Path>,
) -> anyhow::Result<OpenRegistry> {
    let outbound = Arc::new(OneShot::new(TlsRoots::system, Appetite::Beginning));
    let tracking = spec.tracking.clone().map(|url| Tracking::new(url, Arc::<OneShot>::clone(&outbound)));
    let courier = Courier::new(outbound, spec.webhooks, Arc::clone(clock), Arc::clone(dice));
    let registry = Registry::open(&spec.database, Arc::clone(clock), Arc::clone(dice), Some(courier))
        .await
        .context("store.registry cannot be opened")?;
    let blobs = open_blobs(&spec.artifacts, clock, dice).await?;
    let registry = Arc::new(registry.beside(tracking).governed(spec.governance.clone()));
    let mlflow = Mlflow::new(Arc::clone(&registry), Arc::clone(&blobs), spec.largest_artifact).with_prompts(prompts);
    let admin = Admin::new(Arc::clone(&registry), Arc::clone(&blobs), spec.largest_artifact, refusal);
    let announcer = Announcer::new(Arc::<Registry>::clone(&registry), &**dice)?;
    Ok(OpenRegistry {
        registry,
        mlflow: Arc::new(mlflow),
        admin: Arc::new(admin),
        blobs,
        #[cfg(feature = "engine")]
        verified: Arc::default(),
        announcer: Arc::new(announcer),
        anchors: events.map(Anchors::at),
        clock: Arc::clone(clock),
    })
}

/// Opens the store of artifacts.
///
/// # Errors
/// It cannot be used.
pub(crate) async fn open_blobs(
    spec: &ArtifactsSpec,
    clock: &Arc<dyn Clock>,
    dice: &Arc<dyn Dice>,
) -> anyhow::Result<Arc<dyn Blobs>> {
    match spec {
        ArtifactsSpec::Folder(folder) => {
            let blobs = FolderBlobs::open(folder)
                .with_context(|| format!("store.artifacts: the folder {} cannot be used", folder.display()))?;
            Ok(Arc::new(blobs))
        }
        ArtifactsSpec::S3(spec) => {
            let outbound = Arc::new(OneShot::new(roots, Appetite::Whole));
            let cannot = || format!("store.artifacts: the bucket {} cannot be used", spec.bucket);
            let blobs = S3Blobs::open(spec, outbound, Arc::clone(clock), Arc::clone(dice)).with_context(cannot)?;
            blobs.probe().await.with_context(cannot)?;
            Ok(Arc::new(blobs))
        }
    }
}

/// The system's authorities, read once: requests to a bucket are many.
fn roots() -> TlsRoots {
    static ROOTS: OnceLock<TlsRoots> = OnceLock::new();
    ROOTS.get_or_init(TlsRoots::system).clone()
}

impl OpenRegistry {
    /// Its interfaces: MLflow's and its own.
    pub(crate) fn mounts(&self) -> [Arc<dyn Mount>; 2] {
        [Arc::<Mlflow>::clone(&self.mlflow), Arc::<Admin>::clone(&self.admin)]
    }

    /// Its audit log.
    pub(crate) fn audit(&self) -> Arc<dyn Audit> {
        Arc::<Registry>::clone(&self.registry)
    }

    /// What monitors need of it.
    #[cfg(feature = "host")]
    pub(crate) fn book(&self) -> super::book::MonitorBook {
        super::book::MonitorBook::of(Arc::clone(&self.registry))
    }

    /// What serving takes models from.
    pub(crate) fn shelf(&self) -> Shelf {
        Shelf {
            models: Arc::<Registry>::clone(&self.registry),
            blobs: Arc::clone(&self.blobs),
            audit: self.audit(),
            #[cfg(feature = "engine")]
            verified: Arc::clone(&self.verified),
            announcer: Arc::clone(&self.announcer),
        }
    }

    /// Tells the other replicas again and again what serves here, until aborted.
    pub(crate) fn keep_telling(&self) -> tokio::task::JoinHandle<()> {
        let announcer = Arc::clone(&self.announcer);
        tokio::spawn(async move { announcer.keep_telling().await })
    }

    /// Listens for notices of changes that other replicas make, until aborted.
    pub(crate) fn listen(&self) -> tokio::task::JoinHandle<()> {
        let registry = Arc::clone(&self.registry);
        tokio::spawn(async move { registry.listen().await })
    }

    /// Removes files that nothing leads to any more and particulars that governance keeps no longer, now and each day,
    /// until aborted.
    pub(crate) fn sweep(&self) -> tokio::task::JoinHandle<()> {
        let (blobs, registry) = (Arc::clone(&self.blobs), Arc::clone(&self.registry));
        let mlflow = Arc::clone(&self.mlflow);
        tokio::spawn(async move {
            loop {
                match mlflow.sweep().await {
                    Ok(0) => {}
                    Ok(removed) => tracing::info!(removed, "uploads that were not completed in a day were removed"),
                    Err(fault) => tracing::error!(%fault, "unfinished uploads cannot be removed"),
                }
                match blobs.sweep().await {
                    Ok(0) => {}
                    Ok(removed) => tracing::info!(removed, "files that nothing led to any more were removed"),
                    Err(fault) => tracing::error!(%fault, "the artifact store cannot be swept"),
                }
                match registry.forget().await {
                    Ok(0) => {}
                    Ok(count) => tracing::info!(count, "old particulars in the audit log were erased"),
                    Err(fault) => tracing::error!(%fault, "old particulars in the audit log cannot be erased"),
                }
                tokio::time::sleep(DAY).await;
            }
        })
    }

    /// Notes the head of the audit log beside the records of calls, now and each ten minutes in which it moved, until
    /// aborted.
    pub(crate) fn anchor(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                this.note_head().await;
                tokio::time::sleep(ANCHOR).await;
            }
        })
    }

    /// Notes the head of the audit log, where it is another than the one noted last.
    async fn note_head(&self) {
        let Some(anchors) = self.anchors.clone() else { return };
        let (entry, hash) = match self.registry.head().await {
            Ok(head) => head,
            Err(fault) => return tracing::warn!(%fault, "the head of the audit log cannot be noted now"),
        };
        let at = self.clock.unix_ms();
        let noted = tokio::task::spawn_blocking(move || {
            let is_noted = anchors.read()?.last().is_some_and(|last| last.entry == entry && last.hash == hash);
            if is_noted || entry == 0 { Ok(()) } else { anchors.add(&Anchor { at, entry, hash }) }
        });
        if let Err(fault) = noted.await.map_err(anyhow::Error::from).and_then(|noted| noted.map_err(Into::into)) {
            tracing::error!(%fault, "the head of the audit log cannot be noted");
        }
    }

    /// Ends its connections.
    pub(crate) async fn close(&self) {
        self.note_head().await;
        self.announcer.replace(Vec::new()).await;
        self.registry.close().await;
    }
}
