//! Bodies with their seal as the tag, and what a condition asks for.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use registry::{Seal, render};

const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");

/// Answers with a body and its seal.
pub(super) fn sealed(seal: Seal, body: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((ETAG, format!("\"{seal}\"")))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((SURROGATE_CONTROL, "no-store"))
        .body(body)
}

/// Answers with a body that has no seal.
pub(super) fn unsealed(mut response: HttpResponseBuilder, body: String) -> HttpResponse {
    response
        .insert_header((CONTENT_TYPE, "application/json"))
        .body(body)
}

/// Answers that the client has it already.
pub(super) fn not_modified(seal: Seal) -> HttpResponse {
    HttpResponse::NotModified()
        .insert_header((ETAG, format!("\"{seal}\"")))
        .insert_header((CACHE_CONTROL, "private, max-age=0, must-revalidate"))
        .finish()
}

/// Answers with the one-member body of the existing service.
pub(super) fn detail(response: HttpResponseBuilder, detail: &str) -> HttpResponse {
    let mut body = "{\"detail\":".to_owned();
    render::text(detail, &mut body);
    body.push('}');
    unsealed(response, body)
}

/// Tells whether the client has what bears this seal: `If-None-Match` of RFC 9110, with lists, weak tags and `*`.
pub(super) fn is_known(http: &HttpRequest, seal: Seal) -> bool {
    let Some(condition) = http.headers().get(IF_NONE_MATCH) else {
        return false;
    };
    let condition = condition.to_str().unwrap_or_default();
    let mut tags = condition.split(',').map(str::trim);
    condition.trim() == "*" || {
        let own = format!("\"{seal}\"");
        tags.any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == own)
    }
}
