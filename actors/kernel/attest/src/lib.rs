//! Signed traces: what their bytes are, whether the signature holds, what may be kept of them, and how that is proven.
//!
//! Pure: time is an argument, keys come in from above, nothing is read or written. It is no JSON library: it takes less
//! than JSON allows, so that no two readers can differ on what was signed.
//!
//! The path of a batch: [`Tape::read`] → [`Batch::read`] → [`KeyRing::active`] → [`Signed::verify`] →
//! [`Sealed::keep`] → a record in the log. Back: [`Record::read`] → [`Record::verify`], or rows for tables.
//!
//! Layout:
//! - [`tape`]: a JSON text as a flat list of nodes.
//! - [`canon`]: the canonical form, as CPython writes it.
//! - [`batch`], [`trace`], [`columns`]: the shapes of the wire, and total validation.
//! - [`vocab`]: the closed lists in them.
//! - [`seal`]: content ids, keys, signatures.
//! - [`ring`]: the keys that are known, and changes to them.
//! - [`scrub`]: rules on what is taken out. [`attestation`]: the proof of what was.
//! - [`dedup`]: what was taken before.
//! - [`record`]: what is kept, and checking it. [`rows`]: the same as tables.
//! - [`fault`]: why something is not taken.

#![forbid(unsafe_code)]

pub mod attestation;
pub mod batch;
pub mod canon;
pub mod columns;
pub mod dedup;
pub mod fault;
mod fields;
mod number;
pub mod record;
pub mod ring;
pub mod rows;
pub mod scrub;
pub mod seal;
pub mod tape;
pub mod trace;
pub mod vocab;

pub use attestation::Attestor;
pub use batch::{Batch, Signed};
pub use canon::canonicalise;
pub use fault::{Class, Code, Fault};
pub use fields::ID_MAX;
pub use record::{Kept, Proof, RECORD_LIMITS, Record, Scrub, Sealed, Verified};
pub use ring::{Change, KeyEntry, KeyRing};
pub use scrub::Rules;
pub use seal::{ContentId, PrivateKey, PublicKey};
pub use tape::{Limits, Tape};
