//! From a URL to its payload: a JSON object in a token of the URL, with ten declared fields.

use std::borrow::Cow;
use std::collections::HashMap;

use glint::json::{Member, Value, parse_to_depth};

use crate::form::{pairs, unescape};
use crate::scan::MAX_DEPTH;
use crate::token;
use crate::url::{Base, Parts, canonical, trim};

/// Largest token in bytes, decoded.
const TOKEN_MAX_BYTES: usize = 2_000_000;

/// Most digits of an integer in a string.
const DIGITS_MAX: usize = 4_300;

/// The parameters that carry tokens, in the order in which they are tried.
const TOKEN_KEYS: [&str; 4] = ["p", "t", "root", "token"];

/// Shortest name of a content route in hexadecimal digits.
const CONTENT_MIN: usize = 16;

/// Candidates beyond this are looked up by hash, so that many cost no more than linear time.
const FEW_CANDIDATES: usize = 16;

/// What entries are ordered by before their URLs. An absent number counts as nought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rank {
    /// The pulse.
    pub pulse: i128,
    /// The beat.
    pub beat: i128,
    /// The step.
    pub step: i128,
}

/// The two links of an entry, canonical or as its payload says them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Links {
    /// `originUrl`: where a chain began.
    pub origin: Option<Box<str>>,
    /// `parentUrl`: the one before.
    pub parent: Option<Box<str>>,
}

/// The names of the declared text fields, in the order in which they are written.
pub const TEXT_FIELDS: [&str; 7] = [
    "chakraDay",
    "kaiSignature",
    "originUrl",
    "parentUrl",
    "userPhiKey",
    "phiKey",
    "phikey",
];

/// The names of the declared numbers, in the order in which they are written.
pub const NUMBER_FIELDS: [&str; 3] = ["pulse", "beat", "stepIndex"];

const ORIGIN: usize = 2;
const PARENT: usize = 3;

/// Other names of declared fields. The first one that is there counts, if its type is right.
const NUMBER_ALIASES: [&[&str]; 3] = [&["u"], &["b"], &["s", "step_index", "step"]];
const TEXT_ALIASES: [&[&str]; 7] = [
    &["c", "chakra_day"],
    &["kai_signature"],
    &["origin_url"],
    &["parent_url"],
    &[],
    &[],
    &[],
];

/// A payload: ten declared fields and whatever else its author put there.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload<'t> {
    /// `pulse`, `beat` and `stepIndex`.
    pub numbers: [Option<i128>; 3],
    /// The fields of [`TEXT_FIELDS`].
    pub texts: [Option<Cow<'t, str>>; 7],
    /// All other members, in their order.
    pub extras: Vec<Member<'t>>,
}

/// What an entry keeps of its payload: the rest is a function of its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The order of the entry.
    pub rank: Rank,
    /// Whether the pulse is a number; else [`Rank::pulse`] is nought.
    pub has_pulse: bool,
    /// The links as the payload says them.
    pub links: Links,
}

