//! What events, and time that passes, do to the engine; and what is said of it, to subscribers and to the gate.

use std::sync::Arc;

use ::coherence::{self as kernel, Change, Engine, Noted, Overlay, Verdict};
use glint::{Event, Name, Stamp};

use super::gate::Judged;
use super::say::{self, Cause};
use super::witness::{self, Cycle, Micro};
use super::{Coherence, FLOOD_US, HOLD_MAX_US, SAVE_US, TICK_US, act};
use crate::emitter::Entry;

impl Coherence {
    pub(super) fn measure(&mut self, events: &[Arc<Event>]) {
        self.witness.begin_page();
        for (nth, event) in events.iter().enumerate() {
            if let Some(next) = events.get(nth + 1).and_then(|next| next.source.as_deref()) {
                self.engine.foresee(next);
            }
            let seq = event.offset.seq;
            self.measured = seq - 1;
            match event.name {
                Name::GlintEmission if self.promoted > 0 => self.promoted -= 1,
                Name::GlintEmission | Name::GlintQuarantined | Name::GlintDissipated => {
                    // Whoever gives no name has no rhythm of its own.
                    if let Some(source) = &event.source {
                        self.hear(source, event);
                    }
                }
                Name::WitnessMacro => self.promoted += act::promoted(&event.text).len() as u64,
                Name::MemorySignature => self.memory_kept.follow(&event.text),
                _ => {}
            }
            self.measured = seq;
        }
    }

    pub(super) fn hear(&mut self, source: &str, event: &Event) {
        let at = event.stamp;
        // Time passes by events, too, so that a log that is read again is judged as it was.
        if at.0.saturating_sub(self.ticked_us) >= TICK_US {
            self.pass(at);
        }
        let close = self.witness.wants_micro();
        let t = |engine: &Engine| {
            let row = engine.get(source);
            row.map_or(kernel::Complex::ZERO, |row| {
                row.source.kernels().0.read(1.0).t
            })
        };
        let before = close.then(|| t(&self.engine));
        let Noted {
            outcome,
            changes,
            left,
        } = self.engine.note(source, at.0);
        self.measured = event.offset.seq;
        if let Some(outcome) = outcome {
            self.tools.metrics.measured(outcome);
            self.cycle.events += 1;
            self.cycle.counted += u64::from(outcome.counts());
            if let Some(before) = before {
                let verdict = self
                    .engine
                    .get(source)
                    .map_or(Verdict::Pass, |row| row.standing.verdict());
                self.witness.micro(Micro {
                    seq: event.offset.seq,
                    at,
                    source: source.into(),
                    angle: self.settings.params.carrier.angle(at.0),
                    outcome,
                    before,
                    after: t(&self.engine),
                    verdict,
                });
            }
        }
        if let Some(left) = left {
            self.tools.metrics.evictions.inc();
            self.sign_left(&left, at);
        }
        for change in changes {
            self.say(source, &change, at, event.offset.seq, None);
        }
    }

    /// Lets time pass up to `now`.
    pub(super) fn pass(&mut self, now: Stamp) {
        self.ticked_us = now.0;
        for (source, change) in self.engine.tick(now.0) {
            self.say(&source, &change, now, 0, None);
        }
        let cycle = self.settings.params.carrier.split(now.0).0;
        if cycle > self.cycle.number && now.0.saturating_sub(self.saved_us) >= TICK_US {
            self.close_cycle(now, cycle);
        } else if now.0.saturating_sub(self.saved_us) >= SAVE_US {
            self.save(now);
        }
    }

    pub(super) fn close_cycle(&mut self, now: Stamp, next: i64) {
        let closed = Cycle {
            number: next - 1,
            ..self.cycle
        };
        self.gone_signed = 0;
        self.cycle = Cycle {
            number: next,
            ..Cycle::default()
        };
        let mut group = Vec::new();
        let room = self.outbox.has_room();
        if closed.events > 0 {
            for text in witness::meso(&self.engine, closed, now) {
                self.witness.count(1, room);
                group.push(Entry::new(Name::WitnessMeso, text));
            }
            group.push(Entry::new(Name::CoherenceUpdate, self.update(closed, now)));
        }
        let lag = self.tools.tail.head().seq.saturating_sub(self.measured);
        let meta = self.witness.meta(now, &self.memory, lag);
        group.push(Entry::new(Name::WitnessMeta, meta));
        if room {
            self.outbox.push(group);
        }
        self.sign(now, "cycle");
        self.show();
    }

    /// Has a change kept, as an event and as a witness record, and brings the gate up to date.
    pub(super) fn say(
        &mut self,
        source: &str,
        change: &Change,
        at: Stamp,
        seq: u64,
        actor: Option<&str>,
    ) {
        let metrics = &self.tools.metrics;
        metrics.changes.with_label_values(&[change.what]).inc();
        if change.what == "release" {
            metrics
                .releases
                .with_label_values(&[change.reason.as_str()])
                .inc();
        }
        let contract = self
            .engine
            .get(source)
            .map(|row| *row.contract)
            .unwrap_or_default();
        self.judge(source, at);
        let key = (Box::from(source), Box::from(change.what));
        if let Some(count) = self.said_before.get_mut(&key).filter(|count| **count > 0) {
            *count -= 1;
            return;
        }
        let cause = Cause {
            source,
            contract: &contract,
            at,
            seq,
            actor,
        };
        let text = say::change(change, &cause, &self.settings.arcs);
        let phase = say::phase_of(&self.settings.arcs, &change.numbers.master);
        let mut event = Entry::new(say::name_of(change.what), text.clone());
        let mut record = Entry::new(Name::WitnessMacro, text);
        event.source = Some(source.into());
        event.phase = phase.map(Box::from);
        record.source = Some(source.into());
        self.witness.count(2, true);
        self.outbox.push(vec![event, record]);
        self.sign_one(source, at, change.what);
    }

    /// Writes to the gate what stands about a source: nothing, where everything passes.
    pub(super) fn judge(&mut self, source: &str, now: Stamp) {
        let Some(row) = self.engine.get(source) else {
            self.tools.gate.set(source, None);
            return;
        };
        let (mode, verdict) = (row.contract.mode, row.standing.verdict());
        if mode == kernel::Mode::Observe && verdict == Verdict::Pass {
            self.tools.gate.set(source, None);
            return;
        }
        let mut held_until = Stamp(0);
        if mode != kernel::Mode::Observe && row.standing.has(Overlay::Bursting) {
            let (fast, expected) = row.source.masses(now.0);
            let allowed = expected.max(row.params.companions.burst_mass);
            let wait = FLOOD_US * (fast / allowed).ln();
            held_until = now.plus_micros(wait.clamp(0.0, HOLD_MAX_US) as i64);
        }
        let judged = Judged {
            condition: row.standing.condition(),
            verdict,
            held_until,
        };
        self.tools.gate.set(source, Some(judged));
    }

    /// Writes to the gate what stands about everybody with a contract, and about whom a person put into quarantine.
    pub(super) fn judge_all(&mut self, now: Stamp) {
        let promised = self.engine.contracts().map(|(name, _)| Box::from(name));
        let names: Vec<Box<str>> = promised.chain(self.held.iter().cloned()).collect();
        for name in names {
            self.judge(&name, now);
        }
    }
}
