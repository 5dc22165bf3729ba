//! A body of `POST /glints`, taken apart: one glint, an array, lines, or CloudEvents.

use actix_web::HttpRequest;
use glint::json::Value;
use glint::{Draft, Refusal, RefusalKind, draft};

use super::cloud;
use super::desk::Worker;
use super::intake::{is_json, media_type};
use super::provenance::{self, Make};

/// The glints of a body.
pub struct Batch {
    /// Each of them, or why it is not taken.
    pub items: Vec<Result<Draft, Refusal>>,
    /// Whether the sender thinks of them as a list.
    pub is_list: bool,
}

/// Takes a body apart.
///
/// # Errors
/// When the body as a whole is not good: of an unknown type, not JSON, or with too many glints.
pub fn read(http: &HttpRequest, body: &[u8], worker: &Worker) -> Result<Batch, Refusal> {
    let media_type = media_type(http);
    if cloud::is_binary(http) {
        let event = cloud::assemble(http, &media_type, body)?;
        return Ok(Batch {
            items: vec![checked(event, worker, Draft::from_cloud_event)],
            is_list: false,
        });
    }
    match media_type.as_str() {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => lines(body, worker),
        "application/cloudevents+json" => {
            let event = value(body, worker)?;
            Ok(Batch {
                items: vec![checked(event, worker, Draft::from_cloud_event)],
                is_list: false,
            })
        }
        "application/cloudevents-batch+json" => {
            list(value(body, worker)?, worker, Draft::from_cloud_event)
        }
        other if is_json(other) => match value(body, worker)? {
            array @ Value::Array(_) => list(array, worker, Draft::from_value),
            one => Ok(Batch {
                items: vec![checked(one, worker, Draft::from_value)],
                is_list: false,
            }),
        },
        other => {
            let detail = format!(
                "Content-Type {other:?} is not read here; send application/json, application/x-ndjson or application/cloudevents+json"
            );
            Err(
                Refusal::new(RefusalKind::Unsupported, "media_type_unsupported", detail)
                    .on("Content-Type"),
            )
        }
    }
}

fn value<'b>(body: &'b [u8], worker: &Worker) -> Result<Value<'b>, Refusal> {
    draft::read_json(body, worker.desk().limits.batch_bytes)
}

/// Makes a draft that keeps to the size of one glint.
fn checked(value: Value<'_>, worker: &Worker, make: Make) -> Result<Draft, Refusal> {
    let draft = provenance::draft(value, worker, make)?;
    worker.desk().limits.check(draft)
}

fn list(value: Value<'_>, worker: &Worker, make: Make) -> Result<Batch, Refusal> {
    let Value::Array(values) = value else {
        let detail = format!(
            "a batch is a JSON array; this is a JSON {}",
            value.type_name()
        );
        return Err(Refusal::invalid("batch_not_array", detail));
    };
    check_count(values.len(), worker)?;
    let items = values
        .into_iter()
        .map(|value| checked(value, worker, make))
        .collect();
    Ok(Batch {
        items,
        is_list: true,
    })
}

/// Reads one glint a line; blank lines count for nothing.
fn lines(body: &[u8], worker: &Worker) -> Result<Batch, Refusal> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let lines: Vec<&[u8]> = body
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .collect();
    check_count(lines.len(), worker)?;
    let items = lines.into_iter().map(|line| worker.draft(line)).collect();
    Ok(Batch {
        items,
        is_list: true,
    })
}

fn check_count(count: usize, worker: &Worker) -> Result<(), Refusal> {
    let max = worker.desk().limits.batch_glints;
    if count == 0 {
        return Err(Refusal::invalid(
            "batch_empty",
            "the batch has no glints; send at least one",
        ));
    }
    if count > max {
        let detail = format!("the batch has {count} glints, the limit is {max}; send it in parts");
        return Err(Refusal::new(
            RefusalKind::TooLarge,
            "batch_too_long",
            detail,
        ));
    }
    Ok(())
}
