//! Drivers of storage, behind the traits of the cast.
//!
//! Layout:
//! - [`sinks`]: the sinks that run.
//! - [`tables`]: kept traces as rows.
//! - [`traces`]: traces, in redb.
//! - `postgres`: the same tables in PostgreSQL, with the feature of that name.
//! - [`vault`]: small durable state of offices, in redb.

#[cfg(feature = "postgres")]
pub mod postgres;
pub mod sinks;
pub mod tables;
pub mod traces;
pub mod vault;
