//! Rows as Apache Parquet: columns are gathered and written a group of rows at a time.

use std::io::Write;
use std::sync::Arc;

use anyhow::Result;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

use super::form::Writer;
use crate::store::tables::{Cell, Column, Kind, Table};

/// Rows of a group.
const GROUP_ROWS: usize = 50_000;
/// Bytes of texts after which a group ends before it has all its rows.
const GROUP_BYTES: usize = 64 << 20;

pub(super) struct Parquet {
    out: SerializedFileWriter<Box<dyn Write + Send>>,
    columns: Vec<Gathered>,
    rows: usize,
    bytes: usize,
}

/// A column of the group under way: its values, and for each row whether it has one.
enum Gathered {
    Text(Vec<ByteArray>, Vec<i16>),
    Int(Vec<i64>, Vec<i16>),
    Float(Vec<f64>, Vec<i16>),
}

impl Parquet {
    pub(super) fn new(table: Table, out: Box<dyn Write + Send>) -> Result<Parquet> {
        let fields = table.columns().iter().map(field).collect::<Result<_>>()?;
        let schema = Type::group_type_builder(table.name())
            .with_fields(fields)
            .build()?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::UNCOMPRESSED)
            .build();
        Ok(Parquet {
            out: SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?,
            columns: table.columns().iter().map(Gathered::of).collect(),
            rows: 0,
            bytes: 0,
        })
    }

    fn write_group(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.out.next_row_group()?;
        for column in &mut self.columns {
            if let Some(out) = group.next_column()? {
                column.write(out)?;
            }
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl Writer for Parquet {
    fn row(&mut self, row: &[Cell<'_>]) -> Result<()> {
        for (column, cell) in self.columns.iter_mut().zip(row) {
            self.bytes += column.push(cell);
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES {
            self.write_group()?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.write_group()?;
        self.out.close()?;
        Ok(())
    }
}

impl Gathered {
    fn of(column: &Column) -> Gathered {
        match column.kind {
            Kind::Text | Kind::Json => Gathered::Text(Vec::new(), Vec::new()),
            Kind::Int | Kind::Time => Gathered::Int(Vec::new(), Vec::new()),
            Kind::Float => Gathered::Float(Vec::new(), Vec::new()),
        }
    }

    /// Adds a value, and returns its bytes.
    fn push(&mut self, cell: &Cell<'_>) -> usize {
        let (there, bytes) = match (&mut *self, cell) {
            (Gathered::Text(values, _), Cell::Text(text)) => {
                values.push(ByteArray::from(text.as_bytes().to_vec()));
                (1, text.len())
            }
            (Gathered::Text(values, _), Cell::Json(text)) => {
                values.push(ByteArray::from(text.as_bytes().to_vec()));
                (1, text.len())
            }
            (Gathered::Int(values, _), Cell::Int(number)) => {
                values.push(*number);
                (1, 8)
            }
            (Gathered::Int(values, _), Cell::Time(stamp)) => {
                values.push(stamp.0);
                (1, 8)
            }
            (Gathered::Float(values, _), Cell::Float(number)) => {
                values.push(*number);
                (1, 8)
            }
            _ => (0, 0),
        };
        match self {
            Gathered::Text(_, levels) | Gathered::Int(_, levels) | Gathered::Float(_, levels) => {
                levels.push(there);
            }
        }
        bytes
    }

    fn write(&mut self, out: SerializedColumnWriter<'_>) -> Result<()> {
        match self {
            Gathered::Text(values, levels) => write::<ByteArrayType>(out, values, levels),
            Gathered::Int(values, levels) => write::<Int64Type>(out, values, levels),
            Gathered::Float(values, levels) => write::<DoubleType>(out, values, levels),
        }
    }
}

fn write<T: DataType>(
    mut out: SerializedColumnWriter<'_>,
    values: &mut Vec<T::T>,
    levels: &mut Vec<i16>,
) -> Result<()> {
    out.typed::<T>().write_batch(values, Some(levels), None)?;
    values.clear();
    levels.clear();
    Ok(out.close()?)
}

fn field(column: &Column) -> Result<TypePtr> {
    let (physical, logical) = match column.kind {
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
        Kind::Int => (Physical::INT64, None),
        Kind::Float => (Physical::DOUBLE, None),
        Kind::Time => {
            let time = LogicalType::timestamp(true, TimeUnit::MICROS);
            (Physical::INT64, Some(time))
        }
    };
    let field = Type::primitive_type_builder(column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()?;
    Ok(Arc::new(field))
}
