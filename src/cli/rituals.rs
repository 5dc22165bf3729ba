//! `rituals check` and `rituals rehearse`: rules in a file, without a broker.

use std::fs;
use std::path::Path;

use actors::scribe::Archive;
use actors::tail::History;
use anyhow::{Context as _, Result, bail};
use ledger::Reader;
use rites::rehearse::{Rehearsal, Report};
use rites::{Problems, Rules};

use super::args::{RehearseArgs, RitualsVerb};
use super::log::{begin, disk, end};
use super::out::{Out, note};
use super::{EXIT_FAILURE, EXIT_OK};

/// Events read at once.
const PAGE: usize = 1024;

/// Runs a verb.
pub(super) fn run(verb: &RitualsVerb) -> Result<u8> {
    match verb {
        RitualsVerb::Check { rules } => check(rules),
        RitualsVerb::Rehearse(args) => rehearse(args),
    }
}

fn check(path: &Path) -> Result<u8> {
    let Some(rules) = read(path)? else {
        return Ok(EXIT_FAILURE);
    };
    let mut out = Out::new();
    for rule in &rules.rules {
        let state = if rule.enabled { "" } else { "  (off)" };
        out.line(format_args!("{}  {}{state}", rule.version, rule.name))?;
    }
    out.flush()?;
    Ok(EXIT_OK)
}

/// Reads rules, or says everything that is wrong with them.
fn read(path: &Path) -> Result<Option<Rules>> {
    let size = fs::metadata(path)
        .with_context(|| path.display().to_string())?
        .len();
    if size > rites::read::MAX_BYTES as u64 {
        bail!(
            "{} has {size} bytes, the limit is {}",
            path.display(),
            rites::read::MAX_BYTES
        );
    }
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    match rites::read(&text) {
        Ok(rules) => Ok(Some(rules)),
        Err(Problems(problems)) => {
            for problem in problems {
                note(format_args!(
                    "{}:{}: {}",
                    path.display(),
                    problem.line,
                    problem.reason
                ));
            }
            Ok(None)
        }
    }
}

fn rehearse(args: &RehearseArgs) -> Result<u8> {
    let Some(rules) = read(&args.rules)? else {
        return Ok(EXIT_FAILURE);
    };
    let archive = Archive::new(Reader::open(&disk(&args.data)?)?);
    let mut after = match args.from.as_deref() {
        None | Some("earliest") => archive.floor(),
        Some(text) => begin(text, &archive)?,
    };
    let head = archive.head().seq;
    let until = args
        .to
        .as_deref()
        .map_or(Ok(head), |text| end(text, &archive))?;
    let mut rehearsal = Rehearsal::new(rules, args.chain_max);
    loop {
        match archive.page_now(after, until, PAGE)? {
            History::Events(events) => {
                for event in events {
                    after = event.offset.seq;
                    rehearsal.event(&event);
                }
            }
            History::Gone { floor } => {
                note(format_args!("events up to {floor} are gone from this log"));
                after = floor;
            }
            History::Head | History::Archived => break,
        }
    }
    show(&rehearsal.report())?;
    Ok(EXIT_OK)
}

fn show(report: &Report) -> Result<()> {
    let mut out = Out::new();
    out.line(format_args!("events {}", report.events))?;
    for (name, tally) in &report.rules {
        let mut line = format!("{name}: would have fired {} times", tally.fired);
        for (reason, count) in &tally.skipped {
            line.push_str(&format!(", not for {reason} {count}"));
        }
        out.line(line)?;
    }
    for firing in &report.firings {
        let cursor = firing
            .offset
            .map(|offset| offset.to_string())
            .unwrap_or_default();
        out.line(format_args!(
            "{}  {}  {}  {cursor}",
            firing.stamp, firing.rule.name, firing.trigger
        ))?;
    }
    out.flush()?;
    Ok(())
}
