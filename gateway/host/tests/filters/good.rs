//! What filters do that mean well: each action, what they keep and say beside, and how instances are lent.

use crate::made::{Guest, PASS, host, part, said, seen, small};
use std::sync::Arc;
use tidegate_core::port::filter::{Action, Edit, Filter as _, LooksAt, Message, Opinion, PartKind, Refused};
use tidegate_core::{PluginName, RouteName};
use tidegate_host::{Bounds, FilterLimits, Kind, Limits, MetricKind, Refusal, World};

fn asks(guest: &Guest) -> Opinion {
    let route: RouteName = "r".parse().unwrap();
    guest.filter().request(&seen(&route), &[said("hello"), said("more")]).unwrap()
}

#[test]
fn a_request_passes_in_the_instance_that_was_configured() {
    let filter = Guest::default().filter();
    assert_eq!(filter.looks_at(), LooksAt { request: true, answer: false, stream: false });
    let route = "r".parse().unwrap();
    for _ in 0..10 {
        assert_eq!(filter.request(&seen(&route), &[said("hello")]), Ok(Opinion::default()));
    }
    // What it does not look at passes without it.
    assert_eq!(filter.answer(&seen(&route), &[said("hello")]), Ok(Opinion::default()));
    assert!(filter.stream(&seen(&route)).unwrap().is_none());
    let counts = filter.counts();
    assert_eq!((counts.calls, counts.made, counts.alive, counts.idle), (10, 1, 1, 1));
    assert!(counts.failures.is_empty() && !counts.is_tripped);
}

#[test]
fn what_it_sees_is_what_was_said() {
    // Two messages; the second of role `user`, whose first part is an untrusted text of four bytes; one header; the context
    // without tenant, with a model; the id of 36 bytes.
    let checks = [
        ("(i32.load offset=84 (local.get 0))", 2),
        ("(i32.load offset=76 (local.get 0))", 1),
        ("(i32.load offset=4 (local.get 0))", 36),
        ("(i32.load8_u offset=16 (local.get 0))", 0),
        ("(i32.load8_u offset=32 (local.get 0))", 1),
        ("(i32.load offset=40 (local.get 0))", 1),
        ("(i32.load offset=68 (local.get 0))", 100),
        ("(i32.load offset=20 (i32.load offset=80 (local.get 0)))", 4),
        ("(i32.load offset=28 (i32.load offset=80 (local.get 0)))", 1),
        ("(i32.load8_u (i32.load offset=24 (i32.load offset=80 (local.get 0))))", 0),
        ("(i32.load offset=8 (i32.load offset=24 (i32.load offset=80 (local.get 0))))", 4),
        ("(i32.load8_u offset=12 (i32.load offset=24 (i32.load offset=80 (local.get 0))))", 1),
    ];
    let all = checks.map(|(what, is)| format!("(if (i32.ne {what} (i32.const {is})) (then (unreachable)))")).concat();
    let guest = Guest { request: format!("{all} {PASS}").leak(), ..Guest::default() };
    assert_eq!(asks(&guest), Opinion::default());
}

/// An edit of part 0 of message 1 to `pii`, in the static data.
const EDIT: &str = "(i32.store8 (i32.const 132) (i32.const 1))
    (i32.store (i32.const 136) (i32.const 512)) (i32.store (i32.const 140) (i32.const 1))
    (i32.store (i32.const 512) (i32.const 1)) (i32.store (i32.const 516) (i32.const 0))
    (i32.store (i32.const 520) (i32.const 400)) (i32.store (i32.const 524) (i32.const 3)) (i32.const 128)";

/// A refusal with 422, `pii` and `Leave it out.`.
const REFUSE: &str = "(i32.store8 (i32.const 132) (i32.const 3)) (i32.store16 (i32.const 136) (i32.const 422))
    (i32.store (i32.const 140) (i32.const 400)) (i32.store (i32.const 144) (i32.const 3))
    (i32.store (i32.const 148) (i32.const 408)) (i32.store (i32.const 152) (i32.const 13)) (i32.const 128)";

#[test]
fn each_action_arrives() {
    let edited = asks(&Guest { request: EDIT, ..Guest::default() });
    assert_eq!(edited.action, Action::Edit(vec![Edit { message: 1, part: 0, text: "pii".to_owned() }]));
    let refused = asks(&Guest { request: REFUSE, ..Guest::default() });
    let wanted = Refused { status: 422, code: "pii".to_owned(), message: "Leave it out.".to_owned() };
    assert_eq!(refused.action, Action::Refuse(wanted));
    let replies = "(i32.store8 (i32.const 132) (i32.const 2)) (i32.store (i32.const 136) (i32.const 0))
        (i32.store (i32.const 140) (i32.const 4)) (i32.const 128)";
    assert_eq!(asks(&Guest { request: replies, ..Guest::default() }).action, Action::Reply("made".to_owned()));
    let notes = "(i32.store (i32.const 156) (i32.const 512)) (i32.store (i32.const 160) (i32.const 1))
        (i32.store (i32.const 512) (i32.const 400)) (i32.store (i32.const 516) (i32.const 3))
        (i32.store (i32.const 520) (i32.const 0)) (i32.store (i32.const 524) (i32.const 4)) (i32.const 128)";
    let noted = asks(&Guest { request: notes, ..Guest::default() });
    assert_eq!(noted, Opinion { action: Action::Pass, annotations: vec![("pii".to_owned(), "made".to_owned())] });
}

