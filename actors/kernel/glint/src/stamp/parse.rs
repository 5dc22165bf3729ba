//! Instants out of text.

use std::str::FromStr;

use thiserror::Error;

use super::{MICROS_PER_SECOND, SECONDS_PER_DAY, Stamp, Zone};

/// Digits of a second that a [`Stamp`] can hold.
const FRACTION_DIGITS: usize = 6;

/// A text that is no instant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(r#"write an instant with a zone, such as "2026-01-01T06:00:00Z""#)]
pub struct BadStamp;

/// A text that is no distance from UTC.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(r#"write sign, hours and minutes, such as "+02:00" or "-04:30""#)]
pub struct BadZone;

/// Reads an instant as RFC 3339 section 5.6 has it.
impl FromStr for Stamp {
    type Err = BadStamp;

    fn from_str(text: &str) -> Result<Stamp, BadStamp> {
        stamp(text).ok_or(BadStamp)
    }
}

/// Reads `+HH:MM`, `-HH:MM` or `Z`.
impl FromStr for Zone {
    type Err = BadZone;

    fn from_str(text: &str) -> Result<Zone, BadZone> {
        let seconds = offset_seconds(text.as_bytes()).ok_or(BadZone)?;
        let east_seconds = i32::try_from(seconds).map_err(|_| BadZone)?;
        Ok(Zone { east_seconds })
    }
}

/// Reads an instant as RFC 3339 section 5.6 has it; a leap second counts as the second after it, as POSIX does.
fn stamp(text: &str) -> Option<Stamp> {
    let bytes = text.as_bytes();
    let (date, rest) = bytes.split_at_checked(10)?;
    let (separator, rest) = rest.split_first()?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let layout = (date[4], date[7], clock[2], clock[5]) == (b'-', b'-', b':', b':');
    if !layout || !matches!(separator, b'T' | b't' | b' ') {
        return None;
    }
    let (year, month, day) = (
        digits(&date[..4])?,
        digits(&date[5..7])?,
        digits(&date[8..])?,
    );
    let (hour, minute, second) = (
        digits(&clock[..2])?,
        digits(&clock[3..5])?,
        digits(&clock[6..])?,
    );
    let in_range = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range {
        return None;
    }
    let (micros, zone) = fraction(rest)?;
    let local =
        days_from_civil(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second
            - offset_seconds(zone)?;
    Some(Stamp(local * MICROS_PER_SECOND + micros))
}

/// The microseconds of an optional fraction, and what follows it. Digits beyond microseconds are cut off.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some(rest) = rest.strip_prefix(b".") else {
        return Some((0, rest));
    };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (all, zone) = rest.split_at(count);
    let kept = &all[..count.min(FRACTION_DIGITS)];
    let missing = FRACTION_DIGITS - kept.len();
    let scale = (0..missing).fold(1, |scale, _| scale * 10);
    Some((digits(kept)? * scale, zone))
}

/// Seconds east of Greenwich of `Z`, `+HH:MM` or `-HH:MM`.
fn offset_seconds(text: &[u8]) -> Option<i64> {
    if matches!(text, b"Z" | b"z") {
        return Some(0);
    }
    let (sign, rest) = text.split_first()?;
    if rest.len() != 5 || rest[2] != b':' {
        return None;
    }
    let (hours, minutes) = (digits(&rest[..2])?, digits(&rest[3..])?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// A run of at least one decimal digit as a number.
fn digits(text: &[u8]) -> Option<i64> {
    let all_digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    all_digits.then(|| {
        text.iter()
            .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'))
    })
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The day number since 1970-01-01 of a date in the proleptic Gregorian calendar.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year_from_march = if month <= 2 { year - 1 } else { year };
    let era = year_from_march.div_euclid(400);
    let year_of_era = year_from_march.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_read_back_as_they_print() {
        for text in [
            "1970-01-01T00:00:00.000000Z",
            "2000-02-29T23:59:59.999999Z",
            "2026-11-21T03:56:00.120000Z",
            "1969-12-31T23:59:59.000001Z",
            "0001-01-01T00:00:00.000000Z",
            "9999-12-31T23:59:59.000000Z",
        ] {
            assert_eq!(
                stamp(text).map(|stamp| stamp.to_string()),
                Some(text.into())
            );
        }
    }

    #[test]
    fn zones_and_fractions_are_taken_into_account() {
        let cases = [
            ("2026-01-01T06:00:00+02:00", "2026-01-01T04:00:00.000000Z"),
            ("2026-01-01T22:00:00.5-04:30", "2026-01-02T02:30:00.500000Z"),
            (
                "2026-01-01t06:00:00.1234567z",
                "2026-01-01T06:00:00.123456Z",
            ),
            ("2016-12-31 23:59:60Z", "2017-01-01T00:00:00.000000Z"),
        ];
        for (text, expected) in cases {
            assert_eq!(
                stamp(text).map(|stamp| stamp.to_string()),
                Some(expected.into())
            );
        }
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "noon",
            "2026-01-01",
            "2026-01-01T06:00:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T06:00:00.Z",
            "2026-01-01T06:00:00+0200",
            "2026-01-01T06:00:00Z ",
            "+026-01-01T06:00:00Z",
            "２０２６-01-01T06:00:00Z",
        ] {
            assert_eq!(text.parse::<Stamp>(), Err(BadStamp), "{text}");
        }
        for text in [
            "",
            "2",
            "02:00",
            "+24:00",
            "+02:60",
            "+2:00",
            "Europe/Berlin",
        ] {
            assert_eq!(text.parse::<Zone>(), Err(BadZone), "{text}");
        }
        assert_eq!(
            "-04:30".parse(),
            Ok(Zone {
                east_seconds: -16_200
            })
        );
    }
}
