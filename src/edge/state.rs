//! The addresses that existing dashboards and tests ask for the state of things.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE,
    HeaderName,
};
use actix_web::web::{Bytes, Query};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use actors::emitter::{Announce, Counts};
use glint::json::{Object, Value, object, write_ascii_string};
use glint::{Climate, Event, Name, Phase, Refusal, State, json};
use serde::Deserialize;
use wire::payload;

use super::desk::{Desk, Worker};
use super::problem::{json as json_answer, problem};

/// How often the dashboard stream says everything.
const DASHBOARD_PERIOD: Duration = Duration::from_secs(5);
/// How often the dashboard stream looks meanwhile whether the broker is stopping.
const DASHBOARD_GLANCE: Duration = Duration::from_millis(250);
/// Glints of a lineage when nothing is said.
const LINEAGE_DEFAULT: i64 = 50;
/// Most glints of a lineage.
const LINEAGE_MAX: usize = 10_000;

/// `GET /stream/status`: five members, nothing else.
pub async fn status(worker: Worker) -> HttpResponse {
    let desk = worker.desk();
    let seen = desk.state.read();
    let mut answer = String::new();
    object(&mut answer, |object| {
        object.count("active_connections", desk.metrics.open_streams());
        match seen.ticking {
            true => {
                object
                    .text("last_climate", seen.state.climate.as_str())
                    .text("last_phase", seen.state.phase.as_str());
                object.number("last_usage", payload::round4(seen.state.usage));
            }
            false => {
                object
                    .json("last_climate", "null")
                    .json("last_phase", "null")
                    .json("last_usage", "null");
            }
        }
        object.flag("stream_running", seen.ticking && !desk.is_draining());
    });
    json_answer(answer)
}

/// `GET /stream/test`: sends everybody an event to look at. HEAD sends nothing.
pub async fn test(http: HttpRequest, worker: Worker) -> HttpResponse {
    let desk = worker.desk();
    let state = State {
        phase: Phase::Inhale,
        progress: 0.25,
        usage: 0.3,
        climate: Climate::Clear,
    };
    let stamp = desk.clock.now();
    let text = payload::of_state(Name::TestEvent, &state, stamp, desk.zone);
    let mut answer = String::new();
    object(&mut answer, |object| {
        object
            .json("data", &text)
            .text("message", "Test event sent");
    });
    if http.method() == Method::GET {
        let weight = text.len();
        let announce = Announce {
            name: Name::TestEvent,
            phase: state.phase.as_str(),
            stamp,
            text,
        };
        if let Err(refusal) = desk.emitter.ask(announce, weight).await {
            return problem(&refusal, |_| {});
        }
    }
    json_answer(answer)
}

/// `GET /state` and `GET /api/spiral/state`.
pub async fn spiral(worker: Worker) -> HttpResponse {
    let State {
        phase,
        progress,
        usage,
        climate,
    } = worker.desk().state.read().state;
    let mut answer = String::new();
    object(&mut answer, |object| {
        object
            .text("climate", climate.as_str())
            .text("phase", phase.as_str());
        object
            .number("progress", payload::round4(progress))
            .number("usage", payload::round4(usage));
    });
    json_answer(answer)
}

/// `GET /api/breath/state`.
pub async fn breath(worker: Worker) -> HttpResponse {
    json_answer(breath_text(worker.desk()))
}

pub(super) fn breath_text(desk: &Desk) -> String {
    let seen = desk.state.read();
    let mut answer = String::new();
    object(&mut answer, |object| {
        object
            .text("phase", seen.state.phase.as_str())
            .number("progress", seen.state.progress);
        object.text("climate", seen.state.climate.as_str());
        object.display("last_update", seen.stamp.naive(desk.zone));
    });
    answer
}

/// `GET /api/glint/stats`.
pub async fn stats(worker: Worker) -> HttpResponse {
    json_answer(stats_text(worker.desk()))
}

pub(super) fn stats_text(desk: &Desk) -> String {
    let Counts {
        total,
        by_phase,
        by_module,
    } = desk.counts.read();
    let words = |object: &mut Object<'_>, words: &std::collections::BTreeMap<Box<str>, u64>| {
        for (word, count) in words {
            object.count(word, *count);
        }
    };
    let mut answer = String::new();
    object(&mut answer, |object| {
        object.count("total", total);
        object.object("by_phase", |object| words(object, &by_phase));
        object.object("by_module", |object| words(object, &by_module));
        object.flag("stream_sync_enabled", true);
    });
    answer
}