#[test]
fn one_component_may_look_at_all_three() {
    let guest = Guest {
        exports: &["request-filter", "response-filter", "stream-filter"],
        wants: &["kv", "registry", "models", "http-out"],
        response: EDIT,
        ..Guest::default()
    };
    let plugin = Arc::new(guest.load(&host(small(), None)).unwrap());
    assert_eq!(plugin.about().world, World::Filter);
    let told = serde_json::to_value(plugin.about()).unwrap();
    assert_eq!(told["looks_at"], serde_json::json!(["request", "answer", "stream"]));
    let filter = plugin.filter("all".parse().unwrap(), "{}").unwrap();
    assert_eq!(filter.looks_at(), LooksAt { request: true, answer: true, stream: true });
    let route = "r".parse().unwrap();
    assert_eq!(filter.request(&seen(&route), &[said("a"), said("b")]), Ok(Opinion::default()));
    let Action::Edit(edits) = filter.answer(&seen(&route), &[said("a"), said("b")]).unwrap().action else {
        panic!("no edit")
    };
    assert_eq!(edits.len(), 1);
    assert!(filter.stream(&seen(&route)).unwrap().is_none());
    assert_eq!(filter.counts().made, 1);
}

#[test]
fn what_is_no_filter_is_said() {
    // A world of evaluators, by the same route.
    let drift = include_str!("drift.wat");
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit")).unwrap();
    let world = resolve.select_world(&[package], Some("drift-plugin")).unwrap();
    let mut module = wat::parse_str(drift).unwrap();
    let utf8 = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, utf8, false).unwrap();
    let component = tidegate_host::pack(&module).unwrap();
    let plugin = Arc::new(host(small(), None).load(&component, Bounds::default()).unwrap());
    assert_eq!(plugin.about().looks_at, LooksAt::default());
    let fault = plugin.filter("x".parse().unwrap(), "{}").unwrap_err();
    assert!(fault.kind == Kind::WrongWorld && fault.says.contains("`drift-plugin`"), "{}", fault.says);
}

#[test]
fn a_configuration_is_refused_when_the_filter_is_made() {
    let refuses = "(i32.store8 (i32.const 96) (i32.const 1)) (i32.store (i32.const 104) (i32.const 408))
        (i32.store (i32.const 108) (i32.const 13)) (i32.const 96)";
    let fault = Guest { configure: refuses, ..Guest::default() }.try_filter().unwrap_err();
    assert_eq!(fault.kind, Kind::Refused(Refusal::Config));
    assert!(fault.says.contains("configuration: Leave it out."), "{}", fault.says);
}

#[test]
fn a_plugin_has_its_own_bounds() {
    let grows = "(drop (memory.grow (i32.const 24))) (i32.const 128)";
    let component = Guest { request: grows, ..Guest::default() }.component();
    let host = host(small(), None);
    let of = |memory| host.load(&component, Bounds { memory: Some(memory), ..Bounds::default() });
    let fault = of(5 << 20).unwrap_err();
    assert!(fault.kind == Kind::TooLarge && fault.says.contains("are the most"), "{}", fault.says);
    let route = "r".parse().unwrap();
    // Who is refused memory may go on.
    for memory in [1 << 20, 4 << 20] {
        let filter = Arc::new(of(memory).unwrap()).filter("x".parse().unwrap(), "{}").unwrap();
        assert_eq!(filter.request(&seen(&route), &[]), Ok(Opinion::default()));
    }
}

/// Imports `incr`, and passes each call but the third, which it refuses.
const COUNTS: &str = r#"(import "tidegate:plugin/kv@0.1.0" "incr" (func $incr (param i32 i32 i64 i32)))"#;

#[test]
fn keys_and_values_outlive_instances_and_are_a_plugins_own() {
    let counts = format!(
        "(call $incr (i32.const 400) (i32.const 3) (i64.const 1) (i32.const 704))
         (if (i32.load8_u (i32.const 704)) (then (unreachable)))
         (if (i32.eq (i32.load offset=84 (local.get 0)) (i32.const 2)) (then (unreachable)))
         (if (i64.eq (i64.load (i32.const 712)) (i64.const 3)) (then (return {REFUSE})))
         {PASS}"
    );
    let guest = Guest { imports: COUNTS, request: counts.leak(), ..Guest::default() };
    let host = host(small(), None);
    let plugin = Arc::new(guest.load(&host).unwrap());
    let named = |name: &str| plugin.filter(name.parse::<PluginName>().unwrap(), "{}").unwrap();
    let (one, other) = (named("one"), named("other"));
    let route = "r".parse().unwrap();
    let call = seen(&route);
    assert_eq!(one.request(&call, &[]).unwrap().action, Action::Pass);
    assert_eq!(one.request(&call, &[said("a"), said("b")]).unwrap_err().kind, "trap");
    assert_eq!(other.request(&call, &[]).unwrap().action, Action::Pass);
    // The third of `one`, in another instance, and by a filter that was made later under the same name.
    let again = named("one");
    drop(one);
    assert!(matches!(again.request(&call, &[]).unwrap().action, Action::Refuse(_)));
}

