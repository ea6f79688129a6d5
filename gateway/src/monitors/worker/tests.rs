//! Tests of monitors as they run, with a clock that stands and a plugin that compares means: alarms that come and go, what is
//! said late, twice or never, restarts, damage, and changes of the configuration.

use super::*;
use crate::monitors::taker::{Inbox, Taker};
use crate::monitors::testing::{Means, answered, field, monitor};
use std::time::{Duration, SystemTime};
use tidegate_core::clock::ManualClock;
use tidegate_core::port::shadow::Place;
use tidegate_core::port::verdicts::Verdicts as _;
use tidegate_core::port::watcher::{Answered, Watcher as _};
use tidegate_core::spec::{AlarmSpec, FieldFrom, FieldKind, ReferenceSpec, RolesSpec, WindowSpec};
use tidegate_host::World;
use tidegate_watch::Share;

/// A worker, and what came of it.
struct Bench {
    worker: Worker,
    clock: Arc<ManualClock>,
    board: Arc<Board>,
    counts: BTreeMap<MonitorName, Arc<Counts>>,
    inbox: Arc<Inbox>,
    deeds: Vec<Deed>,
    asked: usize,
    calls: u64,
    world: World,
}

impl Bench {
    fn new(folder: Option<&std::path::Path>, world: World, spec: &MonitorSpec) -> Self {
        let clock = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000)));
        let board: Arc<Board> = Arc::default();
        let worker = Worker::new(folder.map(MonitorShelf::at), Arc::clone(&board), Arc::<ManualClock>::clone(&clock));
        let counts = BTreeMap::from([(spec.name.clone(), Arc::default())]);
        let (inbox, deeds) = (Arc::default(), Vec::new());
        let mut bench = Self { worker, clock, board, counts, inbox, deeds, asked: 0, calls: 0, world };
        bench.declare(std::slice::from_ref(spec));
        bench
    }

    fn declare(&mut self, all: &[MonitorSpec]) {
        let wanted = |spec: &MonitorSpec| -> Wanted { (spec.clone(), Arc::new(Means(self.world)), "{}".to_owned()) };
        let wanted = all.iter().map(wanted).collect();
        let deeds = self.worker.declare(wanted, &self.counts, &gateway());
        self.deeds.extend(deeds);
    }

    fn call(&mut self, request: &str) -> InferenceId {
        self.calls += 1;
        self.take(&answered(self.calls, request, &[r#"{"choices":[{"message":{"content":"long"}}]}"#]))
    }

    fn take(&mut self, call: &Answered) -> InferenceId {
        let id = call.id;
        for (monitor, counts) in &self.counts {
            let taker = Taker {
                monitor: monitor.clone(),
                share: Share::of(1.0),
                takes_refused: false,
                counts: Arc::clone(counts),
                inbox: Arc::clone(&self.inbox),
            };
            let place = taker.place(id).expect("a place");
            // Each has its own, as callers' ears have.
            let call = Answered {
                caller: call.caller.clone(),
                answer: call.answer.clone(),
                request: call.request.clone(),
                route: call.route.clone(),
                variant: call.variant.clone(),
                model: call.model.clone(),
                ..*call
            };
            taker.take(Arc::new(call), place);
        }
        id
    }

    /// So many calls with this number.
    fn calls(&mut self, n: u64, x: f64) {
        for _ in 0..n {
            self.call(&format!("{{\"features\": {{\"x\": {x}}}}}"));
        }
        self.work(Vec::new());
    }

    fn work(&mut self, messages: Vec<Message>) {
        let mut messages = messages;
        loop {
            let mut next = Vec::new();
            for errand in self.worker.work(self.inbox.empty(), std::mem::take(&mut messages)) {
                match errand {
                    Errand::Judge(job) => next.push(Message::Judged(Box::new(job.run(&*self.clock)))),
                    Errand::Ask(..) => self.asked += 1,
                    Errand::Exchange(..) => panic!("there are no others"),
                    Errand::Do(deed) => self.deeds.push(deed),
                }
            }
            if next.is_empty() {
                return;
            }
            messages = next;
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.work(Vec::new());
    }

    fn verdict(&self) -> Verdict {
        self.board.verdict(&"drift".parse().unwrap())
    }

    /// Whether each alarm that was told fires.
    fn told(&self) -> Vec<bool> {
        let told = self.deeds.iter().filter_map(|deed| match deed {
            Deed::Tell(_, alarm) => Some(alarm.firing),
            _ => None,
        });
        told.collect()
    }

    fn page(&self) -> Value {
        self.worker.seats().next().unwrap().page()
    }
}

/// A configuration whose model `m` is `models:/fraud@champion`.
fn gateway() -> GatewaySpec {
    let text = "listeners: {public: {address: 127.0.0.1:0}}\nproviders: {p: {local: {}}}\nstore: {registry: \"sqlite:x.db\"}\n\
                models: {m: {provider: p, source: \"models:/fraud@champion\"}}\nroutes: {r: {model: m}}\n";
    tidegate_config::load_str(text, std::path::Path::new("x.yaml"), &|_| None).unwrap().spec
}

#[test]
fn an_alarm_is_raised_and_cleared_and_each_is_told_once() {
    let mut bench = Bench::new(None, World::Drift, &monitor());
    bench.calls(10, 1.0);
    assert_eq!(bench.verdict(), Verdict::Unknown, "these are what windows are compared with");
    bench.calls(10, 1.1);
    assert_eq!((bench.verdict(), bench.told()), (Verdict::Well, vec![]));
    bench.calls(20, 3.0);
    let Verdict::Alarm(says) = bench.verdict() else { panic!("{:?}", bench.verdict()) };
    assert!(says.contains("mean:x"), "{says}");
    assert_eq!(bench.told(), [true]);
    bench.calls(10, 1.0);
    assert_eq!((bench.verdict(), bench.told()), (Verdict::Well, vec![true, false]));
    let keys: Vec<&str> = bench
        .deeds
        .iter()
        .filter_map(|deed| match deed {
            Deed::Tell(whom, alarm) => {
                Some((whom.len() == 1, alarm.dedup_key.as_str())).filter(|(is_one, _)| *is_one).map(|(_, key)| key)
            }
            _ => None,
        })
        .collect();
    assert_eq!(keys, ["tidegate:drift:m"; 2]);
    let page = bench.page();
    let watched = &page["watched"][0];
    assert_eq!((&page["counts"]["windows"], &page["counts"]["breached"]), (&json!(4), &json!(2)));
    assert_eq!((watched["windows"].as_array().unwrap().len(), &watched["state"]), (4, &json!("well")));
    assert_eq!((&page["reference"]["rows"], &page["counts"]["rows"]), (&json!(10), &json!(50)));
}

#[test]
fn two_breaches_of_three_are_an_alarm_and_one_is_not() {
    let mut bench =
        Bench::new(None, World::Drift, &MonitorSpec { alarm: AlarmSpec { breaches: 2, of: 3 }, ..monitor() });
    for (x, firing) in [(1.0, false), (3.0, false), (1.0, false), (3.0, true), (1.0, false)] {
        bench.calls(10, x);
        assert_eq!(matches!(bench.verdict(), Verdict::Alarm(_)), firing, "{x}");
    }
}

#[test]
fn windows_end_by_time_and_say_nothing_of_few_calls() {
    let window = WindowSpec { size: None, every: Some(Duration::from_secs(60)), min: 5, wait: Duration::ZERO };
    let mut bench = Bench::new(None, World::Drift, &MonitorSpec { window, ..monitor() });
    bench.calls(10, 1.0);
    bench.calls(6, 3.0);
    assert_eq!(bench.verdict(), Verdict::Unknown);
    bench.pass(70);
    assert!(matches!(bench.verdict(), Verdict::Alarm(_)));
    bench.calls(4, 1.0);
    bench.pass(70);
    assert!(matches!(bench.verdict(), Verdict::Alarm(_)), "four calls say nothing");
    assert_eq!(bench.page()["counts"]["silent"], 1);
    bench.pass(700);
    assert_eq!(bench.page()["watched"][0]["windows"].as_array().unwrap().len(), 2, "empty windows are none");
}

/// Fairness of a label that is said later.
fn later() -> MonitorSpec {
    MonitorSpec {
        fields: vec![
            field("y", FieldFrom::Request("/features/x".to_owned()), Some(FieldKind::Category)),
            field("group", FieldFrom::Tag("team".to_owned()), Some(FieldKind::Category)),
            field("stars", FieldFrom::Reward("stars".parse().unwrap()), Some(FieldKind::Number)),
        ],
        roles: RolesSpec {
            prediction: Some("y".to_owned()),
            protected: vec!["group".to_owned()],
            positive: Some("1".to_owned()),
            ..RolesSpec::default()
        },
        reference: ReferenceSpec::None,
        window: WindowSpec { size: Some(5), every: None, min: 1, wait: Duration::from_secs(60) },
        ..monitor()
    }
}

fn stars(call: InferenceId, stars: f64) -> Message {
    Message::Said(
        call,
        None,
        Later::Reward("stars".parse().unwrap(), tidegate_core::port::learning::RewardValue::Float(stars)),
    )
}

#[test]
fn labels_come_late_twice_or_never() {
    let mut bench = Bench::new(None, World::Fairness, &later());
    let calls: Vec<InferenceId> = (0..5).map(|_| bench.call(r#"{"features": {"x": 1}}"#)).collect();
    bench.work(Vec::new());
    assert_eq!(bench.page()["watched"][0]["open"]["waiting"], 5, "they wait for what is said of them");
    bench.work(vec![stars(calls[0], 0.5), stars(calls[1], 0.5), stars(calls[0], 99.0)]);
    bench.work(vec![stars(InferenceId::from_parts(9, 9, 9), 99.0)]);
    assert_eq!(bench.page()["watched"][0]["open"]["waiting"], 3);
    bench.pass(61);
    let page = bench.page();
    let window = &page["watched"][0]["windows"][0];
    assert_eq!((&window["rows"], &window["measurements"][0]["value"]), (&json!(5), &json!(0.5)), "{window}");
    assert_eq!(bench.verdict(), Verdict::Well, "the second word and that of a stranger do not count");
    bench.work(vec![stars(calls[2], 99.0)]);
    assert_eq!(bench.verdict(), Verdict::Well, "what comes too late does not count");
}

#[test]
fn versions_have_windows_of_their_own_and_one_that_serves_no_more_is_forgotten() {
    let mut bench = Bench::new(None, World::Drift, &monitor());
    bench.calls(20, 1.0);
    let of = |bench: &mut Bench, version: u32, x: f64, n: u64| {
        for _ in 0..n {
            bench.calls += 1;
            let call = answered(bench.calls, &format!("{{\"features\": {{\"x\": {x}}}}}"), &["{}"]);
            bench.take(&Answered { model_version: Some(version), ..call });
        }
        bench.work(Vec::new());
    };
    of(&mut bench, 1, 3.0, 10);
    assert!(matches!(bench.verdict(), Verdict::Alarm(_)));
    of(&mut bench, 2, 1.0, 10);
    assert!(matches!(bench.verdict(), Verdict::Alarm(_)), "version 1 may serve still");
    bench.pass(61);
    of(&mut bench, 2, 1.0, 10);
    assert_eq!((bench.verdict(), bench.told()), (Verdict::Well, vec![true, false]));
    let evaluated: Vec<(String, bool)> = bench
        .deeds
        .iter()
        .filter_map(|deed| match deed {
            Deed::Evaluate(one) => Some((one.of.to_string(), one.passed)),
            _ => None,
        })
        .collect();
    let of = |version: u32, passed| (format!("models:/fraud/{version}"), passed);
    assert_eq!(evaluated, [of(1, false), of(2, true), of(2, true)]);
}

#[test]
fn after_a_restart_windows_and_alarms_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let spec = MonitorSpec { action: MonitorAction::DisableVariant("a".parse().unwrap()), ..monitor() };
    let mut bench = Bench::new(Some(folder.path()), World::Drift, &spec);
    bench.calls(10, 1.0);
    bench.calls(10, 3.0);
    bench.calls(7, 3.0);
    bench.worker.keep_all();
    let mut again = Bench::new(Some(folder.path()), World::Drift, &spec);
    assert!(matches!(again.verdict(), Verdict::Alarm(_)));
    assert_eq!(again.told(), [true], "those who were told may not know any more");
    assert!(
        again
            .deeds
            .iter()
            .any(|deed| matches!(deed, Deed::Act(MonitorAction::DisableVariant(_), alarm) if alarm.firing))
    );
    again.calls = 100;
    again.calls(3, 3.0);
    assert_eq!(again.page()["counts"]["windows"], 2, "seven and three are a window");
    // Another window is another monitor.
    let other = MonitorSpec { window: WindowSpec { size: Some(20), ..spec.window }, ..spec.clone() };
    let other = Bench::new(Some(folder.path()), World::Drift, &other);
    assert_eq!(other.verdict(), Verdict::Unknown);
}

#[test]
fn what_is_damaged_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = MonitorShelf::at(folder.path());
    for content in [&b"{"[..], b"", b"null", b"{\"form\":1}", b"\xff\xfe"] {
        shelf.keep(&"drift".parse().unwrap(), content).unwrap();
        let mut bench = Bench::new(Some(folder.path()), World::Drift, &monitor());
        bench.calls(20, 1.0);
        assert_eq!(bench.verdict(), Verdict::Well);
    }
}

#[test]
fn a_reload_keeps_a_monitor_that_takes_the_same_and_ends_what_followed_from_others() {
    let spec = MonitorSpec { action: MonitorAction::DisableVariant("a".parse().unwrap()), ..monitor() };
    let mut bench = Bench::new(None, World::Drift, &spec);
    bench.calls(10, 1.0);
    bench.calls(10, 3.0);
    let acts = |bench: &Bench| -> Vec<bool> {
        let acts = bench.deeds.iter().filter_map(|deed| match deed {
            Deed::Act(MonitorAction::DisableVariant(_), alarm) => Some(alarm.firing),
            _ => None,
        });
        acts.collect()
    };
    assert_eq!(acts(&bench), [true]);
    bench.declare(&[MonitorSpec { alert: Vec::new(), ..spec.clone() }]);
    assert!(matches!(bench.verdict(), Verdict::Alarm(_)), "who is told does not matter");
    bench.declare(&[]);
    assert_eq!((bench.verdict(), acts(&bench).last()), (Verdict::Unknown, Some(&false)));
    bench.declare(std::slice::from_ref(&spec));
    bench.calls(10, 1.0);
    assert_eq!(bench.verdict(), Verdict::Unknown, "it gathers anew");
}

#[test]
fn a_reset_forgets_and_a_failing_plugin_says_nothing() {
    let mut bench = Bench::new(None, World::Drift, &monitor());
    bench.calls(10, 1.0);
    bench.calls(10, 3.0);
    let deeds = bench.worker.reset("drift", "ann").unwrap();
    assert!(matches!(&deeds[..], [Deed::Tell(_, alarm), Deed::Act(MonitorAction::None, _)] if !alarm.firing));
    assert!(bench.worker.reset("none", "ann").is_none());
    assert_eq!(bench.verdict(), Verdict::Unknown);
    for _ in 0..20 {
        bench.call(r#"{"features": {"x": "a text"}}"#);
    }
    bench.work(Vec::new());
    let page = bench.page();
    assert_eq!((&page["counts"]["failed"], &page["state"]), (&json!(1), &json!("unknown")));
    assert!(page["watched"][0]["windows"][0]["fault"].as_str().unwrap().contains("no numbers"));
}

#[test]
fn without_its_baseline_nothing_is_taken_until_the_registry_answers() {
    let spec =
        MonitorSpec { reference: ReferenceSpec::Registry("models:/fraud@champion".parse().unwrap()), ..monitor() };
    let mut bench = Bench::new(None, World::Drift, &spec);
    bench.calls(10, 1.0);
    assert_eq!((bench.asked, bench.page()["counts"]["left_out"]["no_reference"].as_u64()), (1, Some(10)));
    let name: MonitorName = "drift".parse().unwrap();
    bench.work(vec![Message::Baseline(name.clone(), Err("there is none".to_owned()))]);
    assert_eq!(bench.page()["reference"]["waits_for"], "there is none");
    bench.pass(6);
    assert_eq!(bench.asked, 2);
    let json = json!({
        "baseline": 1, "rows": 4, "sample": [],
        "columns": [{"name": "x", "count": 4, "missing": 0, "numeric": {
            "min": 0.5, "max": 2.0, "mean": 1.125, "m2": 1.1875,
            "bins": [{"to": 0.5, "count": 1, "sum": 0.5}, {"to": 1.0, "count": 2, "sum": 2.0}, {"to": 2.0, "count": 1, "sum": 2.0}],
        }}],
    });
    bench.work(vec![Message::Baseline(name, Ok(Baseline { model: "fraud".to_owned(), version: 3, json }))]);
    bench.calls(10, 1.0);
    assert_eq!(bench.verdict(), Verdict::Well);
    assert_eq!(bench.page()["reference"]["version"], "models:/fraud/3");
    bench.calls(10, 9.0);
    assert!(matches!(bench.verdict(), Verdict::Alarm(_)));
    let of: ModelRef = "models:/fraud/3".parse().unwrap();
    let evaluated = bench.deeds.iter().any(|deed| matches!(deed, Deed::Evaluate(one) if one.of == of && !one.passed));
    assert!(evaluated, "the version whose baseline it is: nobody knows another");
}

#[test]
fn an_evaluation_is_of_the_version_that_is_named_where_none_of_the_registry_answers() {
    let of: ModelRef = "models:/support@champion".parse().unwrap();
    let mut bench = Bench::new(None, World::Drift, &MonitorSpec { evaluates: Some(of.clone()), ..monitor() });
    bench.calls(20, 1.0);
    let evaluated = bench.deeds.iter().filter_map(|deed| match deed {
        Deed::Evaluate(one) => Some((&one.of, one.passed)),
        _ => None,
    });
    assert_eq!(evaluated.collect::<Vec<_>>(), [(&of, true)]);
}

#[test]
fn answers_are_judged_and_texts_are_not_kept() {
    let spec = MonitorSpec {
        fields: vec![
            field("q", FieldFrom::Request("/q".to_owned()), Some(FieldKind::Text)),
            field("a", FieldFrom::Said, Some(FieldKind::Text)),
        ],
        roles: RolesSpec { question: Some("q".to_owned()), answer: Some("a".to_owned()), ..RolesSpec::default() },
        reference: ReferenceSpec::None,
        ..monitor()
    };
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(Some(folder.path()), World::Rag, &spec);
    for _ in 0..17 {
        bench.call(r#"{"q": "a secret question"}"#);
    }
    bench.work(Vec::new());
    let page = bench.page();
    let window = &page["watched"][0]["windows"][0];
    assert_eq!(
        (&window["measurements"][0]["value"], window["values"]["length"].as_array().unwrap().len()),
        (&json!(4.0), 10)
    );
    assert!(window["worst"].is_null());
    bench.worker.keep_all();
    let kept = MonitorShelf::at(folder.path()).load(&"drift".parse().unwrap()).unwrap().unwrap();
    assert!(!String::from_utf8(kept).unwrap().contains("secret"));
}

#[test]
fn places_are_bounded_and_free_again() {
    let (counts, inbox): (Arc<Counts>, Arc<Inbox>) = (Arc::default(), Arc::default());
    let taker = Taker {
        monitor: "m".parse().unwrap(),
        share: Share::of(1.0),
        takes_refused: false,
        counts: Arc::clone(&counts),
        inbox: Arc::clone(&inbox),
    };
    let id = InferenceId::from_parts(1, 1, 1);
    let places: Vec<Place> = std::iter::from_fn(|| taker.place(id)).collect();
    assert_eq!((places.len(), counts.left_out()[0].1), (4096, 1));
    drop(places);
    let big = answered(1, &"x".repeat(40 << 20), &["{}"]);
    let again = answered(2, &"x".repeat(40 << 20), &["{}"]);
    taker.take(Arc::new(big), taker.place(id).unwrap());
    taker.take(Arc::new(again), taker.place(id).unwrap());
    assert_eq!((inbox.empty().len(), counts.left_out()[0].1), (1, 2), "64 MiB wait at most");
    let none = Taker { share: Share::of(0.0), ..taker };
    assert!(none.place(id).is_none() && counts.left_out()[0].1 == 2, "what is not looked at is not left out");
}
