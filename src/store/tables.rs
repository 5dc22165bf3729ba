//! Kept traces as tables: the one definition of their columns, for answers, exports and databases.
//!
//! A row of [`Table::Traces`] holds the exact bytes that are kept; all other columns of all tables follow from them.

use std::borrow::Cow;
use std::fmt::Write as _;

use attest::record::RECORD_LIMITS;
use attest::{Fault, Record, Tape};
use glint::json::{Object, object, write_ascii_string};
use glint::{Event, Offset, Stamp};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number of 64 bits.
    Int,
    /// A double.
    Float,
    /// A point in time.
    Time,
    /// JSON: one line of ASCII, byte for byte as it is kept.
    Json,
}

/// A value in a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'t> {
    /// Nothing.
    Null,
    /// Text.
    Text(Cow<'t, str>),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A point in time.
    Time(Stamp),
    /// JSON as it is kept.
    Json(&'t str),
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// One row a trace.
    Traces,
    /// One row a component.
    Events,
    /// One row a call to a model.
    LlmCalls,
}

/// A trace that is kept: where it is in the order, when it was taken, and its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its place in the order.
    pub offset: Offset,
    /// When the broker took it.
    pub stamp: Stamp,
    /// The record: one line of ASCII JSON, the exact bytes.
    pub text: Box<str>,
}

impl Kept {
    /// Takes over an event of the topic of traces.
    #[must_use]
    pub fn of(event: &Event) -> Kept {
        Kept {
            offset: event.offset,
            stamp: event.stamp,
            text: event.text.clone(),
        }
    }

    /// Reads the record and hands it to `read`.
    ///
    /// # Errors
    /// When it is no record, and what `read` says.
    pub fn read<T>(&self, read: impl FnOnce(&Record<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let tape = Tape::read(self.text.as_bytes(), &RECORD_LIMITS)?;
        read(&Record::read(&tape)?)
    }
}

const fn text(name: &'static str) -> Column {
    column(name, Kind::Text)
}

const fn int(name: &'static str) -> Column {
    column(name, Kind::Int)
}

const fn float(name: &'static str) -> Column {
    column(name, Kind::Float)
}

const fn time(name: &'static str) -> Column {
    column(name, Kind::Time)
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}

const TRACES: &[Column] = &[
    text("content"),
    int("epoch"),
    int("seq"),
    time("stored_at"),
    text("agent_id_hash"),
    text("trace_id"),
    text("thought_id"),
    text("task_id"),
    time("started_at"),
    time("completed_at"),
    text("trace_level"),
    text("trace_schema_version"),
    text("agent_name"),
    text("cognitive_state"),
    text("signature_key_id"),
    text("signature"),
    text("verified"),
    text("redacted_by"),
    text("batch_timestamp"),
    text("consent_timestamp"),
    int("components"),
    column("record", Kind::Json),
];

const EVENTS: &[Column] = &[
    time("ts"),
    text("content"),
    int("component_index"),
    text("agent_id_hash"),
    text("trace_id"),
    text("thought_id"),
    text("task_id"),
    text("component_type"),
    text("event_type"),
    int("attempt_index"),
    text("step_point"),
    text("agent_name"),
    text("cognitive_state"),
    int("audit_sequence_number"),
    text("audit_entry_hash"),
    text("audit_signature"),
    text("audit_entry_id"),
    int("llm_calls"),
    int("tokens_total"),
    float("cost_usd"),
    float("carbon_grams"),
    column("data", Kind::Json),
];

const LLM_CALLS: &[Column] = &[
    time("ts"),
    text("content"),
    int("component_index"),
    text("agent_id_hash"),
    text("trace_id"),
    text("thought_id"),
    int("attempt_index"),
    int("parent_index"),
    text("parent_event_type"),
    int("parent_attempt_index"),
    text("handler_name"),
    text("service_name"),
    float("duration_ms"),
    text("status"),
    text("model"),
    text("base_url"),
    text("response_model"),
    int("prompt_tokens"),
    int("completion_tokens"),
    int("prompt_bytes"),
    int("completion_bytes"),
    float("cost_usd"),
    text("error_class"),
    int("attempt_count"),
    int("retry_count"),
    text("prompt_hash"),
    text("prompt"),
    text("response_text"),
];

impl Table {
    /// All tables.
    pub const ALL: [Table; 3] = [Table::Traces, Table::Events, Table::LlmCalls];

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Table::Traces => "traces",
            Table::Events => "trace_events",
            Table::LlmCalls => "trace_llm_calls",
        }
    }

    /// Returns its columns, in order.
    #[must_use]
    pub fn columns(self) -> &'static [Column] {
        match self {
            Table::Traces => TRACES,
            Table::Events => EVENTS,
            Table::LlmCalls => LLM_CALLS,
        }
    }

    /// Returns the rows that a trace gives: values in the order of the columns.
    ///
    /// # Errors
    /// What was taken gives rows; a record that was not is named.
    pub fn rows<'t>(
        self,
        kept: &'t Kept,
        record: &Record<'t>,
    ) -> Result<Vec<Vec<Cell<'t>>>, Fault> {
        Ok(match self {
            Table::Traces => vec![trace(kept, record)],
            Table::Events => record.event_rows()?.iter().map(event).collect(),
            Table::LlmCalls => record.llm_rows()?.iter().map(call).collect(),
        })
    }
}

