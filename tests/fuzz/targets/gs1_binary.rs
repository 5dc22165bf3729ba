//! The GS1-B reader never panics, says the same however the bytes are cut, and takes only what the writer makes.

#![no_main]

#[path = "said.rs"]
mod said;

use libfuzzer_sys::fuzz_target;
use said::{Owned, Said, TIGHT, feed, said_by_either};
use wire::gs1::{BinaryDecoder, encode_binary};

fuzz_target!(|bytes: &[u8]| {
    let Some((&cut, bytes)) = bytes.split_first() else {
        return;
    };
    let whole = said_by(bytes, bytes.len());
    assert_eq!(said_by(bytes, usize::from(cut)), whole);
    if bytes.first() == Some(&b'G') {
        assert_eq!(said_by_either(bytes, usize::from(cut)), whole);
    }
    // Each frame has one spelling, so the frames up to the first fault are the bytes up to there.
    let mut again = Vec::new();
    for frame in whole.iter().map_while(|said| said.as_ref().ok()) {
        encode_binary(&frame.frame(), false, &mut again).expect("it came out of 32 bits");
    }
    assert!(bytes.starts_with(&again));
});

fn said_by(bytes: &[u8], size: usize) -> Vec<Said> {
    let mut decoder = BinaryDecoder::new(TIGHT);
    let mut said = feed(bytes, size, |input| {
        decoder
            .next_frame(input)
            .map(|step| step.map(|frame| Owned::of(&frame)))
    });
    said.extend(decoder.finish().err().map(Err));
    said
}
