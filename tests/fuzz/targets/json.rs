//! The JSON reader never panics, reads back what the writer makes of its values, and takes what another reader takes.

#![no_main]

use glint::json::{JsonFault, parse, parse_bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // One byte order mark is taken off; the other reader takes none.
    let rest = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let other = serde_json::from_slice::<serde_json::Value>(rest);
    let value = match parse_bytes(bytes) {
        Ok(value) => value,
        Err(err) => {
            assert!(err.at <= bytes.len());
            let documented = matches!(err.fault, JsonFault::Depth | JsonFault::NonFinite);
            assert!(documented || other.is_err(), "only we refuse it: {err}");
            return;
        }
    };
    assert!(other.is_ok(), "only we take it: {other:?}");
    let line = value.to_ascii();
    assert!(line.is_ascii() && !line.contains(|ch: char| ch.is_ascii_control() && ch != '\u{7f}'));
    assert_eq!(parse(&line).as_ref(), Ok(&value));
});
