//! What a record costs: nanoseconds on the caller's side, and CPU of all threads. Arguments: events, threads, `queue` or
//! `ack`, `compact` to have the tables made too, a path to leave the store there (killed and run again, it says what was lost).
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program, run by hand")]

use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_core::clock::SystemClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::event::{Attempt, Decision};
use tidegate_core::port::events::{Events, Recorded};
use tidegate_core::spec::events::Durability;
use tidegate_core::{Api, Clock, Dice, Event, InferenceId, Outcome, TraceId, Usage};
use tidegate_storage::{EventStore, Options};

fn event(template: &Event, dice: &dyn Dice) -> Box<Event> {
    let unix_ms = SystemClock.unix_ms();
    Box::new(Event {
        id: InferenceId::from_parts(unix_ms, dice.next_u64(), dice.next_u64()),
        unix_ms,
        ..template.clone()
    })
}

fn template() -> Event {
    let attempt =
        Attempt { endpoint: Some("10.0.0.1:80".parse().unwrap()), us: 900, ..Attempt::of("small".parse().unwrap()) };
    Event {
        id: InferenceId::from_u128(0),
        unix_ms: 0,
        api: Api::ChatCompletions,
        episode: None,
        client_request_id: None,
        trace_id: TraceId::new(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736),
        parent_span: None,
        sampled: None,
        config: "0123456789abcdef".into(),
        key: Some("k-1".parse().unwrap()),
        principal: Some("alice".parse().unwrap()),
        tenant: Some("acme".parse().unwrap()),
        subject: None,
        route: Some("support".parse().unwrap()),
        variant: Some("small".parse().unwrap()),
        model: Some("gpt-x".parse().unwrap()),
        provider: Some("pool".parse().unwrap()),
        adapter: None,
        adapter_generation: None,
        model_version: None,
        prompt: None,
        decision: Some(Decision {
            shares: Arc::from([0.9, 0.1]),
            arm: 0,
            draw: 0.123_456_789_012_345,
            sticky: false,
            state: None,
            regarded: None,
            advised: None,
        }),
        attempts: vec![attempt],
        stream: true,
        outcome: Outcome::Ok,
        status: 200,
        request_bytes: 312,
        answer_bytes: 5120,
        usage: Some(Usage { prompt: 17, cached: 0, completion: 64, reasoning: 0 }),
        usage_estimated: false,
        cost_usd: Some(0.000_682_5),
        first_us: Some(912),
        total_us: 4321,
        filtered: Vec::new(),
        checks: None,
        reasons: None,
        features: Vec::new(),
        visits: Vec::new(),
        content: None,
    }
}

/// CPU of this process so far, from the system's books (ticks of 10 ms).
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    Duration::from_millis(10 * (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()))
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, or: u64| args.get(at).and_then(|arg| arg.parse().ok()).unwrap_or(or);
    let (events, threads) = (number(0, 1_000_000), number(1, 2));
    let has = |word: &str| args.iter().any(|arg| arg == word);
    let kept = args.iter().find(|arg| arg.contains('/')).map(std::path::PathBuf::from);
    let folder =
        kept.clone().unwrap_or_else(|| std::env::temp_dir().join(format!("tidegate-record-{}", std::process::id())));
    let options = Options {
        durability: if has("ack") { Durability::Ack } else { Durability::Queue },
        compact_after: has("compact").then_some(Duration::ZERO),
        ..Options::default()
    };
    let (store, recovery) = EventStore::open(&folder, options).unwrap();
    println!("{recovery}");
    let (template, dice) = (template(), SplitMix::seeded(7));

    // Events are made beforehand in portions that fit the queue; making and dropping them is measured on its own.
    let portion = 4_000;
    let (mut calling, mut making) = (Duration::ZERO, Duration::ZERO);
    let before = cpu();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let (mut called, mut made) = (Duration::ZERO, Duration::ZERO);
                    for _ in 0..events / threads / portion {
                        let start = Instant::now();
                        let batch: Vec<_> = (0..portion).map(|_| event(&template, &dice)).collect();
                        made += start.elapsed();
                        let start = Instant::now();
                        for event in batch {
                            match store.record(event) {
                                Recorded::Queued | Recorded::Acknowledged(_) | Recorded::Dropped(_) => {}
                            }
                        }
                        called += start.elapsed();
                        store.flush();
                    }
                    (called, made)
                })
            })
            .collect();
        for worker in workers {
            let (called, made) = worker.join().unwrap();
            calling += called;
            making += made;
        }
    });
    store.close();
    let (all, stats) = (cpu() - before, store.stats());
    let each = |time: Duration| time.as_nanos() as f64 / stats.accepted as f64;
    let bytes: u64 =
        std::fs::read_dir(folder.join("segments")).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    println!("{stats:?}, {bytes} bytes in segments");
    println!(
        "a record costs its caller {:.0} ns; CPU of all threads {:.0} ns an event, of which making it {:.0} ns",
        each(calling),
        each(all),
        each(making)
    );
    if kept.is_none() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
