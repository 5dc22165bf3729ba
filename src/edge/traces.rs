//! Signed traces that are kept, as tables in pages; how sinks are doing, and what they could not keep.

use actix_web::web::{self, Path, Query as UrlQuery, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use actors::sink::SinkHandle;
use attest::ContentId;
use glint::json::object;
use glint::{Offset, Refusal, RefusalKind, Stamp};
use serde::Deserialize;

use super::desk::{Desk, Worker};
use super::guard;
use super::problem::{json, problem};
use super::routes::{read, resource};
use crate::store::tables::{Cell, Kept, Table, write_cells, write_row};
use crate::store::traces::{Order, Page, Query, TraceStore, TraceStoreError};

/// Traces of a page when nothing is said.
const DEFAULT_LIMIT: usize = 100;
/// Most traces of a page.
const MAX_LIMIT: usize = 1000;
/// Bytes of records after which a page ends.
const MAX_BYTES: usize = 8 << 20;
/// Dead letters of an answer.
const LETTERS_MAX: usize = 1000;

/// Puts the addresses in place.
pub fn configure(config: &mut ServiceConfig) {
    config
        .service(read("/api/v1/traces", || web::route().to(list)))
        .service(read("/api/v1/traces/{id}", || web::route().to(one)))
        .service(read("/api/v1/trace-events", || web::route().to(events)))
        .service(read("/api/v1/llm-calls", || web::route().to(calls)))
        .service(read("/api/v1/sinks", || web::route().to(sinks)))
        .service(read("/api/v1/sinks/{name}/dead-letters", || {
            web::route().to(dead_letters)
        }));
    let retry = resource("/api/v1/sinks/{name}/dead-letters/retry", "OPTIONS, POST");
    config.service(retry.route(web::post().to(retry_dead_letters)));
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    from: Option<String>,
    to: Option<String>,
    agent: Option<String>,
    key: Option<String>,
    trace: Option<String>,
    order: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
    include: Option<String>,
    event_type: Option<String>,
    model: Option<String>,
    status: Option<String>,
}

/// `GET /api/v1/traces`
async fn list(http: HttpRequest, worker: Worker) -> HttpResponse {
    table(&http, &worker, Table::Traces).await
}

/// `GET /api/v1/trace-events`
async fn events(http: HttpRequest, worker: Worker) -> HttpResponse {
    table(&http, &worker, Table::Events).await
}

/// `GET /api/v1/llm-calls`
async fn calls(http: HttpRequest, worker: Worker) -> HttpResponse {
    table(&http, &worker, Table::LlmCalls).await
}

async fn table(http: &HttpRequest, worker: &Worker, table: Table) -> HttpResponse {
    let answer = async {
        let parameters = parameters(http)?;
        let query = parameters.query()?;
        let wanted = parameters.wanted(table)?;
        let store = store(worker.desk())?;
        blocking(move || {
            let page = store.page(&query)?;
            rows(&page, table, &wanted)
        })
        .await
    };
    match answer.await {
        Ok(body) => json(body),
        Err(refusal) => problem(&refusal, |_| {}),
    }
}

/// `GET /api/v1/traces/{id}`: the trace with its record, its components and its calls; by content, or by the id that its
/// agent gave it.
async fn one(http: HttpRequest, id: Path<String>, worker: Worker) -> HttpResponse {
    let answer = async {
        let parameters = parameters(&http)?;
        let store = store(worker.desk())?;
        let id = id.into_inner();
        let agent = parameters.agent;
        blocking(move || {
            let found = match id.parse::<ContentId>() {
                Ok(content) => store.get(content)?.into_iter().collect(),
                Err(_) => {
                    let query = Query {
                        trace: Some(id),
                        agent,
                        limit: 2,
                        bytes: MAX_BYTES,
                        ..Query::default()
                    };
                    store.page(&query)?.items
                }
            };
            match &found[..] {
                [kept] => whole(kept).map(Ok),
                [] => Ok(Err(not_found(
                    "trace_not_found",
                    "there is no such trace here",
                ))),
                _ => Ok(Err(Refusal::new(
                    RefusalKind::Taken,
                    "trace_ambiguous",
                    "several traces have this id; name the content id of one, or add agent=",
                ))),
            }
        })
        .await?
    };
    match answer.await {
        Ok(body) => json(body),
        Err(refusal) => problem(&refusal, |_| {}),
    }
}

/// `GET /api/v1/sinks`
async fn sinks(worker: Worker) -> HttpResponse {
    let mut body = String::new();
    object(&mut body, |object| {
        object.array("items", &worker.desk().sinks.handles, sink);
    });
    json(body)
}

fn sink(handle: &SinkHandle, out: &mut String) {
    let report = handle.report();
    object(out, |object| {
        object
            .text("name", handle.name())
            .text("state", report.state.as_str());
        if let Some(position) = report.position {
            object.display("cursor", position);
        }
        object
            .count("lag", report.lag)
            .count("written", report.written)
            .count("gone", report.gone)
            .count("dead_letters", handle.dead_letters().listed())
            .count("dead_letters_total", handle.dead_letters().total());
        if let Some(since) = report.failing_since {
            object.text("failing_since", &since.to_string());
        }
        if let Some(error) = &report.error {
            object.text("error", error);
        }
    });
}

/// `GET /api/v1/sinks/{name}/dead-letters`
async fn dead_letters(http: HttpRequest, name: Path<String>, worker: Worker) -> HttpResponse {
    let answer = async {
        let parameters = parameters(&http)?;
        let after = match parameters.cursor.as_deref() {
            None => None,
            Some(text) => Some(text.parse::<Offset>().map_err(|_| cursor_malformed(text))?),
        };
        let limit = limit(parameters.limit.as_deref())?.min(LETTERS_MAX);
        let dead = handle(worker.desk(), &name)?.dead_letters().clone();
        let letters = {
            let dead = dead.clone();
            blocking(move || Ok(dead.list(after, limit))).await?
        };
        let letters = letters.map_err(|err| unreadable(&err.to_string()))?;
        let mut body = String::new();
        object(&mut body, |object| {
            object
                .count("total", dead.total())
                .array("items", &letters, |letter, out| {
                    out.push_str(&letter.to_json());
                });
            if let Some(last) = letters.last().filter(|_| letters.len() == limit) {
                object.display("next", last.offset);
            }
        });
        Ok(body)
    };
    match answer.await {
        Ok(body) => json(body),
        Err(refusal) => problem(&refusal, |_| {}),
    }
}

/// `POST /api/v1/sinks/{name}/dead-letters/retry`
async fn retry_dead_letters(http: HttpRequest, name: Path<String>, worker: Worker) -> HttpResponse {
    let desk = worker.desk();
    let retried = guard::admin(&http, desk).and_then(|()| {
        let handle = handle(desk, &name)?;
        handle.retry_dead_letters();
        Ok(handle.dead_letters().listed())
    });
    match retried {
        Ok(listed) => {
            let mut body = String::new();
            object(&mut body, |object| {
                object.count("retrying", listed);
            });
            let mut response = HttpResponse::Accepted();
            response.content_type("application/json").body(body)
        }
        Err(refusal) => problem(&refusal, |_| {}),
    }
}

fn handle<'d>(desk: &'d Desk, name: &str) -> Result<&'d SinkHandle, Refusal> {
    let known = desk.sinks.get(name);
    known.ok_or_else(|| not_found("sink_not_found", "there is no such sink; see /api/v1/sinks"))
}

