//! From a URL to the fields of its payload.

use serde_json::Value;

use super::Fields;
use super::url::{forms, split, strip, unquote};

const DECLARED: [&str; 10] = [
    "pulse",
    "beat",
    "stepIndex",
    "chakraDay",
    "kaiSignature",
    "originUrl",
    "parentUrl",
    "userPhiKey",
    "phiKey",
    "phikey",
];

pub(super) fn decode(key: &str) -> Option<Fields> {
    let path = split(key).path;
    if let Some(name) = path.strip_prefix("/stream/c/")
        && name.len() >= 16
        && name.chars().all(|ch| ch.is_ascii_hexdigit())
    {
        return None;
    }
    let mut candidates = Vec::new();
    if let Some(token) = path.strip_prefix("/stream/p/")
        && !token.contains('/')
    {
        candidates.push(token.to_owned());
    }
    for form in forms(key) {
        for wanted in ["p", "t", "root", "token"] {
            candidates.extend(
                form.iter()
                    .filter(|(name, _)| name == wanted)
                    .map(|(_, value)| value.clone()),
            );
        }
    }
    candidates
        .iter()
        .find_map(|candidate| token(&unquote(&strip(&unquote(candidate)))))
}

pub(super) fn token(text: &str) -> Option<Fields> {
    if text.is_empty() {
        return None;
    }
    let json = if text.starts_with('{') && text.ends_with('}') {
        text.to_owned()
    } else {
        let prefixed =
            text.chars().nth(1) == Some(':') && "cjptCJPT".contains(text.chars().next()?);
        String::from_utf8(base64(&text[if prefixed { 2 } else { 0 }..])?).ok()?
    };
    match serde_json::from_str(&json).ok()? {
        Value::Object(members) => validate(members),
        _ => None,
    }
}

/// Bit by bit.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut chars: Vec<char> = text.chars().collect();
    while !chars.len().is_multiple_of(4) {
        chars.push('=');
    }
    let mut bits: Vec<bool> = Vec::new();
    let (mut sextets, mut pads, mut done) = (0, 0, false);
    for ch in chars {
        let value = match ch {
            '+' | '-' => 62,
            '/' | '_' => 63,
            '=' => {
                if sextets % 4 >= 2 {
                    pads += 1;
                    if sextets % 4 + pads >= 4 {
                        done = true;
                        break;
                    }
                }
                continue;
            }
            ch => match ALPHABET.find(ch) {
                Some(at) => at,
                None => continue,
            },
        };
        pads = 0;
        sextets += 1;
        bits.extend((0..6).rev().map(|bit| value >> bit & 1 == 1));
    }
    if !done && sextets % 4 != 0 {
        return None;
    }
    let whole = bits.len() / 8;
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    Some(bits.chunks(8).take(whole).map(byte).collect())
}

pub(super) fn validate(members: Fields) -> Option<Fields> {
    let mut source = members.clone();
    let aliases: [(&str, &[&str], bool); 7] = [
        ("pulse", &["u"], true),
        ("beat", &["b"], true),
        ("stepIndex", &["s", "step_index", "step"], true),
        ("chakraDay", &["c", "chakra_day"], false),
        ("kaiSignature", &["kai_signature"], false),
        ("originUrl", &["origin_url"], false),
        ("parentUrl", &["parent_url"], false),
    ];
    for (name, others, is_number) in aliases {
        if source.contains_key(name) {
            continue;
        }
        let Some(value) = others.iter().find_map(|other| members.get(*other)) else {
            continue;
        };
        let integer = match value {
            Value::Bool(_) => true,
            Value::Number(number) => !number.to_string().contains(['.', 'e', 'E']),
            _ => false,
        };
        if if is_number {
            integer
        } else {
            value.is_string()
        } {
            source.insert(name.to_owned(), value.clone());
        }
    }
    let mut out = Fields::new();
    for (at, name) in DECLARED.iter().enumerate() {
        let value = source.get(*name).cloned().unwrap_or(Value::Null);
        let value = if at < 3 {
            integer(&value)?
        } else if value.is_null() || value.is_string() {
            value
        } else {
            return None;
        };
        out.insert((*name).to_owned(), value);
    }
    for (name, value) in members {
        if !DECLARED.contains(&name.as_str()) {
            out.insert(name, value);
        }
    }
    Some(out)
}

pub(super) fn integer(value: &Value) -> Option<Value> {
    let whole: i128 = match value {
        Value::Null => return Some(Value::Null),
        Value::Bool(set) => i128::from(*set),
        Value::Number(number) => {
            let text = number.to_string();
            if text.contains(['.', 'e', 'E']) {
                let float: f64 = text.parse().ok()?;
                if !float.is_finite() || float.trunc() != float || float.abs() >= 2_f64.powi(63) {
                    return None;
                }
                float as i128
            } else {
                text.parse().ok()?
            }
        }
        Value::String(text) => {
            let text = strip(text);
            let (sign, rest) = match text.chars().next()? {
                '-' => ("-", &text[1..]),
                '+' => ("", &text[1..]),
                _ => ("", text.as_str()),
            };
            let rest = match rest.find('.') {
                Some(dot)
                    if rest.len() > dot + 1 && rest[dot + 1..].chars().all(|ch| ch == '0') =>
                {
                    &rest[..dot]
                }
                _ => rest,
            };
            let between = |ch: Option<char>| ch.is_some_and(|ch| ch.is_ascii_digit());
            let chars: Vec<char> = rest.chars().collect();
            for (at, ch) in chars.iter().enumerate() {
                let single = *ch == '_'
                    && between(at.checked_sub(1).and_then(|at| chars.get(at).copied()))
                    && between(chars.get(at + 1).copied());
                if !ch.is_ascii_digit() && !single {
                    return None;
                }
            }
            format!("{sign}{}", rest.replace('_', "")).parse().ok()?
        }
        _ => return None,
    };
    Some(serde_json::from_str(&whole.to_string()).unwrap())
}
