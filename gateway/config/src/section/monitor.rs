//! `monitors`: what is watched, in which windows, by which plugin, against what, and what follows. Owns what of it is
//! possible; what the plugin itself wants is known when it is loaded.

pub(crate) mod field;
pub(crate) mod roles;

use super::Desk;
use super::policy::Rewards;
use crate::json::Json;
use crate::place::Place;
use crate::scalar::{At, Count, Share, Span, Text};
use crate::shape::{Item, Map, Placed as _, Read, choice, mismatch, record};
use crate::suggest::nearest;
use crate::tree::{Kind, Node};
use field::{Column, FieldFile};
use roles::RolesFile;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_core::model_ref::ModelRef;
use tidegate_core::spec::{
    AlarmSpec, ContentPolicy, FieldFrom, FieldKind, MonitorAction, MonitorSpec, PolicySpec, ReferenceSpec, RewardKind,
    RewardLevel, RouteSpec, WindowSpec,
};
use tidegate_core::{AlertName, MonitorName, PluginName, RewardName, RouteName, VariantName};

/// A window ends after so many calls where nothing is said of its end.
const SIZE: u64 = 1000;
/// A window with fewer calls says nothing, where nothing is said.
const MIN: u64 = 100;
/// How long calls wait for what is said of them, where nothing is said.
const WAIT: Duration = Duration::from_secs(600);
/// Two breached windows of three are an alarm where nothing is said: one may be chance.
const ALARM: AlarmSpec = AlarmSpec { breaches: 2, of: 3 };
/// So many last windows are regarded at most.
const MOST_WINDOWS: u32 = 64;

record! {
    /// Something that watches the calls of a route, a window at a time.
    MonitorFile {
        required {
            /// The plugin that judges windows.
            plugin: At<PluginName>,
            /// The route whose calls are watched.
            route: At<RouteName>,
            /// What is taken of each call, by name; looked at in memory alone.
            fields: Map<FieldFile>,
        }
        optional {
            /// Only calls that this variant answered.
            variant: At<VariantName>,
            /// The share of the calls that is looked at; 100% by default.
            share: At<Share>,
            /// What fields are to the plugin.
            roles: RolesFile,
            /// When a window ends.
            window: WindowFile,
            /// With what windows are compared: the baseline of `models:/NAME@ALIAS`, or `{first: N}` calls.
            baseline: BaselineFile,
            /// Whose evaluations these are, as `models:/NAME@ALIAS`, where the model that answers does not come from the
            /// registry.
            evaluates: At<Text>,
            /// The plugin's settings, in the place of its own.
            config: Json,
            /// When windows are an alarm; 2 breached ones of the last 3 by default.
            alarm: AlarmFile,
            /// Who is told: entries of `alerts`.
            alert: Vec<At<AlertName>>,
            /// What else follows an alarm; nothing by default.
            action: ActionFile,
        }
    }
}

record! {
    /// When a window ends: what comes first of both.
    WindowFile {
        optional {
            /// After so many calls; 1000 where there is no `every`.
            size: At<Count>,
            /// After such a time.
            every: At<Span>,
            /// A window with fewer calls says nothing; 100 by default, or `size` where that is less.
            min: At<Count>,
            /// How long a call waits for what is said of it, where a field is a label or a reward; 10m by default.
            wait: At<Span>,
        }
    }
}

record! {
    /// The calls that came first.
    FirstFile {
        required {
            /// So many.
            first: At<Count>,
        }
    }
}

record! {
    /// When windows are an alarm.
    AlarmFile {
        optional {
            /// So many breached ones; 2 by default.
            breaches: At<Count>,
            /// Of so many last ones; 3 by default, 64 at most.
            of: At<Count>,
        }
    }
}

choice! {
    /// What follows an alarm, beside telling of it.
    ActionFile {
        words {
            /// Nothing.
            None = "none",
            /// The route's rollout goes back.
            Rollback = "rollback",
            /// The route's rollout stays where it is.
            PauseRollout = "pause_rollout",
        }
        maps {
            /// This variant gets no more calls.
            DisableVariant(At<VariantName>) = "disable_variant",
        }
    }
}

/// With what windows are compared.
#[derive(Debug)]
pub(crate) enum BaselineFile {
    Registry(At<Text>),
    First(FirstFile),
}