fn store(desk: &Desk) -> Result<TraceStore, Refusal> {
    desk.sinks.traces.clone().ok_or_else(|| {
        let detail = "no traces are kept to be asked for here: traces.store is off";
        not_found("traces_off", detail)
    })
}

fn not_found(code: &'static str, detail: &str) -> Refusal {
    Refusal::new(RefusalKind::NotFound, code, detail)
}

/// Reads the disk where nobody waits for the thread.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, TraceStoreError> + Send + 'static,
) -> Result<T, Refusal> {
    match web::block(read).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(err)) => Err(unreadable(&err.to_string())),
        Err(err) => Err(unreadable(&err.to_string())),
    }
}

fn unreadable(err: &str) -> Refusal {
    tracing::error!(err, "what a sink keeps cannot be read");
    let detail = "what is kept cannot be read; look at the log of the broker";
    Refusal::new(RefusalKind::Internal, "traces_unreadable", detail)
}

fn parameters(http: &HttpRequest) -> Result<Parameters, Refusal> {
    let query = UrlQuery::<Parameters>::from_query(http.query_string());
    let query = query.map_err(|err| {
        let detail = format!("the query cannot be read: {err}");
        Refusal::invalid("query_malformed", detail)
    })?;
    Ok(query.into_inner())
}

