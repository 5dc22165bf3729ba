//! Every byte Glintcast says to a client, and the decoders for what clients say back.
//!
//! Pure: bytes in, bytes out. Nothing here knows sockets, time or HTTP, and nothing outside builds bytes for clients
//! of a stream.
//!
//! Layout:
//! - [`form`]: the dialects and framings; one event in each of them.
//! - [`control`]: what is said to one subscriber alone.
//! - [`standing`]: topics that are one document, and what changes in it.
//! - [`payload`]: the payloads of the broker's own events.
//! - [`gs1`]: frames, text and binary.
//! - [`glyph`]: payload text, state hash, and the way back to JSON.
//! - [`ws`]: WebSocket frames.
//! - [`chunk`]: chunks of HTTP/1.1, for streams that write to their sockets themselves.

pub mod chunk;
pub mod control;
pub mod form;
pub mod glyph;
pub mod gs1;
pub mod payload;
mod shadow;
mod sse;
pub mod standing;
pub mod ws;

pub use control::{Control, Hello, Stream};
pub use form::{Form, Place, Rendering, TOPIC_LIVES, plain, sid_of_topic, sid_of_view};
pub use standing::{Change, Document, Standings};
