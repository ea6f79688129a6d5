//! The whole gateway, built: what lives from start to stop.

use super::budgets::Budgets;
use super::deciders::Deciders;
use super::events::NoEvents;
use super::limiter::Leases;
use super::operations::ProgramOperations;
use super::parts::{Parts, Tools};
#[cfg(feature = "host")]
use super::plugins::PluginMount;
use super::plugins::{Depot, Rack, Workshop};
use super::prompts::PromptMount;
use super::registry::OpenRegistry;
use super::reload::{self, Reloader, Watching};
use super::{AdapterMount, RestMount};
#[cfg(feature = "host")]
use crate::alerts::Teller;
use crate::batches::{BatchMount, Batches};
use crate::learning::{Board, FeedbackMount, Learners, Sharing, Watched};
use crate::monitors;
use crate::pull::PullContext;
use crate::push::PushMount;
use crate::replay::ExperimentMount;
use crate::rollouts::{Fleet, RolloutMount, Rollouts};
use crate::shadows::Accounts;
use anyhow::Context as _;
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};
use tidegate_core::clock::SystemClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::port::events::Events;
use tidegate_core::port::mount::Mount;
use tidegate_core::spec::{CorsSpec, GatewaySpec};
use tidegate_core::{Clock, Dice};
use tidegate_server::Server;
use tidegate_server::listen::{Drain, Listener, Terms};
use tidegate_server::observe::metrics::Metrics;
use tidegate_server::observe::span::Spans;
use tidegate_server::server::Ports;
use tidegate_storage::EventStore;

/// How often limits that are full again are forgotten.
const SWEEP: std::time::Duration = std::time::Duration::from_secs(60);

/// How often what was spent of budgets is written down.
const KEEP: std::time::Duration = std::time::Duration::from_secs(1);

/// The whole gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    spec: GatewaySpec,
    server: Arc<Server>,
    reloader: Arc<Reloader>,
    store: Option<Arc<EventStore>>,
    registry: Option<Arc<OpenRegistry>>,
    prompts: Option<Arc<PromptMount>>,
    deciders: Deciders,
    budgets: Arc<Budgets>,
    leases: Option<Arc<Leases>>,
    sharing: Option<Sharing>,
    batches: Option<Arc<Batches>>,
}

impl Gateway {
    /// Builds it from the configuration at `path`; models are fetched and loaded.
    ///
    /// # Errors
    /// The configuration is wrong, or something that it names cannot be had.
    pub(crate) async fn build(path: &Path, drain: Drain) -> anyhow::Result<Self> {
        let loaded = reload::read(path)?;
        let spec = loaded.spec;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let dice: Arc<dyn Dice> = Arc::new(SplitMix::seeded(seed()?));
        let (prompts, registry) = kept(&spec, &clock, &dice).await?;
        let metrics = Arc::new(Metrics::new(reload::arms_of(&spec)));
        // Without a shared store nobody asks for it.
        let events = spec.events.folder.as_deref().filter(|_| spec.shared.is_some());
        let replica = super::replica::replica(events, &*dice)?;
        let run = format!("{:016x}", dice.next_u64());
        let deciders = deciders(&spec, (&replica, run), registry.as_deref(), &clock, &metrics)?;
        let leases = leases(&spec, &clock, &dice, &metrics)?;
        let pull = PullContext::from_environment()?;
        let depot = Arc::new(Depot::from_environment(Arc::clone(&pull.transport)));
        let tools = Tools {
            clock: Arc::clone(&clock),
            dice: Arc::clone(&dice),
            roots: OnceLock::new(),
            registry: registry.as_ref().map(|registry| registry.shelf()),
            prompts: prompts.as_ref().map(|mount| mount.port()),
            pull,
            deciders: deciders.clone(),
            leases: leases.clone(),
            alerts: super::alerts::begin(&spec, &clock, &dice, &metrics),
            metrics: Arc::clone(&metrics),
            plugins: Arc::new(Rack::default()),
            views: Arc::default(),
            workshop: Arc::new(Workshop::of_this_program()),
            depot,
        };
        #[cfg(feature = "host")]
        introduce(&tools);
        let store = super::events::open(&spec.events, &clock)?;
        let kept: Arc<dyn Events> = match &store {
            Some(store) => Arc::<EventStore>::clone(store),
            None => Arc::new(NoEvents),
        };
        let events: Arc<dyn Events> = Arc::new(Watched::new(kept, deciders.clone()));
        if let Some(store) = &store {
            metrics.count_records(Arc::new(super::events::Counts(Arc::clone(store))));
        }
        let spans = spans(&spec)?;
        let parts = Parts::default().renewed(&spec, &tools).await?;
        let budgets = Arc::new(Budgets::beside(spec.events.folder.as_deref()));
        if let Some(limits) = parts.limits().and_then(|limits| limits.memory()) {
            budgets.restore(&limits)?;
        }
        let snapshot =
            Arc::new(super::snapshot::build(&spec, &parts, None, &clock, tools.prompts.as_ref(), &deciders)?);
        deciders.in_force(&spec);
        tools.plugins.replace(parts.plugins());
        tools.views.replace(parts.views());
        let sharing = sharing(&spec, replica, &deciders.learners, &*dice)?;
        super::events::keep_configuration(&spec.events, &spec)?;
        metrics.configured(&spec.hash);
        metrics.serving(&snapshot.served);
        if let Some(shelf) = &tools.registry {
            shelf.announcer.replace(parts.servings()).await;
        }
        let slot = Arc::new(OnceLock::new());
        let operations =
            Arc::new(ProgramOperations::new(Arc::clone(&slot), spec.events.folder.clone(), Arc::clone(&clock)));
        let batches = super::batches::open(spec.batches.as_ref(), &clock, &dice).await?;
        let mut mounts = mounts(registry.as_deref(), prompts.as_ref(), &slot, &spec, &tools);
        mounts.extend(batches.iter().map(|batches| Arc::new(BatchMount(Arc::clone(batches))) as Arc<dyn Mount>));
        let ports = Ports { clock, dice, events, spans, metrics, operations, mounts };
        let server = Arc::new(Server::new(snapshot, ports, drain));
        let reloader = Arc::new(Reloader::new(path, Arc::clone(&server), tools, parts, &spec, loaded.files));
        // The slot is filled once, here: it only closes the circle of server, operations and reloader.
        drop(slot.set(Arc::downgrade(&reloader)));
        Ok(Self { spec, server, reloader, store, registry, prompts, deciders, budgets, leases, sharing, batches })
    }

