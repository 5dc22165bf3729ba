//! The `glintcast` program: see [`glintcast::cli`].

use std::panic;
use std::process::ExitCode;

use glintcast::cli;

fn main() -> ExitCode {
    // The panic hook has already said what happened; this only makes the exit code the documented one.
    let outcome = panic::catch_unwind(|| cli::run(std::env::args_os()));
    ExitCode::from(outcome.unwrap_or(cli::EXIT_INTERNAL))
}
