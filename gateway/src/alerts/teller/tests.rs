//! Telling over a transport that does as it is told, with time that passes by itself while everybody waits.

use super::*;
use crate::alerts::testing::alarm;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::Value;
use std::collections::VecDeque;
use std::time::{Instant, SystemTime};
use tidegate_core::dice::SplitMix;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::outbound::{Outbound, Reach};
use tidegate_core::spec::AlertTo;
use tidegate_core::{Fault, FaultKind, Secret};

/// The clock of the paused runtime.
#[derive(Debug)]
struct Paused;

impl Clock for Paused {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
}

/// What the transport does.
#[derive(Debug)]
enum Act {
    Answer(u16),
    Wait(u64),
    Lost,
    Hang,
}

/// What was sent, and when.
#[derive(Debug, Clone)]
struct Sent {
    at: tokio::time::Instant,
    host: String,
    body: Value,
}

#[derive(Debug, Default)]
struct Wire {
    acts: Mutex<VecDeque<Act>>,
    sent: Mutex<Vec<Sent>>,
}

impl Wire {
    fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// The actions of PagerDuty that were sent, in order.
    fn actions(&self) -> Vec<String> {
        self.sent().iter().map(|sent| sent.body["event_action"].as_str().unwrap_or("alert").to_owned()).collect()
    }
}

impl Outbound for Wire {
    fn send(&self, request: Request<Bytes>, _: Reach) -> BoxFuture<'_, Result<Response<Bytes>, Fault>> {
        let body = serde_json::from_slice(request.body()).unwrap();
        let host = request.uri().host().unwrap().to_owned();
        self.sent.lock().unwrap().push(Sent { at: tokio::time::Instant::now(), host, body });
        let act = self.acts.lock().unwrap().pop_front().unwrap_or(Act::Answer(202));
        let answer = |status: u16| Response::builder().status(status);
        Box::pin(async move {
            match act {
                Act::Answer(status) => Ok(answer(status).body(Bytes::new()).unwrap()),
                Act::Wait(seconds) => Ok(answer(429).header("retry-after", seconds).body(Bytes::new()).unwrap()),
                Act::Lost => Err(Fault::new(FaultKind::Unreachable, "nobody is there")),
                Act::Hang => std::future::pending().await,
            }
        })
    }
}

struct Stage {
    wire: Arc<Wire>,
    teller: Teller,
}

fn duty() -> AlertName {
    "duty".parse().unwrap()
}

fn pagerduty(host: &str) -> AlertTo {
    AlertTo::PagerDuty { url: format!("https://{host}/v2/enqueue").parse().unwrap(), routing_key: Secret::new("k") }
}

fn specs(to: AlertTo) -> BTreeMap<AlertName, AlertSpec> {
    BTreeMap::from([(duty(), AlertSpec { name: duty(), to })])
}

impl Stage {
    fn new(to: AlertTo, acts: impl IntoIterator<Item = Act>) -> Self {
        let wire = Arc::new(Wire { acts: Mutex::new(acts.into_iter().collect()), ..Wire::default() });
        let clock: Arc<dyn Clock> = Arc::new(Paused);
        let messenger = Messenger::new(Arc::<Wire>::clone(&wire), Arc::clone(&clock), None);
        let teller = Teller::new(messenger, clock, Arc::new(SplitMix::seeded(7)));
        teller.in_force(&specs(to));
        Self { wire, teller }
    }

    fn tell(&self, firing: bool) {
        self.teller.tell(&duty(), Arc::new(alarm(firing)));
    }

    /// Lets so much time pass; what is due meanwhile happens.
    async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// Lets what is to be sent at once be sent.
    async fn moment(&self) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    fn counted(&self) -> (Vec<u64>, u64) {
        let told = &self.teller.told()[0];
        (told.outcomes.iter().map(|(_, count)| *count).collect(), told.retries)
    }
}

