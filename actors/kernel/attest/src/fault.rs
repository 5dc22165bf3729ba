//! Why signed bytes are not taken.

use std::fmt;

use thiserror::Error;

/// How many bytes of a foreign text a message repeats.
const QUOTED_BYTES: usize = 80;

/// What kind of answer a fault is; the edge turns it into a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The sender must change what it sends.
    Invalid,
    /// Nobody that is known here signed it.
    Unauthenticated,
    /// Somebody known signed it who may not.
    Forbidden,
    /// Over a limit that stays.
    TooLarge,
    /// At odds with what was taken before.
    Conflict,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $token:literal, $class:ident;)*) => {
        /// A stable token for each way in which signed bytes are not taken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// Returns the token on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$name => $token,)*
                }
            }

            /// Returns what kind of answer it is.
            #[must_use]
            pub fn class(self) -> Class {
                match self {
                    $(Code::$name => Class::$class,)*
                }
            }
        }
    };
}

codes! {
    /// The bytes are not JSON that we take.
    MalformedJson = "schema_malformed_json", Invalid;
    /// An object names a member twice; readers differ on which one counts.
    DuplicateKey = "schema_duplicate_key", Invalid;
    /// A string holds U+0000, which databases cannot keep.
    NulCharacter = "schema_nul_character", Invalid;
    /// A version that is not read here.
    UnsupportedVersion = "schema_unsupported_version", Invalid;
    /// An event that is no whole trace.
    UnsupportedEvent = "schema_unsupported_event", Invalid;
    /// A trace level that does not exist.
    UnknownTraceLevel = "schema_unknown_trace_level", Invalid;
    /// Batch, event and trace do not name the same level.
    LevelMismatch = "schema_trace_level_mismatch", Invalid;
    /// A field that must be there is not.
    MissingField = "schema_missing_field", Invalid;
    /// A field has another type than it must have, or a value outside a closed list.
    FieldTypeMismatch = "schema_field_type_mismatch", Invalid;
    /// A time that is not RFC 3339 with an offset.
    InvalidTimestamp = "schema_invalid_timestamp", Invalid;
    /// An attempt below zero.
    NegativeAttemptIndex = "schema_negative_attempt_index", Invalid;
    /// An attempt above the limit.
    AttemptIndexOutOfRange = "schema_attempt_index_out_of_range", Invalid;
    /// Data nested deeper than the limit.
    DataTooDeep = "schema_data_too_deep", Invalid;
    /// More bytes, values, events or components than the limit.
    TooLarge = "schema_too_large", TooLarge;
    /// A signature that does not decode to 64 bytes in one way.
    InvalidSignature = "verify_invalid_signature", Invalid;
    /// A signature of other bytes, or by another key.
    SignatureMismatch = "verify_signature_mismatch", Unauthenticated;
    /// A key that was never enrolled, is revoked, or has expired.
    UnknownKey = "verify_unknown_key", Unauthenticated;
    /// A key that signs for another agent.
    KeyAgentMismatch = "verify_key_agent_mismatch", Forbidden;
    /// A public key that is no safe Ed25519 key.
    InvalidKey = "key_invalid", Invalid;
    /// A key id that is in use already, for another key.
    KeyConflict = "key_conflict", Conflict;
    /// A key that is not in the ring.
    KeyNotFound = "key_not_found", Invalid;
    /// More keys than the ring holds.
    KeyRingFull = "key_ring_full", TooLarge;
    /// A scrub rule that cannot be followed.
    InvalidRule = "scrub_invalid_rule", Invalid;
    /// A record of ours that does not hold what it must.
    InvalidRecord = "record_invalid", Invalid;
    /// A record whose hashes or signatures do not fit.
    RecordMismatch = "record_mismatch", Unauthenticated;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why signed bytes are not taken: what is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{detail}")]
pub struct Fault {
    /// A stable token for programs.
    pub code: Code,
    /// A sentence for people. Never carries payload.
    pub detail: String,
    /// The field at fault, such as `events[0].trace.components[2].data.attempt_index`; empty where none is.
    pub field: String,
}

impl Fault {
    /// Makes a fault.
    pub fn new(code: Code, detail: impl fmt::Display) -> Fault {
        Fault {
            code,
            detail: detail.to_string(),
            field: String::new(),
        }
    }

    /// Names the field at fault.
    #[must_use]
    pub fn on(mut self, field: impl Into<String>) -> Fault {
        self.field = field.into();
        self
    }

    /// Puts the path of what holds the field before it.
    #[must_use]
    pub fn within(mut self, path: impl fmt::Display) -> Fault {
        self.field = if self.field.is_empty() {
            path.to_string()
        } else {
            format!("{path}.{}", self.field)
        };
        self
    }

    /// Returns the stable token.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code.as_str()
    }
}

/// Cuts a foreign text down to what a message may repeat.
#[must_use]
pub(crate) fn clip(text: &str) -> String {
    if text.len() <= QUOTED_BYTES {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(QUOTED_BYTES);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_told_apart() {
        let tokens: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(tokens.len(), Code::ALL.len());
    }

    #[test]
    fn a_path_grows_from_the_inside() {
        let fault = Fault::new(Code::MissingField, "missing").on("attempt_index");
        assert_eq!(fault.within("data").field, "data.attempt_index");
        let fault = Fault::new(Code::MissingField, "missing").within("events");
        assert_eq!(fault.field, "events");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = "é".repeat(100);
        assert_eq!(clip(&text), format!("{}…", "é".repeat(40)));
        assert_eq!(clip("short"), "short");
    }
}