    /// The server.
    #[must_use]
    pub(crate) fn server(&self) -> Arc<Server> {
        Arc::clone(&self.server)
    }

    /// Binds all listeners.
    ///
    /// # Errors
    /// An address cannot be had.
    pub(crate) async fn listen(&self) -> anyhow::Result<Vec<Listener>> {
        let mut listeners = Vec::new();
        for spec in &self.spec.listeners {
            let terms = Terms {
                admin: false,
                is_tls: spec.tls.is_some(),
                cors: spec.cors.clone(),
                max_body: spec.max_body,
                head_timeout: spec.head_timeout,
                body_timeout: spec.body_timeout,
            };
            listeners
                .push(Listener::bind(&spec.name, spec.address, terms, spec.tls.clone(), spec.max_connections).await?);
        }
        if let Some(admin) = &self.spec.admin {
            let terms = Terms { admin: true, cors: CorsSpec::Off, ..admin_terms() };
            listeners.push(Listener::bind("admin", admin.address, terms, None, 256).await?);
        }
        self.reloader.follow_tls(listeners.iter().filter_map(Listener::tls));
        Ok(listeners)
    }

    /// Follows changes of the configuration's files until the guard is dropped.
    ///
    /// # Errors
    /// The system cannot watch files.
    pub(crate) fn watch(&self) -> anyhow::Result<Watching> {
        self.reloader.watch().context("cannot watch the configuration's files")
    }

    /// Reads the configuration again, because of `why`.
    pub(crate) async fn reload(&self, why: &str) {
        // The outcome stands in the log and the metrics.
        drop(self.reloader.reload(why).await);
    }

