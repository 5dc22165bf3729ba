//! What the strict GS1 reader refuses, one by one, and how it goes on.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use wire::gs1::{DecodeError, Fault, Kind, Limits, TextDecoder};

const BASE: &str = "86289d0995ec08fb6f57ac4a919925bf14c1991bc53d73954d49b3451876c278";

/// Says of a frame what a test compares: sid, seq, kind, whether it is final, and the payload.
type Said = (u64, u64, Kind, bool, Vec<u8>);

fn read_with(limits: Limits, bytes: &[u8]) -> Vec<Result<Said, DecodeError>> {
    let mut decoder = TextDecoder::new(limits);
    let mut input = bytes;
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
    if let Some(last) = decoder.finish() {
        all.push(Err(last.unwrap_err()));
    }
    all
}

fn read(bytes: impl AsRef<[u8]>) -> Vec<Result<Said, DecodeError>> {
    read_with(Limits::default(), bytes.as_ref())
}

fn accepted(bytes: impl AsRef<[u8]>) -> Said {
    let mut all = read(bytes);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0).unwrap()
}

fn refused(bytes: impl AsRef<[u8]>) -> DecodeError {
    let all = read(bytes);
    assert_eq!(
        all.len(),
        1,
        "a header error is the last thing said: {all:?}"
    );
    let err = all.into_iter().next().unwrap().unwrap_err();
    assert!(err.ends_stream(), "{err}");
    err
}

/// Returns a frame without payload, with `more` behind the required keys.
fn with(more: &str) -> String {
    format!("@frame{{v=1 sid=1 seq=2 kind=doc len=0{more}}}\n\n")
}

fn assert_invalid(bytes: impl AsRef<[u8]>, named: &str) {
    let err = refused(bytes);
    assert_eq!(err.code(), "FRAME_INVALID");
    assert!(
        err.to_string().contains(named),
        "{err} does not name {named}"
    );
}

const PLAIN: Said = (1, 2, Kind::Doc, false, Vec::new());

#[test]
fn refuses_a_header_without_a_required_key_and_names_it() {
    let keys = ["v=1", "sid=1", "seq=2", "kind=doc", "len=0"];
    for left_out in keys {
        let rest = keys
            .iter()
            .filter(|key| **key != left_out)
            .copied()
            .collect::<Vec<_>>()
            .join(" ");
        let name = left_out.split('=').next().unwrap();
        assert_invalid(
            format!("@frame{{{rest}}}\n\n"),
            &format!("`{name}` is missing"),
        );
    }
    assert_invalid("@frame{}\n\n", "`v` is missing");
}

#[test]
fn refuses_every_known_key_that_stands_twice() {
    for key in ["v=1", "sid=1", "seq=2", "kind=doc", "len=0"] {
        let name = key.split('=').next().unwrap();
        assert_invalid(with(&format!(" {key}")), &format!("`{name}` stands twice"));
    }
    let base = format!("base={BASE}");
    for key in [
        "crc=00000000",
        &base,
        "final=true",
        "flags=00",
        "hashmode=loose",
    ] {
        let name = key.split('=').next().unwrap();
        assert_invalid(
            with(&format!(" {key} {key}")),
            &format!("`{name}` stands twice"),
        );
    }
}

#[test]
fn refuses_tokens_that_are_not_key_and_value() {
    assert_invalid(with(" lonely"), "\"lonely\" has no `=`");
    assert_invalid(
        "@frame{v = 1 sid=1 seq=2 kind=doc len=0}\n\n",
        "\"v\" has no `=`",
    );
    assert_invalid(with(" =5"), "\"=5\" has no key");
    assert_invalid(with(" note=\"a b"), "does not close it");
}

#[test]
fn refuses_text_behind_the_brace() {
    let err = refused("@frame{v=1 sid=1 seq=2 kind=doc len=0} x\n\n");
    assert!(matches!(err.fault, Fault::TextAfterBrace { .. }), "{err}");
    assert_eq!((err.code(), err.at), ("FRAME_INVALID", 38));
}

#[test]
fn refuses_lines_that_do_not_open_a_frame() {
    let frame = with("");
    for line in [
        "\n",
        "\r\n",
        "hello\n",
        "@frame {v=1}\n",
        "@FRAME{v=1}\n",
        "{}\n",
        "\u{feff}",
        "\u{a0}",
    ] {
        assert_invalid(format!("{line}{frame}"), "starts with `@frame{`");
    }
    assert_invalid("@frame{v=1 sid=1 seq=2 kind=doc len=0\n\n", "no `}`");
}

