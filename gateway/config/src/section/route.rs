//! `routes`: what callers name as `model`.

use super::Desk;
use super::filter::{self, FilterFile};
use super::graph::{self, GraphFile};
use super::hedge::{self, HedgeFile};
use super::lookup::{self, LookupFile};
use super::parameters::{self, ParametersFile};
use super::policy::{self, PolicyFile, Rewards};
use super::rollout::{self, RolloutFile};
use super::shadow::{self, ShadowFile};
use crate::place::Place;
use crate::report::Notes;
use crate::scalar::{At, Count, Flaw, Scalar, Share, Span, Text};
use crate::shape::{Item, Map, Placed, choice, record};
use crate::suggest::nearest;
use http::HeaderName;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::spec::{
    Condition, FallbackSpec, GraphSpec, Implicit, PolicySpec, Priority, RetrySpec, RouteSpec, StickyBy, TimeoutSpec,
    VariantSpec,
};
use tidegate_core::{AdapterName, FaultKind, ModelName, PromptRef, RouteName, VariantName};

record! {
    /// What callers name as `model`.
    RouteFile {
        optional {
            /// The short form: one variant of this model, named like it.
            model: At<ModelName>,
            /// The short form of a graph: one variant of it, named `graph`.
            graph: GraphFile,
            /// The prompt of the short form's variant.
            prompt: At<PromptRef>,
            /// Its arms, in order.
            variants: Map<VariantFile>,
            /// How an arm is picked; equal shares by default.
            policy: PolicyFile,
            /// A change from one variant to another, in steps that are judged; instead of a `policy`.
            rollout: RolloutFile,
            /// What keeps a unit on its arm.
            sticky: StickyFile,
            /// Where a failed call goes.
            fallback: Vec<FallbackFile>,
            /// How often a call is tried again at the same variant.
            retry: RetryFile,
            /// A second request beside one that is slow.
            hedge: HedgeFile,
            /// How long things may take.
            timeouts: TimeoutFile,
            /// How its calls stand in the queue of a local model: those of a higher one come first, always; `normal` by
            /// default.
            priority: PriorityFile,
            /// Plugins that look at its calls, in order.
            filters: Vec<FilterFile>,
            /// Variants that get copies of calls, and whose answers nobody gets.
            shadow: Vec<ShadowFile>,
            /// Which forms of answers are looked at and recorded, beside what the policy learns from: `valid_json`,
            /// `valid_tool_call`.
            checks: Vec<At<Implicit>>,
            /// What is looked up of a call's entities before a classic model is asked.
            features: LookupFile,
            /// What callers may name beside the route itself: `adapters` lets them name one of its only model's, as
            /// `ROUTE:ADAPTER`.
            expose: Vec<ExposeFile>,
        }
        later { "cache", "match", "description" }
    }
}

choice! {
    /// How calls stand in the queue of a local model.
    PriorityFile {
        words {
            /// Behind all others.
            Low = "low",
            /// As most.
            Normal = "normal",
            /// Before all others.
            High = "high",
        }
    }
}

record! {
    /// One arm of a route.
    VariantFile {
        optional {
            /// Its model.
            model: At<ModelName>,
            /// Classic models put together, in the place of one.
            graph: GraphFile,
            /// The prompt that stands before what callers say: `NAME@LABEL`, `NAME/3`, `NAME@COMMIT` or `NAME`, the newest.
            prompt: At<PromptRef>,
            /// How its model generates where the caller does not say.
            parameters: ParametersFile,
            /// The LoRA adapter on its model, one of the model's `adapters`.
            adapter: At<AdapterName>,
        }
        later { "weight" }
    }
}

choice! {
    /// What callers may name beside a route.
    ExposeFile {
        words {
            /// The adapters of its model.
            Adapters = "adapters",
        }
        maps {}
    }
}

record! {
    /// What keeps a unit on its arm.
    StickyFile {
        required {
            /// What a unit is.
            by: ByFile,
        }
        optional {
            /// The experiment that the route is a part of: a unit has the variant of the same name on all its routes, be their
            /// models classic or language models. The route alone by default.
            experiment: At<Text>,
        }
    }
}

