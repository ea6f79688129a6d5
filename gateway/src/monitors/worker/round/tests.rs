//! Replicas at a store that is a model of the real one, in a simulation: answers are lost before and after what was asked was
//! done, leads end, replicas are killed and come back. Whatever happens, each call that was handed over counts once, and of
//! an alarm nobody is told twice who leads on.

use crate::monitors::board::Board;
use crate::monitors::counts::Counts;
use crate::monitors::deed::Deed;
use crate::monitors::taker::{Inbox, Taker};
use crate::monitors::testing::{Means, answered, monitor};
use crate::monitors::worker::{Asked, Errand, Message, Wanted, Worker};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tidegate_core::MonitorName;
use tidegate_core::clock::ManualClock;
use tidegate_core::dice::mix;
use tidegate_core::port::parcels::{Answer, Ask};
use tidegate_core::port::watcher::Watcher as _;
use tidegate_core::spec::{GatewaySpec, MonitorSpec};
use tidegate_host::World;
use tidegate_watch::Share;

/// The store, as `parcel.lua` has it.
#[derive(Default)]
struct Store {
    leader: String,
    state: String,
    text: String,
    queue: Vec<String>,
    posts: [(String, String); 2],
}

impl Store {
    fn exchange(&mut self, name: &str, ask: Ask) -> Answer {
        if self.leader.is_empty() {
            name.clone_into(&mut self.leader);
        }
        let leads = self.leader == name;
        let (mut mine, mut taken) = (ask.state, ask.taken);
        if let Some(stow) = ask.stow {
            if leads && self.state == mine && self.state != stow.name {
                (self.state, self.text) = (stow.name.clone(), stow.text);
                self.queue.drain(..usize::try_from(stow.taken).unwrap());
                for (post, name, text) in stow.posts {
                    self.posts[post as usize] = (name, text);
                }
            }
            if self.state == stow.name {
                (mine, taken) = (stow.name, taken - stow.taken);
            }
        }
        self.queue.extend(ask.parcels);
        let is_known = self.state == mine;
        let from = usize::try_from(if is_known { taken } else { 0 }).unwrap();
        let told = if leads { self.queue[from..].iter().take(3).cloned().collect() } else { Vec::new() };
        let more = if leads { self.queue.len() - from - told.len() } else { 0 };
        let posts = [0, 1].map(|at| (self.posts[at].0 != ask.known[at]).then(|| self.posts[at].clone()));
        let text = (leads && !is_known && !self.text.is_empty()).then(|| self.text.clone());
        Answer {
            leader: self.leader.clone(),
            is_taken: true,
            state: self.state.clone(),
            text,
            parcels: told,
            more: more as u64,
            posts,
        }
    }
}

struct Replica {
    name: String,
    worker: Worker,
    clock: Arc<ManualClock>,
    counts: BTreeMap<MonitorName, Arc<Counts>>,
    inbox: Arc<Inbox>,
    messages: Vec<Message>,
    asked: Option<(Vec<Asked>, Vec<Ask>)>,
    told: Vec<bool>,
    /// Calls that were taken and not asked to be handed over yet.
    fresh: u64,
}

impl Replica {
    fn new(name: &str, run: usize, clock: &Arc<ManualClock>, spec: &MonitorSpec) -> Self {
        let worker = Worker::new(None, Arc::<Board>::default(), Arc::<ManualClock>::clone(clock));
        let mut worker = worker.among(name.to_owned(), &run.to_string());
        let counts = BTreeMap::from([(spec.name.clone(), Arc::default())]);
        let wanted: Wanted = (spec.clone(), Arc::new(Means(World::Drift)), "{}".to_owned());
        assert!(worker.declare(vec![wanted], &counts, &gateway()).is_empty());
        Self {
            name: name.to_owned(),
            worker,
            clock: Arc::clone(clock),
            counts,
            inbox: Arc::default(),
            messages: Vec::new(),
            asked: None,
            told: Vec::new(),
            fresh: 0,
        }
    }

    fn call(&mut self, n: u64, x: f64) {
        let call = answered(n, &format!("{{\"features\": {{\"x\": {x}}}}}"), &["{}"]);
        let (monitor, counts) = self.counts.iter().next().map(|(name, counts)| (name.clone(), counts)).unwrap();
        let (counts, inbox) = (Arc::clone(counts), Arc::clone(&self.inbox));
        let taker = Taker { monitor, share: Share::of(1.0), takes_refused: false, counts, inbox };
        let place = taker.place(call.id).unwrap();
        taker.take(Arc::new(call), place);
        self.fresh += 1;
    }

