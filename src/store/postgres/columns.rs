//! Rows turned into columns: what one statement takes for any number of them.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use glint::Stamp;
use tokio_postgres::types::ToSql;

use crate::store::tables::{Cell, Kind, Table};

/// A column of a batch.
#[derive(Debug)]
enum Array<'t> {
    Text(Vec<Option<Cow<'t, str>>>),
    Int(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
    Time(Vec<Option<SystemTime>>),
}

/// The columns of a batch for one table.
#[derive(Debug)]
pub(super) struct Columns<'t> {
    arrays: Vec<Array<'t>>,
    rows: usize,
}

impl<'t> Columns<'t> {
    pub(super) fn of(table: Table) -> Columns<'t> {
        let array = |kind| match kind {
            Kind::Text | Kind::Json => Array::Text(Vec::new()),
            Kind::Int => Array::Int(Vec::new()),
            Kind::Float => Array::Float(Vec::new()),
            Kind::Time => Array::Time(Vec::new()),
        };
        let columns = table.columns().iter();
        Columns {
            arrays: columns.map(|column| array(column.kind)).collect(),
            rows: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds a row of the table. A value of another kind than its column counts as none; a test holds that there is no
    /// such value.
    pub(super) fn push(&mut self, row: Vec<Cell<'t>>) {
        self.rows += 1;
        for (array, cell) in self.arrays.iter_mut().zip(row) {
            match (array, cell) {
                (Array::Text(array), Cell::Text(text)) => array.push(Some(text)),
                (Array::Text(array), Cell::Json(text)) => array.push(Some(text.into())),
                (Array::Int(array), Cell::Int(number)) => array.push(Some(number)),
                (Array::Float(array), Cell::Float(number)) => array.push(Some(number)),
                (Array::Time(array), Cell::Time(stamp)) => array.push(Some(time(stamp))),
                (Array::Text(array), _) => array.push(None),
                (Array::Int(array), _) => array.push(None),
                (Array::Float(array), _) => array.push(None),
                (Array::Time(array), _) => array.push(None),
            }
        }
    }

    pub(super) fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.arrays.iter().map(Array::parameter).collect()
    }
}

impl Array<'_> {
    fn parameter(&self) -> &(dyn ToSql + Sync) {
        match self {
            Array::Text(array) => array,
            Array::Int(array) => array,
            Array::Float(array) => array,
            Array::Time(array) => array,
        }
    }
}

/// The statement that takes the columns of `table`. Of JSON it makes a column more, `payload`, to be asked about.
pub(super) fn insert(schema: &str, table: Table) -> String {
    let columns = table.columns();
    let names: Vec<_> = columns.iter().map(|column| column.name).collect();
    let arrays: Vec<_> = columns
        .iter()
        .zip(1..)
        .map(|(column, place)| {
            let kind = match column.kind {
                Kind::Text | Kind::Json => "text",
                Kind::Int => "int8",
                Kind::Float => "float8",
                Kind::Time => "timestamptz",
            };
            format!("${place}::{kind}[]")
        })
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

/// A point in time as the database takes it, to the microsecond.
pub(super) fn time(stamp: Stamp) -> SystemTime {
    let span = Duration::from_micros(stamp.0.unsigned_abs());
    let time = match stamp.0 {
        0.. => SystemTime::UNIX_EPOCH.checked_add(span),
        _ => SystemTime::UNIX_EPOCH.checked_sub(span),
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}
