//! `POST /coherence/evaluate`: parameters and times in, everything that the estimator says out. A pure function.

use std::f64::consts::PI;

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use actors::coherence::{malformed, number, refusal, whole};
use coherence::{Carrier, Complex, Evaluation, MAX_EVENTS, Question, Rule, evaluate};
use glint::Refusal;
use glint::json::{Value, object};

use super::{answered, parsed};
use crate::edge::desk::Worker;
use crate::edge::intake;

/// Members that say something, and those that a test vector has besides.
const KNOWN: [&str; 17] = [
    "period_us",
    "epoch_us",
    "harmonic",
    "tau_us",
    "slots",
    "I_c",
    "z_min",
    "query_us",
    "events_us",
    "events_gen",
    "weights",
    "id",
    "note",
    "omega_rad_s",
    "tau_s",
    "expect",
    "I_rel",
];
/// Lists within lists of events.
const DEPTH_MAX: usize = 4;

pub(super) async fn answer(http: HttpRequest, payload: Payload, worker: Worker) -> HttpResponse {
    let desk = worker.desk();
    let body = intake::read(desk, &http, payload, desk.limits.batch_bytes).await;
    answered(body.and_then(|body| {
        let question = question(&parsed(&body)?)?;
        let evaluation = evaluate(&question).map_err(|err| refusal(&err))?;
        Ok(text(&evaluation))
    }))
}

fn question(value: &Value<'_>) -> Result<Question, Refusal> {
    let Some(members) = value.as_object() else {
        return Err(malformed(
            "body",
            "is a JSON object with period_us and events_us",
        ));
    };
    if let Some((name, _)) = members.iter().find(|(name, _)| !KNOWN.contains(&&**name)) {
        return Err(malformed(name, "is not known here; leave it out"));
    }
    let small = |key: &'static str, default: u8| match whole(value, key)? {
        None => Ok(default),
        Some(number) => {
            u8::try_from(number).map_err(|_| malformed(key, "is a whole number from 0 to 255"))
        }
    };
    let period = whole(value, "period_us")?
        .ok_or_else(|| malformed("period_us", "is needed: a whole number of microseconds"))?;
    let carrier = Carrier::new(period, whole(value, "epoch_us")?.unwrap_or(0))
        .and_then(|carrier| carrier.at_harmonic(small("harmonic", 1).unwrap_or(0)))
        .map_err(|err| refusal(&err))?;
    let usual = Rule::default();
    let collapse = number(value, "I_c")?.unwrap_or(usual.coherence);
    let evidence = number(value, "z_min")?.unwrap_or(usual.evidence);
    let mut rule = Rule::new(collapse, evidence).map_err(|err| refusal(&err))?;
    if let Some(release) = number(value, "I_rel")? {
        rule.release = release;
    }
    Ok(Question {
        carrier,
        tau_us: whole(value, "tau_us")?.unwrap_or(period.saturating_mul(16)),
        slots: small("slots", 0)?,
        rule,
        query_us: whole(value, "query_us")?,
        events_us: events(value)?,
        weights: weights(value)?,
    })
}

fn events(value: &Value<'_>) -> Result<Vec<i64>, Refusal> {
    let mut events = Vec::new();
    match (value.get("events_us"), value.get("events_gen")) {
        (Some(_), Some(_)) => {
            return Err(malformed(
                "events_gen",
                "and events_us exclude each other; send one of them",
            ));
        }
        (Some(Value::Array(times)), None) => {
            for time in times {
                let whole = match time {
                    Value::Number(lexeme) => lexeme.parse().ok(),
                    _ => None,
                };
                events.push(
                    whole.ok_or_else(|| {
                        malformed("events_us", "is an array of whole microseconds")
                    })?,
                );
            }
        }
        (None, Some(recipe)) => generate(recipe, &mut events, DEPTH_MAX)?,
        _ => {
            return Err(malformed(
                "events_us",
                "is needed: an array of whole microseconds",
            ));
        }
    }
    Ok(events)
}

/// Makes events by a recipe: `arithmetic` from a start by a step, or a `concat` of recipes.
fn generate(recipe: &Value<'_>, events: &mut Vec<i64>, depth: usize) -> Result<(), Refusal> {
    match recipe.get("kind").and_then(Value::as_str) {
        Some("arithmetic") => {
            let need = |key: &'static str| {
                whole(recipe, key)?
                    .ok_or_else(|| malformed(key, "is needed in an arithmetic recipe"))
            };
            let (start, step, count) = (need("start_us")?, need("step_us")?, need("count")?);
            let room = MAX_EVENTS - events.len();
            let fits = usize::try_from(count).ok().filter(|count| *count <= room);
            if fits.is_none() {
                return Err(malformed(
                    "events_gen",
                    &format!("makes at most {MAX_EVENTS} events"),
                ));
            }
            let last = step
                .checked_mul((count - 1).max(0))
                .and_then(|run| start.checked_add(run));
            if last.is_none() {
                return Err(malformed("events_gen", "runs over the end of time"));
            }
            events.extend((0..count).map(|n| start + n * step));
            Ok(())
        }
        Some("concat") if depth > 0 => match recipe.get("parts") {
            Some(Value::Array(parts)) => parts
                .iter()
                .try_for_each(|part| generate(part, events, depth - 1)),
            _ => Err(malformed("parts", "is an array of recipes")),
        },
        _ => Err(malformed(
            "events_gen",
            "has kind arithmetic or concat, and not too deep",
        )),
    }
}

fn weights(value: &Value<'_>) -> Result<Option<Vec<f64>>, Refusal> {
    match value.get("weights") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(weights)) => {
            let weights = weights
                .iter()
                .map(Value::as_f64)
                .collect::<Option<Vec<f64>>>();
            weights
                .map(Some)
                .ok_or_else(|| malformed("weights", "is an array of numbers"))
        }
        Some(_) => Err(malformed("weights", "is an array of numbers")),
    }
}

/// An angle from -π up to, but not, π: a direction has one.
fn angle(t: Complex) -> f64 {
    if t.arg() == PI { -PI } else { t.arg() }
}

fn text(said: &Evaluation) -> String {
    let reading = &said.reading;
    let mut out = String::with_capacity(768);
    object(&mut out, |object| {
        object
            .count("events_counted", said.counted)
            .number("A_re", reading.vector.re)
            .number("A_im", reading.vector.im)
            .number("B", reading.mass)
            .number("T_re", reading.t.re)
            .number("T_im", reading.t.im);
        if said.counted > 0 {
            object
                .number("T_abs", reading.t.abs())
                .number("T_arg", angle(reading.t));
        }
        object
            .number("T_abs2", reading.coherence)
            .number("V", reading.power)
            .number("U", reading.squares)
            .number("n_cycles_eff", reading.cycles);
        if said.counted > 0 {
            object
                .number("n_eff_kish", said.events)
                .number("lag1_re", said.lag.re)
                .number("lag1_im", said.lag.im);
        }
        object
            .number("evidence_z", reading.evidence)
            .number("debiased", reading.debiased)
            .flag("dormant", said.dormant)
            .flag("collapse_amplitude_only", said.amplitude_only)
            .flag("collapse", said.collapse)
            .json("query_us", &said.query_us.to_string());
    });
    out
}
