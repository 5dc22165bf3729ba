//! The one order: who holds it gives places.
//!
//! The emitter's letters and the offers of all trays change the same state. It is a lock and no mailbox, because to have
//! another thread do so little costs more than to do it: a wake, a change of thread, and the same again for the answer. It
//! is held while places are given, and never while anybody waits for a disk or a socket.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};

use coherence::Verdict;
use glint::{Draft, Event, Name, Offset, Refusal, RefusalKind, Stamp, Topic};

use super::idempotency::{self, Memory, Recall};
use super::kept::Answer;
use super::recent::RecentIds;
use super::repeats::Repeats;
use super::{Announce, CountsHandle, Entry, Item, Key, Offer, Once, Receipt, Window};
use crate::clock::Clock;
use crate::coherence::{Gate, Meters};
use crate::mail::Bells;
use crate::metrics::Metrics;
use crate::scribe::{Done, Print, Remembered, Restored, Scribe};
use crate::tail::Tail;
use crate::warden::Tripwire;

/// Seconds after which a publisher that was turned away while draining finds another process here.
const DRAIN_RETRY_SECONDS: u32 = 5;

/// The state of the emitter, shared by all who may give places. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Order {
    sequencer: Arc<Mutex<Sequencer>>,
}

impl Order {
    /// Begins the order.
    #[must_use]
    pub(super) fn new(sequencer: Sequencer) -> Order {
        Order {
            sequencer: Arc::new(Mutex::new(sequencer)),
        }
    }

    /// Waits for whoever gives places now. `None` when somebody panicked doing so: nobody knows what has its place then,
    /// and the process is about to end. Who waits for an answer hears that the office is gone when its end is dropped.
    pub(super) fn hold(&self) -> Option<Held<'_>> {
        self.sequencer.lock().map(Held).ok()
    }
}

/// The order, in the hands of one.
pub(super) struct Held<'o>(MutexGuard<'o, Sequencer>);

impl Deref for Held<'_> {
    type Target = Sequencer;

    fn deref(&self) -> &Sequencer {
        &self.0
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Sequencer {
        &mut self.0
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // The task that panicked is gone alone; what it left behind is everybody's.
        if std::thread::panicking() {
            drop(self.0.tripwire.take());
        }
    }
}

/// What has its places, and is to be kept.
#[derive(Debug)]
struct Placed {
    receipt: Receipt,
    events: Vec<Event>,
    key: Option<Remembered>,
}

impl Placed {
    /// A receipt with nothing to be kept.
    fn new(items: Arc<[Item]>, replayed: bool) -> Placed {
        Placed {
            receipt: Receipt { items, replayed },
            events: Vec::new(),
            key: None,
        }
    }
}

/// What gives places: the state behind an [`Order`].
#[derive(Debug)]
pub struct Sequencer {
    clock: Clock,
    tail: Tail,
    counts: CountsHandle,
    pub(super) metrics: Metrics,
    bells: Bells,
    /// Where events go to be kept; none keeps them in memory alone.
    scribe: Option<Scribe>,
    memory: Memory,
    repeats: Repeats,
    recent: RecentIds,
    next_seq: u64,
    topic_seqs: [u64; Topic::ALL.len()],
    closed: bool,
    gate: Option<(Gate, Meters)>,
    tripwire: Option<Tripwire>,
}

impl Sequencer {
    /// Makes one that gives the places after the head of `tail`, and keeps events in memory alone.
    #[must_use]
    pub fn new(
        clock: Clock,
        tail: Tail,
        window: Window,
        metrics: Metrics,
        tripwire: Tripwire,
    ) -> Sequencer {
        Sequencer {
            clock,
            counts: CountsHandle::default(),
            bells: Bells::default(),
            scribe: None,
            memory: Memory::new(window),
            repeats: Repeats::new(Window {
                keys: 0,
                seconds: 0,
            }),
            recent: RecentIds::default(),
            next_seq: tail.head().seq + 1,
            topic_seqs: [0; Topic::ALL.len()],
            closed: false,
            gate: None,
            tail,
            metrics,
            tripwire: Some(tripwire),
        }
    }

    /// Has everything kept by `scribe`, which rings `bells`, and goes on where the life before ended.
    #[must_use]
    pub fn kept_by(mut self, scribe: Scribe, bells: Bells, restored: Restored) -> Sequencer {
        let now = self.clock.now();
        self.next_seq = restored.last_seq + 1;
        self.topic_seqs = restored.topic_seqs;
        // Heartbeats are not kept, and a number must not come twice: no process beats faster than once a millisecond.
        let age_ms = now.0 / 1000 - i64::try_from(self.tail.epoch()).unwrap_or(0) * 1000;
        self.topic_seqs[Topic::Heartbeat.index()] = u64::try_from(age_ms).unwrap_or(0);
        for (offer, events) in restored.offers {
            let Ok(key) = Key::new(&offer.key) else {
                continue;
            };
            let stamp = events.first().map_or(now, |event| event.stamp);
            let item = |event: Event| Item {
                id: event.id.unwrap_or_default(),
                offset: event.offset,
            };
            let items = events.into_iter().map(item).collect();
            self.memory.remember(key, offer.content, items, stamp);
        }
        self.bells = bells;
        self.scribe = Some(scribe);
        self
    }