    /// Works as long as it has anything to do but to wait for the store.
    fn work(&mut self) {
        loop {
            let messages = std::mem::take(&mut self.messages);
            for errand in self.worker.work(self.inbox.empty(), messages) {
                match errand {
                    Errand::Judge(job) => self.messages.push(Message::Judged(Box::new(job.run(&*self.clock)))),
                    Errand::Exchange(asked, asks) => {
                        if asks.iter().any(|ask| !ask.parcels.is_empty()) {
                            self.fresh = 0;
                        }
                        self.asked = Some((asked, asks));
                    }
                    Errand::Do(Deed::Tell(_, alarm)) => self.told.push(alarm.firing),
                    Errand::Do(_) | Errand::Ask(..) => {}
                }
            }
            if self.messages.is_empty() {
                return;
            }
        }
    }

    /// Asks the store what it has to ask, if anything; its answer may be lost, or the question.
    fn ask(&mut self, store: &mut Store, is_lost: bool, is_answer_lost: bool) -> bool {
        self.work();
        let Some((asked, asks)) = self.asked.take() else { return false };
        let mut answers = Err("lost".to_owned());
        if !is_lost {
            let all = asks.into_iter().map(|ask| store.exchange(&self.name, ask)).collect();
            if !is_answer_lost {
                answers = Ok(all);
            }
        }
        self.messages.push(Message::Exchanged(asked, answers));
        self.work();
        true
    }

    fn page(&self) -> Value {
        self.worker.seats().next().unwrap().page()
    }
}

fn gateway() -> GatewaySpec {
    let text = "listeners: {public: {address: 127.0.0.1:0}}\nproviders: {p: {local: {}}}\nstore: {registry: \"sqlite:x.db\"}\n\
                models: {m: {provider: p, source: \"models:/fraud@champion\"}}\nroutes: {r: {model: m}}\n";
    tidegate_config::load_str(text, std::path::Path::new("x.yaml"), &|_| None).unwrap().spec
}

/// The calls in windows that are over, in open ones and in the reference.
fn counted(page: &Value) -> u64 {
    let of = |watched: &Value| {
        let past = watched["windows"].as_array().into_iter().flatten().map(|window| window["rows"].as_u64().unwrap());
        past.sum::<u64>() + ["rows", "gathered"].iter().map(|name| watched["open"][name].as_u64().unwrap()).sum::<u64>()
    };
    page["watched"].as_array().into_iter().flatten().map(of).sum()
}

/// All is handed over and judged, by whoever leads.
fn settle(replicas: &mut [Replica], store: &mut Store, clock: &ManualClock) -> usize {
    settle_in(40, replicas, store, clock)
}

fn settle_in(rounds: usize, replicas: &mut [Replica], store: &mut Store, clock: &ManualClock) -> usize {
    for _ in 0..rounds {
        clock.advance(Duration::from_secs(2));
        replicas.iter_mut().for_each(|one| while one.ask(store, false, false) {});
    }
    replicas.iter().position(|one| one.name == store.leader).unwrap()
}

#[test]
fn each_call_counts_once_whatever_is_lost() {
    // Windows of many calls, so that the 64 that are remembered have all of them.
    let mut spec = monitor();
    spec.window.size = Some(20);
    for seed in 0..60u64 {
        let clock = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000)));
        let mut store = Store::default();
        let mut replicas: Vec<Replica> = ["a", "b", "c"].map(|name| Replica::new(name, 0, &clock, &spec)).into();
        let (mut calls, mut lost, mut told) = (0, 0, Vec::new());
        for step in 0..300u64 {
            let draw = mix(seed << 32 | step);
            let who = usize::try_from(draw >> 40).unwrap() % 3;
            clock.advance(Duration::from_millis(draw % 700));
            match draw % 20 {
                0..9 => {
                    calls += 1;
                    replicas[who].call(calls, 1.0);
                    replicas[who].work();
                }
                9..16 => drop(replicas[who].ask(&mut store, draw & 256 != 0 && draw & 512 != 0, draw & 1024 != 0)),
                16 | 17 => store.leader.clear(),
                // In every second run nobody is killed, and so nothing may be lost.
                18 if seed % 2 == 0 && draw & 256 != 0 => {
                    // Killed: what it had not asked to be taken is lost; what it had asked may be in the store or not.
                    replicas[who].work();
                    lost += replicas[who].fresh + replicas[who].unheard();
                    told.append(&mut replicas[who].told);
                    let name = replicas[who].name.clone();
                    replicas[who] = Replica::new(&name, usize::try_from(step).unwrap() + 1, &clock, &spec);
                    if store.leader == name && draw & 512 != 0 {
                        store.leader.clear();
                    }
                }
                _ => {}
            }
        }
        let leader = settle(&mut replicas, &mut store, &clock);
        let page = replicas[leader].page();
        let seen = counted(&page);
        assert!(seen <= calls && seen + lost >= calls, "seed {seed}: {seen} of {calls}, {lost} may be lost\n{page:#}");
        assert_eq!(page["counts"]["rows"], seen, "seed {seed}");
        assert!(seed % 2 == 0 || seen == calls);
        told.extend(replicas.iter().flat_map(|one| one.told.clone()));
        assert!(told.is_empty(), "seed {seed}: nothing was wrong");
    }
}

