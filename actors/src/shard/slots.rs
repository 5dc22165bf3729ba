//! One stream: what it has had, what it gets next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use glint::{Event, Offset, Refusal, Zone};
use lane::{Cursor, Read};
use sieve::View;
use wire::{Control, Form, Hello, sid_of_topic};

use super::core::Core;
use super::lanes::{Numbering, Spelling};
use super::outlet::Outlet;
use super::{Request, Slow, start};

/// Pages of history without a match, after which others get their turn.
const REPLAY_PAGES: usize = 4;
/// Answers that may wait for a client that does not read.
const MAX_ASIDE_BYTES: usize = 64 * 1024;

/// How long a client may take for its farewell.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(10);

/// WebSocket close code "normal closure" (RFC 6455, section 7.4.1).
pub(super) const CLOSE_NORMAL: u16 = 1000;

/// One stream.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) serial: u64,
    pub(super) form: Form,
    pub(super) outlet: Outlet,
    /// Whether what it is sent is framed in chunks of HTTP/1.1.
    pub(super) in_chunks: bool,
    /// Whether topics that are documents come as what changes in them.
    pub(super) patched: bool,
    /// Where it stands among the waiting ones of its lane.
    pub(super) parked_at: Option<usize>,
    /// Said to this stream alone, and sent before anything else.
    pub(super) aside: Vec<u8>,
    /// Numbers what is said to this stream alone.
    pub(super) control_seq: u64,
    pub(super) ended: bool,
    /// When it was last given bytes, in whole seconds of the worker's age.
    pub(super) written_at: Duration,
    /// When it ends, as an age of the worker.
    pub(super) ends_at: Option<Duration>,
    /// When it was last told where it is, as an age of the worker.
    pub(super) placed_at: Duration,
    /// What it asked for; readers of a lane have one view together.
    pub(super) view: Arc<View>,
    pub(super) slow: Slow,
    pub(super) stage: Stage,
    /// Its last event, in a bounded read.
    pub(super) until: u64,
    /// The last stored event that it has had or that did not match.
    pub(super) seen: u64,
    /// Events that it may still get.
    pub(super) left: u64,
    /// History that was read from disk and is not sent yet.
    pub(super) page: VecDeque<Arc<Event>>,
    /// Whether more of it is on its way.
    pub(super) fetching: bool,
    /// Whether it has left a lane and not come to one since.
    pub(super) lapsed: bool,
    /// Whether sids that it has will jump when it comes to a lane: what is not stored was not sent meanwhile.
    pub(super) jumps: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Stage {
    /// Reads history; its frames are numbered from here.
    Replay(Numbering),
    /// Reads a lane.
    Live { lane: usize, cursor: Cursor },
}

/// What a slot gets next.
pub(super) enum Gathered {
    /// These bytes, in whole frames.
    Bytes(Vec<u8>),
    /// Nothing any more.
    End,
    /// Nothing now.
    Nothing,
}

impl Gathered {
    /// What is left of a stream that has ended.
    fn of(rest: Vec<u8>) -> Gathered {
        match rest.is_empty() {
            true => Gathered::End,
            false => Gathered::Bytes(rest),
        }
    }
}

