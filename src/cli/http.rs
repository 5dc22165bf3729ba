//! The way to a broker over HTTP.

use std::io::{ErrorKind, Read};
use std::str::FromStr;
use std::time::Duration;

use glint::json;
use ureq::http::{StatusCode, Uri};
use ureq::{Agent, Body, Error, http};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A broker may hold a refusal for twenty seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// What a refusal has to say fits into this.
const REASON_LIMIT_BYTES: u64 = 64 * 1024;
const REASON_SHOWN_CHARS: usize = 300;

/// The address of a broker, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base(String);

impl FromStr for Base {
    type Err = String;

    fn from_str(text: &str) -> Result<Base, String> {
        let example = "write for example http://127.0.0.1:5056";
        if text.starts_with("https:") {
            return Err(
                "this program speaks http only; name the broker itself, or a proxy on \
                        this machine that adds the encryption"
                    .to_owned(),
            );
        }
        if !text.starts_with("http://") {
            return Err(format!("does not begin with http://; {example}"));
        }
        let uri: Uri = text.parse().map_err(|err| format!("{err}; {example}"))?;
        if uri.host().is_none_or(str::is_empty) || uri.query().is_some() {
            return Err(format!("not the address of a broker; {example}"));
        }
        Ok(Base(text.trim_end_matches('/').to_owned()))
    }
}

impl Base {
    /// The address of something at the broker.
    pub(super) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Says in plain words why the broker could not be reached, and what to do.
    pub(super) fn explain(&self, err: &Error) -> String {
        let base = &self.0;
        match err {
            Error::Io(err) if err.kind() == ErrorKind::ConnectionRefused => format!(
                "nobody listens at {base}; start a broker with `glintcast serve`, or name another address"
            ),
            Error::HostNotFound => format!("the host of {base} is not known; check the address"),
            Error::Timeout(_) => format!("{base} does not answer in time; check the address"),
            Error::Io(err) => format!("connection to {base} broke: {err}"),
            _ => format!("{base}: {err}"),
        }
    }
}

/// Whether nobody listened at all, so that nothing of a request can have arrived.
pub(super) fn is_refused(err: &Error) -> bool {
    matches!(err, Error::Io(err) if err.kind() == ErrorKind::ConnectionRefused)
}

/// Makes a client. Statuses are answers and not errors, proxies and redirects are not followed.
pub(super) fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(ANSWER_TIMEOUT))
        .user_agent(concat!("glintcast/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

/// The seconds of `Retry-After`, if the answer has them, at most `longest`.
pub(super) fn retry_after(answer: &http::Response<Body>, longest: Duration) -> Option<Duration> {
    let header = answer.headers().get("retry-after")?.to_str().ok()?;
    let seconds = header.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(longest))
}

/// Tells whether a refusal passes by itself, so that the same may be asked again.
pub(super) fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// What a refusal says: status, code and detail, as far as it has them.
pub(super) fn reason(answer: http::Response<Body>) -> String {
    let status = answer.status();
    let mut body = Vec::new();
    let reader = answer.into_body().into_reader();
    // A body that breaks off says what it says.
    let _ = reader.take(REASON_LIMIT_BYTES).read_to_end(&mut body);
    let text = String::from_utf8_lossy(&body);
    let said = match json::parse(&text) {
        Ok(value) => {
            let detail = ["detail", "error", "title"]
                .into_iter()
                .find_map(|key| value.get(key).and_then(json::Value::as_str));
            detail.map(str::to_owned)
        }
        Err(_) => None,
    };
    let said = said.unwrap_or_else(|| text.lines().next().unwrap_or_default().to_owned());
    if said.is_empty() {
        return format!("the broker answered {status}");
    }
    format!(
        "the broker answered {status}: {}",
        plain(&said, REASON_SHOWN_CHARS)
    )
}

/// Text from elsewhere made safe for a terminal: one line, no control characters, at most `limit` characters.
pub(super) fn plain(text: &str, limit: usize) -> String {
    let harmless = |character: char| match character {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        // Marks that turn the direction of writing make text look like something else.
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => '\u{FFFD}',
        _ if character.is_control() => '\u{FFFD}',
        _ => character,
    };
    let mut shown: String = text.chars().take(limit).map(harmless).collect();
    if text.chars().nth(limit).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_plain_http_one() {
        let base: Base = "http://127.0.0.1:5056/".parse().unwrap();
        assert_eq!(base.join("/stream"), "http://127.0.0.1:5056/stream");
        for text in [
            "https://host",
            "host:5056",
            "http://",
            "http://host/?x",
            "http:// host",
        ] {
            assert!(text.parse::<Base>().is_err(), "{text}");
        }
    }

    #[test]
    fn text_from_elsewhere_cannot_move_the_cursor() {
        assert_eq!(
            plain("a\x1b[2Jb\nc\u{202E}d", 99),
            "a\u{FFFD}[2Jb c\u{FFFD}d"
        );
        assert_eq!(plain("grün", 3), "grü…");
    }
}
