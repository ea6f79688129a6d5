//! `loadtest sender`: calls at a rate that does not wait for answers, so that a slow gateway cannot hide its queue; or as
//! fast as so many callers can. Owns when a call is sent and which of them are left.

use crate::client::Target;
use crate::report::Report;
use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The arguments of `sender`.
#[derive(Debug, Args)]
#[command(after_help = "\
Latency counts from the time at which a call was due, not from when it was sent. Exit code 1 where any call failed.

Examples:
  loadtest sender --url http://127.0.0.1:8080/v1/chat/completions --key sk-test --model mock --rate 500 --seconds 10
  loadtest sender --url http://127.0.0.1:8080/v1/chat/completions --key sk-test --model mock --callers 64 --calls 100000 --stream --leave 0.1")]
pub(crate) struct Sender {
    /// Where to, a plain http address of this machine
    #[arg(long)]
    url: String,
    /// The key, sent as a bearer
    #[arg(long)]
    key: Option<String>,
    /// A further header, as name:value; can be given again
    #[arg(long = "header")]
    headers: Vec<String>,
    /// The model of a made-up chat
    #[arg(long, default_value = "mock", conflicts_with = "body")]
    model: String,
    /// A file to send instead of a made-up chat
    #[arg(long)]
    body: Option<PathBuf>,
    /// Bytes of the made-up chat
    #[arg(long, default_value_t = 1024)]
    bytes: usize,
    /// max_tokens of the made-up chat
    #[arg(long, default_value_t = 64)]
    tokens: usize,
    /// Ask for a stream, and demand that it ends with [DONE]
    #[arg(long)]
    stream: bool,
    /// The share of calls that are left at their first byte
    #[arg(long, default_value_t = 0.0)]
    leave: f64,
    /// Calls a second, whatever becomes of them
    #[arg(long, required_unless_present = "callers", conflicts_with = "callers")]
    rate: Option<f64>,
    /// So many callers, each sending its next call when it has its answer
    #[arg(long)]
    callers: Option<usize>,
    /// Stop after so many calls
    #[arg(long)]
    calls: Option<u64>,
    /// Stop after so many seconds
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

impl Sender {
    /// Sends all calls and prints what they came to.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        anyhow::ensure!((0.0..=1.0).contains(&self.leave), "--leave is a share from 0 to 1");
        let body = match &self.body {
            Some(path) => std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?.into(),
            None => chat(&self.model, self.bytes, self.tokens, self.stream),
        };
        let target = Arc::new(Target::new(&self.url, self.key.as_deref(), &self.headers, body, self.stream)?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let began = Instant::now();
        let report = runtime.block_on(async {
            match (self.rate, self.callers) {
                (Some(rate), _) => self.at_a_rate(&target, rate).await,
                (None, callers) => self.by_callers(&target, callers.unwrap_or(1)).await,
            }
        })?;
        writeln!(std::io::stdout(), "{}", report.to_json(began.elapsed()))?;
        anyhow::ensure!(report.failed() == 0, "{} calls failed", report.failed());
        Ok(())
    }

    async fn at_a_rate(&self, target: &Arc<Target>, rate: f64) -> anyhow::Result<Report> {
        anyhow::ensure!(rate > 0.0 && rate.is_finite(), "--rate is a number above 0");
        let most = self.calls.unwrap_or(u64::MAX).min((self.seconds * rate) as u64);
        let report = Arc::new(Mutex::new(Report::default()));
        let mut calls = JoinSet::new();
        let began = Instant::now();
        for i in 0..most {
            let due = began + Duration::from_secs_f64(i as f64 / rate);
            tokio::time::sleep_until(due.into()).await;
            let (target, report, leaves) = (Arc::clone(target), Arc::clone(&report), leaves(self.leave, i));
            calls.spawn(async move {
                let sent = Instant::now();
                let served = target.call(leaves).await;
                lock(&report).add(due, sent, served);
            });
            while calls.try_join_next().is_some() {}
        }
        while calls.join_next().await.is_some() {}
        Ok(std::mem::take(&mut *lock(&report)))
    }

    async fn by_callers(&self, target: &Arc<Target>, callers: usize) -> anyhow::Result<Report> {
        let report = Arc::new(Mutex::new(Report::default()));
        let next = Arc::new(AtomicU64::new(0));
        let (most, share) = (self.calls.unwrap_or(u64::MAX), self.leave);
        let end = self.calls.is_none().then(|| Instant::now() + Duration::from_secs_f64(self.seconds));
        let mut running = JoinSet::new();
        for _ in 0..callers {
            let (target, report, next) = (Arc::clone(target), Arc::clone(&report), Arc::clone(&next));
            running.spawn(async move {
                while end.is_none_or(|end| Instant::now() < end) {
                    let i = next.fetch_add(1, Relaxed);
                    if i >= most {
                        return;
                    }
                    let sent = Instant::now();
                    let served = target.call(leaves(share, i)).await;
                    lock(&report).add(sent, sent, served);
                }
            });
        }
        while let Some(ended) = running.join_next().await {
            ended?;
        }
        Ok(std::mem::take(&mut *lock(&report)))
    }
}

fn lock(report: &Mutex<Report>) -> std::sync::MutexGuard<'_, Report> {
    report.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the call of this number is left: evenly spread, so that a run has exactly its share of them.
fn leaves(share: f64, number: u64) -> bool {
    ((number + 1) as f64 * share).floor() > (number as f64 * share).floor()
}

fn chat(model: &str, bytes: usize, tokens: usize, stream: bool) -> Bytes {
    let make = |text: &str| {
        serde_json::json!({
            "model": model, "max_tokens": tokens, "temperature": 0.2, "stream": stream,
            "messages": [{"role": "system", "content": "You are a careful assistant that answers briefly."}, {"role": "user", "content": text}],
        })
        .to_string()
    };
    let room = bytes.saturating_sub(make("").len());
    let text: String = "Please read the following passage and summarise it. ".chars().cycle().take(room).collect();
    make(&text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_share_of_calls_is_left() {
        for (share, wanted) in [(0.0, 0), (0.1, 100), (0.5, 500), (1.0, 1000)] {
            assert_eq!((0..1000).filter(|i| leaves(share, *i)).count(), wanted, "{share}");
        }
    }

    #[test]
    fn the_chat_has_its_size() {
        assert_eq!(chat("m", 1024, 8, true).len(), 1024);
        assert!(chat("m", 1, 8, false).len() > 1);
    }
}
