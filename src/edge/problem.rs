//! Refusals as answers: the only place that knows which status a refusal has.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use glint::json::object;
use glint::{Refusal, RefusalKind};

/// Returns the status of a refusal.
#[must_use]
pub fn status(refusal: &Refusal) -> StatusCode {
    match refusal.kind {
        RefusalKind::Invalid => StatusCode::BAD_REQUEST,
        RefusalKind::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        RefusalKind::Late => StatusCode::REQUEST_TIMEOUT,
        RefusalKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        RefusalKind::Conflict => StatusCode::UNPROCESSABLE_ENTITY,
        RefusalKind::Taken => StatusCode::CONFLICT,
        RefusalKind::Unauthorised => StatusCode::UNAUTHORIZED,
        RefusalKind::Forbidden => StatusCode::FORBIDDEN,
        RefusalKind::NotFound => StatusCode::NOT_FOUND,
        RefusalKind::Busy => StatusCode::TOO_MANY_REQUESTS,
        RefusalKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        RefusalKind::Gone => StatusCode::GONE,
        RefusalKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Answers with a problem document (RFC 9457). `more` adds members of its own.
pub fn problem(refusal: &Refusal, more: impl FnOnce(&mut glint::json::Object<'_>)) -> HttpResponse {
    let status = status(refusal);
    let mut body = String::with_capacity(256);
    object(&mut body, |object| {
        object
            .text("type", "about:blank")
            .text("title", status.canonical_reason().unwrap_or("Refused"));
        object.count("status", status.as_u16().into());
        members(object, refusal);
        more(object);
    });
    let mut response = HttpResponse::build(status);
    retry(&mut response, refusal);
    if status == StatusCode::UNAUTHORIZED {
        response.insert_header((WWW_AUTHENTICATE, "Bearer"));
    }
    response
        .insert_header((CONTENT_TYPE, "application/problem+json"))
        .body(body)
}

/// Answers with the one-member body that existing clients of the glint stream expect.
#[must_use]
pub fn compatible(refusal: &Refusal) -> HttpResponse {
    let status = status(refusal);
    let mut body = String::with_capacity(128);
    object(&mut body, |object| {
        object.text("error", &refusal.detail);
    });
    let mut response = HttpResponse::build(status);
    retry(&mut response, refusal);
    response
        .insert_header((CONTENT_TYPE, "application/json"))
        .body(body)
}

/// Writes what a refusal says as members of an object.
pub fn members(object: &mut glint::json::Object<'_>, refusal: &Refusal) {
    object
        .text("code", refusal.code)
        .text("detail", &refusal.detail);
    if let Some(field) = &refusal.field {
        object.text("field", field);
    }
    if let Some(seconds) = refusal.retry_after_seconds {
        object.count("retry_after_seconds", seconds.into());
    }
}

fn retry(response: &mut actix_web::HttpResponseBuilder, refusal: &Refusal) {
    if let Some(seconds) = refusal.retry_after_seconds {
        response.insert_header((RETRY_AFTER, seconds.to_string()));
    }
}

/// Answers with JSON that is written already.
#[must_use]
pub fn json(body: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .body(body)
}
