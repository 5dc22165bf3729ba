//! Glintcast: an actor-based real-time stream broker.
//!
//! Agents post small JSON events, *glints*; dashboards receive them over SSE, WebSocket and NDJSON, each exactly once and
//! all in one order. The README says what it is for; this is how it is laid out:
//!
//! - [`cli`]: the verbs, and [`config`]: what they run on.
//! - [`boot`]: from settings to a running broker; [`drain`]: and back.
//! - [`edge`]: everything that knows HTTP.
//! - [`keyfile`]: private keys in files.
//! - [`store`]: drivers of storage.
//! - [`telemetry`]: logs and metrics.
//! - `actors`: the offices that sequence and decide.
//! - `actors/kernel`: what needs no thread, clock or socket: `glint` the vocabulary, `wire` the bytes, `lane` the shared
//!   windows, `sieve` the views.
//!
//! Messages carry decisions, cursors carry data: a subscriber is a cursor that is rung, never a queue that is filled.

pub mod boot;
pub mod cli;
pub mod config;
pub mod drain;
pub mod edge;
pub mod hands;
pub mod keyfile;
pub mod store;
pub mod telemetry;