impl Read for BaselineFile {
    fn read(node: &Node, notes: &mut crate::report::Notes) -> Option<Self> {
        match &node.kind {
            Kind::Scalar(_) => At::read(node, notes).map(Self::Registry),
            Kind::Map(_) => FirstFile::read(node, notes).map(Self::First),
            _ => {
                mismatch(node, "`models:/NAME@ALIAS`, or `{first: 1000}`", notes);
                None
            }
        }
    }
}

impl JsonSchema for BaselineFile {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "BaselineFile".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let first = generator.subschema_for::<FirstFile>();
        json_schema!({"anyOf": [{"type": "string", "pattern": "^(\\$\\{|models:/)"}, first]})
    }
}

/// What monitors refer to. Names are `None` where their section is faulty as a whole, and nothing is missed in it.
pub(crate) struct Ground<'a> {
    pub(crate) routes: &'a BTreeMap<RouteName, RouteSpec>,
    pub(crate) route_names: Option<&'a [String]>,
    pub(crate) rewards: &'a Rewards<'a>,
    pub(crate) plugins: Option<&'a [String]>,
    pub(crate) alerts: Option<&'a [String]>,
    pub(crate) has_registry: bool,
    pub(crate) content: ContentPolicy,
}

impl Ground<'_> {
    /// What the values of a reward are; that there is none such is noted.
    fn reward(&self, name: &RewardName, given: &At<FieldFrom>, desk: &mut Desk<'_>) -> Option<RewardKind> {
        if let Some(spec) = self.rewards.specs.get(name) {
            if spec.level == RewardLevel::Episode {
                desk.notes
                    .fault(
                        &given.at,
                        format!("the reward `{name}` is about episodes, and a monitor looks at single calls"),
                    )
                    .remedy("name a reward of `level: inference`");
                return None;
            }
            return Some(spec.kind);
        }
        look_up("reward", name.as_str(), &given.at, given.is_referred, self.rewards.names, desk);
        None
    }
}

/// Notes where no entry has this name; whether one has, as far as that is known.
fn look_up(
    what: &str,
    name: &str,
    at: &Place,
    is_referred: bool,
    known: Option<&[String]>,
    desk: &mut Desk<'_>,
) -> bool {
    let Some(known) = known else { return true };
    if known.iter().any(|known| known == name) {
        return true;
    }
    let shown = if is_referred { "as the reference names".to_owned() } else { format!("`{name}`") };
    let add = format!("add it under `{what}s`");
    let remedy = if known.is_empty() { add } else { format!("{add}, or name one of {}", known.join(", ")) };
    desk.notes
        .fault(at, format!("there is no {what} {shown}"))
        .meant(nearest(name, known.iter().map(String::as_str)), || remedy);
    false
}

/// The monitor of an entry.
pub(crate) fn check(item: Item<MonitorFile>, ground: &Ground<'_>, desk: &mut Desk<'_>) -> Option<MonitorSpec> {
    let name = super::name::<MonitorName>(&item.name, &item.at, desk);
    let raw = item.value?;
    let at = raw.at().clone();
    if let Some(plugin) = &raw.plugin {
        look_up("plugin", plugin.value.as_str(), &plugin.at, plugin.is_referred, ground.plugins, desk);
    }
    let route = raw.route.as_ref().and_then(|route| {
        look_up("route", route.value.as_str(), &route.at, route.is_referred, ground.route_names, desk);
        ground.routes.get(&route.value)
    });
    if let (Some(route), Some(variant)) = (route, &raw.variant) {
        has_variant(route, variant, desk);
    }
    if let Some(share) = raw.share.as_ref().filter(|share| share.value.0 <= 0.0) {
        desk.notes.fault(&share.at, "this can never apply: no call is looked at").remedy("leave the monitor out");
    }
    if raw.fields.as_ref().is_some_and(|fields| fields.0.is_empty()) {
        desk.notes
            .fault(&at, "this monitor takes nothing of a call: `fields` is empty")
            .remedy("name a field: `fields: {amount: /features/amount}`");
    }
    let mut columns = raw.fields.and_then(|fields| field::check(fields, ground, desk));
    let roles = match &mut columns {
        Some(columns) => roles::check(raw.roles, columns, desk),
        None => None,
    };
    let waits = columns.as_deref().is_none_or(|columns| columns.iter().any(is_said_later));
    let window = window(raw.window.as_ref(), waits, desk);
    let reference = reference(raw.baseline.as_ref(), columns.as_deref().unwrap_or_default(), ground, desk);
    let evaluates = raw
        .evaluates
        .as_ref()
        .and_then(|given| registered(given, ("these evaluations go to", "leave this out"), ground, desk));
    let alarm = alarm(raw.alarm.as_ref(), desk);
    for alert in raw.alert.iter().flatten() {
        look_up("alert", alert.value.as_str(), &alert.at, alert.is_referred, ground.alerts, desk);
    }
    let action = action(raw.action.as_ref(), &at, route, desk);
    Some(MonitorSpec {
        name: name?,
        plugin: raw.plugin?.value,
        route: raw.route?.value,
        variant: raw.variant.map(|variant| variant.value),
        share: raw.share.map_or(1.0, |share| share.value.0),
        fields: columns?.into_iter().map(|column| column.spec).collect(),
        roles: roles?,
        window: window?,
        reference: reference?,
        evaluates,
        shown: raw.config.as_ref().map(|json| json.shown.to_string()),
        config: raw.config.map(|json| json.value.to_string()),
        alarm,
        alert: raw.alert.into_iter().flatten().map(|alert| alert.value).collect(),
        action,
    })
}

