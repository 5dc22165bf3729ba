//! The canonical form against CPython itself: `json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))`.
//!
//! Bounded: a fixed number of texts from a fixed seed. `ATTEST_TEXTS` asks for more.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use attest::{Code, Fault, Limits, canonicalise};

/// Texts that are compared when nobody asks for more.
const TEXTS: usize = 20_000;
/// Doubles of one text of doubles.
const DOUBLES: usize = 50;

/// Reads a text a line, answers with its canonical form or `!`.
const SCRIPT: &str = r#"
import json, sys
for line in sys.stdin.buffer:
    try:
        value = json.loads(line.decode("utf-8"))
        out = json.dumps(value, sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        out = "!"
    sys.stdout.write(out + "\n")
"#;

/// SplitMix64, by Sebastiano Vigna.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

fn space(dice: &mut Dice, out: &mut String) {
    out.push_str(dice.one_of(&["", "", "", " ", "\t", "\r", "  "]));
}

fn number(dice: &mut Dice, out: &mut String) {
    let digits = |dice: &mut Dice, out: &mut String, most: usize| {
        for _ in 0..1 + dice.below(most) {
            out.push(char::from(b'0' + dice.below(10) as u8));
        }
    };
    out.push_str(dice.one_of(&["", "", "-"]));
    match dice.below(4) {
        0 => out.push('0'),
        _ => {
            out.push(char::from(b'1' + dice.below(9) as u8));
            digits(dice, out, 24);
        }
    }
    if dice.below(2) == 0 {
        out.push('.');
        digits(dice, out, 24);
    }
    if dice.below(3) == 0 {
        out.push(dice.one_of(&['e', 'E']));
        out.push_str(dice.one_of(&["", "+", "-"]));
        let most = dice.one_of(&[1, 2, 3]);
        digits(dice, out, most);
    }
}

/// A double of any exponent, spelt as one of several programs would.
fn double(dice: &mut Dice, out: &mut String) {
    let bits = match dice.below(4) {
        // Exact ties of the shortest digits are here.
        0 => (1u64 << (48 + dice.below(5))).wrapping_add(dice.roll() >> 14) | 0x4300 << 48,
        _ => dice.roll(),
    };
    let number = f64::from_bits(bits);
    if number.is_finite() {
        let spelt = match dice.below(3) {
            0 => format!("{number:e}"),
            1 => format!("{number:.17e}"),
            _ => format!("{number:?}"),
        };
        out.push_str(&spelt);
    } else {
        out.push_str("0.5");
    }
}

fn string(dice: &mut Dice, out: &mut String) {
    out.push('"');
    for _ in 0..dice.below(12) {
        match dice.below(10) {
            0 => out.push_str(dice.one_of(&[
                "\\n",
                "\\t",
                "\\r",
                "\\b",
                "\\f",
                "\\/",
                "\\\\",
                "\\\"",
                "\\u0000",
                "\\u001F",
                "\\u007f",
                "\\u00E9",
                "\\u00e9",
                "\\ud83c\\udf89",
                "\\uD83C\\uDF89",
                "\\u0041",
            ])),
            1 => out.push(dice.one_of(&[
                'é', '中', '🎉', '\u{7f}', '\u{2028}', '\u{e000}', '\u{ffff}',
            ])),
            2 => {
                let code = dice.below(0x11_0000) as u32;
                out.extend(char::from_u32(code).filter(|ch| *ch >= ' ' && !"\"\\".contains(*ch)));
            }
            3 if dice.below(60) == 0 => {
                out.push_str(dice.one_of(&["\\ud800", "\\udc00", "\\x", "\u{1}"]))
            }
            _ => out.push(char::from(b'#' + dice.below(57) as u8)),
        }
    }
    out.push('"');
}

fn value(dice: &mut Dice, out: &mut String, depth: usize) {
    let kinds = if depth == 0 { 7 } else { 10 };
    match dice.below(kinds) {
        0 => out.push_str(dice.one_of(&["null", "true", "false"])),
        1 | 2 => number(dice, out),
        3 => double(dice, out),
        4..=6 => string(dice, out),
        7 => {
            out.push('[');
            for nth in 0..dice.below(6) {
                out.push_str(if nth > 0 { "," } else { "" });
                space(dice, out);
                value(dice, out, depth - 1);
                space(dice, out);
            }
            out.push(']');
        }
        _ => {
            out.push('{');
            for nth in 0..dice.below(7) {
                out.push_str(if nth > 0 { "," } else { "" });
                space(dice, out);
                string(dice, out);
                space(dice, out);
                out.push(':');
                space(dice, out);
                value(dice, out, depth - 1);
                space(dice, out);
            }
            out.push('}');
        }
    }
}

fn text(dice: &mut Dice) -> String {
    let mut out = String::new();
    if dice.below(10) == 0 {
        out.push('[');
        for nth in 0..DOUBLES {
            out.push_str(if nth > 0 { "," } else { "" });
            double(dice, &mut out);
        }
        out.push(']');
        return out;
    }
    space(dice, &mut out);
    value(dice, &mut out, 6);
    space(dice, &mut out);
    // Now and then something that is no JSON.
    if dice.below(25) == 0 {
        let mut chars: Vec<char> = out.chars().collect();
        let at = dice.below(chars.len());
        chars[at] = dice.one_of(&['"', '\\', ',', '0', '.', 'e', '}', ']', '-', ' ']);
        out = chars.into_iter().collect();
    }
    out.replace(['\n', '\r'], " ")
}

fn python() -> Option<Child> {
    let started = Command::new("python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    match started {
        Ok(child) => Some(child),
        Err(err) => {
            assert!(
                std::env::var_os("CI").is_none(),
                "python3 does not start: {err}"
            );
            let note = format!("SKIPPED: canonical form against CPython: no python3 ({err})\n");
            let _ = std::io::stderr().write_all(note.as_bytes());
            None
        }
    }
}

/// Tells whether a refusal is one that is documented: Python takes the text, and we do not.
fn is_ours_alone(fault: &Fault) -> bool {
    let said = |what: &str| fault.detail.contains(what);
    fault.code == Code::DuplicateKey || said("surrogate") || said("beyond the range of a double")
}

#[test]
fn no_text_has_another_canonical_form_in_python() {
    let Some(mut child) = python() else {
        return;
    };
    let count =
        std::env::var("ATTEST_TEXTS").map_or(TEXTS, |count| count.parse().expect("a number"));
    let mut input = child.stdin.take().expect("stdin");
    let output = BufReader::new(child.stdout.take().expect("stdout"));
    let writer = std::thread::spawn(move || {
        let mut dice = Dice(0x0061_7474_6573_7431);
        for _ in 0..count {
            writeln!(input, "{}", text(&mut dice)).expect("python reads");
        }
    });
    let mut dice = Dice(0x0061_7474_6573_7431);
    let (mut same, mut refused) = (0, 0);
    for theirs in output.lines() {
        let text = text(&mut dice);
        let theirs = theirs.expect("a line");
        match canonicalise(text.as_bytes(), &Limits::default()) {
            Ok(ours) => {
                assert_eq!(ours, theirs, "{text}");
                same += 1;
            }
            Err(fault) => {
                let both = theirs == "!";
                assert!(
                    both || is_ours_alone(&fault),
                    "only we refuse {text}: {fault}"
                );
                refused += 1;
            }
        }
    }
    writer.join().expect("all was written");
    assert_eq!(same + refused, count, "an answer for every text");
    assert!(same > count * 8 / 10, "{same} of {count} were compared");
    assert!(child.wait().expect("python ends").success());
}
