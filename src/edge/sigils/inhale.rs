//! Uploads: into the shared registry, and into one that is thrown away.

use std::fmt::Write as _;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{self, Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse};
use actors::sigils::{Inhale, Inhaled, seal_of};
use glint::{Refusal, RefusalKind};
use registry::{Registry, Seal, Snapshot, render};

use super::answer::{detail, sealed, unsealed};
use super::batch::{self, Batch, Manner};
use super::desk::{Share, SigilDesk};
use super::query::{Form, Query};
use super::{exhaled, state_text};
use crate::edge::desk::Worker;
use crate::edge::intake;
use crate::edge::problem::problem;

/// Bounds of the size of a file that a client may ask for, and the default.
const FILE_MIN: usize = 1000;
const FILE_MAX: usize = 100_000_000;
const FILE_DEFAULT: &str = "10000000";
/// Larger bodies are read on another thread.
const READ_HERE_BYTES: usize = 64 * 1024;
/// Bytes of URLs up to which every answer to an upload waits for the seal: about a millisecond of work.
const SEAL_IN_TIME_BYTES: usize = 1 << 20;
/// Time after which a publisher that was turned away while draining finds another process here.
const DRAIN_RETRY_SECONDS: u32 = 5;

/// A body that was read, and what it holds in the room for bodies.
struct Upload {
    batch: Batch,
    _share: Share,
}

/// Takes an upload into the shared registry.
pub(super) async fn inhale(http: HttpRequest, payload: Payload, worker: Worker) -> HttpResponse {
    let mut form = Form::new(Query::read(http.query_string()));
    let wants_state = form.flag("include_state", true);
    let wants_urls = form.flag("include_urls", true);
    let file_max = form.whole(
        "max_bytes_per_file",
        FILE_DEFAULT,
        Some(FILE_MIN),
        Some(FILE_MAX),
    );
    if let Some(refusal) = form.refusal() {
        return refusal;
    }
    let mut upload = match receive(&http, payload, &worker, file_max.value).await {
        Ok(upload) => upload,
        Err(answer) => return answer,
    };
    let batch = &mut upload.batch;
    if batch.usable == 0 {
        return unsealed(HttpResponse::build(StatusCode::BAD_REQUEST), nothing(batch));
    }
    let desk = &worker.desk().sigils;
    let letter = Inhale {
        hits: std::mem::take(&mut batch.hits),
    };
    let weight = letter.weight_bytes();
    let inhaled = match desk
        .post
        .ask(letter, weight)
        .await
        .and_then(|inhaled| inhaled)
    {
        Ok(inhaled) => inhaled,
        Err(refusal) => return problem(&refusal, |_| {}),
    };
    answer(desk, batch, &inhaled, wants_urls, wants_state).await
}

/// Takes an upload into a registry of its own, and returns what became of it.
pub(super) async fn merge(http: HttpRequest, payload: Payload, worker: Worker) -> HttpResponse {
    let mut form = Form::new(Query::read(http.query_string()));
    let mode = form.word("mode", &["urls", "state"]);
    let file_max = form.whole(
        "max_bytes_per_file",
        FILE_DEFAULT,
        Some(FILE_MIN),
        Some(FILE_MAX),
    );
    if let Some(refusal) = form.refusal() {
        return refusal;
    }
    let upload = match receive(&http, payload, &worker, file_max.value).await {
        Ok(upload) => upload,
        Err(answer) => return answer,
    };
    if upload.batch.files == 0 {
        let body = format!("{{\"status\":\"ok\",\"mode\":\"{mode}\",\"urls\":[],\"state\":null}}");
        return unsealed(HttpResponse::Ok(), body);
    }
    let desk = &worker.desk().sigils;
    let (base, rules, quota) = (desk.base.clone(), desk.mode, desk.quota);
    let hits = upload.batch.hits;
    let merged = web::block(move || {
        let mut registry = Registry::new(base, rules);
        let delta = registry.merge(hits, &quota)?;
        registry.apply(&delta);
        Ok::<Snapshot, registry::QuotaError>(registry.snapshot())
    });
    match merged.await {
        Ok(Ok(snapshot)) => {
            let seal = seal_of(&snapshot).await;
            sealed(seal, exhaled(mode, snapshot, desk.base.clone()).await)
        }
        Ok(Err(err)) => problem(
            &Refusal::new(RefusalKind::TooLarge, err.code(), err),
            |_| {},
        ),
        Err(err) => problem(
            &Refusal::new(RefusalKind::Internal, "merge_failed", err),
            |_| {},
        ),
    }
}