fn is_said_later(column: &Column) -> bool {
    matches!(column.spec.from, FieldFrom::Label(_) | FieldFrom::Reward(_))
}

/// Whether a route has this variant; that it has not is noted.
fn has_variant(route: &RouteSpec, variant: &At<VariantName>, desk: &mut Desk<'_>) -> bool {
    let known: Vec<&str> = route.variants.iter().map(|variant| variant.name.as_str()).collect();
    let has = known.contains(&variant.value.as_str());
    if !has {
        desk.notes
            .fault(&variant.at, format!("the route `{}` has no variant {}", route.name, variant.shown()))
            .meant(nearest(variant.value.as_str(), known.iter().copied()), || format!("it has {}", known.join(", ")));
    }
    has
}

fn window(raw: Option<&WindowFile>, waits: bool, desk: &mut Desk<'_>) -> Option<WindowSpec> {
    let Some(raw) = raw else { return Some(WindowSpec { size: Some(SIZE), every: None, min: MIN, wait: WAIT }) };
    // Of what is faulty nothing follows.
    let there = [raw.size.is_some(), raw.every.is_some(), raw.min.is_some(), raw.wait.is_some()];
    if ["size", "every", "min", "wait"].into_iter().zip(there).any(|(name, is_there)| raw.here().has(name) && !is_there)
    {
        return None;
    }
    let every = raw.every.as_ref().map(|span| span.value.0);
    let given = raw.size.as_ref().map(|count| u64::from(count.value.0));
    let size = given.or_else(|| every.is_none().then_some(SIZE));
    let min = raw.min.as_ref().map_or_else(|| size.map_or(MIN, |size| size.min(MIN)), |count| count.value.0.into());
    if let (Some(size), Some(given)) = (size, &raw.min)
        && min > size
    {
        desk.notes
            .fault(&given.at, format!("no window would ever say anything: it ends after {size} calls"))
            .remedy("make `size` larger, or this smaller");
    }
    if let Some(given) = raw.wait.as_ref().filter(|_| !waits) {
        desk.notes
            .fault(&given.at, "this can never apply: nothing is said later of what the fields are")
            .remedy("leave `wait` out, or add a field such as `label:NAME` or `reward:NAME`");
    }
    Some(WindowSpec { size, every, min, wait: raw.wait.as_ref().map_or(WAIT, |span| span.value.0) })
}

fn reference(
    raw: Option<&BaselineFile>,
    columns: &[Column],
    ground: &Ground<'_>,
    desk: &mut Desk<'_>,
) -> Option<ReferenceSpec> {
    match raw {
        None => Some(ReferenceSpec::None),
        Some(BaselineFile::First(raw)) => {
            let first = raw.first.as_ref()?;
            let text = columns.iter().find(|column| column.spec.kind == Some(FieldKind::Text));
            if let Some(text) = text.filter(|_| ground.content != ContentPolicy::Full) {
                let says = format!(
                    "the first calls would have to be kept for their texts (`{}`), and `store.events.content` is `{}`",
                    text.spec.name,
                    content(ground.content)
                );
                desk.notes.fault(&first.at, says).remedy(
                    "leave that field out, write `content: full` there, or compare with a baseline of the registry",
                );
            }
            Some(ReferenceSpec::First(first.value.0.into()))
        }
        Some(BaselineFile::Registry(given)) => {
            registered(given, ("this baseline comes from", "write `{first: 1000}`"), ground, desk)
                .map(ReferenceSpec::Registry)
        }
    }
}

