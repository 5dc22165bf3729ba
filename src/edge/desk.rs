//! What handlers share, and what each worker has of its own.

use std::cell::RefCell;
use std::future::{Ready, ready};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::sigils::desk::SigilDesk;
use crate::config::AdminSettings;
use crate::store::sinks::Sinks;
use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpRequest, error};
use actors::clock::Clock;
use actors::emitter::{CountsHandle, Emitter, Offer, Order, Receipt, Shares, Tray};
use actors::hub::Hub;
use actors::mail::Post;
use actors::metrics::{Metrics, Stage};
use actors::phase::{PhaseKeeper, StateCell};
use actors::rituals::board::BoardHandle;
use actors::rituals::{Responder, Throttles};
use actors::scribe::{Durability, Scribe};
use actors::shard::ShardHandle;
use actors::tail::Tail;
use glint::{Draft, Refusal, RefusalKind, Zone, draft};
use prometheus::{Histogram, Registry};
use uuid::{ContextV7, Timestamp, Uuid};

use super::provenance;

use super::coherence::Window;

/// What the edge runs on.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest glint in bytes.
    pub glint_bytes: usize,
    /// Largest body with several glints in bytes.
    pub batch_bytes: usize,
    /// Most glints in one body.
    pub batch_glints: usize,
    /// Time for a body to arrive.
    pub body_timeout: Duration,
    /// Whether streams get the socket of their connection for themselves, where they can.
    pub hand_off: bool,
    /// How long a refused stream is held, since some clients come back at once, for ever.
    pub refusal_delay: Duration,
}

impl Limits {
    /// Lets a draft pass that keeps to the size of a glint.
    ///
    /// It is measured as it goes out and is kept, in ASCII, whichever way it came in: escapes make it longer.
    ///
    /// # Errors
    /// `glint_too_large`.
    pub fn check(&self, draft: Draft) -> Result<Draft, Refusal> {
        let (bytes, max) = (draft.text.len(), self.glint_bytes);
        if bytes <= max {
            return Ok(draft);
        }
        let detail =
            format!("the glint has {bytes} bytes of ASCII, the limit is {max}; send less at once");
        let (kind, code) = (RefusalKind::TooLarge, "glint_too_large");
        Err(Refusal::new(kind, code, detail))
    }
}

/// Rules and runs, as the edge sees them.
#[derive(Debug)]
pub struct Rituals {
    /// Who does it; nobody where rituals are off.
    pub office: Option<Post<Responder>>,
    /// What is shown of it.
    pub board: BoardHandle,
    /// Which sources wait.
    pub throttles: Throttles,
    /// How many rituals may follow from each other.
    pub chain_max: u32,
}

/// What all workers share.
#[derive(Debug)]
pub struct Desk {
    /// Signed traces.
    pub accord: super::accord::Office,
    /// Bounds.
    pub limits: Limits,
    /// Who may change how the broker works.
    pub admin: AdminSettings,
    /// What an acknowledgement means.
    pub durability: Durability,
    /// Where events are kept, if they are.
    pub scribe: Option<Scribe>,
    /// How the way there is shared.
    pub shares: Shares,
    /// Where glints go.
    pub emitter: Post<Emitter>,
    /// What gives them their places.
    pub order: Order,
    /// Who is connected.
    pub hub: Post<Hub>,
    /// Who keeps the state.
    pub phase: Post<PhaseKeeper>,
    /// What the broker does by itself, if it does.
    pub rituals: Rituals,
    /// The past.
    pub tail: Tail,
    /// How many glints there were.
    pub counts: CountsHandle,
    /// The breath.
    pub state: StateCell,
    /// Which sources keep time.
    pub coherence: Window,
    /// The time.
    pub clock: Clock,
    /// When the process opened.
    pub opened: tokio::time::Instant,
    /// What zoneless times are local to.
    pub zone: Zone,
    /// What the cast counts.
    pub metrics: Metrics,
    /// Where all of it is registered.
    pub registry: Registry,
    /// Whether the broker is stopping.
    pub draining: AtomicBool,
    /// The registry.
    pub sigils: SigilDesk,
    /// Where traces are kept besides the log.
    pub sinks: Sinks,
    /// How long reading a body takes.
    pub accept_seconds: Histogram,
    /// How long the emitter takes.
    pub admit_seconds: Histogram,
}

impl Desk {
    /// Tells whether the broker is stopping.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Returns the histogram of a stage, for [`Desk::accept_seconds`] and [`Desk::admit_seconds`].
    #[must_use]
    pub fn stages(metrics: &Metrics) -> (Histogram, Histogram) {
        (metrics.stage(Stage::Accept), metrics.stage(Stage::Admit))
    }
}

/// The worker that handles a request. Cheap to clone; never leaves its thread.
#[derive(Debug, Clone)]
pub struct Worker {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    desk: Arc<Desk>,
    shard: ShardHandle,
    tray: Tray,
    ids: RefCell<ContextV7>,
}

impl Worker {
    /// Makes a worker with its shard.
    #[must_use]
    pub fn new(desk: Arc<Desk>, shard: ShardHandle) -> Worker {
        Worker {
            inner: Rc::new(Inner {
                tray: Tray::new(desk.emitter.clone(), desk.order.clone()),
                desk,
                shard,
                ids: RefCell::new(ContextV7::new()),
            }),
        }
    }

    /// Returns what all workers share.
    #[must_use]
    pub fn desk(&self) -> &Arc<Desk> {
        &self.inner.desk
    }

    /// Offers glints to the emitter.
    ///
    /// # Errors
    /// As the emitter refuses, and when it is full or late.
    pub async fn offer(&self, offer: Offer) -> Result<Receipt, Refusal> {
        let desk = self.desk();
        desk.rituals
            .throttles
            .check(&offer.drafts, desk.clock.now())?;
        let source = offer
            .drafts
            .first()
            .and_then(|draft| draft.source.as_deref());
        let _in_flight = desk.shares.enter(source)?;
        let started = desk.clock.instant();
        let receipt = self.inner.tray.offer(offer).await;
        let receipt = receipt.map_err(|refusal| match refusal.kind {
            RefusalKind::Busy => refusal.retry_after(desk.shares.retry_after_seconds()),
            _ => refusal,
        })?;
        desk.admit_seconds
            .observe(desk.clock.instant().duration_since(started).as_secs_f64());
        receipt
    }

    /// Returns the shard of this worker.
    #[must_use]
    pub fn shard(&self) -> &ShardHandle {
        &self.inner.shard
    }

    /// Returns an id that no glint had before: a UUIDv7, in the order of time.
    #[must_use]
    pub fn fresh_id(&self) -> Uuid {
        let micros = u64::try_from(self.desk().clock.now().0).unwrap_or(0);
        let (seconds, nanos) = (micros / 1_000_000, (micros % 1_000_000) as u32 * 1000);
        Uuid::new_v7(Timestamp::from_unix(
            &*self.inner.ids.borrow(),
            seconds,
            nanos,
        ))
    }

    /// Reads one glint.
    ///
    /// # Errors
    /// As [`provenance::draft`] and [`Limits::check`].
    pub fn draft(&self, body: &[u8]) -> Result<Draft, Refusal> {
        let limits = &self.desk().limits;
        let value = draft::read_json(body, limits.glint_bytes)?;
        limits.check(provenance::draft(value, self, Draft::from_value)?)
    }
}

impl FromRequest for Worker {
    type Error = Error;
    type Future = Ready<Result<Worker, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let worker = request.app_data::<Worker>().cloned();
        ready(worker.ok_or_else(|| error::ErrorInternalServerError("no worker")))
    }
}
