//! Content ids, keys and signatures.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use glint::hex::{self, Hex};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::fault::{Code, Fault};

/// Base64 characters of a signature without padding.
const SIGNATURE_CHARS: usize = 86;
/// What is before the hexadecimal digits of a hash.
const SHA256: &str = "sha256:";
/// Hexadecimal digits of an agent's id.
const AGENT_ID_CHARS: usize = 16;

/// A SHA-256 hash. That of the canonical bytes of a trace is its id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId(pub [u8; 32]);

impl ContentId {
    /// Returns the hash of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> ContentId {
        ContentId(Sha256::digest(bytes).into())
    }
}

/// `sha256:` and 64 hexadecimal digits.
impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SHA256}{}", Hex(&self.0))
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ContentId {
    type Err = Fault;

    fn from_str(text: &str) -> Result<ContentId, Fault> {
        let mut id = ContentId([0; 32]);
        let digits = text.strip_prefix(SHA256);
        let read = digits.and_then(|digits| hex::read(digits, &mut id.0));
        read.map(|()| id).ok_or_else(|| {
            let detail = "a content id is sha256: and 64 hexadecimal digits";
            Fault::new(Code::FieldTypeMismatch, detail)
        })
    }
}

/// An Ed25519 key whose signatures mean something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Takes the 32 bytes of RFC 8032.
    ///
    /// # Errors
    /// [`Code::InvalidKey`] for what is no point, for a point that is not spelt canonically, and for one of small
    /// order: to a lax verifier those sign everything.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<PublicKey, Fault> {
        let bad = |detail: &str| Fault::new(Code::InvalidKey, detail).on("public_key_base64");
        let key = VerifyingKey::from_bytes(bytes)
            .map_err(|_| bad("the bytes are no Ed25519 public key"))?;
        if key.is_weak() {
            return Err(bad(
                "a key of small order, under which anything is signed; make another",
            ));
        }
        if key.to_edwards().compress().to_bytes() != *bytes {
            return Err(bad("the key is not spelt in the one canonical way"));
        }
        Ok(PublicKey(key))
    }

    /// Takes standard Base64 with padding, as keys are enrolled.
    ///
    /// # Errors
    /// As [`PublicKey::from_bytes`], and [`Code::InvalidKey`] for what is not 32 bytes of Base64.
    pub fn from_base64(text: &str) -> Result<PublicKey, Fault> {
        let bytes = STANDARD.decode(text).ok();
        let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
        let Some(bytes) = bytes else {
            let detail = "give the 32 bytes of the public key in standard Base64 with padding";
            return Err(Fault::new(Code::InvalidKey, detail).on("public_key_base64"));
        };
        PublicKey::from_bytes(&bytes)
    }

    /// Returns the key as it is enrolled.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0.as_bytes())
    }

    /// Returns the SHA-256 of the key, in hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        Hex(&Sha256::digest(self.0.as_bytes())).to_string()
    }

    /// Returns the id of the agent whose key this is: the first 16 digits of the fingerprint.
    #[must_use]
    pub fn agent_id_hash(&self) -> String {
        let mut id = self.fingerprint();
        id.truncate(AGENT_ID_CHARS);
        id
    }

    /// Checks a signature strictly: its scalar is reduced, no point is of small order, no cofactor is multiplied in.
    ///
    /// # Errors
    /// [`Code::SignatureMismatch`].
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), Fault> {
        let signature = Signature::from_bytes(signature);
        self.0.verify_strict(message, &signature).map_err(|_| {
            let detail = "the signature is not of these bytes by this key";
            Fault::new(Code::SignatureMismatch, detail).on("signature")
        })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64())
    }
}

/// Reads a signature: standard or URL-safe Base64, with or without padding, and nothing beside.
///
/// # Errors
/// [`Code::InvalidSignature`], also for alphabets that are mixed and for spare bits that are set: one signature has
/// one spelling in each alphabet.
pub fn read_signature(text: &str) -> Result<[u8; 64], Fault> {
    let body = match text.len().checked_sub(SIGNATURE_CHARS) {
        Some(2) => text.strip_suffix("=="),
        Some(0) => Some(text),
        _ => None,
    };
    let url_safe = text.contains(['-', '_']);
    let engine = if url_safe {
        &URL_SAFE_NO_PAD
    } else {
        &STANDARD_NO_PAD
    };
    let bytes = body.and_then(|body| engine.decode(body).ok());
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| {
            let detail =
                "a signature is 64 bytes of Base64, standard or URL-safe, with or without padding";
            Fault::new(Code::InvalidSignature, detail).on("signature")
        })
}

/// Writes a signature as it is kept: URL-safe Base64 without padding.
#[must_use]
pub fn write_signature(signature: &[u8; 64]) -> String {
    URL_SAFE_NO_PAD.encode(signature)
}

/// A private key.
#[derive(Clone)]
pub struct PrivateKey(SigningKey);

impl PrivateKey {
    /// Makes the key of a seed of 32 random bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> PrivateKey {
        PrivateKey(SigningKey::from_bytes(seed))
    }

    /// Returns the public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs some bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// Returns a keyed hash of some bytes, for what is hashed because it must not be known: whoever lacks the key cannot
    /// try all telephone numbers.
    #[must_use]
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    pub(crate) fn keyed_hash(&self, bytes: &[u8]) -> [u8; 32] {
        let mut seed = Sha256::new();
        seed.update(b"glintcast scrub hash v1\n");
        seed.update(self.0.as_bytes());
        let key: [u8; 32] = seed.finalize().into();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("invariant: a key has a length");
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey of {:?}", self.public())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_has_four_spellings_and_no_fifth() {
        let bytes = [0xFB; 64];
        let (standard, url) = (STANDARD.encode(bytes), URL_SAFE_NO_PAD.encode(bytes));
        let bare = standard.trim_end_matches('=');
        for text in [&standard, bare, &url, &format!("{url}==")] {
            assert_eq!(read_signature(text), Ok(bytes), "{text}");
        }
        let mixed = format!("{}{}", &url[..43], &bare[43..]);
        let spare = format!("{}x", &url[..85]);
        for text in [
            "",
            "=",
            &format!("{url}="),
            &format!("{url}\n="),
            &mixed,
            &spare,
        ] {
            assert!(read_signature(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_content_id_reads_back() {
        let id = ContentId::of(b"glint");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("sha256:00".parse::<ContentId>().is_err());
        assert!(id.to_string().to_uppercase().parse::<ContentId>().is_err());
    }

    #[test]
    fn a_private_key_does_not_show_in_logs() {
        let key = PrivateKey::from_seed(&[7; 32]);
        assert!(!format!("{key:?}").contains("7, 7"));
        assert_ne!(
            key.keyed_hash(b"a"),
            PrivateKey::from_seed(&[8; 32]).keyed_hash(b"a")
        );
    }
}
