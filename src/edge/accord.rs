//! Signed traces in, and the keys that sign them.
//!
//! A batch is checked to the end before anything is done with it: form, keys, signatures, contents. Small ones are
//! checked on the worker; large ones would hold up its streams and go to the pool for what blocks.

mod digest;
mod keys;

use std::sync::Arc;

use actix_web::web::{self, Bytes, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use actors::accord::{Accord, Outcome, RingCell, Take, refusal};
use actors::clock::Clock;
use actors::mail::Post;
use attest::{Attestor, Batch, Code, Fault, Kept, Limits, Rules, Scrub, Tape};
use glint::json::{Object, object};
use glint::{Refusal, RefusalKind};
use prometheus::{IntCounterVec, Opts, Registry};

use super::desk::Worker;
use super::intake;
use super::problem::{self, problem};
use super::routes::resource;

/// Bodies that are checked on the worker.
const INLINE_BYTES: usize = 64 * 1024;
/// Largest record of a trace: escapes make it longer than it came.
const RECORD_MAX_BYTES: usize = 32 << 20;
/// When a broker that is leaving has been replaced.
const DRAIN_RETRY_SECONDS: u32 = 5;

/// What the edge has of the office of signed traces.
#[derive(Debug)]
pub struct Office {
    /// Where traces and changes of keys go.
    pub post: Post<Accord>,
    /// The keys as they are now.
    pub ring: RingCell,
    /// What is taken out.
    pub rules: Arc<Rules>,
    /// Who attests that.
    pub attestor: Arc<Attestor>,
    /// Largest body of a batch in bytes.
    pub body_limit: usize,
    /// Batches that were refused, by code.
    pub refused: IntCounterVec,
}

impl Office {
    /// Makes the counter of refusals and registers it.
    ///
    /// # Errors
    /// When the registry holds its name already.
    pub fn counter(registry: &Registry) -> prometheus::Result<IntCounterVec> {
        let opts = Opts::new(
            "refused_total",
            "Batches of signed traces refused, by code.",
        );
        let opts = opts.namespace("glintcast").subsystem("accord");
        let counter = IntCounterVec::new(opts, &["code"])?;
        registry.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    fn count(&self, refusal: &Refusal) {
        let is_fault = Code::ALL.iter().any(|code| code.as_str() == refusal.code);
        let code = if is_fault { refusal.code } else { "other" };
        self.refused.with_label_values(&[code]).inc();
    }
}

/// Puts the addresses in place.
pub fn configure(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v1/accord/events", "OPTIONS, POST").route(web::post().to(events)));
    config.service(
        resource("/api/v1/accord/public-keys", "GET, OPTIONS, POST")
            .route(web::get().to(keys::list))
            .route(web::post().to(keys::enrol)),
    );
    config.service(
        resource(
            "/api/v1/accord/public-keys/{key_id}/revoke",
            "OPTIONS, POST",
        )
        .route(web::post().to(keys::revoke)),
    );
}

/// Takes a batch of signed traces: all of them, or none.
async fn events(http: HttpRequest, payload: Payload, worker: Worker) -> HttpResponse {
    match take(&http, payload, &worker).await {
        Ok(answer) => problem::json(answer),
        Err(refusal) => {
            worker.desk().accord.count(&refusal);
            problem(&refusal, |_| {})
        }
    }
}

async fn take(http: &HttpRequest, payload: Payload, worker: &Worker) -> Result<String, Refusal> {
    let desk = worker.desk();
    let office = &desk.accord;
    if desk.is_draining() {
        let detail = "this broker is stopping; send again later";
        let refusal = Refusal::new(RefusalKind::Unavailable, "draining", detail);
        return Err(refusal.retry_after(DRAIN_RETRY_SECONDS));
    }
    let digests = digest::announced(http)?;
    let body = intake::read(desk, http, payload, office.body_limit).await?;
    digest::check(&digests, &body)?;
    let check = Check {
        ring: office.ring.clone(),
        rules: office.rules.clone(),
        attestor: office.attestor.clone(),
        clock: desk.clock.clone(),
        body_limit: office.body_limit,
    };
    let checked = if body.len() <= INLINE_BYTES {
        check.run(&body)
    } else {
        let checked = web::block(move || check.run(&body)).await;
        checked.map_err(|_| {
            let detail = "this broker is stopping; send again later";
            Refusal::new(RefusalKind::Unavailable, "draining", detail)
        })?
    };
    let traces = checked.map_err(refusal)?;
    // Nobody gets here without a key, so shares are of keys.
    let signer = traces.first().map(|kept| kept.key_id.clone());
    let _in_flight = desk.shares.enter(signer.as_deref())?;
    let summaries: Vec<Summary> = traces.iter().map(Summary::of).collect();
    let take = Take { traces };
    let weight = take.weight_bytes();
    let outcomes = office.post.ask(take, weight).await.map_err(|refusal| {
        let seconds = desk.shares.retry_after_seconds();
        match refusal.kind {
            RefusalKind::Busy => refusal.retry_after(seconds),
            _ => refusal,
        }
    })??;
    Ok(answer(&summaries, &outcomes, desk.durability.as_str()))
}

/// All that checking a batch takes, so that it can go to another thread.
struct Check {
    ring: RingCell,
    rules: Arc<Rules>,
    attestor: Arc<Attestor>,
    clock: Clock,
    body_limit: usize,
}

impl Check {
    fn run(&self, body: &Bytes) -> Result<Vec<Kept>, Fault> {
        let limits = Limits {
            bytes: self.body_limit,
            ..Limits::default()
        };
        let tape = Tape::read(body, &limits)?;
        let batch = Batch::read(&tape)?;
        let now = self.clock.now();
        let scrub = Scrub {
            rules: &self.rules,
            attestor: &self.attestor,
        };
        let sealed = batch.verify(&self.ring.read(), now)?;
        let kept = sealed.into_iter().map(|sealed| {
            let kept = sealed.keep(&batch, scrub, now);
            if kept.text.len() <= RECORD_MAX_BYTES {
                return Ok(kept);
            }
            let detail = format!(
                "the trace has {} bytes as it would be kept, the limit is {RECORD_MAX_BYTES}",
                kept.text.len()
            );
            Err(Fault::new(Code::TooLarge, detail))
        });
        kept.collect()
    }
}

/// What is said of a trace.
struct Summary {
    trace_id: String,
    content: String,
    rows: u32,
    conflicted: u32,
    llm_rows: u32,
    scrubbed: u32,
}

impl Summary {
    fn of(kept: &Kept) -> Summary {
        Summary {
            trace_id: kept.trace_id.clone(),
            content: kept.content.to_string(),
            rows: kept.rows,
            conflicted: kept.conflicted,
            llm_rows: kept.llm_rows,
            scrubbed: kept.scrubbed,
        }
    }

    /// Rows, conflicts, rows of calls and scrubbed values, given what became of it: of what is not stored, all its
    /// components conflict.
    fn counts(&self, outcome: Outcome) -> [u32; 4] {
        match outcome {
            Outcome::Stored(_) => [self.rows, self.conflicted, self.llm_rows, self.scrubbed],
            Outcome::Duplicate(_) | Outcome::Conflict(_) => [0, self.rows + self.conflicted, 0, 0],
        }
    }
}

fn answer(summaries: &[Summary], outcomes: &[Outcome], durability: &str) -> String {
    let mut answer = String::with_capacity(256 + summaries.len() * 320);
    let all = summaries.iter().zip(outcomes);
    let sum = |place: usize| -> u64 {
        let counts = all.clone();
        counts
            .map(|(summary, outcome)| u64::from(summary.counts(*outcome)[place]))
            .sum()
    };
    object(&mut answer, |object| {
        object
            .text("status", "ok")
            .text("durability", durability)
            .count("received", summaries.len() as u64)
            .count("signatures_verified", summaries.len() as u64)
            .count("rows", sum(0))
            .count("conflicted", sum(1))
            .count("llm_rows", sum(2))
            .count("scrubbed_fields", sum(3))
            .array("traces", all.clone(), |(summary, outcome), out| {
                glint::json::object(out, |object| describe(object, summary, *outcome));
            });
    });
    answer
}

fn describe(object: &mut Object<'_>, summary: &Summary, outcome: Outcome) {
    let [rows, conflicted, llm_rows, scrubbed] = summary.counts(outcome);
    object
        .text("trace_id", &summary.trace_id)
        .text("content", &summary.content)
        .text("outcome", outcome.as_str())
        .display("cursor", outcome.offset())
        .count("rows", rows.into())
        .count("conflicted", conflicted.into())
        .count("llm_rows", llm_rows.into())
        .count("scrubbed_fields", scrubbed.into());
}
