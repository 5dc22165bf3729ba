//! The keys that are known here, whose they are, and until when they hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use glint::Stamp;
use glint::json::object;

use crate::fault::{Code, Fault, clip};
use crate::fields::{check_id, id, instant, present, text, word};
use crate::seal::PublicKey;
use crate::tape::{Limits, Tape, Value};

/// Most keys of a ring, revoked ones included: an id is never given to another key.
pub const KEYS_MAX: usize = 10_000;
/// Longest description and reason: bytes.
pub const NOTE_MAX: usize = 1024;

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What an agent says.
    Agent,
    /// What the broker changed of it.
    Broker,
}

impl Role {
    const WORDS: &[&str] = &["agent", "broker"];

    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Agent => "agent",
            Role::Broker => "broker",
        }
    }

    fn of(word: &str) -> Option<Role> {
        match word {
            "agent" => Some(Role::Agent),
            "broker" => Some(Role::Broker),
            _ => None,
        }
    }
}

/// When and why a key was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// When.
    pub at: Stamp,
    /// Why.
    pub reason: String,
}

/// A key with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// What signers call it.
    pub id: String,
    /// The key.
    pub key: PublicKey,
    /// The one agent that it signs for.
    pub agent_id_hash: String,
    /// What it signs.
    pub role: Role,
    /// What people call it.
    pub description: String,
    /// Since when it is known.
    pub added_at: Stamp,
    /// From when on it no longer holds.
    pub expires_at: Option<Stamp>,
    /// Whether it was taken back.
    pub revoked: Option<Revocation>,
}

/// How a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It holds.
    Active,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

impl Standing {
    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Active => "active",
            Standing::Expired => "expired",
            Standing::Revoked => "revoked",
        }
    }
}

impl KeyEntry {
    /// Returns how it stands at a time.
    #[must_use]
    pub fn standing(&self, now: Stamp) -> Standing {
        if self.revoked.is_some() {
            Standing::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            Standing::Expired
        } else {
            Standing::Active
        }
    }

    /// Writes it as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(256);
        object(&mut out, |object| {
            object
                .text("key_id", &self.id)
                .text("public_key_base64", &self.key.to_base64())
                .text("agent_id_hash", &self.agent_id_hash)
                .text("role", self.role.as_str())
                .text("description", &self.description)
                .text("added_at", &self.added_at.to_string());
            if let Some(end) = self.expires_at {
                object.text("expires_at", &end.to_string());
            }
            if let Some(revoked) = &self.revoked {
                object
                    .text("revoked_at", &revoked.at.to_string())
                    .text("revoked_reason", &revoked.reason);
            }
        });
        out
    }

    /// Reads what [`KeyEntry::to_json`] wrote.
    ///
    /// # Errors
    /// The member that is missing or wrong.
    pub fn from_json(text: &[u8]) -> Result<KeyEntry, Fault> {
        let tape = Tape::read(text, &Limits::default())?;
        let mut entry = Enrolment::read(tape.root())?;
        let root = tape.root();
        entry.added_at = instant(root, "added_at")?.1;
        if present(root, "revoked_at").is_some() {
            entry.revoked = Some(Revocation {
                at: instant(root, "revoked_at")?.1,
                reason: note(root, "revoked_reason")?,
            });
        }
        Ok(entry)
    }
}

/// Reading keys as they are enrolled.
#[derive(Debug)]
pub struct Enrolment;

impl Enrolment {
    /// Reads `{key_id, public_key_base64, agent_id_hash?, description?, expires_at?, role?}`; without an agent the key
    /// is that of the agent whose id is the beginning of its hash. It counts as added at the beginning of time.
    ///
    /// # Errors
    /// The member that is missing or wrong; [`Code::InvalidKey`] for a key that is no safe one.
    pub fn read(value: Value<'_>) -> Result<KeyEntry, Fault> {
        crate::fields::object(value)?;
        let key_id = id(value, "key_id")?;
        let key = PublicKey::from_base64(text(value, "public_key_base64")?)?;
        let agent = match crate::fields::optional_id(value, "agent_id_hash")? {
            Some(agent) => agent.to_owned(),
            None => key.agent_id_hash(),
        };
        let role = match present(value, "role") {
            None => Role::Agent,
            Some(_) => word(
                Role::of(text(value, "role")?),
                Role::WORDS,
                Code::FieldTypeMismatch,
                "role",
            )?,
        };
        let expires_at = match present(value, "expires_at") {
            None => None,
            Some(_) => Some(instant(value, "expires_at")?.1),
        };
        Ok(KeyEntry {
            id: key_id.to_owned(),
            key,
            agent_id_hash: agent,
            role,
            description: note(value, "description")?,
            added_at: Stamp::default(),
            expires_at,
            revoked: None,
        })
    }
}

fn note(object: Value<'_>, name: &str) -> Result<String, Fault> {
    if present(object, name).is_none() {
        return Ok(String::new());
    }
    let text = text(object, name)?;
    if text.len() > NOTE_MAX {
        let detail = format!("{name} has {} bytes, the limit is {NOTE_MAX}", text.len());
        return Err(Fault::new(Code::FieldTypeMismatch, detail).on(name));
    }
    Ok(text.to_owned())
}

/// What happens to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is known from now on.
    Enrol(Box<KeyEntry>),
    /// It is taken back.
    Revoke {
        /// Which.
        id: String,
        /// When and why.
        revocation: Revocation,
    },
}

