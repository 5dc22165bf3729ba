//! What is done for streams and lanes from time to time, and what is said to one of them alone.

use std::time::Duration;

use wire::Control;

use super::DRAIN_ROUND;
use super::core::Core;

/// WebSocket close code "service restart" (RFC 6455, section 7.4.1, registered value).
const CLOSE_RESTART: u16 = 1012;
/// WebSocket close code "normal closure".
const CLOSE_NORMAL: u16 = 1000;
/// WebSocket close code "policy violation".
const CLOSE_POLICY: u16 = 1008;

/// How often a stream is told where it is, if it would not know.
const PLACE_EVERY: Duration = Duration::from_secs(5);

impl Core {
    /// Looks after the streams whose time has come: keepalives, time limits, stalls; and lets go while it drains.
    pub(super) fn round(&mut self) {
        let age = self.age();
        self.now = age;
        self.lanes.rest();
        self.close_lingering();
        for (id, serial) in self.wheel.take(age.as_secs()) {
            self.look_after(id, serial, age);
        }
        for _ in 0..self.farewells.unwrap_or(0) {
            let Some((id, serial)) = self.next_to_leave() else {
                break;
            };
            self.end(id, serial, "draining", CLOSE_RESTART);
            self.to_wake.push_back(id);
        }
        self.show();
    }

    /// Does for one stream what is due, and sees to it that it is looked at again.
    fn look_after(&mut self, id: usize, serial: u64, age: Duration) {
        let Some(slot) = self.slots.get(id).filter(|slot| slot.serial == serial) else {
            return;
        };
        if slot.is_stalled(age, self.settings.stall) {
            self.metrics.stream_stalls.inc();
            self.detach(id);
            return;
        }
        if !slot.ended {
            if slot.ends_at.is_some_and(|ends_at| ends_at <= age) {
                self.end(id, serial, "timeout", CLOSE_NORMAL);
            } else if slot.silence(age) + super::ROUND > self.settings.keepalive
                && slot.aside.is_empty()
            {
                self.add(id, serial, &Control::Keepalive(self.clock.now()));
            } else if slot.seen < self.head
                && age.saturating_sub(slot.placed_at) >= PLACE_EVERY
                && slot.aside.is_empty()
            {
                self.tell_place(id, serial, age);
            }
            if !self.slots[id].aside.is_empty() {
                // A whole worker may be due at once, as after an event for all: visited in slices, like for events.
                self.to_wake.push_back(id);
            }
        }
        self.look_again(id, age);
    }

    /// Has a stream looked at when something may be due for it next.
    pub(super) fn look_again(&mut self, id: usize, age: Duration) {
        let slot = &self.slots[id];
        // A keepalive is due when the next round would be too late for it.
        let keepalive = (slot.written_at + self.settings.keepalive)
            .saturating_sub(super::ROUND)
            .as_secs()
            + 1;
        let whole = |due: Duration| due.as_secs() + u64::from(due.subsec_nanos() > 0);
        let place = match slot.seen < self.head {
            true => whole(slot.placed_at + PLACE_EVERY),
            false => (age + PLACE_EVERY).as_secs(),
        };
        let end = slot.ends_at.map_or(u64::MAX, whole);
        let next = keepalive.min(place).min(end).max(age.as_secs() + 1);
        self.wheel.put(next, id, slot.serial);
    }

    /// Returns the next stream to let go while the worker drains.
    fn next_to_leave(&mut self) -> Option<(usize, u64)> {
        while self.leaving < self.slots.capacity() {
            let id = self.leaving;
            self.leaving += 1;
            if let Some(slot) = self.slots.get(id).filter(|slot| !slot.ended) {
                return Some((id, slot.serial));
            }
        }
        None
    }

    /// Tells a stream where it is: one that waits has had everything up to the head that was for it, another is behind.
    fn tell_place(&mut self, id: usize, serial: u64, age: Duration) {
        let head = self.head;
        let slot = &mut self.slots[id];
        slot.placed_at = age;
        let seen = slot.seen;
        if slot.parked_at.is_some() {
            slot.seen = head;
            return self.add(id, serial, &Control::Cursor(self.place(head)));
        }
        let status = Control::Status {
            cursor: self.place(seen),
            behind: head - seen,
            stamp: self.clock.now(),
        };
        self.add(id, serial, &status);
    }

    /// Takes no more streams, and ends those that there are over `spread`.
    pub(super) fn drain(&mut self, spread: Duration) {
        let rounds = (spread.as_millis() / DRAIN_ROUND.as_millis()).max(1) as usize;
        self.farewells = Some(self.slots.len().div_ceil(rounds).max(1));
    }

    pub(super) fn say(&mut self, id: usize, serial: u64, control: &Control<'_>) {
        self.add(id, serial, control);
        self.wake_one(id);
    }

    pub(super) fn hang_up(
        &mut self,
        id: usize,
        serial: u64,
        reason: &'static str,
        close_code: u16,
    ) {
        self.end(id, serial, reason, close_code);
        self.wake_one(id);
    }

    fn add(&mut self, id: usize, serial: u64, control: &Control<'_>) {
        let zone = self.settings.zone;
        let Some(slot) = self
            .slots
            .get_mut(id)
            .filter(|slot| slot.serial == serial && !slot.ended)
        else {
            return;
        };
        control.push(slot.form, zone, &mut slot.control_seq, &mut slot.aside);
        if slot.aside_is_full() {
            self.end(id, serial, "unread_answers", CLOSE_POLICY);
        }
    }

    fn end(&mut self, id: usize, serial: u64, reason: &'static str, close_code: u16) {
        let retry_ms = self.retry_ms(serial);
        let stamp = self.clock.now();
        let zone = self.settings.zone;
        let Some(slot) = self
            .slots
            .get_mut(id)
            .filter(|slot| slot.serial == serial && !slot.ended)
        else {
            return;
        };
        let farewell = Control::Farewell {
            reason,
            retry_ms,
            close_code,
            stamp,
        };
        farewell.push(slot.form, zone, &mut slot.control_seq, &mut slot.aside);
        slot.ended = true;
    }

    /// Returns when the client of a stream is to come back: another time for each, so that they do not come at once.
    pub(super) fn retry_ms(&self, serial: u64) -> u32 {
        let (least, most) = self.settings.retry_ms;
        let seed = serial ^ self.clock.now().0.unsigned_abs();
        least + (mix(seed) % u64::from(most.saturating_sub(least) + 1)) as u32
    }

    /// Brings what is counted here to where others see it.
    fn show(&mut self) {
        self.metrics
            .stream_deliveries
            .inc_by(std::mem::take(&mut self.deliveries));
        self.metrics
            .stream_bytes
            .inc_by(std::mem::take(&mut self.delivered_bytes));
        let lanes = (self.lanes.len() as i64, self.lanes.window_bytes() as i64);
        let shown = std::mem::replace(&mut self.shown_lanes, lanes);
        self.metrics.lanes.add(lanes.0 - shown.0);
        self.metrics.lane_bytes.add(lanes.1 - shown.1);
    }
}

/// Spreads numbers (the finaliser of SplitMix64, Steele, Lea and Flood, 2014).
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
