//! Windows, and the calls that wait for them.

use super::*;
use crate::pane::Pane;
use std::borrow::Cow;
use tidegate_core::spec::{FieldFrom, FieldKind, FieldSpec};

const MINUTE: u64 = 60_000;
/// A time at which a minute begins.
const T: u64 = 28_333_333 * MINUTE;

fn shape() -> Shape {
    let field = |name: &str, from, kind| FieldSpec { name: name.to_owned(), from, kind: Some(kind) };
    Shape::of(&[
        field("x", FieldFrom::Request("/x".to_owned()), FieldKind::Number),
        field("y", FieldFrom::Label("truth".parse().unwrap()), FieldKind::Category),
        field("r", FieldFrom::Reward("good".parse().unwrap()), FieldKind::Number),
    ])
}

fn plain() -> Arc<Plan> {
    Arc::new(Plan::new(Shape::of(&shape().fields()[..1]), None, Keep::USUAL).unwrap())
}

fn waiting_plan() -> Arc<Plan> {
    Arc::new(Plan::new(shape(), None, Keep::USUAL).unwrap())
}

fn spec(size: Option<u64>, every_s: Option<u64>, wait_s: u64) -> WindowSpec {
    let wait = Duration::from_secs(wait_s);
    WindowSpec { size, every: every_s.map(Duration::from_secs), min: 2, wait }
}

fn id(at_ms: u64, number: u64) -> InferenceId {
    InferenceId::from_parts(at_ms, number, number)
}

const LATENESS: Duration = Duration::from_secs(5);

fn x(x: f64) -> [Value<'static>; 1] {
    [Value::Number(x)]
}

/// Rows, whether it says something, and its bounds from [`T`] on.
fn shown(closed: &[Closed]) -> Vec<(u64, bool, i64, i64)> {
    let from = |ms: u64| i64::try_from(ms).unwrap() - i64::try_from(T).unwrap();
    closed.iter().map(|one| (one.pane.rows(), one.speaks, from(one.start_ms), from(one.end_ms))).collect()
}

#[test]
fn a_window_ends_after_so_many_calls() {
    let mut windows = Windows::new(plain(), spec(Some(3), None, 0), LATENESS).unwrap();
    let mut closed = Vec::new();
    for n in 0..7 {
        closed.extend(windows.take(T + n, id(T, n), T + n, &x(1.0)));
    }
    assert_eq!(shown(&closed), [(3, true, 0, 2), (3, true, 3, 5)]);
    assert_eq!(closed.iter().map(|one| one.id.clone()).collect::<Vec<_>>(), [format!("{T}-1"), format!("{}-2", T + 3)]);
    // Without a time it does not end by itself, however long nobody calls.
    assert!(windows.tick(T + 1_000 * MINUTE).is_empty());
    assert_eq!((windows.rows(), windows.counts().taken), (1, 7));
}

#[test]
fn a_window_ends_when_its_time_is_over_and_late_calls_are_counted() {
    let mut windows = Windows::new(plain(), spec(None, Some(60), 0), LATENESS).unwrap();
    let mut take = |now, at| windows.take(now, id(at, now), at, &x(1.0)).len();
    assert_eq!([take(T, T), take(T + 10, T + 10), take(T + MINUTE, T + MINUTE)], [0; 3]);
    // One that was on its way when the window ended is still taken.
    assert_eq!(take(T + MINUTE + 4_000, T + MINUTE - 1), 0);
    assert!(windows.tick(T + MINUTE + 4_999).is_empty());
    let closed = windows.tick(T + MINUTE + 5_000);
    assert_eq!(shown(&closed), [(3, true, 0, 60_000)]);
    assert_eq!(closed[0].id, format!("{T}-1"));
    // Now it is too late, also where no tick came between.
    assert!(windows.take(T + MINUTE + 5_001, id(T, 9), T + 59_999, &x(1.0)).is_empty());
    assert_eq!(windows.counts().late, 1);
    // A window with too few calls says nothing, one without any is none.
    let closed = windows.tick(T + 10 * MINUTE);
    assert_eq!(shown(&closed), [(1, false, 60_000, 120_000)]);
    // A clock that goes back opens nothing again.
    assert!(windows.take(T, id(T, 10), T, &x(1.0)).is_empty());
    assert_eq!((windows.counts().late, windows.rows()), (2, 0));
}

