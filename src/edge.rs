//! Everything that knows HTTP.
//!
//! Layout:
//! - [`desk`]: what handlers share; what each worker has of its own.
//! - [`server`]: listens, and makes the application of each worker.
//! - [`routes`]: the table of addresses.
//! - [`glints`], [`batch`], [`cloud`]: glints in.
//! - [`provenance`]: whose word a glint is.
//! - [`accord`]: signed traces in, and the keys that sign them.
//! - [`streams`], [`negotiate`], [`body`], [`socket`], [`frames`]: streams out, and what WebSocket clients say.
//! - [`transport`]: how a stream gets the socket of its connection for itself.
//! - [`sigils`]: the registry of sealed URLs.
//! - [`history`]: the past in pages.
//! - [`rituals`]: rules, runs and rehearsals.
//! - [`steer`]: the state, set by hand.
//! - [`state`]: the addresses that existing dashboards poll.
//! - [`traces`]: signed traces that are kept, and how sinks are doing.
//! - [`health`]: what operators look at.
//! - [`guard`]: who may change how the broker works.
//! - [`coherence`]: which sources keep time.
//! - [`cors`], [`intake`], [`problem`]: what all of them need.
//! - [`page`]: the page at `/`.

pub mod accord;
pub mod batch;
pub mod body;
pub mod cloud;
pub mod coherence;
pub mod cors;
pub mod desk;
pub mod frames;
pub mod glints;
pub mod guard;
pub mod health;
pub mod history;
pub mod intake;
pub mod negotiate;
pub mod page;
pub mod problem;
pub mod provenance;
pub mod rituals;
pub mod routes;
pub mod server;
pub mod sigils;
pub mod socket;
pub mod state;
pub mod steer;
pub mod streams;
pub mod traces;
pub mod transport;
