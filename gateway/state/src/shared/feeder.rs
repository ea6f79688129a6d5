//! The task that draws leases: what is called for at once, what is due otherwise each tenth of a second, in one round
//! trip at a time. Owns when, what a lost store means, and that all is given back at the end.

use super::account::{Account, Held, QUANTITIES};
use super::counts::SharedCounts;
use super::limits::SharedLimits;
use super::store::{Answer, Ask, Store, StoreFault, Verdict};
use crate::ticks::{Now, Ticks};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidegate_core::spec::limit::LimitSpec;
use tidegate_core::{Clock, Dice};
use tokio::sync::Notify;
use tokio::time::Instant;

/// How often the accounts in use are looked through.
const TICK: Duration = Duration::from_millis(100);
/// How often a store of which nothing is asked is asked whether it is there.
const PULSE: Duration = Duration::from_secs(1);
/// How many exchanges go in one round trip.
const BATCH: usize = 256;
/// A lost store is asked again after the first, then after twice as long, up to the second; each time up to half of
/// it less, by chance, so that replicas do not come together.
const BACKOFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// What calls and the feeder tell each other.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) counts: Arc<SharedCounts>,
    /// After each round trip.
    pub(super) answered: Notify,
    ticks: Ticks,
    /// By how much the store's clock is ahead of this machine's, in milliseconds.
    ahead: AtomicI64,
    lives: AtomicU64,
    called: Mutex<Vec<Arc<Account>>>,
    wake: Notify,
}

impl Feed {
    /// Both clocks; that of the calendar is the store's.
    pub(super) fn now(&self) -> Now {
        let now = self.ticks.now();
        Now { unix_ms: now.unix_ms.saturating_add_signed(self.ahead.load(Ordering::Relaxed)), ..now }
    }

    /// A number that no lease had before.
    pub(super) fn life(&self) -> u64 {
        self.lives.fetch_add(1, Ordering::Relaxed)
    }

