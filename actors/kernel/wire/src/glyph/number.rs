//! Numbers: the canonical spelling of the double that a JSON lexeme stands for.

use std::fmt::Write as _;

use super::WriteError;

/// Largest integer up to which doubles can tell neighbours apart; beyond it integers are spelt as floats.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// Decimals of up to this many digits come back from a double unchanged, so they are their own shortest spelling.
const EXACT_DIGITS: usize = 15;

/// Decimal exponents outside this range are spelt with an exponent.
const PLAIN_EXPONENTS: std::ops::RangeInclusive<i32> = -4..=5;

/// How much of a bad number an error message repeats.
const QUOTED_CHARS: usize = 24;

/// Appends the canonical spelling of `lexeme`.
pub(super) fn push(lexeme: &str, out: &mut String) -> Result<(), WriteError> {
    if is_canonical_integer(lexeme) || is_canonical_decimal(lexeme) {
        out.push_str(lexeme);
        return Ok(());
    }
    let Ok(number) = lexeme.parse::<f64>() else {
        return Err(WriteError::NotANumber {
            lexeme: head(lexeme),
        });
    };
    if !number.is_finite() {
        return Err(WriteError::NumberRange {
            lexeme: head(lexeme),
        });
    }
    if number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER {
        // The cast cannot round here, and it drops the sign of a negative zero.
        push_formatted(out, format_args!("{}", number as i64));
    } else {
        push_shortest(number, out);
    }
    Ok(())
}

fn head(lexeme: &str) -> String {
    lexeme.chars().take(QUOTED_CHARS).collect()
}

fn push_formatted(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail; the result exists for other sinks.
    let _ = out.write_fmt(text);
}

/// Tells whether `lexeme` is an integer of at most 15 digits that is spelt canonically already.
fn is_canonical_integer(lexeme: &str) -> bool {
    let digits = lexeme.strip_prefix('-').unwrap_or(lexeme).as_bytes();
    match digits {
        [b'0'] => lexeme.len() == 1,
        [b'1'..=b'9', rest @ ..] => {
            rest.len() < EXACT_DIGITS && rest.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

/// Tells whether `lexeme` is a short plain decimal such as `-12.5` that is spelt canonically already.
fn is_canonical_decimal(lexeme: &str) -> bool {
    let unsigned = lexeme.strip_prefix('-').unwrap_or(lexeme);
    let Some((whole, fraction)) = unsigned.split_once('.') else {
        return false;
    };
    let (whole, fraction) = (whole.as_bytes(), fraction.as_bytes());
    let all_digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
    if !all_digits || whole.len() + fraction.len() > EXACT_DIGITS {
        return false;
    }
    if matches!(fraction.last(), None | Some(b'0')) {
        return false;
    }
    match whole {
        // The first four decimals must not all be zero, or the spelling takes an exponent.
        [b'0'] => fraction.iter().take(4).any(|digit| *digit != b'0'),
        [b'1'..=b'9', ..] => whole.len() <= 6,
        _ => false,
    }
}

fn push_shortest(number: f64, out: &mut String) {
    let start = out.len();
    push_formatted(out, format_args!("{number:e}"));
    let spelt = out.split_off(start);
    let (mantissa, exponent) = spelt.split_once('e').unwrap_or((&spelt, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !PLAIN_EXPONENTS.contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        push_formatted(
            out,
            format_args!("{mantissa}e{sign}{:02}", exponent.unsigned_abs()),
        );
        return;
    }
    // Within these exponents the plain spelling of the standard library has the same digits.
    push_formatted(out, format_args!("{number}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(lexeme: &str) -> String {
        let mut out = String::new();
        push(lexeme, &mut out).unwrap();
        out
    }

    #[test]
    fn spells_numbers_as_the_reference_table_does() {
        let table = [
            ("0", "0"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("0e9", "0"),
            ("3.0", "3"),
            ("-3.0", "-3"),
            ("1e3", "1000"),
            ("1e5", "100000"),
            ("12e-1", "1.2"),
            ("0.1", "0.1"),
            ("0.10", "0.1"),
            ("-12.5", "-12.5"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("0.0001", "0.0001"),
            ("0.00012", "0.00012"),
            ("0.00001", "1e-05"),
            ("-0.000012", "-1.2e-05"),
            ("1e-7", "1e-07"),
            ("1E-7", "1e-07"),
            ("999999.5", "999999.5"),
            ("1234567.5", "1.2345675e+06"),
            ("-1234567.5", "-1.2345675e+06"),
            ("9007199254740991", "9007199254740991"),
            ("-9007199254740991", "-9007199254740991"),
            ("9007199254740992", "9.007199254740992e+15"),
            ("9007199254740993", "9.007199254740992e+15"),
            ("1e21", "1e+21"),
            ("1e100", "1e+100"),
            ("5e-324", "5e-324"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("1e-400", "0"),
        ];
        for (lexeme, expected) in table {
            assert_eq!(canonical(lexeme), expected, "{lexeme}");
        }
    }

    #[test]
    fn the_short_cut_and_the_long_way_spell_the_same_double_alike() {
        for scale in 1..12_usize {
            for digits in [1_u64, 7, 42, 105, 99_999, 123_456, 999_999, 1_000_001] {
                let plain = format!("{digits:0>width$}", width = scale + 1);
                let (whole, fraction) = plain.split_at(plain.len() - scale);
                let short = canonical(&format!("{whole}.{fraction}"));
                assert_eq!(short, canonical(&format!("{digits}e-{scale}")));
            }
        }
    }

    #[test]
    fn refuses_a_number_beyond_the_range_of_a_double() {
        let huge = "9".repeat(400);
        for lexeme in [huge.as_str(), "-1e999", "NaN", "inf"] {
            let err = push(lexeme, &mut String::new()).unwrap_err();
            assert_eq!(err.code(), "glyph_number_range", "{err}");
            assert!(err.to_string().len() < 100);
        }
        let err = push("1_000", &mut String::new()).unwrap_err();
        assert_eq!(err.code(), "glyph_not_a_number");
    }
}
