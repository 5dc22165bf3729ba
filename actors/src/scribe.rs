//! The scribe: what the emitter has placed goes to disk here, and only then to anybody else.
//!
//! A thread, not an actor: it blocks. It takes all groups that wait, writes them with one sync, shows them to the tail,
//! answers those who wait for their receipts, and rings the workers. After a failed write or sync it answers nobody with
//! yes again, says why in [`Scribe::fault`], and has the process end: the next start finds out what the disk has.
//!
//! Layout:
//! - [`Scribe`]: the handle, and the thread behind it.
//! - [`archive`]: reading what memory no longer holds.
//! - `record`: an event as the payload of a record.
//! - `restore`: what a start needs to know of the life before.

pub mod archive;
mod record;
mod restore;

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use glint::{Event, Refusal, RefusalKind};
use ledger::{LedgerError, Record, Recovery, Writer};
use prometheus::Histogram;
use tokio::sync::oneshot;

pub use self::archive::Archive;
pub use self::restore::{Numbers, Remembered, Restored, restore};

use crate::clock::Clock;
use crate::mail::Bell;
use crate::metrics::{Metrics, Stage};
use crate::tail::Tail;
use crate::warden::Warden;

/// The office that the warden knows the scribe by.
pub const OFFICE: &str = "ledger";
/// Events written with one sync.
const GROUP_EVENTS: usize = 256;
/// Bytes after which no more are added to a group.
const GROUP_BYTES: usize = 1 << 20;
/// How often segments that are over a limit are looked for.
const RETAIN_EVERY: Duration = Duration::from_secs(10);

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

/// The workers to be rung, shared by who rings them.
#[derive(Debug, Clone, Default)]
pub struct Bells {
    bells: Arc<Mutex<Vec<Bell>>>,
}

impl Bells {
    /// Adds a worker, and rings it: it may have missed something.
    pub fn add(&self, bell: Bell) {
        bell.ring();
        self.bells
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(bell);
    }

    /// Rings all workers.
    pub fn ring(&self) {
        for bell in self
            .bells
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            bell.ring();
        }
    }
}

/// What goes to disk together, and who waits for it.
struct Job {
    events: Vec<Event>,
    key: Option<Remembered>,
    done: Option<oneshot::Sender<()>>,
}

/// Where the emitter sends what it has placed. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Scribe {
    jobs: SyncSender<Job>,
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
        let (sender, receiver) = sync_channel(jobs);
        let fault = Fault::default();
        let scribe = Scribe {
            jobs: sender,
            fault: fault.clone(),
        };
        let hand = Hand {
            sync_seconds: desk.metrics.stage(Stage::Sync),
            desk,
            fault,
            payload: Vec::new(),
        };
        std::thread::Builder::new()
            .name(OFFICE.to_owned())
            .spawn(move || hand.work(&receiver))?;
        Ok(scribe)
    }

    /// Hands over events in the order of their places. The receiver hears when they are kept; it hears of a failure by
    /// the sender's end.
    ///
    /// # Errors
    /// `ledger_failed` or `ledger_full`.
    pub fn submit(
        &self,
        events: Vec<Event>,
        key: Option<Remembered>,
    ) -> Result<oneshot::Receiver<()>, Refusal> {
        let (done, wait) = oneshot::channel();
        let job = Job {
            events,
            key,
            done: Some(done),
        };
        self.jobs.try_send(job).map_err(|err| match err {
            TrySendError::Full(_) => {
                let detail = "too much waits for the disk; publish again later";
                Refusal::new(RefusalKind::Busy, "ledger_full", detail).retry_after(1)
            }
            TrySendError::Disconnected(_) => self.failed(),
        })?;
        Ok(wait)
    }

    /// Returns a scribe that takes nothing: its thread has gone.
    #[cfg(test)]
    pub(crate) fn gone() -> Scribe {
        Scribe {
            jobs: sync_channel(1).0,
            fault: Fault::default(),
        }
    }

    /// Says why nothing is kept any more, if that is so.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.fault.read()
    }

    /// What a sender is told when its events were not kept.
    #[must_use]
    pub fn failed(&self) -> Refusal {
        let detail =
            "the log cannot be written, so nothing is acknowledged; the broker is about to stop";
        Refusal::new(RefusalKind::Internal, "ledger_failed", detail)
    }
}

/// The thread's own.
struct Hand {
    desk: Desk,
    fault: Fault,
    payload: Vec<u8>,
    sync_seconds: Histogram,
}

impl Hand {
    fn work(mut self, jobs: &Receiver<Job>) {
        loop {
            let first = match jobs.recv_timeout(RETAIN_EVERY) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let mut group: Vec<Job> = first.into_iter().collect();
            let mut bytes: usize = weight(&group);
            let mut events: usize = group.iter().map(|job| job.events.len()).sum();
            while events < GROUP_EVENTS && bytes < GROUP_BYTES {
                let Ok(job) = jobs.try_recv() else { break };
                events += job.events.len();
                bytes += weight(std::slice::from_ref(&job));
                group.push(job);
            }
            if let Err(err) = self.keep(group) {
                tracing::error!(%err, "the log failed; the process ends without acknowledging more");
                self.fault.write(err.to_string());
                self.desk.warden.report(OFFICE);
                return;
            }
        }
    }

    fn keep(&mut self, group: Vec<Job>) -> Result<(), LedgerError> {
        self.write(&group)?;
        let mut events = Vec::new();
        let mut waiting = Vec::new();
        for job in group {
            events.extend(job.events);
            waiting.extend(job.done);
        }
        self.desk.tail.push(events);
        for done in waiting {
            // Who gave up waiting has its events kept all the same.
            let _ = done.send(());
        }
        self.desk.bells.ring();
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

fn weight(group: &[Job]) -> usize {
    group
        .iter()
        .flat_map(|job| &job.events)
        .map(Event::weight_bytes)
        .sum()
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
