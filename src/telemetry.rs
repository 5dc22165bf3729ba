//! Logs to stderr, metrics in a registry.

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use prometheus::process_collector::ProcessCollector;
use prometheus::{IntGaugeVec, Opts, Registry};
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSettings};

/// Starts logging. Logs go to stderr; stdout is for what a program may want to read.
///
/// # Errors
/// When the level cannot be understood or somebody logs already.
pub fn start_logging(settings: &LogSettings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.level).context("log.level")?;
    let logger = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let started = match settings.format {
        LogFormat::Text => logger.try_init(),
        LogFormat::Json => logger.json().try_init(),
    };
    started.map_err(|err| anyhow::anyhow!("logging cannot start: {err}"))
}

/// Makes the registry, with what is known of the process and the build.
///
/// # Errors
/// When a name is taken, which it is not.
pub fn registry() -> prometheus::Result<Registry> {
    let registry = Registry::new();
    registry.register(Box::new(ProcessCollector::for_self()))?;
    let build = IntGaugeVec::new(Opts::new("glintcast_build_info", "Always 1."), &["version"])?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    registry.register(Box::new(build))?;
    Ok(registry)
}
