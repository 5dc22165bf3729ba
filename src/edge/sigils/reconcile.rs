//! `POST /sigils/reconcile`: what a client lacks and what it has beyond, without paging through everything.
//!
//! The client sends what it has in ranges of fingerprints, first in the range of all. Where that is not what is here, the
//! answer has the range cut up, or its fingerprints if they are few. In the end it asks for the URLs that it wants. All
//! of it can be pinned to the seal of the first answer.

use std::fmt::Write as _;

use actix_web::web::{self, Payload};
use actix_web::{HttpRequest, HttpResponse};
use actors::sigils::seal_of;
use glint::Refusal;
use glint::json::{self, Value};
use registry::reconcile::{Answer, Prefix, Range, read_fingerprint, show};
use registry::seal::Fingerprint;
use registry::{Seal, Snapshot, render};

use super::answer::sealed;
use crate::edge::desk::Worker;
use crate::edge::intake;
use crate::edge::problem::problem;

/// Largest body.
const BODY_MAX_BYTES: usize = 1 << 20;
/// Most ranges in one request.
const RANGES_MAX: usize = 256;
/// Most URLs that are wanted in one request.
const WANTED_MAX: usize = 2000;

/// What a client asks.
#[derive(Debug, Default)]
struct Question {
    seal: Option<String>,
    ranges: Vec<Range>,
    wanted: Vec<Fingerprint>,
}

/// Answers what a client asks.
pub(super) async fn reconcile(http: HttpRequest, payload: Payload, worker: Worker) -> HttpResponse {
    match answer(&http, payload, &worker).await {
        Ok(answer) => answer,
        Err(refusal) => problem(&refusal, |_| {}),
    }
}

async fn answer(
    http: &HttpRequest,
    payload: Payload,
    worker: &Worker,
) -> Result<HttpResponse, Refusal> {
    let body = intake::read(worker.desk(), http, payload, BODY_MAX_BYTES).await?;
    let question = Question::read(&body)?;
    let (desk, now) = (&worker.desk().sigils, worker.desk().clock.instant());
    let snapshot = match &question.seal {
        Some(seal) => desk.pins.find(seal, &desk.showcase.now(), now)?,
        None => desk.showcase.now(),
    };
    let seal = seal_of(&snapshot).await;
    desk.pins.hold(seal, &snapshot, now);
    // The first question to a list sorts it; off the worker, since that takes a while.
    let text = web::block(move || question.answer(&snapshot, seal)).await;
    let internal = |err| Refusal::new(glint::RefusalKind::Internal, "reconcile_failed", err);
    Ok(sealed(seal, text.map_err(internal)?))
}

impl Question {
    fn read(body: &[u8]) -> Result<Question, Refusal> {
        let malformed = |detail: String| Refusal::invalid("reconcile_malformed", detail);
        let value = json::parse_bytes(body)
            .map_err(|err| malformed(format!("the body is not JSON: {err}")))?;
        if value.as_object().is_none() {
            return Err(malformed(
                "send an object with ranges, wanted and seal".to_owned(),
            ));
        }
        let mut question = Question::default();
        if let Some(seal) = value.get("seal") {
            let seal = seal
                .as_str()
                .ok_or_else(|| malformed("seal is no string".to_owned()).on("seal"))?;
            question.seal = Some(seal.to_owned());
        }
        for item in items(&value, "ranges", RANGES_MAX)? {
            let range = range(item).ok_or_else(|| {
                malformed(
                    "each range is [digits, count, sum], such as [\"3f\", 12, \"00…\"]".to_owned(),
                )
                .on("ranges")
            })?;
            question.ranges.push(range);
        }
        for item in items(&value, "wanted", WANTED_MAX)? {
            let said = item.as_str().unwrap_or_default();
            let wanted = read_fingerprint(said)
                .map_err(|err| Refusal::invalid(err.code(), err).on("wanted"))?;
            question.wanted.push(wanted);
        }
        Ok(question)
    }

    fn answer(&self, snapshot: &Snapshot, seal: Seal) -> String {
        let index = snapshot.index();
        let mut out = format!(
            "{{\"status\":\"ok\",\"state_seal\":\"{seal}\",\"total\":{},\"ranges\":",
            snapshot.list().len()
        );
        let answers: Vec<Answer> = self
            .ranges
            .iter()
            .filter_map(|range| index.answer(range))
            .collect();
        let cut = answers.iter().flat_map(|answer| match answer {
            Answer::Cut(parts) => &parts[..],
            Answer::Listed(..) => &[],
        });
        render::list('[', cut, ']', &mut out, |range, out| {
            // Writing to a String never fails.
            let _ = write!(
                out,
                "[\"{}\",{},\"{}\"]",
                range.prefix,
                range.count,
                show(range.sum)
            );
        });
        out.push_str(",\"listed\":");
        let listed = answers.iter().filter_map(|answer| match answer {
            Answer::Listed(prefix, found) => Some((prefix, found)),
            Answer::Cut(_) => None,
        });
        render::list('[', listed, ']', &mut out, |(prefix, found), out| {
            let _ = write!(out, "[\"{prefix}\",");
            render::list('[', found, ']', out, |known, out| {
                let _ = write!(out, "\"{}\"", show(*known));
            });
            out.push(']');
        });
        out.push_str(",\"urls\":");
        let urls = self.wanted.iter().filter_map(|wanted| index.url(*wanted));
        render::list('[', urls, ']', &mut out, |url, out| render::text(url, out));
        out.push('}');
        out
    }
}

/// The items of a list that may be left out.
fn items<'v>(
    value: &'v Value<'v>,
    key: &'static str,
    max: usize,
) -> Result<&'v [Value<'v>], Refusal> {
    let malformed = |detail: String| Refusal::invalid("reconcile_malformed", detail).on(key);
    match value.get(key) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) if items.len() > max => Err(malformed(format!(
            "{key} has {} items, the limit is {max}; ask again for the rest",
            items.len()
        ))),
        Some(Value::Array(items)) => Ok(items),
        Some(other) => Err(malformed(format!(
            "{key} is a JSON {}; send an array",
            other.type_name()
        ))),
    }
}

fn range(item: &Value<'_>) -> Option<Range> {
    let Value::Array(parts) = item else {
        return None;
    };
    let [
        Value::String(prefix),
        Value::Number(count),
        Value::String(sum),
    ] = &parts[..]
    else {
        return None;
    };
    Some(Range {
        prefix: Prefix::read(prefix).ok()?,
        count: count.parse().ok()?,
        sum: read_fingerprint(sum).ok()?,
    })
}