choice! {
    /// What a unit is.
    ByFile {
        words {
            /// The body's `user`.
            User = "user",
            /// The key.
            Key = "key",
            /// The tenant.
            Tenant = "tenant",
        }
        maps {
            /// The value of this header.
            Header(At<HeaderName>) = "header",
        }
    }
}

record! {
    /// Where a failed call goes.
    FallbackFile {
        required {
            /// The ways to fail: a status such as `429`, a class such as `5xx`, or `timeout`, `connect` (also called
            /// `unreachable`), `context_length`, `content_filter`, `overloaded`, `rate_limited`, `stream_cut`.
            when: Vec<At<Condition>>,
            /// Where it goes.
            to: ToFile,
        }
    }
}

choice! {
    /// Where a failed call goes.
    ToFile {
        maps {
            /// To this variant of the route.
            Variant(At<VariantName>) = "variant",
        }
        later { "route", "model" }
    }
}

record! {
    /// How often a call is tried again at the same variant.
    RetryFile {
        optional {
            /// Tries in all; 2 by default, 1 is none again.
            attempts: At<Count>,
            /// The wait before the second try, doubled with each; 100ms by default.
            backoff: At<Span>,
            /// The most retries as a share of calls; 20% by default.
            budget: At<Share>,
        }
    }
}

record! {
    /// How long things may take.
    TimeoutFile {
        optional {
            /// To have a connection; 2s by default.
            connect: At<Span>,
            /// To the first byte of the answer; 60s by default.
            first_token: At<Span>,
            /// Between two parts of it; 60s by default.
            idle: At<Span>,
            /// All of it, retries included; 600s by default.
            total: At<Span>,
        }
    }
}

/// Where a kind has two names, it is shown by the first one.
const KINDS: [(&str, FaultKind); 8] = [
    ("timeout", FaultKind::UpstreamTimeout),
    ("context_length", FaultKind::ContextLength),
    ("content_filter", FaultKind::ContentFilter),
    ("unreachable", FaultKind::Unreachable),
    ("connect", FaultKind::Unreachable),
    ("overloaded", FaultKind::Overloaded),
    ("rate_limited", FaultKind::RateLimited),
    ("stream_cut", FaultKind::StreamCut),
];

impl Scalar for Condition {
    const WHAT: &'static str = "a way to fail";

    fn parse(text: &str) -> Result<Self, Flaw> {
        if let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == text) {
            return Ok(Self::Kind(*kind));
        }
        match text.as_bytes() {
            [class @ b'4'..=b'5', b'x', b'x'] => Ok(Self::Class(u16::from(class - b'0'))),
            [b'0'..=b'9', ..] => {
                text.parse().ok().filter(|status| (400..600).contains(status)).map(Self::Status).ok_or_else(|| {
                    Flaw::default().mend("statuses of failures are 400 to 599, their classes `4xx` and `5xx`")
                })
            }
            _ => {
                let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
                let meant = nearest(text, names.iter().copied()).map(|meant| format!("did you mean `{meant}`?"));
                Err(Flaw::default().mend(
                    meant.unwrap_or_else(|| {
                        format!("write a status such as `429`, `5xx`, or one of {}", names.join(", "))
                    }),
                ))
            }
        }
    }

    fn schema() -> schemars::Schema {
        let names = KINDS.map(|(name, _)| name).join("|");
        schemars::json_schema!({"type": ["string", "integer"], "pattern": format!("^([45][0-9][0-9]|[45]xx|{names})$")})
    }
}

impl Scalar for Implicit {
    const WHAT: &'static str = "a form of answers that is looked at";

    fn parse(text: &str) -> Result<Self, Flaw> {
        let forms = || Self::ALL.into_iter().filter(|implicit| implicit.is_of_form());
        forms().find(|form| form.as_str() == text).ok_or_else(|| {
            let names: Vec<&str> = forms().map(Self::as_str).collect();
            if Self::ALL.iter().any(|implicit| implicit.as_str() == text) {
                return Flaw::default().mend(format!("every call has `{text}`: leave it out here"));
            }
            let meant = nearest(text, names.iter().copied()).map(|meant| format!("did you mean `{meant}`?"));
            Flaw::default().mend(meant.unwrap_or_else(|| format!("write one of {}", names.join(", "))))
        })
    }

