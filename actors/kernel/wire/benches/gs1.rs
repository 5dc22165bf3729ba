//! How many frames one thread writes and reads per second.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use wire::gs1::{BinaryDecoder, Frame, Kind, Limits, TextDecoder, encode_binary, encode_text};

/// Frames per pass: enough that the stream does not fit the first cache levels.
const FRAMES: u64 = 10_000;
const PAYLOAD: [u8; 200] = [b'x'; 200];
/// What a socket read hands over at once.
const CHUNK_BYTES: usize = 16 * 1024;

fn main() {
    divan::main();
}

fn frame(seq: u64) -> Frame<'static> {
    Frame {
        sid: 42,
        seq,
        kind: Kind::Doc,
        payload: &PAYLOAD,
        ..Frame::default()
    }
}

fn text_stream() -> Vec<u8> {
    let mut out = Vec::new();
    for seq in 1..=FRAMES {
        encode_text(&frame(seq), true, &mut out);
    }
    out
}

fn count_text(decoder: &mut TextDecoder, mut input: &[u8]) -> u64 {
    let mut count = 0;
    while let Some(step) = decoder.next_frame(&mut input) {
        let Ok(frame) = black_box(step) else {
            break;
        };
        count += u64::from(frame.crc.is_some());
    }
    count
}

#[divan::bench]
fn encode_text_with_crc(bencher: Bencher<'_, '_>) {
    let mut out = Vec::with_capacity(text_stream().len());
    bencher.counter(ItemsCount::new(FRAMES)).bench_local(|| {
        out.clear();
        for seq in 1..=FRAMES {
            encode_text(black_box(&frame(seq)), true, &mut out);
        }
        black_box(&out);
    });
}

#[divan::bench]
fn encode_binary_with_crc(bencher: Bencher<'_, '_>) {
    let mut out = Vec::new();
    bencher.counter(ItemsCount::new(FRAMES)).bench_local(|| {
        out.clear();
        for seq in 1..=FRAMES {
            let done = encode_binary(black_box(&frame(seq)), true, &mut out);
            assert_eq!(done, Ok(()));
        }
        black_box(&out);
    });
}

#[divan::bench]
fn decode_text_with_crc(bencher: Bencher<'_, '_>) {
    let stream = text_stream();
    bencher
        .counter(ItemsCount::new(FRAMES))
        .counter(BytesCount::new(stream.len()))
        .bench_local(|| {
            let mut decoder = TextDecoder::new(Limits::default());
            assert_eq!(count_text(&mut decoder, black_box(&stream)), FRAMES);
        });
}

#[divan::bench]
fn decode_text_with_crc_in_chunks(bencher: Bencher<'_, '_>) {
    let stream = text_stream();
    bencher.counter(ItemsCount::new(FRAMES)).bench_local(|| {
        let mut decoder = TextDecoder::new(Limits::default());
        let mut count = 0;
        for chunk in black_box(&stream).chunks(CHUNK_BYTES) {
            count += count_text(&mut decoder, chunk);
        }
        assert_eq!(count, FRAMES);
    });
}

#[divan::bench]
fn decode_binary_with_crc(bencher: Bencher<'_, '_>) {
    let mut stream = Vec::new();
    for seq in 1..=FRAMES {
        assert_eq!(encode_binary(&frame(seq), true, &mut stream), Ok(()));
    }
    bencher.counter(ItemsCount::new(FRAMES)).bench_local(|| {
        let mut decoder = BinaryDecoder::new(Limits::default());
        let mut input: &[u8] = black_box(&stream);
        let mut count = 0;
        while let Some(step) = decoder.next_frame(&mut input) {
            count += u64::from(black_box(step).is_ok());
        }
        assert_eq!(count, FRAMES);
    });
}

/// One large frame in small chunks: the cost per byte must not grow with the frame.
#[divan::bench(args = [1, 8, 64])]
fn decode_one_frame_in_chunks(bencher: Bencher<'_, '_>, mebibytes: usize) {
    let payload = vec![b'x'; mebibytes * 1024 * 1024];
    let mut stream = Vec::new();
    let large = Frame {
        payload: &payload,
        ..frame(1)
    };
    encode_text(&large, true, &mut stream);
    bencher
        .counter(BytesCount::new(stream.len()))
        .bench_local(|| {
            let mut decoder = TextDecoder::new(Limits::default());
            let count: u64 = stream
                .chunks(CHUNK_BYTES)
                .map(|chunk| count_text(&mut decoder, chunk))
                .sum();
            assert_eq!(count, 1);
        });
}
