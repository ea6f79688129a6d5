//! Who uses a plugin, and whether it can be used so. Pure.

use tidegate_core::port::filter::LooksAt;
use tidegate_core::spec::{FilterSpec, GatewaySpec, PolicySpec, RouteSpec};
use tidegate_core::{MonitorName, PluginName, RouteName};
use tidegate_host::World;

/// Who uses a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Uses {
    /// Routes, as a filter.
    pub(super) routes: Vec<(RouteName, FilterSpec)>,
    /// Routes whose cascades show it answers.
    pub(super) cascades: Vec<RouteName>,
    /// Routes whose policy asks it.
    pub(super) routers: Vec<RouteName>,
    /// Routes whose graphs show it tensors.
    pub(super) graphs: Vec<RouteName>,
    /// Monitors.
    pub(super) monitors: Vec<MonitorName>,
    /// Whether models are granted to it.
    pub(super) may_ask: bool,
}

impl Uses {
    /// Those of the plugin of this name.
    pub(super) fn of(name: &PluginName, spec: &GatewaySpec) -> Self {
        let filters = spec.routes.values().flat_map(|route| route.filters.iter().map(move |one| (&route.name, one)));
        let routes = filters.filter(|(_, filter)| filter.plugin == *name);
        let asks = |route: &&RouteSpec| matches!(&route.policy, PolicySpec::Advised(by) if by.plugin == *name);
        let monitors = spec.monitors.values().filter(|monitor| monitor.plugin == *name);
        let shows = |route: &&RouteSpec| match &route.policy {
            PolicySpec::Cascade(cascade) => cascade.plugins.contains(name),
            _ => false,
        };
        let has = |route: &&RouteSpec| {
            let shadows = route.shadows.iter().map(|shadow| &shadow.variant);
            let mut graphs = route.variants.iter().chain(shadows).filter_map(|variant| variant.graph.as_ref());
            graphs.any(|graph| graph.plugins().any(|plugin| plugin == name))
        };
        Self {
            graphs: spec.routes.values().filter(has).map(|route| route.name.clone()).collect(),
            cascades: spec.routes.values().filter(shows).map(|route| route.name.clone()).collect(),
            routes: routes.map(|(route, filter)| (route.clone(), filter.clone())).collect(),
            routers: spec.routes.values().filter(asks).map(|route| route.name.clone()).collect(),
            monitors: monitors.map(|monitor| monitor.name.clone()).collect(),
            may_ask: spec.plugins.get(name).is_some_and(|plugin| !plugin.models.is_empty()),
        }
    }

    /// Whether a plugin of this world, which looks at these things, can be used so.
    pub(super) fn fit(&self, world: World, looks_at: LooksAt) -> Result<(), String> {
        if self.may_ask && !world.may_ask_models() {
            let why = if world.is_warm() {
                "looks at calls while they are served, which wait for no model in this version"
            } else {
                "has no use for them"
            };
            return Err(format!(
                "models are granted to it, and its world `{world}` {why}: leave `capabilities: {{models: …}}` out"
            ));
        }
        let is_filter = looks_at != LooksAt::default();
        let fills = if is_filter {
            format!("its world `{world}` looks at {}", listed(looks_at))
        } else {
            format!("its world `{world}` is not one of filters")
        };
        for (route, filter) in &self.routes {
            if filter.at_request && !looks_at.request {
                return Err(format!("route `{route}` has it look at requests, and {fills}"));
            }
            if filter.at_answer && !looks_at.answer && !looks_at.stream {
                return Err(format!("route `{route}` has it look at answers, and {fills}"));
            }
        }
        if let Some(route) = self.cascades.first().filter(|_| !looks_at.answer) {
            return Err(format!("the cascade of route `{route}` shows it whole answers, and {fills}"));
        }
        if let Some(route) = self.graphs.first().filter(|_| !looks_at.request) {
            return Err(format!("a graph of route `{route}` shows it tensors, and {fills}"));
        }
        if let Some(route) = self.routers.first().filter(|_| world != World::Router) {
            return Err(format!(
                "the policy of route `{route}` asks it, and its world `{world}` is not that of routers"
            ));
        }
        match self.monitors.first() {
            Some(monitor) if !judges_windows(world) => {
                Err(format!("monitor `{monitor}` has it judge windows, and its world `{world}` judges none"))
            }
            _ => Ok(()),
        }
    }