    fn schema() -> schemars::Schema {
        let names: Vec<&str> = Self::ALL.into_iter().filter(|form| form.is_of_form()).map(Self::as_str).collect();
        schemars::json_schema!({"enum": names})
    }
}

/// The route of an entry. Whether its models are there is `refer`'s question.
pub(crate) fn check(
    item: Item<RouteFile>,
    has_keys: bool,
    rewards: &Rewards<'_>,
    desk: &mut Desk<'_>,
) -> Option<RouteSpec> {
    let name = super::name::<RouteName>(&item.name, &item.at, desk);
    let raw = item.value?;
    let at = item.at;
    if name.as_ref().is_some_and(|name| name.as_str().contains(':')) {
        // `/v1/models/NAME:predict` would mean two things.
        desk.notes
            .fault(&at, format!("the name of a route has no `:`, as `{}` has", item.name))
            .remedy("write `-` instead; a model's own name may have it");
    }
    check_form(&raw, &at, desk.notes);
    let arms = Arms::of(&raw, desk);
    let policy = chosen(&raw, &arms, rewards, has_keys, desk);
    if let Some(sticky) = &raw.sticky {
        check_sticky(sticky, &arms, has_keys, desk.notes);
    }
    let fallback = raw.fallback.iter().flatten().filter_map(|raw| fallback(raw, &arms, desk.notes)).collect();
    let timeouts = timeouts(raw.timeouts.as_ref(), desk.notes);
    let hedge = raw.hedge.as_ref().and_then(|raw| hedge::check(raw, timeouts.total, desk.notes));
    Some(RouteSpec {
        name: name?,
        policy: policy?,
        experiment: raw.sticky.as_ref().and_then(|sticky| Some(sticky.experiment.as_ref()?.value.0.clone())),
        sticky: raw.sticky.and_then(|sticky| sticky.by).map(sticky_by),
        fallback,
        retry: retry(raw.retry),
        hedge,
        timeouts,
        priority: match raw.priority {
            Some(PriorityFile::Low) => Priority::Low,
            None | Some(PriorityFile::Normal) => Priority::Normal,
            Some(PriorityFile::High) => Priority::High,
        },
        check: raw.checks.iter().flatten().map(|check| check.value).collect(),
        filters: filter::check(raw.filters.as_deref(), desk.notes),
        shadows: raw.shadow.iter().flatten().filter_map(|raw| shadow::check(raw, &arms, desk)).collect(),
        features: raw.features.as_ref().and_then(|raw| lookup::check(raw, desk.notes)),
        exposes_adapters: exposes_adapters(raw.expose.as_deref(), &arms, &at, desk.notes),
        variants: arms.specs?,
    })
}

/// Whether callers may name adapters. A caller who does takes the place of the policy, so there must be nothing to pick.
fn exposes_adapters(raw: Option<&[ExposeFile]>, arms: &Arms, at: &Place, notes: &mut Notes) -> bool {
    let exposes = raw.is_some_and(|raw| !raw.is_empty());
    if exposes && arms.names.len() > 1 {
        notes
            .fault(at, "this route exposes adapters and has several variants, so it is not clear which model is meant")
            .remedy("expose them by a route of one variant, or make each adapter a variant of its own");
    }
    exposes
}

/// How an arm is picked: by a policy, or by a rollout.
fn chosen(
    raw: &RouteFile,
    arms: &Arms,
    rewards: &Rewards<'_>,
    has_keys: bool,
    desk: &mut Desk<'_>,
) -> Option<PolicySpec> {
    if !raw.here().has("rollout") {
        return policy::check(raw.policy.as_ref(), arms, raw.at(), rewards, has_keys, desk);
    }
    if raw.here().has("policy") {
        desk.notes
            .fault(raw.at(), "this route has a `policy` and a `rollout`, and each wants to say who gets the calls")
            .remedy("leave one of them out: a rollout owns the shares until it is over");
    }
    rollout::check(raw.rollout.as_ref()?, arms, rewards, desk.notes).map(PolicySpec::Rollout)
}

