//! Settings: four layers merged, every problem reported at once.
//!
//! `config/default.toml` is the manual of the keys, the list of the keys that exist, and the first layer. What it does
//! not name is unknown, and its values say what type a key has. Nothing here opens a socket: settings are right before
//! anything starts.
//!
//! Layout:
//! - `layers`: reads file, environment and flags and lays them over the defaults.
//! - `rules`: what each value may be.
//! - `settings`: the result, one plain struct per office.
//! - `accord`: settings of signed traces.
//! - `coherence`: settings of coherence.
//! - `admin`: settings of administration, and secrets.
//! - `registry`: settings of the registry.
//! - `sinks`: settings of where traces are kept.
//! - `rituals`: settings of rituals, and of usage.
//! - `instant`: instants and distances from UTC.
//! - `problem`: what is said about a setting that cannot stand.

mod accord;
mod admin;
mod coherence;
mod instant;
mod layers;
mod problem;
mod registry;
mod rituals;
mod rules;
mod settings;
mod sinks;

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

pub use accord::AccordSettings;
pub use admin::{AdminSettings, Secret};
pub use coherence::{CoherenceSettings, Period};
pub use problem::{Layer, Problem, Problems};
pub use registry::RegistrySettings;
pub use rituals::{RitualSettings, UsageSettings, UsageSource};
pub use settings::{
    BreathSettings, Damaged, DataSettings, DrainSettings, EdgeSettings, HandOff, LaneSettings,
    LogDurability, LogFormat, LogSettings, PublishSettings, Settings, TailSettings,
};
pub use sinks::{PostgresSettings, TracesSettings, TracesStore};

/// The defaults, which are also the manual of the settings.
pub const MANUAL: &str = include_str!("../config/default.toml");

/// What settings are read from, besides the defaults.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A file in the form of the manual.
    pub file: Option<PathBuf>,
    /// Environment variables; those that do not begin with `GLINTCAST__` are passed over.
    pub environment: Vec<(OsString, OsString)>,
    /// Flags of the command line.
    pub flags: Vec<Flag>,
}

/// A setting given as a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag as it is typed, such as `--listen`.
    pub name: &'static str,
    /// The key it sets, such as `edge.listen`.
    pub key: &'static str,
    /// The text that was given.
    pub value: OsString,
}

/// Settings, and where each came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Every key in the order of the manual.
    pub effective: Vec<Effective>,
}

/// A value in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The key, such as `edge.listen`.
    pub key: String,
    /// The value, as the file would have it.
    pub value: String,
    /// Where it came from.
    pub layer: Layer,
}

/// Loads the settings.
///
/// # Errors
/// With every problem of every layer, not only the first.
pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let mut merged = layers::merge(sources)?;
    rules::check(&mut merged);
    if !merged.problems.is_empty() {
        return Err(Problems(merged.problems));
    }
    let effective = merged.effective();
    let settings = toml::Value::Table(merged.tree)
        .try_into()
        .map_err(|err: toml::de::Error| {
            let remedy = format!("rules and settings disagree, please report this: {err}");
            Problems::one(Problem::new(Layer::Default, "", "", remedy))
        })?;
    Ok(Loaded {
        settings,
        effective,
    })
}

/// Creates the directory for durable data, if one is set, and proves that files can be made in it.
///
/// # Errors
/// When the directory cannot be created or written to.
pub fn prepare_data_dir(loaded: &Loaded) -> Result<(), Problems> {
    let Some(dir) = &loaded.settings.data.dir else {
        return Ok(());
    };
    let probe = dir.join(format!(".glintcast-probe-{}", std::process::id()));
    let outcome = fs::create_dir_all(dir)
        .and_then(|()| fs::write(&probe, b""))
        .and_then(|()| fs::remove_file(&probe));
    outcome.map_err(|err| {
        let key = "data.dir";
        let effective = loaded.effective.iter().find(|entry| entry.key == key);
        let layer = effective.map_or(Layer::Default, |entry| entry.layer.clone());
        let remedy = format!(
            "cannot write there: {err}; name a directory this user may write to, or leave it empty"
        );
        Problems::one(Problem::new(layer, key, dir.display().to_string(), remedy))
    })
}
