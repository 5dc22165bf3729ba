//! A trace as it is kept: one line of JSON that holds all that is needed to check it again.

use glint::Stamp;
use glint::json::object;

use crate::attestation::{self, Attestor, Statement};
use crate::batch::{Batch, Signed};
use crate::dedup::{Identity, Seen, Tuple};
use crate::fault::{Code, Fault};
use crate::fields::{id, required, text, word};
use crate::ring::{KeyEntry, KeyRing, Role};
use crate::scrub::{Rules, write_scrubbed};
use crate::seal::{ContentId, read_signature, write_signature};
use crate::tape::{Limits, Tape, Value};
use crate::trace::{Strictness, Trace};
use crate::vocab::EventKind;

/// Whose signature covers what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// The agent's, every byte of it.
    Agent,
    /// The agent's covered the original; what is left of it is attested by the broker.
    Original,
    /// Nobody's.
    None,
}

impl Verified {
    const WORDS: &[&str] = &["agent", "original", "none"];

    /// Returns the word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verified::Agent => "agent",
            Verified::Original => "original",
            Verified::None => "none",
        }
    }

    fn of(word: &str) -> Option<Verified> {
        match word {
            "agent" => Some(Verified::Agent),
            "original" => Some(Verified::Original),
            "none" => Some(Verified::None),
            _ => None,
        }
    }
}

/// A trace whose signature holds.
#[derive(Debug)]
pub struct Sealed<'b, 't> {
    signed: &'b Signed<'t>,
    signature: [u8; 64],
    canonical: String,
    content: ContentId,
    attempts: Vec<u16>,
}

impl<'t> Signed<'t> {
    /// Checks the signature, that the key is of the agent that the trace names, and what its `data` must hold.
    ///
    /// # Errors
    /// [`Code::InvalidSignature`], [`Code::SignatureMismatch`], [`Code::KeyAgentMismatch`]; as [`Trace::attempts`].
    pub fn verify<'b>(&'b self, key: &KeyEntry) -> Result<Sealed<'b, 't>, Fault> {
        let signature = read_signature(self.signature)?;
        let mut canonical = String::with_capacity(self.trace.raw_len());
        self.trace.write_canonical(&mut canonical);
        key.key.verify(canonical.as_bytes(), &signature)?;
        if key.agent_id_hash != self.trace.agent_id_hash {
            let detail = format!("the key {:?} signs for another agent", key.id);
            return Err(Fault::new(Code::KeyAgentMismatch, detail).on("agent_id_hash"));
        }
        let content = ContentId::of(canonical.as_bytes());
        Ok(Sealed {
            attempts: self.trace.attempts(Strictness::AsSigned)?,
            signed: self,
            signature,
            canonical,
            content,
        })
    }
}

/// A trace as it will be kept, and what tells it from others.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The id of its content, as it was signed.
    pub content: ContentId,
    /// What no other content may claim.
    pub identity: Identity,
    /// What of the identity it claims, each once, in order.
    pub tuples: Vec<Tuple>,
    /// Its id, chosen by the agent.
    pub trace_id: String,
    /// Whose it is.
    pub agent_id_hash: String,
    /// The key that signed it.
    pub key_id: String,
    /// Rows that it gives.
    pub rows: u32,
    /// Components that say again what one before them said; they give no rows.
    pub conflicted: u32,
    /// Rows of calls to models that it gives.
    pub llm_rows: u32,
    /// Values that were dropped, masked or hashed.
    pub scrubbed: u32,
    /// The record: one line of ASCII JSON.
    pub text: String,
}

/// Who scrubs, by which rules.
#[derive(Debug, Clone, Copy)]
pub struct Scrub<'r> {
    /// The rules.
    pub rules: &'r Rules,
    /// Who attests what they did.
    pub attestor: &'r Attestor,
}

impl Sealed<'_, '_> {
    /// Returns the id of its content.
    #[must_use]
    pub fn content(&self) -> ContentId {
        self.content
    }