impl Core {
    /// Opens a slot and says hello. Returns its id and serial.
    pub(super) fn attach(
        &mut self,
        request: Request,
        in_chunks: bool,
    ) -> Result<(usize, u64), Refusal> {
        self.check_room()?;
        let Request {
            view,
            form,
            from,
            to,
            slow,
            limit,
            timeout,
            patched,
        } = request;
        let mut view = Arc::new(view);
        let start = start::resolve(from, &view, self.head, &self.tail);
        let until = to.map(|to| start::resolve_end(to, self.head, &self.tail, self.clock.now()));
        let until = until.transpose()?.unwrap_or(u64::MAX);
        let epoch = self.tail.epoch();
        // What is conflated must not share a lane either: its frames are numbered by what is left of them.
        let is_alone = form.is_numbered() && slow == Slow::Conflate;
        let is_own = is_alone || form.is_numbered() && !view.is_whole();
        let numbering = if is_own {
            Numbering::fresh(epoch, &mut self.sids)
        } else {
            // A reader that had a part of this epoch and comes back behind a gap has met the sids of the first life.
            let came_back = |(from, ..): (Offset, Offset, _)| from.epoch == epoch && from.seq > 0;
            let life = u8::from(form.is_numbered() && start.gap.is_some_and(came_back));
            Numbering::Topics { life }
        };
        let patched = patched && form.is_numbered();
        let spelling = Spelling {
            form,
            in_chunks,
            patched,
        };
        let mut stage = Stage::Replay(numbering);
        if start.seen == self.head && until == u64::MAX && !is_alone {
            let lane = self
                .lanes
                .join(&view, spelling, numbering, self.head, &self.standings)
                .ok_or_else(|| self.views_full())?;
            view = self.lanes.view(lane);
            stage = Stage::Live {
                lane,
                cursor: self.lanes.get_mut(lane).lane.head(),
            };
        } else if !self.lanes.has_room(&view, spelling, numbering) {
            return Err(self.views_full());
        }
        let numbering = self.numbering(stage);
        self.serial += 1;
        let age = self.age();
        let mut slot = Slot {
            serial: self.serial,
            form,
            outlet: Outlet::Body(None),
            in_chunks,
            patched,
            parked_at: None,
            aside: Vec::new(),
            control_seq: 0,
            ended: false,
            written_at: age,
            ends_at: timeout.map(|timeout| age + timeout),
            placed_at: age,
            slow,
            until,
            stage,
            seen: start.seen,
            left: limit.unwrap_or(u64::MAX),
            page: VecDeque::new(),
            fetching: false,
            lapsed: false,
            jumps: false,
            view,
        };
        self.greet(&mut slot, &start, numbering);
        if matches!(stage, Stage::Live { .. }) {
            let mut aside = std::mem::take(&mut slot.aside);
            slot.push_documents(&self.standings, self.as_now(numbering), &mut aside);
            slot.aside = aside;
        }
        self.metrics.streams(form).inc();
        let serial = slot.serial;
        let id = self.slots.insert(slot);
        self.look_again(id, age);
        Ok((id, serial))
    }

    fn greet(&self, slot: &mut Slot, start: &start::Start, numbering: Numbering) {
        let stamp = self.clock.now();
        let streams = if slot.form.is_numbered() {
            numbering.streams(&slot.view, self.tail.epoch())
        } else {
            Vec::new()
        };
        let hello = Hello {
            state: self.state.read().state,
            stamp,
            cursor: self.place(start.seen),
            keepalive_ms: u32::try_from(self.settings.keepalive.as_millis()).unwrap_or(u32::MAX),
            retry_ms: self.retry_ms(slot.serial),
            recovered: start.gap.is_none(),
            streams: &streams,
        };
        self.push(slot, &Control::Hello(&hello));
        if let Some((from, to, reason)) = start.gap {
            self.metrics.stream_gaps.inc();
            self.push(
                slot,
                &Control::Gap {
                    from,
                    to,
                    reason,
                    stamp,
                },
            );
        }
    }

    fn numbering(&self, stage: Stage) -> Numbering {
        match stage {
            Stage::Live { lane, .. } => self.lanes.numbering(lane),
            Stage::Replay(numbering) => numbering,
        }
    }

    /// Names the streams of numbered frames that a slot has.
    pub(super) fn directory(&mut self, id: usize, serial: u64) {
        let Some(slot) = self.slots.get(id) else {
            return;
        };
        let numbering = self.numbering(slot.stage);
        let streams = numbering.streams(&slot.view, self.tail.epoch());
        self.say(id, serial, &Control::Directory(&streams));
        self.show_again(id, serial, numbering);
    }

    pub(super) fn push(&self, slot: &mut Slot, control: &Control<'_>) {
        control.push(
            slot.form,
            self.settings.zone,
            &mut slot.control_seq,
            &mut slot.aside,
        );
    }