/// A version of the registry, which has to be there for that.
fn registered(
    given: &At<Text>,
    (goes, or): (&str, &str),
    ground: &Ground<'_>,
    desk: &mut Desk<'_>,
) -> Option<ModelRef> {
    let reference = given.value.0.parse::<ModelRef>();
    if let Err(why) = &reference {
        desk.notes.fault(&given.at, "this is no model of the registry").remedy(why.to_string());
    } else if !ground.has_registry {
        desk.notes
            .fault(&given.at, format!("{goes} the registry, and there is none"))
            .remedy(format!("add `store: {{registry: \"sqlite:.tidegate/registry.db\"}}`, or {or}"));
    }
    reference.ok()
}

const fn content(policy: ContentPolicy) -> &'static str {
    match policy {
        ContentPolicy::None => "none",
        ContentPolicy::Hash => "hash",
        ContentPolicy::Redacted => "redacted",
        ContentPolicy::Full => "full",
    }
}

fn alarm(raw: Option<&AlarmFile>, desk: &mut Desk<'_>) -> AlarmSpec {
    let Some(raw) = raw else { return ALARM };
    let given = |count: &Option<At<Count>>| count.as_ref().map(|count| count.value.0);
    let (breaches, of) = match (given(&raw.breaches), given(&raw.of)) {
        (Some(breaches), Some(of)) => (breaches, of),
        (Some(breaches), None) => (breaches, ALARM.of.max(breaches)),
        (None, Some(of)) => (ALARM.breaches.min(of), of),
        (None, None) => return ALARM,
    };
    if let Some(given) = raw.of.as_ref().filter(|_| of > MOST_WINDOWS) {
        desk.notes
            .fault(&given.at, format!("at most {MOST_WINDOWS} windows are looked back on"))
            .remedy("make windows longer, or this smaller");
    }
    if let Some(given) = raw.breaches.as_ref().filter(|_| breaches > of) {
        desk.notes
            .fault(&given.at, format!("this can never apply: {of} windows never have {breaches} breached ones"))
            .remedy("make `of` larger, or this smaller");
    }
    AlarmSpec { breaches, of }
}

fn action(raw: Option<&ActionFile>, at: &Place, route: Option<&RouteSpec>, desk: &mut Desk<'_>) -> MonitorAction {
    let rollout = |word: &str, desk: &mut Desk<'_>| {
        if let Some(route) = route.filter(|route| !matches!(route.policy, PolicySpec::Rollout(_))) {
            desk.notes
                .fault(at, format!("`{word}` can never apply: the route `{}` has no rollout", route.name))
                .remedy("leave `action` out, or give the route a `rollout`");
        }
    };
    match raw {
        None | Some(ActionFile::None) => MonitorAction::None,
        Some(ActionFile::Rollback) => {
            rollout("rollback", desk);
            MonitorAction::Rollback
        }
        Some(ActionFile::PauseRollout) => {
            rollout("pause_rollout", desk);
            MonitorAction::PauseRollout
        }
        Some(ActionFile::DisableVariant(variant)) => {
            if let Some(route) = route
                && has_variant(route, variant, desk)
            {
                may_be_disabled(route, variant, desk);
            }
            MonitorAction::DisableVariant(variant.value.clone())
        }
    }
}

/// A variant is disabled by taking its share away, so there must be a share, and another variant that gets it.
fn may_be_disabled(route: &RouteSpec, variant: &At<VariantName>, desk: &mut Desk<'_>) {
    if route.variants.len() == 1 {
        desk.notes
            .fault(&variant.at, "the only variant of a route cannot be disabled: callers would get nothing")
            .remedy("add another variant, with a share of 0% if it shall get no other calls");
    } else if !matches!(route.policy, PolicySpec::Weighted(_)) {
        desk.notes
            .fault(&variant.at, "a variant is disabled where shares are fixed, and those of this route are not")
            .remedy("use `policy: {weighted: …}`; of a route with a rollout, `action: rollback`");
    }
}