impl<'t> Payload<'t> {
    /// Reads an object as a payload; nothing if a declared field has no value of its type.
    #[must_use]
    pub fn read(members: Vec<Member<'t>>) -> Option<Payload<'t>> {
        let mut numbers: [Option<Value<'t>>; 3] = [const { None }; 3];
        let mut texts: [Option<Value<'t>>; 7] = [const { None }; 7];
        let mut extras = Vec::with_capacity(members.len());
        for (key, value) in members {
            let place = |fields: &[&str]| fields.iter().position(|field| *field == key);
            if let Some(at) = place(&NUMBER_FIELDS) {
                numbers[at] = Some(value);
            } else if let Some(at) = place(&TEXT_FIELDS) {
                texts[at] = Some(value);
            } else {
                extras.push((key, value));
            }
        }
        fill(&mut numbers, &NUMBER_ALIASES, &extras, is_integer);
        fill(&mut texts, &TEXT_ALIASES, &extras, |value| {
            value.as_str().is_some()
        });
        let mut payload = Payload {
            numbers: [None; 3],
            texts: [const { None }; 7],
            extras,
        };
        for (number, value) in payload.numbers.iter_mut().zip(numbers) {
            *number = integer(&value.unwrap_or(Value::Null))?;
        }
        for (text, value) in payload.texts.iter_mut().zip(texts) {
            *text = match value {
                None | Some(Value::Null) => None,
                Some(Value::String(said)) => Some(said),
                Some(_) => return None,
            };
        }
        Some(payload)
    }

    /// Returns what an entry keeps of it.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let [pulse, beat, step] = self.numbers.map(Option::unwrap_or_default);
        let link = |at: usize| self.texts[at].as_deref().map(Box::from);
        Summary {
            rank: Rank { pulse, beat, step },
            has_pulse: self.numbers[0].is_some(),
            links: Links {
                origin: link(ORIGIN),
                parent: link(PARENT),
            },
        }
    }

    /// Puts the links of an entry in place of its own.
    #[must_use]
    pub fn with_links(mut self, links: &'t Links) -> Payload<'t> {
        self.texts[ORIGIN] = links.origin.as_deref().map(Cow::Borrowed);
        self.texts[PARENT] = links.parent.as_deref().map(Cow::Borrowed);
        self
    }
}

/// Fills fields that are absent from their aliases. A field that is there, even as null, stays.
fn fill<'t, const N: usize>(
    fields: &mut [Option<Value<'t>>; N],
    aliases: &[&[&str]; N],
    extras: &[Member<'t>],
    fits: impl Fn(&Value<'t>) -> bool,
) {
    for (field, names) in fields.iter_mut().zip(aliases) {
        if field.is_some() {
            continue;
        }
        let said = |name: &&str| extras.iter().find(|(key, _)| key == *name);
        if let Some((_, value)) = names.iter().find_map(said)
            && fits(value)
        {
            *field = Some(value.clone());
        }
    }
}

fn is_integer(value: &Value<'_>) -> bool {
    match value {
        Value::Bool(_) => true,
        Value::Number(lexeme) => !lexeme.contains(['.', 'e', 'E']),
        _ => false,
    }
}

/// Reads an integer field: `Some(None)` is null, nothing is a value that is no integer of 128 bits.
fn integer(value: &Value<'_>) -> Option<Option<i128>> {
    /// The existing service takes floats below this, two to the power of 63.
    const FLOAT_LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let number = match value {
        Value::Null => return Some(None),
        Value::Bool(set) => i128::from(*set),
        Value::Number(lexeme) if is_integer(value) => lexeme.parse().ok()?,
        Value::Number(_) => {
            let float = value.as_f64()?;
            (float.fract() == 0.0 && float.abs() < FLOAT_LIMIT).then_some(float as i128)?
        }
        Value::String(text) => integer_of_text(text)?,
        Value::Array(_) | Value::Object(_) => return None,
    };
    Some(Some(number))
}

/// Reads an integer as parameters spell it: blanks around, a sign, digits with single `_` between, `.` and noughts.
#[must_use]
pub fn integer_of_text(text: &str) -> Option<i128> {
    let text = trim(text);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let whole = match digits.split_once('.') {
        Some((whole, noughts))
            if !noughts.is_empty() && noughts.bytes().all(|byte| byte == b'0') =>
        {
            whole
        }
        Some(_) => return None,
        None => digits,
    };
    if whole.len() > DIGITS_MAX
        || whole
            .split('_')
            .any(|run| run.is_empty() || !is_digits(run))
    {
        return None;
    }
    let mut number: i128 = 0;
    for digit in whole.bytes().filter(|byte| *byte != b'_') {
        let digit = i128::from(digit - b'0');
        // Counted down when negative, so that the lowest number is reached.
        let digit = if negative { -digit } else { digit };
        number = number.checked_mul(10)?.checked_add(digit)?;
    }
    Some(number)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Calls `read` with the payload of a URL, if it has one. The URL is made canonical first.
pub fn with_payload<T>(url: &str, base: &Base, read: impl FnOnce(Payload<'_>) -> T) -> Option<T> {
    let canonical = canonical(url, base).ok()??;
    with_canonical_payload(&canonical, read)
}

/// Calls `read` with the payload of a canonical URL, if it has one.
pub fn with_canonical_payload<T>(url: &str, read: impl FnOnce(Payload<'_>) -> T) -> Option<T> {
    let parts = Parts::split(url).ok()?;
    if is_content_route(parts.path) {
        return None;
    }
    // A closure that is called once cannot be handed to a loop as it is.
    let mut read = Some(read);
    let mut tried = Tried::default();
    let mut attempt = |candidate: Cow<'_, str>| -> Option<T> {
        let once = unescape(&candidate);
        let once = trim(&once);
        if once.is_empty() || !tried.is_new(once) {
            return None;
        }
        with_token(once, |payload| read.take().map(|read| read(payload)))?
    };
    if let Some(token) = parts.path.strip_prefix("/stream/p/")
        && !token.is_empty()
        && !token.contains('/')
        && let Some(found) = attempt(Cow::Borrowed(token))
    {
        return Some(found);
    }
    let fragment = parts.fragment.strip_prefix('#').unwrap_or(parts.fragment);
    [parts.query, fragment]
        .into_iter()
        .flat_map(tokens)
        .find_map(&mut attempt)
}

/// Calls `read` with the payload of a token, which is percent-decoded once more first.
pub(crate) fn with_token<T>(token: &str, read: impl FnOnce(Payload<'_>) -> T) -> Option<T> {
    let token = unescape(token);
    if token.starts_with('{') && token.ends_with('}') {
        return with_json(&token, read);
    }
    let mut rest = &*token;
    if let [
        b'c' | b'j' | b'p' | b't' | b'C' | b'J' | b'P' | b'T',
        b':',
        ..,
    ] = token.as_bytes()
    {
        rest = &token[2..];
    }
    let bytes = token::decode(rest)?;
    with_json(std::str::from_utf8(&bytes).ok()?, read)
}

fn with_json<T>(text: &str, read: impl FnOnce(Payload<'_>) -> T) -> Option<T> {
    // Our reader would take a byte order mark off.
    if text.len() > TOKEN_MAX_BYTES || text.starts_with('\u{FEFF}') {
        return None;
    }
    match parse_to_depth(text, MAX_DEPTH) {
        Ok(Value::Object(members)) => Payload::read(members).map(read),
        _ => None,
    }
}

/// The values of the token parameters of a form, by parameter first and then as they stand.
fn tokens(form: &str) -> Vec<Cow<'_, str>> {
    let mut found: Vec<(usize, Cow<'_, str>)> = pairs(form)
        .filter_map(|(key, value)| {
            let at = TOKEN_KEYS.iter().position(|known| *known == key)?;
            Some((at, value))
        })
        .collect();
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, value)| value).collect()
}

/// `/stream/c/<hex>`: content under a name, which is never a payload.
fn is_content_route(path: &str) -> bool {
    path.strip_prefix("/stream/c/").is_some_and(|name| {
        name.len() >= CONTENT_MIN && name.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Which candidates were tried.
#[derive(Debug, Default)]
struct Tried {
    few: Vec<String>,
    many: HashMap<String, ()>,
}

impl Tried {
    fn is_new(&mut self, candidate: &str) -> bool {
        if self.few.iter().any(|tried| tried == candidate) {
            return false;
        }
        if self.few.len() < FEW_CANDIDATES {
            self.few.push(candidate.to_owned());
            return true;
        }
        self.many.insert(candidate.to_owned(), ()).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_spelt_as_parameters() {
        let cases = [
            (" 123.0 ", Some(123)),
            ("1_000", Some(1000)),
            ("007", Some(7)),
            ("+3", Some(3)),
            ("-0", Some(0)),
            ("-170141183460469231731687303715884105728", Some(i128::MIN)),
            ("170141183460469231731687303715884105728", None),
            ("", None),
            ("1.", None),
            (".5", None),
            ("1e3", None),
            ("0x10", None),
            ("1.5", None),
            ("1__0", None),
            ("_1", None),
            ("+-1", None),
            ("１", None),
        ];
        for (text, expected) in cases {
            assert_eq!(integer_of_text(text), expected, "{text:?}");
        }
    }

    fn payload(json: &str) -> Option<[Option<i128>; 3]> {
        with_token(json, |payload| payload.numbers)
    }

    #[test]
    fn aliases_fill_what_is_absent_and_has_the_type() {
        let cases = [
            (
                r#"{"u":1,"b":true,"s":3}"#,
                Some([Some(1), Some(1), Some(3)]),
            ),
            (r#"{"pulse":null,"u":1}"#, Some([None; 3])),
            (r#"{"u":5.0,"b":"5"}"#, Some([None; 3])),
            (r#"{"s":"x","step":4}"#, Some([None; 3])),
            (r#"{"step":4,"step_index":5}"#, Some([None, None, Some(5)])),
            (
                r#"{"pulse":1e3,"beat":" 7 ","stepIndex":false}"#,
                Some([Some(1000), Some(7), Some(0)]),
            ),
            (r#"{"pulse":1e19}"#, None),
            (r#"{"pulse":1.5}"#, None),
            (r#"{"pulse":[]}"#, None),
            (r#"{"pulse":NaN}"#, None),
            (r#"{"x":1e999}"#, None),
            (r#"{"pulse":170141183460469231731687303715884105728}"#, None),
            (r#"{"phiKey":5}"#, None),
            ("[1]", None),
        ];
        for (json, expected) in cases {
            assert_eq!(payload(json), expected, "{json}");
        }
    }

    #[test]
    fn extras_stay_in_their_order_with_aliases_among_them() {
        let read = with_token(r#"{"z":1,"u":9,"chakraDay":"Root","a":[]}"#, |payload| {
            let keys: Vec<String> = payload
                .extras
                .iter()
                .map(|(key, _)| key.to_string())
                .collect();
            (keys, payload.texts[0].as_deref().map(str::to_owned))
        });
        let (keys, chakra) = read.unwrap();
        assert_eq!(keys, ["z", "u", "a"]);
        assert_eq!(chakra.as_deref(), Some("Root"));
    }

    #[test]
    fn tokens_are_found_by_parameter_and_decoded_three_times() {
        let base = Base::default();
        let pulse = |url: &str| with_payload(url, &base, |payload| payload.numbers[0]).flatten();
        // {"u":7}
        assert_eq!(pulse("https://h/s/x?t=eyJ1Ijo4fQ&p=eyJ1Ijo3fQ"), Some(7));
        assert_eq!(pulse("https://h/s/x?p=%25%37%42%2522u%2522%3A7}"), Some(7));
        assert_eq!(pulse("https://h/s/x#/route?p=eyJ1Ijo3fQ"), None);
        assert_eq!(pulse("https://h/s/x##p=eyJ1Ijo3fQ"), Some(7));
        assert_eq!(pulse("https://h/stream/p/C:eyJ1Ijo3fQ"), Some(7));
        assert_eq!(pulse("https://h/stream/p/eyJ1Ijo3fQ/"), None);
        assert_eq!(
            pulse("https://h/stream/c/0123456789abcde?p=eyJ1Ijo3fQ"),
            Some(7)
        );
        assert_eq!(
            pulse("https://h/stream/c/0123456789abcdef?p=eyJ1Ijo3fQ"),
            None
        );
        // A byte order mark is not JSON.
        assert_eq!(pulse("https://h/s/x?p=77u_eyJ1Ijo3fQ"), None);
    }
}
