//! Checked spec and parts to the snapshot that requests are served from.

use super::Granting;
use super::deciders::Deciders;
use super::parts::Parts;
use crate::graph::{Graph, Member};
use crate::second::{ModelJudge, Second};
use crate::shadows::{Asked, Taker};
use anyhow::{Context as _, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidegate_core::digest::Digest;
use tidegate_core::port::adapters::AdapterState;
use tidegate_core::port::judge::Judge;
use tidegate_core::port::limits::Limits;
use tidegate_core::port::prompts::Prompts;
use tidegate_core::spec::{
    AdvisedSpec, CascadeSpec, FilterSpec, GatewaySpec, GaugeSpec, GraphSpec, HedgeSpec, PolicySpec, ProviderKind,
    RouteSpec, ShadowSpec, VariantSpec,
};
use tidegate_core::{Caller, Clock, KeyRecord, ModelName, PluginName, Role, RouteName, Secret};
use tidegate_route::{Advising, Allowance, Gauge, Pace, Policy, RetryBudget, Rules, Steering};
use tidegate_server::Snapshot;
use tidegate_server::snapshot::{Arm, ByCall, Critics, Keyring, Route, RouteFilter, RouteRouter, ShadowArm};

/// Builds the snapshot of `spec`; budgets of retries and second requests and what was measured of arms go on from `before`.
/// Prompts that routes name are read.
///
/// # Errors
/// A prompt of a route is not there, or another reference leads nowhere, which the check of the configuration should
/// have found.
pub(crate) fn build(
    spec: &GatewaySpec,
    parts: &Parts,
    before: Option<&Snapshot>,
    clock: &Arc<dyn Clock>,
    prompts: Option<&Arc<dyn Prompts>>,
    deciders: &Deciders,
) -> anyhow::Result<Snapshot> {
    let judges = Granting::of(spec, parts, clock)?;
    let mut routes = std::collections::HashMap::new();
    let judged = Judged { spec, parts, judges: &judges, before, clock, deciders };
    for (name, route) in &spec.routes {
        routes.insert(name.clone(), Arc::new(judged.route(name, route)?));
    }
    for (name, route) in exposed(spec, parts) {
        if !routes.contains_key(&name) {
            routes.insert(name.clone(), Arc::new(judged.route(&name, &route)?));
        }
    }
    check_prompts(spec, before, prompts)?;
    let limits: Arc<dyn Limits> = parts.limits().context("the limits are not built")?.port();
    Ok(Snapshot {
        config: Arc::clone(&spec.hash),
        loaded: clock.unix_ms() / 1000,
        routes,
        served: parts.served(),
        prompts: prompts.cloned(),
        keys: keys(spec)?,
        admin_keys: admin_keys(spec)?,
        limits,
        content: spec.events.content,
        durability: spec.events.durability,
        subject: spec.events.subject.clone(),
    })
}

/// What routes are built of.
struct Judged<'a> {
    spec: &'a GatewaySpec,
    parts: &'a Parts,
    judges: &'a Granting,
    before: Option<&'a Snapshot>,
    clock: &'a Arc<dyn Clock>,
    deciders: &'a Deciders,
}

