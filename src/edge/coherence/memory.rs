//! What was: signatures, the history of a source, its state at a time, and what was witnessed, out of the one order.

use std::collections::BTreeMap;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use actors::coherence::Ask;
use actors::coherence::record::{Signature, Verifier};
use actors::tail::History;
use coherence::{Reading, Sync};
use glint::json::{Object, Value, object, parse};
use glint::{Event, Name, Offset, Refusal, RefusalKind, Stamp};
use serde::Deserialize;

use super::{answered, number, place, query, unknown};
use crate::edge::desk::{Desk, Worker};
use crate::edge::history::unreadable;
use crate::edge::problem::problem;

/// Events looked at in one request.
const LOOKED_AT_MAX: usize = 200_000;
/// Events read at once.
const STRIDE: usize = 512;
/// Records of a page when nothing is said, and at most.
const PAGE: (usize, usize) = (100, 1000);
/// How far back a signature is looked for at first, in microseconds; each time nothing is found, four times as far.
const LOOK_BACK_US: i64 = 3_600_000_000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    from: Option<String>,
    to: Option<String>,
    source: Option<String>,
    limit: Option<String>,
    step: Option<String>,
    format: Option<String>,
    at: Option<String>,
    layer: Option<String>,
    since: Option<String>,
}

/// How a walk over the order ended.
struct Walked {
    /// The last event that was looked at.
    place: u64,
    /// Whether events were gone.
    gap: bool,
    /// Whether it stopped before the end.
    more: bool,
}

/// Looks at every stored event after `after` and up to `until`, until `look` has had enough.
async fn walk(
    desk: &Desk,
    after: u64,
    until: u64,
    mut look: impl FnMut(&Event) -> bool,
) -> Result<Walked, Refusal> {
    let mut walked = Walked {
        place: after,
        gap: false,
        more: false,
    };
    let mut looked_at = 0;
    loop {
        let page = match (
            desk.tail.history(walked.place, until, STRIDE),
            desk.tail.archive(),
        ) {
            (History::Archived, Some(archive)) => archive
                .page(walked.place, until, STRIDE)
                .await
                .map_err(|err| unreadable(&err))?,
            (page, _) => page,
        };
        match page {
            History::Events(events) => {
                for event in events {
                    looked_at += 1;
                    walked.place = event.offset.seq;
                    if !look(&event) || looked_at == LOOKED_AT_MAX {
                        walked.more = walked.place < until;
                        return Ok(walked);
                    }
                }
            }
            History::Gone { floor } => {
                walked.gap = true;
                walked.place = floor;
            }
            History::Head | History::Archived => return Ok(walked),
        }
    }
}

fn instant(field: &'static str, text: Option<&str>) -> Result<Option<Stamp>, Refusal> {
    text.map(|text| {
        text.parse::<Stamp>().map_err(|_| {
            let detail =
                format!("{field}={text:?} is no instant; write one such as 2026-01-01T06:00:00Z");
            Refusal::invalid("instant_malformed", detail).on(field)
        })
    })
    .transpose()
}

/// `GET /memory/signatures`: records of half-open time, `from` up to `to`.
pub(super) async fn signatures(http: HttpRequest, worker: Worker) -> HttpResponse {
    answered(page_of_signatures(&http, worker.desk()).await)
}

async fn page_of_signatures(http: &HttpRequest, desk: &Desk) -> Result<String, Refusal> {
    let asked = query::<Asked>(http)?;
    let (from, to) = (
        instant("from", asked.from.as_deref())?,
        instant("to", asked.to.as_deref())?,
    );
    let limit = number("limit", asked.limit.as_deref(), PAGE.0, PAGE.1)?.max(1);
    let after = match (place(desk, "since", asked.since.as_deref())?, from) {
        (Some(after), _) => after,
        (None, Some(from)) => desk.tail.last_before(from),
        (None, None) => desk.tail.floor().seq,
    };
    let mut items = Vec::new();
    let walked = walk(desk, after, desk.tail.head().seq, |event| {
        if to.is_some_and(|to| event.stamp >= to) {
            return false;
        }
        let wanted = event.name == Name::MemorySignature
            && from.is_none_or(|from| event.stamp >= from)
            && asked
                .source
                .as_deref()
                .is_none_or(|source| event.source.as_deref() == Some(source));
        if wanted {
            items.push(event.text.clone());
        }
        items.len() < limit
    });
    let walked = walked.await?;
    Ok(page(desk, "items", &items, &walked))
}

/// `GET /memory/verify`: checks the chain over the records that are kept.
pub(super) async fn verify(http: HttpRequest, worker: Worker) -> HttpResponse {
    answered(verified(&http, worker.desk()).await)
}

