//! Seeded random lives of many streams, against the list of what was accepted.

use std::sync::Arc;

use glint::{Event, Name, Offset};
use sieve::{Ask, View};
use wire::Form;

use super::house::{EPOCH, House, NARROW, Plan, Reader, at, of_module, of_topics, request, settle};
use super::said::Said;
use crate::shard::From;
use crate::tail::History;

const LIVES: u64 = 60;
const STEPS: usize = 250;
const READERS: usize = 12;

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.throw(of.len() as u64) as usize].clone()
    }
}

/// One stream, and what it was promised.
struct Life {
    reader: Reader,
    view: View,
    from: From,
    /// History and the newest event when it began.
    floor: u64,
    head: u64,
}

struct World {
    house: House,
    dice: Dice,
    /// Every stored event from the beginning.
    log: Vec<Arc<Event>>,
    lives: Vec<Life>,
}

#[test]
fn whatever_happens_every_stream_gets_what_it_was_promised() {
    let mut falls = 0;
    let mut gaps = 0;
    for seed in 0..LIVES {
        let (fell, gapped) = actix_rt::System::new().block_on(world(seed));
        falls += fell;
        gaps += gapped;
    }
    assert!(
        falls > LIVES && gaps > LIVES,
        "the dice are too kind: {falls} {gaps}"
    );
}

async fn world(seed: u64) -> (u64, u64) {
    let mut dice = Dice(seed);
    let plan = Plan {
        workers: 2,
        lane: NARROW,
        history: dice.pick(&[60, 100_000]),
        ..Plan::default()
    };
    let mut world = World {
        house: House::open(plan).await,
        dice,
        log: Vec::new(),
        lives: Vec::new(),
    };
    for _ in 0..STEPS {
        world.step().await;
        world.note();
    }
    settle().await;
    world.note();
    for life in &mut world.lives {
        life.reader.catch_up().await;
    }
    for (number, life) in world.lives.iter().enumerate() {
        life.check(&world.log, &format!("seed {seed}, stream {number}"));
    }
    world.lives.clear();
    world.house.tick().await;
    let metrics = &world.house.metrics;
    let left = (
        metrics.open_streams(),
        metrics.lanes.get(),
        metrics.lane_bytes.get(),
    );
    assert_eq!(left, (0, 0, 0), "seed {seed}");
    (metrics.stream_falls.get(), metrics.stream_gaps.get())
}

impl World {
    async fn step(&mut self) {
        match self.dice.throw(100) {
            0..30 => self.publish(8).await,
            30..34 => self.publish(45).await,
            34..44 => self.house.announce(Name::Heartbeat),
            44..48 => self.house.announce(Name::PhaseUpdate),
            48..58 => self.attach(),
            58..61 => self.detach(),
            61..64 => settle().await,
            _ => self.poll(),
        }
        for _ in 0..self.dice.throw(5) {
            tokio::task::yield_now().await;
        }
    }

    async fn publish(&mut self, most: u64) {
        let count = 1 + self.dice.throw(most);
        let sources: Vec<&str> = (0..count)
            .map(|_| self.dice.pick(&["a", "b", "c"]))
            .collect();
        self.house.post_all(&sources).await;
    }

    fn attach(&mut self) {
        if self.lives.len() >= READERS {
            return;
        }
        let of_phase = Ask {
            phase: Some("inhale"),
            ..Ask::default()
        };
        let views = [
            View::everything(),
            of_topics("glints"),
            of_topics("state"),
            of_module("a"),
            of_module("b,c"),
            // Filtered, and heartbeats are in it.
            View::compile(&of_phase).expect("a view"),
        ];
        let (view, form) = (self.dice.pick(&views), self.dice.pick(&Form::ALL));
        let (floor, head) = (self.house.tail.floor().seq, self.house.tail.head().seq);
        let somewhere = at(self.dice.throw(head + 3));
        let foreign = Offset {
            epoch: EPOCH - 1,
            seq: 5,
        };
        let froms = [
            From::Now,
            From::Earliest,
            From::Last(self.dice.throw(30)),
            From::After(somewhere),
            From::After(at(head)),
            From::After(foreign),
        ];
        let from = self.dice.pick(&froms);
        let worker = self.dice.throw(2) as usize;
        let reader = self.house.try_attach(worker, request(form, &view, from));
        self.lives.push(Life {
            reader: reader.expect("a seat"),
            view,
            from,
            floor,
            head,
        });
    }

    fn detach(&mut self) {
        if !self.lives.is_empty() {
            let chosen = self.dice.throw(self.lives.len() as u64) as usize;
            let life = self.lives.swap_remove(chosen);
            life.check_so_far(&self.log, "left early");
        }
    }

