//! GS1 bytes as a network hands them over: in pieces, endless, or wrong.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use proptest::prelude::*;
use wire::gs1::{
    BinaryDecoder, DecodeError, Decoder, Frame, Kind, Limits, TextDecoder, encode_binary,
    encode_text, has_carriage_return, push_sse_lines,
};

/// Small enough that generated input runs into them.
const TIGHT: Limits = Limits {
    max_payload: 40,
    max_header: 90,
};

#[derive(Debug, Clone, PartialEq)]
struct Owned {
    header: Frame<'static>,
    payload: Vec<u8>,
}

impl Owned {
    fn of(frame: &Frame<'_>) -> Self {
        Self {
            header: Frame {
                payload: b"",
                ..*frame
            },
            payload: frame.payload.to_vec(),
        }
    }

    fn frame(&self) -> Frame<'_> {
        Frame {
            payload: &self.payload,
            ..self.header
        }
    }
}

/// Feeds `bytes` in pieces of the given sizes, over and over, and returns all that was said.
fn read(bytes: &[u8], sizes: &[usize], limits: Limits) -> Vec<Result<Owned, DecodeError>> {
    let mut decoder = Decoder::new(limits);
    let mut said = Vec::new();
    let mut sizes = sizes.iter().cycle();
    let mut rest = bytes;
    while !rest.is_empty() {
        let size = sizes.next().copied().unwrap_or(rest.len()).min(rest.len());
        let (mut input, tail) = rest.split_at(size);
        rest = tail;
        while let Some(step) = decoder.next_frame(&mut input) {
            said.push(step.map(|frame| Owned::of(&frame)));
        }
        assert!(input.is_empty(), "none means that the input is used up");
    }
    if let Err(err) = decoder.finish() {
        said.push(Err(err));
    }
    said
}

fn frames() -> impl Strategy<Value = Vec<Owned>> {
    let header = (
        any::<u64>(),
        any::<u64>(),
        any::<u8>(),
        any::<Option<[u8; 32]>>(),
        any::<bool>(),
    );
    let frame = (header, "\\PC{0,20}|[\n\r }]{0,9}").prop_map(
        |((sid, seq, kind, base, is_final), payload)| Owned {
            header: Frame {
                sid,
                seq,
                kind: Kind::from_number(kind),
                base,
                is_final,
                ..Frame::default()
            },
            payload: payload.into_bytes(),
        },
    );
    prop::collection::vec(frame, 0..6)
}

/// Returns bytes that look enough like frames to reach every corner.
fn near_frames() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(&b"@frame{v=1 sid=1 seq=2 kind=doc len=2}\n{}\n"[..]),
        Just(&b"@frame{v=1 sid=1 seq=2 kind=doc len=5 crc=0fe0ca55}\n{a=1}\n"[..]),
        Just(&b"@frame{v=1 sid=1 seq=2 kind=doc len=5 crc=00000000}\n{a=1}\n"[..]),
        Just(&b"@frame{"[..]),
        Just(&b"v=1 sid=1 seq=2 kind=9 "[..]),
        Just(&b"len=3"[..]),
        Just(&b"}\n"[..]),
        Just(&b"\n"[..]),
        Just(&b" \t,\"=\r"[..]),
        Just(&b"\xff\xc3"[..]),
        Just(&b"GS1\x01\x01\x00"[..]),
        Just(&[0; 16][..]),
        Just(&b"\x00\x00\x00\x02"[..]),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn says_the_same_for_any_chunking(
        bytes in near_frames(),
        sizes in prop::collection::vec(1usize..9, 1..5),
    ) {
        let whole = read(&bytes, &[], TIGHT);
        prop_assert_eq!(&read(&bytes, &[1], TIGHT), &whole);
        prop_assert_eq!(&read(&bytes, &sizes, TIGHT), &whole);
    }

    #[test]
    fn reads_back_what_it_wrote_for_any_chunking(
        frames in frames(),
        sizes in prop::collection::vec(1usize..60, 1..5),
        auto_crc: bool,
    ) {
        let (mut text, mut binary) = (Vec::new(), Vec::new());
        for owned in &frames {
            encode_text(&owned.frame(), auto_crc, &mut text);
            encode_binary(&owned.frame(), auto_crc, &mut binary).unwrap();
        }
        for bytes in [text, binary] {
            for sizes in [&[][..], &[1], &sizes] {
                let mut said = Vec::new();
                for step in read(&bytes, sizes, Limits::default()) {
                    let mut owned = step.unwrap();
                    prop_assert_eq!(owned.header.crc.is_some(), auto_crc && !owned.payload.is_empty());
                    owned.header.crc = None;
                    said.push(owned);
                }
                prop_assert_eq!(&said, &frames);
            }
        }
    }

    #[test]
    fn survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), near in near_frames()) {
        for bytes in [bytes.clone(), [near, bytes].concat()] {
            for limits in [TIGHT, Limits::default(), Limits { max_payload: 0, max_header: 0 }] {
                read(&bytes, &[], limits);
                let mut binary = BinaryDecoder::new(limits);
                let mut input = bytes.as_slice();
                while binary.next_frame(&mut input).is_some() {}
                let _ = binary.finish();
                let mut lenient = TextDecoder::lenient(limits);
                let mut input = bytes.as_slice();
                while lenient.next_frame(&mut input).is_some() {}
                let _ = lenient.finish();
            }
        }
    }

    #[test]
    fn gives_an_event_source_the_frame_byte_for_byte(payload in "([^\r]|\n){0,30}") {
        let mut frame = Vec::new();
        encode_text(&Frame { payload: payload.as_bytes(), ..Frame::default() }, true, &mut frame);
        prop_assert!(!has_carriage_return(&frame));
        let mut lines = Vec::new();
        push_sse_lines(&frame, &mut lines);
        prop_assert_eq!(event_data(&lines), frame);
    }
}