impl Change {
    /// Writes it as one line of JSON, for the log.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            Change::Enrol(entry) => {
                let mut out = String::with_capacity(300);
                object(&mut out, |object| {
                    object.text("change", "enrol").json("key", &entry.to_json());
                });
                out
            }
            Change::Revoke { id, revocation } => {
                let mut out = String::with_capacity(200);
                object(&mut out, |object| {
                    object
                        .text("change", "revoke")
                        .text("key_id", id)
                        .text("revoked_at", &revocation.at.to_string())
                        .text("revoked_reason", &revocation.reason);
                });
                out
            }
        }
    }

    /// Reads what [`Change::to_json`] wrote.
    ///
    /// # Errors
    /// The member that is missing or wrong.
    pub fn from_json(bytes: &[u8]) -> Result<Change, Fault> {
        let tape = Tape::read(bytes, &Limits::default())?;
        let root = tape.root();
        match text(root, "change")? {
            "enrol" => {
                let key = crate::fields::required(root, "key")?;
                let entry = KeyEntry::from_json(key.raw().as_bytes())?;
                Ok(Change::Enrol(Box::new(entry)))
            }
            "revoke" => Ok(Change::Revoke {
                id: id(root, "key_id")?.to_owned(),
                revocation: Revocation {
                    at: instant(root, "revoked_at")?.1,
                    reason: note(root, "revoked_reason")?,
                },
            }),
            other => {
                let detail = format!("{:?} is no change of a key", clip(other));
                Err(Fault::new(Code::InvalidRecord, detail).on("change"))
            }
        }
    }
}

/// Whether a change changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It does.
    Changes,
    /// It was so before.
    Nothing,
}

/// All keys. Cheap to clone: a snapshot shares them.
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    keys: BTreeMap<Arc<str>, Arc<KeyEntry>>,
}

impl KeyRing {
    /// Returns the key of an id, however it stands.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<KeyEntry>> {
        self.keys.get(id)
    }

    /// Returns the key of an agent that holds at a time.
    ///
    /// # Errors
    /// [`Code::UnknownKey`], whether it was never enrolled, is revoked or has expired: a stranger is not told which.
    pub fn active(&self, id: &str, now: Stamp) -> Result<&Arc<KeyEntry>, Fault> {
        let known = self.keys.get(id);
        let holds = |entry: &&Arc<KeyEntry>| {
            entry.role == Role::Agent && entry.standing(now) == Standing::Active
        };
        known.filter(holds).ok_or_else(|| {
            let id = clip(id);
            let detail =
                format!("no key {id:?} holds here; have it enrolled, or sign with another");
            Fault::new(Code::UnknownKey, detail).on("signature_key_id")
        })
    }

    /// Returns all keys, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<KeyEntry>> {
        self.keys.values()
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Checks a change against what is known, before it is kept.
    ///
    /// # Errors
    /// [`Code::KeyConflict`] for an id that another key, agent or role has; [`Code::KeyNotFound`];
    /// [`Code::KeyRingFull`].
    pub fn check(&self, change: &Change) -> Result<Effect, Fault> {
        match change {
            Change::Enrol(entry) => self.check_enrolment(entry),
            Change::Revoke { id, .. } => match self.keys.get(id.as_str()) {
                None => {
                    let detail = format!("there is no key {:?}", clip(id));
                    Err(Fault::new(Code::KeyNotFound, detail).on("key_id"))
                }
                Some(entry) if entry.revoked.is_some() => Ok(Effect::Nothing),
                Some(_) => Ok(Effect::Changes),
            },
        }
    }

    fn check_enrolment(&self, entry: &KeyEntry) -> Result<Effect, Fault> {
        check_id("key_id", &entry.id)?;
        let Some(known) = self.keys.get(entry.id.as_str()) else {
            if self.keys.len() >= KEYS_MAX {
                let detail = format!("the ring holds {KEYS_MAX} keys, which is the limit");
                return Err(Fault::new(Code::KeyRingFull, detail));
            }
            return Ok(Effect::Changes);
        };
        let same = known.key == entry.key
            && known.agent_id_hash == entry.agent_id_hash
            && known.role == entry.role
            && known.expires_at == entry.expires_at;
        if same && known.revoked.is_none() {
            return Ok(Effect::Nothing);
        }
        let why = if same {
            "is revoked"
        } else {
            "is in use with other particulars"
        };
        let detail = format!(
            "the key id {:?} {why}; enrol under another id",
            clip(&entry.id)
        );
        Err(Fault::new(Code::KeyConflict, detail).on("key_id"))
    }

    /// Makes a change that was checked and kept. A change that makes no sense here makes none.
    pub fn apply(&mut self, change: Change) {
        if self.check(&change) != Ok(Effect::Changes) {
            return;
        }
        match change {
            Change::Enrol(entry) => self.restore(*entry),
            Change::Revoke { id, revocation } => {
                if let Some(entry) = self.keys.get_mut(id.as_str()) {
                    Arc::make_mut(entry).revoked = Some(revocation);
                }
            }
        }
    }

    /// Puts a key back as it was kept.
    pub fn restore(&mut self, entry: KeyEntry) {
        self.keys.insert(entry.id.as_str().into(), Arc::new(entry));
    }
}
