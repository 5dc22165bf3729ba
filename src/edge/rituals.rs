//! Rules, runs and rehearsals: `/rituals`, and the addresses of existing dashboards below `/api/ritual`.

use std::time::Duration;

use actix_web::web::{self, Path, Payload, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use actors::rituals::board::{Run, Tally};
use actors::rituals::{Reload, Trigger};
use actors::shard::{self, From};
use actors::tail::History;
use glint::json::{self, Object, Value, object};
use glint::{Refusal, RefusalKind};
use rites::rehearse::{Rehearsal, Report};
use rites::{Problems, Rule, Rules};
use serde::Deserialize;
use sieve::View;

use super::desk::{Desk, Worker};
use super::history::unreadable;
use super::problem::{self, json as json_answer, problem};
use super::routes::resource;
use super::{guard, intake, negotiate, state};

/// Runs of a page when nothing is said.
const RUNS_DEFAULT: usize = 50;
/// Events of a rehearsal that are read at once.
const STRIDE: usize = 1024;
/// Most events of one rehearsal.
const REHEARSAL_MAX: u64 = 10_000_000;
/// Largest body of an action.
const ACTION_BYTES: usize = 16 * 1024;

/// Puts the addresses in place that are not only read.
pub fn configure(config: &mut ServiceConfig) {
    config.service(resource("/rituals/rules", "OPTIONS, PUT").route(web::put().to(put_rules)));
    config.service(resource("/rituals/rehearse", "OPTIONS, POST").route(web::post().to(rehearse)));
    config.service(resource("/api/ritual/{action}", "OPTIONS, POST").route(web::post().to(act)));
}

/// `GET /rituals`: the rules, what each did since the process began, and which sources wait.
pub async fn list(worker: Worker) -> HttpResponse {
    let desk = worker.desk();
    let mut answer = String::new();
    object(&mut answer, |object| {
        object.flag("enabled", desk.rituals.office.is_some());
        let board = desk.rituals.board.look();
        object.array("rules", &board.rules.rules, |rule, out| {
            let tally = board.tallies.get(&rule.name).cloned().unwrap_or_default();
            json::object(out, |object| push_rule(object, rule, &tally));
        });
        drop(board);
        object.array(
            "throttles",
            desk.rituals.throttles.list(),
            |throttle, out| {
                json::object(out, |object| {
                    object
                        .text("rule", &throttle.rule)
                        .text("module", &throttle.module);
                    object.display("until", throttle.until);
                });
            },
        );
    });
    json_answer(answer)
}

fn push_rule(object: &mut Object<'_>, rule: &Rule, tally: &Tally) {
    object
        .text("name", &rule.name)
        .text("version", &rule.version)
        .flag("enabled", rule.enabled);
    object
        .text("description", &rule.description)
        .text("priority", rule.priority.as_str());
    if let Some(filter) = &rule.filter {
        object.text("filter", filter.as_str());
    }
    object.array("actions", &rule.actions, |action, out| {
        json::write_ascii_string(action.kind(), out)
    });
    object
        .count("fired", tally.fired)
        .count("completed", tally.completed)
        .count("failed", tally.failed);
    object.object("skipped", |skipped| {
        for (reason, count) in &tally.skipped {
            skipped.count(reason, *count);
        }
    });
}

#[derive(Debug, Default, Deserialize)]
struct RunsParameters {
    rule: Option<String>,
    status: Option<String>,
    limit: Option<usize>,
}

/// `GET /rituals/runs?rule=&status=&limit=`: the latest runs and skips, newest first.
pub async fn runs(http: HttpRequest, worker: Worker) -> HttpResponse {
    let parameters = match Query::<RunsParameters>::from_query(http.query_string()) {
        Ok(parameters) => parameters.into_inner(),
        Err(err) => {
            let detail = format!("the query cannot be read: {err}");
            return problem(&Refusal::invalid("query_malformed", detail), |_| {});
        }
    };
    let limit = parameters.limit.unwrap_or(RUNS_DEFAULT);
    let is =
        |asked: &Option<String>, word: &str| asked.as_deref().is_none_or(|asked| asked == word);
    let board = worker.desk().rituals.board.look();
    let runs = board
        .runs
        .iter()
        .rev()
        .filter(|run| is(&parameters.rule, &run.rule) && is(&parameters.status, run.status));
    let skips = board
        .skips
        .iter()
        .rev()
        .filter(|skip| is(&parameters.rule, &skip.rule.name));
    let mut answer = String::new();
    object(&mut answer, |object| {
        object.array("runs", runs.take(limit), |run, out| {
            json::object(out, |object| push_run(object, run))
        });
        object.array("skips", skips.take(limit), |skip, out| {
            json::object(out, |object| push_skip(object, skip))
        });
    });
    json_answer(answer)
}

fn push_run(object: &mut Object<'_>, run: &Run) {
    object
        .text("key", &run.key)
        .text("rule", &run.rule)
        .text("status", run.status);
    object
        .text("trigger", &run.trigger)
        .display("time", run.stamp);
    if let Some(offset) = run.offset {
        object.display("cursor", offset);
    }
    object.count("duration_ms", run.millis);
    object.array("steps", &run.steps, |step, out| {
        json::object(out, |object| step.write(object))
    });
}

fn push_skip(object: &mut Object<'_>, skip: &rites::Skip) {
    object
        .text("rule", &skip.rule.name)
        .text("reason", skip.reason.as_str())
        .display("time", skip.stamp);
    if let rites::SkipReason::Filter(detail) = &skip.reason {
        object.text("detail", detail);
    }
    if let Some(offset) = skip.offset {
        object.display("cursor", offset);
    }
}

/// `GET /api/ritual/alerts`: the latest runs as dashboards show alerts, oldest first.
pub async fn alerts(worker: Worker) -> HttpResponse {
    let desk = worker.desk();
    let board = desk.rituals.board.look();
    let skip = board.runs.len().saturating_sub(RUNS_DEFAULT);
    let mut answer = String::from("[");
    for (nth, run) in board.runs.iter().skip(skip).enumerate() {
        if nth > 0 {
            answer.push_str(", ");
        }
        object(&mut answer, |object| {
            object
                .text("id", &run.key)
                .display("timestamp", run.stamp.naive(desk.zone));
            object
                .text("ritual_name", &run.rule)
                .text("trigger_type", run.kind);
            object.object("trigger_data", |data| {
                data.text("trigger", &run.trigger);
            });
            object
                .text("priority", run.priority)
                .text("glyph", &run.glyph);
            object
                .text("description", &run.description)
                .text("status", run.status);
        });
    }
    answer.push(']');
    json_answer(answer)
}

/// `GET /api/ritual/stats`.
pub async fn stats(worker: Worker) -> HttpResponse {
    json_answer(stats_text(worker.desk()))
}

/// The counts over all rules.
pub(super) fn stats_text(desk: &Desk) -> String {
    let stats = desk.rituals.board.look().stats(desk.clock.now());
    let mut answer = String::new();
    object(&mut answer, |object| {
        object
            .count("total_triggered", stats.total_triggered)
            .count("active_rituals", stats.active);
        object
            .count("completed_today", stats.completed_today)
            .number("success_rate", stats.success_rate);
    });
    answer
}

/// `GET /api/dashboard/overview`.
pub async fn overview(worker: Worker) -> HttpResponse {
    let desk = worker.desk();
    let mut answer = String::new();
    object(&mut answer, |object| {
        object
            .json("breath_state", &state::breath_text(desk))
            .json("glint_stats", &state::stats_text(desk));
        object.json("ritual_stats", &stats_text(desk));
        object.object("system_health", |health| {
            health.text(
                "status",
                if desk.is_draining() {
                    "stopping"
                } else {
                    "healthy"
                },
            );
            health.display("last_check", desk.clock.now().naive(desk.zone));
            health.text("uptime", &spell_uptime(desk.clock.instant() - desk.opened));
        });
    });
    json_answer(answer)
}

/// Spells how long the process has been open, as `1 day, 2:03:04`.
fn spell_uptime(open: Duration) -> String {
    let seconds = open.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let time = format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60);
    match days {
        0 => time,
        1 => format!("1 day, {time}"),
        _ => format!("{days} days, {time}"),
    }
}

