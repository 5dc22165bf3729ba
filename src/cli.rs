//! The command line.
//!
//! Each verb takes its arguments, does its work and returns an exit code. Results go to standard output through one
//! writer, everything said to a person goes to standard error, so that every verb can stand in a pipe.
//!
//! Layout:
//! - `args`: the arguments and their help texts.
//! - `serve`: `serve` and `check-config`.
//! - `publish`: JSON lines into a broker.
//! - `tail`: events out of a broker.
//! - `registry`: what two registries lack of each other.
//! - `keys`: keys of agents, here and at a broker.
//! - `log`: `verify` and `replay`, on a log without a broker.
//! - `traces`: checking signed traces again, from the log alone.
//! - `export`: signed traces that are kept, out of a store or a broker.
//! - `rituals`: rules in a file, checked and rehearsed.
//! - `filter`: `gs1` and `glyph`, from standard input to standard output.
//! - `http`, `lines`, `out`, `pace`: what the verbs share.

mod args;
mod coherence;
mod export;
mod filter;
mod http;
mod keys;
mod lines;
mod log;
mod out;
mod pace;
mod publish;
mod registry;
mod rituals;
mod serve;
mod tail;
mod traces;

use std::ffi::OsString;

use clap::Parser;

use crate::config::Problems;
use args::{Cli, CoherenceVerb, Gs1Verb, Verb};
use out::OutError;

/// All went well.
pub const EXIT_OK: u8 = 0;
/// Something failed, or some of the input was refused.
pub const EXIT_FAILURE: u8 = 1;
/// The command line or the settings are wrong.
pub const EXIT_USAGE: u8 = 64;
/// The program itself is wrong.
pub const EXIT_INTERNAL: u8 = 70;

/// Runs the program with `args`, the first of which is its name, and returns the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(err) => {
            // When nobody is there to read it, there is nobody to tell.
            let _ = err.print();
            return if err.use_stderr() {
                EXIT_USAGE
            } else {
                EXIT_OK
            };
        }
    };
    match dispatch(cli) {
        Ok(code) => code,
        Err(err) => explain(&err),
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<u8> {
    match cli.verb.unwrap_or(Verb::Serve(cli.serve)) {
        Verb::Serve(args) => serve::serve(&args),
        Verb::CheckConfig(args) => serve::check_config(&args),
        Verb::Publish(args) => publish::run(&args),
        Verb::Tail(args) => tail::run(&args),
        Verb::Registry(verb) => registry::run(&verb),
        Verb::Verify(args) if args.traces => traces::verify(&args.dir),
        Verb::Verify(args) => log::verify(&args),
        Verb::Replay(args) => log::replay(&args),
        Verb::Rituals(verb) => rituals::run(&verb),
        Verb::Coherence(CoherenceVerb::Verify(args)) => coherence::verify(&args),
        Verb::Keys(verb) => keys::run(&verb),
        Verb::Traces(verb) => export::run(&verb),
        Verb::Gs1(Gs1Verb::Encode { binary }) => filter::gs1::encode(binary),
        Verb::Gs1(Gs1Verb::Decode { lenient }) => filter::gs1::decode(lenient),
        Verb::Glyph(verb) => filter::glyph::run(&verb),
    }
}

/// Says what went wrong and returns the exit code for it.
fn explain(err: &anyhow::Error) -> u8 {
    if let Some(OutError::Closed) = err.downcast_ref() {
        // The reader of a pipe has read enough, as in `glintcast tail | head`.
        return EXIT_OK;
    }
    if let Some(Problems(problems)) = err.downcast_ref() {
        let count = problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        out::note(format_args!("error: {count} {noun} in the settings\n{err}"));
        return EXIT_USAGE;
    }
    out::note(format_args!("error: {err:#}"));
    EXIT_FAILURE
}
