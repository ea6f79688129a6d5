//! A moment in the form of RFC 3339. Owns the calendar arithmetic (Howard Hinnant's `days_from_civil`).

use crate::scalar::{Flaw, Scalar};
use std::fmt;
use std::time::{Duration, SystemTime};

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) SystemTime);

impl Scalar for Moment {
    const WHAT: &'static str = "a moment such as `2027-01-31T00:00:00Z`";

    fn parse(text: &str) -> Result<Self, Flaw> {
        parse(text)
            .map(Self)
            .ok_or_else(|| Flaw::default().mend("write it as RFC 3339 has it: date, `T`, time, `Z` or an offset"))
    }
}

fn parse(text: &str) -> Option<SystemTime> {
    let bytes = text.as_bytes();
    if !text.is_ascii()
        || bytes.len() < 20
        || bytes[4] != b'-'
        || bytes[7] != b'-'
        || bytes[13] != b':'
        || bytes[16] != b':'
    {
        return None;
    }
    if !matches!(bytes[10], b'T' | b't' | b' ') {
        return None;
    }
    let (year, month, day) = (number(&text[..4])?, number(&text[5..7])?, number(&text[8..10])?);
    let (hour, minute, second) = (number(&text[11..13])?, number(&text[14..16])?, number(&text[17..19])?);
    let is_day = (1..=12).contains(&month) && day >= 1 && day <= days_of(year, month);
    // A leap second is the start of the next minute.
    if !is_day || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = &text[19..];
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?),
        None => ("0", rest),
    };
    let nanoseconds: u32 =
        if fraction.is_empty() { return None } else { format!("{fraction:0<9}")[..9].parse().ok()? };
    let seconds = days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset(zone)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(u64::try_from(seconds).ok()?, nanoseconds))
}

fn number(text: &str) -> Option<i64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The offset from UTC in seconds.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match zone.as_bytes().first()? {
        b'+' => (1, &zone[1..]),
        b'-' => (-1, &zone[1..]),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':').filter(|(hours, minutes)| hours.len() == 2 && minutes.len() == 2)?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn days_of(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a day since 1970-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let part = (5 * of_year + 2) / 153;
    let month = if part < 10 { part + 3 } else { part - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * part + 2) / 5 + 1)
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let (year, month, day) = date(seconds.div_euclid(86400));
        let of_day = seconds.rem_euclid(86400);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match since.subsec_nanos() {
            0 => f.write_str("Z"),
            nanoseconds => write!(f, ".{nanoseconds:09}Z"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(text: &str) -> Option<u64> {
        parse(text).and_then(|moment| moment.duration_since(SystemTime::UNIX_EPOCH).ok()).map(|since| since.as_secs())
    }

    #[test]
    fn moments_are_read_with_their_offsets() {
        assert_eq!(seconds("2027-01-31T00:00:00Z"), Some(1_801_353_600));
        assert_eq!(seconds("1970-01-01T02:00:00.5+01:30"), Some(1800));
        assert_eq!(seconds("2000-02-29T12:00:00-05:00"), Some(951_843_600));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2027-01-31",
            "2027-02-29T00:00:00Z",
            "2027-13-01T00:00:00Z",
            "2027-01-31T24:00:00Z",
            "2027-01-31T00:00:00",
            "2027-01-31T00:00:00.Z",
            "+027-01-31T00:00:00Z",
            "1969-12-31T00:00:00Z",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in 0u64..253_402_300_800, nanoseconds in 0u32..1_000_000_000) {
            let moment = Moment(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds));
            prop_assert_eq!(parse(&moment.to_string()), Some(moment.0));
        }
    }
}
