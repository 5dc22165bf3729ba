//! Checking signed traces again: from the records in the log and the keys in the vault, without a broker.

use std::path::Path;

use actors::accord::load_ring;
use actors::scribe::Archive;
use actors::tail::History;
use anyhow::{Result, bail};
use attest::{Fault, KeyRing, Proof, RECORD_LIMITS, Record, Tape};
use glint::{Event, Name};
use ledger::Reader;

use super::log::disk;
use super::out::{Out, note};
use crate::cli::{EXIT_FAILURE, EXIT_OK};
use crate::store::vault::{FILE, FileVault};

/// Events read at once; a trace may have megabytes.
const PAGE: usize = 64;
/// Faults that are named; the others are counted.
const NAMED: usize = 100;

/// What was found.
#[derive(Default)]
struct Report {
    agent: u64,
    redacted: u64,
    faults: u64,
}

/// Checks every signed trace of a data directory.
pub(super) fn verify(dir: &Path) -> Result<u8> {
    if !dir.join(FILE).is_file() {
        bail!(
            "{} holds no {FILE}, so there are no keys; give the data directory of a broker",
            dir.display()
        );
    }
    let archive = Archive::new(Reader::open(&disk(dir)?)?);
    let mut ring = load_ring(&FileVault::open(dir)?)?;
    let mut out = Out::new();
    let mut report = Report::default();
    let (mut after, head) = (archive.floor(), archive.head().seq);
    loop {
        match archive.page_now(after, head, PAGE)? {
            History::Events(events) => {
                for event in events {
                    after = event.offset.seq;
                    look(&event, &mut ring, &mut report, &mut out)?;
                }
            }
            History::Gone { floor } => {
                note(format_args!("events up to {floor} are gone from this log"));
                after = floor;
            }
            History::Head | History::Archived => break,
        }
    }
    out.line(format_args!("keys       {}", ring.len()))?;
    out.line(format_args!("by agents  {}", report.agent))?;
    out.line(format_args!("redacted   {}", report.redacted))?;
    out.line(format_args!("faults     {}", report.faults))?;
    let good = report.faults == 0;
    let verdict = if good {
        "good"
    } else {
        "what is named above is not what was signed"
    };
    out.line(format_args!("verdict    {verdict}"))?;
    out.flush()?;
    Ok(if good { EXIT_OK } else { EXIT_FAILURE })
}

fn look(event: &Event, ring: &mut KeyRing, report: &mut Report, out: &mut Out) -> Result<()> {
    if event.name == Name::KeyChanged {
        // A change that the vault has already changes nothing.
        if let Ok(change) = attest::Change::from_json(event.text.as_bytes()) {
            ring.apply(change);
        }
        return Ok(());
    }
    if event.name != Name::TraceCommitted {
        return Ok(());
    }
    match check(event, ring) {
        Ok(Proof::Agent) => report.agent += 1,
        Ok(Proof::Redacted) => report.redacted += 1,
        Err(fault) => {
            report.faults += 1;
            if report.faults <= NAMED as u64 {
                let (at, code) = (event.offset, fault.code());
                out.line(format_args!("fault      {at}: {code}: {fault}"))?;
            }
        }
    }
    Ok(())
}

fn check(event: &Event, ring: &KeyRing) -> Result<Proof, Fault> {
    let tape = Tape::read(event.text.as_bytes(), &RECORD_LIMITS)?;
    Record::read(&tape)?.verify(ring)
}
