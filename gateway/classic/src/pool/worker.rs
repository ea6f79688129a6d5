//! A thread that takes calls from the queue, runs them together and answers each. One call's fault is no other's: where a
//! batch fails, its calls run one by one.

use super::{Ask, Generation, Job, Served, Shared, join};
use crate::Refused;
use crate::batch::{Next, Waiting, next};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tidegate_core::Tensor;
use tokio::sync::oneshot;

pub(super) fn work(shared: &Shared) {
    while let Some(jobs) = taken(shared) {
        let rows = jobs.iter().map(|job| job.rows).sum();
        let start = shared.clock.now();
        let is_prediction = matches!(jobs[0].ask, Ask::Predict { .. });
        run(shared, jobs);
        let took = shared.clock.now().saturating_duration_since(start);
        let mut state = shared.lock();
        state.told.running -= 1;
        state.told.ran(rows);
        if is_prediction {
            state.pace.ran(rows, took);
        }
    }
}

/// The calls that are run next, once there are; none when the pool has stopped.
fn taken(shared: &Shared) -> Option<Vec<Job>> {
    let mut state = shared.lock();
    loop {
        if state.is_stopped {
            return None;
        }
        state.queue.retain(|job| !job.ask.is_given_up());
        let first = state.queue.front();
        let waiting = state.queue.iter().enumerate().map(|(place, job)| Waiting {
            rows: job.rows,
            since: job.since,
            joins: place > 0 && first.is_some_and(|first| joins(first, job)),
        });
        let now = shared.clock.now();
        match next(&shared.spec, &state.pace, waiting, now) {
            Next::Run(calls) => {
                state.told.running += 1;
                let jobs = state.queue.drain(..calls).collect();
                // Others may run what is left.
                if !state.queue.is_empty() {
                    shared.turned.notify_one();
                }
                return Some(jobs);
            }
            Next::Idle => state = shared.turned.wait(state).unwrap_or_else(PoisonError::into_inner),
            Next::Until(until) => {
                let timeout = until.saturating_duration_since(now);
                let waited = shared.turned.wait_timeout(state, timeout);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}

fn joins(first: &Job, job: &Job) -> bool {
    first.is_joinable
        && job.is_joinable
        && Arc::ptr_eq(&first.generation.model, &job.generation.model)
        && join::alike(&first.inputs, &job.inputs)
}

fn run(shared: &Shared, jobs: Vec<Job>) {
    let now = shared.clock.now();
    if let Some(answers) = together(&jobs) {
        let rows = jobs.iter().map(|job| job.rows).sum();
        for (job, outputs) in jobs.into_iter().zip(answers) {
            let waited = now.saturating_duration_since(job.since);
            if let Ask::Predict { wanted, reply } = job.ask {
                answer(reply, wants(outputs, &wanted), &job.generation, rows, waited);
            }
        }
        return;
    }
    for job in jobs {
        let waited = now.saturating_duration_since(job.since);
        let model = &job.generation.model;
        match job.ask {
            Ask::Predict { wanted, reply } => {
                let outputs = guarded(|| model.predict(&job.inputs, &wanted));
                answer(reply, outputs, &job.generation, job.rows, waited);
            }
            Ask::Explain { how, reply } => {
                answer(reply, guarded(|| model.explain(&job.inputs, &how)), &job.generation, job.rows, waited);
            }
        }
    }
}

/// The answers of several calls by one run; none where they must run one by one.
fn together(jobs: &[Job]) -> Option<Vec<Vec<Tensor>>> {
    let (first, others) = jobs.split_first()?;
    if others.is_empty() {
        return None;
    }
    let inputs: Vec<&[Tensor]> = jobs.iter().map(|job| job.inputs.as_slice()).collect();
    let whole = join::joined(&inputs)?;
    let outputs = guarded(|| first.generation.model.predict(&whole, &[])).ok()?;
    let rows: Vec<usize> = jobs.iter().map(|job| job.rows).collect();
    join::parted(&outputs, &rows)
}

/// Of all outputs those that the call wants; an unknown one is a fault, as when it runs alone.
fn wants(outputs: Vec<Tensor>, wanted: &[String]) -> Result<Vec<Tensor>, Refused> {
    if let Some(unknown) = wanted.iter().find(|name| !outputs.iter().any(|output| output.name() == **name)) {
        let names: Vec<String> = outputs.iter().map(|output| output.name().to_owned()).collect();
        return Err(Refused::unknown_output(unknown, &names));
    }
    let is_wanted = |output: &Tensor| wanted.is_empty() || wanted.iter().any(|name| name == output.name());
    Ok(outputs.into_iter().filter(is_wanted).collect())
}

/// A model's panic ends with its call.
fn guarded<T>(run: impl FnOnce() -> Result<T, Refused>) -> Result<T, Refused> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(Refused::Failed("the model broke off".to_owned())))
}

fn answer<T>(
    reply: oneshot::Sender<super::Reply<T>>,
    answer: Result<T, Refused>,
    generation: &Generation,
    batch: usize,
    waited: Duration,
) {
    let served = answer.map(|answer| Served { answer, generation: generation.number, batch, waited });
    // A caller that left needs none.
    drop(reply.send(served));
}
