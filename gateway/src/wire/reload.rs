//! The configuration is read again: at a signal, at a change of its files, at an admin's word. Owns that it is put into
//! force whole or not at all.

mod adapters;
mod sleep;

pub(crate) use sleep::RestOrder;

use super::parts::{Parts, Tools};
use crate::alerts::Teller;
use notify::Watcher as _;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tidegate_config::{Loaded, Report};
use tidegate_core::port::models::{Models, ReplicaServing, Revision};
use tidegate_core::spec::{
    AdminSpec, BatchesSpec, EventsSpec, GatewaySpec, ListenerSpec, PromptsSpec, RegistrySpec, SharedSpec, TelemetrySpec,
};
use tidegate_core::{Fault, FaultKind, RouteName, VariantName};
use tidegate_server::listen::tls::Tls;
use tidegate_server::operations::ReloadRefused;
use tidegate_server::{Server, Snapshot};
use tidegate_state::MemoryLimits;

/// How often the registry is asked whether anything changed.
const LOOK: Duration = Duration::from_millis(500);
/// One look for all notices within this time.
const GATHER: Duration = Duration::from_millis(5);
/// Changes of files come in bursts: one reload for those within this time.
const SETTLE: Duration = Duration::from_millis(50);

/// Reads the configuration again.
#[derive(Debug)]
pub(crate) struct Reloader {
    path: PathBuf,
    server: Arc<Server>,
    tools: Tools,
    /// One reload at a time; the parts in force.
    parts: tokio::sync::Mutex<Parts>,
    state: Mutex<State>,
    /// Who watches the folders, while files are followed.
    folders: Mutex<Option<Folders>>,
    fixed: Fixed,
}

/// What watches folders, and which.
#[derive(Debug)]
struct Folders {
    watcher: notify::RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
}

impl Folders {
    /// Watches these as well.
    fn watch(&mut self, folders: BTreeSet<PathBuf>) -> notify::Result<()> {
        for folder in folders {
            if !self.watched.contains(&folder) {
                self.watcher.watch(&folder, notify::RecursiveMode::NonRecursive)?;
                self.watched.insert(folder);
            }
        }
        Ok(())
    }
}

/// What changes with each reload.
#[derive(Debug)]
struct State {
    spec: GatewaySpec,
    files: Vec<PathBuf>,
    tls: Vec<Arc<Tls>>,
}

/// What only a restart can change.
#[derive(Debug, PartialEq)]
struct Fixed {
    listeners: Vec<ListenerSpec>,
    admin: Option<std::net::SocketAddr>,
    events: EventsSpec,
    registry: Option<RegistrySpec>,
    shared: Option<SharedSpec>,
    prompts: Option<PromptsSpec>,
    batches: Option<BatchesSpec>,
    telemetry: TelemetrySpec,
}

impl Fixed {
    fn of(spec: &GatewaySpec) -> Self {
        let admin = spec.admin.as_ref().map(|AdminSpec { address, .. }| *address);
        Self {
            listeners: spec.listeners.clone(),
            admin,
            events: spec.events.clone(),
            registry: spec.registry.clone(),
            shared: spec.shared.clone(),
            prompts: spec.prompts.clone(),
            batches: spec.batches.clone(),
            telemetry: spec.telemetry.clone(),
        }
    }

    fn changed(&self, new: &Self) -> Vec<&'static str> {
        let pairs = [
            (self.listeners != new.listeners, "listeners"),
            (self.admin != new.admin, "admin.address"),
            (self.events != new.events, "store.events"),
            (self.registry != new.registry, "store.registry"),
            (self.shared != new.shared, "store.shared"),
            (self.prompts != new.prompts, "prompts"),
            (self.batches != new.batches, "batches"),
            (self.telemetry != new.telemetry, "telemetry"),
        ];
        pairs.into_iter().filter_map(|(changed, section)| changed.then_some(section)).collect()
    }
}