    /// Has glints that come again whole, with ids of their own, get the places that they have, within `window`; those of
    /// the life before included. Without this, each is another glint.
    #[must_use]
    pub fn remembering(mut self, window: Window, glints: Vec<(Print, Offset, Stamp)>) -> Sequencer {
        self.repeats = Repeats::new(window);
        for (print, offset, stamp) in glints {
            self.repeats.remember(print, offset, stamp);
        }
        self
    }

    /// Has glints pass `gate`, and tells `meters` what it did with them.
    #[must_use]
    pub fn gated_by(mut self, gate: Gate, meters: Meters) -> Sequencer {
        self.gate = Some((gate, meters));
        self
    }

    /// Returns who is rung when there is news.
    #[must_use]
    pub fn bells(&self) -> Bells {
        self.bells.clone()
    }

    /// Returns the counts that are kept, for readers.
    #[must_use]
    pub fn counts(&self) -> CountsHandle {
        self.counts.clone()
    }

    /// Takes an offer, and has whoever waits told when it is kept.
    pub(super) fn offer(&mut self, offer: Offer, answer: Option<Answer>) {
        let placed = self.accept(offer);
        self.hand_over(placed, answer);
    }

    /// Takes entries of the broker's own, and has whoever waits told when they are kept.
    pub(super) fn commit(&mut self, entries: Vec<Entry>, answer: Option<Answer>) {
        let placed = self.place_entries(entries, self.clock.now());
        self.hand_over(placed, answer);
    }

    /// Takes an event that nobody waits for.
    pub(super) fn announce(&mut self, announce: Announce) {
        let mut entry = Entry::new(announce.name, announce.text);
        entry.phase = Some(announce.phase.into());
        let placed = self.place_entries(vec![entry], announce.stamp);
        if let Err(err) = &placed {
            tracing::error!(%err, "an event of the breath is lost");
        }
        self.hand_over(placed, None);
    }

    /// From now on nothing is taken from outside.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Hands over what has its places, before anything gets the next one.
    fn hand_over(&self, placed: Result<Placed, Refusal>, answer: Option<Answer>) {
        let (placed, answer) = match (placed, answer) {
            (Ok(placed), answer) => (placed, answer),
            (Err(refusal), Some(answer)) => return answer.tell(Err(refusal)),
            (Err(_), None) => return,
        };
        let Placed {
            receipt,
            events,
            key,
        } = placed;
        let tell =
            answer.map(|answer| move |kept: Result<(), _>| answer.tell(kept.map(|()| receipt)));
        match &self.scribe {
            Some(scribe) => scribe.submit(events, key, tell.map(|tell| Box::new(tell) as Done)),
            None => {
                self.bells.ring(self.tail.push(events));
                if let Some(tell) = tell {
                    tell(Ok(()));
                }
            }
        }
    }

    fn accept(&mut self, offer: Offer) -> Result<Placed, Refusal> {
        if self.closed {
            let refusal = Refusal::new(
                RefusalKind::Unavailable,
                "draining",
                "this broker is stopping; publish again later",
            );
            return Err(refusal.retry_after(DRAIN_RETRY_SECONDS));
        }
        self.check_room()?;
        let now = self.clock.now();
        let keyed = match &offer.once {
            Once::Key(key) => Some((key.clone(), idempotency::content(&offer.drafts))),
            Once::Content | Once::Never => None,
        };
        if let Some((key, content)) = &keyed {
            match self.memory.recall(key, *content, now) {
                Recall::New => {}
                Recall::Same(items) => {
                    self.metrics.replayed_receipts.inc();
                    // The first offer may not be kept yet: nothing is handed over, but it is waited for like something.
                    return Ok(Placed::new(items, true));
                }
                Recall::Other => return Err(idempotency::other_content()),
            }
        }
        let remembered = keyed.as_ref().map(|(key, content)| Remembered {
            key: key.as_str().into(),
            content: *content,
            events: u32::try_from(offer.drafts.len()).unwrap_or(u32::MAX),
        });
        self.admit(&offer.drafts, now)?;
        let (items, events) = self.place(offer.drafts, &offer.once, now);
        let replayed = events.is_empty() && !items.is_empty();
        if replayed {
            self.metrics.replayed_receipts.inc();
        }
        if let Some((key, content)) = keyed {
            self.memory.remember(key, content, items.clone(), now);
            self.metrics.idempotency_keys.set(self.memory.len() as i64);
        }
        Ok(Placed {
            events,
            key: remembered,
            ..Placed::new(items, replayed)
        })
    }