impl Parameters {
    fn query(&self) -> Result<Query, Refusal> {
        let order = match self.order.as_deref() {
            None | Some("asc") => Order::Ascending,
            Some("desc") => Order::Descending,
            Some(other) => {
                let detail = format!("order={other:?} is neither asc nor desc");
                return Err(Refusal::invalid("order_malformed", detail).on("order"));
            }
        };
        let after = match self.cursor.as_deref() {
            None => None,
            Some(text) => Some(text.parse().map_err(|()| cursor_malformed(text))?),
        };
        Ok(Query {
            from: instant("from", self.from.as_deref())?,
            to: instant("to", self.to.as_deref())?,
            agent: self.agent.clone(),
            key: self.key.clone(),
            trace: self.trace.clone(),
            order,
            after,
            limit: limit(self.limit.as_deref())?,
            bytes: MAX_BYTES,
        })
    }

    /// What the rows of a table must say, and whether they come with their record.
    fn wanted(&self, table: Table) -> Result<Wanted, Refusal> {
        let with_record = match self.include.as_deref() {
            None => table != Table::Traces,
            Some("record") => true,
            Some(other) => {
                let detail = format!("include={other:?} is not known; it takes record");
                return Err(Refusal::invalid("include_malformed", detail).on("include"));
            }
        };
        let filters = [
            ("event_type", &self.event_type, Table::Events),
            ("model", &self.model, Table::LlmCalls),
            ("status", &self.status, Table::LlmCalls),
        ];
        let mut equal = Vec::new();
        for (name, value, of) in filters {
            let Some(value) = value else { continue };
            let place = table
                .columns()
                .iter()
                .position(|column| column.name == name);
            match place.filter(|_| of == table) {
                Some(place) => equal.push((place, value.clone())),
                None => {
                    let detail = format!("{name}= does not apply here; it is for {}", of.name());
                    return Err(Refusal::invalid("query_malformed", detail).on(name));
                }
            }
        }
        Ok(Wanted { with_record, equal })
    }
}

/// What rows must say to be answered with.
struct Wanted {
    with_record: bool,
    equal: Vec<(usize, String)>,
}

fn instant(name: &'static str, text: Option<&str>) -> Result<Option<Stamp>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let stamp = text.parse().map_err(|_| {
        let detail = format!("{name}={text:?} is no instant such as 2026-01-01T06:00:00Z");
        Refusal::invalid("instant_malformed", detail).on(name)
    })?;
    Ok(Some(stamp))
}

fn cursor_malformed(text: &str) -> Refusal {
    let detail = format!("cursor={text:?} is none; take the next of the page before");
    Refusal::invalid("cursor_malformed", detail).on("cursor")
}

fn limit(text: Option<&str>) -> Result<usize, Refusal> {
    let Some(text) = text else {
        return Ok(DEFAULT_LIMIT);
    };
    let limit = text.parse().ok();
    let limit = limit.filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| {
        let detail = format!(
            "limit={text:?} is no size of a page; give a whole number from 1 to {MAX_LIMIT}"
        );
        Refusal::invalid("limit_malformed", detail).on("limit")
    })
}

fn rows(page: &Page, table: Table, wanted: &Wanted) -> Result<String, TraceStoreError> {
    let mut items: Vec<String> = Vec::new();
    for kept in &page.items {
        kept.read(|record| {
            for row in table.rows(kept, record)? {
                let says = |(place, text): &(usize, String)| match &row[*place] {
                    Cell::Text(found) => found == text,
                    _ => false,
                };
                if wanted.equal.iter().all(says) {
                    let mut item = String::with_capacity(512);
                    write_row(&mut item, table, &row, wanted.with_record);
                    items.push(item);
                }
            }
            Ok(())
        })?;
    }
    let mut body =
        String::with_capacity(items.iter().map(|item| item.len() + 2).sum::<usize>() + 64);
    object(&mut body, |object| {
        object.array("items", &items, |item, out| out.push_str(item));
        if let Some(next) = page.next {
            object.display("next", next);
        }
        object.flag("more", page.next.is_some());
    });
    Ok(body)
}

fn whole(kept: &Kept) -> Result<String, TraceStoreError> {
    Ok(kept.read(|record| {
        let mut body = String::with_capacity(2 * kept.text.len() + 1024);
        let traces = Table::Traces.rows(kept, record)?;
        let events = Table::Events.rows(kept, record)?;
        let calls = Table::LlmCalls.rows(kept, record)?;
        object(&mut body, |object| {
            for row in &traces {
                write_cells(object, Table::Traces, row, true);
            }
            object
                .array("trace_events", &events, |row, out| {
                    write_row(out, Table::Events, row, true);
                })
                .array("trace_llm_calls", &calls, |row, out| {
                    write_row(out, Table::LlmCalls, row, true);
                });
        });
        Ok(body)
    })?)
}
