//! Points in time, as values.

mod parse;

use std::fmt;

pub use parse::{BadStamp, BadZone};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// A point in time: microseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp(pub i64);

/// A fixed distance from UTC, in seconds east of Greenwich.
///
/// Existing clients expect local times without a zone. A broker that changed its clock twice a year would send one
/// hour twice, so the distance is a setting and stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Zone {
    /// Seconds east of Greenwich.
    pub east_seconds: i32,
}

impl Stamp {
    /// Returns the stamp `micros` microseconds later (earlier if negative), at most the end of time.
    #[must_use]
    pub fn plus_micros(self, micros: i64) -> Stamp {
        Stamp(self.0.saturating_add(micros))
    }

    /// Returns the microseconds from `earlier` to this stamp.
    #[must_use]
    pub fn micros_since(self, earlier: Stamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the time of day without a zone: `2026-11-21T03:56:00.000000`, always with six digits.
    #[must_use]
    pub fn naive(self, zone: Zone) -> Naive {
        Naive(self.plus_micros(i64::from(zone.east_seconds) * MICROS_PER_SECOND))
    }

    /// Returns this stamp cut down to a multiple of `seconds`, counted in `zone`.
    #[must_use]
    pub fn floor_to(self, seconds: i64, zone: Zone) -> Stamp {
        let east = i64::from(zone.east_seconds) * MICROS_PER_SECOND;
        let unit = seconds * MICROS_PER_SECOND;
        Stamp((self.0.saturating_add(east)).div_euclid(unit) * unit - east)
    }
}

/// RFC 3339 in UTC with six digits: `2026-11-21T03:56:00.000000Z`.
impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Z", Naive(*self))
    }
}

/// A stamp that prints without a zone, see [`Stamp::naive`].
#[derive(Debug, Clone, Copy)]
pub struct Naive(Stamp);

impl fmt::Display for Naive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.0.rem_euclid(MICROS_PER_SECOND);
        let seconds = self.0.0.div_euclid(MICROS_PER_SECOND);
        let (year, month, day) = civil(seconds.div_euclid(SECONDS_PER_DAY));
        let second = seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute) = (second / 3600, second / 60 % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}.{micros:06}",
            second % 60
        )
    }
}

/// Year, month and day of a day number since 1970-01-01, in the proleptic Gregorian calendar.
///
/// Source: the days-from-civil inverse of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_print_as_calendars_say() {
        // `date -u -d @N +%FT%T` for each.
        let cases = [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_709_251_199, "2024-02-29T23:59:59"),
            (1_767_225_600, "2026-01-01T00:00:00"),
            (-1, "1969-12-31T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ];
        for (seconds, expected) in cases {
            let stamp = Stamp(seconds * MICROS_PER_SECOND + 7);
            assert_eq!(stamp.to_string(), format!("{expected}.000007Z"));
        }
    }

    #[test]
    fn a_zone_shifts_the_clock_and_the_midnight() {
        let zone = Zone {
            east_seconds: 2 * 3600,
        };
        let stamp = Stamp(23 * 3600 * MICROS_PER_SECOND);
        assert_eq!(stamp.naive(zone).to_string(), "1970-01-02T01:00:00.000000");
        assert_eq!(
            stamp.floor_to(86_400, zone),
            Stamp(22 * 3600 * MICROS_PER_SECOND)
        );
        assert_eq!(stamp.floor_to(86_400, Zone::default()), Stamp(0));
    }
}