    /// Forgets now and then the callers whose limits are full again.
    pub(crate) fn sweep(&self) -> tokio::task::JoinHandle<()> {
        let reloader = Arc::clone(&self.reloader);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                reloader.sweep().await;
            }
        })
    }

    /// Writes down each second what was spent of budgets.
    fn keep_budgets(&self) -> tokio::task::JoinHandle<()> {
        let (reloader, budgets) = (Arc::clone(&self.reloader), Arc::clone(&self.budgets));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(KEEP).await;
                let (limits, budgets) = (reloader.counters().await, Arc::clone(&budgets));
                let kept = tokio::task::spawn_blocking(move || limits.iter().for_each(|limits| budgets.keep(limits)));
                // A keeper that panicked said so already.
                drop(kept.await);
            }
        })
    }

    /// Follows what others push into the prompts' repository, how rollouts go and how aliases move, tells what serves here, has
    /// models sleep that nobody calls, and keeps the artifact store clean.
    pub(crate) fn follow(&self) -> Vec<tokio::task::JoinHandle<()>> {
        let registry = self.registry.iter().flat_map(|registry| {
            let following = [registry.listen(), self.reloader.follow_models()];
            [registry.sweep(), registry.anchor(), registry.keep_telling()].into_iter().chain(following)
        });
        let prompts = self.prompts.iter().map(|prompts| prompts.follow());
        let batches = self.batches.iter().map(|batches| batches.begin(&self.server));
        let always = [self.deciders.rollouts.follow(), self.keep_budgets(), self.reloader.follow_sleep()];
        registry.chain(prompts).chain(batches).chain(always).collect()
    }

    /// Ends what must end in order: records are written, and spans sent.
    pub(crate) async fn close(self) {
        // First, so that the records of its calls are written.
        if let Some(batches) = &self.batches {
            batches.close().await;
        }
        if let Some(registry) = &self.registry {
            registry.close().await;
        }
        let spans = self.server.ports().spans.clone();
        let learners = Arc::clone(&self.deciders.learners);
        #[cfg(feature = "host")]
        let monitors = Arc::clone(&self.deciders.monitors);
        if let Some(leases) = &self.leases {
            leases.close().await;
        }
        let limits = self.reloader.counters().await;
        let closed = tokio::task::spawn_blocking(move || {
            limits.iter().for_each(|limits| self.budgets.keep(limits));
            learners.close();
            // Behind the learners, so that they hear what was said last.
            #[cfg(feature = "host")]
            monitors.close();
            if let Some(store) = self.store {
                store.close();
            }
            if let Some(spans) = spans {
                spans.close();
            }
        });
        if let Err(e) = closed.await {
            tracing::error!(error = %e, "the event store or the way to the collector did not close");
        }
        self.reloader.alerts().close().await;
        // Behind the learners, so that others hear of the last rewards, too.
        if let Some(sharing) = &self.sharing {
            sharing.close().await;
        }
    }
}

/// Monitors hear who tells of alarms, and the metrics how plugins fare.
#[cfg(feature = "host")]
fn introduce(tools: &Tools) {
    tools.deciders.monitors.told_by(Arc::<Teller>::clone(&tools.alerts));
    tools.metrics.count_plugins(Arc::<Rack>::clone(&tools.plugins));
}

/// The interfaces that organs bring along.
fn mounts(
    registry: Option<&OpenRegistry>,
    prompts: Option<&Arc<PromptMount>>,
    slot: &Arc<OnceLock<Weak<Reloader>>>,
    spec: &GatewaySpec,
    tools: &Tools,
) -> Vec<Arc<dyn Mount>> {
    let deciders = &tools.deciders;
    // Before the registry's, which has the models beside.
    let mut mounts: Vec<Arc<dyn Mount>> =
        vec![Arc::new(AdapterMount::new(Arc::clone(slot))), Arc::new(RestMount::new(Arc::clone(slot)))];
    mounts.extend(registry.iter().flat_map(|registry| registry.mounts()));
    mounts.extend(prompts.iter().map(|mount| Arc::<PromptMount>::clone(mount) as Arc<dyn Mount>));
    mounts.push(Arc::new(FeedbackMount::new(Arc::clone(&deciders.learners))));
    mounts.push(Arc::new(ExperimentMount::new(Arc::clone(slot), spec.events.folder.clone())));
    mounts.push(Arc::new(PushMount::new(Arc::clone(&tools.views), Arc::clone(&tools.clock))));
    mounts.push(Arc::new(RolloutMount::new(Arc::clone(&deciders.rollouts))));
    #[cfg(feature = "host")]
    mounts.push(Arc::new(monitors::MonitorMount::new(Arc::clone(&deciders.monitors))));
    #[cfg(feature = "host")]
    mounts.push(Arc::new(PluginMount::new(Arc::clone(&tools.plugins), Arc::clone(&tools.workshop))));
    mounts
}

fn admin_terms() -> Terms {
    Terms {
        admin: true,
        is_tls: false,
        cors: CorsSpec::Off,
        max_body: 1024 * 1024,
        head_timeout: std::time::Duration::from_secs(5),
        body_timeout: std::time::Duration::from_secs(30),
    }
}

/// Prompts and the registry, where there are any; what is done to prompts goes into the registry's audit log.
async fn kept(
    spec: &GatewaySpec,
    clock: &Arc<dyn Clock>,
    dice: &Arc<dyn Dice>,
) -> anyhow::Result<(Option<Arc<PromptMount>>, Option<Arc<OpenRegistry>>)> {
    let prompts = match &spec.prompts {
        Some(wanted) => Some(super::prompts::open(wanted, clock).await?),
        None => None,
    };
    let shelf = prompts.as_ref().map(|mount| mount.shelf());
    let registry = match &spec.registry {
        Some(wanted) => {
            let events = spec.events.folder.as_deref();
            Some(Arc::new(super::registry::open(wanted, clock, dice, shelf, events).await?))
        }
        None => None,
    };
    if let (Some(prompts), Some(registry)) = (&prompts, &registry) {
        prompts.audited(registry.audit());
    }
    Ok((prompts, registry))
}

