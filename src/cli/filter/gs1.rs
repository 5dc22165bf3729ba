//! `gs1`: frames from and to JSON lines.

use std::borrow::Cow;
use std::io::{self, BufRead};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use glint::hex;
use glint::json::{self, Value};
use wire::gs1::{
    BinaryDecoder, DecodeError, Frame, Kind, Limits, TextDecoder, encode_binary, encode_text,
};

use super::compact::push_text;
use super::{BadLine, for_each_line, input};
use crate::cli::out::{self, Out};
use crate::cli::{EXIT_FAILURE, EXIT_OK};

const MEMBERS: &str = "sid, seq, kind, payload, payload_b64, crc, base, final";

/// What a line asks to be written.
#[derive(Default)]
struct Wanted<'a> {
    sid: Option<u64>,
    seq: Option<u64>,
    kind: Option<Kind>,
    payload: Option<Cow<'a, [u8]>>,
    has_crc: bool,
    crc: Option<u32>,
    base: Option<[u8; 32]>,
    is_final: bool,
}

/// A decoder of either form, the form being told by the first byte.
enum Decoder {
    Text(TextDecoder),
    Binary(BinaryDecoder),
}

/// Writes a frame for each JSON line. Lines that are refused are named on standard error, since standard output
/// carries frames and nothing else.
pub(in crate::cli) fn encode(is_binary: bool) -> Result<u8> {
    let mut has_failed = false;
    for_each_line(|number, line, out| {
        if let Err(bad) = line.and_then(|line| encode_line(line, is_binary, out)) {
            has_failed = true;
            out::note(format_args!("line {number}: {}: {}", bad.code, bad.detail));
        }
    })?;
    Ok(if has_failed { EXIT_FAILURE } else { EXIT_OK })
}

/// Writes a JSON line for each frame.
pub(in crate::cli) fn decode(is_lenient: bool) -> Result<u8> {
    let mut input = input();
    let mut out = Out::new();
    let mut decoder = None;
    let mut has_failed = false;
    let mut line = Vec::new();
    loop {
        out.flush()?;
        let chunk = match input.fill_buf() {
            Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
            outcome => outcome.context("cannot read standard input")?,
        };
        let Some(first) = chunk.first() else {
            break;
        };
        let decoder = decoder.get_or_insert_with(|| Decoder::new(*first, is_lenient));
        let length = chunk.len();
        let mut rest = chunk;
        while let Some(outcome) = decoder.next_frame(&mut rest) {
            line.clear();
            has_failed |= !push_outcome(&outcome, &mut line);
            out.bytes(&line)?;
            if outcome.is_err_and(|err| err.ends_stream() && !is_lenient) {
                out.flush()?;
                return Ok(EXIT_FAILURE);
            }
        }
        input.consume(length);
    }
    if let Some(outcome) = decoder.as_mut().and_then(Decoder::finish) {
        line.clear();
        has_failed |= !push_outcome(&outcome, &mut line);
        out.bytes(&line)?;
    }
    out.flush()?;
    Ok(if has_failed { EXIT_FAILURE } else { EXIT_OK })
}

impl Decoder {
    fn new(first: u8, is_lenient: bool) -> Decoder {
        let limits = Limits::default();
        match first {
            b'G' => Decoder::Binary(BinaryDecoder::new(limits)),
            _ if is_lenient => Decoder::Text(TextDecoder::lenient(limits)),
            _ => Decoder::Text(TextDecoder::new(limits)),
        }
    }

    fn next_frame<'d, 'i: 'd>(
        &'d mut self,
        input: &mut &'i [u8],
    ) -> Option<Result<Frame<'d>, DecodeError>> {
        match self {
            Decoder::Text(text) => text.next_frame(input),
            Decoder::Binary(binary) => binary.next_frame(input),
        }
    }

    fn finish(&mut self) -> Option<Result<Frame<'static>, DecodeError>> {
        match self {
            Decoder::Text(text) => text.finish(),
            Decoder::Binary(binary) => binary.finish().err().map(Err),
        }
    }
}

fn encode_line(line: &str, is_binary: bool, out: &mut Vec<u8>) -> Result<(), BadLine> {
    let value = json::parse(line)?;
    let Some(members) = value.as_object() else {
        let detail = format!("expected an object, found {}", value.type_name());
        return Err(BadLine::new("not_an_object", detail));
    };
    let mut wanted = Wanted::default();
    for (key, value) in members {
        wanted.take(key, value)?;
    }
    let missing = |key: &str| BadLine::new("member_missing", format!("{key} is missing"));
    let payload = wanted.payload.as_deref().unwrap_or_default();
    let frame = Frame {
        sid: wanted.sid.ok_or_else(|| missing("sid"))?,
        seq: wanted.seq.ok_or_else(|| missing("seq"))?,
        kind: wanted.kind.ok_or_else(|| missing("kind"))?,
        crc: wanted.crc,
        base: wanted.base,
        is_final: wanted.is_final,
        payload,
    };
    if is_binary {
        return encode_binary(&frame, wanted.has_crc, out)
            .map_err(|err| BadLine::new(err.code(), err.to_string()));
    }
    if std::str::from_utf8(payload).is_err() {
        let detail = "a text frame carries UTF-8 only; use --binary";
        return Err(BadLine::new("FRAME_INVALID", detail));
    }
    encode_text(&frame, wanted.has_crc, out);
    Ok(())
}

