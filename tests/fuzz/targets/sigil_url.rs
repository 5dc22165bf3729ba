//! Any text as a URL: never a panic, and what is canonical stays canonical.

#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::Base;
use registry::scan::hit;
use registry::url::canonical;

fuzz_target!(|text: &str| {
    let base = Base::default();
    let _ = hit(text, &base);
    if let Ok(Some(url)) = canonical(text, &base)
        // Dropping an empty query or fragment may bare white space.
        && !url.ends_with(|ch: char| ch.is_whitespace() || ch < ' ')
    {
        assert_eq!(canonical(&url, &base), Ok(Some(url)));
    }
});
