//! The cast of Glintcast: offices that sequence and decide. They do not move bytes to subscribers: those are rung, and
//! read on from their own cursors.
//!
//! Layout:
//! - [`mail`]: the only way to send a message; its bounds.
//! - [`clock`]: the only place that reads a clock.
//! - [`warden`]: what happens when an office dies.
//! - [`emitter`]: gives every event its place in the one order.
//! - [`scribe`]: what is on disk is acknowledged; the archive behind the tail.
//! - [`tail`]: the recent past, read by cursor.
//! - [`puller`]: the one order by cursor, for offices.
//! - [`porter`]: one wake for all offices of a thread.
//! - [`sink`]: what of the one order is kept elsewhere in another shape.
//! - [`vault`]: what offices must find again after a restart.
//! - [`accord`]: signed traces, each kept once, and the keys that sign them.
//! - [`phase`]: the breath.
//! - [`coherence`]: which sources keep time, and what the gate does about it.
//! - [`rituals`]: does what rules say, once.
//! - [`shard`]: one per HTTP worker: lanes, streams, keepalives.
//! - [`sigils`]: the registry of sealed URLs, its only writer.
//! - [`hub`]: which workers there are, who is connected, and how they are let go.
//! - [`metrics`]: what all of them count.

pub mod accord;
pub mod clock;
pub mod coherence;
pub mod emitter;
pub mod hub;
pub mod mail;
pub mod metrics;
pub mod phase;
pub mod porter;
pub mod puller;
pub mod rituals;
pub mod scribe;
pub mod shard;
pub mod sigils;
pub mod sink;
pub mod tail;
pub mod vault;
pub mod warden;
