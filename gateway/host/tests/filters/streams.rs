//! Streams: what filters do with deltas, and that each owns its instance until it ends, well or badly.

use crate::made::{Guest, seen};
use tidegate_core::RouteName;
use tidegate_core::port::filter::{DeltaAction, Failed, Filter as _, FilterStream, LooksAt, PartKind, Place, Refused};
use tidegate_host::WarmFilter;

/// Gives a new stream.
const OPEN: &str = "(i32.store8 (i32.const 324) (i32.const 1))
    (i32.store (i32.const 328) (call $new (i32.const 7))) (i32.const 320)";

fn text(choice: u32) -> Place {
    Place { choice, kind: PartKind::Text, index: 0 }
}

fn opens(filter: &WarmFilter) -> Result<Option<Box<dyn FilterStream>>, Failed> {
    let route: RouteName = "r".parse().unwrap();
    filter.stream(&seen(&route))
}

fn opened(filter: &WarmFilter) -> Box<dyn FilterStream> {
    opens(filter).unwrap().unwrap()
}

/// Does something on a delta of four bytes, and passes others.
fn when_four(does: &str) -> &'static str {
    format!("(i32.store8 (i32.const 260) (i32.const 0)) (if (i32.eq (local.get 5) (i32.const 4)) (then {does})) (i32.const 256)").leak()
}

fn does(does: &str) -> Guest {
    Guest { open: OPEN, delta: when_four(does), ..Guest::stream() }
}

#[test]
fn one_that_is_not_interested_is_not_asked() {
    let filter = Guest::stream().filter();
    assert_eq!(filter.looks_at(), LooksAt { request: false, answer: false, stream: true });
    assert!(opens(&filter).unwrap().is_none());
    let counts = filter.counts();
    assert_eq!((counts.calls, counts.alive, counts.idle), (1, 1, 1));
}

#[test]
fn each_action_arrives() {
    let delta = |guest: &Guest| {
        let filter = guest.filter();
        let mut stream = opened(&filter);
        assert_eq!(stream.delta(text(0), "fine!"), Ok(DeltaAction::Pass));
        stream.delta(text(0), "evil").unwrap()
    };
    assert_eq!(delta(&does("")), DeltaAction::Pass);
    let replaces = "(i32.store8 (i32.const 260) (i32.const 1)) (i32.store (i32.const 264) (i32.const 400))
        (i32.store (i32.const 268) (i32.const 3))";
    assert_eq!(delta(&does(replaces)), DeltaAction::Replace("pii".to_owned()));
    assert_eq!(delta(&does("(i32.store8 (i32.const 260) (i32.const 2))")), DeltaAction::Hold);
    let stops = "(i32.store8 (i32.const 260) (i32.const 3)) (i32.store (i32.const 264) (i32.const 400))
        (i32.store (i32.const 268) (i32.const 3)) (i32.store (i32.const 272) (i32.const 408))
        (i32.store (i32.const 276) (i32.const 13))";
    let stop = DeltaAction::Stop { finish_reason: "pii".to_owned(), last: "Leave it out.".to_owned() };
    assert_eq!(delta(&does(stops)), stop);
    let refuses = "(i32.store8 (i32.const 260) (i32.const 4)) (i32.store16 (i32.const 264) (i32.const 451))
        (i32.store (i32.const 268) (i32.const 400)) (i32.store (i32.const 272) (i32.const 3))
        (i32.store (i32.const 276) (i32.const 408)) (i32.store (i32.const 280) (i32.const 13))";
    let refused = Refused { status: 451, code: "pii".to_owned(), message: "Leave it out.".to_owned() };
    assert_eq!(delta(&does(refuses)), DeltaAction::Refuse(refused));
}

#[test]
fn it_sees_where_a_text_belongs_and_which_stream_it_is_of() {
    let checks = [(0, 7), (1, 3), (2, 1), (3, 2)]
        .map(|(at, is)| format!("(if (i32.ne (local.get {at}) (i32.const {is})) (then (unreachable)))"))
        .concat();
    let filter = does(&checks).filter();
    let mut stream = opened(&filter);
    let place = Place { choice: 3, kind: PartKind::ToolArguments, index: 2 };
    assert_eq!(stream.delta(place, "evil"), Ok(DeltaAction::Pass));
    // What is no text is not handed over.
    assert_eq!(stream.delta(Place { kind: PartKind::Other, ..place }, "evil"), Ok(DeltaAction::Pass));
    assert_eq!(filter.counts().calls, 2);
}

