//! The scribe: what the emitter has placed goes to disk here, and only then to anybody else.
//!
//! A thread, not an actor: it blocks. It takes all groups that wait, writes them with one sync, shows them to the tail,
//! answers those who wait for their receipts, and rings the workers. After a failed write or sync it answers nobody with
//! yes again, says why in [`Scribe::fault`], and has the process end: the next start finds out what the disk has.
//!
//! Layout:
//! - [`Scribe`]: the handle, and the thread behind it.
//! - [`archive`]: reading what memory no longer holds.
//! - `gather`: waiting for those who were just answered.
//! - `queue`: what waits for the thread.
//! - `record`: an event as the payload of a record.
//! - `restore`: what a start needs to know of the life before.

pub mod archive;
mod gather;
mod queue;
mod record;
mod restore;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use glint::{Event, Refusal, RefusalKind};
use ledger::{LedgerError, Record, Recovery, Writer};
use prometheus::Histogram;

pub use self::archive::Archive;
use self::gather::Gather;
pub use self::queue::Done;
use self::queue::{Inlet, Job, Outlet, Shut};
pub use self::restore::{Numbers, Print, Remembered, Restored, Since, restore};

use crate::clock::Clock;
use crate::mail::{Bells, wakes};
use crate::metrics::{Metrics, Stage};
use crate::tail::Tail;
use crate::warden::Warden;

/// The office that the warden knows the scribe by.
pub const OFFICE: &str = "ledger";
/// Events and bytes after which no more are added to a group, which is written with one sync.
const GROUP: (usize, usize) = (256, 1 << 20);
/// How often segments that are over a limit are looked for.
const RETAIN_EVERY: Duration = Duration::from_secs(10);
/// Quiet after which the log is given a witness: from then on damage to the last group is not taken for a torn write.
const WITNESS_AFTER: Duration = Duration::from_secs(1);

/// How safely an event is kept when it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The disk has it.
    #[default]
    Fsync,
    /// The operating system has it: it survives the process, not the machine.
    Os,
    /// It ends with the process.
    Memory,
}

impl Durability {
    /// Returns the word in settings and receipts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Durability::Fsync => "fsync",
            Durability::Os => "os",
            Durability::Memory => "memory",
        }
    }
}

/// Where the emitter sends what it has placed. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Scribe {
    jobs: Arc<Inlet>,
    fault: Fault,
}

#[derive(Debug, Clone, Default)]
struct Fault(Arc<Mutex<Option<String>>>);

impl Fault {
    fn read(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn write(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }
}

/// What a scribe works with.
pub struct Desk {
    /// The log.
    pub writer: Writer,
    /// Whether a group is synced before it is acknowledged.
    pub durability: Durability,
    /// Where events are seen when they are kept.
    pub tail: Tail,
    /// Who is rung then.
    pub bells: Bells,
    /// The time.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Metrics,
    /// Who is told of the end.
    pub warden: Warden,
}

impl Scribe {
    /// Starts the thread. At most `jobs` wait; the emitter's own bound is to keep them fewer.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(desk: Desk, jobs: usize) -> std::io::Result<Scribe> {
        let (inlet, outlet) = queue::queue(jobs);
        let scribe = Scribe {
            jobs: Arc::new(inlet),
            fault: Fault::default(),
        };
        let hand = Hand {
            sync_seconds: desk.metrics.stage(Stage::Sync),
            desk,
            fault: scribe.fault.clone(),
            payload: Vec::new(),
            gather: Gather::default(),
        };
        std::thread::Builder::new()
            .name(OFFICE.to_owned())
            .spawn(move || hand.work(&outlet))?;
        Ok(scribe)
    }

    /// Tells whether events would be taken now: only then they may be given their places.
    ///
    /// # Errors
    /// `ledger_failed` or `ledger_full`.
    pub fn check_room(&self) -> Result<(), Refusal> {
        self.jobs.room().map_err(|shut| match shut {
            Shut::Full => {
                let detail = "too much waits for the disk; publish again later";
                Refusal::new(RefusalKind::Busy, "ledger_full", detail).retry_after(1)
            }
            Shut::Dead => failed(),
        })
    }

    /// Hands over events in the order of their places, after [`Scribe::check_room`]. `done` is told, on the thread of the
    /// scribe, when they are kept and seen, or that they are not.
    pub fn submit(&self, events: Vec<Event>, key: Option<Remembered>, done: Option<Done>) {
        let job = Job { events, key, done };
        if let Err(Job {
            done: Some(done), ..
        }) = self.jobs.put(job)
        {
            done(Err(failed()));
        }
    }

