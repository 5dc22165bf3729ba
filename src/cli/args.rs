//! The arguments and their help texts.

mod examples;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use self::examples::{
    CHECK_EXAMPLES, COHERENCE_VERIFY_EXAMPLES, EXAMPLES, GLYPH_EXAMPLES, GS1_DECODE_EXAMPLES,
    GS1_ENCODE_EXAMPLES, KEYS_EXAMPLES, PUBLISH_EXAMPLES, REGISTRY_EXAMPLES, REPLAY_EXAMPLES,
    RITUALS_CHECK_EXAMPLES, RITUALS_REHEARSE_EXAMPLES, SERVE_EXAMPLES, TAIL_EXAMPLES,
    TRACES_EXAMPLES, VERIFY_EXAMPLES,
};
use super::export::{Format, Rows};
use super::http::Base;
use super::tail::Start;

/// An actor-based real-time stream broker: agents post glints, dashboards receive them as they come
///
/// Without a command it serves.
#[derive(Debug, Parser)]
#[command(
    name = "glintcast",
    version,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    after_help = EXAMPLES
)]
pub(super) struct Cli {
    /// What to do; without it, serve.
    #[command(subcommand)]
    pub(super) verb: Option<Verb>,
    /// Arguments of serve, when no verb is given.
    #[command(flatten)]
    pub(super) serve: ServeArgs,
}

/// What to do with the memory of coherence.
#[derive(Debug, Subcommand)]
pub(super) enum CoherenceVerb {
    /// Check the chain of signatures in a log, and that each of them can be
    #[command(after_help = COHERENCE_VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Start the broker (what happens without a command, too)
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeArgs),
    /// Show the settings in force and where each comes from, or all that is wrong with them
    #[command(after_help = CHECK_EXAMPLES)]
    CheckConfig(CheckArgs),
    /// Send JSON lines to a broker
    #[command(after_help = PUBLISH_EXAMPLES)]
    Publish(PublishArgs),
    /// Watch what a broker sends
    #[command(after_help = TAIL_EXAMPLES)]
    Tail(TailArgs),
    /// Bring a registry of URLs and another one, or a file, to the same set
    #[command(subcommand, disable_help_subcommand = true)]
    Registry(RegistryVerb),
    /// Check every checksum of a log on disk, and the chain over all of it
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
    /// Print the events of a log on disk
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(ReplayArgs),
    /// Look into what is remembered of sources
    #[command(subcommand)]
    Coherence(CoherenceVerb),
    /// Make, enrol, revoke and list the keys that agents sign with
    #[command(subcommand, disable_help_subcommand = true)]
    Keys(KeysVerb),
    /// Export the signed traces that are kept, or check their signatures again
    #[command(subcommand, disable_help_subcommand = true)]
    Traces(TracesVerb),
    /// Check a file of ritual rules, or rehearse it over a log on disk
    #[command(subcommand, disable_help_subcommand = true)]
    Rituals(RitualsVerb),
    /// Turn JSON lines into GS1 frames and back, from standard input to standard output
    #[command(subcommand, disable_help_subcommand = true)]
    Gs1(Gs1Verb),
    /// Turn JSON lines into GLYPH texts or state hashes and back, from standard input to standard output
    #[command(subcommand, disable_help_subcommand = true)]
    Glyph(GlyphVerb),
}

/// What to do with registries.
#[derive(Debug, Subcommand)]
pub(super) enum RegistryVerb {
    /// Add to the place what the registry at URL has and it lacks
    #[command(after_help = REGISTRY_EXAMPLES)]
    Pull(RegistryArgs),
    /// Upload to the registry at URL what it lacks and the place has
    #[command(after_help = REGISTRY_EXAMPLES)]
    Push(RegistryArgs),
}

/// Arguments of `registry`.
#[derive(Debug, Args)]
pub(super) struct RegistryArgs {
    /// Broker to compare with
    #[arg(value_name = "URL")]
    pub(super) url: Base,
    /// The other side: a broker, or a file with one URL per line, made if it is not there
    #[arg(long, value_name = "URL|FILE", default_value = "http://127.0.0.1:5056")]
    pub(super) with: String,
}

/// What to do with signed traces.
#[derive(Debug, Subcommand)]
pub(super) enum TracesVerb {
    /// Write them as rows, oldest first
    #[command(after_help = TRACES_EXAMPLES)]
    Export(ExportArgs),
    /// Check every signature and hash, from nothing but the store
    #[command(after_help = TRACES_EXAMPLES)]
    Verify(VerifyTracesArgs),
}