async fn verified(http: &HttpRequest, desk: &Desk) -> Result<String, Refusal> {
    let asked = query::<Asked>(http)?;
    let after =
        place(desk, "since", asked.since.as_deref())?.unwrap_or_else(|| desk.tail.floor().seq);
    let mut verifier = Verifier::default();
    let walked = walk(desk, after, desk.tail.head().seq, |event| {
        if event.name == Name::MemorySignature {
            verifier.check(event.offset.seq, &event.text);
        }
        true
    });
    let walked = walked.await?;
    let mut out = String::new();
    object(&mut out, |object| {
        object
            .flag("good", verifier.faults.is_empty())
            .count("records", verifier.records)
            .text("head", verifier.head().unwrap_or_default());
        object.array("faults", &verifier.faults, |(place, why), out| {
            glint::json::object(out, |object| {
                object.count("seq", *place).text("fault", why);
            });
        });
        ends(object, desk, &walked);
    });
    Ok(out)
}

/// `GET /witness`: what a layer has seen.
pub(super) async fn witness(http: HttpRequest, worker: Worker) -> HttpResponse {
    answered(witnessed(&http, worker.desk()).await)
}

async fn witnessed(http: &HttpRequest, desk: &Desk) -> Result<String, Refusal> {
    let asked = query::<Asked>(http)?;
    let limit = number("limit", asked.limit.as_deref(), PAGE.0, PAGE.1)?.max(1);
    let since = place(desk, "since", asked.since.as_deref())?;
    let name = match asked.layer.as_deref().unwrap_or("macro") {
        "micro" => {
            let since = since.unwrap_or(0);
            return desk.coherence.ask(Ask::Micro { since, limit }).await;
        }
        "meso" => Name::WitnessMeso,
        "macro" => Name::WitnessMacro,
        "meta" => Name::WitnessMeta,
        other => {
            return Err(unknown(
                "layer",
                other,
                ["micro", "meso", "macro", "meta"].into_iter(),
            ));
        }
    };
    let mut items = Vec::new();
    let after = since.unwrap_or_else(|| desk.tail.floor().seq);
    let walked = walk(desk, after, desk.tail.head().seq, |event| {
        if event.name == name {
            items.push(event.text.clone());
        }
        items.len() < limit
    });
    let walked = walked.await?;
    Ok(page(desk, "records", &items, &walked))
}

/// `GET /coherence/sources/{id}/history`: what signatures said over time, as JSON or CSV.
pub(super) async fn history(
    http: HttpRequest,
    worker: Worker,
    id: web::Path<String>,
) -> HttpResponse {
    match series(&http, worker.desk(), &id).await {
        Ok((answer, "csv")) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "text/csv"))
            .body(answer),
        answer => answered(answer.map(|(answer, _)| answer)),
    }
}

async fn series(
    http: &HttpRequest,
    desk: &Desk,
    source: &str,
) -> Result<(String, &'static str), Refusal> {
    let asked = query::<Asked>(http)?;
    let (from, to) = (
        instant("from", asked.from.as_deref())?,
        instant("to", asked.to.as_deref())?,
    );
    let format = match asked.format.as_deref() {
        None | Some("json") => "json",
        Some("csv") => "csv",
        Some(other) => return Err(unknown("format", other, ["json", "csv"].into_iter())),
    };
    let step = number("step", asked.step.as_deref(), 0, 604_800)? as i64 * 1_000_000;
    let after = from.map_or_else(|| desk.tail.floor().seq, |from| desk.tail.last_before(from));
    let (mut points, mut last) = (Vec::new(), None);
    let walked = walk(desk, after, desk.tail.head().seq, |event| {
        if to.is_some_and(|to| event.stamp >= to) {
            return false;
        }
        let mine = event.name == Name::MemorySignature && event.source.as_deref() == Some(source);
        if mine && last.is_none_or(|last: Stamp| event.stamp.micros_since(last) >= step) {
            last = Some(event.stamp);
            points.extend(point(event));
        }
        points.len() < PAGE.1
    });
    let walked = walked.await?;
    if format == "csv" {
        let mut out = String::from("time,coherence,evidence,mass,state\n");
        for [time, coherence, evidence, mass, state] in &points {
            out.push_str(&format!("{time},{coherence},{evidence},{mass},{state}\n"));
        }
        return Ok((out, format));
    }
    let items: Vec<String> = points
        .iter()
        .map(|[time, coherence, evidence, mass, state]| {
            let mut out = String::new();
            object(&mut out, |object| {
                object
                    .text("time", time)
                    .json("coherence", coherence)
                    .json("evidence", evidence)
                    .json("mass", mass)
                    .text("state", state);
            });
            out
        })
        .collect();
    Ok((page(desk, "items", &items, &walked), format))
}

fn point(event: &Event) -> Option<[String; 5]> {
    let value = parse(&event.text).ok()?;
    let member = |key: &str| value.get(key).map(Value::to_ascii);
    let state = value.get("state")?.as_str()?.to_owned();
    Some([
        event.stamp.to_string(),
        member("coherence")?,
        member("evidence")?,
        member("mass")?,
        state,
    ])
}

/// `GET /coherence/reconstruct`: the state of a source at a time, from the signature before it and the glints since.
pub(super) async fn reconstruct(http: HttpRequest, worker: Worker) -> HttpResponse {
    match reconstructed(&http, worker.desk()).await {
        Ok(answer) => answered(Ok(answer)),
        Err(refusal) => problem(&refusal, |_| {}),
    }
}

