//! Doubles as Python spells them.

/// Least decimal exponent of the first digit that is written without an exponent: 0.0001 is, 0.00001 is 1e-05.
const MIN_PLAIN: i32 = -4;
/// Decimal exponent of the first digit from which on an exponent is written: 1e16.
const MAX_PLAIN: i32 = 16;

/// Writes a finite double as CPython's `float.__repr__` does.
///
/// The digits are the shortest that read back as the same double, the one closest to it where there are several, and
/// the even one where two are equally close. The standard library takes the upper one there, so its formatter does not
/// do. Source of the layout: CPython's `float_repr_style = "short"`, format code `r`.
pub(crate) fn write_float(out: &mut String, number: f64) {
    if number == 0.0 {
        out.push_str(if number.is_sign_negative() {
            "-0.0"
        } else {
            "0.0"
        });
        return;
    }
    let mut buffer = zmij::Buffer::new();
    let spelt = buffer.format_finite(number);
    let spelt = match spelt.strip_prefix('-') {
        Some(rest) => {
            out.push('-');
            rest
        }
        None => spelt,
    };
    let mut digits = Digits::of(spelt);
    layout(out, digits.trimmed());
}

/// The digits of a number, and the decimal exponent of the first.
struct Digits {
    digits: [u8; 24],
    len: usize,
    exponent: i32,
}

impl Digits {
    /// Takes the digits out of `123.45`, `1.2345e2` or `0.0012`, whichever way they were laid out.
    fn of(spelt: &str) -> Digits {
        let (mantissa, exponent) = spelt.split_once('e').unwrap_or((spelt, "0"));
        let mut digits = Digits {
            digits: [0; 24],
            len: 0,
            exponent: exponent.parse().unwrap_or(0),
        };
        let mut seen_point = false;
        let mut before_point = 0;
        for byte in mantissa.bytes() {
            if byte == b'.' {
                seen_point = true;
                continue;
            }
            if digits.len == 0 && byte == b'0' {
                // A leading zero is no digit; behind the point it moves the first one.
                before_point -= i32::from(seen_point);
                continue;
            }
            before_point += i32::from(!seen_point);
            if digits.len < digits.digits.len() {
                digits.digits[digits.len] = byte;
                digits.len += 1;
            }
        }
        digits.exponent += before_point - 1;
        digits
    }

    /// Takes trailing zeros off.
    fn trimmed(&mut self) -> (&str, i32) {
        while self.len > 1 && self.digits[self.len - 1] == b'0' {
            self.len -= 1;
        }
        let digits = std::str::from_utf8(&self.digits[..self.len]).unwrap_or("0");
        (digits, self.exponent)
    }
}

fn layout(out: &mut String, (digits, exponent): (&str, i32)) {
    if !(MIN_PLAIN..MAX_PLAIN).contains(&exponent) {
        return scientific(out, digits, exponent);
    }
    if exponent < 0 {
        out.push_str("0.");
        (exponent + 1..0).for_each(|_| out.push('0'));
        out.push_str(digits);
        return;
    }
    let before_point = exponent as usize + 1;
    if digits.len() > before_point {
        let (whole, fraction) = digits.split_at(before_point);
        out.push_str(whole);
        out.push('.');
        out.push_str(fraction);
    } else {
        out.push_str(digits);
        (digits.len()..before_point).for_each(|_| out.push('0'));
        out.push_str(".0");
    }
}

/// Writes `d.ddde±XX`: a sign always, two digits of exponent at least.
fn scientific(out: &mut String, digits: &str, exponent: i32) {
    let (first, rest) = digits.split_at(1);
    out.push_str(first);
    if !rest.is_empty() {
        out.push('.');
        out.push_str(rest);
    }
    out.push_str(if exponent < 0 { "e-" } else { "e+" });
    let size = exponent.unsigned_abs();
    if size >= 100 {
        out.push(char::from(b'0' + (size / 100) as u8));
    }
    out.push(char::from(b'0' + (size / 10 % 10) as u8));
    out.push(char::from(b'0' + (size % 10) as u8));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_out_of_every_layout() {
        for (spelt, expected) in [
            ("123.45", ("12345", 2)),
            ("1.2345e2", ("12345", 2)),
            ("0.0012", ("12", -3)),
            ("1e-7", ("1", -7)),
            ("100.0", ("1", 2)),
            ("5e-324", ("5", -324)),
        ] {
            assert_eq!(Digits::of(spelt).trimmed(), expected, "{spelt}");
        }
    }

    #[test]
    fn doubles_are_spelt_as_python_spells_them() {
        // python3 -c 'print(repr(N))' for each.
        for (number, expected) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.000123, "0.000123"),
            (1.5e-7, "1.5e-07"),
            (123_456_789_012_345_678.0, "1.2345678901234568e+17"),
            (1e100, "1e+100"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            // Half way between two spellings: the even one.
            ((1_u64 << 49) as f64 + 0.25, "562949953421312.2"),
            (f64::powi(2.0, -25), "2.9802322387695312e-08"),
            (-123.456, "-123.456"),
        ] {
            let mut out = String::new();
            write_float(&mut out, number);
            assert_eq!(out, expected);
        }
    }
}
