//! What a subscriber asks for, out of everything in which it can say so.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{ACCEPT, HeaderMap};
use actix_web::web::Query;
use actors::shard::{From, Request, Slow, To};
use glint::{Offset, Refusal};
use serde::Deserialize;
use sieve::{Ask, View};
use wire::Form;

/// The GS1-T subprotocol.
pub const GS1_TEXT: &str = "gs1-t.v1";
/// The GS1-B subprotocol.
pub const GS1_BINARY: &str = "gs1-b.v1";
/// The JSON subprotocol.
pub const JSON: &str = "glintcast.json.v1";
/// All subprotocols, and what is spoken in them.
const SUBPROTOCOLS: [(&str, Form); 3] = [
    (GS1_TEXT, Form::WsGs1Text),
    (GS1_BINARY, Form::WsGs1Binary),
    (JSON, Form::WsPlain),
];

/// Longest time after which a stream can be asked to end, in seconds: a day.
const MAX_TIMEOUT_SECONDS: f64 = 86_400.0;

/// The parameters of `/stream`. Others are ignored: clients add their own to keep caches away.
#[derive(Debug, Default, Deserialize)]
struct Parameters {
    topics: Option<String>,
    module: Option<String>,
    phase: Option<String>,
    event: Option<String>,
    filter: Option<String>,
    dialect: Option<String>,
    framing: Option<String>,
    limit: Option<String>,
    timeout: Option<String>,
    from: Option<String>,
    to: Option<String>,
    slow: Option<String>,
    patch: Option<String>,
    #[serde(
        alias = "lastEventId",
        alias = "lastEventID",
        alias = "Last-Event-ID",
        alias = "last-event-id"
    )]
    last_event_id: Option<String>,
}

/// Reads a request for a stream.
///
/// # Errors
/// Names the parameter and what it takes.
pub fn request(http: &HttpRequest) -> Result<Request, Refusal> {
    let parameters = Query::<Parameters>::from_query(http.query_string()).map_err(|err| {
        Refusal::invalid(
            "query_malformed",
            format!("the query cannot be read: {err}; name each parameter once"),
        )
    })?;
    let parameters = parameters.into_inner();
    let view = View::compile(&Ask {
        topics: parameters.topics.as_deref(),
        module: parameters.module.as_deref(),
        phase: parameters.phase.as_deref(),
        event: parameters.event.as_deref(),
        filter: parameters.filter.as_deref(),
    })?;
    let form = form(http, &parameters)?;
    Ok(Request {
        view,
        form,
        patched: patched(parameters.patch.as_deref(), form)?,
        from: from(http.headers(), &parameters)?,
        to: parameters.to.as_deref().map(to).transpose()?,
        slow: slow(parameters.slow.as_deref())?,
        limit: parameters.limit.as_deref().map(limit).transpose()?,
        timeout: parameters.timeout.as_deref().map(timeout).transpose()?,
    })
}

/// Tells whether a request asks to become a WebSocket.
#[must_use]
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    let upgrade = headers
        .get("upgrade")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    upgrade
        .split(',')
        .any(|protocol| protocol.trim().eq_ignore_ascii_case("websocket"))
}

fn form(http: &HttpRequest, parameters: &Parameters) -> Result<Form, Refusal> {
    let framing = parameters.framing.as_deref();
    if is_upgrade(http.headers()) {
        return socket_form(http, framing);
    }
    if accepts(http.headers(), "application/x-ndjson") {
        return one_of(
            parameters.dialect.as_deref(),
            "dialect",
            &[("plain", Form::Ndjson)],
            Form::Ndjson,
        );
    }
    if framing.is_some_and(|framing| framing != "json") {
        return one_of(
            framing,
            "framing",
            &[("gs1", Form::SseGs1), ("json", Form::SseNamed)],
            Form::SseGs1,
        );
    }
    let dialects = [
        ("named", Form::SseNamed),
        ("bilingual", Form::SseBilingual),
        ("envelope", Form::SseEnvelope),
        ("plain", Form::SsePlain),
    ];
    one_of(
        parameters.dialect.as_deref(),
        "dialect",
        &dialects,
        Form::SseNamed,
    )
}

/// The first subprotocol of the client's that we speak; without any, what `framing` says; without that, GS1-T.
fn socket_form(http: &HttpRequest, framing: Option<&str>) -> Result<Form, Refusal> {
    let framings = [
        ("gs1", Form::WsGs1Text),
        ("gs1b", Form::WsGs1Binary),
        ("json", Form::WsPlain),
    ];
    match chosen(http.headers()) {
        Some((_, form)) => Ok(form),
        None => one_of(framing, "framing", &framings, Form::WsGs1Text),
    }
}