async fn reconstructed(http: &HttpRequest, desk: &Desk) -> Result<String, Refusal> {
    let asked = query::<Asked>(http)?;
    let source = asked
        .source
        .as_deref()
        .ok_or_else(|| Refusal::invalid("source_missing", "name the source").on("source"))?;
    let at = instant("at", asked.at.as_deref())?.unwrap_or_else(|| desk.clock.now());
    let until = desk
        .tail
        .last_before(at.plus_micros(1))
        .max(desk.tail.floor().seq);
    let signature = newest_signature(desk, source, at, until).await?;
    let Some(Signature {
        mut state,
        params,
        through,
        at: taken,
        ..
    }) = signature
    else {
        let detail = format!("there is no signature of {source:?} up to {at}");
        return Err(Refusal::new(RefusalKind::NotFound, "signature_missing", detail).on("source"));
    };
    let (mut replayed, mut promoted) = (0, 0);
    let walked = walk(desk, through, until, |event| {
        match event.name {
            Name::GlintEmission if promoted > 0 => promoted -= 1,
            Name::GlintEmission | Name::GlintQuarantined | Name::GlintDissipated
                if event.source.as_deref() == Some(source) && event.stamp <= at =>
            {
                state.observe(&params, event.stamp.0, 1.0);
                replayed += 1;
            }
            Name::WitnessMacro => promoted += actors::coherence::promoted(&event.text).len(),
            _ => {}
        }
        true
    });
    let walked = walked.await?;
    let (master, emissary) = (state.master(&params, at.0), state.emissary(&params, at.0));
    let mut out = String::with_capacity(1024);
    object(&mut out, |object| {
        object
            .text("source", source)
            .display("at", at)
            .display("signature", taken)
            .count("replayed", replayed)
            .flag("approximate", walked.gap || walked.more);
        object.object("master", |object| kernel(object, &master));
        object.object("emissary", |object| kernel(object, &emissary));
        let sync = Sync::of(master.t, emissary.t);
        object
            .number("sync_coherence", sync.coherence)
            .number("delta_vector", sync.delta_vector);
        let (events, slot, late) = state.counts();
        object
            .count("events", events)
            .count("slot_dropped", slot.into())
            .count("late_dropped", late.into());
    });
    Ok(out)
}

/// Looks for the newest signature of a source up to `at`, further back each time.
async fn newest_signature(
    desk: &Desk,
    source: &str,
    at: Stamp,
    until: u64,
) -> Result<Option<Signature>, Refusal> {
    let (mut back, mut end) = (LOOK_BACK_US, until);
    let mut found: BTreeMap<u64, Signature> = BTreeMap::new();
    let floor = desk.tail.floor().seq;
    while found.is_empty() && end > floor {
        let begin = desk
            .tail
            .last_before(at.plus_micros(-back))
            .clamp(floor, end);
        let walked = walk(desk, begin, end, |event| {
            let mine =
                event.name == Name::MemorySignature && event.source.as_deref() == Some(source);
            if mine
                && let Some(signature) =
                    Signature::of(&event.text).filter(|signature| signature.at <= at)
            {
                found.clear();
                found.insert(event.offset.seq, signature);
            }
            true
        });
        if walked.await?.more {
            let detail = format!(
                "too many events lie between {at} and a signature of {source:?}; ask for an earlier time"
            );
            return Err(
                Refusal::new(RefusalKind::TooLarge, "reconstruct_too_far", detail).on("at"),
            );
        }
        end = begin;
        back = back.saturating_mul(4);
    }
    Ok(found.pop_last().map(|(_, signature)| signature))
}

fn kernel(object: &mut Object<'_>, reading: &Reading) {
    object.json(
        "A",
        &format!("[{:?}, {:?}]", reading.vector.re, reading.vector.im),
    );
    object.json("T", &format!("[{:?}, {:?}]", reading.t.re, reading.t.im));
    object
        .number("B", reading.mass)
        .number("V", reading.power)
        .number("U", reading.squares)
        .number("coherence", reading.coherence)
        .number("evidence", reading.evidence)
        .number("cycles", reading.cycles)
        .number("debiased", reading.debiased);
}

fn page<T: AsRef<str>>(desk: &Desk, key: &str, items: &[T], walked: &Walked) -> String {
    let mut out = String::with_capacity(
        items
            .iter()
            .map(|item| item.as_ref().len() + 2)
            .sum::<usize>()
            + 128,
    );
    object(&mut out, |object| {
        object.array(key, items, |item, out| out.push_str(item.as_ref()));
        ends(object, desk, walked);
    });
    out
}

fn ends(object: &mut Object<'_>, desk: &Desk, walked: &Walked) {
    let next = Offset {
        epoch: desk.tail.epoch(),
        seq: walked.place,
    };
    object
        .display("next", next)
        .flag("more", walked.more)
        .flag("gap", walked.gap);
}