/// `POST /api/ritual/{action}` with `{"ritual_id": …}`. `trigger` runs a rule and `release` ends its throttles, for
/// administrators; everything else is acknowledged, as dashboards expect, and does nothing.
pub async fn act(
    http: HttpRequest,
    action: Path<String>,
    payload: Payload,
    worker: Worker,
) -> HttpResponse {
    match take_action(&http, &action, payload, &worker).await {
        Ok(answer) => json_answer(answer),
        Err(refusal) => problem::compatible(&refusal),
    }
}

async fn take_action(
    http: &HttpRequest,
    action: &str,
    payload: Payload,
    worker: &Worker,
) -> Result<String, Refusal> {
    let desk = worker.desk();
    let body = intake::read(desk, http, payload, ACTION_BYTES).await?;
    let value = json::parse_bytes(&body).map_err(|err| Refusal::invalid("json_syntax", err))?;
    let id = match value.get("ritual_id") {
        Some(Value::String(id)) if !id.is_empty() => id.to_string(),
        Some(Value::Number(id)) if id != "0" => id.to_string(),
        _ => return Err(Refusal::invalid("ritual_id_missing", "ritual_id required")),
    };
    let mut key = None;
    let performed = match action {
        "trigger" => {
            guard::admin(http, desk)?;
            let weight = id.len();
            let office = office(desk)?;
            key = Some(office.ask(Trigger { rule: id.clone() }, weight).await??);
            true
        }
        "release" => {
            guard::admin(http, desk)?;
            desk.rituals.throttles.release((id != "*").then_some(&id)) > 0
        }
        _ => false,
    };
    let mut answer = String::new();
    object(&mut answer, |object| {
        object
            .flag("success", true)
            .text("action", action)
            .text("ritual_id", &id);
        object
            .display("timestamp", desk.clock.now().naive(desk.zone))
            .flag("performed", performed);
        if let Some(key) = key {
            object.text("key", &key);
        }
    });
    Ok(answer)
}