/// The parameters of the lineage.
#[derive(Debug, Default, Deserialize)]
struct LineageParameters {
    module: Option<String>,
    phase: Option<String>,
    limit: Option<String>,
}

/// `GET /api/glint/lineage`: the last glints, oldest first, after exact filters.
///
/// `limit` counts from the end; 0 is all of them; a negative one leaves that many out at the front, as a slice of the
/// existing server's language does. Never more than 10,000.
pub async fn lineage(http: HttpRequest, worker: Worker) -> HttpResponse {
    let parameters =
        Query::<LineageParameters>::from_query(http.query_string()).map(Query::into_inner);
    let parameters = parameters.unwrap_or_default();
    let limit = match parameters.limit.as_deref().map(str::parse) {
        None => LINEAGE_DEFAULT,
        Some(Ok(limit)) => limit,
        Some(Err(_)) => {
            let detail = "limit is a whole number; 0 is everything that is still here";
            return problem(
                &Refusal::invalid("limit_malformed", detail).on("limit"),
                |_| {},
            );
        }
    };
    let is = |asked: &Option<String>, word: &Option<Box<str>>| {
        asked
            .as_deref()
            .is_none_or(|asked| asked.is_empty() || word.as_deref() == Some(asked))
    };
    let keep = |event: &Event| {
        event.name == Name::GlintEmission
            && is(&parameters.module, &event.source)
            && is(&parameters.phase, &event.phase)
    };
    let newest = if limit > 0 {
        usize::try_from(limit)
            .unwrap_or(LINEAGE_MAX)
            .min(LINEAGE_MAX)
    } else {
        LINEAGE_MAX
    };
    let events = worker.desk().tail.newest_that(newest, keep);
    let skip = usize::try_from(limit.saturating_neg()).unwrap_or(0);
    let mut answer = String::from("[");
    for (nth, event) in events.iter().skip(skip).enumerate() {
        if nth > 0 {
            answer.push_str(", ");
        }
        push_glint(event, &mut answer);
    }
    answer.push(']');
    json_answer(answer)
}

/// The glint within its envelope, if it came in one.
fn push_glint(event: &Event, out: &mut String) {
    let posted = json::parse(&event.text).ok();
    match posted
        .as_ref()
        .and_then(|posted| posted.at(&["data", "glint"]))
    {
        Some(glint @ Value::Object(_)) => json::write_ascii(glint, out),
        _ => out.push_str(&event.text),
    }
}

/// `GET /api/dashboard/stream`: every five seconds the breath, the counts and the rituals, as unnamed events.
pub async fn dashboard_stream(http: HttpRequest, worker: Worker) -> HttpResponse {
    let mut head = dashboard_head();
    if http.method() == Method::HEAD {
        return head.finish();
    }
    let rounds = futures_util::stream::unfold(Some((worker, true)), |turn| async move {
        let (worker, is_first) = turn?;
        if !is_first {
            pause(worker.desk()).await;
        }
        let text = dashboard_round(worker.desk());
        let next = (!worker.desk().is_draining()).then_some((worker, false));
        Some((Ok::<Bytes, Infallible>(Bytes::from(text)), next))
    });
    head.streaming(rounds)
}

/// Waits for the next round, or for the broker to stop: a whole period would outlast a short grace.
async fn pause(desk: &Desk) {
    let until = desk.clock.instant() + DASHBOARD_PERIOD;
    while desk.clock.instant() < until && !desk.is_draining() {
        tokio::time::sleep(DASHBOARD_GLANCE).await;
    }
}

fn dashboard_head() -> HttpResponseBuilder {
    let mut head = HttpResponse::Ok();
    head.insert_header((CONTENT_TYPE, "text/event-stream; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-cache, no-transform"))
        .insert_header((HeaderName::from_static("x-accel-buffering"), "no"))
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, "Cache-Control"))
        .force_close();
    head
}

fn dashboard_round(desk: &Desk) -> String {
    let rituals = super::rituals::stats_text(desk);
    let timestamp = desk.clock.now().naive(desk.zone).to_string();
    let parts = [
        ("breath_state", breath_text(desk)),
        ("glint_stats", stats_text(desk)),
        ("ritual_stats", rituals),
    ];
    let mut text = String::new();
    for (name, data) in parts {
        text.push_str("data: {\"event\": ");
        write_ascii_string(name, &mut text);
        text.push_str(", \"timestamp\": ");
        write_ascii_string(&timestamp, &mut text);
        text.push_str(", \"data\": ");
        text.push_str(&data);
        text.push_str("}\n\n");
    }
    text
}