#[test]
fn whichever_comes_first_ends_a_window() {
    let mut windows = Windows::new(plain(), spec(Some(2), Some(60), 0), LATENESS).unwrap();
    let mut closed = Vec::new();
    for n in 0..5 {
        closed.extend(windows.take(T + n, id(T, n), T + n, &x(1.0)));
    }
    closed.extend(windows.tick(T + 2 * MINUTE));
    assert_eq!(shown(&closed), [(2, true, 0, 1), (2, true, 2, 3), (1, false, 4, 60_000)]);
    let ids: std::collections::BTreeSet<&str> = closed.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn a_call_from_the_future_is_one_of_now() {
    let mut windows = Windows::new(plain(), spec(None, Some(60), 0), LATENESS).unwrap();
    // A replica whose clock is a little ahead is believed.
    assert!(windows.take(T + 58_000, id(T, 1), T + 61_000, &x(1.0)).is_empty());
    assert!(windows.take(T + 58_000, id(T, 2), T + 100 * MINUTE, &x(1.0)).is_empty());
    assert!(windows.take(T + 58_000, id(T, 3), u64::MAX, &x(1.0)).is_empty());
    assert_eq!((windows.counts().skewed, windows.counts().taken), (2, 3));
    assert_eq!(shown(&windows.tick(T + 5 * MINUTE)), [(2, true, 0, 60_000), (1, false, 60_000, 120_000)]);
}

#[test]
fn calls_wait_for_what_is_said_of_them() {
    let mut windows = Windows::new(waiting_plan(), spec(Some(1), None, 600), LATENESS).unwrap();
    let yes = Value::Text(Cow::Borrowed("yes"));
    assert!(windows.take(T, id(T, 1), T, &x(1.0)).is_empty());
    assert!(windows.take(T, id(T, 2), T, &x(2.0)).is_empty());
    assert_eq!(windows.waiting(), 2);
    assert!(windows.said(T + 1, id(T, 1), 1, &yes).is_empty());
    // Said again, and otherwise: the first word stands. A column that nobody says is not filled so.
    assert!(windows.said(T + 2, id(T, 1), 1, &Value::Text(Cow::Borrowed("no"))).is_empty());
    assert!(windows.said(T + 2, id(T, 1), 0, &Value::Number(9.0)).is_empty());
    let closed = windows.said(T + 3, id(T, 1), 2, &Value::Number(0.5));
    assert_eq!(closed.len(), 1);
    let kept = closed[0].pane.kept().next().unwrap();
    assert_eq!(*kept.row, [Value::Number(1.0), yes.clone(), Value::Number(0.5)]);
    assert_eq!((kept.call, kept.unix_ms), (id(T, 1), T));
    // Once more, when the call has gone on; that is no other call.
    assert!(windows.said(T + 4, id(T, 1), 1, &yes).is_empty());
    assert!(windows.said(T + 4, id(T, 1), 2, &Value::Number(0.5)).is_empty());
    // The time of the other is over: it goes on without.
    assert!(windows.tick(T + 599_999).is_empty());
    let closed = windows.tick(T + 600_000);
    assert_eq!(*closed[0].pane.kept().next().unwrap().row, [Value::Number(2.0), Value::Missing, Value::Missing]);
    let waited = windows.waited();
    assert_eq!((waited.complete, waited.expired, waited.repeated, waited.stray), (1, 1, 2, 2));
    assert_eq!((windows.waiting(), windows.bytes() < 2_000), (0, true));
}

#[test]
fn a_label_may_come_before_its_call() {
    let mut windows = Windows::new(waiting_plan(), spec(Some(1), None, 600), LATENESS).unwrap();
    let call = id(T, 1);
    let no = Value::Text(Cow::Borrowed("no"));
    assert!(windows.said(T + 1, call, 1, &no).is_empty());
    assert!(windows.said(T + 1, call, 1, &Value::Text(Cow::Borrowed("yes"))).is_empty());
    assert!(windows.said(T + 1, call, 2, &Value::Number(1.0)).is_empty());
    let closed = windows.take(T + 2, call, T, &x(1.0));
    assert_eq!(closed[0].pane.kept().next().unwrap().row[1], no);
    assert_eq!((windows.waited().complete, windows.waited().repeated), (1, 1));
    // Of an old call nothing is kept.
    assert!(windows.said(T + 2 * MINUTE, id(T, 2), 1, &no).is_empty());
    assert_eq!(windows.waited().stray, 1);
    // Of many that never come only the newest.
    for n in 0..5_000 {
        assert!(windows.said(T + 10, id(T + n, 7), 1, &no).is_empty());
    }
    assert_eq!(windows.waited().stray, 1 + 5_000 - 4_096);
    assert!(windows.tick(T + 2 * MINUTE).is_empty());
    assert_eq!(windows.waited().stray, 1 + 5_000);
}

#[test]
fn those_for_whom_there_is_no_room_go_on() {
    let room = Room { calls: 2, bytes: 1 << 20 };
    let mut windows = Windows::new(waiting_plan(), spec(Some(1), None, 600), LATENESS).unwrap().room(room);
    let mut closed = Vec::new();
    for n in 0..4 {
        closed.extend(windows.take(T + n, id(T, n), T + n, &x(1.0)));
    }
    let calls: Vec<InferenceId> = closed.iter().map(|one| one.pane.kept().next().unwrap().call).collect();
    assert_eq!(calls, [id(T, 0), id(T, 1)]);
    assert_eq!((windows.waited().evicted, windows.waiting()), (2, 2));
    let mut narrow =
        Windows::new(waiting_plan(), spec(Some(1), None, 600), LATENESS).unwrap().room(Room { calls: 9, bytes: 0 });
    assert_eq!(narrow.take(T, id(T, 1), T, &x(1.0)).len(), 1);
    assert_eq!(narrow.bytes(), Pane::new(narrow.plan()).bytes());
}

#[test]
fn calls_that_waited_belong_to_the_window_in_which_they_came() {
    let mut windows = Windows::new(waiting_plan(), spec(None, Some(60), 600), LATENESS).unwrap();
    for n in 0..3 {
        assert!(windows.take(T + n, id(T + n, n), T + n, &x(1.0)).is_empty());
    }
    let label = Value::Text(Cow::Borrowed("a"));
    for n in 0..2 {
        assert!(windows.said(T + 9 * MINUTE, id(T + n, n), 1, &label).is_empty());
        assert!(windows.said(T + 9 * MINUTE, id(T + n, n), 2, &Value::Number(1.0)).is_empty());
    }
    assert!(windows.tick(T + 10 * MINUTE + 2_000).is_empty());
    assert!(windows.tick(T + 11 * MINUTE + 4_999).is_empty());
    let closed = windows.tick(T + 11 * MINUTE + 5_000);
    assert_eq!(shown(&closed), [(3, true, 0, 60_000)]);
    assert_eq!(windows.waited().expired, 1);
}

#[test]
fn too_many_windows_at_a_time_are_refused() {
    let fault = Windows::new(waiting_plan(), spec(None, Some(1), 86_400), LATENESS).unwrap_err();
    assert!(fault.to_string().contains("make `window.every` longer"), "{fault}");
    // Where nothing is said later nobody waits.
    assert!(Windows::new(plain(), spec(None, Some(1), 86_400), LATENESS).is_ok());
    let windows = Windows::new(waiting_plan(), spec(None, Some(60), 600), LATENESS).unwrap();
    assert!(windows.plan().keep().bytes < Keep::USUAL.bytes / 4);
}

#[test]
fn the_first_calls_make_the_reference() {
    let mut windows = Windows::new(plain(), spec(Some(5), None, 0), LATENESS).unwrap().first(100);
    for n in 0..100 {
        assert_eq!(windows.gathering(), Some((n, 100)));
        assert!(windows.take(T, id(T, n), T, &x(n as f64)).is_empty());
    }
    assert_eq!((windows.gathering(), windows.reference().map(|one| one.rows())), (None, Some(100)));
    let closed: Vec<Closed> = (100..105).flat_map(|n| windows.take(T, id(T, n), T, &x(50.0))).collect();
    assert_eq!(shown(&closed), [(5, true, 0, 0)]);
    assert_eq!(closed[0].pane.table(9).columns[0].data, crate::table::Data::Numbers(vec![50.0; 5]));
    assert_eq!((windows.counts().gathered, windows.counts().taken), (100, 5));
    // Another replica was first: its reference is taken, and what was seen in other bins is let go.
    let mut other = Windows::new(plain(), spec(Some(5), None, 0), LATENESS).unwrap().first(100);
    assert!(other.take(T, id(T, 1), T, &x(1.0)).is_empty());
    other.adopt(Arc::clone(windows.reference().unwrap())).unwrap();
    assert_eq!((other.gathering(), other.reference()), (None, windows.reference()));
}

#[test]
fn replicas_that_hand_over_make_the_windows_of_one() {
    let spec = spec(Some(10), Some(60), 0);
    let mut alone = Windows::new(plain(), spec, LATENESS).unwrap();
    let mut replicas = [(); 3].map(|()| Windows::collecting(plain(), spec, LATENESS).unwrap());
    let mut judge = Windows::new(plain(), spec, LATENESS).unwrap();
    for n in 0..10 {
        let (at, row) = (T + n, x(n as f64));
        let ended = alone.take(at, id(T, n), at, &row);
        let replica = usize::try_from(n * n % 3).unwrap();
        assert!(replicas[replica].take(at, id(T, n), at, &row).is_empty());
        if let [one] = &ended[..] {
            let mut closed = Vec::new();
            for part in replicas.iter_mut().rev().flat_map(Windows::drain) {
                let part = serde_json::from_str(&serde_json::to_string(&part).unwrap()).unwrap();
                closed.extend(judge.absorb(at, part).unwrap());
            }
            assert_eq!(closed.len(), 1);
            assert_eq!((&closed[0].pane, &closed[0].id), (&one.pane, &one.id));
        }
    }
    assert_eq!((judge.counts().taken, replicas[0].drain().len()), (10, 0));
    // A collector ends nothing, and what comes too late is counted.
    assert!(replicas[0].take(T, id(T, 99), T, &x(1.0)).is_empty());
    assert!(replicas[0].tick(T + 10 * MINUTE).is_empty());
    let late = replicas[0].drain().remove(0);
    assert!(judge.absorb(T + 10 * MINUTE, late.clone()).unwrap().is_empty());
    assert_eq!(judge.counts().late, 1);
    // A window of no time that is: it is taken for the newest one.
    assert!(judge.absorb(T, Part { slot: u64::MAX, ..late }).unwrap().is_empty());
    assert_eq!(judge.tick(T + 10 * MINUTE).len(), 1);
}

#[test]
fn a_restart_forgets_nothing() {
    let make = || Windows::new(waiting_plan(), spec(Some(4), None, 600), LATENESS).unwrap().first(3);
    let label = Value::Text(Cow::Borrowed("a"));
    let run = |restarts: bool| {
        let mut windows = make();
        let mut closed = Vec::new();
        for n in 0..20u64 {
            closed.extend(windows.take(T + n, id(T, n), T + n, &x(n as f64)));
            closed.extend(windows.said(T + n, id(T, n / 2), 1, &label));
            closed.extend(windows.said(T + n, id(T, n / 2), 2, &Value::Number(1.0)));
            if restarts {
                let saved = serde_json::to_string(&windows.saved()).unwrap();
                windows = make();
                windows.restore(serde_json::from_str(&saved).unwrap()).unwrap();
            }
        }
        let closed: Vec<(String, Pane)> = closed.into_iter().map(|one| (one.id, one.pane)).collect();
        (closed, windows.counts(), windows.waited(), windows.waiting())
    };
    assert_eq!(run(true), run(false));
    assert_eq!(run(true).0.len(), 1);
    let mut other = Windows::new(plain(), spec(Some(4), None, 0), LATENESS).unwrap();
    let mut saved = make();
    assert!(saved.take(T, id(T, 1), T, &x(1.0)).is_empty());
    assert_eq!(other.restore(saved.saved()), Err(Unlike::Columns));
}