/// Returns the first subprotocol of the client's that we speak, for the answer to its handshake.
#[must_use]
pub fn subprotocol(http: &HttpRequest) -> Option<&'static str> {
    chosen(http.headers()).map(|(protocol, _)| protocol)
}

fn chosen(headers: &HeaderMap) -> Option<(&'static str, Form)> {
    let offered = headers
        .get_all("sec-websocket-protocol")
        .filter_map(|value| value.to_str().ok());
    offered
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .find_map(|offer| {
            SUBPROTOCOLS
                .into_iter()
                .find(|(protocol, _)| *protocol == offer)
        })
}

fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let lists = headers
        .get_all(ACCEPT)
        .filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|range| {
        let range = range.split(';').next().unwrap_or_default();
        range.trim().eq_ignore_ascii_case(media_type)
    })
}

fn one_of(
    word: Option<&str>,
    field: &str,
    known: &[(&str, Form)],
    default: Form,
) -> Result<Form, Refusal> {
    let Some(word) = word else { return Ok(default) };
    known
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, form)| *form)
        .ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            let detail = format!(
                "there is no {field} {word:?} here; one of: {}",
                names.join(", ")
            );
            Refusal::invalid("form_unknown", detail).on(field)
        })
}

/// Where to begin. The header wins: a browser that reconnects sends it along with the address it began with.
fn from(headers: &HeaderMap, parameters: &Parameters) -> Result<From, Refusal> {
    let header = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok());
    let last = header
        .or(parameters.last_event_id.as_deref())
        .map(str::trim)
        .filter(|id| !id.is_empty());
    if let Some(id) = last {
        // An id of somebody else's: nothing of ours came after it, so the client is told of a gap.
        return Ok(From::After(
            id.parse().unwrap_or(Offset { epoch: 0, seq: 0 }),
        ));
    }
    parameters.from.as_deref().map_or(Ok(From::Now), place)
}

/// Reads where to begin.
///
/// # Errors
/// `from_malformed`.
pub fn place(text: &str) -> Result<From, Refusal> {
    match text {
        "now" => Ok(From::Now),
        "earliest" => Ok(From::Earliest),
        _ => {
            let last = || text.strip_prefix('-')?.parse().ok().map(From::Last);
            let after = || text.parse().ok().map(From::After);
            let since = || text.parse().ok().map(From::Since);
            last().or_else(after).or_else(since).ok_or_else(|| {
                let detail = format!(
                    "from={text:?} is no place; one of: now, earliest, -N for the last N, a cursor, or an instant such as 2026-01-01T06:00:00Z"
                );
                Refusal::invalid("from_malformed", detail).on("from")
            })
        }
    }
}

/// Reads where a bounded read ends.
///
/// # Errors
/// `to_malformed`.
pub fn to(text: &str) -> Result<To, Refusal> {
    let at = text.parse().ok().map(To::At);
    at.or_else(|| text.parse().ok().map(To::Before))
        .ok_or_else(|| {
            let detail = format!(
                "to={text:?} is no place; give a cursor, or an instant such as 2026-01-01T06:00:00Z"
            );
            Refusal::invalid("to_malformed", detail).on("to")
        })
}

fn slow(text: Option<&str>) -> Result<Slow, Refusal> {
    match text {
        None | Some("replay") => Ok(Slow::Replay),
        Some("skip") => Ok(Slow::Skip),
        Some("conflate") => Ok(Slow::Conflate),
        Some("close") => Ok(Slow::Close),
        Some(other) => {
            let detail =
                format!("there is no slow {other:?}; one of: replay, skip, conflate, close");
            Err(Refusal::invalid("slow_unknown", detail).on("slow"))
        }
    }
}

/// Tells whether changes of documents come as patches, for which only GS1 has a frame.
fn patched(text: Option<&str>, form: Form) -> Result<bool, Refusal> {
    match text {
        None | Some("off") => Ok(false),
        Some("on") if form.is_numbered() => Ok(true),
        Some("on") => {
            let detail = "patch=on needs GS1 frames, which alone can carry a patch; add framing=gs1, or leave patch out";
            Err(Refusal::invalid("patch_needs_gs1", detail).on("patch"))
        }
        Some(other) => {
            let detail = format!("there is no patch {other:?}; one of: on, off");
            Err(Refusal::invalid("patch_unknown", detail).on("patch"))
        }
    }
}

fn limit(text: &str) -> Result<u64, Refusal> {
    let limit = text.parse().ok().filter(|limit| *limit > 0);
    limit.ok_or_else(|| {
        let detail = format!("limit={text:?} is no number of events; give a whole number from 1");
        Refusal::invalid("limit_malformed", detail).on("limit")
    })
}