    /// Returns a scribe that takes nothing: its thread has gone.
    #[cfg(test)]
    pub(crate) fn gone() -> Scribe {
        Scribe {
            jobs: Arc::new(queue::queue(1).0),
            fault: Fault::default(),
        }
    }

    /// Says why nothing is kept any more, if that is so.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.fault.read()
    }
}

/// What a sender is told when its events were not kept.
fn failed() -> Refusal {
    let detail =
        "the log cannot be written, so nothing is acknowledged; the broker is about to stop";
    Refusal::new(RefusalKind::Internal, "ledger_failed", detail)
}

/// The thread's own.
struct Hand {
    desk: Desk,
    fault: Fault,
    payload: Vec<u8>,
    gather: Gather,
    sync_seconds: Histogram,
}

impl Hand {
    fn work(mut self, jobs: &Outlet) {
        let (mut group, mut patience) = (Vec::new(), WITNESS_AFTER);
        while jobs.take(&mut group, GROUP, patience) {
            let (answered, began) = (group.len(), self.desk.clock.instant());
            patience = match answered {
                0 => RETAIN_EVERY,
                _ => WITNESS_AFTER,
            };
            if let Err(err) = self.keep(&mut group) {
                tracing::error!(%err, "the log failed; the process ends without acknowledging more");
                self.fault.write(err.to_string());
                self.desk.warden.report(OFFICE);
                for done in group
                    .drain(..)
                    .chain(jobs.shut())
                    .filter_map(|job| job.done)
                {
                    done(Err(failed()));
                }
                return;
            }
            let took = self.desk.clock.instant().duration_since(began);
            self.gather.wait(jobs, answered, took);
        }
        if let Err(err) = self.desk.writer.witness(self.desk.clock.now().0) {
            tracing::warn!(%err, "the log was not given a last witness");
        }
    }

    /// Has a group kept, seen and answered, in this order, and empties it.
    fn keep(&mut self, group: &mut Vec<Job>) -> Result<(), LedgerError> {
        if group.is_empty() {
            self.desk.writer.witness(self.desk.clock.now().0)?;
        }
        self.write(group)?;
        let count = group.iter().map(|job| job.events.len()).sum();
        let mut events = Vec::with_capacity(count);
        for job in &mut *group {
            events.append(&mut job.events);
        }
        let news = self.desk.tail.push(events);
        let answers = group.drain(..).filter_map(|job| job.done);
        wakes::after(|| answers.for_each(|done| done(Ok(()))));
        self.desk.bells.ring(news);
        let floor = self.desk.writer.retain(self.desk.clock.now().0)?;
        self.desk.metrics.ledger_floor.set(floor as i64);
        self.desk
            .metrics
            .ledger_bytes
            .set(self.desk.writer.reader().bytes() as i64);
        Ok(())
    }

    fn write(&mut self, group: &[Job]) -> Result<(), LedgerError> {
        self.payload.clear();
        let mut marks = Vec::new();
        for job in group {
            let mut key = job.key.as_ref();
            for event in job.events.iter().filter(|event| event.topic().is_stored()) {
                let begin = self.payload.len();
                record::push(event, key.take(), &mut self.payload);
                marks.push((event, begin..self.payload.len()));
            }
        }
        if marks.is_empty() {
            return Ok(());
        }
        let record = |(event, range): &(&Event, std::ops::Range<usize>)| Record {
            stamp: event.stamp.0,
            topic: event.topic().index() as u8,
            topic_seq: event.topic_seq,
            payload: &self.payload[range.clone()],
        };
        let records: Vec<Record<'_>> = marks.iter().map(record).collect();
        let started = self.desk.clock.instant();
        let appended = self.desk.writer.append(&records, self.desk.clock.now().0)?;
        self.desk
            .writer
            .commit(self.desk.durability == Durability::Fsync)?;
        self.sync_seconds.observe(
            self.desk
                .clock
                .instant()
                .duration_since(started)
                .as_secs_f64(),
        );
        self.desk.metrics.ledger_groups.inc();
        self.desk.metrics.ledger_written.inc_by(appended.bytes);
        Ok(())
    }
}

/// Says what was found at the start, for the log.
pub fn tell(recovery: &Recovery) {
    if let Some(reason) = recovery.torn_reason {
        let bytes = recovery.torn_bytes;
        tracing::warn!(
            bytes,
            reason,
            "the end of the log was torn and was cut off; nobody had been told of it"
        );
    }
    for file in &recovery.quarantined {
        tracing::error!(
            file,
            "a damaged segment was put aside; readers are told of a gap"
        );
    }
    tracing::info!(
        segments = recovery.segments,
        last = recovery.last_seq,
        reindexed = recovery.reindexed,
        "the log is open"
    );
}

#[cfg(test)]
mod tests;
