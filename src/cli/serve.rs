//! `serve` and `check-config`.

use std::env;
use std::path::PathBuf;

use anyhow::Result;

use super::args::{CheckArgs, ServeArgs};
use super::out::Out;
use crate::boot;
use crate::cli::EXIT_OK;
use crate::config::{self, Flag, Sources};

/// Starts the broker.
pub(super) fn serve(args: &ServeArgs) -> Result<u8> {
    let mut sources = sources(args.config.clone());
    let flags = [
        ("--listen", "edge.listen", &args.listen),
        ("--data", "data.dir", &args.data),
    ];
    for (name, key, value) in flags {
        sources
            .flags
            .extend(value.clone().map(|value| Flag { name, key, value }));
    }
    let loaded = config::load(&sources)?;
    config::prepare_data_dir(&loaded)?;
    boot::run(&loaded.settings)
}

/// Shows the settings in force and where each comes from.
pub(super) fn check_config(args: &CheckArgs) -> Result<u8> {
    let loaded = config::load(&sources(args.config.clone()))?;
    let setting = |key: &str, value: &str| format!("{key} = {value}");
    let widths = loaded.effective.iter();
    let width = widths
        .map(|entry| setting(&entry.key, &entry.value).chars().count())
        .max()
        .unwrap_or(0);
    let mut out = Out::new();
    out.line("ok")?;
    for entry in &loaded.effective {
        let setting = setting(&entry.key, &entry.value);
        out.line(format_args!("{setting:width$}  # {}", entry.layer))?;
    }
    out.flush()?;
    Ok(EXIT_OK)
}

fn sources(file: Option<PathBuf>) -> Sources {
    Sources {
        file,
        environment: env::vars_os().collect(),
        flags: Vec::new(),
    }
}
