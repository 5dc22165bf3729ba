//! The sigil registry over HTTP: the addresses that existing clients poll and upload to, and what is new beside them.
//!
//! Bodies are compact JSON, with the members and headers of the existing service in its order.
//!
//! Layout:
//! - [`desk`]: what the handlers share.
//! - `answer`: bodies with their seal as the tag, and what a condition asks for.
//! - `query`: parameters, and what is said about bad ones.
//! - `cors`: cross-origin rules.
//! - `parts`: multipart bodies.
//! - `batch`: from a body to hits.
//! - `inhale`: uploads.
//! - `reconcile`: what a client lacks, in as many bytes as that is.
//! - `pins`: lists that stay while somebody pages through them.

mod answer;
mod batch;
pub mod cors;
pub mod desk;
mod inhale;
mod parts;
mod pins;
mod query;
mod reconcile;

use actix_web::http::header::{ALLOW, HOST, LOCATION};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Route};
use actors::shard::{Request, Seat};
use actors::sigils::seal_of;
use glint::Topic;
use registry::{Snapshot, render};
use wire::Control;

use self::answer::{is_known, not_modified, sealed};
use self::query::{Form, Query};
use super::desk::Worker;
use super::problem::problem;

/// Entries of a page if the client does not say how many.
const PAGE_DEFAULT: &str = "10000";
/// Most entries of a page.
const PAGE_MAX: usize = 200_000;

type Address = (&'static str, &'static str, fn() -> Route);

/// The addresses, their methods, and what answers.
const ADDRESSES: [Address; 7] = [
    ("seal", "GET, HEAD", || web::route().to(seal)),
    ("urls", "GET, HEAD", || web::route().to(urls)),
    ("state", "GET, HEAD", || web::route().to(state)),
    ("exhale", "GET, HEAD", || web::route().to(exhale)),
    ("inhale", "POST", || web::route().to(inhale::inhale)),
    ("merge", "POST", || web::route().to(inhale::merge)),
    ("reconcile", "POST", || {
        web::route().to(reconcile::reconcile)
    }),
];

/// Puts the addresses in place.
pub fn configure(config: &mut ServiceConfig) {
    for (name, methods, answer) in ADDRESSES {
        let mut resource = web::resource(format!("/sigils/{name}"));
        for method in [Method::GET, Method::HEAD, Method::POST] {
            if methods.split(", ").any(|known| known == method.as_str()) {
                resource = resource.route(answer().method(method));
            }
        }
        let other = move |request: HttpRequest| async move { not_allowed(&request, methods) };
        config.service(resource.default_service(web::to(other)));
        config.service(web::resource(format!("/sigils/{name}/")).to(without_slash));
    }
    config.service(web::resource("/sigils{tail:.*}").to(unknown));
}

fn not_allowed(request: &HttpRequest, methods: &'static str) -> HttpResponse {
    cors::preflight(request).unwrap_or_else(|| {
        let mut response = HttpResponse::build(StatusCode::METHOD_NOT_ALLOWED);
        response.insert_header((ALLOW, methods));
        answer::detail(response, "Method Not Allowed")
    })
}

async fn unknown(request: HttpRequest) -> HttpResponse {
    cors::preflight(&request)
        .unwrap_or_else(|| answer::detail(HttpResponse::build(StatusCode::NOT_FOUND), "Not Found"))
}

/// Sends a client that wrote a slash at the end to the address without it.
async fn without_slash(request: HttpRequest) -> HttpResponse {
    if let Some(answer) = cors::preflight(&request) {
        return answer;
    }
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let path = request.path().trim_end_matches('/');
    let query = request
        .uri()
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    HttpResponse::TemporaryRedirect()
        .insert_header((LOCATION, format!("http://{host}{path}{query}")))
        .finish()
}

async fn seal(http: HttpRequest, worker: Worker) -> HttpResponse {
    let seal = seal_of(&worker.desk().sigils.showcase.now()).await;
    if is_known(&http, seal) {
        return not_modified(seal);
    }
    sealed(seal, format!("{{\"seal\":\"{seal}\"}}"))
}