fn given(prompt: Option<&At<PromptRef>>) -> Option<PromptRef> {
    prompt.map(|prompt| prompt.value.clone())
}

/// A route has either one model or variants.
fn check_form(raw: &RouteFile, at: &Place, notes: &mut Notes) {
    let forms = [("model", "a `model`"), ("graph", "a `graph`"), ("variants", "`variants`")];
    let given: Vec<&str> = forms.iter().filter(|(field, _)| raw.here().has(field)).map(|(_, shown)| *shown).collect();
    match given.as_slice() {
        [] => {
            notes
                .fault(at, "this route leads nowhere")
                .remedy("add `model: NAME`, or `variants: {NAME: {model: NAME}}`");
        }
        [one, others @ ..] if !others.is_empty() => {
            let what = if *one == "a `graph`" { "graph" } else { "model" };
            notes
                .fault(at, format!("this route has {}", given.join(" and ")))
                .remedy(format!("write the {what} as one of the variants"));
        }
        _ => {
            if let Some(prompt) = raw.prompt.as_ref().filter(|_| raw.here().has("variants")) {
                notes
                    .fault(&prompt.at, "a route with variants has no prompt of its own")
                    .remedy("write it into the variants that it is meant for");
            }
            if raw.variants.as_ref().is_some_and(|variants| variants.0.is_empty()) {
                notes.fault(at, "this route has no variant").remedy("add one: `variants: {NAME: {model: NAME}}`");
            }
        }
    }
}

/// The arms of a route: their names hold even where a variant is faulty, its spec does not.
pub(crate) struct Arms {
    pub(crate) names: Vec<String>,
    specs: Option<Vec<VariantSpec>>,
    /// Whether the names can be relied on.
    is_known: bool,
}

impl Arms {
    fn of(raw: &RouteFile, desk: &mut Desk<'_>) -> Self {
        if let Some(model) = raw.model.as_ref().filter(|_| !raw.here().has("variants")) {
            let name = super::name::<VariantName>(model.value.as_str(), &model.at, desk);
            let spec = name.map(|name| {
                vec![VariantSpec {
                    graph: None,
                    adapter: None,
                    name,
                    model: model.value.clone(),
                    prompt: given(raw.prompt.as_ref()),
                    parameters: Vec::new(),
                }]
            });
            return Self { names: vec![model.value.to_string()], specs: spec, is_known: true };
        }
        if let Some(graph) = raw.graph.as_ref().filter(|_| !raw.here().has("variants")) {
            let spec = graph::check(graph, desk).and_then(|graph| of_graph("graph", graph, desk.notes, raw.at()));
            return Self { names: vec!["graph".to_owned()], specs: spec.map(|spec| vec![spec]), is_known: true };
        }
        let Some(variants) = &raw.variants else { return Self { names: Vec::new(), specs: None, is_known: false } };
        let spec = |item: &Item<VariantFile>, desk: &mut Desk<'_>| {
            let name = super::name::<VariantName>(&item.name, &item.at, desk);
            let raw = item.value.as_ref()?;
            let parameters = parameters::check(raw.parameters.as_ref(), desk.notes);
            check_asked(raw, &item.at, desk.notes);
            if let Some(graph) = &raw.graph {
                return of_graph(name?.as_str(), graph::check(graph, desk)?, desk.notes, &item.at);
            }
            let model = raw.model.as_ref()?.value.clone();
            let adapter = raw.adapter.as_ref().map(|adapter| adapter.value.clone());
            let prompt = given(raw.prompt.as_ref());
            Some(VariantSpec { graph: None, adapter, name: name?, model, prompt, parameters })
        };
        let specs: Vec<Option<VariantSpec>> = variants.0.iter().map(|item| spec(item, desk)).collect();
        let specs = specs.into_iter().collect::<Option<Vec<_>>>().filter(|specs| !specs.is_empty());
        Self { names: variants.names().map(str::to_owned).collect(), specs, is_known: true }
    }

    /// The index of a variant; that there is none such is noted.
    pub(crate) fn find(&self, name: &str, shown: &str, at: &Place, notes: &mut Notes) -> Option<usize> {
        let found = self.names.iter().position(|known| known == name);
        if found.is_none() && self.is_known {
            let known = self.names.iter().map(String::as_str);
            notes
                .fault(at, format!("this route has no variant {shown}"))
                .meant(nearest(name, known.clone()), || format!("it has {}", known.collect::<Vec<_>>().join(", ")));
        }
        found
    }
}

