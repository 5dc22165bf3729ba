//! The settings as the rest of the program sees them: one plain struct per office.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use glint::phase::{Anchor, BadBreath};
use glint::{Breath, Stamp, Zone};
use serde::{Deserialize, Deserializer, de};

use super::accord::AccordSettings;
use super::admin::AdminSettings;
use super::coherence::CoherenceSettings;
use super::instant;
use super::registry::RegistrySettings;
use super::rituals::{RitualSettings, UsageSettings};
use super::sinks::{PostgresSettings, TracesSettings};

/// All settings. What each key means is said in `config/default.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where clients come in.
    pub edge: EdgeSettings,
    /// The shared buffer of encoded events.
    pub lane: LaneSettings,
    /// History for clients that come back.
    pub tail: TailSettings,
    /// The breath.
    pub breath: BreathSettings,
    /// Taking in what is published.
    pub publish: PublishSettings,
    /// Leaving.
    pub drain: DrainSettings,
    /// The log.
    pub log: LogSettings,
    /// What outlives the process.
    pub data: DataSettings,
    /// Who may change how the broker works.
    pub admin: AdminSettings,
    /// Which sources keep time.
    pub coherence: CoherenceSettings,
    /// The registry of sealed URLs.
    pub registry: RegistrySettings,
    /// Signed traces.
    pub accord: AccordSettings,
    /// The store of traces.
    pub traces: TracesSettings,
    /// The database that gets every trace.
    pub postgres: PostgresSettings,
    /// How usage is measured.
    pub usage: UsageSettings,
    /// What the broker does by itself.
    pub rituals: RitualSettings,
}

/// Settings of the edge: sockets, streams and requests.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeSettings {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Worker threads; 0 is one per core.
    pub workers: usize,
    /// Streams open at the same time, over all workers.
    pub streams_max: usize,
    /// Different views per worker.
    pub views_max: usize,
    /// Largest single glint.
    pub glint_limit_bytes: usize,
    /// Largest body of one request.
    pub batch_limit_bytes: usize,
    /// Most glints in one request.
    pub batch_max: usize,
    /// Longest silence on a stream.
    pub keepalive_seconds: u64,
    /// Whether streams get the socket of their connection for themselves.
    pub handoff: HandOff,
    /// How long a client may take nothing of what there is for it.
    pub stall_seconds: u64,
    /// How long a refusal of a stream is held back.
    pub refusal_delay_ms: u64,
    /// Time to receive the body of a request.
    pub body_timeout_seconds: u64,
}

/// Settings of the lanes, the shared buffers of encoded events.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneSettings {
    /// Size of the buffer of a view.
    pub window_bytes: usize,
    /// Size of the pieces it is made of.
    pub page_bytes: usize,
    /// How long events are held back to go out together.
    pub coalesce_ms: u64,
}

/// Whether streams get the socket of their connection for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HandOff {
    /// Where they can: HTTP/1.1, plain TCP.
    Auto,
    /// Never.
    Off,
}

/// Settings of the history in memory.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TailSettings {
    /// Number of events kept.
    pub events: usize,
    /// Memory for kept events.
    pub bytes: usize,
}

/// Settings of the breath.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreathSettings {
    /// Length of each phase, in the order of [`glint::Phase::ALL`].
    pub hours: [f64; 5],
    /// What the first phase counts from.
    #[serde(deserialize_with = "anchor")]
    pub anchor: Anchor,
    /// How many times faster than the clock the breath goes.
    pub speed: f64,
    /// Distance of local time from UTC.
    #[serde(rename = "utc_offset", deserialize_with = "zone")]
    pub zone: Zone,
    /// Time between two heartbeats.
    pub tick_ms: u64,
    /// Silence after which a caesura is announced.
    pub caesura_after_seconds: u64,
    /// Change of usage that is announced.
    pub usage_step: f64,
}

/// Settings of the intake.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishSettings {
    /// Requests that may wait.
    pub queue_offers: usize,
    /// Bytes that may wait.
    pub queue_bytes: usize,
    /// How long an idempotency key is remembered.
    pub idempotency_seconds: u64,
    /// Number of idempotency keys remembered.
    pub idempotency_keys: usize,
    /// How long a glint is remembered, to tell that it comes again; 0 for not at all.
    pub repeat_seconds: u64,
    /// Number of glints remembered for that.
    pub repeat_glints: usize,
}

/// Settings of leaving.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrainSettings {
    /// Time to let clients go.
    pub grace_seconds: u64,
    /// Shortest time after which a client is told to come back.
    pub retry_min_ms: u64,
    /// Longest time after which a client is told to come back.
    pub retry_max_ms: u64,
}

/// Settings of the log.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// Directives of a `tracing_subscriber::EnvFilter`; known to parse.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object per line.
    Json,
}

/// Settings of what outlives the process.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSettings {
    /// Directory for the log; none keeps everything in memory.
    #[serde(deserialize_with = "directory")]
    pub dir: Option<PathBuf>,
    /// What an acknowledgement means.
    pub durability: LogDurability,
    /// Size of a file of the log.
    pub segment_bytes: u64,
    /// Bytes kept; 0 is everything.
    pub retain_bytes: u64,
    /// Events kept; 0 is everything.
    pub retain_events: u64,
    /// Hours kept; 0 is everything.
    pub retain_hours: u64,
    /// What to do with damage.
    pub damaged: Damaged,
}

/// What an acknowledgement means where there is a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogDurability {
    /// The disk has it.
    Fsync,
    /// The operating system has it.
    Os,
}

/// What to do with damage in the middle of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Damaged {
    /// Do not start.
    Refuse,
    /// Put it aside.
    Quarantine,
}

impl BreathSettings {
    /// Makes the breath of a process that started at `start`.
    ///
    /// # Errors
    /// When a length or the speed makes no breath; settings that were loaded always make one.
    pub fn breath(&self, start: Stamp) -> Result<Breath, BadBreath> {
        Breath::new(self.hours, self.anchor, start, self.zone, self.speed)
    }
}

fn anchor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Anchor, D::Error> {
    parsed(deserializer, instant::anchor)
}

fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zone, D::Error> {
    parsed(deserializer, |text| text.parse::<Zone>())
}

pub(super) fn directory<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<PathBuf>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok((!text.is_empty()).then(|| PathBuf::from(text)))
}

fn parsed<'de, D, T, E>(deserializer: D, parse: fn(&str) -> Result<T, E>) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    E: fmt::Display,
{
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(de::Error::custom)
}
