//! Drivers of storage, behind the traits of the cast.
//!
//! Layout:
//! - [`vault`]: small durable state of offices, in redb.

pub mod vault;