impl Judged<'_> {
    /// The route that is called by `name`.
    fn route(&self, name: &RouteName, route: &RouteSpec) -> anyhow::Result<Route> {
        let Self { spec, parts, judges, before, clock, deciders } = *self;
        let old = before.and_then(|old| old.routes.get(name)).map(|old| &**old);
        let kept = old.filter(|old| old.spec.retry == route.retry);
        let budget = kept
            .map_or_else(|| Arc::new(RetryBudget::new(&route.retry, Arc::clone(clock))), |old| Arc::clone(&old.budget));
        let mut built = built(&route.name, route, spec, (parts, judges), budget, deciders, clock)?;
        match &route.policy {
            PolicySpec::Steered(steered) => {
                let steering = Steering::new(steered, built.arms.len()).with_context(|| format!("route `{name}`"))?;
                built.by_call = Some(ByCall::Steering(steering));
                measure(&mut built, steered.gauge, old, clock);
            }
            PolicySpec::Advised(advised) => {
                let router = router(advised, parts).with_context(|| format!("route `{name}`"))?;
                built.by_call = Some(ByCall::Router(router));
                measure(&mut built, GaugeSpec::default(), old, clock);
            }
            PolicySpec::Rules(rules) => built.by_call = Some(ByCall::Rules(Rules::new(rules))),
            PolicySpec::Cascade(cascade) => {
                built.critics = critics(cascade, spec, parts, deciders).with_context(|| format!("route `{name}`"))?;
            }
            PolicySpec::Weighted(_) | PolicySpec::Learned(_) | PolicySpec::Rollout(_) => {}
        }
        if let Some(lookup) = &route.features {
            let found = parts.views().lookup(lookup, clock).with_context(|| format!("route `{name}`"))?;
            built.features = Some(Arc::new(found));
        }
        if let Some(hedge) = &route.hedge {
            hedged(&mut built, hedge, old, spec);
        }
        Ok(built)
    }
}

/// What routes that expose adapters may be called besides: `ROUTE:ADAPTER`, for each that their only model has now. Nothing
/// shadows such a call, since it is no variant of the route's.
fn exposed(spec: &GatewaySpec, parts: &Parts) -> Vec<(RouteName, RouteSpec)> {
    let mut all = Vec::new();
    for route in spec.routes.values().filter(|route| route.exposes_adapters) {
        let [variant] = &route.variants[..] else { continue };
        let backend = spec.models.get(&variant.model).and_then(|model| parts.backend(model));
        let Some(adapters) = backend.and_then(|backend| backend.adapters()) else { continue };
        for status in adapters.list().into_iter().filter(|status| status.state != AdapterState::Draining) {
            // A name that is too long together with the route's cannot be called.
            let Ok(called) = format!("{}:{}", route.name, status.name).parse() else { continue };
            let variant = VariantSpec { adapter: status.name.parse().ok(), ..variant.clone() };
            all.push((called, RouteSpec { variants: vec![variant], shadows: Vec::new(), ..route.clone() }));
        }
    }
    all
}

/// Whether the prompts of routes are there. One that a route had before is no reason to refuse: its label may have been
/// taken away meanwhile, and then no other change, such as a revoked key, would take effect.
fn check_prompts(
    spec: &GatewaySpec,
    before: Option<&Snapshot>,
    prompts: Option<&Arc<dyn Prompts>>,
) -> anyhow::Result<()> {
    let arms = || before.iter().flat_map(|before| before.routes.values()).flat_map(|route| &route.arms);
    for variant in spec.routes.values().flat_map(variants) {
        let Some(prompt) = &variant.prompt else { continue };
        let none = "the repository of prompts is opened at the next start: start the gateway again";
        let prompts = prompts.with_context(|| format!("variant `{}`: {none}", variant.name))?;
        match prompts.ready(prompt) {
            Ok(_) => {}
            Err(fault) if arms().any(|arm| arm.prompt.as_ref() == Some(prompt)) => {
                tracing::error!(variant = %variant.name, %prompt, %fault, "the prompt of a variant cannot be had");
            }
            Err(fault) => anyhow::bail!("variant `{}`: {prompt}: {}", variant.name, fault.says),
        }
    }
    Ok(())
}

/// All variants of a route, those of its shadows too.
fn variants(route: &RouteSpec) -> impl Iterator<Item = &VariantSpec> {
    route.variants.iter().chain(route.shadows.iter().map(|shadow| &shadow.variant))
}

