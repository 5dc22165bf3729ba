//! The header line of a text frame.

use super::error::{DecodeError, Fault, clip};
use super::{Header, Kind};

const OPEN: &[u8] = b"@frame{";
const FLAG_FINAL: u8 = super::encode::FLAG_FINAL;

/// Says how much a reader guesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Nothing.
    Strict,
    /// As much as the reference reader, for comparison with it.
    Lenient,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    V,
    Sid,
    Seq,
    Kind,
    Len,
    Crc,
    Base,
    Final,
    Flags,
    Hashmode,
}

impl Key {
    const REQUIRED: [Self; 5] = [Self::V, Self::Sid, Self::Seq, Self::Kind, Self::Len];

    fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"v" => Self::V,
            b"sid" => Self::Sid,
            b"seq" => Self::Seq,
            b"kind" => Self::Kind,
            b"len" => Self::Len,
            b"crc" => Self::Crc,
            b"base" => Self::Base,
            b"final" => Self::Final,
            b"flags" => Self::Flags,
            b"hashmode" => Self::Hashmode,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::V => "v",
            Self::Sid => "sid",
            Self::Seq => "seq",
            Self::Kind => "kind",
            Self::Len => "len",
            Self::Crc => "crc",
            Self::Base => "base",
            Self::Final => "final",
            Self::Flags => "flags",
            Self::Hashmode => "hashmode",
        }
    }

    /// Returns the form a value of this key has, for the error about one that has not.
    fn want(self) -> &'static str {
        match self {
            Self::V => "a version; send v=1",
            Self::Sid | Self::Seq => {
                "a decimal number up to 18446744073709551615; send digits only"
            }
            Self::Kind => "doc, patch, row, ui, ack, err, ping, pong or a number up to 255",
            Self::Len => "a decimal number up to 4294967295; send the payload length in bytes",
            Self::Crc => "8 hex digits, with or without `crc32:`",
            Self::Base => "64 hex digits, with or without `sha256:`",
            Self::Final => "true, false, 1 or 0",
            Self::Flags => "a hex byte, with or without `0x`",
            Self::Hashmode => "a supported mode; send hashmode=loose or leave the key out",
        }
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Reads the header `line`, which starts at offset `at` of the stream and has no LF.
pub(super) fn parse(line: &[u8], at: u64, reading: Reading) -> Result<Header, DecodeError> {
    let body = body(line, reading).map_err(|(place, fault)| fault.at(at + place as u64))?;
    let mut draft = Draft::default();
    let mut tokens = Tokens {
        body: &line[..body.end],
        next: body.start,
    };
    while let Some(token) = tokens.next_token() {
        if let Err(fault) = draft.add(&token, reading) {
            return Err(fault.at(at + token.start as u64));
        }
    }
    if reading == Reading::Strict
        && let Some(key) = draft.missing()
    {
        return Err(Fault::MissingKey { key: key.name() }.at(at));
    }
    Ok(draft.header)
}

/// Finds what stands between the braces.
fn body(line: &[u8], reading: Reading) -> Result<std::ops::Range<usize>, (usize, Fault)> {
    let trimmed = trim(line, reading);
    let text = &line[trimmed.clone()];
    if !text.starts_with(OPEN) {
        return Err((trimmed.start, Fault::Prefix { found: clip(text) }));
    }
    let start = trimmed.start + OPEN.len();
    let Some(close) = memchr::memrchr(b'}', &line[start..trimmed.end]) else {
        return Err((trimmed.end, Fault::MissingBrace));
    };
    let end = start + close;
    let after = &line[end + 1..trimmed.end];
    if reading == Reading::Strict && !after.is_empty() {
        return Err((end + 1, Fault::TextAfterBrace { found: clip(after) }));
    }
    Ok(start..end)
}

fn trim(line: &[u8], reading: Reading) -> std::ops::Range<usize> {
    if reading == Reading::Lenient
        && let Ok(text) = str::from_utf8(line)
    {
        let start = text.len() - text.trim_start().len();
        return start..start + text.trim().len();
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c);
    let start = line.iter().take_while(|byte| is_space(byte)).count();
    let tail = line[start..]
        .iter()
        .rev()
        .take_while(|byte| is_space(byte))
        .count();
    start..line.len() - tail
}

/// Says what a byte does to the division of a header line into tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    Separator,
    Equals,
    Quote,
}

impl Class {
    /// Looked up, because most of the time spent on a frame is spent on the bytes of its header.
    const TABLE: [Self; 256] = {
        let mut table = [Self::Plain; 256];
        table[b' ' as usize] = Self::Separator;
        table[b'\t' as usize] = Self::Separator;
        table[b',' as usize] = Self::Separator;
        table[b'=' as usize] = Self::Equals;
        table[b'"' as usize] = Self::Quote;
        table
    };

    fn of(byte: u8) -> Self {
        Self::TABLE[usize::from(byte)]
    }
}

struct Token<'l> {
    /// Where the token starts in the line.
    start: usize,
    text: &'l [u8],
    /// Where the first `=` is in the token.
    equals: Option<usize>,
    is_unclosed: bool,
}

struct Tokens<'l> {
    /// The line up to the closing brace.
    body: &'l [u8],
    next: usize,
}