impl<'a> Wanted<'a> {
    fn take(&mut self, key: &str, value: &'a Value<'a>) -> Result<(), BadLine> {
        let want = |expected: &str| {
            let detail = format!("{key} must be {expected}, not {}", shown(value));
            BadLine::new("member_invalid", detail)
        };
        match (key, value) {
            (_, Value::Null) => {}
            ("sid", _) => {
                self.sid = Some(whole(value).ok_or_else(|| want("a whole number below 2^64"))?);
            }
            ("seq", _) => {
                self.seq = Some(whole(value).ok_or_else(|| want("a whole number below 2^64"))?);
            }
            ("kind", _) => {
                let expected = "doc, patch, row, ui, ack, err, ping, pong or a number up to 255";
                self.kind = Some(kind(value).ok_or_else(|| want(expected))?);
            }
            ("payload" | "payload_b64", _) if self.payload.is_some() => {
                let detail = "give payload or payload_b64, not both";
                return Err(BadLine::new("member_invalid", detail));
            }
            ("payload", Value::String(text)) => self.payload = Some(Cow::Borrowed(text.as_bytes())),
            ("payload_b64", Value::String(text)) => {
                let bytes = STANDARD.decode(text.as_bytes());
                let bytes = bytes.map_err(|_| want("base64 with padding"))?;
                self.payload = Some(Cow::Owned(bytes));
            }
            ("crc", Value::Bool(has_crc)) => self.has_crc = *has_crc,
            ("crc", Value::String(text)) => {
                let crc = bytes::<4>(text).ok_or_else(|| want("true, false or 8 hex digits"))?;
                self.crc = Some(u32::from_be_bytes(crc));
            }
            ("base", Value::String(text)) => {
                self.base = Some(bytes(text).ok_or_else(|| want("64 hex digits"))?);
            }
            ("final", Value::Bool(is_final)) => self.is_final = *is_final,
            ("payload" | "payload_b64" | "base", _) => return Err(want("a string")),
            ("crc", _) => return Err(want("true, false or 8 hex digits")),
            ("final", _) => return Err(want("true or false")),
            _ => {
                let detail = format!("{key:?} is none of: {MEMBERS}");
                return Err(BadLine::new("member_unknown", detail));
            }
        }
        Ok(())
    }
}

fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Number(lexeme) => lexeme.chars().take(40).collect(),
        _ => format!("this {}", value.type_name()),
    }
}

fn whole(value: &Value<'_>) -> Option<u64> {
    match value {
        Value::Number(lexeme) => lexeme.parse().ok(),
        _ => None,
    }
}

fn kind(value: &Value<'_>) -> Option<Kind> {
    match value {
        Value::Number(lexeme) => lexeme.parse().ok().map(Kind::from_number),
        Value::String(name) => Kind::from_name(name.as_bytes()),
        _ => None,
    }
}

/// The bytes of `2 * N` hexadecimal digits, in either case.
fn bytes<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::read(&digits.to_ascii_lowercase(), &mut bytes).map(|()| bytes)
}

/// Appends a frame or an error as a line; returns whether it was a frame.
fn push_outcome(outcome: &Result<Frame<'_>, DecodeError>, line: &mut Vec<u8>) -> bool {
    match outcome {
        Ok(frame) => push_frame(frame, line),
        Err(err) => {
            line.extend_from_slice(b"{\"error\":");
            push_text(err.code(), line);
            line.extend_from_slice(format!(",\"at\":{}}}", err.at).as_bytes());
            out::note(err);
        }
    }
    line.push(b'\n');
    outcome.is_ok()
}

fn push_frame(frame: &Frame<'_>, line: &mut Vec<u8>) {
    line.extend_from_slice(format!("{{\"sid\":{},\"seq\":{}", frame.sid, frame.seq).as_bytes());
    match frame.kind.name() {
        Some(name) => {
            line.extend_from_slice(b",\"kind\":");
            push_text(name, line);
        }
        None => {
            let number = frame.kind.number();
            line.extend_from_slice(format!(",\"kind\":{number}").as_bytes());
        }
    }
    match std::str::from_utf8(frame.payload) {
        Ok(text) => {
            line.extend_from_slice(b",\"payload\":");
            push_text(text, line);
        }
        Err(_) => {
            line.extend_from_slice(b",\"payload_b64\":");
            push_text(&STANDARD.encode(frame.payload), line);
        }
    }
    if let Some(crc) = frame.crc {
        line.extend_from_slice(format!(",\"crc\":\"{crc:08x}\"").as_bytes());
    }
    if let Some(base) = &frame.base {
        line.extend_from_slice(b",\"base\":\"");
        line.extend(hex::digits(base));
        line.push(b'"');
    }
    if frame.is_final {
        line.extend_from_slice(b",\"final\":true");
    }
    line.push(b'}');
}
