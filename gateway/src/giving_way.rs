//! Work that gives way: done on a thread to which the system gives little where others want the processor, while who wants
//! it waits. Owns that thread, how far behind it stands (`allowance`), and what something took of the processor; what is worth
//! a thread is its callers': it costs some microseconds, and is meant for what takes milliseconds. A thread that serves
//! could not do it itself: it may step back, but only privileged programs may come forward again.

mod allowance;

pub(crate) use allowance::Allowance;

use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

/// How far behind others, of 19: about a tenth of the processor is left to it where all of it is wanted. In the last place
/// windows would wait as long as the gateway is busy, and filters that are slow but good would all be late.
const BEHIND: i32 = 10;

/// How far work gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It has about a tenth of what others have where all of the processor is wanted; who comes may have to wait until its
    /// turn is over, some milliseconds.
    Behind,
    /// It has what nobody wants, and stops as soon as somebody does.
    Last,
}

/// Does something on a thread of its own that gives way to all others; here, where no thread can be had.
pub(crate) fn giving_way<T: Send>(place: Place, does: impl FnOnce() -> T + Send) -> T {
    let (mut does, mut done) = (Some(does), None);
    thread::scope(|scope| {
        let work = || {
            give_way(place);
            done = does.take().map(|does| does());
        };
        let thread = thread::Builder::new().name("gives-way".to_owned()).spawn_scoped(scope, work);
        if let Ok(Err(panic)) = thread.map(thread::ScopedJoinHandle::join) {
            resume_unwind(panic);
        }
    });
    match (done, does) {
        (Some(done), _) => done,
        (None, Some(does)) => does(),
        (None, None) => unreachable!("it is taken only to be done"),
    }
}

/// That this thread stands there from here on. Where the system knows no such thing it is as all others are.
fn give_way(place: Place) {
    let done = match place {
        Place::Behind => rustix::process::nice(BEHIND).map(drop).map_err(anyhow::Error::from),
        Place::Last => idle().map_err(|error| anyhow::anyhow!("{error}")),
    };
    if let Err(error) = done {
        tracing::debug!("work that should give way to others does not: {error}");
    }
}

/// The policy for what has only what nobody else wants.
#[cfg(target_os = "linux")]
fn idle() -> Result<(), thread_priority::Error> {
    use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};
    thread_priority::set_thread_priority_and_policy(
        thread_priority::thread_native_id(),
        ThreadPriority::Min,
        ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle),
    )
}

/// Elsewhere the last place is that of the least nice.
#[cfg(not(target_os = "linux"))]
fn idle() -> Result<(), rustix::io::Errno> {
    rustix::process::nice(19).map(drop)
}

/// What something took of the processor: a thread that had to wait was not slow. By the thread's own clock, which is exact
/// at any moment: what `/proc` tells of a thread that runs is as old as the last tick, and of two milliseconds it mostly
/// knows nothing.
pub(crate) fn measured<T>(does: impl FnOnce() -> T) -> (T, Duration) {
    let before = of_processor();
    let done = does();
    (done, of_processor().saturating_sub(before))
}

/// What this thread has had of the processor.
fn of_processor() -> Duration {
    let has = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(has).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn place() -> i32 {
        rustix::process::nice(0).unwrap()
    }

    #[test]
    fn what_is_done_stands_behind_and_who_waits_stays_where_he_is() {
        let before = place();
        assert_eq!(
            giving_way(Place::Behind, || (place(), thread::current().name().map(str::to_owned))),
            (BEHIND, Some("gives-way".into()))
        );
        assert_eq!(place(), before);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_last_place_is_a_policy_of_its_own() {
        use thread_priority::{NormalThreadSchedulePolicy, ThreadSchedulePolicy, thread_schedule_policy};
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let before = thread_schedule_policy().unwrap();
        assert_eq!(giving_way(Place::Last, || thread_schedule_policy().unwrap()), idle);
        assert_eq!(giving_way(Place::Behind, || thread_schedule_policy().unwrap()), before);
        assert_eq!(thread_schedule_policy().unwrap(), before);
    }

    /// A tick is up to ten milliseconds: what is shorter counts as well, and so does every part of it.
    #[test]
    fn what_is_shorter_than_a_tick_is_measured() {
        let busy = |time: Duration| {
            let until = Instant::now() + time;
            while Instant::now() < until {
                std::hint::spin_loop();
            }
        };
        for _ in 0..20 {
            let began = Instant::now();
            let ((), took) = measured(|| busy(Duration::from_micros(200)));
            assert!(took > Duration::ZERO && took <= began.elapsed());
        }
    }

    #[test]
    fn a_panic_reaches_who_waits() {
        let caught =
            std::panic::catch_unwind(|| giving_way(Place::Behind, || -> u8 { resume_unwind(Box::new("mine")) }));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"mine"));
    }
}
