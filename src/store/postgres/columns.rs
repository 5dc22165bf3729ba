//! Rows turned into columns, spelt as the database takes them: one statement then takes any number of rows.
//!
//! A column is an array in the binary form of PostgreSQL: a head, and for each element its length and its bytes, all
//! numbers big-endian (`array_recv` in its sources). It owns what it says, so the next rows are made while these are on
//! their way.

use std::error::Error;
use std::time::{Duration, SystemTime};

use glint::Stamp;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, Kind as Shape, ToSql, Type, to_sql_checked};

use crate::store::tables::{Cell, Kind, Table};

/// The length of an element that is null.
const NULL: i32 = -1;
/// The first moment of 2000, from which the database counts, in microseconds since 1970.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// The columns of some rows of one table.
#[derive(Debug)]
pub(super) struct Columns {
    columns: Vec<Column>,
    rows: i32,
}

#[derive(Debug)]
struct Column {
    kind: Kind,
    elements: Vec<u8>,
}

/// A column with what its head needs.
#[derive(Debug)]
pub(super) struct Parameter<'c> {
    column: &'c Column,
    rows: i32,
}

impl Columns {
    pub(super) fn of(table: Table) -> Columns {
        let columns = table.columns().iter().map(|column| Column {
            kind: column.kind,
            elements: Vec::new(),
        });
        Columns {
            columns: columns.collect(),
            rows: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds a row of the table.
    pub(super) fn push(&mut self, row: &[Cell<'_>]) {
        self.rows += 1;
        for (column, cell) in self.columns.iter_mut().zip(row) {
            column.push(cell);
        }
    }

    pub(super) fn parameters(&self) -> Vec<Parameter<'_>> {
        let rows = self.rows;
        let columns = self.columns.iter();
        columns.map(|column| Parameter { column, rows }).collect()
    }
}

impl Column {
    /// Adds an element. A value of another kind than the column counts as none; a test holds that there is no such value.
    fn push(&mut self, cell: &Cell<'_>) {
        match (self.kind, cell) {
            (Kind::Text, Cell::Text(text)) => self.element(text.as_bytes()),
            (Kind::Json, Cell::Json(text)) => self.element(text.as_bytes()),
            (Kind::Int, Cell::Int(number)) => self.element(&number.to_be_bytes()),
            (Kind::Float, Cell::Float(number)) => self.element(&number.to_be_bytes()),
            (Kind::Time, Cell::Time(stamp)) => self.element(&micros(*stamp).to_be_bytes()),
            _ => self.elements.extend(NULL.to_be_bytes()),
        }
    }

    fn element(&mut self, bytes: &[u8]) {
        // A record has 32 MiB at most.
        self.elements.extend((bytes.len() as i32).to_be_bytes());
        self.elements.extend_from_slice(bytes);
    }
}

/// The type of the elements of a column.
fn element(kind: Kind) -> Type {
    match kind {
        Kind::Text | Kind::Json => Type::TEXT,
        Kind::Int => Type::INT8,
        Kind::Float => Type::FLOAT8,
        Kind::Time => Type::TIMESTAMPTZ,
    }
}

impl ToSql for Parameter<'_> {
    fn to_sql(
        &self,
        wanted: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let element = element(self.column.kind);
        if *wanted.kind() != Shape::Array(element.clone()) {
            return Err(format!("a column of {element} cannot be given as {wanted}").into());
        }
        // Dimensions; whether there may be nulls; the type; how many; the number of the first.
        let head = [1, 1, element.oid() as i32, self.rows, 1];
        out.reserve(size_of_val(&head) + self.column.elements.len());
        head.iter()
            .for_each(|number| out.extend_from_slice(&number.to_be_bytes()));
        out.extend_from_slice(&self.column.elements);
        Ok(IsNull::No)
    }

    fn accepts(wanted: &Type) -> bool {
        matches!(wanted.kind(), Shape::Array(_))
    }

    to_sql_checked!();
}

/// A point in time as the database counts.
fn micros(stamp: Stamp) -> i64 {
    stamp.0.saturating_sub(EPOCH_MICROS)
}

/// The statement that takes the columns of `table`. Of JSON it makes a column more, `payload`, to be asked about.
pub(super) fn insert(schema: &str, table: Table) -> String {
    let columns = table.columns();
    let names: Vec<_> = columns.iter().map(|column| column.name).collect();
    let arrays: Vec<_> = columns
        .iter()
        .zip(1..)
        .map(|(column, place)| format!("${place}::{}[]", element(column.kind)))
        .collect();
    let (payload, made) = match table {
        Table::Events => (", payload", ", data::jsonb"),
        Table::Traces | Table::LlmCalls => ("", ""),
    };
    let (name, names, arrays) = (table.name(), names.join(", "), arrays.join(", "));
    format!(
        "INSERT INTO {schema}.{name} ({names}{payload}) SELECT {names}{made} \
         FROM unnest({arrays}) AS given ({names}) ON CONFLICT DO NOTHING"
    )
}

/// A point in time as the driver takes it, to the microsecond.
pub(super) fn time(stamp: Stamp) -> SystemTime {
    let span = Duration::from_micros(stamp.0.unsigned_abs());
    let time = match stamp.0 {
        0.. => SystemTime::UNIX_EPOCH.checked_add(span),
        _ => SystemTime::UNIX_EPOCH.checked_sub(span),
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}