fn timeout(text: &str) -> Result<Duration, Refusal> {
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| (0.0..=MAX_TIMEOUT_SECONDS).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| {
        let detail =
            format!("timeout={text:?} is no time; give seconds from 0 to {MAX_TIMEOUT_SECONDS}");
        Refusal::invalid("timeout_malformed", detail).on("timeout")
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn asked(uri: &str, headers: &[(&'static str, &'static str)]) -> Result<Request, Refusal> {
        let mut http = TestRequest::with_uri(uri);
        for (name, value) in headers {
            http = http.insert_header((*name, *value));
        }
        request(&http.to_http_request())
    }

    fn form_of(uri: &str, headers: &[(&'static str, &'static str)]) -> Form {
        asked(uri, headers).expect(uri).form
    }

    #[test]
    fn one_address_speaks_every_form() {
        let upgrade = ("upgrade", "websocket");
        assert_eq!(form_of("/stream", &[]), Form::SseNamed);
        assert_eq!(
            form_of("/stream?dialect=bilingual", &[]),
            Form::SseBilingual
        );
        assert_eq!(
            form_of(
                "/stream?dialect=envelope",
                &[("accept", "text/event-stream")]
            ),
            Form::SseEnvelope
        );
        assert_eq!(form_of("/stream?framing=gs1", &[]), Form::SseGs1);
        assert_eq!(
            form_of("/stream", &[("accept", "application/x-ndjson, */*")]),
            Form::Ndjson
        );
        assert_eq!(form_of("/stream", &[upgrade]), Form::WsGs1Text);
        let json = (
            "sec-websocket-protocol",
            "other, glintcast.json.v1, gs1-t.v1",
        );
        assert_eq!(form_of("/stream", &[upgrade, json]), Form::WsPlain);
        assert_eq!(
            form_of("/stream?framing=gs1b", &[upgrade]),
            Form::WsGs1Binary
        );
    }

    #[test]
    fn the_header_wins_over_the_address_it_is_sent_with() {
        let after = |seq| From::After(Offset { epoch: 7, seq });
        assert_eq!(
            asked("/stream?from=earliest", &[("last-event-id", "7-3")])
                .unwrap()
                .from,
            after(3)
        );
        assert_eq!(
            asked("/stream?lastEventId=7-4&from=-2", &[]).unwrap().from,
            after(4)
        );
        assert_eq!(
            asked("/stream?from=7-5", &[("last-event-id", "")])
                .unwrap()
                .from,
            after(5)
        );
        assert_eq!(asked("/stream?from=-12", &[]).unwrap().from, From::Last(12));
        assert_eq!(asked("/stream", &[]).unwrap().from, From::Now);
    }

    #[test]
    fn an_id_of_somebody_else_becomes_a_gap_and_not_an_error() {
        let unknown = From::After(Offset { epoch: 0, seq: 0 });
        assert_eq!(
            asked("/stream", &[("last-event-id", "urn:uuid:x")])
                .unwrap()
                .from,
            unknown
        );
    }

    #[test]
    fn a_bad_parameter_is_named() {
        for (uri, field) in [
            ("/stream?topics=nope", "topics"),
            ("/stream?dialect=klingon", "dialect"),
            ("/stream?framing=gs2", "framing"),
            ("/stream?limit=0", "limit"),
            ("/stream?timeout=-1", "timeout"),
            ("/stream?timeout=nan", "timeout"),
            ("/stream?from=yesterday", "from"),
            ("/stream?to=tomorrow", "to"),
            ("/stream?slow=down", "slow"),
            ("/stream?framing=gs1&patch=yes", "patch"),
            ("/stream?patch=on", "patch"),
            ("/stream?dialect=envelope&patch=on", "patch"),
        ] {
            assert_eq!(
                asked(uri, &[]).expect_err(uri).field.as_deref(),
                Some(field),
                "{uri}"
            );
        }
    }

    #[test]
    fn patches_are_for_gs1_alone() {
        let upgrade = ("upgrade", "websocket");
        let json = ("sec-websocket-protocol", JSON);
        let patched = |uri, headers: &[_]| asked(uri, headers).map(|request| request.patched);
        assert_eq!(patched("/stream?framing=gs1&patch=on", &[]), Ok(true));
        assert_eq!(patched("/stream?patch=on", &[upgrade]), Ok(true));
        assert_eq!(patched("/stream?framing=gs1", &[]), Ok(false));
        assert_eq!(patched("/stream?patch=off", &[]), Ok(false));
        for headers in [
            &[][..],
            &[upgrade, json],
            &[("accept", "application/x-ndjson")],
        ] {
            let refusal = patched("/stream?patch=on", headers).expect_err("no GS1");
            assert_eq!(refusal.code, "patch_needs_gs1");
        }
    }

    #[test]
    fn unknown_parameters_are_left_alone() {
        assert!(asked("/stream?_=1712&token=x", &[]).is_ok());
    }
}