/// Those who say which shares arms have; turns of rollouts go into the registry's audit log, where there is one.
fn deciders(
    spec: &GatewaySpec,
    (replica, run): (&str, String),
    registry: Option<&OpenRegistry>,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
) -> anyhow::Result<Deciders> {
    let events = spec.events.folder.as_deref();
    let fleet = spec.shared.as_ref().map(|shared| Fleet::begin(shared, replica.to_owned())).transpose()?;
    let verdicts: Arc<monitors::Board> = Arc::default();
    let rollouts = Arc::new(Rollouts::new(events, Arc::<monitors::Board>::clone(&verdicts), Arc::clone(clock), fleet));
    if let Some(registry) = registry {
        rollouts.audited(registry.audit());
    }
    let valves: Arc<monitors::Valves> = Arc::default();
    #[cfg(feature = "host")]
    let monitors = {
        let book = registry.map(|registry| Arc::new(registry.book()) as Arc<dyn monitors::Book>);
        let does = (Arc::clone(&rollouts), Arc::clone(&valves));
        let shared = shared_monitors(spec, replica.to_owned(), run)?;
        let board = Arc::<monitors::Board>::clone(&verdicts);
        Arc::new(monitors::Monitors::start((events, shared), board, Arc::clone(clock), does, book)?)
    };
    #[cfg(not(feature = "host"))]
    let monitors: Arc<monitors::Monitors> = {
        drop(run);
        Arc::default()
    };
    let board = Arc::new(Board::new(spec.shared.is_some()));
    if spec.shared.is_some() {
        metrics.count_learning(Arc::<Board>::clone(&board));
    }
    let learners = Arc::new(Learners::start(events, Arc::clone(clock), Arc::clone(&rollouts), board)?);
    #[cfg(feature = "host")]
    learners.told_afterwards(Arc::<monitors::Monitors>::clone(&monitors));
    let shadows = Arc::new(Accounts::open(events, Arc::clone(clock)).context("the log of shadows")?);
    #[cfg(feature = "host")]
    metrics.count_monitors(Arc::<monitors::Monitors>::clone(&monitors));
    Ok(Deciders { learners, rollouts, shadows, valves, monitors, verdicts })
}

/// The way on which replicas have windows of monitors together, where there is one.
#[cfg(all(feature = "host", feature = "redis"))]
fn shared_monitors(spec: &GatewaySpec, name: String, run: String) -> anyhow::Result<Option<monitors::Shared>> {
    let Some(shared) = &spec.shared else { return Ok(None) };
    let parcels = tidegate_state::RedisParcels::at(&shared.url, name.clone()).context("`store.shared`")?;
    Ok(Some((Arc::new(parcels), name, run)))
}

/// Without the feature there is no way to others.
#[cfg(all(feature = "host", not(feature = "redis")))]
fn shared_monitors(spec: &GatewaySpec, _: String, _: String) -> anyhow::Result<Option<monitors::Shared>> {
    anyhow::ensure!(
        spec.shared.is_none(),
        "this program was built without the feature `redis`, which `store.shared` needs"
    );
    Ok(None)
}

/// The way to the store that replicas share, where there is one.
fn leases(
    spec: &GatewaySpec,
    clock: &Arc<dyn Clock>,
    dice: &Arc<dyn Dice>,
    metrics: &Metrics,
) -> anyhow::Result<Option<Arc<Leases>>> {
    let Some(shared) = &spec.shared else { return Ok(None) };
    let leases = Arc::new(Leases::begin(shared, clock, dice)?);
    metrics.count_leases(leases.counts());
    Ok(Some(leases))
}

/// The way on which replicas tell each other what they learn, where there is one.
fn sharing(
    spec: &GatewaySpec,
    replica: String,
    learners: &Learners,
    dice: &dyn Dice,
) -> anyhow::Result<Option<Sharing>> {
    spec.shared.as_ref().map(|shared| Sharing::begin(shared, replica, learners, dice)).transpose()
}

fn seed() -> anyhow::Result<u64> {
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes).map_err(|e| anyhow::anyhow!("the system gives no random numbers: {e}"))?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(feature = "otlp")]
fn spans(spec: &GatewaySpec) -> anyhow::Result<Option<Arc<dyn Spans>>> {
    spec.telemetry.otlp.as_ref().map(super::otlp::build).transpose()
}

#[cfg(not(feature = "otlp"))]
fn spans(spec: &GatewaySpec) -> anyhow::Result<Option<Arc<dyn Spans>>> {
    anyhow::ensure!(
        spec.telemetry.otlp.is_none(),
        "this program was built without the feature `otlp`, which `telemetry.otlp` needs"
    );
    Ok(None)
}