    /// Refuses what the gate holds back: the offer as a whole, since it is taken as a whole.
    fn admit(&self, drafts: &[Draft], now: Stamp) -> Result<(), Refusal> {
        let Some((gate, meters)) = self.gate.as_ref().filter(|(gate, _)| !gate.is_empty()) else {
            return Ok(());
        };
        let began = self.clock.instant();
        let admitted = drafts.iter().try_for_each(|draft| {
            let admitted = gate.admit(draft.source.as_deref(), now);
            admitted.inspect_err(|_| meters.actions.with_label_values(&["hold_back"]).inc())
        });
        let took = self.clock.instant().duration_since(began);
        meters.seconds.observe(took.as_secs_f64());
        admitted
    }

    /// Returns as what a glint of `source` goes out: where it is set apart, its place in the order stays.
    fn name(&self, source: Option<&str>, now: Stamp) -> Name {
        let Some((gate, meters)) = &self.gate else {
            return Name::GlintEmission;
        };
        let verdict = gate
            .judge(source, now)
            .map_or(Verdict::Pass, |judged| judged.verdict);
        if verdict != Verdict::Pass {
            meters.actions.with_label_values(&[verdict.as_str()]).inc();
        }
        match verdict {
            Verdict::Pass | Verdict::Flag => Name::GlintEmission,
            Verdict::Quarantine => Name::GlintQuarantined,
            Verdict::Dissipate => Name::GlintDissipated,
        }
    }

    /// Gives each glint its place. What is there already has one, where contents say what comes again.
    fn place(&mut self, drafts: Vec<Draft>, once: &Once, now: Stamp) -> (Arc<[Item]>, Vec<Event>) {
        let mut items = Vec::with_capacity(drafts.len());
        let mut events = Vec::with_capacity(drafts.len());
        for draft in drafts {
            // A minted id never comes again.
            let may_repeat = self.repeats.is_on() && !draft.minted && *once != Once::Never;
            let print = may_repeat.then(|| Print::of(&draft.text));
            let first = print
                .filter(|_| *once == Once::Content)
                .and_then(|print| self.repeats.recall(print, now));
            if let Some(offset) = first {
                items.push(Item {
                    id: draft.id,
                    offset,
                });
                continue;
            }
            self.counts.add(&draft);
            let name = self.name(draft.source.as_deref(), now);
            let (offset, topic_seq) = self.next(name.topic());
            if let Some(print) = print {
                self.repeats.remember(print, offset, now);
            }
            items.push(Item {
                id: draft.id.clone(),
                offset,
            });
            events.push(Event {
                name,
                offset,
                topic_seq,
                stamp: now,
                repeats_id: !draft.minted && self.recent.note(&draft.id),
                id: Some(draft.id),
                source: draft.source,
                phase: draft.phase,
                text: draft.text,
            });
        }
        self.metrics.glints.inc_by(events.len() as u64);
        self.metrics.repeat_glints.set(self.repeats.len() as i64);
        (items.into(), events)
    }

    fn place_entries(&mut self, entries: Vec<Entry>, stamp: Stamp) -> Result<Placed, Refusal> {
        self.check_room()?;
        let mut items = Vec::with_capacity(entries.len());
        let mut events = Vec::with_capacity(entries.len());
        for entry in entries {
            let (offset, topic_seq) = self.next(entry.name.topic());
            let id = entry.id.clone().unwrap_or_default();
            items.push(Item { id, offset });
            events.push(entry.placed(offset, topic_seq, stamp));
        }
        Ok(Placed {
            events,
            ..Placed::new(items.into(), false)
        })
    }

    /// What will not be taken must not have a place: the order has no holes.
    fn check_room(&self) -> Result<(), Refusal> {
        self.scribe.as_ref().map_or(Ok(()), Scribe::check_room)
    }

    /// The next place of `topic`. An event that is not stored shares the place of the stored one before it.
    fn next(&mut self, topic: Topic) -> (Offset, u64) {
        self.topic_seqs[topic.index()] += 1;
        if topic.is_stored() {
            self.next_seq += 1;
        }
        (
            Offset {
                epoch: self.tail.epoch(),
                seq: self.next_seq - 1,
            },
            self.topic_seqs[topic.index()],
        )
    }
}

#[cfg(test)]
mod tests;
