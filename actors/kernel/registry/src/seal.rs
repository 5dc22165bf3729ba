//! Digests: the seal over the ordered list, the fingerprint of one URL.

use std::fmt;
use std::str::FromStr;

use blake2b_simd::many::{HashManyJob, hash_many};
use blake2b_simd::{Hash, Params};
use glint::hex::{self, Hex};
use thiserror::Error;

/// Bytes of a seal and of a fingerprint.
const DIGEST_BYTES: usize = 16;
/// Fingerprints that are worked out together.
const JOBS: usize = 64;

/// The seal of a list: BLAKE2b with a digest of 16 bytes over `{"urls":[…]}`. Displays as 32 hexadecimal digits.
///
/// Equal lists have equal seals. It says nothing of payloads beyond what orders them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seal(pub [u8; DIGEST_BYTES]);

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(&self.0), f)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({self})")
    }
}

/// A text that is no seal.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a seal is 32 lowercase hexadecimal digits")]
pub struct SealError;

impl SealError {
    /// A stable token for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "seal_malformed"
    }
}

impl FromStr for Seal {
    type Err = SealError;

    fn from_str(text: &str) -> Result<Seal, SealError> {
        let mut seal = Seal([0; DIGEST_BYTES]);
        hex::read(text, &mut seal.0).map(|()| seal).ok_or(SealError)
    }
}

/// Seals a list: its URLs as JSON strings with a comma after each, in pieces, in its order.
pub fn seal<'t>(texts: impl IntoIterator<Item = &'t str>) -> Seal {
    let mut state = params().to_state();
    state.update(b"{\"urls\":[");
    let mut texts = texts.into_iter().peekable();
    while let Some(text) = texts.next() {
        let text = match texts.peek() {
            Some(_) => text,
            None => text.strip_suffix(',').unwrap_or(text),
        };
        state.update(text.as_bytes());
    }
    state.update(b"]}");
    Seal(bytes_of(&state.finalize()))
}

/// The fingerprint of a URL: what stands for it where two registries are compared. The first bytes order them.
pub type Fingerprint = u128;

/// Returns the fingerprint of a URL: BLAKE2b with a digest of 16 bytes, as a big-endian number.
#[must_use]
pub fn fingerprint(url: &str) -> Fingerprint {
    as_fingerprint(&params().hash(url.as_bytes()))
}

fn as_fingerprint(hash: &Hash) -> Fingerprint {
    u128::from_be_bytes(bytes_of(hash))
}

/// Returns the fingerprints of many URLs: several are worked out at once, in the lanes of the processor.
pub(crate) fn fingerprints<'u>(urls: impl Iterator<Item = &'u str>) -> Vec<Fingerprint> {
    let params = params();
    let mut urls = urls.peekable();
    let mut prints = Vec::with_capacity(urls.size_hint().0);
    while urls.peek().is_some() {
        let job = |url: &'u str| HashManyJob::new(&params, url.as_bytes());
        let mut jobs: Vec<HashManyJob<'_>> = urls.by_ref().take(JOBS).map(job).collect();
        hash_many(&mut jobs);
        prints.extend(jobs.iter().map(|job| as_fingerprint(&job.to_hash())));
    }
    prints
}

fn params() -> Params {
    let mut params = Params::new();
    params.hash_length(DIGEST_BYTES);
    params
}

fn bytes_of(hash: &Hash) -> [u8; DIGEST_BYTES] {
    let mut bytes = [0; DIGEST_BYTES];
    bytes.copy_from_slice(hash.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_length_is_part_of_the_digest() {
        assert_eq!(seal([]).to_string(), "fbace09c6439af5ec18a780e9c7c8131");
    }

    #[test]
    fn many_fingerprints_are_those_of_each() {
        let urls: Vec<String> = (0..JOBS * 2 + 3)
            .map(|len| format!("https://a/{}", "x".repeat(len * 3)))
            .collect();
        let each: Vec<Fingerprint> = urls.iter().map(|url| fingerprint(url)).collect();
        assert_eq!(fingerprints(urls.iter().map(String::as_str)), each);
    }

    #[test]
    fn a_seal_does_not_show_where_the_list_was_cut() {
        let whole = seal([r#""https://a/","https://b/","https://c/","#]);
        assert_eq!(
            seal([r#""https://a/","#, r#""https://b/","https://c/","#]),
            whole
        );
        assert_ne!(seal([r#""https://a/","https://b/","#]), whole);
    }

    #[test]
    fn a_seal_reads_back_and_nothing_else_does() {
        let text = "fbace09c6439af5ec18a780e9c7c8131";
        assert_eq!(text.parse::<Seal>().unwrap().to_string(), text);
        for bad in [
            "",
            "FBACE09C6439AF5EC18A780E9C7C8131",
            "+bace09c6439af5ec18a780e9c7c8131",
            &text[1..],
        ] {
            assert_eq!(bad.parse::<Seal>(), Err(SealError), "{bad}");
        }
    }
}
