//! Checks the lane against a model that forgets nothing: a list of all frames
//! ever appended.
//!
//! What the lane evicts is its own affair within bounds, so the model takes
//! `oldest` from the lane, checks the bounds, and derives everything else.

use std::collections::VecDeque;

use lane::{Cursor, Join, Lane, Limits, Read, Run};
use proptest::prelude::*;

const BIRTH_FLOOR: u64 = 3;
const READERS: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    /// A durable frame takes the next marks; an ephemeral one repeats the last.
    Append {
        length: usize,
        durable: bool,
        gap: u64,
    },
    Read {
        reader: usize,
        max_bytes: usize,
        max_frames: u32,
        written: prop::sample::Index,
    },
    /// The reader goes away and joins again from what it has seen.
    Rejoin {
        reader: usize,
    },
    /// A replay has taken the reader this far past the lane's newest mark.
    Overtake {
        reader: usize,
        by: u64,
    },
    Trim {
        keep_bytes: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![
        1 => Just(0usize),
        12 => 1usize..40,
        3 => 40usize..130,
        1 => 130usize..900,
    ];
    let reader = 0..READERS;
    prop_oneof![
        12 => (length, any::<bool>(), 1u64..4)
            .prop_map(|(length, durable, gap)| Step::Append { length, durable, gap }),
        12 => (reader.clone(), 0usize..300, 0u32..12, any::<prop::sample::Index>())
            .prop_map(|(reader, max_bytes, max_frames, written)| Step::Read {
                reader, max_bytes, max_frames, written,
            }),
        2 => reader.clone().prop_map(|reader| Step::Rejoin { reader }),
        1 => (reader, 1u64..6).prop_map(|(reader, by)| Step::Overtake { reader, by }),
        1 => (0usize..500).prop_map(|keep_bytes| Step::Trim { keep_bytes }),
    ]
}

struct Frame {
    mark: u64,
    durable: bool,
    bytes: Vec<u8>,
}

struct Reader {
    cursor: Cursor,
    /// Has every durable frame with a mark up to here.
    seen: u64,
    /// Whether it still has to skip frames it has seen.
    ahead: bool,
    /// Bytes it expects first, which the split put aside.
    stash: Vec<u8>,
    /// Bytes on its wire since it last joined, and what they ought to be.
    got: Vec<u8>,
    due: Vec<u8>,
    /// Durable marks it has had, by the lane or by a replay, without a gap.
    durable_from: usize,
}

struct World {
    lane: Lane,
    limits: Limits,
    frames: Vec<Frame>,
    readers: Vec<Reader>,
}

