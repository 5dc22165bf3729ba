//! What the broker says of what it took out: which trace, what was there, what is left, when, and by whose word.

use std::fmt::Write as _;

use glint::Stamp;
use glint::json::object;

use crate::canon::write_string;
use crate::fault::Fault;
use crate::fields::{id, instant, mismatch, required, text};
use crate::seal::{ContentId, PrivateKey, read_signature, write_signature};
use crate::tape::{Kind, Value};

/// Stands before what is signed, so that no signature of one kind is ever one of another.
const DOMAIN: &str = "glintcast redaction v1\n";

/// Who attests.
#[derive(Debug, Clone)]
pub struct Attestor {
    key_id: String,
    key: PrivateKey,
}

/// What was taken out of one component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its place in the trace.
    pub index: usize,
    /// The hash of its canonical `data` as it was signed.
    pub original: ContentId,
    /// The hash of its canonical `data` as it is kept.
    pub scrubbed: ContentId,
}

/// What is attested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The event: the hash of the canonical trace as it was signed, which is its id.
    pub event: ContentId,
    /// The hash of the canonical trace as it is kept.
    pub scrubbed: ContentId,
    /// The components that were changed.
    pub parts: Vec<Part>,
    /// The broker's key.
    pub key_id: String,
    /// When.
    pub time: Stamp,
}

impl Attestor {
    /// Makes an attestor.
    #[must_use]
    pub fn new(key_id: impl Into<String>, key: PrivateKey) -> Attestor {
        let key_id = key_id.into();
        Attestor { key_id, key }
    }

    /// Returns the id of its key.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Returns its key.
    #[must_use]
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Signs a statement; returns `{"statement": …, "signature": …}`.
    pub(crate) fn attest(&self, statement: &Statement) -> String {
        let text = statement.canonical();
        let signature = self
            .key
            .sign(&[DOMAIN.as_bytes(), text.as_bytes()].concat());
        let mut out = String::with_capacity(text.len() + 128);
        object(&mut out, |object| {
            object
                .json("statement", &text)
                .text("signature", &write_signature(&signature));
        });
        out
    }
}

impl Statement {
    /// Writes the canonical form, which is what is signed after [`DOMAIN`].
    fn canonical(&self) -> String {
        let mut out = String::with_capacity(320 + self.parts.len() * 180);
        out.push_str("{\"components\":[");
        for (place, part) in self.parts.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            // Writing to a String never fails.
            let _ = write!(
                out,
                r#"{comma}{{"index":{},"original":"{}","scrubbed":"{}"}}"#,
                part.index, part.original, part.scrubbed
            );
        }
        let _ = write!(out, r#"],"event":"{}","key":"#, self.event);
        write_string(&mut out, &self.key_id);
        let _ = write!(
            out,
            r#","scrubbed":"{}","time":"{}"}}"#,
            self.scrubbed, self.time
        );
        out
    }

    /// Reads an attestation; returns what it states, the bytes that are signed, and their signature.
    pub(crate) fn read(attestation: Value<'_>) -> Result<(Statement, String, [u8; 64]), Fault> {
        let value = required(attestation, "statement")?;
        let components = required(value, "components")?;
        if components.kind() != Kind::Array {
            return Err(mismatch("components", "an array", components));
        }
        let part = |value: Value<'_>| -> Result<Part, Fault> {
            let index = required(value, "index")?;
            let place = index.as_i64().and_then(|index| usize::try_from(index).ok());
            Ok(Part {
                index: place.ok_or_else(|| mismatch("index", "a place", index))?,
                original: text(value, "original")?.parse()?,
                scrubbed: text(value, "scrubbed")?.parse()?,
            })
        };
        let statement = Statement {
            event: text(value, "event")?.parse()?,
            scrubbed: text(value, "scrubbed")?.parse()?,
            parts: components.items().map(part).collect::<Result<_, _>>()?,
            key_id: id(value, "key")?.to_owned(),
            time: instant(value, "time")?.1,
        };
        let bytes = format!("{DOMAIN}{}", statement.canonical());
        let signature = read_signature(text(attestation, "signature")?)?;
        Ok((statement, bytes, signature))
    }
}