    /// Calls the feeder where it does not know of the account, or one of its leases is low.
    pub(super) fn watch(&self, account: &Arc<Account>, held: &mut Held) {
        if (!held.is_fed || held.is_low()) && account.call() {
            held.is_fed = true;
            self.called.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(account));
            self.wake.notify_one();
        }
    }

    fn take_called(&self) -> Vec<Arc<Account>> {
        std::mem::take(&mut *self.called.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Draws leases for [`SharedLimits`].
#[derive(Debug)]
pub struct Feeder<S> {
    store: S,
    feed: Arc<Feed>,
    dice: Arc<dyn Dice>,
    holder: String,
    seq: u64,
    fed: Vec<Arc<Account>>,
    looked: Instant,
    told: Instant,
    backoff: Option<Backoff>,
}

#[derive(Debug, Clone, Copy)]
struct Backoff {
    pause: Duration,
    until: Instant,
}

/// One exchange of a round trip: whose it is.
struct Due {
    account: Arc<Account>,
    lease: usize,
    seq: u64,
    is_beyond: bool,
}

impl<S: Store> Feeder<S> {
    /// Limits as `specs` say, and the feeder that must [`run`](Self::run) beside them. `holder` names this run of this
    /// replica; no other may have had the name.
    pub fn new(
        specs: &[LimitSpec],
        store: S,
        holder: String,
        clock: Arc<dyn Clock>,
        dice: Arc<dyn Dice>,
    ) -> (SharedLimits, Self) {
        let feed = Arc::new(Feed {
            counts: Arc::new(SharedCounts::presumed_up()),
            answered: Notify::new(),
            ticks: Ticks::new(clock),
            ahead: AtomicI64::new(0),
            lives: AtomicU64::new(0),
            called: Mutex::default(),
            wake: Notify::new(),
        });
        let limits = SharedLimits::new(specs, Arc::clone(&feed));
        let now = Instant::now();
        let feeder = Self { store, feed, dice, holder, seq: 0, fed: Vec::new(), looked: now, told: now, backoff: None };
        (limits, feeder)
    }

    /// Feeds until `stop`, then gives back what is not spoken for.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        tokio::pin!(stop);
        // What is asked first need not wait for a connection.
        self.exchange(Vec::new()).await;
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = self.feed.wake.notified() => {}
                () = tokio::time::sleep_until(self.looked + TICK) => {}
            }
            self.round().await;
        }
        self.give_back().await;
    }

    /// Exchanges what is due.
    pub(super) async fn round(&mut self) {
        let now = Instant::now();
        if self.backoff.is_some_and(|backoff| now < backoff.until) {
            self.looked = now;
            return;
        }
        let mut asks = Vec::new();
        for account in self.feed.take_called() {
            account.heard();
            self.due(&account, &mut asks);
            // It may be among them already; the next look leaves one of each.
            self.fed.push(account);
        }
        if now.duration_since(self.looked) >= TICK {
            self.looked = now;
            self.look(&mut asks);
        }
        if !asks.is_empty() || now.duration_since(self.told) >= PULSE {
            self.told = now;
            self.exchange(asks).await;
        }
    }

    /// Looks through the accounts in use, and leaves those alone of which nothing is to be told any more.
    fn look(&mut self, asks: &mut Vec<(Due, Ask)>) {
        let mut fed = std::mem::take(&mut self.fed);
        fed.sort_by_key(|account| Arc::as_ptr(account).addr());
        fed.dedup_by(|a, b| Arc::ptr_eq(a, b));
        fed.retain(|account| {
            self.due(account, asks);
            let mut held = account.lock();
            held.is_fed = held.leases.iter().flatten().any(super::lease::Lease::is_lively);
            held.is_fed
        });
        self.fed = fed;
    }

    /// Adds the exchanges that are due of an account.
    fn due(&mut self, account: &Arc<Account>, asks: &mut Vec<(Due, Ask)>) {
        let now = self.feed.now();
        let mut held = account.lock();
        for at in 0..QUANTITIES.len() {
            let Some(lease) = held.leases[at].as_mut() else { continue };
            lease.turn(now, || self.feed.life());
            if lease.is_due(now) {
                self.seq += 1;
                let (ask, is_beyond) = lease.ask(self.seq, &account.keys[at], &self.holder, now);
                asks.push((Due { account: Arc::clone(account), lease: at, seq: self.seq, is_beyond }, ask));
            }
        }
    }

    /// Exchanges `asks`, in as many round trips as they need.
    async fn exchange(&mut self, asks: Vec<(Due, Ask)>) {
        let mut asks = asks.into_iter().peekable();
        loop {
            let (due, batch): (Vec<Due>, Vec<Ask>) = asks.by_ref().take(BATCH).unzip();
            match self.store.exchange(&batch).await {
                Ok(answers) => self.answered(&due, &answers),
                Err(fault) => {
                    let rest: Vec<Due> = asks.map(|(due, _)| due).collect();
                    self.lost(&fault, due.iter().chain(&rest));
                    return;
                }
            }
            if asks.peek().is_none() {
                return;
            }
        }
    }

    fn answered(&mut self, due: &[Due], answers: &[Answer]) {
        let counts = &self.feed.counts;
        counts.answered.fetch_add(1, Ordering::Relaxed);
        for (due, answer) in due.iter().zip(answers) {
            let ahead = i128::from(answer.unix_ms) - i128::from(self.feed.ticks.now().unix_ms);
            self.feed.ahead.store(i64::try_from(ahead).unwrap_or(0), Ordering::Relaxed);
            let now = self.feed.now();
            if let Some(lease) = &mut due.account.lock().leases[due.lease] {
                lease.answer(due.seq, *answer, now);
            }
            if due.is_beyond && answer.verdict == Verdict::Done {
                counts.reconciled.fetch_add(1, Ordering::Relaxed);
            }
        }
        if !counts.up.swap(true, Ordering::Relaxed) {
            tracing::warn!("the shared store answers again; it is told what was used meanwhile");
        }
        self.backoff = None;
        self.feed.answered.notify_waiters();
    }

    fn lost<'d>(&mut self, fault: &StoreFault, due: impl Iterator<Item = &'d Due>) {
        let counts = &self.feed.counts;
        counts.unanswered.fetch_add(1, Ordering::Relaxed);
        for due in due {
            if let Some(lease) = &mut due.account.lock().leases[due.lease] {
                lease.lost(due.seq);
            }
        }
        if counts.up.swap(false, Ordering::Relaxed) {
            counts.losses.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                %fault,
                "the shared store does not answer: limits go on with what is leased, then by their `failure`"
            );
        }
        let pause = self.backoff.map_or(BACKOFF[0], |backoff| (backoff.pause * 2).min(BACKOFF[1]));
        let until = Instant::now() + pause.mul_f64(1.0 - self.dice.unit() / 2.0);
        self.backoff = Some(Backoff { pause, until });
        self.feed.answered.notify_waiters();
    }

    /// Gives back what is not spoken for. A store that is away then takes it back when the leases end.
    async fn give_back(&mut self) {
        let mut asks = Vec::new();
        let mut fed = std::mem::take(&mut self.fed);
        fed.extend(self.feed.take_called());
        fed.sort_by_key(|account| Arc::as_ptr(account).addr());
        fed.dedup_by(|a, b| Arc::ptr_eq(a, b));
        for account in &fed {
            let mut held = account.lock();
            let now = self.feed.now();
            for at in 0..QUANTITIES.len() {
                let Some(lease) = held.leases[at].as_mut().filter(|lease| lease.is_lively()) else { continue };
                lease.release();
                self.seq += 1;
                let (ask, is_beyond) = lease.ask(self.seq, &account.keys[at], &self.holder, now);
                asks.push((Due { account: Arc::clone(account), lease: at, seq: self.seq, is_beyond }, ask));
            }
        }
        if !asks.is_empty() {
            self.exchange(asks).await;
        }
    }
}
