//! Monitors: what they refer to, what their fields may be, and what can never apply.

use super::*;
use tidegate_core::spec::{
    AlarmSpec, FieldFrom, FieldKind, MonitorAction, MonitorSpec, ReferenceSpec, RolesSpec, WindowSpec,
};

/// A configuration with a component beside it, of which `monitors` is a part.
fn folder(monitors: &str, others: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.wasm"), "one").unwrap();
    let mut sections: Vec<(&str, &str)> = GOOD.to_vec();
    for (name, value) in others {
        sections.retain(|(known, _)| known != name);
        sections.push((name, value));
    }
    let mut all: String = sections.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    all.push_str("rewards: {stars: {kind: float}, good: {kind: boolean}, resolved: {kind: boolean, level: episode}}\n");
    all.push_str("plugins: {drift: {component: x.wasm}}\n");
    all.push_str("alerts: {duty: {pagerduty: {routing_key: \"${env:KEY}\"}}}\n");
    all.push_str("monitors: ");
    all.push_str(monitors);
    fs::write(folder.path().join("c.yaml"), all).unwrap();
    folder
}

fn read(monitors: &str, others: &[(&str, &str)]) -> Result<Loaded, Report> {
    load(&folder(monitors, others).path().join("c.yaml"), &env)
}

fn one(monitor: &str) -> MonitorSpec {
    let loaded = read(&format!("{{m: {monitor}}}"), &[]).unwrap_or_else(|report| panic!("{report}"));
    loaded.spec.monitors.into_values().next().unwrap()
}

/// A whole monitor with this beside.
fn with(more: &str) -> String {
    format!("{{plugin: drift, route: r, fields: {{x: /x, s: \"reward:stars\", l: \"label:topic\"}}, {more}}}")
}

#[test]
fn a_monitor_has_its_defaults() {
    let spec = one("{plugin: drift, route: r, fields: {x: /features/x}}");
    assert_eq!(spec.window, WindowSpec { size: Some(1000), every: None, min: 100, wait: Duration::from_secs(600) });
    assert_eq!((spec.share, spec.alarm, &spec.action), (1.0, AlarmSpec { breaches: 2, of: 3 }, &MonitorAction::None));
    assert_eq!((spec.reference, spec.config, spec.variant), (ReferenceSpec::None, None, None));
    assert_eq!(spec.roles, RolesSpec { min_group_size: 30, ..RolesSpec::default() });
    let small = one("{plugin: drift, route: r, fields: {x: /x}, window: {size: 10}}");
    assert_eq!((small.window.size, small.window.min), (Some(10), 10));
    let timed = one("{plugin: drift, route: r, fields: {x: /x}, window: {every: 5m}}");
    assert_eq!((timed.window.size, timed.window.min), (None, 100));
}

#[test]
fn fields_say_where_and_what() {
    let fields = "{a: /a~1b/0, b: \"answer:/usage/total_tokens\", c: {from: said, kind: category}, d: \"label:topic\", \
                  e: \"reward:stars\", f: \"reward:good\", g: variant, h: {from: \"tag:age\", kind: number}, i: {from: /v, kind: vector}}";
    let spec = one(&format!("{{plugin: drift, route: r, fields: {fields}}}"));
    let found: Vec<(FieldFrom, Option<FieldKind>)> =
        spec.fields.into_iter().map(|field| (field.from, field.kind)).collect();
    let pointer = |text: &str| text.to_owned();
    let (category, number) = (Some(FieldKind::Category), Some(FieldKind::Number));
    assert_eq!(
        found,
        [
            (FieldFrom::Request(pointer("/a~1b/0")), None),
            (FieldFrom::Answer(pointer("/usage/total_tokens")), None),
            (FieldFrom::Said, category),
            (FieldFrom::Label("topic".parse().unwrap()), category),
            (FieldFrom::Reward("stars".parse().unwrap()), number),
            (FieldFrom::Reward("good".parse().unwrap()), category),
            (FieldFrom::Variant, category),
            (FieldFrom::Tag(pointer("age")), number),
            (FieldFrom::Request(pointer("/v")), Some(FieldKind::Vector)),
        ]
    );
}

#[test]
fn roles_settle_what_fields_are() {
    let spec = one("{plugin: drift, route: r, fields: {p: said, y: \"label:y\", sex: /sex, s: /s}, \
         roles: {prediction: p, label: y, protected: [sex], positive: \"1\", score: s, min_group_size: 20}}");
    let kinds: Vec<Option<FieldKind>> = spec.fields.iter().map(|field| field.kind).collect();
    let category = Some(FieldKind::Category);
    assert_eq!(kinds, [category, category, category, Some(FieldKind::Number)]);
    assert_eq!((spec.roles.positive.as_deref(), spec.roles.min_group_size), (Some("1"), 20));
    let rag = one(
        "{plugin: drift, route: r, fields: {q: /q, p: /metadata/passages, a: said}, roles: {question: q, passages: p, answer: a}}",
    );
    assert!(rag.fields.iter().all(|field| field.kind == Some(FieldKind::Text)));
}

