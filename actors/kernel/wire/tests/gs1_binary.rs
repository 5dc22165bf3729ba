//! What the binary GS1 reader refuses, one by one, and how it is told from the text one.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use wire::gs1::{BinaryDecoder, DecodeError, Decoder, Fault, Limits};

fn binary(flags: u8, version: u8, len: u32) -> Vec<u8> {
    let mut bytes = vec![b'G', b'S', b'1', version, flags, 0];
    bytes.extend([0; 16]);
    bytes.extend(len.to_be_bytes());
    bytes
}

fn refused_binary(bytes: &[u8]) -> DecodeError {
    let mut decoder = BinaryDecoder::new(Limits::default());
    let mut input = bytes;
    let err = decoder.next_frame(&mut input).unwrap().unwrap_err();
    assert!(err.ends_stream());
    assert_eq!(decoder.next_frame(&mut input), None);
    assert_eq!(decoder.finish(), Ok(()));
    err
}

#[test]
fn refuses_binary_flags_that_are_undefined_or_mark_compression() {
    for bit in 3..8 {
        let err = refused_binary(&binary(1 << bit, 1, 0));
        assert_eq!((err.code(), err.at), ("FRAME_INVALID", 4));
    }
    assert_eq!(
        refused_binary(&binary(8, 1, 0)).fault,
        Fault::Compressed { flags: 8 }
    );
}

#[test]
fn refuses_binary_frames_of_other_versions_and_lengths() {
    for version in [0, 2, 255] {
        assert_eq!(
            refused_binary(&binary(0, version, 0)).code(),
            "VERSION_UNSUPPORTED"
        );
    }
    assert_eq!(
        refused_binary(&binary(0, 1, 67_108_865)).code(),
        "PAYLOAD_TOO_LARGE"
    );
    assert_eq!(
        refused_binary(&binary(1, 1, u32::MAX)).code(),
        "PAYLOAD_TOO_LARGE"
    );
}

#[test]
fn refuses_bytes_that_are_not_binary_frames_at_the_first_wrong_one() {
    let err = refused_binary(b"GSx");
    assert_eq!((err.code(), err.at), ("FRAME_INVALID", 2));
    let mut decoder = BinaryDecoder::new(Limits::default());
    let mut trailing = binary(0, 1, 0);
    trailing.push(b'\n');
    let mut input = trailing.as_slice();
    assert!(decoder.next_frame(&mut input).unwrap().is_ok());
    let err = decoder.next_frame(&mut input).unwrap().unwrap_err();
    assert_eq!((err.fault, err.at), (Fault::Magic, 26));
}

#[test]
fn refuses_half_a_binary_frame_at_the_end() {
    let frame = binary(3, 1, 4);
    for len in 1..frame.len() {
        let mut decoder = BinaryDecoder::new(Limits::default());
        assert_eq!(decoder.next_frame(&mut &frame[..len]), None);
        assert_eq!(decoder.finish().unwrap_err().code(), "FRAME_INVALID");
    }
}

#[test]
fn skips_a_binary_frame_with_a_wrong_checksum_and_reads_the_next() {
    let mut bytes = binary(1, 1, 2);
    bytes.extend(*b"\0\0\0\0{}");
    bytes.extend(binary(0, 1, 2));
    bytes.extend([0xff, 0xfe]);
    let mut decoder = Decoder::new(Limits::default());
    let mut input = bytes.as_slice();
    let err = decoder.next_frame(&mut input).unwrap().unwrap_err();
    assert_eq!((err.code(), err.at), ("CRC_MISMATCH", 30));
    assert_eq!(
        decoder.next_frame(&mut input).unwrap().unwrap().payload,
        [0xff, 0xfe]
    );
    assert_eq!(decoder.finish(), Ok(()));
}

#[test]
fn tells_text_from_binary_by_the_first_byte() {
    let text = "@frame{v=1 sid=1 seq=2 kind=doc len=0}\n\n";
    let binary = binary(0, 1, 0);
    for bytes in [text.as_bytes(), binary.as_slice()] {
        let mut decoder = Decoder::new(Limits::default());
        let mut input = bytes;
        assert!(decoder.next_frame(&mut input).unwrap().is_ok());
    }
    let mut decoder = Decoder::new(Limits::default());
    assert_eq!(
        decoder
            .next_frame(&mut &b"HTTP/1.1\n"[..])
            .unwrap()
            .unwrap_err()
            .code(),
        "FRAME_INVALID"
    );
    assert_eq!(Decoder::new(Limits::default()).finish(), Ok(()));
}
