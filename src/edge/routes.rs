//! The table of addresses.

use actix_web::http::header::ALLOW;
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource, Route};

use super::{
    accord, coherence, glints, health, history, page, rituals, sigils, state, steer, streams,
    traces,
};

/// An address that is read: its path and what answers.
type Read = (&'static str, fn() -> Route);

/// Addresses that answer GET, and HEAD without the body.
const READS: [Read; 18] = [
    ("/", || web::route().to(page::index)),
    ("/assets/{name}", || web::route().to(page::asset)),
    ("/stream", || web::route().to(streams::open)),
    ("/stream/status", || web::route().to(state::status)),
    ("/stream/test", || web::route().to(state::test)),
    ("/api/spiral/state", || web::route().to(state::spiral)),
    ("/api/breath/state", || web::route().to(state::breath)),
    ("/api/glint/lineage", || web::route().to(state::lineage)),
    ("/api/glint/stats", || web::route().to(state::stats)),
    ("/api/dashboard/stream", || {
        web::route().to(state::dashboard_stream)
    }),
    ("/healthz", || web::route().to(health::alive)),
    ("/readyz", || web::route().to(health::ready)),
    ("/rituals", || web::route().to(rituals::list)),
    ("/rituals/runs", || web::route().to(rituals::runs)),
    ("/api/ritual/alerts", || web::route().to(rituals::alerts)),
    ("/api/ritual/stats", || web::route().to(rituals::stats)),
    ("/api/dashboard/overview", || {
        web::route().to(rituals::overview)
    }),
    ("/version", || web::route().to(health::version)),
];

/// Puts every address in place.
pub fn configure(config: &mut ServiceConfig) {
    // The first that fits is taken: what is asked for most stands first.
    config
        .service(resource("/stream/glint", "OPTIONS, POST").route(web::post().to(glints::legacy)));
    config.service(
        resource("/glints", "GET, HEAD, OPTIONS, POST")
            .route(web::get().to(history::page))
            .route(web::head().to(history::page))
            .route(web::post().to(glints::publish)),
    );
    accord::configure(config);
    for (path, answer) in READS {
        config.service(read(path, answer));
    }
    sigils::configure(config);
    traces::configure(config);
    steer::configure(config);
    rituals::configure(config);
    let metrics = web::get().to(health::metrics);
    config.service(resource("/metrics", "GET, OPTIONS").route(metrics));
    coherence::configure(config);
}

/// Makes an address that is read.
pub(super) fn read(path: &str, answer: fn() -> Route) -> Resource {
    let get = answer().method(Method::GET);
    let head = answer().method(Method::HEAD);
    resource(path, "GET, HEAD, OPTIONS").route(get).route(head)
}

/// Makes an address that names its methods to whoever asks, or comes with another.
pub(super) fn resource(path: &str, methods: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move |request: HttpRequest| async move {
        let status = match *request.method() {
            Method::OPTIONS => StatusCode::OK,
            _ => StatusCode::METHOD_NOT_ALLOWED,
        };
        HttpResponse::build(status)
            .insert_header((ALLOW, methods))
            .finish()
    }))
}