fn office(desk: &Desk) -> Result<&actors::mail::Post<actors::rituals::Responder>, Refusal> {
    desk.rituals.office.as_ref().ok_or_else(|| {
        let detail = "rituals are off; set rituals.enabled";
        Refusal::new(RefusalKind::Unavailable, "rituals_off", detail)
    })
}

/// `PUT /rituals/rules`: other rules from now on, and after a restart; SIGHUP goes back to those of the file.
pub async fn put_rules(http: HttpRequest, payload: Payload, worker: Worker) -> HttpResponse {
    match take_rules(&http, payload, &worker).await {
        Ok(count) => {
            let mut answer = String::new();
            object(&mut answer, |object| {
                object.count("rules", count as u64);
            });
            json_answer(answer)
        }
        Err(mistakes) => mistakes.answer(),
    }
}

/// A refusal, or everything that is wrong with rules.
enum Mistakes {
    Refusal(Refusal),
    Rules(Problems),
}

impl std::convert::From<Refusal> for Mistakes {
    fn from(refusal: Refusal) -> Mistakes {
        Mistakes::Refusal(refusal)
    }
}

impl Mistakes {
    fn answer(&self) -> HttpResponse {
        let problems = match self {
            Mistakes::Refusal(refusal) => return problem(refusal, |_| {}),
            Mistakes::Rules(Problems(problems)) => problems,
        };
        let first = problems
            .first()
            .map(ToString::to_string)
            .unwrap_or_default();
        let detail = format!(
            "the rules have {} mistakes and were not taken; {first}",
            problems.len()
        );
        problem(&Refusal::invalid("rules_malformed", detail), |object| {
            object.array("problems", problems, |problem, out| {
                json::object(out, |object| {
                    object
                        .count("line", problem.line as u64)
                        .text("reason", &problem.reason);
                });
            });
        })
    }
}

