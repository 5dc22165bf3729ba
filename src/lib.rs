//! Placeholder.

pub mod boot;
pub mod cli;
pub mod config;
