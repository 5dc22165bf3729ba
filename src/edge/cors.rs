//! Cross-origin rules, as existing dashboards rely on them: everybody may read and post, with no credentials.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest};

use super::sigils;

const METHODS: HeaderValue =
    HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");

/// Adds the headers to every answer, refusals included.
///
/// # Errors
/// Those of the handler.
pub async fn allow(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut response = next.call(request).await?;
    let (request, headers) = (response.request().clone(), response.headers_mut());
    apply(&request, headers);
    Ok(response)
}

fn apply(request: &HttpRequest, headers: &mut HeaderMap) {
    if sigils::cors::is_ours(request.path()) {
        return sigils::cors::apply(request, headers);
    }
    // A stream says the star itself, whatever the origin.
    if headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        return;
    }
    let Some(origin) = request.headers().get(header::ORIGIN) else {
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        );
        return;
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if !request
        .headers()
        .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        return;
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    if let Some(asked) = asked_headers(request) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked);
    }
}

/// The headers that a preflight asks for, in lower case; names only, so that nothing else is echoed.
fn asked_headers(request: &HttpRequest) -> Option<HeaderValue> {
    let asked = request
        .headers()
        .get(header::ACCESS_CONTROL_REQUEST_HEADERS)?
        .to_str()
        .ok()?;
    let names: Vec<String> = asked
        .split(',')
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .map(|name| name.to_string())
        .collect();
    HeaderValue::from_str(&names.join(", ")).ok()
}