impl World {
    fn new(limits: Limits) -> Self {
        let lane = Lane::new(limits, BIRTH_FLOOR);
        let reader = || Reader {
            cursor: lane.head(),
            seen: BIRTH_FLOOR,
            ahead: false,
            stash: Vec::new(),
            got: Vec::new(),
            due: Vec::new(),
            durable_from: 0,
        };
        Self {
            readers: (0..READERS).map(|_| reader()).collect(),
            frames: Vec::new(),
            lane,
            limits,
        }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Append {
                length,
                durable,
                gap,
            } => self.append(length, durable, gap),
            Step::Read {
                reader,
                max_bytes,
                max_frames,
                written,
            } => self.read(reader, max_bytes, max_frames, written),
            Step::Rejoin { reader } => self.join(reader),
            Step::Overtake { reader, by } => {
                let ledger = self.lane.newest_mark() + by;
                self.readers[reader].seen = ledger;
                self.join(reader);
            }
            Step::Trim { keep_bytes } => {
                self.lane.trim(keep_bytes);
                assert!(self.lane.window_bytes_used() <= keep_bytes);
            }
        }
        self.check_figures();
        self.check_joins();
    }

    fn append(&mut self, length: usize, durable: bool, gap: u64) {
        let mark = self.lane.newest_mark() + if durable { gap } else { 0 };
        let bytes: Vec<u8> = (0..length)
            .map(|at| (self.frames.len() * 31 + at) as u8)
            .collect();
        let before = self.lane.oldest();
        let wrote = self
            .lane
            .append(mark, |page| page.extend_from_slice(&bytes));
        assert_eq!(wrote, length);
        if length == 0 {
            assert_eq!(self.lane.oldest(), before);
            return;
        }
        self.frames.push(Frame {
            mark,
            durable,
            bytes,
        });
        let used = self.lane.window_bytes_used();
        assert!(used <= self.limits.window_bytes.max(length));
        let oldest = self.lane.oldest();
        if oldest > before {
            let longest = self.held(before, oldest).map(|frame| frame.bytes.len());
            let dropped = longest.max().unwrap_or(0).max(self.limits.page_bytes);
            assert!(used + dropped > self.limits.window_bytes);
        }
    }

    fn held(&self, from: Cursor, to: Cursor) -> impl Iterator<Item = &Frame> {
        self.frames[from.number() as usize..to.number() as usize].iter()
    }

    fn read(&mut self, nth: usize, max_bytes: usize, max_frames: u32, at: prop::sample::Index) {
        let reader = &mut self.readers[nth];
        if reader.ahead {
            let (from, seen) = (reader.cursor, reader.seen);
            reader.cursor = self.lane.skip(from, seen);
            check_skip(&self.lane, &self.frames, from, reader.cursor, seen);
        }
        let cursor = reader.cursor;
        match self.lane.read(cursor, max_bytes, max_frames) {
            Read::Idle => assert_eq!(cursor.number(), self.frames.len() as u64),
            Read::Fell(fell) => {
                assert!(cursor < self.lane.oldest());
                assert_eq!((fell.from, fell.to), (cursor, self.lane.oldest()));
                assert_eq!(fell.frames(), self.lane.oldest().number() - cursor.number());
                assert_eq!(fell.floor, self.lane.floor());
                self.join(nth);
            }
            Read::Run(run) => {
                check_run(&self.frames, cursor, &run, max_bytes, max_frames);
                // The ends matter most: nothing written, and all of it.
                let written = at.index(run.bytes.len() + 3).saturating_sub(1);
                take(reader, &self.frames, &run, written);
            }
        }
    }

    /// Has a reader join from what it has seen, replaying if it must.
    fn join(&mut self, nth: usize) {
        let newest = self.lane.newest_mark();
        let reader = &mut self.readers[nth];
        reader.stash.clear();
        reader.got.clear();
        reader.due.clear();
        let mut join = self.lane.join(reader.seen);
        if join == Join::Evicted {
            assert!(reader.seen < self.lane.floor());
            // A replay from the ledger, up to what the lane has.
            reader.seen = newest;
            join = self.lane.join(newest);
        }
        (reader.cursor, reader.ahead) = match join {
            Join::At(cursor) => (cursor, false),
            Join::Ahead(cursor) => (cursor, true),
            Join::Evicted => panic!("a replay up to the newest mark is never too old"),
        };
        reader.durable_from = reader.cursor.number() as usize;
    }

    fn check_figures(&self) {
        let (oldest, head) = (self.lane.oldest(), self.lane.head());
        assert_eq!(head.number(), self.frames.len() as u64);
        let used: usize = self.held(oldest, head).map(|frame| frame.bytes.len()).sum();
        assert_eq!(self.lane.window_bytes_used(), used);
        assert_eq!(self.lane.frames_held(), head.number() - oldest.number());
        let floor = match oldest.number() {
            0 => BIRTH_FLOOR,
            evicted => self.frames[evicted as usize - 1].mark,
        };
        assert_eq!(self.lane.floor(), floor);
        for reader in &self.readers {
            let held = reader.cursor.max(oldest);
            let behind: usize = self.held(held, head).map(|frame| frame.bytes.len()).sum();
            assert_eq!(self.lane.bytes_behind(reader.cursor), behind);
            assert_eq!(
                self.lane.frames_behind(reader.cursor),
                head.number() - reader.cursor.number()
            );
        }
    }

    fn check_joins(&self) {
        let newest = self.lane.newest_mark();
        for mark in 0..newest + 2 {
            let first = self.frames.iter().position(|frame| frame.mark > mark);
            let first = first.unwrap_or(self.frames.len()) as u64;
            match self.lane.join(mark) {
                Join::Evicted => assert!(mark < self.lane.floor()),
                Join::Ahead(cursor) => {
                    assert!(mark > newest);
                    assert_eq!(cursor, self.lane.head());
                }
                Join::At(cursor) => {
                    assert!(mark >= self.lane.floor() && mark <= newest);
                    assert_eq!(cursor.number(), first);
                    assert!(cursor >= self.lane.oldest());
                }
            }
        }
    }
}

