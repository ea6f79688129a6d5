//! References and possibilities across entries: whether what one names another has, and whether it can be used so.

mod adapter;
mod contract;
mod views;

use crate::place::Place;
use crate::scalar::{At, Money};
use crate::section::ConfigFile;
use crate::section::Desk;
use crate::section::cascade::CascadeFile;
use crate::section::graph::GraphFile;
use crate::section::model::{ModelFile, PriceFile, SourceFile};
use crate::section::policy::PolicyFile;
use crate::section::provider::ProviderFile;
use crate::section::rollout::RolloutFile;
use crate::section::route::RouteFile;
use crate::section::shadow::ShadowFile;
use crate::shape::{Map, Placed as _};
use crate::suggest::nearest;
use std::collections::HashSet;
use std::fmt::Display;
use tidegate_core::model_ref::ModelRef;
use tidegate_core::{ModelName, PluginName};

/// Checks all of them.
pub(crate) fn check(raw: &ConfigFile, desk: &mut Desk<'_>) {
    let has = |section: &str| raw.here().has(section);
    // A section that is faulty as a whole says so itself; nothing is missed in it.
    let providers = raw.providers.as_ref();
    let models = raw.models.as_ref();
    // A `store` that is faulty as a whole says so itself.
    let has_registry = raw.store.as_ref().map_or(has("store"), |store| store.here().has("registry"));
    for item in models.iter().flat_map(|models| &models.0) {
        if let Some(model) = &item.value {
            check_model(model, &item.at, providers, has("providers"), has_registry, desk);
        }
    }
    let mut used = models_of_routes(raw);
    used.extend(models_of_plugins(raw));
    for name in &used {
        if models.is_some() || !has("models") {
            look_up("model", name.value.as_str(), name, models, desk);
        }
    }
    let mut filters = plugins_of_routes(raw);
    for name in &filters {
        if raw.plugins.is_some() || !has("plugins") {
            look_up("plugin", name.value.as_str(), name, raw.plugins.as_ref(), desk);
        }
    }
    check_prompts(raw, desk);
    check_prices(raw, models, desk);
    check_hedges(raw, models, desk);
    check_watched(raw, desk);
    adapter::check(raw, desk);
    views::check(raw, desk);
    warn_of_idle(raw, &used, desk);
    filters.extend(plugins_of_monitors(raw));
    warn_of_idle_plugins(raw, &filters, desk);
}

/// A prompt needs a repository to be in; whether it is there is known when that is opened.
fn check_prompts(raw: &ConfigFile, desk: &mut Desk<'_>) {
    if raw.here().has("prompts") {
        return;
    }
    let routes = raw.routes.iter().flat_map(|routes| &routes.0).filter_map(|item| item.value.as_ref());
    for route in routes {
        let variants = route.variants.iter().flat_map(|variants| &variants.0).filter_map(|item| item.value.as_ref());
        let shadows = route.shadow.iter().flatten().filter_map(ShadowFile::prompt);
        for prompt in route.prompt.iter().chain(variants.filter_map(|variant| variant.prompt.as_ref())).chain(shadows) {
            desk.notes
                .fault(&prompt.at, format!("there is no repository that holds the prompt {}", prompt.shown()))
                .remedy("add `prompts: {repository: FOLDER}`");
        }
    }
}

/// What goes by prices needs to know what each variant costs.
fn check_prices(raw: &ConfigFile, models: Option<&Map<ModelFile>>, desk: &mut Desk<'_>) {
    let routes = raw.routes.iter().flat_map(|routes| &routes.0).filter_map(|item| item.value.as_ref());
    for route in routes {
        let bounds = route.policy.as_ref().and_then(PolicyFile::bounds_cost);
        let what = match (&route.policy, bounds) {
            (Some(PolicyFile::Cost(_)), _) => "cost",
            (_, Some(_)) => "max_cost_share",
            _ => continue,
        };
        let variants = || route.variants.iter().flat_map(|variants| &variants.0);
        let (mut is_priced, mut is_free, mut has_others) = (true, true, false);
        for (name, model) in variants().filter_map(|item| Some((&item.name, item.value.as_ref()?.model.as_ref()?))) {
            let found = models.and_then(|models| models.0.iter().find(|item| item.name == model.value.as_str()));
            let Some(found) = found.and_then(|item| item.value.as_ref()) else { continue };
            if !found.here().has("price") {
                is_priced = false;
                let says = format!("what the model {} costs is not known, and `{what}` goes by that", model.shown());
                desk.notes
                    .fault(&model.at, says)
                    .remedy("add its `price: {input: 2.5, output: 10.0}`, with 0 where it costs nothing");
            }
            let is_bounded = bounds.is_none_or(|bounds| bounds.has(name));
            has_others |= !is_bounded;
            is_free &= is_bounded || found.price.as_ref().is_none_or(is_nothing);
        }
        if let Some(first) = bounds.and_then(|bounds| bounds.0.first()).filter(|_| is_priced && has_others && is_free) {
            desk.notes
                .fault(&first.at, "the other variants cost nothing, so a bounded one can never have a call")
                .remedy("give the other models a price too, such as what their machine costs");
        }
    }
}

