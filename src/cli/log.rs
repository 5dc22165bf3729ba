//! `verify` and `replay`: a log on disk, without a broker.

use std::path::Path;

use actors::scribe::Archive;
use actors::tail::History;
use anyhow::{Context as _, Result, bail};
use glint::{Offset, Stamp};
use ledger::{Disk, Reader, StdDisk};

use super::args::{ReplayArgs, VerifyArgs};
use super::out::{Out, note};
use crate::boot::log::LOG;
use crate::cli::{EXIT_FAILURE, EXIT_OK};

/// Events read at once.
const PAGE: usize = 1024;

/// Checks every checksum and the chain.
pub(super) fn verify(args: &VerifyArgs) -> Result<u8> {
    let report = ledger::verify(&disk(&args.dir)?)?;
    let mut out = Out::new();
    let (first, last) = report.range;
    let (segments, records, bytes) = (report.segments, report.records, report.bytes);
    out.line(format_args!("segments {segments}"))?;
    out.line(format_args!("events   {records}, from {first} to {last}"))?;
    out.line(format_args!("bytes    {bytes}"))?;
    let chain: String = report
        .chain
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    out.line(format_args!("chain    {chain}"))?;
    for fault in &report.faults {
        let (file, at, what, last_good) = (&fault.file, fault.at, fault.what, fault.last_good);
        out.line(format_args!(
            "fault    {file} at byte {at}: {what}; the last good event before is {last_good}"
        ))?;
    }
    let (verdict, code) = match report.faults.len() {
        0 => ("good".to_owned(), EXIT_OK),
        1 => ("1 fault; a torn end is cut off at the next start, anything else needs a copy of the file".to_owned(), EXIT_FAILURE),
        count => (format!("{count} faults; restore the files from a copy"), EXIT_FAILURE),
    };
    out.line(format_args!("verdict  {verdict}"))?;
    out.flush()?;
    Ok(code)
}

/// Prints events as `tail --json` does.
pub(super) fn replay(args: &ReplayArgs) -> Result<u8> {
    let archive = Archive::new(Reader::open(&disk(&args.dir)?)?);
    let head = archive.head();
    let mut after = match args.from.as_deref() {
        None | Some("earliest") => archive.floor(),
        Some(text) => begin(text, &archive)?,
    };
    let until = args
        .to
        .as_deref()
        .map_or(Ok(head.seq), |text| end(text, &archive))?;
    let mut out = Out::new();
    loop {
        match archive.page_now(after, until, PAGE)? {
            History::Events(events) => {
                for event in events {
                    after = event.offset.seq;
                    out.line(wire::plain(&event))?;
                }
            }
            History::Gone { floor } => {
                note(format_args!("events up to {floor} are gone from this log"));
                after = floor;
            }
            History::Head | History::Archived => break,
        }
    }
    out.flush()?;
    Ok(EXIT_OK)
}

/// The place after which `--from` begins.
pub(super) fn begin(text: &str, archive: &Archive) -> Result<u64> {
    place(
        text,
        archive,
        "--from takes earliest, a cursor, or an instant such as 2026-01-01T06:00:00Z",
    )
}

/// The place with which `--to` ends.
pub(super) fn end(text: &str, archive: &Archive) -> Result<u64> {
    place(
        text,
        archive,
        "--to takes a cursor, or an instant such as 2026-01-01T06:00:00Z",
    )
}

fn place(text: &str, archive: &Archive, usage: &str) -> Result<u64> {
    if let Ok(cursor) = text.parse::<Offset>() {
        let epoch = archive.head().epoch;
        if cursor.epoch != epoch {
            bail!("{text} is of another epoch; this log is of {epoch}");
        }
        return Ok(cursor.seq);
    }
    let stamp = text
        .parse::<Stamp>()
        .map_err(|_| anyhow::anyhow!("{text:?} is no place; {usage}"))?;
    Ok(archive.last_before(stamp)?)
}

/// The folder of segments: the data directory's own, or the directory itself.
pub(super) fn disk(dir: &Path) -> Result<StdDisk> {
    let log = dir.join(LOG);
    let dir = if log.is_dir() { &log } else { dir };
    if !dir.is_dir() {
        bail!(
            "{} is no directory; give the data directory of a broker",
            dir.display()
        );
    }
    let disk = StdDisk::open(dir).with_context(|| format!("{}", dir.display()))?;
    if !disk
        .list()?
        .iter()
        .any(|name| ledger::segment::first_seq_of(name).is_some())
    {
        bail!(
            "{} holds no log; give the data directory of a broker",
            dir.display()
        );
    }
    Ok(disk)
}
