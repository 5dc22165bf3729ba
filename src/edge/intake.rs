//! Bodies in: limited before they are held, and in time.

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use glint::{Refusal, RefusalKind};

use super::desk::Desk;

/// Reads a body of at most `max_bytes`.
///
/// # Errors
/// `body_too_large`, from the announced length or from what arrives; `body_late`; `body_broken`;
/// `encoding_unsupported`.
pub async fn read(
    desk: &Desk,
    request: &HttpRequest,
    payload: Payload,
    max_bytes: usize,
) -> Result<Bytes, Refusal> {
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    if let Some(encoding) =
        header(CONTENT_ENCODING).filter(|encoding| !encoding.eq_ignore_ascii_case("identity"))
    {
        let detail = format!("bodies with Content-Encoding {encoding} are not read; send it plain");
        return Err(
            Refusal::new(RefusalKind::Unsupported, "encoding_unsupported", detail)
                .on("Content-Encoding"),
        );
    }
    let announced = header(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > max_bytes) {
        return Err(too_large(max_bytes));
    }
    let started = desk.clock.instant();
    let patience = desk.limits.body_timeout;
    let body =
        tokio::time::timeout(patience, gather(payload, announced.unwrap_or(0), max_bytes)).await;
    let body = body.map_err(|_| {
        let detail = format!(
            "the body did not arrive within {} s; send less at once",
            patience.as_secs()
        );
        Refusal::new(RefusalKind::Late, "body_late", detail)
    })?;
    desk.accept_seconds
        .observe(desk.clock.instant().duration_since(started).as_secs_f64());
    body
}

async fn gather(
    mut payload: Payload,
    announced: usize,
    max_bytes: usize,
) -> Result<Bytes, Refusal> {
    let mut body = BytesMut::with_capacity(announced.min(64 * 1024));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk
            .map_err(|err| Refusal::invalid("body_broken", format!("the body broke off: {err}")))?;
        if body.len() + chunk.len() > max_bytes {
            return Err(too_large(max_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn too_large(max_bytes: usize) -> Refusal {
    let detail = format!("the body is longer than {max_bytes} bytes; send less at once");
    Refusal::new(RefusalKind::TooLarge, "body_too_large", detail)
}

/// Returns the media type of a body, in lower case and without parameters.
#[must_use]
pub fn media_type(request: &HttpRequest) -> String {
    let value = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// Tells whether a media type is JSON: `application/json` or `application/…+json`.
#[must_use]
pub fn is_json(media_type: &str) -> bool {
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}
