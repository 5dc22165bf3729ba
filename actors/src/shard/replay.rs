//! A stream that reads history: from memory, from the archive, and then on into its lane.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use glint::Event;
use lane::Join;
use ledger::LedgerError;
use wire::Control;

use super::core::Core;
use super::lanes::{Numbering, Spelling};
use super::slots::{CLOSE_NORMAL, Stage};
use super::{Slow, pump};
use crate::scribe::Archive;
use crate::tail::History;

/// Events of history looked at in one turn.
const REPLAY_PAGE: usize = 256;
/// WebSocket close code "internal error" (RFC 6455, section 7.4.1).
const CLOSE_FAILED: u16 = 1011;
/// WebSocket close code "try again later" (registered value).
const CLOSE_TRY_LATER: u16 = 1013;

/// A page that a slot wants from the archive.
#[derive(Debug)]
pub(super) struct Fetch {
    archive: Archive,
    id: usize,
    serial: u64,
    after: u64,
    until: u64,
}

impl Fetch {
    /// Reads the page, and brings it to the slot.
    pub(super) async fn run(self, core: Rc<RefCell<Core>>) {
        let page = self.archive.page(self.after, self.until, REPLAY_PAGE).await;
        core.borrow_mut().fetched(self.id, self.serial, page);
        pump::start(&core);
    }
}

impl Core {
    /// Spells a page of history, and tells whether to look again.
    pub(super) fn read_history(
        &mut self,
        id: usize,
        numbering: Numbering,
        max_bytes: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        let slot = &mut self.slots[id];
        if !slot.page.is_empty() {
            let mut page = std::mem::take(&mut slot.page);
            self.spell(id, numbering, &mut page, max_bytes, out);
            self.slots[id].page = page;
            return true;
        }
        let until = self.head.min(slot.until);
        match self.tail.history(slot.seen, until, REPLAY_PAGE) {
            History::Head if slot.until <= self.head => {
                let serial = slot.serial;
                self.hang_up(id, serial, "end", CLOSE_NORMAL);
                false
            }
            History::Head => self.go_live(id, numbering, out),
            History::Gone { floor } => {
                self.say_gone(id, numbering, floor.min(until), "evicted", out);
                true
            }
            History::Events(_) if slot.lapsed && slot.slow == Slow::Conflate => {
                self.conflate(id, numbering, out)
            }
            History::Archived => {
                self.want(id, until);
                false
            }
            History::Events(events) => {
                self.spell(id, numbering, &mut events.into(), max_bytes, out);
                true
            }
        }
    }

    /// Spells events of history for as long as there is room; the rest stays in `events`.
    fn spell(
        &mut self,
        id: usize,
        numbering: Numbering,
        events: &mut VecDeque<Arc<Event>>,
        max_bytes: usize,
        out: &mut Vec<u8>,
    ) {
        let slot = &mut self.slots[id];
        let mut frames = 0;
        while out.len() < max_bytes && slot.left > 0 {
            let Some(event) = events.pop_front() else {
                break;
            };
            slot.seen = event.offset.seq;
            if slot.view.matches(&event) {
                let place = numbering.place(&event, frames);
                slot.spell(&event, place, self.settings.zone, out);
                frames += 1;
                slot.take(1);
            }
        }
        slot.stage = Stage::Replay(numbering.after(frames));
        self.deliveries += frames;
    }

    /// Asks for the next page of a slot from the archive.
    fn want(&mut self, id: usize, until: u64) {
        let Some(archive) = self.tail.archive().cloned() else {
            return;
        };
        let slot = &mut self.slots[id];
        if !std::mem::replace(&mut slot.fetching, true) {
            let (serial, after) = (slot.serial, slot.seen);
            self.wanted.push(Fetch {
                archive,
                id,
                serial,
                after,
                until,
            });
        }
    }

    /// Takes a page from the archive for the slot that asked for it, if that is still there.
    pub(super) fn fetched(&mut self, id: usize, serial: u64, page: Result<History, LedgerError>) {
        let Some(slot) = self.slots.get_mut(id).filter(|slot| slot.serial == serial) else {
            return;
        };
        slot.fetching = false;
        match page {
            Ok(History::Events(events)) if !events.is_empty() => slot.page = events.into(),
            // It went meanwhile: the next look says so.
            Ok(History::Gone { .. }) => {}
            Ok(_) => return self.hang_up(id, serial, "history_unreadable", CLOSE_FAILED),
            Err(err) => {
                tracing::error!(%err, "history cannot be read; a stream ends without it");
                return self.hang_up(id, serial, "history_unreadable", CLOSE_FAILED);
            }
        }
        self.wake_one(id);
    }

    /// Tells a slot that what comes next for it up to `floor` is gone, and takes it there, on fresh sids where it has
    /// any.
    pub(super) fn say_gone(
        &mut self,
        id: usize,
        numbering: Numbering,
        floor: u64,
        reason: &'static str,
        out: &mut Vec<u8>,
    ) {
        let (from, to) = (self.place(self.slots[id].seen), self.place(floor));
        let gap = Control::Gap {
            from,
            to,
            reason,
            stamp: self.clock.now(),
        };
        self.metrics.stream_gaps.inc();
        let (epoch, zone) = (self.tail.epoch(), self.settings.zone);
        let slot = &mut self.slots[id];
        gap.push(slot.form, zone, &mut slot.control_seq, out);
        slot.seen = floor;
        if slot.form.is_numbered() {
            let numbering = numbering.after_gap(epoch, &mut self.sids);
            let streams = numbering.streams(&slot.view, epoch);
            Control::Directory(&streams).push(slot.form, zone, &mut slot.control_seq, out);
            slot.stage = Stage::Replay(numbering);
            slot.jumps = false;
        }
    }

    /// Takes a slot that has caught up into a lane, and tells whether to look again.
    fn go_live(&mut self, id: usize, numbering: Numbering, out: &mut Vec<u8>) -> bool {
        let slot = &self.slots[id];
        let spelling = Spelling {
            form: slot.form,
            in_chunks: slot.in_chunks,
            patched: slot.patched,
        };
        let lane = match numbering {
            Numbering::Topics { .. } => {
                self.lanes
                    .join(&slot.view, spelling, numbering, self.head, &self.standings)
            }
            Numbering::Own { .. } => {
                self.lanes
                    .open(&slot.view, spelling, numbering, self.head, &self.standings)
            }
        };
        let Some(lane) = lane else {
            let serial = slot.serial;
            self.hang_up(id, serial, "views_full", CLOSE_TRY_LATER);
            return false;
        };
        let cursor = match self.lanes.get_mut(lane).lane.join(slot.seen) {
            // All of the feed that this worker has taken is in history up to `head`, so nothing seen comes again.
            Join::At(cursor) | Join::Ahead(cursor) => cursor,
            Join::Evicted => {
                self.lanes.leave(lane);
                return true;
            }
        };
        let show = self.as_now(numbering);
        let slot = &mut self.slots[id];
        slot.view = self.lanes.view(lane);
        slot.stage = Stage::Live { lane, cursor };
        slot.lapsed = false;
        if std::mem::take(&mut slot.jumps) {
            slot.push_jumps(numbering, show.epoch, show.zone, out);
        }
        slot.push_documents(&self.standings, show, out);
        true
    }
}