#[test]
fn a_monitor_is_read_whole_and_described() {
    let monitors = "{m: {plugin: drift, route: r, variant: b, share: 10%, fields: {x: /x}, window: {size: 500, every: 5m, min: 50}, \
                    baseline: \"models:/fraud@champion\", evaluates: \"models:/fraud/3\", config: {alpha: 0.01, tests: [{column: x, test: ks}]}, \
                    alarm: {breaches: 1, of: 1}, alert: [duty], action: {disable_variant: b}}}";
    let loaded =
        read(monitors, &[("store", "{registry: \"sqlite:r.db\"}")]).unwrap_or_else(|report| panic!("{report}"));
    let spec = &loaded.spec.monitors["m"];
    assert_eq!(spec.config.as_deref(), Some(r#"{"alpha":0.01,"tests":[{"column":"x","test":"ks"}]}"#));
    assert_eq!(spec.reference, ReferenceSpec::Registry("models:/fraud@champion".parse().unwrap()));
    assert_eq!(spec.evaluates, Some("models:/fraud/3".parse().unwrap()));
    assert_eq!(spec.action, MonitorAction::DisableVariant("b".parse().unwrap()));
    let described = crate::describe(&loaded.spec)["monitors"]["m"].take();
    assert_eq!(
        (&described["baseline"], &described["config"]["alpha"]),
        (&"models:/fraud@champion".into(), &0.01.into())
    );
    assert_eq!(described["action"]["disable_variant"], "b");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn what_is_wrong_with_a_monitor_is_said_with_its_remedy() {
    for (monitor, fault, remedy) in [
        ("{route: r, fields: {x: /x}}".to_owned(), "`plugin` is missing", "add"),
        ("{plugin: drift, fields: {x: /x}}".to_owned(), "`route` is missing", "add"),
        ("{plugin: drift, route: r}".to_owned(), "`fields` is missing", "add"),
        ("{plugin: drift, route: r, fields: {}}".to_owned(), "`fields` is empty", "name a field"),
        ("{plugin: drfit, route: r, fields: {x: /x}}".to_owned(), "no plugin `drfit`", "did you mean `drift`?"),
        ("{plugin: drift, route: rr, fields: {x: /x}}".to_owned(), "no route `rr`", "did you mean `r`?"),
        (with("variant: other"), "has no variant `other`", "it has a, b"),
        (with("share: 0%"), "no call is looked at", "leave the monitor out"),
        (with("alert: [dutty]"), "no alert `dutty`", "did you mean `duty`?"),
        (with("action: rollback"), "the route `r` has no rollout", "give the route a `rollout`"),
        (with("action: {disable_variant: other}"), "has no variant `other`", "it has a, b"),
        (with("action: rolback"), "is not one of the choices", "did you mean `rollback`?"),
        (with("window: {size: 10, min: 20}"), "no window would ever say anything", "make `size` larger"),
        (with("alarm: {breaches: 4, of: 3}"), "never have 4 breached ones", "make `of` larger"),
        (with("evaluates: fraud"), "no model of the registry", "models:/NAME"),
        (with("evaluates: \"models:/fraud/3\""), "these evaluations go to the registry, and there is none", "add"),
        (with("alarm: {of: 65}"), "at most 64 windows", "smaller"),
        (with("baseline: \"models:/fraud@champion\""), "and there is none", "store"),
        (with("baseline: fraud"), "no model of the registry", "models:/NAME@ALIAS"),
        (with("baseline: {frist: 3}"), "unknown field `frist`", "did you mean `first`?"),
        (with("baseline: {first: 0}"), "not a whole number of at least 1", "digits"),
        (with("config: [1]"), "expected a map", "{…}"),
        (with("roles: {prediction: x, positive: \"1\"}"), "the role `protected` is missing", "add"),
        (with("roles: {question: x, prediction: x}"), "no plugin takes both", "two monitors"),
        (with("roles: {question: other, answer: x}"), "no field `other`", "it has x, s, l"),
        (with("roles: {question: s, answer: x}"), "would have to be a text", "name another field"),
        (
            "{plugin: drift, route: r, fields: {x: features/x}}".to_owned(),
            "is not a place in a call",
            "write a pointer",
        ),
        ("{plugin: drift, route: r, fields: {x: siad}}".to_owned(), "is not a place in a call", "did you mean `said`?"),
        ("{plugin: drift, route: r, fields: {x: /a~b}}".to_owned(), "`~` is written `~0`", "write it so"),
        ("{plugin: drift, route: r, fields: {x: \"answer:a\"}}".to_owned(), "begins with `/`", "answer:/"),
        (
            "{plugin: drift, route: r, fields: {x: \"reward:strs\"}}".to_owned(),
            "no reward `strs`",
            "did you mean `stars`?",
        ),
        (
            "{plugin: drift, route: r, fields: {x: \"reward:resolved\"}}".to_owned(),
            "about episodes",
            "level: inference",
        ),
        (
            "{plugin: drift, route: r, fields: {x: {from: variant, kind: number}}}".to_owned(),
            "never a number",
            "category",
        ),
        ("{plugin: drift, route: r, fields: {x: {kind: number}}}".to_owned(), "`from` is missing", "add"),
        (
            "{plugin: drift, route: r, fields: {x: /x}, window: {wait: 1m}}".to_owned(),
            "nothing is said later",
            "label:NAME",
        ),
        (
            "{plugin: drift, route: l, fields: {x: /x}, action: {disable_variant: l}}".to_owned(),
            "the only variant",
            "another variant",
        ),
        (
            "{plugin: drift, route: r, fields: {x: {from: /x, kind: text}}, baseline: {first: 9}}".to_owned(),
            "would have to be kept for their texts (`x`)",
            "content: full",
        ),
    ] {
        let report = read(&format!("{{m: {monitor}}}"), &[]).map(|_| ()).expect_err(&monitor);
        let first = report.findings.iter().find(|finding| finding.message.contains(fault));
        let first = first.unwrap_or_else(|| panic!("{monitor}\n{report}\n{fault}"));
        assert!(first.remedy.as_deref().is_some_and(|found| found.contains(remedy)), "{monitor}\n{report}\n{remedy}");
        assert!(first.path.starts_with("monitors.m"), "{report}");
    }
    let full = read(
        "{m: {plugin: drift, route: r, fields: {x: {from: /x, kind: text}}, baseline: {first: 9}}}",
        &[("store", "{events: {content: full}}")],
    );
    assert!(full.is_ok(), "{full:?}");
}

#[test]
fn a_rollout_asks_a_monitor_of_its_own_route() {
    let routes = |monitor: &str| {
        format!(
            "{{r: {{variants: {{a: {{model: a}}, b: {{model: b}}}}, rollout: {{canary: {{from: a, to: b, analysis: [{{monitor: {monitor}}}]}}}}}}, l: {{model: l}}}}"
        )
    };
    let monitors = "{m: {plugin: drift, route: r, fields: {x: /x}, action: rollback}, o: {plugin: drift, route: l, fields: {x: /x}}}";
    let read = |monitor: &str| read(monitors, &[("routes", &routes(monitor))]);
    let loaded = read("m").unwrap_or_else(|report| panic!("{report}"));
    let PolicySpec::Rollout(rollout) = &loaded.spec.routes["r"].policy else { panic!("a rollout") };
    assert_eq!(rollout.analysis[0].measure, Measure::Monitor("m".parse().unwrap()));
    for (monitor, fault) in [("n", "there is no monitor `n`"), ("o", "the monitor `o` watches the route `l`")] {
        let report = read(monitor).map(|_| ()).expect_err(monitor);
        assert!(report.findings.len() == 1 && report.findings[0].message.contains(fault), "{report}");
    }
}

/// Two routes, of which `r` is a cascade that goes on by these.
fn cascade(escalate: &str) -> String {
    format!(
        "{{r: {{variants: {{a: {{model: a}}, b: {{model: b}}}}, policy: {{cascade: {{escalate: [{escalate}]}}}}}}, l: {{model: l}}}}"
    )
}

#[test]
fn a_cascade_asks_a_monitor_of_its_route_and_plugins_once_each() {
    let monitors = "{m: {plugin: drift, route: r, fields: {x: /x}}, of_l: {plugin: drift, route: l, fields: {x: /x}}}";
    let routes = cascade("empty, {monitor: m}, {plugin: drift}");
    let loaded = read(monitors, &[("routes", &routes)]).unwrap_or_else(|report| panic!("{report}"));
    let PolicySpec::Cascade(spec) = &loaded.spec.routes["r"].policy else { panic!("another policy") };
    let (m, drift) = ("m".parse().unwrap(), "drift".parse().unwrap());
    assert_eq!((&spec.monitors, &spec.plugins), (&vec![m], &vec![drift]));
    let described = crate::describe(&loaded.spec)["routes"]["r"]["policy"]["cascade"]["escalate"].take();
    assert_eq!(described, serde_json::json!(["empty", {"monitor": "m"}, {"plugin": "drift"}]));
    for (escalate, fault) in [
        ("{monitor: of_l}", "the monitor `of_l` watches the route `l`"),
        ("{monitor: n}", "there is no monitor `n`"),
        ("{monitor: m}, {monitor: m}", "`m` is asked already"),
        ("{plugin: drift}, {plugin: drift}", "`drift` is asked already"),
        ("{plugin: drifd}", "there is no plugin `drifd`"),
    ] {
        let report = read(monitors, &[("routes", &cascade(escalate))]).unwrap_err();
        let found: Vec<&String> = report.findings.iter().map(|finding| &finding.message).collect();
        assert!(found.len() == 1 && found[0].contains(fault), "{escalate}: {report}");
    }
}
