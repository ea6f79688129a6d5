//! Works off batches: looks at their inputs, asks their lines, writes their files. Owns how many lines are under way,
//! what is tried again, and that a batch goes on where it was after a restart: a line whose answer was written down is
//! not asked again, one that was under way at a kill is.

use super::batch::{Batch, Counts, LineFault, Status};
use super::file::{File, Purpose};
use super::input::Input;
use super::line::{self, Line, Look};
use super::progress::{Came, Progress};
use super::shelf::Shelf;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::BoxFuture;
use tidegate_core::{Fault, FaultKind};
use tidegate_server::errand::{Brought, Errand};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How often what came of lines is written down at least.
const FLUSH: Duration = Duration::from_secs(1);
/// How often a line is asked that a limit or a full queue refused.
const TRIES: u32 = 6;
/// The longest wait between two of them.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long lines that are under way may take when the gateway stops.
const GRACE: Duration = Duration::from_secs(5);
/// How long is waited where the store cannot be written.
const PAUSE: Duration = Duration::from_secs(5);
/// How many bytes the bodies of lines take that are under way, of all batches together.
const HELD: usize = 64 << 20;

/// Who asks the models.
pub(crate) trait Asks: Send + Sync + std::fmt::Debug {
    /// Asks for a batch.
    fn ask(&self, errand: Errand) -> BoxFuture<'static, Brought>;

    /// Whether the gateway takes no new work.
    fn is_stopping(&self) -> bool;
}

/// Works off batches.
#[derive(Debug)]
pub(crate) struct Worker {
    shelf: Arc<Shelf>,
    asks: Arc<dyn Asks>,
    room: Arc<Semaphore>,
    /// What of [`HELD`] is left.
    held: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

/// Why a batch is not gone on with now.
enum Halt {
    /// The gateway stops.
    Stopped,
    /// The store does not do.
    Failed(Fault),
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl Worker {
    pub(crate) fn new(shelf: Arc<Shelf>, asks: Arc<dyn Asks>, stop: watch::Receiver<bool>) -> Self {
        let room = Arc::new(Semaphore::new(shelf.spec.parallel));
        Self { shelf, asks, room, held: Arc::new(Semaphore::new(HELD)), stop }
    }

    /// Works a batch off; a store that does not do is asked again.
    pub(crate) async fn work(&self, batch: Batch) {
        loop {
            match self.steps(&batch).await {
                Ok(()) | Err(Halt::Stopped) => return,
                Err(Halt::Failed(fault)) => {
                    tracing::error!(batch = batch.id, %fault, "a batch cannot go on now; it is tried again");
                    if !self.pauses().await {
                        return;
                    }
                }
            }
        }
    }

    /// What is to be done, from wherever it stands.
    async fn steps(&self, of: &Batch) -> Result<(), Halt> {
        let batch = self.shelf.batch(&of.tenant, &of.id).filter(|batch| !batch.status.is_final());
        let Some(mut batch) = batch else { return Ok(()) };
        let now = || self.shelf.now();
        if batch.status == Status::Validating {
            batch = match self.look(&batch).await? {
                Ok(lines) => {
                    self.shelf
                        .change(&batch, |batch| {
                            batch.begin(lines, now());
                            Ok(())
                        })
                        .await?
                }
                Err(faults) => {
                    self.shelf
                        .change(&batch, |batch| {
                            batch.refused(faults, now());
                            Ok(())
                        })
                        .await?
                }
            };
        }
        let mut progress = Progress::read(&self.shelf, &batch).await?;
        // The state was written before the last parts were.
        self.shelf.count(&batch, progress.counts(batch.counts.total)).await;
        if batch.status == Status::InProgress {
            self.lines(&batch, &mut progress).await?;
            let is_late = progress.counted() < batch.counts.total;
            batch = self
                .shelf
                .change(&batch, |batch| {
                    batch.finalize(now(), is_late);
                    Ok(())
                })
                .await?;
        }
        if matches!(batch.status, Status::Finalizing | Status::Cancelling) {
            self.finish(&batch, &mut progress).await?;
        }
        Ok(())
    }

    /// Looks at the input.
    async fn look(&self, batch: &Batch) -> Result<Result<u64, Vec<LineFault>>, Halt> {
        let mut input = match self.input(batch).await {
            Ok(input) => input,
            Err(fault) if fault.kind == FaultKind::NotFound => return Ok(Err(vec![gone(batch)])),
            Err(fault) => return Err(fault.into()),
        };
        let mut look = Look::default();
        while let Some((number, line)) = input.next().await? {
            look.at(number, &line, batch.api);
            if look.is_over() {
                break;
            }
        }
        Ok(look.end())
    }

    async fn input(&self, batch: &Batch) -> Result<Input, Fault> {
        let file = self.shelf.file(&batch.tenant, &batch.input);
        let file = file.ok_or_else(|| super::shelf::none("file", &batch.input))?;
        Ok(Input::of(self.shelf.content(&file).await?.frames))
    }

    /// Asks the lines that came to nothing yet, until all are asked, the batch is cancelled, or its time is over.
    async fn lines(&self, batch: &Batch, progress: &mut Progress) -> Result<(), Halt> {
        let mut input = self.input(batch).await?;
        let (mut told, mut stop) = (self.shelf.told.subscribe(), self.stop.clone());
        let mut under_way = FuturesUnordered::new();
        let mut ticks = tokio::time::interval(FLUSH);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut takes, mut grace, mut next, mut broken) = (true, None, None, None);
        loop {
            while takes && under_way.len() < self.shelf.spec.parallel && self.goes_on(batch) && !progress.is_full() {
                let wanted = match next.take() {
                    Some(wanted) => Ok(Some(wanted)),
                    None => input.wanted(batch, progress).await,
                };
                match wanted {
                    Ok(Some((number, line))) => match self.holds(&line) {
                        Some(held) => under_way.push(self.line(batch, number, line, held)),
                        // Others hold too much: it is tried again at the next tick.
                        None => {
                            next = Some((number, line));
                            break;
                        }
                    },
                    Ok(None) => takes = false,
                    // What is under way was asked and ends first.
                    Err(fault) => (takes, broken) = (false, Some(fault)),
                }
            }
            takes = takes && self.goes_on(batch);
            if under_way.is_empty() && !takes {
                break;
            }
            tokio::select! {
                Some(came) = under_way.next(), if !under_way.is_empty() => {
                    if let Some(came) = came {
                        progress.add(came);
                    }
                }
                _ = ticks.tick() => {}
                _ = told.changed() => {}
                _ = stop.wait_for(|stop| *stop), if grace.is_none() => {
                    (takes, grace) = (false, Some(tokio::time::Instant::now() + GRACE));
                }
                () = until(grace), if grace.is_some() => break,
            }
            if progress.is_due(FLUSH) {
                // A disk that is full may have room again: what came is held, and no more is asked than can be held.
                if let Err(fault) = progress.flush(&self.shelf, batch).await {
                    tracing::error!(batch = batch.id, %fault, "what came of a batch's lines cannot be written down now");
                }
            }
        }
        drop(under_way);
        self.flush(batch, progress).await?;
        match broken {
            _ if self.stops() => Err(Halt::Stopped),
            Some(fault) => Err(fault.into()),
            None => Ok(()),
        }
    }

