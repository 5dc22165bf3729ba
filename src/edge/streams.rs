//! `GET /stream`: one address, negotiated.

use std::rc::Rc;

use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE,
    HeaderName,
};
use actix_web::http::{Method, Version};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use actors::shard::{self, From, Request, Seat};
use glint::{Offset, Refusal, RefusalKind};
use wire::{Control, Form, Hello};

use super::body::StreamBody;
use super::desk::{Desk, Worker};
use super::problem::problem;
use super::transport::Berth;
use super::{history, negotiate, sigils, socket};

/// Tells nginx not to hold events back.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Opens a stream.
pub async fn open(http: HttpRequest, payload: Payload, worker: Worker) -> HttpResponse {
    let mut request = match negotiate::request(&http) {
        Ok(request) => request,
        Err(refusal) => return problem(&refusal, |_| {}),
    };
    let form = request.form;
    if http.method() == Method::HEAD {
        return head(form).finish();
    }
    let tail = &worker.desk().tail;
    request.from = match shard::settle(request.from, &request.view, tail).await {
        Ok(from) => from,
        Err(err) => return problem(&history::unreadable(&err), |_| {}),
    };
    let berth = berth(&http, &worker);
    let shard = worker.shard();
    // Other than a WebSocket, a stream on HTTP/1.1 comes in chunks, whoever writes them.
    let seat = match berth.is_some() && !form.is_websocket() {
        true => shard.attach_in_chunks(request.clone()),
        false => shard.attach(request.clone()),
    };
    if let Ok(seat) = &seat {
        sigils::tell_standing(&http, &worker, &request, seat);
    }
    match (seat, form.is_websocket()) {
        (Ok(seat), true) => socket::open(&http, payload, worker, seat, form, berth),
        (Ok(seat), false) => stream(&http, form, seat, berth),
        (Err(refusal), _) if refusal.kind == RefusalKind::Invalid => problem(&refusal, |_| {}),
        (Err(refusal), _) => refuse(&worker, &request, &refusal).await,
    }
}

fn stream(http: &HttpRequest, form: Form, seat: Seat, berth: Option<Rc<Berth>>) -> HttpResponse {
    let Some(berth) = berth else {
        let mut response = head(form).body(StreamBody::new(seat));
        // Its end is the end of the connection.
        response
            .head_mut()
            .no_chunking(http.version() < Version::HTTP_11);
        return response;
    };
    head(form).body(berth.claim(seat, None))
}

/// Returns the berth of a connection whose socket a stream may have: HTTP/1.0 knows no chunks.
fn berth(http: &HttpRequest, worker: &Worker) -> Option<Rc<Berth>> {
    let may = worker.desk().limits.hand_off && http.version() == Version::HTTP_11;
    may.then(|| http.conn_data::<Rc<Berth>>().cloned())
        .flatten()
}

fn head(form: Form) -> HttpResponseBuilder {
    let media_type = match form {
        Form::Ndjson => "application/x-ndjson",
        _ => "text/event-stream; charset=utf-8",
    };
    let mut head = HttpResponse::Ok();
    head.insert_header((CONTENT_TYPE, media_type))
        .insert_header((CACHE_CONTROL, "no-cache, no-transform"))
        .insert_header((X_ACCEL_BUFFERING, "no"))
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, "Cache-Control"))
        // The connection serves this stream until one of its ends goes; nothing can follow on it.
        .force_close();
    head
}

/// Refuses a stream, after a while: some clients come back the moment they are refused, for ever.
///
/// An `EventSource` that is answered with an error gives up for good. So it gets a stream that says why it ends and when
/// to come back.
async fn refuse(worker: &Worker, request: &Request, refusal: &Refusal) -> HttpResponse {
    let desk = worker.desk();
    tokio::time::sleep(desk.limits.refusal_delay).await;
    if request.form.is_websocket() || request.form == Form::Ndjson {
        return problem(refusal, |_| {});
    }
    let retry_ms = refusal
        .retry_after_seconds
        .unwrap_or(1)
        .saturating_mul(1000);
    let (stamp, seen) = (desk.clock.now(), desk.state.read());
    let hello = Hello {
        state: seen.state,
        stamp,
        cursor: place(request.from, desk),
        keepalive_ms: 0,
        retry_ms,
        recovered: false,
        streams: &[],
    };
    let farewell = Control::Farewell {
        reason: refusal.code,
        retry_ms,
        close_code: 0,
        stamp,
    };
    let (mut bytes, mut seq) = (Vec::new(), 0);
    for control in [Control::Hello(&hello), farewell] {
        control.push(request.form, desk.zone, &mut seq, &mut bytes);
    }
    head(request.form).body(bytes)
}

/// Where a client that was refused is to begin when it comes back: it sends what the greeting said, whatever it asked for
/// first. Nothing before that place may be lost to it.
fn place(from: From, desk: &Desk) -> Offset {
    match from {
        From::Now => desk.tail.head(),
        From::After(cursor) => cursor,
        From::Earliest | From::Last(_) | From::Since(_) => desk.tail.floor(),
    }
}