/// Arguments of `traces export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Data directory of a broker that does not run; without one, a broker is asked
    #[arg(value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    /// Broker to ask
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:5056",
        conflicts_with = "dir"
    )]
    pub(super) at: Base,
    /// How rows are written
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    pub(super) format: Format,
    /// Which rows
    #[arg(long, value_enum, default_value_t = Rows::Traces)]
    pub(super) rows: Rows,
    /// Only what was taken at this instant or later
    #[arg(long, value_name = "TIME")]
    pub(super) from: Option<String>,
    /// Only what was taken before this instant
    #[arg(long, value_name = "TIME")]
    pub(super) to: Option<String>,
    /// Only traces of this agent
    #[arg(long, value_name = "HASH")]
    pub(super) agent: Option<String>,
    /// Only traces signed with this key
    #[arg(long, value_name = "KEY_ID")]
    pub(super) key: Option<String>,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

/// Arguments of `traces verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyTracesArgs {
    /// Data directory of a broker that does not run
    #[arg(value_name = "DIR")]
    pub(super) dir: PathBuf,
}

/// What to do with ritual rules.
#[derive(Debug, Subcommand)]
pub(super) enum RitualsVerb {
    /// Say everything that is wrong with a file of rules, or list them
    #[command(after_help = RITUALS_CHECK_EXAMPLES)]
    Check {
        /// File of rules
        #[arg(value_name = "RULES")]
        rules: PathBuf,
    },
    /// Say what rules would have done over a recorded log, without doing it
    #[command(after_help = RITUALS_REHEARSE_EXAMPLES)]
    Rehearse(RehearseArgs),
}

/// Arguments of `rituals rehearse`.
#[derive(Debug, Args)]
pub(super) struct RehearseArgs {
    /// File of rules
    #[arg(value_name = "RULES")]
    pub(super) rules: PathBuf,
    /// Data directory of a broker; it may be running
    #[arg(long, value_name = "DIR")]
    pub(super) data: PathBuf,
    /// Where to begin: earliest, after a cursor, or at an instant [default: earliest]
    #[arg(long, value_name = "PLACE")]
    pub(super) from: Option<String>,
    /// Where to end: with a cursor, or before an instant [default: the end]
    #[arg(long, value_name = "PLACE")]
    pub(super) to: Option<String>,
    /// How many rituals may follow from each other, as rituals.chain_max
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    pub(super) chain_max: u32,
}

/// What to do with GS1 frames.
#[derive(Debug, Subcommand)]
pub(super) enum Gs1Verb {
    /// Write a frame for each JSON line
    #[command(after_help = GS1_ENCODE_EXAMPLES)]
    Encode {
        /// Write binary frames (GS1-B) and not text frames (GS1-T)
        #[arg(long)]
        binary: bool,
    },
    /// Write a JSON line for each frame; text or binary is told from the first byte
    #[command(after_help = GS1_DECODE_EXAMPLES)]
    Decode {
        /// Guess as the reference reader does and go on after a bad header; text frames only
        #[arg(long)]
        lenient: bool,
    },
}

/// What to do with GLYPH texts.
#[derive(Debug, Subcommand)]
pub(super) enum GlyphVerb {
    /// Write each JSON line as a GLYPH text, itself in the form of a JSON string
    #[command(after_help = GLYPH_EXAMPLES)]
    Fmt {
        /// How to spell it
        #[arg(long, value_enum, default_value_t = GlyphForm::Profile)]
        form: GlyphForm,
    },
    /// Write each GLYPH text, given as a JSON string, as JSON
    #[command(after_help = GLYPH_EXAMPLES)]
    Json,
    /// Write the state hash of each JSON line: SHA-256 of its loose spelling, 64 hex digits
    #[command(after_help = GLYPH_EXAMPLES)]
    Hash,
}

/// How a GLYPH text is spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum GlyphForm {
    /// What the broker sends: one line that every known reader takes for the same value
    Profile,
    /// What state hashes are taken of: lists of similar maps become tables
    Loose,
    /// The fingerprint spelling: no tables
    Notabular,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// IP address and port to listen on [default: 127.0.0.1:5056]
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<OsString>,
    /// Directory for the log of events, made if it is not there; without one, history is kept in memory and ends with
    /// the process
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<OsString>,
    /// Settings file; `glintcast check-config` lists the keys
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// Arguments of `check-config`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Settings file to check, together with the environment
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Data directory of a broker; it may be running
    #[arg(value_name = "DIR")]
    pub(super) dir: PathBuf,
    /// Check the signatures of all signed traces in it instead, with the keys in its vault; the broker must not be
    /// running
    #[arg(long)]
    pub(super) traces: bool,
}

