//! What operators and their tools look at.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actors::hub::TakeCensus;
use actors::scribe::Scribe;
use glint::json::object;
use prometheus::TextEncoder;

use super::desk::Worker;
use super::problem::json;

/// `GET /healthz`: the process answers.
pub async fn alive() -> HttpResponse {
    json(r#"{"status": "ok"}"#.to_owned())
}

/// `GET /readyz`: the process takes work. 503 while it is stopping, or when an office does not answer.
pub async fn ready(worker: Worker) -> HttpResponse {
    let desk = worker.desk();
    let fault = desk.scribe.as_ref().and_then(Scribe::fault);
    let reason = match desk.is_draining() {
        _ if fault.is_some() => Some("ledger_failed"),
        true => Some("draining"),
        false => desk
            .hub
            .ask(TakeCensus, 0)
            .await
            .err()
            .map(|refusal| refusal.code),
    };
    let mut answer = String::new();
    object(&mut answer, |object| match reason {
        None => {
            object.text("status", "ready");
        }
        Some(reason) => {
            object.text("status", "not ready").text("reason", reason);
            if let Some(fault) = &fault {
                object.text("detail", fault);
            }
        }
    });
    let mut response = match reason {
        None => HttpResponse::Ok(),
        Some(_) => HttpResponse::ServiceUnavailable(),
    };
    response
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(answer)
}

/// `GET /metrics`: the Prometheus text format.
pub async fn metrics(worker: Worker) -> HttpResponse {
    let families = worker.desk().registry.gather();
    match TextEncoder::new().encode_to_string(&families) {
        Ok(text) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, prometheus::TEXT_FORMAT))
            .body(text),
        Err(err) => {
            tracing::error!(%err, "the metrics cannot be written");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// `GET /version`: what this is.
pub async fn version() -> HttpResponse {
    let mut answer = String::new();
    object(&mut answer, |object| {
        object
            .text("name", env!("CARGO_PKG_NAME"))
            .text("version", env!("CARGO_PKG_VERSION"));
    });
    json(answer)
}
