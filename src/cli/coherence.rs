//! `coherence verify`: the temporal memory in a log on disk, without a broker.

use actors::coherence::record::Verifier;
use actors::scribe::Archive;
use actors::tail::History;
use anyhow::Result;
use glint::Name;
use ledger::Reader;

use super::args::VerifyArgs;
use super::log::disk;
use super::out::{Out, note};
use crate::cli::{EXIT_FAILURE, EXIT_OK};

/// Events read at once.
const PAGE: usize = 1024;

/// Checks the chain of signatures and what each of them says.
pub(super) fn verify(args: &VerifyArgs) -> Result<u8> {
    let archive = Archive::new(Reader::open(&disk(&args.dir)?)?);
    let (mut after, until) = (archive.floor(), archive.head().seq);
    let mut verifier = Verifier::default();
    loop {
        match archive.page_now(after, until, PAGE)? {
            History::Events(events) => {
                for event in events {
                    after = event.offset.seq;
                    if event.name == Name::MemorySignature {
                        verifier.check(after, &event.text);
                    }
                }
            }
            History::Gone { floor } => {
                note(format_args!(
                    "events up to {floor} are gone from this log; the chain is checked from there on"
                ));
                after = floor;
            }
            History::Head | History::Archived => break,
        }
    }
    let mut out = Out::new();
    out.line(format_args!("signatures  {}", verifier.records))?;
    out.line(format_args!(
        "chain       {}",
        verifier.head().unwrap_or("-")
    ))?;
    for (place, why) in &verifier.faults {
        out.line(format_args!("fault       event {place}: {why}"))?;
    }
    let (verdict, code) = match verifier.faults.is_empty() {
        true => ("good", EXIT_OK),
        false => (
            "not what was written; restore the log from a copy",
            EXIT_FAILURE,
        ),
    };
    out.line(format_args!("verdict     {verdict}"))?;
    out.flush()?;
    Ok(code)
}