async fn read_rules(http: &HttpRequest, payload: Payload, desk: &Desk) -> Result<Rules, Mistakes> {
    guard::admin(http, desk)?;
    let body = intake::read(desk, http, payload, rites::read::MAX_BYTES).await?;
    let Ok(text) = std::str::from_utf8(&body) else {
        return Err(Refusal::invalid("rules_malformed", "rules are TOML in UTF-8").into());
    };
    rites::read(text).map_err(Mistakes::Rules)
}

async fn take_rules(
    http: &HttpRequest,
    payload: Payload,
    worker: &Worker,
) -> Result<usize, Mistakes> {
    let desk = worker.desk();
    let rules = read_rules(http, payload, desk).await?;
    let office = office(desk)?;
    let (count, weight) = (rules.rules.len(), rules.text.len());
    office.ask(Reload { rules, keep: true }, weight).await??;
    Ok(count)
}

#[derive(Debug, Default, Deserialize)]
struct RehearseParameters {
    from: Option<String>,
    to: Option<String>,
}

/// `POST /rituals/rehearse?from=&to=` with rules as the body, or without for those at work: what they would have done.
pub async fn rehearse(http: HttpRequest, payload: Payload, worker: Worker) -> HttpResponse {
    match take_rehearsal(&http, payload, &worker).await {
        Ok(report) => json_answer(report_text(&report)),
        Err(mistakes) => mistakes.answer(),
    }
}

async fn take_rehearsal(
    http: &HttpRequest,
    payload: Payload,
    worker: &Worker,
) -> Result<Report, Mistakes> {
    let desk = worker.desk();
    let parameters = Query::<RehearseParameters>::from_query(http.query_string())
        .map_err(|err| {
            Refusal::invalid(
                "query_malformed",
                format!("the query cannot be read: {err}"),
            )
        })?
        .into_inner();
    let mut rules = read_rules(http, payload, desk).await?;
    if rules.rules.is_empty() {
        rules = desk.rituals.board.look().rules.clone();
    }
    let from = parameters
        .from
        .as_deref()
        .map_or(Ok(From::Earliest), negotiate::place)?;
    let to = parameters.to.as_deref().map(negotiate::to).transpose()?;
    let view = View::everything();
    let from = shard::settle(from, &view, &desk.tail)
        .await
        .map_err(|err| unreadable(&err))?;
    let reach = desk.tail.reach(from, to, &view, desk.clock.now())?;
    let mut rehearsal = Rehearsal::new(rules, desk.rituals.chain_max);
    let (mut seen, mut count) = (reach.seen, 0);
    while seen < reach.until && count < REHEARSAL_MAX {
        match super::history::read(desk, seen, reach.until, STRIDE).await? {
            History::Events(events) => {
                let Some(last) = events.last() else {
                    seen += 1;
                    continue;
                };
                seen = last.offset.seq;
                count += events.len() as u64;
                for event in &events {
                    rehearsal.event(event);
                }
                // Others on this worker have their turn.
                tokio::task::yield_now().await;
            }
            History::Gone { floor } => seen = floor,
            History::Head | History::Archived => break,
        }
    }
    Ok(rehearsal.report())
}

fn report_text(report: &Report) -> String {
    let mut answer = String::new();
    object(&mut answer, |object| {
        object.count("events", report.events);
        object.array("rules", &report.rules, |(name, tally), out| {
            json::object(out, |object| {
                object.text("name", name).count("fired", tally.fired);
                object.object("skipped", |skipped| {
                    for (reason, count) in &tally.skipped {
                        skipped.count(reason, *count);
                    }
                });
            });
        });
        object.array("firings", &report.firings, |firing, out| {
            json::object(out, |object| {
                object
                    .text("rule", &firing.rule.name)
                    .text("trigger", &firing.trigger);
                object.display("time", firing.stamp);
                if let Some(offset) = firing.offset {
                    object.display("cursor", offset);
                }
            });
        });
        object.array("skips", &report.skips, |skip, out| {
            json::object(out, |object| push_skip(object, skip))
        });
    });
    answer
}