    /// Makes the record of it, scrubbed.
    #[must_use]
    pub fn keep(self, batch: &Batch<'_>, scrub: Scrub<'_>, now: Stamp) -> Kept {
        let trace = &self.signed.trace;
        let redaction = scrub
            .rules
            .touch(trace.level)
            .then(|| self.redact(scrub, now))
            .filter(|redaction| redaction.changed > 0);
        let mut tuples = Vec::with_capacity(trace.components.len());
        let (mut seen, mut llm_rows) = (Seen::none(), 0);
        for (component, attempt) in trace.components.iter().zip(&self.attempts) {
            let tuple = Tuple::of(component.event, *attempt);
            if seen.first(tuple) {
                llm_rows += u32::from(component.event == EventKind::LlmCall);
                tuples.push(tuple);
            }
        }
        let rows = tuples.len() as u32;
        let mut kept = Kept {
            content: self.content,
            identity: Identity::of(trace),
            trace_id: trace.trace_id.to_owned(),
            agent_id_hash: trace.agent_id_hash.to_owned(),
            key_id: self.signed.key_id.to_owned(),
            rows,
            conflicted: trace.components.len() as u32 - rows,
            llm_rows,
            scrubbed: redaction.as_ref().map_or(0, |redaction| redaction.changed),
            tuples,
            text: String::new(),
        };
        kept.text = self.record(batch, redaction.as_ref(), &kept);
        kept
    }

    fn record(&self, batch: &Batch<'_>, redaction: Option<&Redaction>, kept: &Kept) -> String {
        let trace = redaction.map_or(&self.canonical, |redaction| &redaction.canonical);
        let mut out = String::with_capacity(trace.len() + 640);
        let verified = match redaction {
            None => Verified::Agent,
            Some(_) => Verified::Original,
        };
        object(&mut out, |object| {
            object
                .display("content", self.content)
                .text("verified", verified.as_str())
                .text("key_id", self.signed.key_id)
                .text("signature", &write_signature(&self.signature))
                .count("rows", kept.rows.into())
                .count("conflicted", kept.conflicted.into())
                .count("llm_rows", kept.llm_rows.into())
                .text("batch_timestamp", batch.batch_timestamp)
                .text("consent_timestamp", batch.consent_timestamp)
                .json("trace", trace);
            if let Some(redaction) = redaction {
                object
                    .count("scrubbed", redaction.changed.into())
                    .json("attestation", &redaction.attestation);
            }
        });
        out
    }

    fn redact(&self, scrub: Scrub<'_>, now: Stamp) -> Redaction {
        let trace = &self.signed.trace;
        let mut canonical = String::with_capacity(self.canonical.len());
        let (mut changed, mut place) = (0, 0);
        let mut hashes = Vec::new();
        trace.write_with(&mut canonical, |out, component| {
            let start = out.len();
            let key = scrub.attestor.key();
            let count = write_scrubbed(out, component, trace.level, scrub.rules, key);
            if count > 0 {
                let mut original = String::new();
                crate::canon::write(&mut original, component.data);
                hashes.push(attestation::Part {
                    index: place,
                    original: ContentId::of(original.as_bytes()),
                    scrubbed: ContentId::of(&out.as_bytes()[start..]),
                });
            }
            changed += count;
            place += 1;
        });
        let statement = Statement {
            event: self.content,
            scrubbed: ContentId::of(canonical.as_bytes()),
            parts: hashes,
            key_id: scrub.attestor.key_id().to_owned(),
            time: now,
        };
        Redaction {
            changed,
            canonical,
            attestation: scrub.attestor.attest(&statement),
        }
    }
}

struct Redaction {
    changed: u32,
    canonical: String,
    attestation: String,
}

/// What a check of a record found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The agent's signature holds.
    Agent,
    /// The broker's attestation of what is left holds.
    Redacted,
}

/// A record, read back.
#[derive(Debug)]
pub struct Record<'t> {
    /// The id of the content that was signed.
    pub content: ContentId,
    /// Whose signature covers what is here.
    pub verified: Verified,
    /// The key that signed the original.
    pub key_id: &'t str,
    /// The agent's signature of the original.
    pub signature: &'t str,
    /// When the batch was put together, as it came. Not signed.
    pub batch_timestamp: &'t str,
    /// When its subject agreed to it, as it came. Not signed.
    pub consent_timestamp: &'t str,
    /// The trace, as it was kept.
    pub trace: Trace<'t>,
    /// Its canonical text, as it was kept.
    pub canonical: &'t str,
    /// The number of the attempt of each component.
    pub attempts: Vec<u16>,
    attestation: Option<Value<'t>>,
}

/// Bounds on a record: what was taken fits, with what is around it.
pub const RECORD_LIMITS: Limits = Limits {
    bytes: 64 << 20,
    depth: 80,
    nodes: 2_000_000,
};

