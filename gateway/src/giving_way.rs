//! Work that gives way: done on a thread to which the system gives little where others want the processor, while who wants
//! it waits. Owns that thread; what is worth one is its callers': it costs some microseconds, and is meant for what takes
//! milliseconds. A thread that serves could not do it itself: it may step back, but only privileged programs may come forward
//! again.

use std::panic::resume_unwind;
use std::thread;

/// How far behind others, of 19: about a tenth of the processor is left to it where all of it is wanted. In the last place
/// windows would wait as long as the gateway is busy, and filters that are slow but good would all be late.
const BEHIND: i32 = 10;

/// Does something on a thread of its own that gives way to all others; here, where no thread can be had.
pub(crate) fn giving_way<T: Send>(does: impl FnOnce() -> T + Send) -> T {
    let (mut does, mut done) = (Some(does), None);
    thread::scope(|scope| {
        let work = || {
            give_way();
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

/// That this thread stands behind others from here on. Where the system knows no such thing it is as all others are.
fn give_way() {
    if let Err(error) = rustix::process::nice(BEHIND) {
        tracing::debug!("work that should give way to others does not: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> i32 {
        rustix::process::nice(0).unwrap()
    }

    #[test]
    fn what_is_done_stands_behind_and_who_waits_stays_where_he_is() {
        let before = place();
        assert_eq!(
            giving_way(|| (place(), thread::current().name().map(str::to_owned))),
            (BEHIND, Some("gives-way".into()))
        );
        assert_eq!(place(), before);
    }

    #[test]
    fn a_panic_reaches_who_waits() {
        let caught = std::panic::catch_unwind(|| giving_way(|| -> u8 { resume_unwind(Box::new("mine")) }));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"mine"));
    }
}