    fn poll(&mut self) {
        if self.lives.is_empty() {
            return;
        }
        let chosen = self.dice.throw(self.lives.len() as u64) as usize;
        let size = self.dice.pick(&[1, 200, 1000, 16 * 1024]);
        self.lives[chosen].reader.poll(size);
    }

    /// Notes what was accepted since the last time.
    fn note(&mut self) {
        match self
            .house
            .tail
            .history(self.log.len() as u64, u64::MAX, usize::MAX)
        {
            History::Events(events) => self.log.extend(events),
            History::Head => {}
            History::Archived => unreachable!("nothing is on disk here"),
            History::Gone { floor } => panic!("the model missed what is before {floor}"),
        }
    }
}

impl Life {
    fn check(&self, log: &[Arc<Event>], name: &str) {
        let seen = self.check_so_far(log, name);
        let missing = self.next(log, seen).map(|event| event.offset.seq);
        assert_eq!(
            missing, None,
            "{name}: after {seen}, in {:?}",
            self.reader.form
        );
    }

    /// Checks what came against what was accepted, and returns how far that is.
    fn check_so_far(&self, log: &[Arc<Event>], name: &str) -> u64 {
        let form = self.reader.form;
        let Some((Said::Hello { cursor, .. }, said)) = self.reader.said.split_first() else {
            assert!(self.reader.said.is_empty(), "{name}: no hello in {form:?}");
            return 0;
        };
        let (mut seen, first_gap) = self.beginning(log);
        assert_eq!(
            *cursor,
            Some(at(seen)),
            "{name}: {form:?} from {:?}",
            self.from
        );
        let mut said = said.iter().peekable();
        if let Some((from, reason)) = first_gap {
            let gap = Said::Gap {
                from,
                to: at(seen),
                reason: reason.into(),
            };
            assert_eq!(said.next(), Some(&gap), "{name}: {form:?}");
        }
        for said in said {
            match said {
                Said::Event(heard) if heard.cursor.is_none() => {
                    assert_eq!(heard.name, "heartbeat", "{name}: {form:?}");
                }
                Said::Event(heard) => {
                    let next = self.next(log, seen).expect("an accepted event");
                    assert_eq!(heard.cursor, Some(next.offset), "{name}: {form:?}");
                    assert_eq!(heard.name, next.name.as_str(), "{name}: {form:?}");
                    assert_eq!(heard.id.as_deref(), next.id.as_deref(), "{name}: {form:?}");
                    seen = next.offset.seq;
                }
                Said::Gap { from, to, reason } => {
                    assert_eq!(reason, "evicted", "{name}: {form:?}");
                    assert!(seen <= from.seq && from.seq < to.seq, "{name}: {form:?}");
                    let lost = self.next(log, seen).map(|event| event.offset.seq);
                    assert!(lost.is_none_or(|lost| lost > from.seq), "{name}: {form:?}");
                    seen = to.seq;
                }
                Said::Error(text) => assert!(text.contains("SEQ_GAP"), "{name}: {text}"),
                // The fresh sids behind a gap.
                Said::Answer(text) if form.is_numbered() => {
                    assert!(text.contains("directory"), "{name}: {text}");
                }
                other => panic!("{name}: {other:?} in {form:?}"),
            }
        }
        if form.is_numbered() {
            self.reader.read_strictly();
        }
        seen
    }

    /// Returns the place before the first event to come, and the gap before it.
    fn beginning(&self, log: &[Arc<Event>]) -> (u64, Option<(Offset, &'static str)>) {
        match self.from {
            From::Now => (self.head, None),
            From::Earliest => (self.floor, None),
            From::Last(0) => (self.head, None),
            From::Last(count) => {
                let here = &log[self.floor as usize..self.head as usize];
                let mine = here.iter().rev().filter(|event| self.view.matches(event));
                let first = mine.map(|event| event.offset.seq).nth(count as usize - 1);
                (first.map_or(self.floor, |seq| seq - 1), None)
            }
            From::After(cursor) if cursor.epoch != EPOCH => {
                (self.floor, Some((cursor, "unknown_epoch")))
            }
            From::After(cursor) if cursor.seq < self.floor => {
                (self.floor, Some((cursor, "evicted")))
            }
            From::After(cursor) if cursor.seq > self.head => {
                (self.head, Some((cursor, "unknown_cursor")))
            }
            From::After(cursor) => (cursor.seq, None),
            From::Since(_) => unreachable!("no life begins at an instant"),
        }
    }

    fn next<'l>(&self, log: &'l [Arc<Event>], seen: u64) -> Option<&'l Arc<Event>> {
        let mut rest = log[seen as usize..].iter();
        rest.find(|event| self.view.matches(event))
    }
}