/// Receives a body and reads it.
async fn receive(
    http: &HttpRequest,
    payload: Payload,
    worker: &Worker,
    file_max: usize,
) -> Result<Upload, HttpResponse> {
    let refuse = |refusal: Refusal| problem(&refusal, |_| {});
    let desk = &worker.desk().sigils;
    if worker.desk().is_draining() {
        let detail = "this broker is stopping; upload again later";
        let refusal = Refusal::new(RefusalKind::Unavailable, "draining", detail);
        return Err(refuse(refusal.retry_after(DRAIN_RETRY_SECONDS)));
    }
    let header = |name| {
        http.headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let announced = header(CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let max = desk.limits.body_bytes;
    // Who does not say how much comes may send all that is allowed.
    let share = desk
        .room
        .take(announced.unwrap_or(max).min(max))
        .map_err(refuse)?;
    let manner = Manner {
        content_type: header(CONTENT_TYPE).unwrap_or_default().to_owned(),
        json: desk.limits.json_uploads,
        file_max,
        base: desk.base.clone(),
    };
    let body = intake::read(worker.desk(), http, payload, max)
        .await
        .map_err(refuse)?;
    let batch = read(body, manner).await.map_err(refuse)?;
    let batch =
        batch.map_err(|told| detail(HttpResponse::build(StatusCode::BAD_REQUEST), &told))?;
    Ok(Upload {
        batch,
        _share: share,
    })
}

async fn read(body: Bytes, manner: Manner) -> Result<Result<Batch, String>, Refusal> {
    if body.len() <= READ_HERE_BYTES {
        return Ok(batch::read(&body, &manner));
    }
    let read = web::block(move || batch::read(&body, &manner)).await;
    read.map_err(|err| Refusal::new(RefusalKind::Internal, "upload_unread", err))
}

/// The answer to an upload of which nothing could be read.
fn nothing(batch: &Batch) -> String {
    let mut body = format!(
        "{{\"status\":\"error\",\"files_received\":{},\"crystals_total\":0,\"crystals_imported\":0,\"crystals_failed\":0,\
         \"registry_urls\":0,\"latest_pulse\":null,\"urls\":null,\"state\":null,\"errors\":",
        batch.files
    );
    let none = ["no files received; send multipart/form-data parts with a filename".to_owned()];
    let errors = if batch.files == 0 {
        &none[..]
    } else {
        &batch.notes
    };
    render::list('[', errors, ']', &mut body, |error, out| {
        render::text(error, out)
    });
    body.push('}');
    body
}

async fn answer(
    desk: &SigilDesk,
    batch: &mut Batch,
    inhaled: &Inhaled,
    urls: bool,
    state: bool,
) -> HttpResponse {
    let after = &inhaled.after;
    let total = after.list().len();
    let mut suppressed = Vec::new();
    let mut allowed = |wanted: bool, max: usize, what: &str| {
        if wanted && total > max {
            suppressed.push(format!(
                "{what} left out: {total} entries, the limit is {max}"
            ));
        }
        wanted && total <= max
    };
    let (state, urls) = (
        allowed(state, desk.limits.inline_state, "state"),
        allowed(urls, desk.limits.inline_urls, "urls"),
    );
    let seal = timely_seal(after, urls || state).await;
    let mut body = String::with_capacity(256);
    // Writing to a String never fails.
    let _ = write!(
        body,
        "{{\"status\":\"ok\",\"files_received\":{},\"crystals_total\":{},\"crystals_imported\":{},\
         \"crystals_failed\":{},\"registry_urls\":{total},\"latest_pulse\":",
        batch.files, inhaled.total, inhaled.imported, batch.failed
    );
    let _ = match after.latest_pulse() {
        Some(pulse) => write!(body, "{pulse}"),
        None => write!(body, "null"),
    };
    body.push_str(",\"urls\":");
    if urls {
        render::urls(after, 0, usize::MAX, &mut body);
    } else {
        body.push_str("null");
    }
    body.push_str(",\"state\":");
    if state {
        body.push_str(&state_text(after.clone(), desk.base.clone()).await);
    } else {
        body.push_str("null");
    }
    body.push_str(",\"errors\":");
    let errors = batch.errors.iter().chain(&batch.notes).chain(&suppressed);
    render::list('[', errors, ']', &mut body, |error, out| {
        render::text(error, out)
    });
    body.push('}');
    match seal {
        Some(seal) => sealed(seal, body),
        None => unsealed(HttpResponse::Ok(), body),
    }
}

/// The seal, if the answer has the list or the seal is there soon. An acknowledgement waits for nothing else.
async fn timely_seal(after: &Snapshot, listed: bool) -> Option<Seal> {
    if listed || after.url_bytes() <= SEAL_IN_TIME_BYTES {
        return Some(seal_of(after).await);
    }
    after.known_seal()
}
