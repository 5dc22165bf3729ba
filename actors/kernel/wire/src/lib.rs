//! Every byte Glintcast says to a client, and the decoders for what clients say back.
//!
//! Pure: bytes in, bytes out. Nothing here knows sockets, time or HTTP.
//!
//! Layout:
//! - [`gs1`]: frames, text and binary.
//! - [`glyph`]: payload text, state hash, and the way back to JSON.

pub mod glyph;
pub mod gs1;
