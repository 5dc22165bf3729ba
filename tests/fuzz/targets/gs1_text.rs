//! The GS1-T readers never panic, say the same however the bytes are cut, and read back what the writer makes.

#![no_main]

#[path = "said.rs"]
mod said;

use libfuzzer_sys::fuzz_target;
use said::{Owned, Said, TIGHT, feed, said_by_either};
use wire::gs1::{Frame, TextDecoder, encode_text};

fuzz_target!(|bytes: &[u8]| {
    let Some((&cut, bytes)) = bytes.split_first() else {
        return;
    };
    let strict = said_by(TextDecoder::new(TIGHT), bytes, bytes.len());
    assert_eq!(
        said_by(TextDecoder::new(TIGHT), bytes, usize::from(cut)),
        strict
    );
    let lenient = said_by(TextDecoder::lenient(TIGHT), bytes, bytes.len());
    assert_eq!(
        said_by(TextDecoder::lenient(TIGHT), bytes, usize::from(cut)),
        lenient
    );
    // Whoever guesses takes at least what is beyond doubt, as it is; only the end of the stream it also sees in `flags`,
    // which the reference reader reads and GS1-T does not.
    let mut guessed = lenient.iter();
    for frame in strict.iter().map_while(|said| said.as_ref().ok()) {
        let guess = guessed.next().expect("a frame for each that is sure");
        let guess = guess.as_ref().expect("nothing wrong with what is sure");
        let ended = Frame {
            is_final: true,
            ..frame.frame()
        };
        assert!(guess.frame() == frame.frame() || guess.frame() == ended);
    }
    if bytes.first() != Some(&b'G') {
        assert_eq!(said_by_either(bytes, usize::from(cut)), strict);
    }
    for frame in strict.iter().flatten() {
        read_back(frame);
    }
});

fn said_by(mut decoder: TextDecoder, bytes: &[u8], size: usize) -> Vec<Said> {
    let mut said = feed(bytes, size, |input| {
        decoder
            .next_frame(input)
            .map(|step| step.map(|frame| Owned::of(&frame)))
    });
    said.extend(
        decoder
            .finish()
            .map(|last| last.map(|frame| Owned::of(&frame))),
    );
    said
}

fn read_back(owned: &Owned) {
    let mut bytes = Vec::new();
    encode_text(&owned.frame(), false, &mut bytes);
    let again = said_by(TextDecoder::default(), &bytes, bytes.len());
    assert_eq!(again, [Ok(owned.clone())]);
}