/// A second request helps where it goes to another machine than the first one. What runs in this process has one queue,
/// in which it would only stand behind the first.
fn check_hedges(raw: &ConfigFile, models: Option<&Map<ModelFile>>, desk: &mut Desk<'_>) {
    let is_local = |name: &At<ModelName>| {
        let model = models.and_then(|models| models.0.iter().find(|item| item.name == name.value.as_str()))?;
        let provider = model.value.as_ref()?.provider.as_ref()?;
        let providers = raw.providers.as_ref()?;
        let found = providers.0.iter().find(|item| item.name == provider.value.as_str())?;
        Some(matches!(found.value.as_ref()?, ProviderFile::Local(_)))
    };
    let routes = raw.routes.iter().flat_map(|routes| &routes.0).filter_map(|item| item.value.as_ref());
    for (route, hedge) in routes.filter_map(|route| Some((route, route.hedge.as_ref()?))) {
        let variants = route.variants.iter().flat_map(|variants| &variants.0);
        let named = variants.map(|item| item.value.as_ref().and_then(|variant| variant.model.as_ref()));
        let mut all = route.model.iter().map(Some).chain(named).peekable();
        if all.peek().is_some() && all.all(|model| model.and_then(is_local) == Some(true)) {
            desk.notes
                .fault(hedge.at(), "this can never apply: the models of this route run in this process")
                .remedy("leave `hedge` out: a second request would only wait behind the first");
        }
    }
}

/// A rollout or a cascade that asks a monitor needs one that watches its route.
fn check_watched(raw: &ConfigFile, desk: &mut Desk<'_>) {
    if raw.monitors.is_none() && raw.here().has("monitors") {
        return;
    }
    let routes = raw.routes.iter().flat_map(|routes| &routes.0);
    for (name, route) in routes.filter_map(|item| Some((&item.name, item.value.as_ref()?))) {
        let rollout = route.rollout.iter().flat_map(RolloutFile::monitors);
        let cascade = cascade(route).into_iter().flat_map(CascadeFile::monitors);
        for given in rollout.chain(cascade) {
            if !look_up("monitor", given.value.as_str(), given, raw.monitors.as_ref(), desk) {
                continue;
            }
            let monitors = raw.monitors.iter().flat_map(|monitors| &monitors.0);
            let found = monitors.filter(|item| item.name == given.value.as_str()).find_map(|item| item.value.as_ref());
            let watched = found.and_then(|monitor| monitor.route.as_ref());
            if let Some(other) = watched.filter(|watched| watched.value.as_str() != name) {
                desk.notes
                    .fault(&given.at, format!("the monitor {} watches the route {}", given.shown(), other.shown()))
                    .remedy(format!("name a monitor of the route `{name}`"));
            }
        }
    }
}

fn is_nothing(price: &PriceFile) -> bool {
    let is_zero = |money: &Option<At<Money>>| money.as_ref().is_some_and(|money| money.value.0 <= 0.0);
    is_zero(&price.input) && is_zero(&price.output)
}

fn models_of_routes(raw: &ConfigFile) -> Vec<&At<ModelName>> {
    let routes = raw.routes.iter().flat_map(|routes| &routes.0).filter_map(|item| item.value.as_ref());
    routes
        .flat_map(|route| {
            let variants =
                route.variants.iter().flat_map(|variants| &variants.0).filter_map(|item| item.value.as_ref());
            let shadows = route.shadow.iter().flatten().flat_map(ShadowFile::models);
            let shadows = shadows.chain(cascade(route).into_iter().flat_map(CascadeFile::models));
            let named = route.model.iter().chain(variants.filter_map(|variant| variant.model.as_ref()));
            named.chain(shadows).chain(graphs(route).flat_map(GraphFile::models))
        })
        .collect()
}

