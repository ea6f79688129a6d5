//! A day of the UTC calendar, as partitions are named. Owns the arithmetic and the form `YYYY-MM-DD`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

const DAY_MS: u64 = 86_400_000;

/// Days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Day(u64);

impl Day {
    pub(crate) const fn of_ms(unix_ms: u64) -> Self {
        Self(unix_ms / DAY_MS)
    }

    /// The first millisecond that is no longer of this day.
    pub(crate) const fn end_ms(self) -> u64 {
        (self.0 + 1).saturating_mul(DAY_MS)
    }
}

impl fmt::Display for Day {
    /// By Howard Hinnant's `civil_from_days`, for days after 1970.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let z = self.0 + 719_468;
        let (era, of_era) = (z / 146_097, z % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// The text is no day.
#[derive(Debug, thiserror::Error)]
#[error("a day has the form 2026-01-31")]
pub(crate) struct NotADay;

impl FromStr for Day {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Self, NotADay> {
        let mut parts = text.splitn(3, '-').map(|part| part.parse::<u64>().map_err(|_| NotADay));
        let mut next = || parts.next().unwrap_or(Err(NotADay));
        let (year, month, day) = (next()?, next()?, next()?);
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(NotADay);
        }
        let year = if month <= 2 { year - 1 } else { year };
        let (era, year_of_era) = (year / 400, year % 400);
        let shifted = (month + 9) % 12;
        let of_year = (153 * shifted + 2) / 5 + day - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        Ok(Self(era * 146_097 + of_era - 719_468))
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_names() {
        for (ms, name) in [
            (0, "1970-01-01"),
            (951_782_400_000, "2000-02-29"),
            (951_868_799_999, "2000-02-29"),
            (951_868_800_000, "2000-03-01"),
            (1_767_225_599_999, "2025-12-31"),
            (4_107_542_400_000, "2100-03-01"),
        ] {
            assert_eq!(Day::of_ms(ms).to_string(), name);
        }
        assert_eq!(Day::of_ms(5).end_ms(), DAY_MS);
    }

    #[test]
    fn every_day_of_two_centuries_survives_its_name() {
        for day in 0..73_000 {
            assert_eq!(Day(day).to_string().parse::<Day>().unwrap(), Day(day));
        }
        for bad in ["", "2026", "2026-13-01", "2026-01-32", "2026-1", "x-y-z", "0001-01-01"] {
            assert!(bad.parse::<Day>().is_err(), "{bad:?}");
        }
    }
}
