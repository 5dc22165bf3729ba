//! GS1 bytes that others agree on: what we write is what they write, what we read is what they mean.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use sha2::{Digest, Sha256};
use wire::gs1::{
    BinaryDecoder, Decoder, Frame, Kind, Limits, TextDecoder, encode_binary, encode_text,
};

const TEXT: &str = include_str!("../../../../tests/golden/gs1_text.txt");
const BINARY: &str = include_str!("../../../../tests/golden/gs1_binary.txt");
const BASE: &str = "86289d0995ec08fb6f57ac4a919925bf14c1991bc53d73954d49b3451876c278";
const ALL_BYTES: usize = 1892;
const ALL_SHA256: &str = "db70ebff4863f7fba745e7dd856625d518a6500be6fdf9bfd1ecb2b787621592";

struct Vector {
    number: usize,
    bytes: usize,
    sha256: String,
    frame: Vec<u8>,
}

fn vectors() -> Vec<Vector> {
    let lines = TEXT.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut columns = line.splitn(4, ' ');
            Vector {
                number: columns.next().unwrap().parse().unwrap(),
                bytes: columns.next().unwrap().parse().unwrap(),
                sha256: columns.next().unwrap().to_owned(),
                frame: unescape(columns.next().unwrap()),
            }
        })
        .collect()
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let (&escape, tail) = rest.split_first().unwrap();
        rest = tail;
        match escape {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b'x' => {
                out.extend(unhex(str::from_utf8(&rest[..2]).unwrap()));
                rest = &rest[2..];
            }
            _ => panic!("unknown escape {}", char::from(escape)),
        }
    }
    out
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn base() -> Option<[u8; 32]> {
    Some(unhex(BASE).try_into().unwrap())
}

fn text(number: usize) -> Vec<u8> {
    vectors().swap_remove(number - 1).frame
}

fn binary(number: &str) -> Vec<u8> {
    let line = BINARY
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{number} ")));
    unhex(line.unwrap())
}

fn with_frame(bytes: &[u8], look: impl FnOnce(&Frame<'_>)) {
    let mut decoder = Decoder::new(Limits::default());
    let mut input = bytes;
    look(&decoder.next_frame(&mut input).unwrap().unwrap());
    assert_eq!(decoder.next_frame(&mut input), None);
    assert_eq!(decoder.finish(), Ok(()));
}

fn rewrite(frame: &Frame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode_text(frame, false, &mut out);
    out
}

#[test]
fn holds_every_vector_with_the_length_and_hash_it_was_published_with() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 22);
    for (index, vector) in vectors.iter().enumerate() {
        assert_eq!(vector.number, index + 1);
        assert_eq!(vector.frame.len(), vector.bytes, "vector {}", vector.number);
        assert_eq!(
            sha256(&vector.frame)[..16],
            vector.sha256,
            "vector {}",
            vector.number
        );
    }
    let all = vectors
        .iter()
        .flat_map(|vector| vector.frame.clone())
        .collect::<Vec<_>>();
    assert_eq!((all.len(), sha256(&all).as_str()), (ALL_BYTES, ALL_SHA256));
}

#[test]
fn writes_every_vector_back_byte_for_byte() {
    for vector in vectors() {
        with_frame(&vector.frame, |frame| {
            assert_eq!(rewrite(frame), vector.frame, "vector {}", vector.number);
        });
    }
}

#[test]
fn reads_the_vectors_one_after_another_as_one_stream() {
    let all = vectors()
        .iter()
        .flat_map(|vector| vector.frame.clone())
        .collect::<Vec<_>>();
    let mut decoder = TextDecoder::new(Limits::default());
    let mut input = all.as_slice();
    let mut out = Vec::new();
    let mut count = 0;
    while let Some(step) = decoder.next_frame(&mut input) {
        encode_text(&step.unwrap(), false, &mut out);
        count += 1;
    }
    assert_eq!(decoder.finish(), None);
    assert_eq!((count, sha256(&out).as_str()), (22, ALL_SHA256));
}

#[test]
fn reads_the_fields_the_vectors_were_made_from() {
    let none = Frame::default();
    let expected = [
        (
            1,
            Frame {
                payload: b"{}",
                ..none
            },
        ),
        (
            2,
            Frame {
                sid: 1,
                seq: 10,
                kind: Kind::Ack,
                ..none
            },
        ),
        (
            3,
            Frame {
                sid: 1,
                seq: 2,
                crc: Some(0x0fe0_ca55),
                payload: b"{a=1}",
                ..none
            },
        ),
        (
            4,
            Frame {
                sid: 1,
                seq: 3,
                kind: Kind::Patch,
                base: base(),
                payload: b"@patch\n= [\"x\"] 5\n@end",
                ..none
            },
        ),
        (
            6,
            Frame {
                sid: 1,
                seq: 9,
                is_final: true,
                payload: b"done",
                ..none
            },
        ),
        (
            7,
            Frame {
                sid: 1,
                seq: 9,
                kind: Kind::Row,
                crc: Some(0x0191_a9db),
                base: base(),
                is_final: true,
                payload: b"[1 2]",
            },
        ),
        (
            8,
            Frame {
                sid: u64::MAX,
                seq: u64::MAX,
                kind: Kind::Ping,
                ..none
            },
        ),
        (
            14,
            Frame {
                sid: 7,
                seq: 6,
                kind: Kind::Unknown(9),
                crc: Some(0x8cdc_1683),
                payload: b"x",
                ..none
            },
        ),
        (
            15,
            Frame {
                sid: 7,
                seq: 7,
                kind: Kind::Unknown(255),
                ..none
            },
        ),
        (
            18,
            Frame {
                seq: 3,
                kind: Kind::Pong,
                ..none
            },
        ),
        (
            20,
            Frame {
                sid: 7,
                seq: 9,
                crc: Some(0x36de_2269),
                payload: b"\x00\x01",
                ..none
            },
        ),
        (
            22,
            Frame {
                sid: 7,
                seq: 10,
                crc: Some(0xa046_063c),
                payload: b"a\rb",
                ..none
            },
        ),
    ];
    for (number, want) in expected {
        with_frame(&text(number), |frame| {
            assert_eq!(frame, &want, "vector {number}")
        });
    }
    with_frame(&text(16), |frame| {
        assert_eq!((frame.kind, frame.payload.len()), (Kind::Err, 54))
    });
    with_frame(&text(17), |frame| {
        assert_eq!((frame.kind, frame.payload.len()), (Kind::Ui, 42))
    });
}

