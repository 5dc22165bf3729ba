//! What a stream gets that did not keep up with its lane.

use std::collections::HashMap;
use std::sync::Arc;

use glint::{Event, Topic};
use wire::Control;

use super::core::Core;
use super::lanes::Numbering;
use crate::tail::History;

/// What happens to a stream that its lane has left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Slow {
    /// It reads history until it has caught up: nothing is missing, everything is late.
    #[default]
    Replay,
    /// It is told of a gap and goes on with what comes next.
    Skip,
    /// It gets the latest event of each source, and how many that left out.
    Conflate,
    /// It is let go, and told when to come back.
    Close,
}

/// Sources that are told apart in one conflation; the rest comes in a next one.
const MAX_SOURCES: usize = 1024;
/// Events of history looked at under one lock.
const PAGE: usize = 256;
/// Events that go into one conflation, so that others get their turn.
const MAX_EVENTS: u64 = 16_384;
/// WebSocket close code "try again later" (registered value).
const CLOSE_TRY_LATER: u16 = 1013;

impl Core {
    /// Treats a slot that fell out of its lane as it asked for, and tells whether to look again.
    pub(super) fn fell_behind(&mut self, id: usize, out: &mut Vec<u8>) -> bool {
        let slot = &self.slots[id];
        let (slow, serial) = (slot.slow, slot.serial);
        let numbering = self.leave_lane(id);
        match slow {
            Slow::Replay | Slow::Conflate => true,
            Slow::Skip => {
                self.say_gone(id, numbering, self.head, "slow", out);
                true
            }
            Slow::Close => {
                self.hang_up(id, serial, "slow", CLOSE_TRY_LATER);
                false
            }
        }
    }

    /// Gives a slot the latest event of each source instead of all of history, and tells whether to look again.
    ///
    /// Its frames have numbers of their own, as a jump in those of a topic would stop a strict reader.
    pub(super) fn conflate(&mut self, id: usize, numbering: Numbering, out: &mut Vec<u8>) -> bool {
        let slot = &self.slots[id];
        let from = slot.seen;
        let mut latest: HashMap<(Topic, Option<Box<str>>), Arc<Event>> = HashMap::new();
        let (mut seen, mut matched) = (from, 0);
        'pages: while seen - from < MAX_EVENTS {
            let History::Events(events) = self.tail.history(seen, self.head, PAGE) else {
                break;
            };
            for event in events {
                let key = (event.topic(), event.source.clone());
                let is_new = slot.view.matches(&event) && !latest.contains_key(&key);
                if is_new && latest.len() == MAX_SOURCES {
                    break 'pages;
                }
                seen = event.offset.seq;
                if slot.view.matches(&event) {
                    matched += 1;
                    latest.insert(key, event);
                }
            }
        }
        let mut latest: Vec<Arc<Event>> = latest.into_values().collect();
        latest.sort_unstable_by_key(|event| event.offset.seq);
        let merged = matched - latest.len() as u64;
        let conflated = Control::Conflated {
            from: self.place(from),
            to: self.place(seen),
            merged,
            stamp: self.clock.now(),
        };
        let (zone, slot) = (self.settings.zone, &mut self.slots[id]);
        if merged > 0 {
            conflated.push(slot.form, zone, &mut slot.control_seq, out);
        }
        let mut frames = 0;
        for event in latest {
            if slot.is_full() {
                break;
            }
            let place = numbering.place(&event, frames);
            slot.spell(&event, place, zone, out);
            frames += 1;
            slot.take(1);
        }
        slot.replays_on(numbering.after(frames), seen);
        self.deliveries += frames;
        seen > from
    }
}
