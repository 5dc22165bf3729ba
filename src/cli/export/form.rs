//! The forms of an export.

use std::io::Write;

use anyhow::Result;
use clap::ValueEnum;

use super::written;
use crate::store::tables::{Cell, Table, write_row};

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A JSON object a line; what is nothing is left out
    Ndjson,
    /// Comma-separated, with names in the first line; what is nothing is empty
    Csv,
    /// Apache Parquet
    #[cfg(feature = "parquet")]
    Parquet,
}

/// Which rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rows {
    /// One a trace, with its record: all that is kept of it, byte for byte
    Traces,
    /// One a component
    Events,
    /// One a call to a model
    LlmCalls,
}

/// What takes rows one by one.
pub(super) trait Writer {
    /// Writes a row: values in the order of the columns.
    fn row(&mut self, row: &[Cell<'_>]) -> Result<()>;
    /// Writes what is left.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// Makes the writer of a form.
pub(super) fn writer(
    format: Format,
    table: Table,
    out: Box<dyn Write + Send>,
) -> Result<Box<dyn Writer>> {
    Ok(match format {
        Format::Ndjson => Box::new(Lines { table, out }),
        Format::Csv => {
            let mut out = csv::Writer::from_writer(out);
            out.write_record(table.columns().iter().map(|column| column.name))?;
            Box::new(Csv { out })
        }
        #[cfg(feature = "parquet")]
        Format::Parquet => Box::new(super::parquet::Parquet::new(table, out)?),
    })
}

struct Lines {
    table: Table,
    out: Box<dyn Write + Send>,
}

impl Writer for Lines {
    fn row(&mut self, row: &[Cell<'_>]) -> Result<()> {
        let mut line = String::with_capacity(512);
        write_row(&mut line, self.table, row, true);
        line.push('\n');
        written(self.out.write_all(line.as_bytes()))
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        written(self.out.flush())
    }
}

struct Csv {
    out: csv::Writer<Box<dyn Write + Send>>,
}

impl Writer for Csv {
    fn row(&mut self, row: &[Cell<'_>]) -> Result<()> {
        for cell in row {
            let field = match cell {
                Cell::Null => String::new(),
                Cell::Text(text) => text.to_string(),
                Cell::Int(number) => number.to_string(),
                Cell::Float(number) => format!("{number:?}"),
                Cell::Time(stamp) => stamp.to_string(),
                Cell::Json(text) => (*text).to_owned(),
            };
            ended(self.out.write_field(field))?;
        }
        ended(self.out.write_record(None::<&[u8]>))
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        written(self.out.flush())
    }
}

fn ended(result: csv::Result<()>) -> Result<()> {
    match result.map_err(csv::Error::into_kind) {
        Ok(()) => Ok(()),
        Err(csv::ErrorKind::Io(err)) => written(Err(err)),
        Err(other) => anyhow::bail!("a row cannot be written: {other:?}"),
    }
}