/// The graphs of a route.
fn graphs(route: &RouteFile) -> impl Iterator<Item = &GraphFile> {
    let variants = route.variants.iter().flat_map(|variants| &variants.0).filter_map(|item| item.value.as_ref());
    let shadows = route.shadow.iter().flatten().filter_map(ShadowFile::graph);
    route.graph.iter().chain(variants.filter_map(|variant| variant.graph.as_ref())).chain(shadows)
}

/// The cascade that is a route's policy.
fn cascade(route: &RouteFile) -> Option<&CascadeFile> {
    match &route.policy {
        Some(PolicyFile::Cascade(cascade)) => Some(cascade),
        _ => None,
    }
}

fn models_of_plugins(raw: &ConfigFile) -> impl Iterator<Item = &At<ModelName>> {
    let plugins = raw.plugins.iter().flat_map(|plugins| &plugins.0).filter_map(|item| item.value.as_ref());
    plugins.filter_map(|plugin| plugin.capabilities.as_ref()?.models.as_ref()).flatten()
}

fn plugins_of_routes(raw: &ConfigFile) -> Vec<&At<PluginName>> {
    let routes = raw.routes.iter().flat_map(|routes| &routes.0).filter_map(|item| item.value.as_ref());
    routes.flat_map(plugins_of_route).collect()
}

fn plugins_of_route(route: &RouteFile) -> impl Iterator<Item = &At<PluginName>> {
    let filters = route.filters.iter().flatten().filter_map(|filter| filter.plugin.as_ref());
    let cascade = cascade(route).into_iter().flat_map(CascadeFile::plugins);
    let graphs = graphs(route).flat_map(GraphFile::plugins);
    filters.chain(cascade).chain(graphs).chain(route.policy.as_ref().and_then(PolicyFile::plugin))
}

/// Whether they are there is asked with each monitor.
fn plugins_of_monitors(raw: &ConfigFile) -> impl Iterator<Item = &At<PluginName>> {
    let monitors = raw.monitors.iter().flat_map(|monitors| &monitors.0);
    monitors.filter_map(|item| item.value.as_ref()?.plugin.as_ref())
}

/// Notes where no entry has this name.
fn look_up<T, N: Display>(
    what: &str,
    name: &str,
    given: &At<N>,
    entries: Option<&Map<T>>,
    desk: &mut Desk<'_>,
) -> bool {
    if entries.is_some_and(|entries| entries.has(name)) {
        return true;
    }
    let known: Vec<&str> = entries.iter().flat_map(|entries| entries.names()).collect();
    let add = format!("add it under `{what}s`");
    let remedy = if known.is_empty() { add } else { format!("{add}, or name one of {}", known.join(", ")) };
    desk.notes
        .fault(&given.at, format!("there is no {what} {}", given.shown()))
        .meant(nearest(name, known.iter().copied()), || remedy);
    false
}

