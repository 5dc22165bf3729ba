//! Kept traces as tables: the same rows in every form, from a running broker and from its store; and a trace that was
//! changed in the store is found.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::fs;
use std::process::{Command, Output};

use glint::json::Value;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use support::signed::Agent;
use support::traces::{Dir, EVENTS, KEYS, admin};
use support::{Broker, count_at, eventually, parse, text_at};

/// Components of a trace; two of them are calls to a model.
const COMPONENTS: usize = 14;
const CALLS: usize = 2;
const TRACES: [&str; 3] = ["t-one", "t-two", "t-three"];

fn glintcast(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_glintcast"))
        .args(args)
        .output()
        .expect("the program runs")
}

/// Runs an export that must go well.
fn export(source: &[&str], more: &[&str]) -> String {
    let output = glintcast(&[&["traces", "export"], source, more].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("text")
}

fn lines(text: &str) -> Vec<Value<'static>> {
    text.lines().map(parse).collect()
}

/// A broker with a store that has all traces, and what was signed in them.
fn filled(dir: &Dir) -> Broker {
    let broker = dir.broker(&[]);
    let agent = Agent::new(7);
    let enrolled = admin(&broker, KEYS, &agent.enrolment());
    assert_eq!(enrolled.status(), 201, "{}", enrolled.text());
    for trace in TRACES {
        let answer = broker.post(EVENTS, "application/json", agent.batch(trace, COMPONENTS));
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    eventually("the store has caught up", || {
        let kept = broker.get("/api/v1/traces?limit=10").json();
        matches!(kept.get("items"), Some(Value::Array(items)) if items.len() == TRACES.len())
    });
    broker
}

#[test]
fn a_broker_and_its_store_export_the_same_rows() {
    let dir = Dir::new("traces-export");
    let broker = filled(&dir);
    let url = broker.url();
    let tables = ["traces", "events", "llm-calls"];
    let asked = tables.map(|rows| export(&["--at", &url], &["--rows", rows]));
    drop(broker);
    let read = tables.map(|rows| export(&[dir.text()], &["--rows", rows]));
    assert_eq!(asked, read);

    let traces = lines(&read[0]);
    let ids: Vec<&str> = traces
        .iter()
        .map(|row| text_at(row, &["trace_id"]))
        .collect();
    assert_eq!(ids, TRACES);
    for row in &traces {
        assert_eq!(count_at(row, &["components"]), COMPONENTS as u64);
        assert_eq!(text_at(row, &["verified"]), "agent");
    }
    let events = lines(&read[1]);
    assert_eq!(events.len(), TRACES.len() * COMPONENTS);
    let placed: Vec<u64> = events
        .iter()
        .map(|row| count_at(row, &["component_index"]))
        .collect();
    let expected: Vec<u64> = (0..TRACES.len())
        .flat_map(|_| 0..COMPONENTS as u64)
        .collect();
    assert_eq!(placed, expected);
    let calls = lines(&read[2]);
    assert_eq!(calls.len(), TRACES.len() * CALLS);
    for row in &calls {
        assert_eq!(text_at(row, &["model"]), "m-1");
        assert_eq!(count_at(row, &["prompt_tokens"]), 11);
    }

    let none = export(&[dir.text()], &["--agent", "0000000000000000"]);
    assert_eq!(none, "");
    let none = export(&[dir.text()], &["--to", "2001-01-01T00:00:00Z"]);
    assert_eq!(none, "");
    let all = export(
        &[dir.text()],
        &["--from", "2001-01-01T00:00:00Z", "--key", "key-7"],
    );
    assert_eq!(all, read[0]);
}

#[test]
fn all_forms_hold_the_same_values() {
    let dir = Dir::new("traces-forms");
    drop(filled(&dir));
    for rows in ["traces", "events", "llm-calls"] {
        let expected = lines(&export(&[dir.text()], &["--rows", rows]));
        let text = export(&[dir.text()], &["--rows", rows, "--format", "csv"]);
        let mut csv = csv::Reader::from_reader(text.as_bytes());
        let names = csv.headers().expect("a first line").clone();
        let records: Vec<csv::StringRecord> =
            csv.records().map(|row| row.expect("a row")).collect();
        assert_eq!(records.len(), expected.len());
        for (record, row) in records.iter().zip(&expected) {
            for (name, field) in names.iter().zip(record) {
                match row.get(name) {
                    Some(there) => {
                        assert_eq!(plain_of(field, there), plain(there), "{rows}.{name}")
                    }
                    None => assert_eq!(field, "", "{rows}.{name}"),
                }
            }
        }
        same_in_parquet(&dir, rows, &expected);
    }
}

/// A value as it is in a field: texts bare, everything else as JSON has it.
fn plain(value: &Value<'_>) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_ascii(), str::to_owned)
}

/// A field spaced as [`plain`] spaces what is there.
fn plain_of(field: &str, there: &Value<'_>) -> String {
    match there {
        Value::Object(_) | Value::Array(_) => parse(field).to_ascii(),
        _ => field.to_owned(),
    }
}

#[cfg(not(feature = "parquet"))]
fn same_in_parquet(_: &Dir, _: &str, _: &[Value<'_>]) {}

#[cfg(feature = "parquet")]
fn same_in_parquet(dir: &Dir, rows: &str, expected: &[Value<'_>]) {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::Field;

    let path = dir.0.join(format!("{rows}.parquet"));
    let out = path.to_str().expect("UTF-8");
    let more = ["--rows", rows, "--format", "parquet", "--out", out];
    assert_eq!(export(&[dir.text()], &more), "");
    let reader =
        SerializedFileReader::new(fs::File::open(&path).expect("a file")).expect("Parquet");
    let found: Vec<_> = reader
        .get_row_iter(None)
        .expect("rows")
        .map(|row| row.expect("a row"))
        .collect();
    assert_eq!(found.len(), expected.len());
    for (row, expected) in found.iter().zip(expected) {
        for (name, field) in row.get_column_iter() {
            let there = expected.get(name);
            match field {
                Field::Null => assert!(there.is_none(), "{rows}.{name}"),
                Field::Str(text) => {
                    let there = there.expect(name);
                    assert_eq!(plain_of(text, there), plain(there), "{name}");
                }
                Field::Long(number) => assert_eq!(number.to_string(), plain(there.expect(name))),
                Field::Double(number) => {
                    let lexeme = plain(there.expect(name));
                    assert_eq!(lexeme.parse(), Ok(*number), "{name}");
                }
                Field::TimestampMicros(micros) => {
                    assert_eq!(glint::Stamp(*micros).to_string(), plain(there.expect(name)));
                }
                other => panic!("{rows}.{name}: {other:?}"),
            }
        }
    }
}

/// Place, epoch, stamp and record of a trace, as the store has them.
type Row = (u64, u64, i64, &'static str);
const STORE: TableDefinition<'_, u64, Row> = TableDefinition::new("traces");

#[test]
fn a_trace_that_was_changed_in_the_store_cannot_be_proven() {
    let dir = Dir::new("traces-forged");
    drop(filled(&dir));
    let good = glintcast(&["traces", "verify", dir.text()]);
    let said = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(
        good.status.success() && said.contains("signed   3"),
        "{said}"
    );

    let database = Database::open(dir.0.join("traces.redb")).expect("the store");
    let reading = database.begin_read().expect("reading");
    let table = reading.open_table(STORE).expect("the table");
    let (key, row) = table.last().expect("read").expect("a trace");
    let (key, (epoch, seq, stamp, text)) = (key.value(), row.value());
    let forged = text.replacen("several steps", "seventy steps", 1);
    assert_ne!(forged, text);
    let writing = database.begin_write().expect("writing");
    let mut table = writing.open_table(STORE).expect("the table");
    table
        .insert(key, (epoch, seq, stamp, forged.as_str()))
        .expect("written");
    drop(table);
    writing.commit().expect("kept");
    drop((row, reading, database));

    let bad = glintcast(&["traces", "verify", dir.text()]);
    let said = String::from_utf8_lossy(&bad.stdout).into_owned();
    assert_eq!(bad.status.code(), Some(1), "{said}");
    assert!(said.contains("1 trace cannot be proven"), "{said}");
    let offset = format!("the trace at {epoch}-{seq}");
    assert!(said.contains(&offset), "{said}");
    // The log has the trace as it was signed.
    support::traces::verified(&dir);
}
