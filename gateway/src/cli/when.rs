//! Times as people read and write them: a date in UTC, and spans such as `90d`.

use std::time::{Duration, SystemTime};

/// Milliseconds since 1970 as `2026-11-23 00:36:10.123`, in UTC.
pub(super) fn utc(unix_ms: u64) -> String {
    let (days, ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let (year, month, day) = civil(days);
    let (s, ms) = (ms / 1000, ms % 1000);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
}

/// The day of `at` as `2026-11-23 00:36`, in UTC.
pub(super) fn minute(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    utc(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)).chars().take("2026-11-23 00:36".len()).collect()
}

/// Year, month and day of a count of days since 1970, in the Gregorian calendar (H. Hinnant, "chrono-compatible
/// low-level date algorithms").
const fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// A span with its unit, as on a command line.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[digits..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        "y" => 365 * 86_400,
        _ => return Err("a span is a whole number with its unit (s, m, h, d, w or y), such as 90d".to_owned()),
    };
    let seconds = text[..digits].parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
    // A hundred years keep every sum of time in range.
    let seconds = seconds.filter(|s| (1..=100 * 365 * 86_400).contains(s));
    seconds.map(Duration::from_secs).ok_or_else(|| "a span is at least 1s and at most 100y".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01 00:00:00.000");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00.000");
        assert_eq!(utc(1_795_394_170_123), "2026-11-23 00:36:10.123");
        assert_eq!(utc(4_107_542_399_999), "2100-02-28 23:59:59.999");
        assert_eq!(utc(4_107_542_400_000), "2100-03-01 00:00:00.000");
        assert_eq!(minute(SystemTime::UNIX_EPOCH + Duration::from_secs(60)), "1970-01-01 00:01");
    }

    #[test]
    fn spans_need_a_unit_and_stay_in_range() {
        assert_eq!(span("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(span("2w"), Ok(Duration::from_secs(14 * 86_400)));
        for bad in ["", "90", "d", "-1d", "1.5h", "0s", "101y", "99999999999999999999d", "1 d"] {
            assert!(span(bad).is_err(), "{bad:?}");
        }
    }
}