#[test]
fn refuses_blank_lines_and_crlf_behind_a_payload() {
    for between in ["\n\n", "\r\n", " \n"] {
        let all = read(format!(
            "@frame{{v=1 sid=1 seq=2 kind=doc len=2}}\n{{}}{between}{}",
            with("")
        ));
        assert_eq!(all.len(), 2);
        assert!(all[0].is_ok());
        assert_eq!(all[1].as_ref().unwrap_err().code(), "FRAME_INVALID");
    }
}

#[test]
fn refuses_malformed_checksums_instead_of_reading_unverified() {
    for crc in [
        "",
        "abc",
        "zzzzzzzz",
        "CRC32:0fe0ca55",
        "43zzzzzz",
        "0x43004c",
        "0fe0ca550",
        "crc32:",
        "\"0fe0ca55\"",
    ] {
        assert_invalid(
            format!("@frame{{v=1 sid=1 seq=2 kind=doc len=0 crc={crc}}}\n\n"),
            "`crc`",
        );
    }
}

#[test]
fn refuses_malformed_bases_instead_of_reading_without_one() {
    let short = &BASE[..62];
    for base in [
        "",
        short,
        &format!("{BASE}0"),
        &format!("sha512:{BASE}"),
        &format!("SHA256:{BASE}"),
        &"g".repeat(64),
    ] {
        assert_invalid(with(&format!(" base={base}")), "`base`");
    }
}

#[test]
fn refuses_kinds_without_number_or_name() {
    for kind in [
        "",
        "DOC",
        "toString",
        "unknown(8)",
        "256",
        "-1",
        "+1",
        "9abc",
        "\"doc\"",
        "99999999999999999999",
    ] {
        assert_invalid(
            format!("@frame{{v=1 sid=1 seq=2 kind={kind} len=0}}\n\n"),
            "`kind`",
        );
    }
}

#[test]
fn refuses_numbers_that_are_not_plain_digits_or_too_large() {
    for value in [
        "",
        "-1",
        "+1",
        "1_000",
        "0x1",
        "1.0",
        "\"3\"",
        "18446744073709551616",
        "99999999999999999999999",
    ] {
        assert_invalid(
            format!("@frame{{v=1 sid={value} seq=2 kind=doc len=0}}\n\n"),
            "`sid`",
        );
        assert_invalid(
            format!("@frame{{v=1 sid=1 seq={value} kind=doc len=0}}\n\n"),
            "`seq`",
        );
        assert_invalid(
            format!("@frame{{v=1 sid=1 seq=2 kind=doc len={value}}}\n\n"),
            "`len`",
        );
    }
    assert_invalid(
        "@frame{v=1 sid=1 seq=2 kind=doc len=4294967296}\n\n",
        "`len`",
    );
}

#[test]
fn refuses_other_spellings_of_final_and_flags() {
    for value in ["", "t", "TRUE", "yes", "2", "\"true\""] {
        assert_invalid(with(&format!(" final={value}")), "`final`");
    }
    for value in ["", "zz", "1ff", "0x", "0X04", "-4"] {
        assert_invalid(with(&format!(" flags={value}")), "`flags`");
    }
}

#[test]
fn refuses_hash_modes_it_cannot_compute() {
    for value in ["strict", "LOOSE", ""] {
        assert_invalid(with(&format!(" hashmode={value}")), "`hashmode`");
    }
}

#[test]
fn refuses_header_bytes_that_are_not_utf8() {
    let mut bytes = with(" x=\u{1}").into_bytes();
    let place = bytes.iter().position(|byte| *byte == 1).unwrap();
    bytes[place] = 0xff;
    assert!(matches!(refused(bytes).fault, Fault::HeaderNotUtf8 { .. }));
}

#[test]
fn refuses_other_versions_with_their_own_code() {
    for version in ["0", "2", "11", "99999999999999999999999"] {
        let err = refused(format!(
            "@frame{{v={version} sid=1 seq=2 kind=doc len=0}}\n\n"
        ));
        assert_eq!(err.code(), "VERSION_UNSUPPORTED");
    }
    for version in ["", "x", "1.0", "-1"] {
        assert_invalid(
            format!("@frame{{v={version} sid=1 seq=2 kind=doc len=0}}\n\n"),
            "`v`",
        );
    }
}

