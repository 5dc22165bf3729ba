//! The keys over HTTP: anybody may read them, administrators change them.

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use actors::accord::{ChangeKey, Changed};
use attest::ring::{Change, Enrolment, Revocation, Role};
use attest::{Code, Fault, KeyEntry, Limits, Tape};
use glint::json::object;
use glint::{Refusal, RefusalKind, Stamp};

use crate::edge::desk::Worker;
use crate::edge::problem::{self, problem};
use crate::edge::{guard, intake};

/// Largest body of a change.
const BODY_BYTES: usize = 16 * 1024;
/// Weight of a change in a mailbox.
const WEIGHT: usize = 2 * 1024;

/// Answers with all keys and how they stand.
pub(super) async fn list(worker: Worker) -> HttpResponse {
    let desk = worker.desk();
    let (ring, now) = (desk.accord.ring.read(), desk.clock.now());
    let mut body = String::with_capacity(64 + ring.len() * 320);
    object(&mut body, |object| {
        object
            .count("count", ring.len() as u64)
            .array("keys", ring.iter(), |entry, out| {
                out.push_str(&shown(entry, now));
            });
    });
    problem::json(body)
}

/// A key as it is kept, and how it stands.
fn shown(entry: &KeyEntry, now: Stamp) -> String {
    let mut text = entry.to_json();
    text.pop();
    let standing = entry.standing(now).as_str();
    text.push_str(&format!(", \"standing\": \"{standing}\"}}"));
    text
}

/// Enrols a key of an agent.
pub(super) async fn enrol(http: HttpRequest, payload: Payload, worker: Worker) -> HttpResponse {
    answer(
        &worker,
        try_enrol(&http, payload, &worker).await,
        StatusCode::CREATED,
    )
}

async fn try_enrol(
    http: &HttpRequest,
    payload: Payload,
    worker: &Worker,
) -> Result<Changed, Refusal> {
    guard::admin(http, worker.desk())?;
    let body = intake::read(worker.desk(), http, payload, BODY_BYTES).await?;
    let tape = Tape::read(&body, &Limits::default()).map_err(refusal)?;
    let entry = Enrolment::read(tape.root()).map_err(refusal)?;
    if entry.role != Role::Agent {
        let detail = "only keys of agents are enrolled; leave role out";
        return Err(Refusal::invalid("key_role", detail).on("role"));
    }
    change(worker, Change::Enrol(Box::new(entry))).await
}

/// Takes a key back.
pub(super) async fn revoke(
    http: HttpRequest,
    path: Path<String>,
    payload: Payload,
    worker: Worker,
) -> HttpResponse {
    let changed = try_revoke(&http, path.into_inner(), payload, &worker).await;
    answer(&worker, changed, StatusCode::OK)
}

async fn try_revoke(
    http: &HttpRequest,
    id: String,
    payload: Payload,
    worker: &Worker,
) -> Result<Changed, Refusal> {
    guard::admin(http, worker.desk())?;
    let body = intake::read(worker.desk(), http, payload, BODY_BYTES).await?;
    let tape = Tape::read(&body, &Limits::default()).map_err(refusal)?;
    let reason = tape.root().get("reason").and_then(|reason| reason.as_str());
    let Some(reason) =
        reason.filter(|text| !text.is_empty() && text.len() <= attest::ring::NOTE_MAX)
    else {
        let detail = r#"say why: {"reason": "…"}, at most 1024 bytes"#;
        return Err(Refusal::invalid("key_reason", detail).on("reason"));
    };
    let revocation = Revocation {
        at: Stamp::default(),
        reason: reason.to_owned(),
    };
    change(worker, Change::Revoke { id, revocation }).await
}

async fn change(worker: &Worker, change: Change) -> Result<Changed, Refusal> {
    worker
        .desk()
        .accord
        .post
        .ask(ChangeKey(change), WEIGHT)
        .await?
}

/// What is wrong with a key is a bad request; agents of the existing service know no other status.
fn refusal(fault: Fault) -> Refusal {
    let too_large = fault.code == Code::TooLarge;
    let mut refusal = actors::accord::refusal(fault);
    if !too_large {
        refusal.kind = RefusalKind::Invalid;
    }
    refusal
}

fn answer(
    worker: &Worker,
    changed: Result<Changed, Refusal>,
    status_of_new: StatusCode,
) -> HttpResponse {
    match changed {
        Ok(changed) => {
            let status = if changed.was_so {
                StatusCode::OK
            } else {
                status_of_new
            };
            let body = shown(&changed.key, worker.desk().clock.now());
            HttpResponse::build(status)
                .insert_header((CONTENT_TYPE, "application/json"))
                .body(body)
        }
        Err(refusal) => problem(&refusal, |_| {}),
    }
}