/// A variant has either a model or a graph, whose models are classic ones.
fn check_asked(raw: &VariantFile, at: &Place, notes: &mut Notes) {
    let has = |field: &str| raw.here().has(field);
    match (has("model"), has("graph")) {
        (false, false) => {
            notes.fault(at, "`model` is missing").remedy("add `model: …`");
        }
        (true, true) => {
            notes.fault(at, "this variant has a `model` and a `graph`").remedy("leave one of them out");
        }
        (false, true) => {
            if let Some(field) = ["prompt", "adapter", "parameters"].into_iter().find(|field| has(field)) {
                notes
                    .fault(at, format!("this variant has a `{field}`, and the models of a graph take none"))
                    .remedy(format!("leave `{field}` out"));
            }
        }
        (true, false) => {}
    }
}

/// The variant of a graph.
pub(crate) fn of_graph(name: &str, graph: Arc<GraphSpec>, notes: &mut Notes, at: &Place) -> Option<VariantSpec> {
    let (Ok(model), Ok(name)) = (format!("graph:{name}").parse(), name.parse()) else {
        notes.fault(at, "the name of a variant with a graph is at most 122 characters long").remedy("rename it");
        return None;
    };
    let (prompt, parameters) = (None, Vec::new());
    Some(VariantSpec { name, model, graph: Some(graph), adapter: None, prompt, parameters })
}

fn check_sticky(raw: &StickyFile, arms: &Arms, has_keys: bool, notes: &mut Notes) {
    if !has_keys && matches!(raw.by, Some(ByFile::Key | ByFile::Tenant)) {
        notes
            .fault(raw.at(), "this can never apply: callers have no keys")
            .remedy("add `keys: {file: keys.yaml}`, or be sticky by `user` or `{header: NAME}`");
    }
    if arms.names.len() == 1 {
        notes.warn(raw.at(), "there is one variant, so all calls go to it anyway").remedy("leave `sticky` out");
    }
}

/// A route that is a part of an experiment, and where that stands.
pub(crate) struct PartOfExperiment {
    route: String,
    experiment: String,
    at: Place,
}

/// The routes that are parts of experiments.
pub(crate) fn parts_of_experiments(routes: Option<&Map<RouteFile>>) -> Vec<PartOfExperiment> {
    let part = |item: &Item<RouteFile>| {
        let given = item.value.as_ref()?.sticky.as_ref()?.experiment.as_ref()?;
        Some(PartOfExperiment { route: item.name.clone(), experiment: given.value.0.clone(), at: given.at.clone() })
    };
    routes.into_iter().flat_map(|routes| &routes.0).filter_map(part).collect()
}

/// Whether a unit has the arm of the same name on all routes of an experiment: they must have the same variants in the same
/// order, by the same shares, which must not move.
pub(crate) fn check_experiments(
    parts: &[PartOfExperiment],
    routes: &BTreeMap<RouteName, RouteSpec>,
    desk: &mut Desk<'_>,
) {
    let spec = |part: &PartOfExperiment| routes.values().find(|route| route.name.as_str() == part.route);
    for (nth, part) in parts.iter().enumerate() {
        if routes.keys().any(|name| name.as_str() == part.experiment) {
            desk.notes
                .fault(&part.at, format!("an experiment is called like the route `{}`", part.experiment))
                .remedy("give it a name of its own");
        }
        let Some(route) = spec(part) else { continue };
        let PolicySpec::Weighted(shares) = &route.policy else {
            desk.notes
                .fault(&part.at, "an experiment over several routes has fixed shares, else a unit changes its variant on one of them")
                .remedy("let the route's policy be `weighted`, or leave `experiment` out");
            continue;
        };
        let first = parts[..nth].iter().find(|other| other.experiment == part.experiment);
        let Some((first, other)) = first.and_then(|first| Some((first, spec(first)?))) else { continue };
        let names = |route: &RouteSpec| route.variants.iter().map(|one| one.name.to_string()).collect::<Vec<_>>();
        let has_same_shares = matches!(&other.policy, PolicySpec::Weighted(others) if others == shares);
        if names(route) != names(other) || !has_same_shares {
            desk.notes
                .fault(
                    &part.at,
                    format!(
                        "the route `{}` of this experiment has other variants or shares than this one",
                        first.route
                    ),
                )
                .remedy(format!("have variants {} in this order, with the same shares", names(other).join(", ")));
        }
    }
}