#[test]
fn refuses_a_long_payload_before_it_comes() {
    let err = refused("@frame{v=1 sid=1 seq=2 kind=doc len=67108865}\n");
    assert_eq!(err.code(), "PAYLOAD_TOO_LARGE");
    let err = refused("@frame{v=1 sid=1 seq=2 kind=doc len=4294967295}\n");
    assert_eq!(
        err.fault,
        Fault::PayloadTooLarge {
            len: u32::MAX,
            limit: 67_108_864
        }
    );
    let limits = Limits {
        max_payload: 3,
        ..Limits::default()
    };
    let all = read_with(limits, b"@frame{v=1 sid=1 seq=2 kind=doc len=3}\nabc\n@frame{v=1 sid=1 seq=2 kind=doc len=4}\nabcd\n");
    assert!(all[0].is_ok());
    assert_eq!(all[1].as_ref().unwrap_err().code(), "PAYLOAD_TOO_LARGE");
}

#[test]
fn refuses_a_long_header_with_and_without_its_end() {
    let fits = with(&format!(" x={}", "y".repeat(65_536 - 42 + 1)));
    assert_eq!(fits.find('\n'), Some(65_536));
    assert_eq!(accepted(&fits), PLAIN);
    let too_long = fits.replace("x=y", "x=yy");
    let err = refused(&too_long);
    assert_eq!((err.code(), err.at), ("HEADER_TOO_LARGE", 65_536));
    assert_eq!(refused("@".repeat(65_537)).code(), "HEADER_TOO_LARGE");
}

#[test]
fn refuses_half_a_frame_at_the_end() {
    assert_invalid("@fra", "ends inside a header");
    assert_invalid(
        "@frame{v=1 sid=1 seq=2 kind=doc len=0}",
        "ends inside a header",
    );
    let err = refused("@frame{v=1 sid=1 seq=2 kind=doc len=5}\nabc");
    assert_eq!(err.fault, Fault::TruncatedPayload { missing: 2 });
    assert_eq!((err.code(), err.at), ("FRAME_INVALID", 42));
}

#[test]
fn skips_a_frame_with_a_wrong_checksum_and_reads_the_next() {
    let bad = "@frame{v=1 sid=1 seq=7 kind=doc len=5 crc=0fe0ca56}\n{a=1}\n";
    let all = read(format!("{bad}{}", with("")));
    let err = all[0].as_ref().unwrap_err();
    assert_eq!(
        (err.code(), err.at, err.ends_stream()),
        ("CRC_MISMATCH", 52, false)
    );
    let want = Fault::CrcMismatch {
        sid: 1,
        seq: 7,
        want: 0x0fe0_ca56,
        got: 0x0fe0_ca55,
    };
    assert_eq!(err.fault, want);
    assert_eq!(all[1..], [Ok(PLAIN)]);
}

#[test]
fn verifies_the_checksum_of_an_empty_payload_too() {
    assert_eq!(accepted(with(" crc=00000000")), PLAIN);
    let all = read(with(" crc=00000001"));
    assert_eq!(all[0].as_ref().unwrap_err().code(), "CRC_MISMATCH");
}

#[test]
fn skips_a_payload_that_is_not_utf8_and_reads_the_next() {
    let mut bytes = b"@frame{v=1 sid=1 seq=7 kind=doc len=3}\na\xff\xfe\n".to_vec();
    bytes.extend(with("").into_bytes());
    let all = read(bytes);
    let err = all[0].as_ref().unwrap_err();
    assert_eq!(
        (err.code(), err.at, err.ends_stream()),
        ("FRAME_INVALID", 40, false)
    );
    assert_eq!(err.fault, Fault::PayloadNotUtf8 { sid: 1, seq: 7 });
    assert_eq!(all[1..], [Ok(PLAIN)]);
}

#[test]
fn says_nothing_more_after_a_header_error() {
    let bytes = format!("@frame{{v=1 sid=x seq=2 kind=doc len=0}}\n\n{}", with(""));
    let mut decoder = TextDecoder::new(Limits::default());
    let mut input = bytes.as_bytes();
    let err = decoder.next_frame(&mut input).unwrap().unwrap_err();
    assert_eq!((err.code(), err.at), ("FRAME_INVALID", 11));
    assert_eq!(decoder.next_frame(&mut input), None);
    assert!(input.is_empty());
    let more = with("");
    assert_eq!(decoder.next_frame(&mut more.as_bytes()), None);
    assert_eq!(decoder.finish(), None);
}

#[test]
fn repeats_only_the_start_of_a_long_value_in_an_error() {
    let err = refused(with(&format!(" crc={}", "\u{1b}z".repeat(10_000))));
    assert!(err.to_string().len() < 512);
    assert!(
        !err.to_string().contains('\u{1b}'),
        "control bytes of a peer must not reach a terminal"
    );
}