async fn urls(http: HttpRequest, worker: Worker) -> HttpResponse {
    let desk = &worker.desk().sigils;
    let mut form = Form::new(Query::read(http.query_string()));
    let offset = form.whole("offset", "0", Some(0), None);
    let limit = form.whole("limit", PAGE_DEFAULT, Some(1), Some(PAGE_MAX));
    let wanted = form.query().last("seal").map(ToOwned::to_owned);
    if let Some(refusal) = form.refusal() {
        return refusal;
    }
    let snapshot = match wanted {
        None => desk.showcase.now(),
        Some(wanted) => {
            match desk
                .pins
                .find(&wanted, &desk.showcase.now(), worker.desk().clock.instant())
            {
                Ok(snapshot) => snapshot,
                Err(refusal) => return problem(&refusal, |_| {}),
            }
        }
    };
    let seal = seal_of(&snapshot).await;
    desk.pins
        .hold(seal, &snapshot, worker.desk().clock.instant());
    if offset.value == 0 && is_known(&http, seal) {
        return not_modified(seal);
    }
    let total = snapshot.list().len();
    let (offset, limit) = (&offset, &limit);
    let mut body = format!(
        "{{\"status\":\"ok\",\"state_seal\":\"{seal}\",\"total\":{total},\"offset\":{offset},\"limit\":{limit},\"urls\":"
    );
    let page = limit.value.min(total.saturating_sub(offset.value));
    body.reserve(page * (snapshot.url_bytes() / total.max(1) + 4) + 64);
    render::urls(&snapshot, offset.value, limit.value, &mut body);
    body.push_str(&format!(",\"seal\":\"{seal}\"}}"));
    sealed(seal, body)
}

async fn state(http: HttpRequest, worker: Worker) -> HttpResponse {
    let desk = &worker.desk().sigils;
    let snapshot = desk.showcase.now();
    let seal = seal_of(&snapshot).await;
    if is_known(&http, seal) {
        return not_modified(seal);
    }
    sealed(seal, state_text(snapshot, desk.base.clone()).await)
}

async fn exhale(http: HttpRequest, worker: Worker) -> HttpResponse {
    let desk = &worker.desk().sigils;
    let mut form = Form::new(Query::read(http.query_string()));
    let mode = form.word("mode", &["urls", "state"]);
    if let Some(refusal) = form.refusal() {
        return refusal;
    }
    let snapshot = desk.showcase.now();
    let seal = seal_of(&snapshot).await;
    if is_known(&http, seal) {
        return not_modified(seal);
    }
    sealed(seal, exhaled(mode, snapshot, desk.base.clone()).await)
}

/// Writes the whole registry in the way of `/sigils/exhale`.
async fn exhaled(mode: &'static str, snapshot: Snapshot, base: registry::Base) -> String {
    let (urls, state) = match mode {
        "state" => ("null".to_owned(), state_text(snapshot, base).await),
        _ => (urls_text(&snapshot), "null".to_owned()),
    };
    format!("{{\"status\":\"ok\",\"mode\":\"{mode}\",\"urls\":{urls},\"state\":{state}}}")
}

fn urls_text(snapshot: &Snapshot) -> String {
    let mut text = String::with_capacity(snapshot.url_bytes() + 4 * snapshot.list().len() + 2);
    render::urls(snapshot, 0, usize::MAX, &mut text);
    text
}

/// Writes the whole state on another thread: it reads every payload again.
async fn state_text(snapshot: Snapshot, base: registry::Base) -> String {
    let write = move || {
        let mut text = String::with_capacity(snapshot.url_bytes() * 4);
        render::state(&snapshot, &base, &mut text);
        text
    };
    web::block(write)
        .await
        .unwrap_or_else(|_| "null".to_owned())
}

/// Tells a subscriber that asked for seals by name where the registry stands. Who asked for nothing in particular hears
/// of changes alone: clients that were there before do not expect a second greeting.
///
/// It is said on the worker's own thread after the stream was opened, so that no change falls between the two.
pub(super) fn tell_standing(http: &HttpRequest, worker: &Worker, request: &Request, seat: &Seat) {
    let asked = Query::read(http.query_string()).last("topics").is_some();
    // Who asked for changes of a document has been shown the document.
    if !asked || request.patched || !request.view.topics().any(|topic| topic == Topic::Seals) {
        return;
    }
    let board = worker.desk().sigils.board.read();
    seat.line().say(&Control::Snapshot {
        name: "seal_snapshot",
        topic: Topic::Seals,
        stamp: worker.desk().clock.now(),
        data: &board,
    });
}