#[test]
fn what_is_not_granted_yet_is_denied() {
    let guest = Guest {
        wants: &["models", "http-out"],
        imports: r#"(import "tidegate:plugin/models@0.1.0" "embed" (func $embed (param i32 i32 i32 i32 i32)))
            (import "tidegate:plugin/http-out@0.1.0" "send"
              (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#,
        request: "(call $embed (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 704))
            (if (i32.ne (i32.load8_u (i32.const 704)) (i32.const 1)) (then (unreachable)))
            (if (i32.load8_u (i32.const 708)) (then (unreachable)))
            (call $send (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 0)
              (i32.const 0) (i32.const 0) (i32.const 9) (i32.const 704))
            (if (i32.ne (i32.load8_u (i32.const 704)) (i32.const 1)) (then (unreachable)))
            (if (i32.load8_u (i32.const 708)) (then (unreachable)))
            (i32.const 128)",
        ..Guest::default()
    };
    assert_eq!(asks(&guest), Opinion::default());
}

#[test]
fn what_it_measures_adds_up_over_its_instances() {
    let guest = Guest {
        imports: r#"(import "tidegate:plugin/metrics@0.1.0" "count" (func $count (param i32 i32 i64 i32 i32)))"#,
        request: "(call $count (i32.const 400) (i32.const 3) (i64.const 2) (i32.const 0) (i32.const 0)) (i32.const 128)",
        ..Guest::default()
    };
    let filter = guest.filter();
    let route = "r".parse().unwrap();
    (0..5).for_each(|_| assert!(filter.request(&seen(&route), &[]).is_ok()));
    let series = filter.series();
    assert_eq!(series.len(), 1);
    assert_eq!((series[0].kind, series[0].name.as_str()), (MetricKind::Count, "pii"));
    assert_eq!((series[0].value, series[0].times), (10.0, 5));
}

#[test]
fn an_instance_is_replaced_after_its_calls() {
    let filters = FilterLimits { calls_per_instance: 3, ..small().filters };
    let host = host(Limits { filters, ..small() }, None);
    let filter = Arc::new(Guest::default().load(&host).unwrap()).filter("x".parse().unwrap(), "{}").unwrap();
    let route = "r".parse().unwrap();
    (0..10).for_each(|_| assert!(filter.request(&seen(&route), &[]).is_ok()));
    let counts = filter.counts();
    assert_eq!((counts.made, counts.alive, counts.idle), (4, 1, 1));
}

#[test]
fn an_instance_whose_memory_grows_is_replaced_before_it_fails() {
    let grows = "(drop (memory.grow (i32.const 2))) (i32.const 128)";
    let filter = Guest { request: grows, ..Guest::default() }.filter();
    let route = "r".parse().unwrap();
    (0..100).for_each(|_| assert!(filter.request(&seen(&route), &[]).is_ok()));
    let counts = filter.counts();
    assert!(counts.made > 5 && counts.made < 20 && counts.failures.is_empty(), "{counts:?}");
}

#[test]
fn calls_at_once_have_an_instance_each() {
    let filter = Guest { request: EDIT, ..Guest::default() }.filter();
    let route: RouteName = "r".parse().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let opinion = filter.request(&seen(&route), &[said("a"), said("b")]).unwrap();
                    assert!(matches!(opinion.action, Action::Edit(_)));
                }
            });
        }
    });
    let counts = filter.counts();
    assert_eq!((counts.calls, counts.alive), (2000, counts.idle));
    assert!(counts.idle <= 2 && counts.failures.is_empty(), "{counts:?}");
}

#[test]
fn a_dropped_filter_leaves_its_places() {
    let host = host(small(), None);
    let plugin = Arc::new(Guest::default().load(&host).unwrap());
    let named = |at: usize| plugin.filter(format!("x{at}").parse().unwrap(), "{}");
    for _ in 0..3 {
        let all: Vec<_> = (0..8).map(|at| named(at).unwrap()).collect();
        assert_eq!(named(8).unwrap_err().kind, Kind::Busy);
        drop(all);
    }
}

#[test]
fn a_part_that_is_no_text_stands_in_the_way_of_none() {
    let parts = vec![part(PartKind::Other, "", true), part(PartKind::Text, "x", true)];
    let messages = [Message { role: "user".into(), parts: vec![] }, Message { role: "user".into(), parts }];
    let filter = Guest { request: EDIT, ..Guest::default() }.filter();
    let route = "r".parse().unwrap();
    // The edit names the part that is no text.
    assert_eq!(filter.request(&seen(&route), &messages).unwrap_err().kind, "bad_output");
}
