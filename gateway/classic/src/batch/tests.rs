//! The decision, with times that are given.

use super::*;
use proptest::prelude::*;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn spec() -> BatchSpec {
    BatchSpec { max_rows: 8, max_wait: ms(10), ..BatchSpec::default() }
}

fn call(rows: usize, since: Instant) -> Waiting {
    Waiting { rows, since, joins: true }
}

/// Calls come each `gap`, and a run costs `fixed` + `per_row`.
fn pace(start: Instant, gap: Duration, fixed: Duration, per_row: Duration) -> Pace {
    let mut pace = Pace::default();
    for number in 0..20 {
        pace.arrived(start + gap * number);
    }
    for rows in [1_usize, 8, 1, 4, 8, 2].into_iter().cycle().take(30) {
        pace.ran(rows, fixed + per_row * u32::try_from(rows).unwrap());
    }
    pace
}

#[test]
fn nobody_waits_for_calls_that_do_not_come() {
    let start = Instant::now();
    assert_eq!(next(&spec(), &Pace::default(), [].into_iter(), start), Next::Idle);
    // Nothing is known yet.
    assert_eq!(next(&spec(), &Pace::default(), [call(1, start)].into_iter(), start), Next::Run(1));
    // Calls come each 50 ms, and another one would save 5.
    let pace = pace(start, ms(50), ms(5), ms(1));
    assert_eq!(next(&spec(), &pace, [call(1, start)].into_iter(), start), Next::Run(1));
}

#[test]
fn a_worker_waits_where_the_next_call_comes_sooner_than_it_saves() {
    let start = Instant::now();
    let pace = pace(start, ms(1), ms(5), ms(1));
    let now = start + ms(19);
    assert_eq!(next(&spec(), &pace, [call(1, now)].into_iter(), now), Next::Until(now + ms(2)));
    // Not longer than the oldest may wait,
    let old = call(1, now - ms(9));
    assert_eq!(next(&spec(), &pace, [old].into_iter(), now), Next::Until(now + ms(1)));
    assert_eq!(next(&spec(), &pace, [call(1, now - ms(10))].into_iter(), now), Next::Run(1));
    // and not when the next one is overdue.
    let later = now + ms(3);
    assert_eq!(next(&spec(), &pace, [call(1, now)].into_iter(), later), Next::Run(1));
}

#[test]
fn a_full_batch_runs_at_once_and_keeps_its_bound() {
    let start = Instant::now();
    let pace = pace(start, ms(1), ms(5), ms(1));
    let now = start + ms(19);
    let all = |rows: &[usize]| next(&spec(), &pace, rows.iter().map(|rows| call(*rows, now)), now);
    assert_eq!(all(&[4, 4]), Next::Run(2));
    assert_eq!(all(&[4, 3, 2]), Next::Run(2));
    // A call of more rows than a batch has runs alone.
    assert_eq!(all(&[20, 1]), Next::Run(1));
    // What cannot be put together runs alone, at once.
    let other = Waiting { joins: false, ..call(1, now) };
    assert_eq!(next(&spec(), &pace, [call(1, now), other].into_iter(), now), Next::Run(1));
}

#[test]
fn costs_are_told_apart() {
    let (fixed, per_row) = pace(Instant::now(), ms(1), ms(5), ms(2)).cost();
    assert!(fixed.abs_diff(ms(5)) < Duration::from_micros(10), "{fixed:?}");
    assert!(per_row.abs_diff(ms(2)) < Duration::from_micros(10), "{per_row:?}");
    // Runs of one size say only their whole.
    let mut pace = Pace::default();
    (0..5).for_each(|_| pace.ran(4, ms(8)));
    assert_eq!((pace.expected(4), pace.cost().1), (ms(8), Duration::ZERO));
}

proptest! {
    #[test]
    fn batches_keep_their_bounds_and_calls_never_wait_too_long(
        rows in prop::collection::vec(1_usize..12, 1..20), waited in 0_u64..20, gap in 1_u64..20, fixed in 0_u64..20,
    ) {
        let start = Instant::now();
        let pace = pace(start, ms(gap), ms(fixed), ms(1));
        let now = start + ms(gap * 19 + waited);
        let since = now - ms(waited);
        match next(&spec(), &pace, rows.iter().map(|rows| call(*rows, since)), now) {
            Next::Idle => prop_assert!(false, "calls wait"),
            Next::Until(until) => prop_assert!(until > now && until <= since + ms(10)),
            Next::Run(calls) => {
                let taken: usize = rows[..calls].iter().sum();
                prop_assert!(calls == 1 || taken <= 8);
            }
        }
    }
}