/// At the end of a choice: one text that was held of it.
const HELD: &str = "(i32.store (i32.const 292) (i32.const 512)) (i32.store (i32.const 296) (i32.const 1))
    (i32.store (i32.const 512) (i32.const 1)) (i32.store8 (i32.const 516) (i32.const 0))
    (i32.store (i32.const 520) (i32.const 0)) (i32.store (i32.const 524) (i32.const 400))
    (i32.store (i32.const 528) (i32.const 3)) (i32.const 288)";

#[test]
fn what_was_held_goes_out_with_its_choice() {
    let filter = Guest { end: HELD, ..does("") }.filter();
    let mut stream = opened(&filter);
    assert_eq!(stream.end(1, "stop"), Ok(vec![(text(1), "pii".to_owned())]));
    let failed = stream.end(0, "stop").unwrap_err();
    assert!(failed.kind == "bad_output" && failed.says.contains("choice 0"), "{failed}");
}

#[test]
fn a_stream_owns_its_instance_until_it_ends() {
    // Four instances each, of which two are kept.
    let filter = does("").filter();
    let streams: Vec<_> = (0..4).map(|_| opened(&filter)).collect();
    let busy = opens(&filter).unwrap_err();
    assert!(busy.kind == "busy" && busy.says.contains("all 4 instances"), "{busy}");
    assert_eq!((filter.counts().alive, filter.counts().idle), (4, 0));
    drop(streams);
    assert_eq!((filter.counts().alive, filter.counts().idle), (2, 2));
    for _ in 0..1000 {
        assert_eq!(opened(&filter).delta(text(0), "fine"), Ok(DeltaAction::Pass));
    }
    // A stream takes its handle with it.
    assert_eq!((filter.counts().alive, filter.counts().made), (2, 4));
    assert_eq!(filter.counts().failures, [("busy", 1)]);
}

#[test]
fn one_that_traps_half_way_is_over_and_the_others_go_on() {
    for (does_what, kind) in [("(unreachable)", "trap"), ("(loop (br 0))", "deadline")] {
        let filter = does(does_what).filter();
        let (mut bad, mut good) = (opened(&filter), opened(&filter));
        assert_eq!(bad.delta(text(0), "fine!"), Ok(DeltaAction::Pass));
        let failed = bad.delta(text(0), "evil").unwrap_err();
        assert_eq!(failed.kind, kind);
        // It is not asked again, and says the same.
        assert_eq!(bad.delta(text(0), "fine!"), Err(failed.clone()));
        assert_eq!(bad.end(0, "stop"), Err(failed));
        assert_eq!(good.delta(text(0), "fine!"), Ok(DeltaAction::Pass));
        assert_eq!(filter.counts().alive, 1);
        assert_eq!(opened(&filter).delta(text(0), "fine!"), Ok(DeltaAction::Pass));
        drop((bad, good));
        assert_eq!(filter.counts().failures, [(kind, 1)]);
    }
}

#[test]
fn what_it_does_at_either_end_is_contained_too() {
    let failed = opens(&Guest { open: "(unreachable)", ..Guest::stream() }.filter()).unwrap_err();
    assert_eq!(failed.kind, "trap");
    // A handle that it does not have.
    let forged =
        "(i32.store8 (i32.const 324) (i32.const 1)) (i32.store (i32.const 328) (i32.const 99)) (i32.const 320)";
    let failed = opens(&Guest { open: forged, ..Guest::stream() }.filter()).unwrap_err();
    assert!(matches!(failed.kind, "trap" | "bad_output"), "{failed}");
    let filter = Guest { dtor: "(unreachable)", ..does("") }.filter();
    drop(opened(&filter));
    let counts = filter.counts();
    assert_eq!((counts.alive, counts.failures), (0, vec![("trap", 1)]));
    let filter = Guest { end: "(loop (br 0)) (unreachable)", ..does("") }.filter();
    assert_eq!(opened(&filter).end(0, "stop").unwrap_err().kind, "deadline");
}

#[test]
fn streams_open_the_breaker_but_are_not_ended_by_it() {
    let (filter, clock) = does("(unreachable)").timed();
    let mut good = opened(&filter);
    for _ in 0..5 {
        assert_eq!(opened(&filter).delta(text(0), "evil").unwrap_err().kind, "trap");
    }
    assert_eq!(opens(&filter).unwrap_err().kind, "tripped");
    assert_eq!(good.delta(text(0), "fine!"), Ok(DeltaAction::Pass));
    clock.advance(std::time::Duration::from_secs(1));
    assert!(opens(&filter).unwrap().is_some());
    assert!(!filter.counts().is_tripped);
}

#[test]
fn a_stream_may_outlive_its_filter() {
    let filter = does("").filter();
    let mut stream = opened(&filter);
    drop(filter);
    assert_eq!(stream.delta(text(0), "fine!"), Ok(DeltaAction::Pass));
}
