//! Spans of the calendar, in UTC: where the one begins and ends in which a time lies. Owns the arithmetic.

use tidegate_core::spec::limit::Period;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// A span of the calendar, in milliseconds since 1970: from `from` until just before `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// Its first millisecond.
    pub from: u64,
    /// The first one behind it.
    pub until: u64,
}

impl Span {
    /// The span in which `unix_ms` lies.
    #[must_use]
    pub fn of(every: Period, unix_ms: u64) -> Self {
        match every {
            Period::Hour => Self::fixed(unix_ms, HOUR_MS, 0),
            Period::Day => Self::fixed(unix_ms, DAY_MS, 0),
            // 1970 began on a Thursday, three days into its week.
            Period::Week => Self::fixed(unix_ms, 7 * DAY_MS, 3 * DAY_MS),
            Period::Month => {
                let month = month_of(unix_ms / DAY_MS);
                Self { from: first_day(month) * DAY_MS, until: first_day(month + 1) * DAY_MS }
            }
        }
    }

    fn fixed(unix_ms: u64, length: u64, shift: u64) -> Self {
        let from = ((unix_ms + shift) / length * length).saturating_sub(shift);
        Self { from, until: (unix_ms + shift) / length * length + length - shift }
    }
}

/// The months from March of the year 0 to the one with this day since 1970. Years are counted from March, so that the
/// odd day comes last; see Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
const fn month_of(day: u64) -> u64 {
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    (era * 400 + year) * 12 + (5 * day_of_year + 2) / 153
}

/// The first day of such a month, in days since 1970.
const fn first_day(month: u64) -> u64 {
    let (year, month) = (month / 12, month % 12);
    year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_begin_and_end_as_the_calendar_says() {
        // 2024-02-29 23:30:00 UTC, a Thursday.
        let leap = 1_709_249_400_000;
        let at = |every| Span::of(every, leap);
        assert_eq!(at(Period::Hour), Span { from: leap - 1_800_000, until: leap + 1_800_000 });
        assert_eq!(at(Period::Day).until, leap + 1_800_000);
        assert_eq!(at(Period::Week), Span { from: 1_708_905_600_000, until: 1_709_510_400_000 });
        assert_eq!(at(Period::Month), Span { from: 1_706_745_600_000, until: 1_709_251_200_000 });
        assert_eq!(Span::of(Period::Month, 1_735_689_599_999).from, 1_733_011_200_000, "December 2024");
    }

    #[test]
    fn every_time_lies_in_its_span_and_spans_leave_no_gap() {
        for every in [Period::Hour, Period::Day, Period::Week, Period::Month] {
            let mut span = Span::of(every, 10 * 365 * DAY_MS);
            for _ in 0..2_000 {
                let next = Span::of(every, span.until);
                assert_eq!((next.from, Span::of(every, next.until - 1)), (span.until, next), "{every:?}");
                span = next;
            }
        }
    }
}
