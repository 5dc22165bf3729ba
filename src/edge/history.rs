//! `GET /glints`: history in pages, from memory or from disk.

use actix_web::web::Query;
use actix_web::{HttpRequest, HttpResponse};
use actors::shard::{self, From};
use actors::tail::History;
use glint::json::object;
use glint::{Offset, Refusal, RefusalKind, Topic};
use ledger::LedgerError;
use serde::Deserialize;
use sieve::{Ask, View};

use super::desk::{Desk, Worker};
use super::negotiate;
use super::problem::{json, problem};

/// Events of a page when nothing is said.
const DEFAULT_LIMIT: usize = 100;
/// Most events of a page.
const MAX_LIMIT: usize = 1000;
/// Bytes after which a page ends.
const MAX_BYTES: usize = 4 << 20;
/// Events looked at, whether they match or not, after which a page ends: the next begins where this one stopped.
const MAX_LOOKED_AT: usize = 20_000;
/// Events read at once.
const STRIDE: usize = 512;

#[derive(Debug, Default, Deserialize)]
struct Parameters {
    from: Option<String>,
    to: Option<String>,
    limit: Option<String>,
    topics: Option<String>,
    module: Option<String>,
    phase: Option<String>,
    event: Option<String>,
    filter: Option<String>,
}

/// Answers with a page: `items`, where the next begins (`next`), and whether there is more now.
pub async fn page(http: HttpRequest, worker: Worker) -> HttpResponse {
    match take(&http, worker.desk()).await {
        Ok(answer) => json(answer),
        Err(refusal) => problem(&refusal, |_| {}),
    }
}

async fn take(http: &HttpRequest, desk: &Desk) -> Result<String, Refusal> {
    let parameters = Query::<Parameters>::from_query(http.query_string())
        .map_err(|err| {
            Refusal::invalid(
                "query_malformed",
                format!("the query cannot be read: {err}"),
            )
        })?
        .into_inner();
    let view = View::compile(&Ask {
        // Glints are what is asked for at this address; the rest of the state comes when it is named.
        topics: Some(
            parameters
                .topics
                .as_deref()
                .unwrap_or(Topic::Glints.as_str()),
        ),
        module: parameters.module.as_deref(),
        phase: parameters.phase.as_deref(),
        event: parameters.event.as_deref(),
        filter: parameters.filter.as_deref(),
    })?;
    let limit = limit(parameters.limit.as_deref())?;
    let from = parameters
        .from
        .as_deref()
        .map_or(Ok(From::Earliest), negotiate::place)?;
    let to = parameters.to.as_deref().map(negotiate::to).transpose()?;
    let from = shard::settle(from, &view, &desk.tail)
        .await
        .map_err(|err| unreadable(&err))?;
    let reach = desk.tail.reach(from, to, &view, desk.clock.now())?;
    let mut items: Vec<String> = Vec::new();
    let (mut seen, mut bytes, mut looked_at) = (reach.seen, 0, 0);
    let mut gap = reach.gap;
    while items.len() < limit && bytes < MAX_BYTES && looked_at < MAX_LOOKED_AT {
        match read(desk, seen, reach.until, STRIDE).await? {
            History::Events(events) => {
                for event in events {
                    if items.len() == limit || bytes >= MAX_BYTES {
                        break;
                    }
                    seen = event.offset.seq;
                    looked_at += 1;
                    if view.matches(&event) {
                        let item = wire::plain(&event);
                        bytes += item.len();
                        items.push(item);
                    }
                }
            }
            History::Gone { floor } => {
                let (from, to) = (place(desk, seen), place(desk, floor));
                gap.get_or_insert((from, to, "evicted"));
                seen = floor;
            }
            History::Head | History::Archived => break,
        }
    }
    Ok(answer(desk, &items, seen, reach.until, gap))
}

/// Reads some of history, from memory or from disk.
pub(super) async fn read(
    desk: &Desk,
    after: u64,
    until: u64,
    stride: usize,
) -> Result<History, Refusal> {
    let page = desk.tail.history(after, until, stride);
    let (History::Archived, Some(archive)) = (&page, desk.tail.archive()) else {
        return Ok(page);
    };
    let page = archive.page(after, until, stride).await;
    page.map_err(|err| unreadable(&err))
}

/// Says that the log cannot be read, and why only to the operator.
pub(super) fn unreadable(err: &LedgerError) -> Refusal {
    tracing::error!(%err, "history cannot be read");
    let detail = "history cannot be read; look at the log of the broker";
    Refusal::new(RefusalKind::Internal, "history_unreadable", detail)
}

fn answer(
    desk: &Desk,
    items: &[String],
    seen: u64,
    until: u64,
    gap: Option<(Offset, Offset, &'static str)>,
) -> String {
    let mut answer =
        String::with_capacity(items.iter().map(|item| item.len() + 2).sum::<usize>() + 128);
    object(&mut answer, |object| {
        object.array("items", items, |item, out| out.push_str(item));
        object
            .display("next", place(desk, seen))
            .flag("more", seen < until);
        if let Some((from, to, reason)) = gap {
            object.object("gap", |gap| {
                gap.display("from", from)
                    .display("to", to)
                    .text("reason", reason);
            });
        }
    });
    answer
}

fn place(desk: &Desk, seq: u64) -> Offset {
    Offset {
        epoch: desk.tail.epoch(),
        seq,
    }
}

fn limit(text: Option<&str>) -> Result<usize, Refusal> {
    let Some(text) = text else {
        return Ok(DEFAULT_LIMIT);
    };
    text.parse()
        .ok()
        .filter(|limit| (1..=MAX_LIMIT).contains(limit))
        .ok_or_else(|| {
            let detail = format!(
                "limit={text:?} is no size of a page; give a whole number from 1 to {MAX_LIMIT}"
            );
            Refusal::invalid("limit_malformed", detail).on("limit")
        })
}
