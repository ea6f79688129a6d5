//! A moment as feature stores write it: RFC 3339, or the same with a blank and without a zone, which is UTC then. Owns the calendar
//! arithmetic (Howard Hinnant's `days_from_civil`).

/// The milliseconds since 1970 of a moment such as `2026-01-31T12:00:00.5Z` or `2026-01-31 12:00:00`; a date alone is its
/// beginning. Nothing where it is none, or before 1970.
#[must_use]
pub fn unix_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    let date = text.get(..10)?;
    let (year, month, day) = (digits(date.get(..4)?)?, digits(date.get(5..7)?)?, digits(date.get(8..10)?)?);
    let is_dated = date.as_bytes().get(4) == Some(&b'-') && date.as_bytes().get(7) == Some(&b'-');
    if !is_dated || !(1..=12).contains(&month) || day < 1 || day > days_of(year, month) {
        return None;
    }
    let of_day = match text.get(10..)? {
        "" => 0,
        rest => time(rest.strip_prefix(['T', 't', ' '])?)?,
    };
    u64::try_from(days(year, month, day) * 86_400_000 + of_day).ok()
}

/// A moment as text: `2026-01-31T12:00:00.500Z`, always of this form.
#[must_use]
pub fn text(unix_ms: u64) -> String {
    let (day, of_day) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let (year, month, day) = date(i64::try_from(day).unwrap_or(0));
    let seconds = of_day / 1000;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", of_day % 1000)
}

/// Milliseconds of a day of `12:00:00.5+01:00`.
fn time(text: &str) -> Option<i64> {
    let (hour, minute, second) = (digits(text.get(..2)?)?, digits(text.get(3..5)?)?, digits(text.get(6..8)?)?);
    let is_timed = text.as_bytes().get(2) == Some(&b':') && text.as_bytes().get(5) == Some(&b':');
    // A leap second is the start of the next minute.
    if !is_timed || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(8..)?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())),
        None => ("0", rest),
    };
    let milliseconds = digits(format!("{fraction:0<3}").get(..3)?).filter(|_| !fraction.is_empty())?;
    Some((hour * 3600 + minute * 60 + second) * 1000 + milliseconds - offset(zone.trim_start())?)
}

/// Milliseconds from UTC.
fn offset(zone: &str) -> Option<i64> {
    let (sign, rest) = match zone {
        "" | "Z" | "z" | "UTC" => return Some(0),
        _ => (if zone.starts_with('-') { -1 } else { 1 }, zone.strip_prefix(['+', '-'])?),
    };
    let (hours, minutes) = rest.split_once(':').or_else(|| rest.split_at_checked(rest.len().min(2)))?;
    let (hours, minutes) = (digits(hours)?, if minutes.is_empty() { 0 } else { digits(minutes)? });
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

fn digits(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

const fn days_of(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a day since 1970-01-01.
const fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let part = (5 * of_year + 2) / 153;
    let month = if part < 10 { part + 3 } else { part - 9 };
    let next = if month <= 2 { 1 } else { 0 };
    (year + era * 400 + next, month, of_year - (153 * part + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::{text, unix_ms};
    use proptest::prelude::*;

    #[test]
    fn moments_of_feature_stores_are_read() {
        for (text, wanted) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-01-31T12:00:00Z", Some(1_769_860_800_000)),
            ("2026-01-31 12:00:00", Some(1_769_860_800_000)),
            ("2026-01-31 12:00:00.123456", Some(1_769_860_800_123)),
            ("2026-01-31T13:30:00.5+01:30", Some(1_769_860_800_500)),
            ("2026-01-31T07:00:00-0500", Some(1_769_860_800_000)),
            ("2026-01-31 12:00:00 UTC", Some(1_769_860_800_000)),
            ("2024-02-29", Some(1_709_164_800_000)),
            ("2025-02-29", None),
            ("2026-13-01", None),
            ("2026-01-31T25:00:00Z", None),
            ("2026-01-31T12:00:00.Z", None),
            ("2026-01-31T12:00:00+25:00", None),
            ("2026-01-31T12:00:00+1é", None),
            ("2026-01-31T12:00:00é", None),
            ("1969-12-31T23:59:59Z", None),
            ("1769860800", None),
            ("", None),
        ] {
            assert_eq!(unix_ms(text), wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(text in "[0-9TZ:.+ -]{0,30}|.{0,30}") {
            // Years have four digits.
            if let Some(ms) = unix_ms(&text).filter(|ms| *ms < 253_402_300_800_000) {
                proptest::prop_assert_eq!(unix_ms(&super::text(ms)), Some(ms));
            }
        }

        #[test]
        fn what_is_written_is_read(ms in 0u64..253_402_300_800_000) {
            proptest::prop_assert_eq!(unix_ms(&text(ms)), Some(ms));
        }
    }
}
