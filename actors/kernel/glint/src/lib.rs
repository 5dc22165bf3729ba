//! The vocabulary of Glintcast: what an event, a source, a topic, a phase and an offset are.
//!
//! Pure values: nothing here reads a clock, a file or a socket, and nothing here knows how a client is spoken to.
//!
//! Layout:
//! - [`json`]: JSON with lexemes and member order kept.

pub mod json;