    /// What a use does not see and is not refused for.
    pub(super) fn blind_at(&self, looks_at: LooksAt) -> Option<String> {
        let (route, _) = self.routes.iter().find(|(_, filter)| filter.at_answer)?;
        match (looks_at.answer, looks_at.stream) {
            (true, false) => Some(format!("at route `{route}` it sees whole answers and no streams")),
            (false, true) => Some(format!("at route `{route}` it sees streams and no whole answers")),
            _ => None,
        }
    }
}

/// Whether plugins of this world judge windows.
pub(super) const fn judges_windows(world: World) -> bool {
    matches!(world, World::Drift | World::Fairness | World::Rag | World::Validator)
}

/// The names of what a filter looks at.
pub(super) fn names(looks_at: LooksAt) -> Vec<&'static str> {
    let all = [(looks_at.request, "request"), (looks_at.answer, "answer"), (looks_at.stream, "stream")];
    all.into_iter().filter_map(|(is_one, name)| is_one.then_some(name)).collect()
}

fn listed(looks_at: LooksAt) -> String {
    let all = [(looks_at.request, "requests"), (looks_at.answer, "whole answers"), (looks_at.stream, "streams")];
    let named: Vec<&str> = all.into_iter().filter_map(|(is_one, name)| is_one.then_some(name)).collect();
    format!("{} only", named.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::spec::OnFailure;

    fn at(at_request: bool, at_answer: bool) -> Uses {
        let plugin = "p".parse().unwrap();
        let filter = FilterSpec { plugin, at_request, at_answer, failure: OnFailure::Closed };
        Uses { routes: vec![("support".parse().unwrap(), filter)], ..Uses::default() }
    }

    const NOTHING: LooksAt = LooksAt { request: false, answer: false, stream: false };

    #[test]
    fn a_plugin_that_does_not_look_there_is_refused_by_what_it_fills() {
        let requests = LooksAt { request: true, ..NOTHING };
        let streams = LooksAt { stream: true, ..NOTHING };
        assert_eq!(at(true, false).fit(World::RequestFilter, requests), Ok(()));
        assert_eq!(at(false, true).fit(World::StreamFilter, streams), Ok(()));
        let says = at(true, true).fit(World::RequestFilter, requests).unwrap_err();
        assert_eq!(
            says,
            "route `support` has it look at answers, and its world `request-filter-plugin` looks at requests only"
        );
        let says = at(true, false).fit(World::Drift, NOTHING).unwrap_err();
        assert_eq!(says, "route `support` has it look at requests, and its world `drift-plugin` is not one of filters");
        let watched = Uses { monitors: vec!["m".parse().unwrap()], ..Uses::default() };
        assert_eq!(watched.fit(World::Drift, NOTHING), Ok(()));
        let asked = Uses { routers: vec!["support".parse().unwrap()], ..Uses::default() };
        assert_eq!(asked.fit(World::Router, NOTHING), Ok(()));
        assert!(asked.fit(World::RequestFilter, requests).unwrap_err().contains("not that of routers"));
        assert!(at(true, false).fit(World::Router, NOTHING).unwrap_err().contains("not one of filters"));
        assert!(watched.fit(World::RequestFilter, requests).unwrap_err().contains("monitor `m`"));
        let shown = Uses { cascades: vec!["support".parse().unwrap()], ..Uses::default() };
        assert_eq!(shown.fit(World::Guardrail, LooksAt { answer: true, ..requests }), Ok(()));
        let says = shown.fit(World::StreamFilter, streams).unwrap_err();
        assert!(says.starts_with("the cascade of route `support` shows it whole answers, and its world"), "{says}");
    }

    #[test]
    fn models_are_granted_to_those_who_can_ask_them() {
        let uses = Uses { may_ask: true, ..Uses::default() };
        assert_eq!(uses.fit(World::Rag, NOTHING), Ok(()));
        assert!(uses.fit(World::Drift, NOTHING).unwrap_err().contains("`drift-plugin` has no use for them"));
        let requests = LooksAt { request: true, ..NOTHING };
        let says = Uses { may_ask: true, ..at(true, false) }.fit(World::RequestFilter, requests).unwrap_err();
        assert!(says.contains("wait for no model in this version: leave `capabilities"), "{says}");
        assert!(uses.fit(World::Guardrail, requests).is_err());
    }

    #[test]
    fn what_it_does_not_see_of_answers_is_said() {
        let both = LooksAt { request: true, answer: true, stream: true };
        assert_eq!(at(true, true).blind_at(both), None);
        assert!(at(false, true).blind_at(LooksAt { answer: true, ..NOTHING }).unwrap().contains("no streams"));
        assert_eq!(at(true, false).blind_at(LooksAt { request: true, ..NOTHING }), None);
        assert_eq!(names(both), ["request", "answer", "stream"]);
    }
}