    /// Tells whether a slot is there and still that of the stream with this serial number.
    pub(super) fn holds(&self, id: usize, serial: u64) -> bool {
        self.slots.get(id).is_some_and(|slot| slot.serial == serial)
    }

    /// Tells whether a stream has ended.
    pub(super) fn is_over(&self, id: usize, serial: u64) -> bool {
        let slot = self.slots.get(id).filter(|slot| slot.serial == serial);
        slot.is_none_or(|slot| slot.ended)
    }

    /// Ends a slot that its connection has let go, and returns what is left of it.
    pub(super) fn detach(&mut self, id: usize) -> Slot {
        self.leave_lane(id);
        let slot = self.slots.remove(id);
        self.metrics.streams(slot.form).dec();
        if matches!(slot.outlet, Outlet::Socket(_)) {
            self.metrics.sockets.dec();
        }
        slot
    }

    /// Takes a slot out of its lane; from now on it reads history. Returns how its frames are numbered there.
    pub(super) fn leave_lane(&mut self, id: usize) -> Numbering {
        let slot = &mut self.slots[id];
        let (lane, cursor) = match slot.stage {
            Stage::Live { lane, cursor } => (lane, cursor),
            Stage::Replay(numbering) => return numbering,
        };
        let numbering = self.lanes.numbering(lane).after(cursor.number());
        slot.stage = Stage::Replay(numbering);
        slot.lapsed = true;
        slot.jumps = true;
        if let Some(at) = slot.parked_at.take() {
            let parked = &mut self.lanes.get_mut(lane).parked;
            parked.swap_remove(at);
            if let Some(&moved) = parked.get(at) {
                self.slots[moved].parked_at = Some(at);
            }
        }
        self.lanes.leave(lane);
        numbering
    }

    /// Returns the next bytes of a slot, or parks it.
    pub(super) fn read(
        &mut self,
        id: usize,
        waker: &Waker,
        max_bytes: usize,
    ) -> Poll<Option<Vec<u8>>> {
        match self.gather(id, max_bytes) {
            Gathered::Bytes(bytes) => return Poll::Ready(Some(bytes)),
            Gathered::End => return Poll::Ready(None),
            Gathered::Nothing => {}
        }
        let slot = &mut self.slots[id];
        slot.outlet = Outlet::Body(Some(waker.clone()));
        match slot.stage {
            Stage::Live { lane, .. } => self.park(id, lane),
            // It is woken when the page is there.
            Stage::Replay(_) if slot.fetching => {}
            // Nothing matched in this turn: go on when others had theirs.
            Stage::Replay(_) => waker.wake_by_ref(),
        }
        Poll::Pending
    }

    /// Takes together what a slot gets next. A slot with a socket gets nothing of its lane here, as that is written from
    /// the lane itself.
    pub(super) fn gather(&mut self, id: usize, max_bytes: usize) -> Gathered {
        let mut out = std::mem::take(&mut self.slots[id].aside);
        if self.slots[id].ended {
            return Gathered::of(out);
        }
        let has_socket = matches!(self.slots[id].outlet, Outlet::Socket(_));
        for _ in 0..REPLAY_PAGES {
            if out.len() >= max_bytes || self.slots[id].ended || self.slots[id].left == 0 {
                break;
            }
            let more = match self.slots[id].stage {
                Stage::Live { .. } if has_socket => false,
                Stage::Live { lane, cursor } => {
                    self.read_lane(id, lane, cursor, max_bytes, &mut out)
                }
                Stage::Replay(numbering) => self.read_history(id, numbering, max_bytes, &mut out),
            };
            if !more {
                break;
            }
        }
        if self.slots[id].left == 0 {
            self.hang_up(id, self.slots[id].serial, "limit", CLOSE_NORMAL);
        }
        let age = self.age();
        let slot = &mut self.slots[id];
        if slot.ended {
            // It ended in this turn: its farewell is not to wait for a turn that may have nothing else to bring.
            out.append(&mut slot.aside);
        }
        if !out.is_empty() {
            self.delivered_bytes += out.len() as u64;
            slot.written_at = age;
            return Gathered::Bytes(out);
        }
        match slot.ended {
            true => Gathered::End,
            false => Gathered::Nothing,
        }
    }