/// Checks that a skip passed all that was seen and nothing else.
fn check_skip(lane: &Lane, frames: &[Frame], from: Cursor, to: Cursor, seen: u64) {
    let (first, next) = (from.number() as usize, to.number() as usize);
    assert!(frames[first..next].iter().all(|frame| frame.mark <= seen));
    if to >= lane.oldest() {
        assert!(frames.get(next).is_none_or(|frame| frame.mark > seen));
    } else {
        assert!(to == from && seen < lane.floor());
    }
}

fn check_run(frames: &[Frame], cursor: Cursor, run: &Run<'_>, max_bytes: usize, max_frames: u32) {
    let (from, to) = (cursor.number() as usize, run.next.number() as usize);
    assert_eq!(to - from, run.frames as usize);
    assert!(run.frames >= 1 && run.frames <= max_frames.max(1));
    assert!(run.frames == 1 || run.bytes.len() <= max_bytes);
    let model: Vec<u8> = join_bytes(&frames[from..to]);
    assert_eq!(run.bytes, model);
    assert_eq!(run.mark, frames[to - 1].mark);
}

/// Writes part of a run, as a socket would, and moves the reader on.
fn take(reader: &mut Reader, frames: &[Frame], run: &Run<'_>, written: usize) {
    let progress = run.split(written);
    let (from, to) = (
        reader.cursor.number() as usize,
        progress.next.number() as usize,
    );
    assert_eq!(progress.frames as usize, to - from);
    let written = written.min(run.bytes.len());
    reader.got.append(&mut reader.stash);
    reader.got.extend_from_slice(&run.bytes[..written]);
    reader.stash.extend_from_slice(progress.rest);
    reader.due.extend(join_bytes(&frames[from..to]));
    let sent: Vec<u8> = [&reader.got[..], &reader.stash].concat();
    assert_eq!(sent, reader.due);
    let last = frames[from..to].last().map(|frame| frame.mark);
    assert_eq!(progress.mark, last);
    for frame in frames[from..to].iter().filter(|frame| frame.durable) {
        assert!(frame.mark > reader.seen, "a durable frame came twice");
        reader.seen = frame.mark;
    }
    // None may be missing between what it joined after and where it is.
    let passed = &frames[reader.durable_from..to];
    let newest = passed.iter().rfind(|frame| frame.durable);
    assert!(newest.is_none_or(|frame| frame.mark <= reader.seen));
    reader.cursor = progress.next;
    reader.ahead &= progress.mark.is_none();
}

fn join_bytes(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = VecDeque::new();
    for frame in frames {
        bytes.extend(&frame.bytes);
    }
    bytes.into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn every_reader_sees_the_models_frames_or_is_told_what_it_missed(
        page_bytes in 1usize..200,
        pages in 1usize..6,
        odd in 0usize..50,
        steps in prop::collection::vec(step(), 1..160),
    ) {
        let window_bytes = page_bytes * pages + odd;
        let mut world = World::new(Limits { window_bytes, page_bytes });
        for step in &steps {
            world.run(step);
        }
    }
}
