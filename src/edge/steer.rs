//! The state, set by hand: guarded, and announced at once.

use std::time::Duration;

use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use actors::phase::{Notice, Steer};
use glint::json::{self, Value, object};
use glint::{Phase, Refusal};
use wire::payload;

use super::desk::Worker;
use super::problem::{json as json_answer, problem};
use super::routes::resource;
use super::{guard, intake, state};

/// Largest body that sets something.
const MAX_BODY_BYTES: usize = 4096;
/// Longest message of a caesura or a drift in bytes.
const MAX_MESSAGE_BYTES: usize = 1024;
/// How long a phase is held when nothing is said, in seconds.
const HOLD_SECONDS: f64 = 3600.0;
/// Longest time for which a phase is held, in seconds: a week.
const MAX_HOLD_SECONDS: f64 = 604_800.0;

/// Puts the addresses in place.
pub fn configure(config: &mut ServiceConfig) {
    let whole = resource("/state", "GET, HEAD, OPTIONS");
    config.service(
        whole
            .route(web::get().to(state::spiral))
            .route(web::head().to(state::spiral)),
    );
    for (path, what) in [
        ("/state/climate", What::Climate),
        ("/state/usage", What::Usage),
        ("/state/phase", What::Phase),
    ] {
        let put = move |http, payload, worker| set(http, payload, worker, what);
        config.service(
            resource(path, "GET, HEAD, OPTIONS, PUT")
                .route(web::get().to(state::spiral))
                .route(web::head().to(state::spiral))
                .route(web::put().to(put)),
        );
    }
    for (path, what) in [
        ("/state/caesura", What::Caesura),
        ("/state/drift", What::Drift),
    ] {
        let post = move |http, payload, worker| set(http, payload, worker, what);
        config.service(resource(path, "OPTIONS, POST").route(web::post().to(post)));
    }
}

#[derive(Debug, Clone, Copy)]
enum What {
    Climate,
    Usage,
    Phase,
    Caesura,
    Drift,
}

async fn set(http: HttpRequest, payload: Payload, worker: Worker, what: What) -> HttpResponse {
    match take(&http, payload, &worker, what).await {
        Ok(()) => answer(&worker),
        Err(refusal) => problem(&refusal, |_| {}),
    }
}

async fn take(
    http: &HttpRequest,
    payload: Payload,
    worker: &Worker,
    what: What,
) -> Result<(), Refusal> {
    let desk = worker.desk();
    guard::admin(http, desk)?;
    let body = intake::read(desk, http, payload, MAX_BODY_BYTES).await?;
    // A notice may come without words.
    let body = if body.is_empty() {
        web::Bytes::from_static(b"{}")
    } else {
        body
    };
    let value = json::parse_bytes(&body)
        .map_err(|err| Refusal::invalid("json_syntax", format!("the body is no JSON: {err}")))?;
    if value.as_object().is_none() {
        return Err(Refusal::invalid(
            "body_not_object",
            "the body is a JSON object",
        ));
    }
    let weight = size_of::<Steer>();
    match what {
        What::Climate => {
            desk.phase
                .ask(Steer::Climate(climate(&value)?), weight)
                .await
        }
        What::Usage => desk.phase.ask(usage(&value)?, weight).await,
        What::Phase => desk.phase.ask(phase(&value)?, weight).await,
        What::Caesura => {
            let message = message(&value, "a caesura was called")?;
            desk.phase
                .ask(Notice::Caesura(message), MAX_MESSAGE_BYTES)
                .await
        }
        What::Drift => {
            let message = message(&value, "a drift was called")?;
            desk.phase
                .ask(Notice::Drift(message), MAX_MESSAGE_BYTES)
                .await
        }
    }
}

fn climate(value: &Value<'_>) -> Result<glint::Climate, Refusal> {
    let word = value
        .get("climate")
        .and_then(Value::as_str)
        .unwrap_or_default();
    word.parse()
        .map_err(|err| Refusal::invalid("climate_unknown", err).on("climate"))
}

fn usage(value: &Value<'_>) -> Result<Steer, Refusal> {
    if value.get("measure") == Some(&Value::Bool(true)) {
        return Ok(Steer::Measure);
    }
    let share = value.get("usage").and_then(Value::as_f64);
    let share = share.filter(|share| (0.0..=1.0).contains(share));
    share.map(Steer::Usage).ok_or_else(|| {
        let detail =
            "usage is a number from 0 to 1; or send {\"measure\": true} to have it measured";
        Refusal::invalid("usage_malformed", detail).on("usage")
    })
}

fn phase(value: &Value<'_>) -> Result<Steer, Refusal> {
    let word = value.get("phase");
    if word == Some(&Value::Null) {
        return Ok(Steer::Breathe);
    }
    let word = word.and_then(Value::as_str).unwrap_or_default();
    let phase: Phase = word.parse().map_err(|err| {
        let detail = format!("{err}; or null, to have the breath say it again");
        Refusal::invalid("phase_unknown", detail).on("phase")
    })?;
    let seconds = match value.get("seconds") {
        None => HOLD_SECONDS,
        Some(seconds) => seconds.as_f64().filter(|seconds| (0.001..=MAX_HOLD_SECONDS).contains(seconds)).ok_or_else(|| {
            let detail = format!("seconds is a number from 0.001 to {MAX_HOLD_SECONDS}: how long the phase is held");
            Refusal::invalid("seconds_malformed", detail).on("seconds")
        })?,
    };
    Ok(Steer::Phase(phase, Duration::from_secs_f64(seconds)))
}

fn message(value: &Value<'_>, usual: &str) -> Result<String, Refusal> {
    let Some(message) = value.get("message") else {
        return Ok(usual.to_owned());
    };
    match message.as_str() {
        Some(text) if text.len() <= MAX_MESSAGE_BYTES => Ok(text.to_owned()),
        _ => {
            let detail = format!("message is a string of up to {MAX_MESSAGE_BYTES} bytes");
            Err(Refusal::invalid("message_malformed", detail).on("message"))
        }
    }
}

/// The state as it is now.
fn answer(worker: &Worker) -> HttpResponse {
    let state = worker.desk().state.read().state;
    let mut answer = String::new();
    object(&mut answer, |object| {
        object
            .text("climate", state.climate.as_str())
            .text("phase", state.phase.as_str());
        object
            .number("progress", payload::round4(state.progress))
            .number("usage", payload::round4(state.usage));
    });
    json_answer(answer)
}
