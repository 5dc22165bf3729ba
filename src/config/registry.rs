//! Settings of the registry.

use registry::{Base, Mode};
use serde::{Deserialize, Deserializer, de};

/// Settings of the registry of sealed URLs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrySettings {
    /// The origin of relative references.
    #[serde(deserialize_with = "base")]
    pub base: Base,
    /// How uploads are merged.
    #[serde(deserialize_with = "mode")]
    pub mode: Mode,
    /// Whether a body may be a JSON document itself.
    pub json_uploads: bool,
    /// Largest body of an upload.
    pub body_limit_bytes: usize,
    /// Bodies that may be read at the same time, in bytes.
    pub room_bytes: usize,
    /// Most new entries of one upload.
    pub upload_entries_max: usize,
    /// Most entries.
    pub entries_max: usize,
    /// Most bytes of all URLs together.
    pub url_bytes_max: usize,
    /// Shortest time between two announcements.
    pub seal_every_ms: u64,
    /// Most entries of which an answer to an upload lists the URLs.
    pub inline_urls_max: usize,
    /// Most entries of which an answer to an upload has the state.
    pub inline_state_max: usize,
    /// Lists that are held for paging.
    pub pins_max: usize,
    /// How long.
    pub pin_seconds: u64,
    /// Whether browsers may send credentials along.
    pub cors_credentials: bool,
}

fn base<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Base, D::Error> {
    Base::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

fn mode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Mode, D::Error> {
    let word = String::deserialize(deserializer)?;
    actors::sigils::record::mode(&word).ok_or_else(|| de::Error::custom("unknown mode"))
}
