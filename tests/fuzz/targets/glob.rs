//! Globs agree with a matcher that tries everything.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sieve::Glob;

/// The slow matcher takes the product of both lengths.
const LONGEST: usize = 400;

fuzz_target!(|input: &str| {
    let Some((pattern, text)) = input.split_once('\n') else {
        return;
    };
    if pattern.len() > LONGEST || text.len() > LONGEST {
        return;
    }
    assert_eq!(Glob::new(pattern).matches(text), fits(pattern, text));
    assert_eq!(
        Glob::ignoring_case(pattern).matches(text),
        fits(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase())
    );
});

fn fits(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    // Which lengths of text the pattern so far can take.
    let mut taken = vec![false; text.len() + 1];
    taken[0] = true;
    for want in pattern.chars() {
        let before = taken.clone();
        for (len, slot) in taken.iter_mut().enumerate() {
            *slot = match want {
                '*' => before[..=len].contains(&true),
                _ => len > 0 && before[len - 1] && (want == '?' || want == text[len - 1]),
            };
        }
    }
    taken[text.len()]
}
