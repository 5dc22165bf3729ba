//! What the strict GS1 reader lets in although we never write it.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use wire::gs1::{DecodeError, Decoder, Kind, Limits};

const BASE: &str = "86289d0995ec08fb6f57ac4a919925bf14c1991bc53d73954d49b3451876c278";

/// Says of a frame what a test compares: sid, seq, kind, whether it is final, and the payload.
type Said = (u64, u64, Kind, bool, Vec<u8>);

const PLAIN: Said = (1, 2, Kind::Doc, false, Vec::new());

fn read(bytes: impl AsRef<[u8]>) -> Vec<Result<Said, DecodeError>> {
    let mut decoder = Decoder::new(Limits::default());
    let mut input = bytes.as_ref();
    let mut all = Vec::new();
    while let Some(step) = decoder.next_frame(&mut input) {
        all.push(step.map(|frame| {
            (
                frame.sid,
                frame.seq,
                frame.kind,
                frame.is_final,
                frame.payload.to_vec(),
            )
        }));
    }
    decoder.finish().unwrap();
    all
}

fn accepted(bytes: impl AsRef<[u8]>) -> Said {
    let mut all = read(bytes);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0).unwrap()
}

/// Returns a frame without payload, with `more` behind the required keys.
fn with(more: &str) -> String {
    format!("@frame{{v=1 sid=1 seq=2 kind=doc len=0{more}}}\n\n")
}

#[test]
fn accepts_keys_in_any_order() {
    assert_eq!(
        accepted("@frame{len=0 kind=doc seq=2 sid=1 v=1}\n\n"),
        PLAIN
    );
}

#[test]
fn accepts_runs_of_spaces_tabs_and_commas_between_keys() {
    assert_eq!(
        accepted("@frame{ ,\tv=1,,sid=1\t\tseq=2 , kind=doc,len=0, }\n\n"),
        PLAIN
    );
}

#[test]
fn accepts_white_space_around_a_header_line_and_crlf() {
    assert_eq!(
        accepted("  \t@frame{v=1 sid=1 seq=2 kind=doc len=0} \t\r\n\n"),
        PLAIN
    );
}

#[test]
fn passes_over_unknown_keys_quoted_or_not() {
    assert_eq!(accepted(with(" topic=a%20b x=")), PLAIN);
    assert_eq!(
        accepted(with(r#" note="a b, len=7 }" SID=9 grüße=é "#)),
        PLAIN
    );
    assert_eq!(accepted(with(" x=1 x=2 y=}}")), PLAIN);
}

#[test]
fn accepts_leading_zeros() {
    assert_eq!(
        accepted("@frame{v=01 sid=0001 seq=00000000000000000000000002 kind=00 len=000}\n\n"),
        PLAIN
    );
}

#[test]
fn accepts_kinds_by_number() {
    for (written, kind) in [
        ("1", Kind::Patch),
        ("07", Kind::Pong),
        ("8", Kind::Unknown(8)),
        ("255", Kind::Unknown(255)),
    ] {
        let frame = accepted(format!(
            "@frame{{v=1 sid=1 seq=2 kind={written} len=0}}\n\n"
        ));
        assert_eq!(frame.2, kind);
    }
}

#[test]
fn accepts_hex_of_any_case_with_and_without_prefix() {
    for crc in ["0fe0ca55", "0FE0CA55", "crc32:0Fe0cA55"] {
        let frame = accepted(format!(
            "@frame{{v=1 sid=1 seq=2 kind=doc len=5 crc={crc}}}\n{{a=1}}\n"
        ));
        assert_eq!(frame.4, b"{a=1}");
    }
    let upper = BASE.to_uppercase();
    for base in [
        BASE,
        &upper,
        &format!("sha256:{BASE}"),
        &format!("sha256:{upper}"),
    ] {
        let bytes = with(&format!(" base={base}"));
        let mut decoder = Decoder::new(Limits::default());
        let mut input = bytes.as_bytes();
        let frame = decoder.next_frame(&mut input).unwrap().unwrap();
        assert_eq!(frame.base.unwrap()[..4], [0x86, 0x28, 0x9d, 0x09]);
    }
}

#[test]
fn accepts_flags_with_and_without_0x_and_takes_no_final_from_them() {
    for flags in ["04", "4", "0x04", "ff", "0xFF"] {
        assert_eq!(accepted(with(&format!(" flags={flags}"))), PLAIN);
    }
}

#[test]
fn accepts_four_spellings_of_final() {
    for (written, is_final) in [("true", true), ("1", true), ("false", false), ("0", false)] {
        assert_eq!(accepted(with(&format!(" final={written}"))).3, is_final);
    }
}

#[test]
fn accepts_the_one_hash_mode_there_is() {
    assert_eq!(accepted(with(" hashmode=loose")), PLAIN);
}

#[test]
fn accepts_a_missing_last_lf() {
    assert_eq!(accepted("@frame{v=1 sid=1 seq=2 kind=doc len=0}\n"), PLAIN);
    assert_eq!(
        accepted("@frame{v=1 sid=1 seq=2 kind=doc len=2}\n{}").4,
        b"{}"
    );
}

#[test]
fn accepts_the_next_frame_right_behind_a_payload() {
    let one = "@frame{v=1 sid=1 seq=2 kind=doc len=2}\n{}";
    let all = read(one.repeat(3));
    assert_eq!(all, vec![Ok((1, 2, Kind::Doc, false, b"{}".to_vec())); 3]);
}

#[test]
fn takes_a_frame_inside_a_payload_as_payload() {
    let inner = "@frame{v=1 sid=9 seq=9 kind=doc len=0}\n\n";
    let frame = accepted(format!(
        "@frame{{v=1 sid=1 seq=2 kind=doc len={}}}\n{inner}\n",
        inner.len()
    ));
    assert_eq!(frame.4, inner.as_bytes());
}
