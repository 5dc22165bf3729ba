//! `traces`: signed traces that are kept, as files of tables; and whether their signatures still hold.

mod form;
#[cfg(feature = "parquet")]
mod parquet;
mod source;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use attest::Proof;
use glint::Stamp;

use self::source::Source;
use super::args::{ExportArgs, TracesVerb, VerifyTracesArgs};
use super::out::{Out, OutError, note};
use super::{EXIT_FAILURE, EXIT_OK};
use crate::store::tables::Table;
use crate::store::traces::{Query, Retention, TraceStore};

pub(super) use self::form::{Format, Rows};

/// Traces read at once.
const PAGE: usize = 500;
/// Bytes of records read at once.
const PAGE_BYTES: usize = 8 << 20;
/// Faults that are named one by one.
const SHOWN_MAX: u64 = 20;

pub(super) fn run(verb: &TracesVerb) -> Result<u8> {
    match verb {
        TracesVerb::Export(args) => export(args),
        TracesVerb::Verify(args) => verify(args),
    }
}

fn export(args: &ExportArgs) -> Result<u8> {
    let mut source = match &args.dir {
        Some(dir) => Source::Store(open(dir)?),
        None => Source::broker(args.at.clone()),
    };
    let mut query = Query {
        from: instant("--from", args.from.as_deref())?,
        to: instant("--to", args.to.as_deref())?,
        agent: args.agent.clone(),
        key: args.key.clone(),
        limit: PAGE,
        bytes: PAGE_BYTES,
        ..Query::default()
    };
    let table = args.rows.table();
    let out: Box<dyn Write + Send> = match &args.out {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("{}", path.display()))?;
            Box::new(BufWriter::new(file))
        }
        None => Box::new(BufWriter::new(io::stdout())),
    };
    let mut writer = form::writer(args.format, table, out)?;
    let (mut traces, mut rows) = (0_u64, 0_u64);
    loop {
        let page = source.page(&query)?;
        for kept in &page.items {
            let written = kept.read(|record| {
                let of_trace = table.rows(kept, record)?;
                rows += of_trace.len() as u64;
                Ok(of_trace.iter().try_for_each(|row| writer.row(row)))
            });
            written.with_context(|| format!("the trace at {}", kept.offset))??;
            traces += 1;
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    writer.finish()?;
    if args.out.is_some() {
        note(format_args!(
            "{rows} rows of {} from {traces} traces",
            table.name()
        ));
    }
    Ok(EXIT_OK)
}

/// Checks every signature and hash, from nothing but the store.
fn verify(args: &VerifyTracesArgs) -> Result<u8> {
    let store = open(&args.dir)?;
    let ring = store.keys()?;
    let mut query = Query {
        limit: PAGE,
        bytes: PAGE_BYTES,
        ..Query::default()
    };
    let (mut signed, mut redacted, mut bad) = (0_u64, 0_u64, 0_u64);
    let mut out = Out::new();
    loop {
        let page = store.page(&query)?;
        for kept in &page.items {
            match kept.read(|record| record.verify(&ring)) {
                Ok(Proof::Agent) => signed += 1,
                Ok(Proof::Redacted) => redacted += 1,
                Err(fault) => {
                    bad += 1;
                    if bad <= SHOWN_MAX {
                        let offset = kept.offset;
                        out.line(format_args!("fault    the trace at {offset}: {fault}"))?;
                    }
                }
            }
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    out.line(format_args!("keys     {}", ring.len()))?;
    out.line(format_args!("signed   {signed}"))?;
    out.line(format_args!("redacted {redacted}"))?;
    let verdict = match bad {
        0 => "good".to_owned(),
        1 => "1 trace cannot be proven".to_owned(),
        bad => format!("{bad} traces cannot be proven"),
    };
    out.line(format_args!("verdict  {verdict}"))?;
    out.flush()?;
    Ok(if bad == 0 { EXIT_OK } else { EXIT_FAILURE })
}

fn open(dir: &Path) -> Result<TraceStore> {
    let file = dir.join(crate::store::traces::FILE);
    if !file.is_file() {
        bail!(
            "{} is not there; give the data directory of a broker that kept traces",
            file.display()
        );
    }
    Ok(TraceStore::open(dir, Retention::default())?)
}

fn instant(flag: &str, text: Option<&str>) -> Result<Option<Stamp>> {
    let Some(text) = text else { return Ok(None) };
    match text.parse() {
        Ok(stamp) => Ok(Some(stamp)),
        Err(_) => bail!("{flag} takes an instant such as 2026-01-01T06:00:00Z, not {text:?}"),
    }
}

impl Rows {
    fn table(self) -> Table {
        match self {
            Rows::Traces => Table::Traces,
            Rows::Events => Table::Events,
            Rows::LlmCalls => Table::LlmCalls,
        }
    }
}

/// A pipe that was closed is no failure of ours.
fn written(result: io::Result<()>) -> Result<()> {
    Ok(result.map_err(OutError::from)?)
}