/// Reads the configuration at `path`.
///
/// # Errors
/// All its faults.
pub(crate) fn read(path: &Path) -> Result<Loaded, Report> {
    tidegate_config::load(path, &environment)
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The closed set of metric labels.
pub(crate) fn arms_of(spec: &GatewaySpec) -> impl Iterator<Item = (RouteName, Vec<VariantName>)> {
    spec.routes
        .values()
        .map(|route| (route.name.clone(), route.variants.iter().map(|variant| variant.name.clone()).collect()))
}

impl Reloader {
    /// A reloader of the configuration at `path`, of which `spec` is in force.
    #[must_use]
    pub(crate) fn new(
        path: &Path,
        server: Arc<Server>,
        tools: Tools,
        parts: Parts,
        spec: &GatewaySpec,
        files: Vec<PathBuf>,
    ) -> Self {
        let state = State { spec: spec.clone(), files, tls: Vec::new() };
        Self {
            path: path.to_owned(),
            server,
            tools,
            parts: tokio::sync::Mutex::new(parts),
            state: Mutex::new(state),
            folders: Mutex::new(None),
            fixed: Fixed::of(spec),
        }
    }

    /// Reads the files of these listeners again too.
    pub(crate) fn follow_tls(&self, tls: impl Iterator<Item = Arc<Tls>>) {
        self.state().tls = tls.collect();
    }

    /// Who tells of alarms.
    pub(crate) fn alerts(&self) -> &Teller {
        &self.tools.alerts
    }

    /// The configuration in force.
    pub(crate) fn spec(&self) -> GatewaySpec {
        self.state().spec.clone()
    }

    /// Reads the configuration again and puts it into force; the old one stays where it has any fault.
    ///
    /// # Errors
    /// All faults of the new one.
    pub(crate) async fn reload(&self, why: &str) -> Result<serde_json::Value, ReloadRefused> {
        let done = self.renew().await;
        let metrics = &self.server.ports().metrics;
        match &done {
            Ok(done) => {
                metrics.reloaded(true);
                tracing::info!(
                    why,
                    config = done["config"].as_str(),
                    changed = done["changed"].as_bool(),
                    "configuration reloaded"
                );
            }
            Err(refused) => {
                metrics.reloaded(false);
                tracing::error!(why, report = refused.report, "configuration refused; the old one stays in force");
            }
        }
        done
    }

    async fn renew(&self) -> Result<serde_json::Value, ReloadRefused> {
        let mut parts = self.parts.lock().await;
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || read(&path)).await.map_err(refused)?;
        let Loaded { spec, files, .. } =
            read.map_err(|report| ReloadRefused { report: report.to_string(), findings: serde_json::json!(report) })?;
        self.renew_tls()?;
        let before = self.server.snapshot();
        let changed = *before.config != *spec.hash;
        let restart = self.fixed.changed(&Fixed::of(&spec));
        if changed {
            let renewed = parts.renewed(&spec, &self.tools).await.map_err(|e| refused(format!("{e:#}")))?;
            let snapshot = super::snapshot::build(
                &spec,
                &renewed,
                Some(&before),
                &self.tools.clock,
                self.tools.prompts.as_ref(),
                &self.tools.deciders,
            )
            .map_err(|e| refused(format!("{e:#}")))?;
            // A full disk must not keep a revoked key in force.
            if let Err(error) = super::events::keep_configuration(&self.fixed.events, &spec) {
                tracing::error!("{error:#}");
            }
            self.server.ports().metrics.rebuild(arms_of(&spec));
            self.server.ports().metrics.configured(&spec.hash);
            self.tools.deciders.in_force(&spec);
            self.tools.alerts.in_force(&spec.alerts);
            self.put_into_force(snapshot);
            *parts = renewed;
            self.tools.plugins.replace(parts.plugins());
            self.tools.views.replace(parts.views());
            self.announce(&parts).await;
        }
        if !restart.is_empty() {
            tracing::warn!(sections = ?restart, "these changes take effect at the next start");
        }
        let done = serde_json::json!({"config": *spec.hash, "changed": changed, "needs_restart": restart});
        {
            let mut state = self.state();
            (state.spec, state.files) = (spec, files);
        }
        self.watch_new_folders();
        Ok(done)
    }

    /// Follows the registry: a version that a reference means since is loaded beside the one that serves, then takes its
    /// place at once; calls under way end where they began.
    pub(crate) fn follow_models(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        let this = Arc::downgrade(self);
        let models = self.tools.registry.as_ref().map(|shelf| Arc::clone(&shelf.models));
        tokio::spawn(async move {
            let Some(models) = models else { return };
            let (mut seen, mut learnt) = (None, None);
            let mut was_lost = false;
            loop {
                wait(&*models).await;
                let Some(this) = this.upgrade() else { return };
                match models.revision().await {
                    Ok(revision) => {
                        was_lost = false;
                        if learnt.replace(revision.number).is_some_and(|before| before != revision.number) {
                            this.learnt(revision);
                        }
                        if seen != Some(revision.number) || this.are_due().await {
                            // What could not be asked now is asked again, without a further change.
                            seen = this.renew_models().await.then_some(revision.number);
                        }
                    }
                    Err(fault) => {
                        if !std::mem::replace(&mut was_lost, true) {
                            tracing::error!(%fault, "the registry cannot be asked; the versions that serve go on");
                        }
                    }
                }
            }
        })
    }

    /// Counts how long ago a change was made that was seen now.
    fn learnt(&self, revision: Revision) {
        if let Some(at) = revision.at {
            let ago = self.tools.clock.unix_ms().saturating_sub(at);
            self.tools.metrics.model_learnt(Duration::from_millis(ago));
        }
    }

    /// Whether a version that was refused is to be tried again.
    async fn are_due(&self) -> bool {
        self.parts.lock().await.are_due(self.tools.clock.now())
    }

    /// Tells the other replicas what is served now.
    async fn announce(&self, parts: &Parts) {
        if let Some(shelf) = &self.tools.registry {
            shelf.announcer.replace(parts.servings()).await;
        }
    }

    /// What all replicas serve.
    ///
    /// # Errors
    /// There is no registry, or it cannot be asked.
    pub(crate) async fn replicas(&self) -> Result<Vec<ReplicaServing>, Fault> {
        let none = || Fault::new(FaultKind::NotFound, "this gateway has no registry: set `store.registry`");
        self.tools.registry.as_ref().ok_or_else(none)?.models.replicas().await
    }

    /// Puts into force what the references mean now; whether all of them could be asked.
    async fn renew_models(&self) -> bool {
        let mut parts = self.parts.lock().await;
        let spec = self.spec();
        let before = self.server.snapshot();
        let renewed = match parts.renewed(&spec, &self.tools).await {
            Ok(renewed) if renewed.serves_otherwise(&parts) => renewed,
            Ok(renewed) => return renewed.are_current(),
            Err(e) => {
                tracing::error!(error = format!("{e:#}"), "the models of the registry are not renewed");
                return true;
            }
        };
        let are_current = renewed.are_current();
        match super::snapshot::build(
            &spec,
            &renewed,
            Some(&before),
            &self.tools.clock,
            self.tools.prompts.as_ref(),
            &self.tools.deciders,
        ) {
            Ok(snapshot) => {
                self.tools.deciders.in_force(&spec);
                self.put_into_force(snapshot);
                *parts = renewed;
                self.tools.views.replace(parts.views());
                self.announce(&parts).await;
            }
            Err(e) => tracing::error!(error = format!("{e:#}"), "the models of the registry are not renewed"),
        }
        are_current
    }

    fn put_into_force(&self, snapshot: Snapshot) {
        self.server.ports().metrics.serving(&snapshot.served);
        self.server.replace(Arc::new(snapshot));
    }

    fn renew_tls(&self) -> Result<(), ReloadRefused> {
        let tls = self.state().tls.clone();
        tls.iter().try_for_each(|tls| tls.reload()).map_err(refused)
    }

    /// Forgets the callers whose limits are full again.
    pub(crate) async fn sweep(&self) {
        if let Some(limits) = self.parts.lock().await.limits() {
            limits.sweep();
        }
    }

    /// The counters of this process, where limits are not shared.
    pub(crate) async fn counters(&self) -> Option<Arc<MemoryLimits>> {
        self.parts.lock().await.limits()?.memory()
    }

    /// Follows the files until the guard is dropped. Folders are watched, not files: editors and mounted secrets
    /// replace a file by another.
    ///
    /// # Errors
    /// The system cannot watch them.
    pub(crate) fn watch(self: &Arc<Self>) -> notify::Result<Watching> {
        let (tell, mut told) = tokio::sync::mpsc::channel::<()>(1);
        let ours = Arc::downgrade(self);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let changed = event.is_ok_and(|event| {
                !event.kind.is_access() && ours.upgrade().is_some_and(|this| this.concerns(&event.paths))
            });
            if changed {
                // Full means that a reload is due already, closed that nobody follows any more.
                tell.try_send(()).unwrap_or_default();
            }
        });
        let mut folders = Folders { watcher: watcher?, watched: BTreeSet::new() };
        folders.watch(self.folders())?;
        *self.watched_folders() = Some(folders);
        let reloader = Arc::downgrade(self);
        let task = tokio::spawn(async move {
            while told.recv().await.is_some() {
                tokio::time::sleep(SETTLE).await;
                while told.try_recv().is_ok() {}
                let Some(reloader) = reloader.upgrade() else { return };
                drop(reloader.reload("file change").await);
            }
        });
        Ok(Watching { reloader: Arc::downgrade(self), task })
    }

    /// Watches folders that a new configuration names and the old one did not, such as that of a plugin's component.
    fn watch_new_folders(&self) {
        // Not held while folders are added: who watches asks for the state to see whether a change concerns us.
        let wanted = self.folders();
        if let Some(Err(fault)) = self.watched_folders().as_mut().map(|folders| folders.watch(wanted)) {
            tracing::warn!(%fault, "a folder of the configuration cannot be watched; a change there is not seen");
        }
    }

    fn watched_folders(&self) -> std::sync::MutexGuard<'_, Option<Folders>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folders(&self) -> BTreeSet<PathBuf> {
        let state = self.state();
        let tls = state
            .tls
            .iter()
            .flat_map(|tls| [Some(tls.spec().cert.clone()), Some(tls.spec().key.clone()), tls.spec().client_ca.clone()])
            .flatten();
        let files = state.files.iter().cloned().chain(tls);
        files
            .map(|file| {
                file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
            })
            .collect()
    }

    /// Whether one of these is ours: what else lies in the same folder may change as it likes. A change of a link
    /// (as in mounted secrets) concerns us as well.
    fn concerns(&self, changed: &[PathBuf]) -> bool {
        let state = self.state();
        let tls = state.tls.iter().any(|tls| {
            changed.iter().any(|path| same_name(path, &tls.spec().cert) || same_name(path, &tls.spec().key))
        });
        tls || changed.iter().any(|path| {
            path.is_symlink()
                || state.files.iter().any(|file| same_name(path, file))
                || path.extension().is_some_and(|end| end == "yaml")
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until it is time to look at the registry: at a notice, or after a while without one.
async fn wait(models: &dyn Models) {
    tokio::select! {
        () = tokio::time::sleep(LOOK) => {}
        // Changes come in bursts too.
        () = models.changed() => tokio::time::sleep(GATHER).await,
    }
}

fn same_name(one: &Path, other: &Path) -> bool {
    one.file_name() == other.file_name()
}

fn refused(why: impl std::fmt::Display) -> ReloadRefused {
    let report = why.to_string();
    ReloadRefused { findings: serde_json::json!([{"message": report}]), report }
}

/// Follows files while it lives.
#[derive(Debug)]
pub(crate) struct Watching {
    reloader: Weak<Reloader>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(reloader) = self.reloader.upgrade() {
            drop(reloader.watched_folders().take());
        }
    }
}
