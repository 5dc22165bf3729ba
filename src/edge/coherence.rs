//! Which sources keep time: the addresses of coherence, its memory and its witnesses.
//!
//! What is read needs nothing; what a person decides needs the token of the administrator and is witnessed.
//!
//! Layout:
//! - `coherence/evaluate.rs`: the estimator as a pure function.
//! - `coherence/memory.rs`: signatures, history, reconstruction and witnesses, read out of the one order.

mod evaluate;
mod memory;

use actix_web::web::{self, Payload, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use actors::coherence::{Act, Ask, Coherence, Gate, Order, contract_of, entry_of, whole};
use actors::mail::Post;
use coherence::{Condition, Overlay};
use glint::json::{self, Object, Value};
use glint::{Offset, Refusal, RefusalKind, Stamp};
use serde::Deserialize;

use super::desk::{Desk, Worker};
use super::guard;
use super::intake;
use super::problem::{json as json_answer, problem};
use super::routes::resource;

/// Largest body that decides something.
const BODY_BYTES: usize = 64 << 10;
/// Rows of a table when nothing is said, and at most.
const ROWS: (usize, usize) = (100, 1000);

/// What the edge knows of coherence.
#[derive(Debug, Clone)]
pub struct Window {
    /// The office, if it is there.
    pub office: Option<Post<Coherence>>,
    /// The gate.
    pub gate: Gate,
}

impl Window {
    /// Adds to a receipt what is said of its source, if anything but watching is done about it.
    pub fn say(&self, object: &mut Object<'_>, source: Option<&str>, now: Stamp) {
        if let Some(judged) = self.gate.judge(source, now) {
            object.object("coherence", |object| {
                object
                    .text("state", judged.condition.as_str())
                    .text("action", judged.verdict.as_str());
            });
        }
    }

    fn office(&self) -> Result<&Post<Coherence>, Refusal> {
        self.office.as_ref().ok_or_else(|| {
            let detail = "sources are not measured here; set coherence.enabled";
            Refusal::new(RefusalKind::Unavailable, "coherence_off", detail)
        })
    }

    async fn ask(&self, ask: Ask) -> Result<String, Refusal> {
        self.office()?.ask(ask, 0).await?
    }

    async fn act(&self, act: Act) -> Result<String, Refusal> {
        self.office()?.ask(act, BODY_BYTES).await?
    }
}

/// Puts the addresses in place.
pub fn configure(config: &mut ServiceConfig) {
    let read = "GET, OPTIONS";
    config
        .service(resource("/coherence", read).route(web::get().to(summary)))
        .service(resource("/coherence/sources", read).route(web::get().to(sources)))
        .service(resource("/coherence/sources/{id}", read).route(web::get().to(source)))
        .service(
            resource("/coherence/sources/{id}/history", read).route(web::get().to(memory::history)),
        )
        .service(
            resource("/coherence/sources/{id}/contract", "DELETE, OPTIONS, PUT")
                .route(web::put().to(set_contract))
                .route(web::delete().to(drop_contract)),
        )
        .service(
            resource("/coherence/sources/{id}/{action}", "OPTIONS, POST")
                .route(web::post().to(decide)),
        )
        .service(
            resource("/coherence/quarantine/promote", "OPTIONS, POST")
                .route(web::post().to(promote)),
        )
        .service(resource("/coherence/reconstruct", read).route(web::get().to(memory::reconstruct)))
        .service(
            resource("/coherence/evaluate", "OPTIONS, POST")
                .route(web::post().to(evaluate::answer)),
        )
        .service(
            resource("/memory/signatures", "GET, OPTIONS, POST")
                .route(web::get().to(memory::signatures))
                .route(web::post().to(sign)),
        )
        .service(resource("/memory/verify", read).route(web::get().to(memory::verify)))
        .service(resource("/witness", read).route(web::get().to(memory::witness)))
        .service(resource("/mesh", read).route(web::get().to(mesh)))
        .service(resource("/mesh/peers", read).route(web::get().to(mesh)))
        .service(resource("/mesh/exchange", "OPTIONS, POST").route(web::post().to(exchange)));
}

/// Answers with what an office said, or why it did not.
fn answered(answer: Result<String, Refusal>) -> HttpResponse {
    match answer {
        Ok(answer) => json_answer(answer),
        Err(refusal) => problem(&refusal, |_| {}),
    }
}

async fn summary(worker: Worker) -> HttpResponse {
    answered(worker.desk().coherence.ask(Ask::Summary).await)
}

async fn mesh(worker: Worker) -> HttpResponse {
    answered(worker.desk().coherence.ask(Ask::Mesh).await)
}

async fn source(worker: Worker, id: web::Path<String>) -> HttpResponse {
    let ask = Ask::Source(id.into_inner().into());
    answered(worker.desk().coherence.ask(ask).await)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    state: Option<String>,
    sort: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

async fn sources(http: HttpRequest, worker: Worker) -> HttpResponse {
    let ask = query::<Table>(&http).and_then(|table| {
        let known = || {
            let conditions = Condition::ALL.into_iter().map(Condition::as_str);
            conditions.chain(Overlay::ALL.into_iter().map(Overlay::as_str))
        };
        if let Some(state) = table
            .state
            .as_deref()
            .filter(|state| known().all(|word| word != *state))
        {
            return Err(unknown("state", state, known()));
        }
        let order = table.sort.as_deref().unwrap_or("source");
        let order = Order::ALL
            .into_iter()
            .find(|(word, _)| *word == order)
            .ok_or_else(|| unknown("sort", order, Order::ALL.into_iter().map(|(word, _)| word)))?;
        Ok(Ask::Sources {
            state: table.state.map(Into::into),
            order: order.1,
            skip: number("cursor", table.cursor.as_deref(), 0, usize::MAX)?,
            limit: number("limit", table.limit.as_deref(), ROWS.0, ROWS.1)?,
        })
    });
    answered(match ask {
        Ok(ask) => worker.desk().coherence.ask(ask).await,
        Err(refusal) => Err(refusal),
    })
}

async fn set_contract(
    http: HttpRequest,
    payload: Payload,
    worker: Worker,
    id: web::Path<String>,
) -> HttpResponse {
    let read = body(&http, payload, &worker, contract_of).await;
    answered(match read {
        Ok(contract) => {
            let source = id.into_inner().into();
            worker
                .desk()
                .coherence
                .act(Act::SetContract { source, contract })
                .await
        }
        Err(refusal) => Err(refusal),
    })
}

async fn drop_contract(http: HttpRequest, worker: Worker, id: web::Path<String>) -> HttpResponse {
    decided(
        &http,
        &worker,
        Ok(Act::DropContract(id.into_inner().into())),
    )
    .await
}

async fn decide(
    http: HttpRequest,
    worker: Worker,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    let (id, action) = path.into_inner();
    let act = match action.as_str() {
        "release" => Ok(Act::Release(id.into())),
        "quarantine" => Ok(Act::Hold(id.into())),
        "reset" => Ok(Act::Reset(id.into())),
        _ => {
            let detail = format!(
                "{action:?} is nothing that can be done; one of: release, quarantine, reset"
            );
            Err(Refusal::new(
                RefusalKind::NotFound,
                "action_unknown",
                detail,
            ))
        }
    };
    decided(&http, &worker, act).await
}

async fn decided(http: &HttpRequest, worker: &Worker, act: Result<Act, Refusal>) -> HttpResponse {
    let act = guard::admin(http, worker.desk()).and(act);
    answered(match act {
        Ok(act) => worker.desk().coherence.act(act).await,
        Err(refusal) => Err(refusal),
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Promotion {
    from: Option<String>,
    to: Option<String>,
    source: Option<String>,
}

async fn promote(http: HttpRequest, worker: Worker) -> HttpResponse {
    let desk = worker.desk();
    let act = query::<Promotion>(&http).and_then(|asked| {
        Ok(Act::Promote {
            after: place(desk, "from", asked.from.as_deref())?
                .unwrap_or_else(|| desk.tail.floor().seq),
            until: place(desk, "to", asked.to.as_deref())?.unwrap_or_else(|| desk.tail.head().seq),
            source: asked.source.map(Into::into),
        })
    });
    decided(&http, &worker, act).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whom {
    source: Option<String>,
}

async fn sign(http: HttpRequest, worker: Worker) -> HttpResponse {
    let act = query::<Whom>(&http).map(|whom| Act::Sign(whom.source.map(Into::into)));
    decided(&http, &worker, act).await
}

async fn exchange(http: HttpRequest, payload: Payload, worker: Worker) -> HttpResponse {
    let taken = worker.desk().clock.now();
    let read = body(&http, payload, &worker, |value| {
        let sent = whole(value, "sent_us")?.map_or(taken, Stamp);
        Ok((entry_of(value)?, sent))
    });
    answered(match read.await {
        Ok((entry, sent)) => {
            let times = (sent, taken);
            worker
                .desk()
                .coherence
                .act(Act::Exchange { entry, times })
                .await
        }
        Err(refusal) => Err(refusal),
    })
}

/// Reads the body of an administrator.
async fn body<T>(
    http: &HttpRequest,
    payload: Payload,
    worker: &Worker,
    read: impl FnOnce(&Value<'_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let desk = worker.desk();
    guard::admin(http, desk)?;
    let body = intake::read(desk, http, payload, BODY_BYTES).await?;
    read(&parsed(&body)?)
}

fn parsed(body: &[u8]) -> Result<Value<'_>, Refusal> {
    json::parse_bytes(body)
        .map_err(|err| Refusal::invalid("json_malformed", format!("the body is not JSON: {err}")))
}

fn query<T: for<'de> Deserialize<'de>>(http: &HttpRequest) -> Result<T, Refusal> {
    let read = Query::<T>::from_query(http.query_string());
    read.map(Query::into_inner).map_err(|err| {
        let detail = format!("the query cannot be read: {err}");
        Refusal::invalid("query_malformed", detail)
    })
}

fn number(
    field: &'static str,
    text: Option<&str>,
    default: usize,
    max: usize,
) -> Result<usize, Refusal> {
    let Some(text) = text else {
        return Ok(default);
    };
    text.parse()
        .ok()
        .filter(|number| *number <= max)
        .ok_or_else(|| {
            let detail = format!("{field}={text:?} is no whole number up to {max}");
            Refusal::invalid("number_malformed", detail).on(field)
        })
}

/// Reads a place of the order: a cursor of this log.
fn place(desk: &Desk, field: &'static str, text: Option<&str>) -> Result<Option<u64>, Refusal> {
    let Some(text) = text else {
        return Ok(None);
    };
    let offset = text
        .parse::<Offset>()
        .ok()
        .filter(|offset| offset.epoch == desk.tail.epoch());
    offset.map(|offset| Some(offset.seq)).ok_or_else(|| {
        let detail =
            format!("{field}={text:?} is no cursor of this log; take one from a page or a stream");
        Refusal::invalid("cursor_malformed", detail).on(field)
    })
}

fn unknown(field: &'static str, word: &str, known: impl Iterator<Item = &'static str>) -> Refusal {
    let known: Vec<&str> = known.collect();
    let detail = format!(
        "{field}={word:?} is not known; one of: {}",
        known.join(", ")
    );
    Refusal::invalid("word_unknown", detail).on(field)
}