/// Reads lines as an event source does: a field per line, one space dropped, LF after each value, the last LF dropped.
fn event_data(lines: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    let lines = lines.strip_suffix(b"\n").unwrap();
    for line in lines.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let value = line.strip_prefix(b"data:").unwrap();
        data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
        data.push(b'\n');
    }
    data.pop();
    data
}

#[test]
fn writes_a_frame_as_data_lines_with_an_empty_last_one() {
    let mut out = b"id: 1-2\n".to_vec();
    push_sse_lines(
        b"@frame{v=1 sid=1 seq=2 kind=doc len=5 crc=0fe0ca55}\n{a=1}\n",
        &mut out,
    );
    let want = b"id: 1-2\ndata: @frame{v=1 sid=1 seq=2 kind=doc len=5 crc=0fe0ca55}\ndata: {a=1}\ndata: \n";
    assert_eq!(out, want);
}

#[test]
fn finds_the_carriage_return_an_event_cannot_carry() {
    for payload in [&b"a\rb"[..], b"\r", b"a\r\n"] {
        assert!(has_carriage_return(payload));
    }
    assert!(!has_carriage_return(b""));
    assert!(!has_carriage_return(b"a\nb\\r"));
}

#[test]
fn hands_over_a_frame_with_its_last_payload_byte() {
    let bytes =
        b"@frame{v=1 sid=1 seq=2 kind=doc len=2}\n{}\n@frame{v=1 sid=1 seq=3 kind=doc len=0}\n\n";
    let (head, mut tail) = bytes.split_at(41);
    assert_eq!(head.last(), Some(&b'}'));
    let mut decoder = TextDecoder::default();
    let mut input = head;
    assert_eq!(decoder.next_frame(&mut input).unwrap().unwrap().seq, 2);
    assert_eq!(decoder.next_frame(&mut input), None);
    assert_eq!(decoder.next_frame(&mut tail).unwrap().unwrap().seq, 3);
}

#[test]
fn borrows_a_payload_that_lies_whole_in_the_input() {
    let bytes = b"@frame{v=1 sid=1 seq=2 kind=doc len=2}\n{}\n";
    let mut decoder = TextDecoder::default();
    let (head, tail) = bytes.split_at(10);
    assert_eq!(decoder.next_frame(&mut &head[..]), None);
    let mut input = tail;
    let frame = decoder.next_frame(&mut input).unwrap().unwrap();
    assert!(bytes.as_ptr_range().contains(&frame.payload.as_ptr()));
}

#[test]
fn shows_the_header_of_a_payload_that_is_still_coming() {
    let mut decoder = Decoder::new(Limits::default());
    assert_eq!(decoder.awaiting(), None);
    let mut input = &b"@frame{v=1 sid=1 seq=2 kind=row len=60000000}\nabc"[..];
    assert_eq!(decoder.next_frame(&mut input), None);
    let header = decoder.awaiting().unwrap();
    assert_eq!((header.kind, header.len), (Kind::Row, 60_000_000));
}

#[test]
fn counts_error_offsets_from_the_start_of_the_stream() {
    let good = b"@frame{v=1 sid=1 seq=2 kind=doc len=2}\n{}\n";
    let bytes = [&good[..], b"@frame{v=1 sid=1 seq=2 kind=nix len=2}\n"].concat();
    let at = bytes
        .windows(8)
        .position(|window| window == b"kind=nix")
        .unwrap();
    for sizes in [&[][..], &[1], &[7]] {
        let said = read(&bytes, sizes, Limits::default());
        assert_eq!(said[1].as_ref().unwrap_err().at, at as u64);
    }
}