fn check_model(
    model: &ModelFile,
    at: &Place,
    providers: Option<&Map<ProviderFile>>,
    has_providers: bool,
    has_registry: bool,
    desk: &mut Desk<'_>,
) {
    let Some(provider) = &model.provider else { return };
    if providers.is_none() && has_providers {
        return;
    }
    if !look_up("provider", provider.value.as_str(), provider, providers, desk) {
        return;
    }
    let item = providers.and_then(|providers| providers.0.iter().find(|item| item.name == provider.value.as_str()));
    let has = |field: &str| model.here().has(field);
    match item.and_then(|item| item.value.as_ref()) {
        Some(ProviderFile::Local(_)) => {
            if !has("source") {
                desk.notes
                    .fault(at, "a model of a local provider needs a source")
                    .remedy("add `source: smollm2`, or `source: {uris: […], sha256: …}`");
            }
            contract::local(model.contract.as_ref(), desk.notes);
            let is_one = |text: &str| text.parse::<ModelRef>().is_ok();
            let from_registry = matches!(&model.source, Some(SourceFile::Name(given)) if is_one(&given.value.0));
            if from_registry && !has_registry {
                desk.notes
                    .fault(at, "this model comes from the registry, and there is none")
                    .remedy("add `store: {registry: \"sqlite:.tidegate/registry.db\"}`");
            }
            let stored = model.adapters.iter().flat_map(|adapters| &adapters.0).filter_map(|item| item.value.as_ref());
            for given in stored.filter(|given| is_one(&given.value.0) && !has_registry) {
                desk.notes
                    .fault(&given.at, "this adapter comes from the registry, and there is none")
                    .remedy("add `store: {registry: \"sqlite:.tidegate/registry.db\"}`");
            }
            if has("model") {
                desk.notes
                    .fault(at, "a local provider knows no other name of a model")
                    .remedy("leave `model` out; `source` says what is run");
            }
        }
        Some(_) if has("source") => {
            let name = &provider.value;
            desk.notes
                .fault(at, format!("this model has a `source`, and its provider `{name}` is not local"))
                .remedy("leave `source` out, or name a local provider");
        }
        Some(_) if has("adapters") => {
            let name = &provider.value;
            desk.notes
                .fault(at, format!("this model has `adapters`, and its provider `{name}` is not local"))
                .remedy("leave `adapters` out, or name a local provider");
        }
        Some(_) if has("sleep_after") || has("precision") => {
            let (name, field) = (&provider.value, if has("precision") { "precision" } else { "sleep_after" });
            desk.notes
                .fault(at, format!("this model has `{field}`, and its provider `{name}` is not local"))
                .remedy(format!("leave `{field}` out, or name a local provider"));
        }
        Some(other) => {
            if let Some(input) = &model.input {
                desk.notes
                    .fault(&input.at, "only a model that runs in this process is told what its input is called")
                    .remedy("leave `input` out");
            }
            if let Some(contract) = &model.contract {
                let is_classic = !matches!(other, ProviderFile::OpenAi(_));
                contract::check(contract, (&provider.value, is_classic), has_registry, at, desk.notes);
            }
            for field in ["batch", "instances", "warm_up", "explain"].into_iter().filter(|field| has(field)) {
                desk.notes
                    .fault(at, format!("this model has `{field}`, and its provider `{}` is not local", provider.value))
                    .remedy(format!("leave `{field}` out, or name a local provider"));
            }
        }
        None => {}
    }
}

/// What no caller can reach is no fault, but hardly meant.
fn warn_of_idle(raw: &ConfigFile, used: &[&At<ModelName>], desk: &mut Desk<'_>) {
    // A file that is cut short in its middle is mostly one without routes: taking it would fail every call.
    if raw.routes.as_ref().is_none_or(|routes| routes.0.is_empty())
        && (raw.routes.is_some() || !raw.here().has("routes"))
    {
        desk.notes
            .fault(raw.at(), "there is no route: callers reach nothing")
            .remedy("add `routes: {NAME: {model: NAME}}`");
        return;
    }
    let used: HashSet<&str> = used.iter().map(|name| name.value.as_str()).collect();
    let models = raw.models.iter().flat_map(|models| &models.0);
    for item in models.clone().filter(|item| !used.contains(item.name.as_str())) {
        desk.notes.warn(&item.at, format!("no route leads to the model `{}`", item.name));
    }
    let used: HashSet<&str> =
        models.filter_map(|item| item.value.as_ref()?.provider.as_ref()).map(|name| name.value.as_str()).collect();
    for item in
        raw.providers.iter().flat_map(|providers| &providers.0).filter(|item| !used.contains(item.name.as_str()))
    {
        desk.notes.warn(&item.at, format!("no model is of the provider `{}`", item.name));
    }
}

/// The same of plugins.
fn warn_of_idle_plugins(raw: &ConfigFile, used: &[&At<PluginName>], desk: &mut Desk<'_>) {
    for item in raw.plugins.iter().flat_map(|plugins| &plugins.0) {
        if !used.iter().any(|name| name.value.as_str() == item.name) {
            desk.notes.warn(&item.at, format!("nobody uses the plugin `{}`", item.name)).remedy(
                "name it at a route (`filters: [{plugin: NAME, at: [request]}]`, `policy: {router: {plugin: NAME}}`), in a \
                 graph or a cascade (`escalate: [{plugin: NAME}]`) or at a monitor, or leave it out",
            );
        }
    }
}