fn sticky_by(raw: ByFile) -> StickyBy {
    match raw {
        ByFile::User => StickyBy::User,
        ByFile::Key => StickyBy::Key,
        ByFile::Tenant => StickyBy::Tenant,
        ByFile::Header(name) => StickyBy::Header(name.value.as_str().to_owned()),
    }
}

fn fallback(raw: &FallbackFile, arms: &Arms, notes: &mut Notes) -> Option<FallbackSpec> {
    if raw.when.as_ref().is_some_and(Vec::is_empty) && raw.here().has("when") {
        notes
            .fault(raw.at(), "this can never apply: it names no way to fail")
            .remedy("write `when: [\"5xx\", timeout]`");
    }
    let ToFile::Variant(to) = raw.to.as_ref()?;
    let index = arms.find(to.value.as_str(), &to.shown(), &to.at, notes)?;
    if arms.names.len() == 1 {
        notes
            .fault(&to.at, "this can never apply: it leads to the only variant")
            .remedy("add another variant, with a share of 0% if it shall get no other calls");
    }
    let when = raw.when.as_ref()?.iter().map(|condition| condition.value).collect();
    Some(FallbackSpec { when, to: index })
}

fn retry(raw: Option<RetryFile>) -> RetrySpec {
    let (attempts, backoff, budget) = raw.map_or((None, None, None), |raw| (raw.attempts, raw.backoff, raw.budget));
    RetrySpec {
        attempts: attempts.map_or(2, |attempts| attempts.value.0),
        backoff: backoff.map_or(Duration::from_millis(100), |backoff| backoff.value.0),
        budget: budget.map_or(0.2, |budget| budget.value.0),
    }
}

fn timeouts(raw: Option<&TimeoutFile>, notes: &mut Notes) -> TimeoutSpec {
    let seconds = Duration::from_secs;
    let given = |field: fn(&TimeoutFile) -> &Option<At<Span>>, default| {
        raw.and_then(|raw| field(raw).as_ref()).map_or(default, |span| span.value.0)
    };
    let spec = TimeoutSpec {
        connect: given(|raw| &raw.connect, seconds(2)),
        first_token: given(|raw| &raw.first_token, seconds(60)),
        idle: given(|raw| &raw.idle, seconds(60)),
        total: given(|raw| &raw.total, seconds(600)),
    };
    let Some(raw) = raw else { return spec };
    // Where `total` is faulty its default must not raise another fault, and a short `total` shortens defaults.
    let is_total_faulty = raw.here().has("total") && raw.total.is_none();
    let parts = [("connect", &raw.connect), ("first_token", &raw.first_token), ("idle", &raw.idle)];
    for (name, part) in parts.into_iter().filter(|_| !is_total_faulty) {
        if let Some(part) = part.as_ref().filter(|part| part.value.0 > spec.total) {
            notes
                .fault(
                    &part.at,
                    format!("`{name}` can never run out: `total` is shorter ({}s)", spec.total.as_secs_f64()),
                )
                .remedy("make `total` longer, or this shorter");
        }
    }
    let most = |part: Duration| part.min(spec.total);
    TimeoutSpec {
        connect: most(spec.connect),
        first_token: most(spec.first_token),
        idle: most(spec.idle),
        total: spec.total,
    }
}

/// How a kind of fault is named in a configuration.
pub(crate) fn kind_name(kind: FaultKind) -> &'static str {
    KINDS.iter().find(|(_, known)| *known == kind).map_or("other", |(name, _)| name)
}
