//! The order of what is told, and the waits between.

use super::*;
use crate::alerts::testing::alarm;

struct Bench {
    backlog: Backlog,
    start: Instant,
    now: Instant,
}

impl Bench {
    fn new(every: Option<Duration>) -> Self {
        let now = Instant::now();
        Self { backlog: Backlog::new(every), start: now, now }
    }

    fn take(&mut self, key: &str, firing: bool) -> bool {
        let mut alarm = alarm(firing);
        alarm.dedup_key = key.to_owned();
        self.backlog.take(format!("{key} {firing}"), Arc::new(alarm), self.now)
    }

    /// The next one, without waiting.
    fn sent(&mut self) -> Option<Delivery> {
        match self.backlog.next(self.now) {
            Next::Send(delivery) => Some(delivery),
            Next::Wait(_) | Next::Idle => None,
        }
    }

    /// Sends all that is due with this verdict; what was sent, by id.
    fn run(&mut self, verdict: &Verdict) -> Vec<String> {
        let mut sent = Vec::new();
        while let Some(delivery) = self.sent() {
            sent.push(delivery.id.clone());
            self.backlog.settle(delivery, verdict, self.now, 0.5);
        }
        sent
    }

    /// Waits until something is due; how long after the start that is.
    fn wait(&mut self) -> Duration {
        match self.backlog.next(self.now) {
            Next::Wait(until) => self.now = until,
            other => panic!("{other:?}"),
        }
        self.now - self.start
    }
}

fn told() -> Verdict {
    Verdict::Told(String::new())
}

fn again() -> Verdict {
    Verdict::Again(String::new(), None)
}

#[test]
fn an_end_waits_for_its_begin_and_both_are_told() {
    let mut bench = Bench::new(None);
    assert!(bench.take("a", true));
    assert_eq!(bench.run(&again()), ["a true"]);
    // The end is there before the begin could be told; another alarm does not wait for either.
    assert!(bench.take("a", false) && bench.take("b", true));
    assert_eq!(bench.run(&told()), ["b true"]);
    bench.wait();
    assert_eq!(bench.run(&told()), ["a true", "a false"]);
    assert!(bench.backlog.is_empty() && matches!(bench.backlog.next(bench.now), Next::Idle));
}

#[test]
fn an_end_that_comes_while_its_begin_is_under_way_waits_too() {
    let mut bench = Bench::new(None);
    bench.take("a", true);
    let out = bench.sent().unwrap();
    bench.take("a", false);
    // One delivery at a time: the begin that has to go again stands before the end.
    assert_eq!(bench.backlog.settle(out, &again(), bench.now, 0.5), Settled::Again(Duration::from_secs(1)));
    assert!(bench.sent().is_none());
    bench.wait();
    assert_eq!(bench.run(&told()), ["a true", "a false"]);
}

#[test]
fn waits_are_doubled_up_to_five_minutes_and_end_after_an_hour() {
    let mut bench = Bench::new(None);
    bench.take("a", true);
    let mut waits = Vec::new();
    let last = loop {
        let delivery = bench.sent().unwrap();
        match bench.backlog.settle(delivery, &again(), bench.now, 0.5) {
            Settled::Again(wait) => waits.push(wait.as_secs()),
            other => break other,
        }
        bench.wait();
    };
    assert_eq!(waits[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
    assert!(last == Settled::Expired && bench.backlog.is_empty());
    let passed = (bench.now - bench.start).as_secs();
    assert!((3200..3600).contains(&passed), "{passed}");
}

#[test]
fn jitter_spreads_the_waits() {
    let wait = |jitter: f64| {
        let mut bench = Bench::new(None);
        bench.take("a", true);
        let delivery = bench.sent().unwrap();
        bench.backlog.settle(delivery, &again(), bench.now, jitter)
    };
    assert_eq!(wait(0.0), Settled::Again(Duration::from_millis(500)));
    assert_eq!(wait(0.75), Settled::Again(Duration::from_millis(1250)));
}

#[test]
fn who_asks_to_wait_is_left_alone_with_everything() {
    let mut bench = Bench::new(None);
    bench.take("a", true);
    bench.take("b", true);
    let delivery = bench.sent().unwrap();
    let verdict = Verdict::Again(String::new(), Some(Duration::from_secs(30)));
    assert_eq!(bench.backlog.settle(delivery, &verdict, bench.now, 0.5), Settled::Again(Duration::from_secs(30)));
    assert_eq!(bench.wait(), Duration::from_secs(30));
    assert_eq!(bench.run(&told()), ["b true", "a true"]);
}

#[test]
fn what_is_refused_lets_the_next_one_through() {
    let mut bench = Bench::new(None);
    bench.take("a", true);
    bench.take("a", false);
    assert_eq!(bench.run(&Verdict::Refused(String::new())), ["a true", "a false"]);
    assert!(bench.backlog.is_empty());
}

#[test]
fn no_more_than_so_many_wait() {
    let mut bench = Bench::new(None);
    assert!((0..MOST).all(|nth| bench.take(&nth.to_string(), true)));
    assert!(!bench.take("one more", true));
    let out = bench.sent().unwrap();
    assert!(!bench.take("one more", true), "what is under way counts");
    bench.backlog.settle(out, &told(), bench.now, 0.5);
    assert!(bench.take("one more", true));
}

#[test]
fn an_alarm_that_lasts_is_told_again_until_it_is_over() {
    let mut bench = Bench::new(Some(Duration::from_secs(60)));
    bench.take("a", true);
    assert_eq!(bench.run(&told()), ["a true"]);
    assert!(bench.backlog.is_empty());
    for minute in 1..=3 {
        assert_eq!(bench.wait(), Duration::from_secs(60 * minute));
        let beat = bench.sent().unwrap();
        assert!(beat.is_beat && beat.alarm.firing);
        assert_eq!(bench.backlog.settle(beat, &told(), bench.now, 0.5), Settled::Beat);
    }
    // One that is lost comes sooner.
    bench.wait();
    let beat = bench.sent().unwrap();
    bench.backlog.settle(beat, &again(), bench.now, 0.5);
    assert_eq!(bench.wait(), Duration::from_secs(255));
    bench.take("a", false);
    assert_eq!(bench.run(&told()), ["a false"]);
    assert!(matches!(bench.backlog.next(bench.now + Duration::from_secs(600)), Next::Idle));
}

#[test]
fn an_end_has_the_labels_of_its_begin() {
    let mut bench = Bench::new(Some(Duration::from_secs(60)));
    let began = alarm(true);
    bench.backlog.take("begin".to_owned(), Arc::new(began.clone()), bench.now);
    let mut ended = alarm(false);
    (ended.model_version, ended.since_ms) = (Some(4), 0);
    bench.backlog.take("end".to_owned(), Arc::new(ended), bench.now);
    bench.sent();
    let end = bench.sent().unwrap();
    assert_eq!((end.alarm.model_version, end.alarm.since_ms), (began.model_version, began.since_ms));
    assert!(!end.alarm.firing);
}

#[test]
fn what_is_refused_is_not_told_again_nor_what_nobody_wants_to_hear_again() {
    let mut bench = Bench::new(Some(Duration::from_secs(60)));
    bench.take("a", true);
    bench.run(&Verdict::Refused(String::new()));
    assert!(matches!(bench.backlog.next(bench.now), Next::Idle));
    bench.take("b", true);
    bench.run(&told());
    assert!(matches!(bench.backlog.next(bench.now), Next::Wait(_)));
    bench.backlog.tell_again(None);
    assert!(matches!(bench.backlog.next(bench.now), Next::Idle));
}
