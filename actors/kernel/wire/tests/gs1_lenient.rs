//! Where the lenient GS1 reader does what the reference reader was seen to do, and the strict one does not.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that fails is a test that fails"
)]

use wire::gs1::{DecodeError, Frame, Kind, Limits, TextDecoder};

fn first(
    bytes: impl AsRef<[u8]>,
    mut decoder: TextDecoder,
) -> Result<(Frame<'static>, Vec<u8>), DecodeError> {
    let mut input = bytes.as_ref();
    let keep = |frame: Frame<'_>| {
        (
            Frame {
                payload: b"",
                ..frame
            },
            frame.payload.to_vec(),
        )
    };
    if let Some(step) = decoder.next_frame(&mut input) {
        return step.map(keep);
    }
    decoder.finish().expect("a frame or an error").map(keep)
}

fn lenient(bytes: impl AsRef<[u8]>) -> Result<(Frame<'static>, Vec<u8>), DecodeError> {
    first(bytes, TextDecoder::lenient(Limits::default()))
}

/// Returns what the lenient reader makes of bytes the strict one refuses.
fn only_lenient(bytes: impl AsRef<[u8]>) -> Frame<'static> {
    let bytes = bytes.as_ref();
    let strict = first(bytes, TextDecoder::default());
    assert!(
        strict.is_err(),
        "strict accepts {}",
        String::from_utf8_lossy(bytes)
    );
    lenient(bytes).unwrap().0
}

fn with(more: &str) -> String {
    format!("@frame{{v=1 sid=1 seq=2 kind=doc len=0{more}}}\n\n")
}

fn plain() -> Frame<'static> {
    Frame {
        sid: 1,
        seq: 2,
        ..Frame::default()
    }
}

#[test]
fn defaults_every_missing_key() {
    assert_eq!(only_lenient("@frame{}\n\n"), Frame::default());
    assert_eq!(only_lenient("@frame{v = 1 sid=1 seq=2}\n\n"), plain());
    assert_eq!(
        only_lenient("@frame{v=1 SID=3 seq=2 kind=doc len=0}\n\n").sid,
        0
    );
}

#[test]
fn takes_the_last_of_a_doubled_key() {
    assert_eq!(
        only_lenient(with(" sid=5 kind=row")),
        Frame {
            sid: 5,
            kind: Kind::Row,
            ..plain()
        }
    );
    assert_eq!(
        lenient("@frame{v=2 v=1}\n\n").unwrap_err().code(),
        "VERSION_UNSUPPORTED"
    );
}

#[test]
fn passes_over_tokens_without_equals_and_text_behind_the_brace() {
    assert_eq!(only_lenient(with(" lonely")), plain());
    assert_eq!(
        only_lenient("@frame{v=1 sid=1 seq=2 kind=doc len=0} x\n\n"),
        plain()
    );
}

#[test]
fn lets_an_open_quote_swallow_the_rest() {
    assert_eq!(
        only_lenient("@frame{v=1 sid=1 note=\"a seq=2 len=7}\n\n"),
        Frame {
            sid: 1,
            ..Frame::default()
        }
    );
}

#[test]
fn tolerates_junk_behind_a_kind_number() {
    assert_eq!(
        only_lenient("@frame{v=1 sid=1 seq=2 kind=9abc len=0}\n\n").kind,
        Kind::Unknown(9)
    );
    for kind in ["DOC", "256", "-1", "unknown(8)", "\"doc\""] {
        assert_eq!(
            lenient(format!("@frame{{kind={kind}}}\n\n"))
                .unwrap_err()
                .code(),
            "FRAME_INVALID"
        );
    }
}

#[test]
fn reads_odd_spellings_of_final_as_false_and_the_flag_as_final() {
    for value in ["t", "TRUE", "yes"] {
        assert!(!only_lenient(with(&format!(" final={value}"))).is_final);
    }
    assert!(lenient(with(" flags=04")).unwrap().0.is_final);
    for value in ["0x04", "1ff", "zz"] {
        assert!(
            !lenient(with(&format!(" flags={value}")))
                .unwrap()
                .0
                .is_final
        );
    }
    assert_eq!(only_lenient(with(" hashmode=strict")), plain());
}

#[test]
fn differs_from_the_strict_reader_by_the_final_flag_alone_where_both_take_a_frame() {
    // Found by the fuzzer: a key that nobody knows, then the flag that only the reference reader reads.
    let bytes = "@frame{v=1 sid=1 seq=3 kind=patch len=21 \u{7}@frame{v\0\0=1 flags=0004  } \r\n\nec08fb6f57ac4a919925b";
    let (sure, payload) = first(bytes, TextDecoder::default()).unwrap();
    assert!(!sure.is_final);
    let is_final = true;
    assert_eq!(
        lenient(bytes).unwrap(),
        (Frame { is_final, ..sure }, payload)
    );
}

#[test]
fn takes_payloads_that_are_not_utf8() {
    let bytes = b"@frame{v=1 sid=1 seq=2 kind=doc len=2}\n\xff\xfe\n";
    only_lenient(bytes);
    assert_eq!(lenient(bytes).unwrap().1, [0xff, 0xfe]);
}

#[test]
fn accepts_an_empty_frame_whose_header_has_no_lf() {
    assert_eq!(
        only_lenient("@frame{v=1 sid=1 seq=2 kind=doc len=0}"),
        plain()
    );
    assert_eq!(
        lenient("@frame{len=1}").unwrap_err().code(),
        "FRAME_INVALID"
    );
}

#[test]
fn still_refuses_what_the_reference_refuses() {
    for bytes in [
        "\u{feff}@frame{}\n\n",
        "@frame {}\n\n",
        "\n@frame{}\n\n",
        "@frame{sid=\"3\"}\n\n",
        "@frame{sid=18446744073709551616}\n\n",
        "@frame{len=4294967296}\n\n",
        "@frame{crc=abc}\n\n",
        "@frame{crc=CRC32:00000000}\n\n",
        "@frame{base=sha512:00}\n\n",
    ] {
        assert_eq!(
            lenient(bytes).unwrap_err().code(),
            "FRAME_INVALID",
            "{bytes}"
        );
    }
    assert_eq!(
        lenient("@frame{len=67108865}\n\n").unwrap_err().code(),
        "PAYLOAD_TOO_LARGE"
    );
}

#[test]
fn reads_on_misaligned_after_a_bad_header() {
    let bytes = "@frame{kind=DOC len=0}\n@frame{sid=4}\n\n";
    let mut decoder = TextDecoder::lenient(Limits::default());
    let mut input = bytes.as_bytes();
    assert!(decoder.next_frame(&mut input).unwrap().is_err());
    assert_eq!(decoder.next_frame(&mut input).unwrap().unwrap().sid, 4);
}

#[test]
fn drops_an_overlong_line_and_reads_on() {
    let bytes = format!("{}\n@frame{{sid=4}}\n\n", "x".repeat(70_000));
    for chunk in [1, 1000, bytes.len()] {
        let mut decoder = TextDecoder::lenient(Limits::default());
        let mut said = Vec::new();
        for mut input in bytes.as_bytes().chunks(chunk) {
            while let Some(step) = decoder.next_frame(&mut input) {
                said.push(step.map(|frame| frame.sid).map_err(|err| err.code()));
            }
        }
        assert_eq!(said, [Err("HEADER_TOO_LARGE"), Ok(4)]);
    }
}