#[tokio::test(start_paused = true)]
async fn a_begin_that_fails_is_told_before_its_end() {
    let stage = Stage::new(pagerduty("a"), [Act::Lost, Act::Answer(503), Act::Answer(202)]);
    stage.tell(true);
    stage.tell(false);
    stage.pass(10).await;
    assert_eq!(stage.wire.actions(), ["trigger", "trigger", "trigger", "resolve"]);
    assert_eq!(stage.counted(), (vec![2, 0, 0, 0], 2));
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_not_sent_again() {
    let stage = Stage::new(pagerduty("a"), [Act::Answer(400)]);
    stage.tell(true);
    stage.pass(4000).await;
    assert_eq!(stage.wire.sent().len(), 1);
    assert_eq!(stage.counted(), (vec![0, 1, 0, 0], 0));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_never_answers_is_given_up_after_an_hour() {
    let stage = Stage::new(pagerduty("a"), (0..1000).map(|_| Act::Hang));
    let begin = tokio::time::Instant::now();
    stage.tell(true);
    stage.pass(4500).await;
    let sent = stage.wire.sent();
    // The second try comes after the deadline of the first, 10 s, and its wait.
    let second = (sent[1].at - begin).as_secs_f64();
    assert!((10.5..11.6).contains(&second), "{second}");
    let last = (sent.last().unwrap().at - begin).as_secs();
    assert!((3000..3600).contains(&last), "{last}");
    assert_eq!(stage.counted().0, [0, 0, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn who_asks_to_wait_is_not_asked_before() {
    let stage = Stage::new(pagerduty("a"), [Act::Wait(120), Act::Answer(202)]);
    stage.tell(true);
    stage.pass(119).await;
    assert_eq!(stage.wire.sent().len(), 1);
    stage.pass(2).await;
    assert_eq!(stage.wire.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn alertmanager_hears_of_an_alarm_each_minute_until_it_is_over() {
    let to = AlertTo::Alertmanager { url: "http://am:9093".parse().unwrap(), bearer: None };
    let stage = Stage::new(to, []);
    stage.tell(true);
    stage.pass(185).await;
    assert_eq!(stage.wire.sent().len(), 4);
    stage.tell(false);
    stage.pass(600).await;
    let sent = stage.wire.sent();
    assert_eq!(sent.len(), 5);
    let [first, .., last] = &sent[..] else { panic!() };
    assert_eq!(first.body[0]["labels"], last.body[0]["labels"]);
    // An alarm and its end were told; the heartbeats count as neither.
    assert_eq!(stage.counted().0, [2, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_run_is_started_by_an_alarm_and_not_by_its_end() {
    let by = tidegate_core::spec::Runner::Generic { path: "/x".to_owned() };
    let run = tidegate_core::spec::RunSpec {
        by,
        url: "http://h".parse().unwrap(),
        bearer: None,
        basic: None,
        parameters: serde_json::json!({}),
        shown: serde_json::json!({}),
    };
    let stage = Stage::new(AlertTo::Run(Box::new(run)), []);
    stage.tell(true);
    stage.tell(false);
    stage.pass(5).await;
    assert_eq!(stage.wire.sent().len(), 1);
    assert_eq!(stage.counted().0, [1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_reload_tells_in_order_by_what_is_in_force() {
    let stage = Stage::new(pagerduty("old"), [Act::Lost]);
    stage.tell(true);
    stage.moment().await;
    stage.teller.in_force(&specs(pagerduty("new")));
    stage.tell(false);
    stage.pass(30).await;
    let sent: Vec<String> = stage.wire.sent().into_iter().map(|sent| sent.host).collect();
    assert_eq!(sent, ["old", "new", "new"]);
    assert_eq!(stage.wire.actions(), ["trigger", "trigger", "resolve"]);
    assert_eq!(stage.counted().0, [2, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_is_gone_tells_what_it_was_handed() {
    let stage = Stage::new(pagerduty("a"), [Act::Lost]);
    stage.tell(true);
    stage.moment().await;
    stage.teller.in_force(&BTreeMap::new());
    stage.tell(false);
    stage.pass(30).await;
    assert_eq!(stage.wire.actions(), ["trigger", "trigger"]);
    stage.teller.in_force(&specs(pagerduty("a")));
    stage.tell(true);
    stage.pass(1).await;
    assert_eq!(stage.wire.actions(), ["trigger", "trigger", "trigger"]);
}

#[tokio::test(start_paused = true)]
async fn a_lasting_alarm_goes_on_at_the_changed_address() {
    let to = |host: &str| AlertTo::Alertmanager { url: format!("http://{host}:9093").parse().unwrap(), bearer: None };
    let stage = Stage::new(to("old"), []);
    stage.tell(true);
    stage.pass(1).await;
    stage.teller.in_force(&specs(to("new")));
    stage.pass(130).await;
    let hosts: Vec<String> = stage.wire.sent().into_iter().map(|sent| sent.host).collect();
    assert_eq!(hosts, ["old", "new", "new"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_a_moment_and_counts_what_was_not_told() {
    let stage = Stage::new(pagerduty("a"), [Act::Lost]);
    stage.tell(true);
    stage.teller.close().await;
    assert_eq!(stage.wire.actions(), ["trigger", "trigger"]);
    let stage = Stage::new(pagerduty("a"), (0..100).map(|_| Act::Hang));
    let counts = Arc::clone(&stage.teller.state().counts[&duty()]);
    stage.tell(true);
    let begin = tokio::time::Instant::now();
    stage.teller.close().await;
    assert_eq!(begin.elapsed(), PATIENCE);
    assert_eq!(counts.ended(Outcome::Dropped), 1);
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_nobody_knows_harms_nobody() {
    let stage = Stage::new(pagerduty("a"), []);
    stage.teller.tell(&"other".parse().unwrap(), Arc::new(alarm(true)));
    stage.pass(1).await;
    assert!(stage.wire.sent().is_empty());
}
