//! Settings of rituals, and of how usage is measured.

use std::path::PathBuf;

use serde::Deserialize;

use super::admin::Secret;
use super::settings::directory;

/// Settings of rituals.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RitualSettings {
    /// Whether anything is done.
    pub enabled: bool,
    /// The rules; none takes those that come along.
    #[serde(deserialize_with = "directory")]
    pub file: Option<PathBuf>,
    /// Where commands are; none runs nothing.
    #[serde(deserialize_with = "directory")]
    pub commands_dir: Option<PathBuf>,
    /// Where commands run; none is where they are.
    #[serde(deserialize_with = "directory")]
    pub workdir: Option<PathBuf>,
    /// What calls are signed with.
    pub webhook_secret: Secret,
    /// Whether calls may go to private addresses and this machine.
    pub webhook_private: bool,
    /// Who is believed to sign certificates; none is those that browsers believe.
    #[serde(deserialize_with = "directory")]
    pub webhook_ca: Option<PathBuf>,
    /// Runs at the same time.
    pub jobs_max: usize,
    /// What is kept of an output.
    pub output_bytes: usize,
    /// How many rituals may follow from each other.
    pub chain_max: u32,
}

/// Settings of usage.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageSettings {
    /// What is measured.
    pub source: UsageSource,
    /// What is full.
    pub capacity: u64,
}

/// What usage is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UsageSource {
    /// Nothing: it is what was set.
    Set,
    /// Glints a second.
    Glints,
    /// Bytes of the log.
    Ledger,
    /// Open streams.
    Subscribers,
}
