//! Glints in: `POST /stream/glint` as existing agents know it, and `POST /glints`.

use actix_web::web::{Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use actors::emitter::{Item, Key, Offer, Once, Receipt};
use glint::json::{Value, object};
use glint::{Draft, Refusal, RefusalKind, draft};
use serde::Deserialize;

use super::batch::{self, Batch};
use super::desk::{Desk, Worker};
use super::intake;
use super::problem::{self, compatible, problem};
use super::provenance;

/// Refusals that a problem document lists one by one.
const LISTED_REFUSALS: usize = 100;

/// Takes one glint in the manner of the existing glint stream.
pub async fn legacy(http: HttpRequest, payload: Payload, worker: Worker) -> HttpResponse {
    match take_legacy(&http, payload, &worker).await {
        Ok(answer) => problem::json(answer),
        Err(refusal) => compatible(&refusal),
    }
}

async fn take_legacy(
    http: &HttpRequest,
    payload: Payload,
    worker: &Worker,
) -> Result<String, Refusal> {
    if !intake::is_json(&intake::media_type(http)) {
        let detail = "415 Unsupported Media Type: Content-Type was not 'application/json'";
        return Err(
            Refusal::new(RefusalKind::Unsupported, "media_type_unsupported", detail)
                .on("Content-Type"),
        );
    }
    let desk = worker.desk();
    let body = intake::read(desk, http, payload, desk.limits.glint_bytes).await?;
    let value = draft::read_json(&body, desk.limits.glint_bytes).map_err(|mut refusal| {
        if refusal.kind == RefusalKind::Invalid {
            refusal.detail = format!("400 Bad Request: {}", refusal.detail);
        }
        refusal
    })?;
    check_legacy(&value)?;
    let posted_id = value
        .at(&["data", "glint", "id"])
        .map_or_else(|| "null".to_owned(), Value::to_ascii);
    let draft = provenance::draft(value, worker, Draft::from_value)?;
    let draft = desk.limits.check(draft)?;
    let source = draft.source.clone();
    let receipt = worker
        .offer(Offer {
            drafts: vec![draft],
            // Existing agents post the same again, and mean it: without a key, nothing makes it the same.
            once: key(http)?.map_or(Once::Never, Once::Key),
        })
        .await?;
    let mut answer = String::with_capacity(192);
    object(&mut answer, |object| {
        object
            .json("id", &posted_id)
            .count("listeners", desk.metrics.open_streams())
            .text("status", "glint_broadcast");
        if let Some(item) = receipt.items.first() {
            object
                .text("glint_id", &item.id)
                .display("cursor", item.offset);
        }
        object
            .text("durability", desk.durability.as_str())
            .flag("replayed", receipt.replayed);
        let now = desk.clock.now();
        desk.coherence.say(object, source.as_deref(), now);
    });
    Ok(answer)
}

/// Refuses what the existing server refuses. What it broadcast all the same is refused here before anybody sees it.
fn check_legacy(value: &Value<'_>) -> Result<(), Refusal> {
    let is_falsy = match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(_) => value.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(true) => false,
    };
    if is_falsy {
        return Err(Refusal::invalid("glint_empty", "No glint data provided"));
    }
    for path in [&["data"][..], &["data", "glint"]] {
        if let Some(inner) = value.at(path).filter(|inner| inner.as_object().is_none()) {
            let field = path.join(".");
            let detail = format!(
                "{field} is a JSON {}; send an object, or leave it out",
                inner.type_name()
            );
            return Err(Refusal::invalid("glint_not_object", detail).on(field));
        }
    }
    Ok(())
}

/// The parameters of `POST /glints`.
#[derive(Debug, Default, Deserialize)]
struct Parameters {
    #[serde(default)]
    partial: bool,
    #[serde(default)]
    dry_run: bool,
}

/// Takes one glint, a JSON array of them, NDJSON, or CloudEvents.
pub async fn publish(http: HttpRequest, payload: Payload, worker: Worker) -> HttpResponse {
    let parameters = match Query::<Parameters>::from_query(http.query_string()) {
        Ok(parameters) => parameters.into_inner(),
        Err(err) => {
            let detail =
                format!("the query cannot be read: {err}; partial and dry_run take true or false");
            return problem(&Refusal::invalid("query_malformed", detail), |_| {});
        }
    };
    match take(&http, payload, &worker, &parameters).await {
        Ok(answer) => answer,
        Err(refusal) => problem(&refusal, |_| {}),
    }
}