fn trace<'t>(kept: &'t Kept, record: &Record<'t>) -> Vec<Cell<'t>> {
    let row = record.trace_row();
    vec![
        Cell::Text(row.content.to_string().into()),
        count(kept.offset.epoch),
        count(kept.offset.seq),
        Cell::Time(kept.stamp),
        row.agent_id_hash.into(),
        row.trace_id.into(),
        row.thought_id.into(),
        row.task_id.into(),
        Cell::Time(row.started_at.1),
        Cell::Time(row.completed_at.1),
        row.level.as_str().into(),
        row.version.as_str().into(),
        row.agent_name.into(),
        row.cognitive_state.into(),
        row.key_id.into(),
        row.signature.into(),
        row.verified.as_str().into(),
        row.redacted_by.into(),
        row.batch_timestamp.into(),
        row.consent_timestamp.into(),
        count(row.components as u64),
        Cell::Json(&kept.text),
    ]
}

fn event<'t>(row: &attest::rows::EventRow<'t>) -> Vec<Cell<'t>> {
    vec![
        Cell::Time(row.timestamp.1),
        Cell::Text(row.content.to_string().into()),
        count(row.index as u64),
        row.agent_id_hash.into(),
        row.trace_id.into(),
        row.thought_id.into(),
        row.task_id.into(),
        row.component.as_str().into(),
        row.event.as_str().into(),
        Cell::Int(row.attempt.into()),
        row.step_point.into(),
        row.agent_name.into(),
        row.cognitive_state.into(),
        row.action.audit_sequence_number.into(),
        row.action.audit_entry_hash.into(),
        row.action.audit_signature.into(),
        row.action.audit_entry_id.into(),
        row.action.llm_calls.into(),
        row.action.tokens_total.into(),
        row.action.cost_usd.into(),
        row.action.carbon_grams.into(),
        Cell::Json(row.data),
    ]
}

fn call<'t>(row: &attest::rows::LlmRow<'t>) -> Vec<Cell<'t>> {
    let call = &row.call;
    vec![
        Cell::Time(row.timestamp.1),
        Cell::Text(row.content.to_string().into()),
        count(row.index as u64),
        row.agent_id_hash.into(),
        row.trace_id.into(),
        row.thought_id.into(),
        Cell::Int(row.attempt.into()),
        row.parent_index
            .map_or(Cell::Null, |index| count(index as u64)),
        call.parent_event.as_str().into(),
        Cell::Int(call.parent_attempt.into()),
        call.handler_name.into(),
        call.service_name.into(),
        Cell::Float(call.duration_ms),
        call.status.as_str().into(),
        call.model.into(),
        call.base_url.into(),
        call.response_model.into(),
        call.prompt_tokens.into(),
        call.completion_tokens.into(),
        call.prompt_bytes.into(),
        call.completion_bytes.into(),
        call.cost_usd.into(),
        call.error_class.into(),
        call.attempt_count.into(),
        call.retry_count.into(),
        call.prompt_hash.into(),
        call.prompt.into(),
        call.response_text.into(),
    ]
}

/// Writes a row as an object; what is nothing is left out, and so is the record unless it is wanted.
pub fn write_row(out: &mut String, table: Table, row: &[Cell<'_>], with_record: bool) {
    object(out, |object| write_cells(object, table, row, with_record));
}

/// Writes a row as members of an object, as [`write_row`] does.
pub fn write_cells(object: &mut Object<'_>, table: Table, row: &[Cell<'_>], with_record: bool) {
    for (column, cell) in table.columns().iter().zip(row) {
        let name = column.name;
        match cell {
            Cell::Null => {}
            Cell::Json(_) if !with_record => {}
            cell => {
                let mut text = String::new();
                write_json(&mut text, cell);
                object.json(name, &text);
            }
        }
    }
}

/// Writes a value as JSON.
fn write_json(out: &mut String, cell: &Cell<'_>) {
    // Writing to a text does not fail.
    let _ = match cell {
        Cell::Null => write!(out, "null"),
        Cell::Text(text) => {
            write_ascii_string(text, out);
            Ok(())
        }
        Cell::Int(number) => write!(out, "{number}"),
        Cell::Float(number) => write!(out, "{number:?}"),
        Cell::Time(stamp) => write!(out, "\"{stamp}\""),
        Cell::Json(text) => write!(out, "{text}"),
    };
}

fn count(number: u64) -> Cell<'static> {
    Cell::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

impl<'t> From<&'t str> for Cell<'t> {
    fn from(text: &'t str) -> Cell<'t> {
        Cell::Text(text.into())
    }
}

impl<'t> From<Option<&'t str>> for Cell<'t> {
    fn from(text: Option<&'t str>) -> Cell<'t> {
        text.map_or(Cell::Null, Cell::from)
    }
}

impl From<Option<i64>> for Cell<'_> {
    fn from(number: Option<i64>) -> Self {
        number.map_or(Cell::Null, Cell::Int)
    }
}

impl From<Option<f64>> for Cell<'_> {
    fn from(number: Option<f64>) -> Self {
        number.map_or(Cell::Null, Cell::Float)
    }
}
