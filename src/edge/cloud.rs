//! CloudEvents 1.0 in the binary content mode of its HTTP binding: attributes as `ce-` headers, data as the body.
//!
//! What comes of it is the same event in the structured mode, so that subscribers see one shape.

use std::borrow::Cow;

use actix_web::HttpRequest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use glint::json::{self, Value};
use glint::{Refusal, draft};

use super::intake::is_json;

const PREFIX: &str = "ce-";

/// Tells whether a request carries a CloudEvent in its headers.
#[must_use]
pub fn is_binary(http: &HttpRequest) -> bool {
    http.headers().contains_key("ce-specversion")
}

/// Puts headers and body together.
///
/// # Errors
/// When a header is not text, or JSON data is not JSON.
pub fn assemble<'b>(
    http: &HttpRequest,
    media_type: &str,
    body: &'b [u8],
) -> Result<Value<'b>, Refusal> {
    let mut members: Vec<json::Member<'b>> = Vec::new();
    for (name, value) in http.headers() {
        let Some(attribute) = name.as_str().strip_prefix(PREFIX) else {
            continue;
        };
        let text = value.to_str().ok().and_then(percent_decoded);
        let Some(text) = text else {
            let detail = format!("header {name} is not percent-encoded text");
            return Err(Refusal::invalid("cloud_event_malformed", detail).on(name.as_str()));
        };
        members.push((
            Cow::Owned(attribute.to_owned()),
            Value::String(Cow::Owned(text)),
        ));
    }
    if !media_type.is_empty() {
        let value = Value::String(Cow::Owned(media_type.to_owned()));
        members.push((Cow::Borrowed("datacontenttype"), value));
    }
    if body.is_empty() {
        return Ok(Value::Object(members));
    }
    let (key, data) = match std::str::from_utf8(body) {
        _ if is_json(media_type) || media_type.is_empty() => {
            ("data", draft::read_json(body, body.len())?)
        }
        Ok(text) if media_type.starts_with("text/") => ("data", Value::String(Cow::Borrowed(text))),
        _ => (
            "data_base64",
            Value::String(Cow::Owned(STANDARD.encode(body))),
        ),
    };
    members.push((Cow::Borrowed(key), data));
    Ok(Value::Object(members))
}

/// Undoes percent-encoding (CloudEvents HTTP binding 1.0, section 3.1.3.2); `None` if what comes out is not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = code
            .filter(|_| byte == b'%')
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(code.unwrap_or(byte));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn event(media_type: &str, body: &'static [u8]) -> String {
        let http = TestRequest::default()
            .insert_header(("ce-specversion", "1.0"))
            .insert_header(("ce-id", "a%20b%E2%98%8D"))
            .to_http_request();
        let value = assemble(&http, media_type, body).expect("an event");
        value
            .at(&["id"])
            .and_then(Value::as_str)
            .map(|id| assert_eq!(id, "a b☍"))
            .expect("an id");
        let data = ["data", "data_base64"]
            .iter()
            .find_map(|key| value.get(key).map(|data| (key, data.to_ascii())));
        format!("{data:?}")
    }

    #[test]
    fn data_keeps_its_kind() {
        assert_eq!(
            event("application/json", b"{\"a\":1}"),
            r#"Some(("data", "{\"a\": 1}"))"#
        );
        assert_eq!(event("text/plain", b"hi"), r#"Some(("data", "\"hi\""))"#);
        assert_eq!(
            event("image/png", b"\x89PNG"),
            r#"Some(("data_base64", "\"iVBORw==\""))"#
        );
        assert_eq!(event("application/json", b""), "None");
    }
}