async fn take(
    http: &HttpRequest,
    payload: Payload,
    worker: &Worker,
    parameters: &Parameters,
) -> Result<HttpResponse, Refusal> {
    let desk = worker.desk();
    let once = key(http)?.map_or(Once::Content, Once::Key);
    let body = intake::read(desk, http, payload, desk.limits.batch_bytes).await?;
    let Batch { items, is_list } = batch::read(http, &body, worker)?;
    let refused: Vec<(usize, &Refusal)> = items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| Some((index, item.as_ref().err()?)))
        .collect();
    let may_part = parameters.partial && is_list;
    if !may_part && !refused.is_empty() {
        return Ok(refuse_all(&refused, is_list));
    }
    let ids = items
        .iter()
        .map(|item| item.as_ref().ok().map(|draft| draft.id.clone()))
        .collect::<Vec<_>>();
    let (drafts, refusals): (Vec<_>, Vec<_>) = items.into_iter().partition(Result::is_ok);
    let drafts: Vec<Draft> = drafts.into_iter().flatten().collect();
    let mut refusals = refusals.into_iter().filter_map(Result::err);
    let receipt = match (parameters.dry_run, drafts.is_empty()) {
        (false, false) => Some(worker.offer(Offer { drafts, once }).await?),
        _ => None,
    };
    let mut receipts = receipt.iter().flat_map(|receipt| receipt.items.iter());
    let results: Vec<Outcome> = ids
        .into_iter()
        .filter_map(|id| match id {
            Some(id) if parameters.dry_run => Some(Outcome::Good(id)),
            Some(_) => receipts.next().map(|item| Outcome::Taken(item.clone())),
            None => refusals.next().map(Outcome::Refused),
        })
        .collect();
    Ok(problem::json(answer(
        desk,
        &results,
        is_list,
        parameters.dry_run,
        receipt.as_ref(),
    )))
}

/// What became of one glint.
enum Outcome {
    /// It would be taken.
    Good(Box<str>),
    /// It was taken.
    Taken(Item),
    /// It was not.
    Refused(Refusal),
}

fn answer(
    desk: &Desk,
    results: &[Outcome],
    is_list: bool,
    dry_run: bool,
    receipt: Option<&Receipt>,
) -> String {
    let mut answer = String::with_capacity(128 + results.len() * 80);
    let refused = results
        .iter()
        .filter(|result| matches!(result, Outcome::Refused(_)))
        .count();
    object(&mut answer, |object| {
        if let ([result], false) = (results, is_list) {
            outcome(object, result);
        } else {
            object
                .count("accepted", (results.len() - refused) as u64)
                .count("refused", refused as u64);
        }
        object
            .text("durability", desk.durability.as_str())
            .count("listeners", desk.metrics.open_streams());
        object.flag("replayed", receipt.is_some_and(|receipt| receipt.replayed));
        if dry_run {
            object.flag("dry_run", true);
        }
        if is_list {
            object.array(
                "items",
                results.iter().enumerate(),
                |(index, result), out| {
                    glint::json::object(out, |object| {
                        object.count("index", index as u64);
                        outcome(object, result);
                    });
                },
            );
        }
    });
    answer
}

fn outcome(object: &mut glint::json::Object<'_>, outcome: &Outcome) {
    match outcome {
        Outcome::Good(id) => object.text("id", id),
        Outcome::Taken(item) => object.text("id", &item.id).display("cursor", item.offset),
        Outcome::Refused(refusal) => {
            object.object("error", |error| problem::members(error, refusal))
        }
    };
}

/// Answers for a body of which nothing was taken, and says what is wrong with each glint.
fn refuse_all(refused: &[(usize, &Refusal)], is_list: bool) -> HttpResponse {
    let Some((_, first)) = refused.first() else {
        return problem::json("{}".to_owned());
    };
    if !is_list {
        return problem(first, |_| {});
    }
    let mut refusal = Refusal::new(first.kind, "batch_refused", "");
    refusal.detail = format!(
        "{} glints of this batch are not good, so none was taken; mend them, or send ?partial=true to have the others taken",
        refused.len()
    );
    problem(&refusal, |object| {
        object.array(
            "errors",
            refused.iter().take(LISTED_REFUSALS),
            |(index, refusal), out| {
                glint::json::object(out, |object| {
                    object.count("index", *index as u64);
                    problem::members(object, refusal);
                });
            },
        );
    })
}

fn key(http: &HttpRequest) -> Result<Option<Key>, Refusal> {
    let Some(value) = http.headers().get("idempotency-key") else {
        return Ok(None);
    };
    Key::new(value.to_str().unwrap_or_default()).map(Some)
}