impl<'t> Record<'t> {
    /// Reads a record; read its text into a tape with [`RECORD_LIMITS`].
    ///
    /// # Errors
    /// The member that is missing or wrong.
    pub fn read(tape: &'t Tape<'t>) -> Result<Record<'t>, Fault> {
        let root = tape.root();
        let verified = word(
            Verified::of(text(root, "verified")?),
            Verified::WORDS,
            Code::InvalidRecord,
            "verified",
        )?;
        let strictness = match verified {
            Verified::Original => Strictness::Redacted,
            _ => Strictness::AsSigned,
        };
        let canonical = required(root, "trace")?.raw();
        let within = |fault: Fault| fault.within("trace");
        let trace = Trace::read(required(root, "trace")?).map_err(within)?;
        Ok(Record {
            attempts: trace.attempts(strictness).map_err(within)?,
            canonical,
            trace,
            content: text(root, "content")?.parse()?,
            verified,
            key_id: id(root, "key_id")?,
            signature: text(root, "signature")?,
            batch_timestamp: text(root, "batch_timestamp")?,
            consent_timestamp: text(root, "consent_timestamp")?,
            attestation: root.get("attestation"),
        })
    }

    /// Returns the broker's key that attests what is left, if something was taken out.
    #[must_use]
    pub fn redacted_by(&self) -> Option<&'t str> {
        self.attestation?.get("statement")?.get("key")?.as_str()
    }

    /// Returns what it claims, as [`Kept`] says it.
    #[must_use]
    pub fn claims(&self) -> (Identity, Vec<Tuple>) {
        let mut seen = Seen::none();
        let components = self.trace.components.iter().zip(&self.attempts);
        let tuples = components
            .map(|(component, attempt)| Tuple::of(component.event, *attempt))
            .filter(|tuple| seen.first(*tuple))
            .collect();
        (Identity::of(&self.trace), tuples)
    }

    /// Checks hashes and signatures again, from nothing but the record and the keys. A key that was revoked since still
    /// proves what it signed before.
    ///
    /// # Errors
    /// [`Code::RecordMismatch`] or the fault of the signature; [`Code::UnknownKey`] for a key that the ring lacks.
    pub fn verify(&self, ring: &KeyRing) -> Result<Proof, Fault> {
        let mut canonical = String::with_capacity(self.canonical.len());
        self.trace.write_canonical(&mut canonical);
        if canonical != self.canonical {
            return Err(broken("the trace is not kept in its canonical form"));
        }
        let hash = ContentId::of(canonical.as_bytes());
        match (self.verified, self.attestation) {
            (Verified::Agent, None) => {
                if hash != self.content {
                    return Err(broken("the trace does not have the hash that is its id"));
                }
                let key = known(ring, self.key_id, Role::Agent)?;
                if key.agent_id_hash != self.trace.agent_id_hash {
                    return Err(broken("the key is not of the agent that the trace names"));
                }
                key.key
                    .verify(canonical.as_bytes(), &read_signature(self.signature)?)?;
                Ok(Proof::Agent)
            }
            (Verified::Original, Some(attestation)) => {
                let (statement, bytes, signature) = Statement::read(attestation)?;
                if statement.event != self.content || statement.scrubbed != hash {
                    return Err(broken("the attestation is of another trace"));
                }
                self.check_parts(&statement)?;
                let key = known(ring, &statement.key_id, Role::Broker)?;
                key.key.verify(bytes.as_bytes(), &signature)?;
                Ok(Proof::Redacted)
            }
            _ => Err(broken("only what was scrubbed has an attestation")),
        }
    }

    fn check_parts(&self, statement: &Statement) -> Result<(), Fault> {
        for part in &statement.parts {
            let component = self.trace.components.get(part.index);
            let data = component.map(|component| {
                let mut data = String::new();
                crate::canon::write(&mut data, component.data);
                ContentId::of(data.as_bytes())
            });
            if data != Some(part.scrubbed) {
                return Err(broken("a component is not what the attestation says"));
            }
        }
        Ok(())
    }
}

fn broken(detail: &str) -> Fault {
    Fault::new(Code::RecordMismatch, detail)
}

fn known<'r>(ring: &'r KeyRing, id: &str, role: Role) -> Result<&'r KeyEntry, Fault> {
    ring.get(id)
        .map(|entry| &**entry)
        .filter(|entry| entry.role == role)
        .ok_or_else(|| {
            let detail = format!("the key {id:?} is not in the ring");
            Fault::new(Code::UnknownKey, detail).on("key_id")
        })
}