    /// Writes down what came, as often as it takes: lines whose answers are lost would be asked, and paid, again.
    async fn flush(&self, batch: &Batch, progress: &mut Progress) -> Result<(), Fault> {
        while let Err(fault) = progress.flush(&self.shelf, batch).await {
            tracing::error!(batch = batch.id, %fault, "what came of a batch's lines cannot be written down now");
            if !self.pauses().await {
                return Err(fault);
            }
        }
        Ok(())
    }

    /// Waits until it is time to try the store again; false where the gateway stops.
    async fn pauses(&self) -> bool {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => false,
            () = tokio::time::sleep(PAUSE) => true,
        }
    }

    /// Room for the body of a line, where there is any now.
    fn holds(&self, line: &Line) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(line.body.len()).ok()?;
        Arc::clone(&self.held).try_acquire_many_owned(bytes).ok()
    }

    /// Whether further lines are asked.
    fn goes_on(&self, batch: &Batch) -> bool {
        let is_asked = self.shelf.status(batch) == Some(Status::InProgress);
        is_asked && self.shelf.now() < batch.moments.expires && !self.stops()
    }

    /// Waits until no further line is asked.
    async fn over(&self, batch: &Batch) {
        let (mut told, mut stop) = (self.shelf.told.subscribe(), self.stop.clone());
        while self.goes_on(batch) {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                _ = told.changed() => {}
                // Nobody tells that its time is over.
                () = tokio::time::sleep(FLUSH) => {}
            }
        }
    }

    /// Whether the gateway stops.
    fn stops(&self) -> bool {
        *self.stop.borrow() || self.asks.is_stopping()
    }

    /// Asks one line, again where a limit or a full queue refuses it. Nothing comes of one that was not asked, or was
    /// refused, when the batch did not go on any more: a restart asks it again.
    async fn line(&self, batch: &Batch, number: u64, line: Line, held: OwnedSemaphorePermit) -> Option<Came> {
        // As long as its body.
        let _held = held;
        if line::is_stream(&line.body) {
            let body = r#"{"error":{"message":"a batch has no streams: leave `stream` out","type":"invalid_request_error","param":"stream","code":null}}"#;
            let name = format!("{}{number:08x}", batch.id.trim_start_matches("batch_"));
            let line = line::answered(&name, &line.custom_id, 400, body.as_bytes());
            return Some(Came { number, is_good: false, line });
        }
        let errand = Errand {
            key: batch.key.clone(),
            tenant: batch.tenant.clone(),
            api: batch.api,
            body: line.body.into(),
            name: line.custom_id.clone(),
            group: batch.id.clone(),
        };
        for tried in 1.. {
            let brought = {
                // It is never closed.
                let _room = tokio::select! {
                    room = self.room.acquire() => room,
                    () = self.over(batch) => return None,
                };
                if !self.goes_on(batch) {
                    return None;
                }
                self.asks.ask(errand.clone()).await
            };
            let is_refused = matches!(brought.status, 429 | 503);
            if is_refused && !self.goes_on(batch) {
                return None;
            }
            if !is_refused || tried >= TRIES {
                let line = line::answered(&brought.id, &line.custom_id, brought.status, &brought.body);
                return Some(Came { number, is_good: brought.status == 200, line });
            }
            let wait = brought.retry_after.unwrap_or(Duration::from_secs(1)).min(LONGEST_WAIT);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.over(batch) => return None,
            }
        }
        None
    }

    /// Writes the files. Lines that were not asked, since time was over, are errors.
    async fn finish(&self, batch: &Batch, progress: &mut Progress) -> Result<(), Halt> {
        if batch.status == Status::Finalizing && batch.is_late {
            let mut input = self.input(batch).await?;
            while let Some((number, line)) = input.next().await? {
                let Some(line) = line::read(&line, batch.api).ok().filter(|_| !progress.has(number)) else { continue };
                let says = "This request could not be executed before the completion window expired.";
                let name = format!("{}{number:08x}", batch.id.trim_start_matches("batch_"));
                let line = line::unasked(&name, &line.custom_id, "batch_expired", says);
                progress.add(Came { number, is_good: false, line });
                if progress.is_full() {
                    self.flush(batch, progress).await?;
                }
            }
            self.flush(batch, progress).await?;
        }
        let counts = progress.counts(batch.counts.total);
        let output = self.file(batch, true, counts).await?;
        let errors = self.file(batch, false, counts).await?;
        let now = self.shelf.now();
        let ended = self.shelf.change(batch, |batch| {
            (batch.output, batch.errors, batch.counts) = (output, errors, counts);
            batch.end(now);
            Ok(())
        });
        ended.await?;
        self.shelf.remove_parts(batch).await?;
        Ok(())
    }

    /// The file of the answers or of the errors; none where there is no line of it. Its name follows from the batch's,
    /// so that one that is written again takes the place of the first.
    async fn file(&self, batch: &Batch, is_good: bool, counts: Counts) -> Result<Option<String>, Fault> {
        if (if is_good { counts.completed } else { counts.failed }) == 0 {
            return Ok(None);
        }
        let (letter, what) = if is_good { ("a", "output") } else { ("b", "error") };
        let number = batch.id.trim_start_matches("batch_");
        let file = File {
            id: format!("file-{number}{letter}"),
            tenant: batch.tenant.clone(),
            name: format!("{}_{what}.jsonl", batch.id),
            bytes: 0,
            created: self.shelf.now(),
            purpose: Purpose::BatchOutput,
        };
        let content = super::progress::written(Arc::clone(&self.shelf), batch.clone(), is_good);
        self.shelf.take(file, content, u64::MAX).await.map(|file| Some(file.id))
    }
}

async fn until(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// That the input was deleted.
fn gone(batch: &Batch) -> LineFault {
    LineFault {
        code: "invalid_file".to_owned(),
        message: format!("The input file '{}' is no longer there.", batch.input),
        param: Some("input_file_id".to_owned()),
        line: None,
    }
}

#[cfg(test)]
mod tests;