impl<'l> Tokens<'l> {
    fn next_token(&mut self) -> Option<Token<'l>> {
        let rest = self.body.get(self.next..)?;
        let gap = rest
            .iter()
            .position(|byte| Class::of(*byte) != Class::Separator)?;
        let start = self.next + gap;
        let mut equals = None;
        let mut is_quoted = false;
        let mut len = 0;
        for byte in &rest[gap..] {
            match Class::of(*byte) {
                Class::Plain => {}
                Class::Separator if is_quoted => {}
                Class::Separator => break,
                Class::Equals => equals = equals.or(Some(len)),
                Class::Quote => is_quoted = !is_quoted,
            }
            len += 1;
        }
        self.next = start + len;
        Some(Token {
            start,
            text: &self.body[start..self.next],
            equals,
            is_unclosed: is_quoted,
        })
    }
}

/// Holds what a header line has said so far.
#[derive(Default)]
struct Draft {
    header: Header,
    seen: u16,
}

impl Draft {
    fn add(&mut self, token: &Token<'_>, reading: Reading) -> Result<(), Fault> {
        if reading == Reading::Strict {
            check_shape(token)?;
        }
        let Some(equals) = token.equals else {
            return Ok(());
        };
        let value = &token.text[equals + 1..];
        let Some(key) = Key::of(&token.text[..equals]) else {
            return check_unknown(token, reading);
        };
        if reading == Reading::Strict && self.seen & key.bit() != 0 {
            return Err(Fault::DuplicateKey { key: key.name() });
        }
        self.seen |= key.bit();
        if key == Key::V {
            return check_version(value);
        }
        self.set(key, value, reading)
            .ok_or_else(|| Fault::BadValue {
                key: key.name(),
                value: clip(value),
                want: key.want(),
            })
    }

    fn set(&mut self, key: Key, value: &[u8], reading: Reading) -> Option<()> {
        let header = &mut self.header;
        match key {
            Key::V => {}
            Key::Sid => header.sid = number(value)?,
            Key::Seq => header.seq = number(value)?,
            Key::Kind => header.kind = kind(value, reading)?,
            Key::Len => header.len = number(value)?.try_into().ok()?,
            Key::Crc => header.crc = Some(u32::from_be_bytes(hex(strip(value, b"crc32:"))?)),
            Key::Base => header.base = Some(hex(strip(value, b"sha256:"))?),
            Key::Final if reading == Reading::Lenient => {
                header.is_final = matches!(value, b"true" | b"1")
            }
            Key::Final => header.is_final = boolean(value)?,
            // The reference reader lets this byte say that the stream is over. In GS1 v1 only `final` does, in text.
            Key::Flags if reading == Reading::Lenient => {
                header.is_final |= hex_byte(value).is_some_and(|flags| flags & FLAG_FINAL != 0);
            }
            Key::Flags => drop(hex_byte(strip(value, b"0x"))?),
            Key::Hashmode if reading == Reading::Lenient => {}
            Key::Hashmode => return (value == b"loose").then_some(()),
        }
        Some(())
    }

    fn missing(&self) -> Option<Key> {
        Key::REQUIRED
            .into_iter()
            .find(|key| self.seen & key.bit() == 0)
    }
}

fn check_shape(token: &Token<'_>) -> Result<(), Fault> {
    if token.is_unclosed {
        let token = clip(token.text);
        return Err(Fault::UnclosedQuote { token });
    }
    match token.equals {
        None => Err(Fault::BareToken {
            token: clip(token.text),
        }),
        Some(0) => Err(Fault::EmptyKey {
            token: clip(token.text),
        }),
        Some(_) => Ok(()),
    }
}

/// Checks a token whose key says nothing to us; what we do know is ASCII and checked when it is read.
fn check_unknown(token: &Token<'_>, reading: Reading) -> Result<(), Fault> {
    if reading == Reading::Lenient || str::from_utf8(token.text).is_ok() {
        return Ok(());
    }
    Err(Fault::HeaderNotUtf8 {
        token: clip(token.text),
    })
}

fn check_version(value: &[u8]) -> Result<(), Fault> {
    if number(value) == Some(1) {
        return Ok(());
    }
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Fault::BadValue {
            key: Key::V.name(),
            value: clip(value),
            want: Key::V.want(),
        });
    }
    Err(Fault::Version { found: clip(value) })
}

fn kind(value: &[u8], reading: Reading) -> Option<Kind> {
    if let Some(kind) = Kind::from_name(value) {
        return Some(kind);
    }
    let digits = match reading {
        Reading::Strict => value,
        // The reference reader scans a number and does not look behind it.
        Reading::Lenient => {
            &value[..value
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count()]
        }
    };
    let number = u8::try_from(number(digits)?).ok()?;
    Some(Kind::from_number(number))
}

fn boolean(value: &[u8]) -> Option<bool> {
    match value {
        b"true" | b"1" => Some(true),
        b"false" | b"0" => Some(false),
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    // Nineteen digits always fit, so only what follows them has to be watched.
    let (safe, rest) = digits.split_at(digits.len().min(19));
    let mut number = 0u64;
    for byte in safe {
        number = number * 10 + digit(*byte)?;
    }
    for byte in rest {
        number = number.checked_mul(10)?.checked_add(digit(*byte)?)?;
    }
    Some(number)
}

fn digit(byte: u8) -> Option<u64> {
    byte.is_ascii_digit().then(|| u64::from(byte - b'0'))
}

fn strip<'v>(value: &'v [u8], prefix: &[u8]) -> &'v [u8] {
    value.strip_prefix(prefix).unwrap_or(value)
}

fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u8, |byte, digit| {
        Some(byte.checked_mul(16)? | nibble(*digit)?)
    })
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