#[test]
fn computes_the_checksums_the_vectors_carry() {
    for number in [3, 5, 7, 9, 10, 11, 12, 13, 14, 16, 17, 19, 20, 21, 22] {
        let vector = text(number);
        with_frame(&vector, |frame| {
            let mut out = Vec::new();
            encode_text(
                &Frame {
                    crc: None,
                    ..*frame
                },
                true,
                &mut out,
            );
            assert_eq!(out, vector, "vector {number}");
        });
    }
}

#[test]
fn gives_an_empty_payload_no_checksum_unless_it_is_set() {
    let ack = Frame {
        sid: 1,
        seq: 10,
        kind: Kind::Ack,
        ..Frame::default()
    };
    let mut out = Vec::new();
    encode_text(&ack, true, &mut out);
    assert_eq!(out, text(2));
    out.clear();
    encode_text(
        &Frame {
            crc: Some(0),
            ..ack
        },
        false,
        &mut out,
    );
    assert_eq!(
        out,
        b"@frame{v=1 sid=1 seq=10 kind=ack len=0 crc=00000000}\n\n"
    );
    with_frame(&out, |frame| assert_eq!(frame.crc, Some(0)));
}

#[test]
fn writes_the_checksum_of_an_empty_map_as_published() {
    let mut out = Vec::new();
    encode_text(
        &Frame {
            payload: b"{}",
            ..Frame::default()
        },
        true,
        &mut out,
    );
    assert_eq!(
        out,
        b"@frame{v=1 sid=0 seq=0 kind=doc len=2 crc=a3a6bf43}\n{}\n"
    );
}

#[test]
fn reads_the_seed_examples_once_their_lengths_are_right() {
    let patch = b"@frame{v=1 sid=1 seq=1 kind=patch len=20 crc=bfa2da66}\n@patch\nset .x 1\n@end\n";
    with_frame(patch, |frame| {
        assert_eq!(frame.payload, b"@patch\nset .x 1\n@end")
    });
    let event = b"@frame{v=1 sid=1 seq=1 kind=ui len=33 crc=f5a532e3}\nUIEvent@(type \"progress\" pct 0.5)\n";
    with_frame(event, |frame| assert_eq!(frame.kind, Kind::Ui));
}

#[test]
fn writes_a_named_kind_by_name_even_if_built_from_its_number() {
    for number in 0..=255 {
        assert_eq!(Kind::from_number(number).number(), number);
        let mut by_hand = Vec::new();
        let mut by_name = Vec::new();
        encode_text(
            &Frame {
                kind: Kind::Unknown(number),
                ..Frame::default()
            },
            false,
            &mut by_hand,
        );
        encode_text(
            &Frame {
                kind: Kind::from_number(number),
                ..Frame::default()
            },
            false,
            &mut by_name,
        );
        assert_eq!(by_hand, by_name);
    }
}

#[test]
fn writes_and_reads_the_binary_vectors() {
    for number in ["1", "2", "3", "7", "8"] {
        let from_text = text(number.parse().unwrap());
        let from_binary = binary(number);
        let mut out = Vec::new();
        with_frame(&from_text, |frame| {
            encode_binary(frame, false, &mut out).unwrap()
        });
        assert_eq!(hex(&out), hex(&from_binary), "vector {number}");
        with_frame(&from_binary, |frame| {
            assert_eq!(rewrite(frame), from_text, "vector {number}")
        });
    }
}

#[test]
fn carries_every_text_vector_through_binary_and_back() {
    let mut stream = Vec::new();
    for vector in vectors() {
        with_frame(&vector.frame, |frame| {
            encode_binary(frame, false, &mut stream).unwrap()
        });
    }
    let mut decoder = BinaryDecoder::new(Limits::default());
    let mut input = stream.as_slice();
    let mut out = Vec::new();
    while let Some(step) = decoder.next_frame(&mut input) {
        encode_text(&step.unwrap(), false, &mut out);
    }
    assert_eq!(decoder.finish(), Ok(()));
    assert_eq!(sha256(&out), ALL_SHA256);
}

#[test]
fn keeps_the_widest_standard_header_within_189_bytes() {
    let widest = Frame {
        sid: u64::MAX,
        seq: u64::MAX,
        kind: Kind::Patch,
        crc: Some(u32::MAX),
        base: Some([0xff; 32]),
        is_final: true,
        payload: b"",
    };
    // The published bound has the ten digits of the longest length, where this one has a zero.
    let line = rewrite(&widest).len() - b"}\n\n".len() + 1 + 9;
    assert!(line <= 189, "{line}");
}