    pub(super) fn park(&mut self, id: usize, lane: usize) {
        let slot = &mut self.slots[id];
        if slot.parked_at.is_none() {
            let parked = &mut self.lanes.get_mut(lane).parked;
            slot.parked_at = Some(parked.len());
            parked.push(id);
        }
    }

    /// Takes a run from a lane, and tells whether to look again.
    fn read_lane(
        &mut self,
        id: usize,
        lane: usize,
        cursor: Cursor,
        max_bytes: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        let slot = &mut self.slots[id];
        let frames = u32::try_from(slot.left).unwrap_or(u32::MAX);
        match self
            .lanes
            .get_mut(lane)
            .lane
            .read(cursor, max_bytes - out.len(), frames)
        {
            Read::Idle => false,
            Read::Run(run) => {
                out.extend_from_slice(run.bytes);
                slot.stage = Stage::Live {
                    lane,
                    cursor: run.next,
                };
                slot.seen = slot.seen.max(run.mark);
                slot.take(run.frames.into());
                self.deliveries += u64::from(run.frames);
                // What is left of the page, if anything, comes with the next turn: a run ends where its page ends.
                false
            }
            Read::Fell(_) => {
                self.metrics.stream_falls.inc();
                self.fell_behind(id, out)
            }
        }
    }
}

impl Slot {
    /// Notes that events were given out.
    pub(super) fn take(&mut self, events: u64) {
        self.left -= events.min(self.left);
    }

    /// Tells whether it has had as many events as it asked for.
    pub(super) fn is_full(&self) -> bool {
        self.left == 0
    }

    /// Goes on with history after `seen`.
    pub(super) fn replays_on(&mut self, numbering: Numbering, seen: u64) {
        self.stage = Stage::Replay(numbering);
        self.seen = seen;
    }

    /// Tells a reader of numbered frames which of its streams go on elsewhere although nothing of it is gone: what is
    /// not stored. A strict reader takes no frame of a sid any more that jumped, unless it is told to begin anew.
    pub(super) fn push_jumps(
        &mut self,
        numbering: Numbering,
        epoch: u64,
        zone: Zone,
        out: &mut Vec<u8>,
    ) {
        let Numbering::Topics { life } = numbering else {
            return;
        };
        if !self.form.is_numbered() {
            return;
        }
        for topic in self.view.topics().filter(|topic| !topic.is_stored()) {
            let sid = sid_of_topic(epoch, topic, life);
            let error = Control::Error {
                code: "SEQ_GAP",
                detail: &format!(
                    "sid {sid} goes on after a gap; take its next frame for its first"
                ),
            };
            error.push(self.form, zone, &mut self.control_seq, out);
        }
    }

    /// Returns for how long it was given nothing.
    pub(super) fn silence(&self, age: Duration) -> Duration {
        age.saturating_sub(self.written_at)
    }

    /// Tells whether its client has taken nothing for longer than `limit`; for a farewell it has less time.
    pub(super) fn is_stalled(&self, age: Duration, limit: Duration) -> bool {
        let limit = match self.ended {
            true => limit.min(FAREWELL_PATIENCE),
            false => limit,
        };
        match &self.outlet {
            Outlet::Socket(socket) => socket
                .full_since
                .is_some_and(|since| age.saturating_sub(since) > limit),
            // While it lasts, the connection is not ours to judge: only a farewell is not waited for without end.
            Outlet::Body(_) => self.ended && self.silence(age) > limit,
        }
    }

    pub(super) fn aside_is_full(&self) -> bool {
        self.aside.len() > MAX_ASIDE_BYTES
    }
}