fn built(
    name: &RouteName,
    route: &RouteSpec,
    spec: &GatewaySpec,
    (parts, judges): (&Parts, &Granting),
    budget: Arc<RetryBudget>,
    deciders: &Deciders,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Route> {
    let states = deciders.states(route)?;
    let one = |variant| arm(variant, name, spec, parts, clock);
    let arms = route.variants.iter().map(one).collect::<anyhow::Result<Vec<_>>>();
    let shadows = route
        .shadows
        .iter()
        .map(|one| shadow(name, one, spec, parts, deciders, clock))
        .collect::<anyhow::Result<Vec<_>>>();
    let filters = route.filters.iter().map(|one| filter(one, parts)).collect::<anyhow::Result<Vec<_>>>();
    let arms = arms.with_context(|| format!("route `{name}`"))?;
    let shadows = shadows.with_context(|| format!("route `{name}`"))?;
    kinds(route, &arms, &shadows).with_context(|| format!("route `{name}`"))?;
    Ok(Route {
        spec: Arc::new(route.clone()),
        policy: Policy::new(route, states).with_context(|| format!("route `{name}`"))?,
        by_call: None,
        critics: Critics::default(),
        budget,
        allowance: None,
        features: None,
        arms,
        filters: filters.with_context(|| format!("route `{name}`"))?,
        watchers: deciders.watchers(name, spec, judges)?,
        shadows,
    })
}

/// Classic models and language models are asked by different protocols, so a route has one kind of them; and what makes or
/// looks at texts has nothing to do at classic ones.
fn kinds(route: &RouteSpec, arms: &[Arm], shadows: &[ShadowArm]) -> anyhow::Result<()> {
    let all = || arms.iter().chain(shadows.iter().map(|shadow| &shadow.arm));
    let is_classic = arms.first().is_some_and(|arm| arm.backend.is_classic());
    if let Some(other) = all().find(|arm| arm.backend.is_classic() != is_classic) {
        let (one, two) = if is_classic { ("classic", "language") } else { ("language", "classic") };
        anyhow::bail!("it has {one} models, and `{}` is a {two} model: give each kind a route of its own", other.model);
    }
    if !is_classic {
        ensure!(
            route.features.is_none(),
            "its models are language models, for which nothing is looked up: leave `features` out"
        );
        return Ok(());
    }
    ensure!(route.filters.is_empty(), "its models are classic ones, which filters do not look at: leave `filters` out");
    for arm in all() {
        let is_bare = arm.prompt.is_none() && arm.adapter.is_none() && arm.parameters.is_empty();
        ensure!(is_bare, "the model of `{}` is a classic one: it takes no prompt, adapter or parameters", arm.name);
    }
    Ok(())
}

/// A plugin that looks at the calls of a route.
fn filter(spec: &FilterSpec, parts: &Parts) -> anyhow::Result<RouteFilter> {
    let filter = parts.plugins().filter(&spec.plugin);
    let filter = filter.with_context(|| format!("the plugin `{}` looks at no calls", spec.plugin))?;
    Ok(RouteFilter { plugin: spec.plugin.clone(), spec: spec.clone(), filter })
}

/// Who is asked about the answers of a cascade.
fn critics(cascade: &CascadeSpec, spec: &GatewaySpec, parts: &Parts, deciders: &Deciders) -> anyhow::Result<Critics> {
    let plugin = |name: &PluginName| {
        let filter = parts.plugins().filter(name);
        Ok((name.clone(), filter.with_context(|| format!("the plugin `{name}` looks at no answers"))?))
    };
    Ok(Critics {
        verdicts: (!cascade.monitors.is_empty()).then(|| Arc::clone(&deciders.verdicts)),
        plugins: cascade.plugins.iter().map(plugin).collect::<anyhow::Result<_>>()?,
        judge: judge(cascade, spec, parts)?,
    })
}

/// Who says how good the answers of a cascade are, where it asks.
fn judge(cascade: &CascadeSpec, spec: &GatewaySpec, parts: &Parts) -> anyhow::Result<Option<Arc<dyn Judge>>> {
    let Some(asked) = &cascade.judge else { return Ok(None) };
    let price = spec.models.get(&asked.model).and_then(|model| model.price);
    Ok(Some(Arc::new(ModelJudge::new(second(&asked.model, spec, parts)?, price, asked.timeout))))
}

/// A plugin that says which arms calls may have.
fn router(spec: &AdvisedSpec, parts: &Parts) -> anyhow::Result<RouteRouter> {
    let router = parts.plugins().router(&spec.plugin);
    let router = router.with_context(|| format!("the plugin `{}` is no router", spec.plugin))?;
    Ok(RouteRouter { plugin: spec.plugin.clone(), router, advising: Advising::new(spec)? })
}

/// Has the arms of a route measured. An arm that is the same one as before keeps its gauge.
fn measure(route: &mut Route, spec: GaugeSpec, old: Option<&Route>, clock: &Arc<dyn Clock>) {
    for (arm, variant) in route.arms.iter_mut().zip(&route.spec.variants) {
        let same = |old: &Route| old.spec.variants.iter().position(|known| known == variant);
        let kept = old.and_then(|old| old.arms.get(same(old)?)?.gauge.clone());
        let kept = kept.filter(|gauge| gauge.spec() == spec);
        arm.gauge = Some(kept.unwrap_or_else(|| Arc::new(Gauge::new(spec, Arc::clone(clock)))));
    }
}

/// Lets second requests go out beside slow ones of a route. What was saved up goes on while the hedging is the same one,
/// and what was measured of an arm while the arm is, too. What runs in this process is never asked twice.
fn hedged(route: &mut Route, hedge: &HedgeSpec, old: Option<&Route>, spec: &GatewaySpec) {
    let saved = old.filter(|old| old.spec.hedge.as_ref() == Some(hedge)).and_then(|old| old.allowance.clone());
    route.allowance = Some(saved.unwrap_or_else(|| Arc::new(Allowance::new(hedge.max_extra))));
    for (arm, variant) in route.arms.iter_mut().zip(&route.spec.variants) {
        let provider = spec.providers.get(&arm.provider);
        if provider.is_none_or(|provider| matches!(provider.kind, ProviderKind::Local(_))) {
            continue;
        }
        let same = |old: &Route| old.spec.variants.iter().position(|known| known == variant);
        let kept = old.and_then(|old| old.arms.get(same(old)?)?.pace.clone());
        let kept = kept.filter(|pace| pace.after() == hedge.after);
        arm.pace = Some(kept.unwrap_or_else(|| Arc::new(Pace::new(hedge.after))));
    }
}

/// A shadow of a route: what answers its copies, and who compares.
fn shadow(
    route: &RouteName,
    shadow: &ShadowSpec,
    spec: &GatewaySpec,
    parts: &Parts,
    deciders: &Deciders,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<ShadowArm> {
    let arm = arm(&shadow.variant, route, spec, parts, clock)?;
    let second = |model: &Option<ModelName>| model.as_ref().map(|model| second(model, spec, parts)).transpose();
    let asked = Asked {
        backend: Arc::clone(&arm.backend),
        price: arm.price,
        embedding: second(&shadow.compare.embedding)?,
        judge: second(&shadow.compare.judge)?,
    };
    let taker = Taker::new(route, shadow, asked, &deciders.shadows);
    Ok(ShadowArm { arm, share: shadow.share, taker: Arc::new(taker.clone()), counts: Arc::new(taker) })
}

/// A model that is asked for a second opinion.
pub(super) fn second(model: &ModelName, spec: &GatewaySpec, parts: &Parts) -> anyhow::Result<Second> {
    let found = spec.models.get(model).with_context(|| format!("there is no model `{model}`"))?;
    let backend = parts.backend(found).with_context(|| format!("nothing runs the model `{model}`"))?;
    Ok(Second { model: model.clone(), upstream: found.upstream.clone(), backend })
}

fn arm(
    variant: &VariantSpec,
    route: &RouteName,
    spec: &GatewaySpec,
    parts: &Parts,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Arm> {
    if let Some(graph) = &variant.graph {
        return of_graph(variant, graph, route, spec, parts, clock);
    }
    let model =
        spec.models.get(&variant.model).with_context(|| format!("variant `{}` names no model", variant.name))?;
    let backend = parts.backend(model).with_context(|| format!("nothing runs the model `{}`", model.name))?;
    Ok(Arm {
        name: variant.name.clone(),
        model: model.name.clone(),
        upstream: model.upstream.clone(),
        provider: model.provider.clone(),
        version: parts.version(model),
        prompt: variant.prompt.clone(),
        adapter: variant.adapter.clone(),
        parameters: variant.parameters.clone(),
        price: model.price,
        context_length: model.context_length,
        backend,
        gauge: None,
        pace: None,
    })
}

/// The arm of a graph.
fn of_graph(
    variant: &VariantSpec,
    graph: &Arc<GraphSpec>,
    route: &RouteName,
    spec: &GatewaySpec,
    parts: &Parts,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Arm> {
    let member = |name: &ModelName| {
        let model = spec.models.get(name).with_context(|| format!("there is no model `{name}`"))?;
        let backend = parts.backend(model).with_context(|| format!("nothing runs the model `{name}`"))?;
        let of = || format!("the graph of `{}` asks `{name}`, which is a language model", variant.name);
        ensure!(backend.is_classic(), "{}: graphs are of classic models", of());
        Ok((name.clone(), Member::new(backend, &model.upstream, parts.version(model))))
    };
    let plugin = |name: &PluginName| {
        let filter = parts.plugins().filter(name);
        Ok((name.clone(), filter.with_context(|| format!("the plugin `{name}` looks at no requests"))?))
    };
    let built = Graph {
        spec: Arc::clone(graph),
        route: route.clone(),
        models: graph.models().map(member).collect::<anyhow::Result<_>>()?,
        plugins: graph.plugins().map(plugin).collect::<anyhow::Result<_>>()?,
        clock: Arc::clone(clock),
    };
    Ok(Arm {
        name: variant.name.clone(),
        model: variant.model.clone(),
        upstream: variant.model.to_string(),
        provider: "graph".parse()?,
        version: None,
        prompt: None,
        adapter: None,
        parameters: Vec::new(),
        price: None,
        context_length: None,
        backend: Arc::new(built),
        gauge: None,
        pace: None,
    })
}

fn keys(spec: &GatewaySpec) -> anyhow::Result<Keyring> {
    match &spec.keys {
        Some(keys) => Ok(Keyring::of(keys.keys.iter().cloned())),
        None => Ok(Keyring::Open(Caller(Arc::new(anybody()?)))),
    }
}

/// The admin listener takes the keys that exist and its own token; without either it takes nobody.
fn admin_keys(spec: &GatewaySpec) -> anyhow::Result<Keyring> {
    let mut keys: Vec<KeyRecord> = spec.keys.iter().flat_map(|keys| keys.keys.iter().cloned()).collect();
    if let Some(token) = spec.admin.as_ref().and_then(|admin| admin.token.as_ref()) {
        keys.push(token_key(token)?);
    }
    Ok(Keyring::of(keys))
}

fn token_key(token: &Secret) -> anyhow::Result<KeyRecord> {
    let digest = Digest::of(token.expose().as_bytes());
    let roles = Role::ALL.into_iter().collect();
    Ok(KeyRecord {
        id: "admin-token".parse()?,
        digest,
        principal: "admin".parse()?,
        tenant: "admin".parse()?,
        roles,
        routes: None,
        expires: None,
        tags: BTreeMap::new(),
    })
}

fn anybody() -> anyhow::Result<KeyRecord> {
    let roles = BTreeSet::from([Role::Infer, Role::Feedback, Role::Read]);
    // No secret digests to zeros; and an open keyring never looks one up.
    let digest = Digest::from_bytes([0; 32]);
    Ok(KeyRecord {
        id: "anonymous".parse()?,
        digest,
        principal: "anonymous".parse()?,
        tenant: "default".parse()?,
        roles,
        routes: None,
        expires: None,
        tags: BTreeMap::new(),
    })
}
