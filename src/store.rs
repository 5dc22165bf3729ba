//! Drivers of storage, behind the traits of the cast.
//!
//! Layout:
//! - [`sinks`]: the sinks that run.
//! - [`tables`]: kept traces as rows.
//! - [`traces`]: traces, in redb.
//! - [`vault`]: small durable state of offices, in redb.

pub mod sinks;
pub mod tables;
pub mod traces;
pub mod vault;