impl Replica {
    /// Calls of which it does not know whether the store has them: at most all since it heard of the store.
    fn unheard(&self) -> u64 {
        let stands = self.page()["replicas"].clone();
        if stands["waits"].as_u64() > Some(0) { 1_000 } else { 0 }
    }
}

#[test]
fn an_alarm_is_told_when_it_is_stowed_and_the_next_one_who_leads_knows_it() {
    let clock = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000)));
    let mut store = Store::default();
    let spec = monitor();
    let mut replicas: Vec<Replica> = ["a", "b"].map(|name| Replica::new(name, 0, &clock, &spec)).into();
    let mut calls = 0;
    let mut some = |replicas: &mut Vec<Replica>, x: f64| {
        for one in replicas.iter_mut() {
            for _ in 0..10 {
                calls += 1;
                one.call(calls, x);
            }
        }
    };
    some(&mut replicas, 1.0);
    settle(&mut replicas, &mut store, &clock);
    some(&mut replicas, 1.0);
    let leader = settle(&mut replicas, &mut store, &clock);
    assert_eq!((leader, replicas[0].page()["state"].clone()), (0, "well".into()));
    // What both hear of a reference is the same; and who follows counts by it.
    assert_eq!(replicas[1].page()["reference"], replicas[0].page()["reference"]);
    some(&mut replicas, 9.0);
    clock.advance(Duration::from_secs(2));
    assert!(replicas[1].ask(&mut store, false, false));
    // The leader hears of it; the answer to the question that stows what follows is lost, though it was done.
    assert!(replicas[0].ask(&mut store, false, false));
    assert_eq!((replicas[0].page()["state"].clone(), replicas[0].told.len()), ("alarm".into(), 0), "not stowed yet");
    let before = store.state.clone();
    assert!(replicas[0].ask(&mut store, false, true));
    assert!(store.state != before && replicas[0].told.is_empty());
    settle(&mut replicas, &mut store, &clock);
    assert_eq!(replicas[0].told, [true], "it is told once");
    assert_eq!((replicas[1].page()["state"].clone(), replicas[1].told.len()), ("alarm".into(), 0));

    // The leader is killed: the next one tells the alarm that holds again, as after a restart, and then its end.
    replicas.remove(0);
    store.leader.clear();
    settle(&mut replicas, &mut store, &clock);
    assert_eq!((replicas[0].page()["state"].clone(), replicas[0].told.clone()), ("alarm".into(), vec![true]));
    some(&mut replicas, 1.0);
    settle_in(8, &mut replicas, &mut store, &clock);
    assert_eq!((replicas[0].page()["state"].clone(), replicas[0].told.clone()), ("well".into(), vec![true, false]));
    assert_eq!(counted(&replicas[0].page()), 70);

    // One that leads no more leaves it to the other one, who tells the end again that he may not have told.
    let mut other = Replica::new("c", 1, &clock, &spec);
    store.leader = "c".to_owned();
    while !other.ask(&mut store, false, false) {}
    assert_eq!((other.page()["state"].clone(), other.told.clone()), ("well".into(), vec![false]));
    "b".clone_into(&mut store.leader);
    settle(&mut replicas, &mut store, &clock);

    // A store that lost all is told again by whoever leads.
    store = Store { leader: "b".to_owned(), ..Store::default() };
    some(&mut replicas, 1.0);
    settle(&mut replicas, &mut store, &clock);
    assert_eq!((counted(&replicas[0].page()), store.state.is_empty()), (80, false));

    // Windows of a monitor that is reset are forgotten, by all, in their turn.
    assert_eq!(replicas[0].worker.reset("drift", "ann").map(|deeds| deeds.len()), Some(0));
    settle(&mut replicas, &mut store, &clock);
    assert_eq!((counted(&replicas[0].page()), replicas[0].page()["state"].clone()), (0, "unknown".into()));
}
