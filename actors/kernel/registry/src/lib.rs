//! A registry of URLs without a database: everybody who saw the same URLs has the same seal.
//!
//! Uploads are arbitrary JSON. Every string in them that is a URL or a token with a payload is a [`Hit`]; its canonical
//! URL is the key of an entry, and the payload is a function of that key, so what an entry adds to its key is only the
//! two links that may be filled from elsewhere. The list of keys in its order has a [`Seal`].
//!
//! Pure: no clock, no file, no socket. Nothing here knows HTTP, and nothing here decides how much may be uploaded
//! except through [`Quota`].
//!
//! Layout:
//! - [`url`]: canonical URLs.
//! - [`form`]: percent escapes and forms, as the existing service reads them.
//! - [`token`]: lenient base64.
//! - [`payload`]: from a URL to its payload, and the payload as JSON.
//! - [`scan`]: from a document to its hits.
//! - [`merge`]: what hits do to a registry, worked out before it is done.
//! - [`list`]: the ordered list, cheap to copy and to change.
//! - [`seal`]: the digest over the list.
//! - [`state`]: the registry of the writer, the snapshots of readers.
//! - [`render`]: pages and entries as compact JSON.
//! - [`reconcile`]: how two registries learn their difference.

pub mod form;
pub mod list;
pub mod merge;
pub mod payload;
pub mod reconcile;
pub mod render;
pub mod scan;
pub mod seal;
pub mod state;
pub mod token;
pub mod url;

pub use list::List;
pub use merge::{Delta, Mode, Quota, QuotaError};
pub use payload::{Links, Payload, Rank};
pub use scan::{Hit, MAX_DEPTH, read_document};
pub use seal::Seal;
pub use state::{Entry, Registry, Snapshot};
pub use url::{Base, Malformed};