/// Arguments of `keys`.
#[derive(Debug, Subcommand)]
pub(super) enum KeysVerb {
    /// Make a key: the private half goes to FILE, the public half to standard output
    #[command(after_help = KEYS_EXAMPLES)]
    New {
        /// File for the private key, which must not be there yet
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Have a broker know the public half of a key
    #[command(after_help = KEYS_EXAMPLES)]
    Enrol {
        /// What signers call the key
        #[arg(value_name = "KEY_ID")]
        id: String,
        /// File with the private key, of which only the public half is sent
        #[arg(
            long,
            value_name = "FILE",
            conflicts_with = "public",
            required_unless_present = "public"
        )]
        key: Option<PathBuf>,
        /// The public key: 32 bytes in Base64
        #[arg(long, value_name = "BASE64")]
        public: Option<String>,
        /// The agent that it signs for [default: the first 16 digits of the SHA-256 of the key]
        #[arg(long, value_name = "ID")]
        agent: Option<String>,
        /// What people call it
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// From when on it no longer holds, such as 2027-01-01T00:00:00Z
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        /// The broker
        #[command(flatten)]
        at: KeysAt,
    },
    /// Take a key back, at once and for good
    #[command(after_help = KEYS_EXAMPLES)]
    Revoke {
        /// What signers call the key
        #[arg(value_name = "KEY_ID")]
        id: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// The broker
        #[command(flatten)]
        at: KeysAt,
    },
    /// Show the keys that a broker knows, a JSON line each
    #[command(after_help = KEYS_EXAMPLES)]
    List {
        /// The broker
        #[command(flatten)]
        at: KeysAt,
    },
}

/// Which broker; its token comes from the environment, GLINTCAST__ADMIN__TOKEN, and never from the command line.
#[derive(Debug, Args)]
pub(super) struct KeysAt {
    /// Broker to ask
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5056")]
    pub(super) to: Base,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Data directory of a broker; it may be running
    #[arg(value_name = "DIR")]
    pub(super) dir: PathBuf,
    /// Where to begin: earliest, after a cursor, or at an instant [default: earliest]
    #[arg(long, value_name = "PLACE")]
    pub(super) from: Option<String>,
    /// Where to end: with a cursor, or before an instant [default: the end]
    #[arg(long, value_name = "PLACE")]
    pub(super) to: Option<String>,
}

/// Arguments of `publish`.
#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    /// File with one JSON object per line; - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(super) file: PathBuf,
    /// Broker to send to
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5056")]
    pub(super) to: Base,
    /// Send at most so many lines per second; batches get smaller so that the flow stays even
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub(super) rate: Option<f64>,
    /// Lines per request
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) batch: u32,
    /// No progress bar, and no report unless something was refused
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// Arguments of `tail`.
#[derive(Debug, Args)]
pub(super) struct TailArgs {
    /// Broker to watch
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:5056")]
    pub(super) url: Base,
    /// Only these topics, with commas between them
    #[arg(long, value_name = "TOPICS")]
    pub(super) topics: Option<String>,
    /// Only glints of this module (their source); * stands for any text
    #[arg(long, value_name = "MODULE")]
    pub(super) module: Option<String>,
    /// Only glints of this phase
    #[arg(long, value_name = "PHASE")]
    pub(super) phase: Option<String>,
    /// Only events of this name
    #[arg(long, value_name = "EVENT")]
    pub(super) event: Option<String>,
    /// Where to begin: now, earliest, -N (the last N events) or a cursor such as 1-42
    #[arg(
        long,
        value_name = "WHERE",
        default_value = "now",
        allow_hyphen_values = true
    )]
    pub(super) from: Start,
    /// Stop after so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) limit: Option<u64>,
    /// Print each line as the broker sent it, for programs
    #[arg(long)]
    pub(super) json: bool,
    /// No colours, even on a terminal
    #[arg(long, action = ArgAction::SetTrue)]
    pub(super) no_color: bool,
}

/// Reads a number of lines per second.
fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= 1e9 => Ok(rate),
        _ => Err("write a number above 0, such as 50 or 0.5".to_owned()),
    }
}
