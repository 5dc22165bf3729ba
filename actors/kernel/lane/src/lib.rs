//! A lane: one bounded window of pre-framed bytes that many readers share.
//!
//! There is one lane per worker and view. Whoever owns it renders an event
//! once, straight into the lane's page, and every reader of the view then
//! sends slices of that page. A reader is a [`Cursor`] (a number) and nothing
//! else: it pins no memory, so a slow reader costs the lane nothing. When the
//! window has moved past a cursor, [`Lane::read`] says so with exact numbers
//! and the owner decides what the reader gets instead.
//!
//! # What it is not
//!
//! It is not a queue: reading removes nothing. It is not a filter: every frame
//! appended goes to every reader, which is why a run is always one slice. It
//! is not a log: what leaves the window is gone, and whoever needs it reads
//! the ledger. It knows no clock, no task and no socket, and it is not shared
//! between threads.
//!
//! # Marks
//!
//! Each frame carries a *mark*, the position of its event in the ledger.
//! Marks never go down along the lane. Several frames may share one mark,
//! because an ephemeral event carries the mark of the last durable one. The
//! rules that make joining exact:
//!
//! - A durable event is one frame, and the first frame of its mark. "Seen
//!   through `m`" therefore means: has every durable frame with mark ≤ `m`.
//!   Ephemeral frames of mark `m` may be missing; nothing promises them.
//! - The *floor* is the mark of the newest evicted frame, or the floor given
//!   at birth. Every frame with a mark above the floor is in the window.
//!   Eviction may cut between frames of one mark; the floor then is that mark,
//!   and frames of it that are still held do not lower it.
//! - [`Lane::join`] gives a cursor only to a reader that has seen through the
//!   floor or further, and that cursor is the first frame *above* what it has
//!   seen: no durable frame is skipped, none is sent twice.
//!
//! # Bounds
//!
//! - After every [`Lane::append`], [`Lane::window_bytes_used`] is at most
//!   `window_bytes`, or the length of the newest frame if that alone is more.
//! - An eviction never takes more than it must: what stays is more than
//!   `window_bytes` less the last page dropped.
//! - A lane without frames owns no heap. The first page starts at 1 KiB and
//!   doubles, so that a thousand quiet lanes are cheap; later pages are
//!   allocated whole, and one evicted page is kept for reuse, so that a busy
//!   lane stops allocating once its window is full.
//! - The index costs 12 bytes per frame on top of the frame's bytes.
//!
//! # Layout
//!
//! - `lib.rs`: [`Lane`] and its [`Limits`].
//! - `page.rs`: one page, which is a buffer and the index of its frames.
//! - `reader.rs`: what a reader holds and is told: [`Cursor`], [`Read`],
//!   [`Run`], [`Progress`], [`Fell`], [`Join`].

mod page;
mod reader;

use std::collections::VecDeque;
use std::fmt;
use std::mem;

use crate::page::Page;
pub use crate::reader::{Cursor, Fell, Join, Progress, Read, Run};

/// A page is closed early when the longest frame it holds would not fit again,
/// but never while more than this share of it (one part in four) is free.
const HEADROOM_SHARE: usize = 4;

/// Bounds the memory of one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of frames the lane keeps; at least 1.
    pub window_bytes: usize,
    /// Bytes of one page: the unit of eviction and the longest possible run.
    /// Taken as `window_bytes` if larger, and as `u32::MAX` at most.
    pub page_bytes: usize,
}

impl Default for Limits {
    /// Returns a window of 1 MiB in pages of 64 KiB.
    fn default() -> Self {
        Self {
            window_bytes: 1024 * 1024,
            page_bytes: 64 * 1024,
        }
    }
}

impl Limits {
    /// Returns limits the lane can keep: nothing zero, no page above the window.
    fn settled(self) -> Self {
        let window_bytes = self.window_bytes.max(1);
        let widest = window_bytes.min(u32::MAX as usize);
        Self {
            window_bytes,
            page_bytes: self.page_bytes.clamp(1, widest),
        }
    }
}

/// Holds the newest frames of one view and serves them to any number of
/// cursors.
pub struct Lane {
    limits: Limits,
    /// Closed pages, oldest first; none is empty.
    closed: VecDeque<Page>,
    /// The page being written; empty only before the first frame and after a
    /// writer wrote nothing on a fresh page.
    tail: Page,
    /// One evicted page, cleared, for the next roll.
    spare: Option<Page>,
    /// Mark of the newest frame ever appended, or the birth floor.
    newest: u64,
    floor: u64,
    /// Length of the longest frame in `tail`.
    longest: usize,
}

impl Lane {
    /// Creates an empty lane that owns no heap yet.
    ///
    /// `floor` is the promise of the owner: every frame with a mark above it
    /// will be appended from now on.
    pub fn new(limits: Limits, floor: u64) -> Self {
        Self {
            limits: limits.settled(),
            closed: VecDeque::new(),
            tail: Page::default(),
            spare: None,
            newest: floor,
            floor,
            longest: 0,
        }
    }

    /// Appends the one frame that `write` pushes onto the buffer, and returns
    /// its length.
    ///
    /// `write` gets the page itself, so it must only push; what is already
    /// there belongs to other frames. If it pushes nothing, nothing is
    /// appended. If it panics, the lane is as if it had not been called.
    ///
    /// A mark below the newest one is raised to the newest. That is right for
    /// an ephemeral event that was overtaken; a durable event must not come
    /// late, since readers that joined above it will not look for it here.
    ///
    /// # Panics
    ///
    /// Panics if `write` left the buffer shorter than it found it.
    pub fn append(&mut self, mark: u64, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        if self.tail_is_full() {
            let next = self.blank_page();
            self.roll(next);
        }
        let start = self.tail.len();
        let buffer = self.tail.buffer(self.limits.page_bytes);
        write(buffer);
        let end = buffer.len();
        assert!(end >= start, "a frame writer must only push bytes");
        if end == start {
            return 0;
        }
        if start > 0 && end > self.limits.page_bytes {
            self.move_to_next_page(start);
        }
        self.newest = self.newest.max(mark);
        self.tail.commit(self.newest, self.limits.page_bytes);
        self.longest = self.longest.max(end - start);
        self.evict_closed(self.limits.window_bytes);
        end - start
    }

    /// Returns the longest run at `cursor` within both limits: whole frames,
    /// contiguous in one page.
    ///
    /// The run holds at least one frame, even if that one is longer than
    /// `max_bytes` or `max_frames` is 0. It may stop short of both limits
    /// where its page ends; the next read goes on from there.
    pub fn read(&self, cursor: Cursor, max_bytes: usize, max_frames: u32) -> Read<'_> {
        if cursor >= self.head() {
            return Read::Idle;
        }
        let oldest = self.oldest();
        if cursor < oldest {
            return Read::Fell(Fell {
                from: cursor,
                to: oldest,
                floor: self.floor,
            });
        }
        Read::Run(self.page_of(cursor).run(cursor, max_bytes, max_frames))
    }

    /// Returns the cursor after the newest frame, where a live reader starts.
    pub fn head(&self) -> Cursor {
        self.tail.end()
    }

    /// Returns the cursor of the oldest frame still held, or the head if none is.
    pub fn oldest(&self) -> Cursor {
        self.front().first()
    }

    /// Finds where a reader that has seen through `after_mark` goes on.
    ///
    /// See [`Join`] for the three answers and the crate's notes on marks for
    /// why none of them can lose or repeat a durable frame.
    pub fn join(&self, after_mark: u64) -> Join {
        if after_mark < self.floor {
            return Join::Evicted;
        }
        if after_mark > self.newest {
            return Join::Ahead(self.head());
        }
        let nth = self
            .closed
            .partition_point(|page| page.last_mark().is_none_or(|last| last <= after_mark));
        let page = self.closed.get(nth).unwrap_or(&self.tail);
        Join::At(page.first_above(after_mark))
    }

    /// Returns `cursor`, moved past the frames with a mark of `seen` or less.
    ///
    /// A reader that was told [`Join::Ahead`] calls this before each read
    /// until it has its first run. A cursor that fell behind the window moves
    /// only if all it missed was seen; otherwise it stays, and the read
    /// reports the fall.
    pub fn skip(&self, cursor: Cursor, seen: u64) -> Cursor {
        match self.join(seen) {
            Join::At(next) | Join::Ahead(next) => cursor.max(next),
            Join::Evicted => cursor,
        }
    }

    /// Drops whole pages, oldest first, until at most `keep_bytes` are used,
    /// and frees what was kept for reuse.
    ///
    /// This is how the owner ages a lane that went quiet. Unlike an append it
    /// may drop the newest frame as well; `trim(0)` returns the lane to no
    /// frames and (nearly) no heap.
    pub fn trim(&mut self, keep_bytes: usize) {
        self.evict_closed(keep_bytes);
        self.spare = None;
        self.closed.shrink_to_fit();
        if self.window_bytes_used() <= keep_bytes {
            return;
        }
        let after = self.tail.following();
        let page = mem::replace(&mut self.tail, after);
        self.raise_floor(&page);
        self.longest = 0;
    }

    /// Returns the mark of the newest evicted frame, or the birth floor.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// Returns the mark of the newest frame ever appended, or the birth floor.
    pub fn newest_mark(&self) -> u64 {
        self.newest
    }

    /// Counts the frames between `cursor` and the head, evicted ones included.
    pub fn frames_behind(&self, cursor: Cursor) -> u64 {
        self.head().number().saturating_sub(cursor.number())
    }

    /// Counts the bytes still held between `cursor` and the head.
    pub fn bytes_behind(&self, cursor: Cursor) -> usize {
        let cursor = cursor.max(self.oldest());
        if cursor >= self.head() {
            return 0;
        }
        let position = self.page_of(cursor).position(cursor);
        (self.tail.end_position() - position) as usize
    }

    /// Counts the bytes of all frames held.
    pub fn window_bytes_used(&self) -> usize {
        (self.tail.end_position() - self.front().origin()) as usize
    }

    /// Counts the frames held.
    pub fn frames_held(&self) -> u64 {
        self.frames_behind(self.oldest())
    }

    /// Counts the bytes of memory the lane owns: buffers by capacity, the
    /// index, the spare page and the lane itself. Walks the pages.
    pub fn memory_bytes(&self) -> usize {
        let pages = self.closed.iter().chain(&self.spare).chain([&self.tail]);
        let heap: usize = pages.map(Page::heap_bytes).sum();
        mem::size_of::<Self>() + self.closed.capacity() * mem::size_of::<Page>() + heap
    }

    fn front(&self) -> &Page {
        self.closed.front().unwrap_or(&self.tail)
    }

    /// Returns the page that holds `cursor`, which must be in the window.
    fn page_of(&self, cursor: Cursor) -> &Page {
        // Readers crowd at the head, so most find their page without a search.
        if cursor >= self.tail.first() {
            return &self.tail;
        }
        let after = self.closed.partition_point(|page| page.first() <= cursor);
        &self.closed[after - 1]
    }

    /// Tells whether the next frame is better written on a fresh page.
    ///
    /// How long it will be is not known before it is written, and one that
    /// does not fit grows the buffer and is then moved. Expecting it to be as
    /// long as the longest so far avoids that in a lane of like frames.
    fn tail_is_full(&self) -> bool {
        let page_bytes = self.limits.page_bytes;
        let headroom = self.longest.min(page_bytes / HEADROOM_SHARE);
        self.tail.len() > 0 && self.tail.len() + headroom > page_bytes
    }

    fn blank_page(&mut self) -> Page {
        let page_bytes = self.limits.page_bytes;
        self.spare
            .take()
            .unwrap_or_else(|| Page::with_room(page_bytes))
    }

    /// Closes the tail and goes on with `next`.
    fn roll(&mut self, mut next: Page) {
        next.follow(&self.tail);
        self.closed.push_back(mem::replace(&mut self.tail, next));
        self.longest = 0;
    }

    /// Moves the frame just written, which begins at `start` and runs past the
    /// page, to a page of its own or a fresh one.
    fn move_to_next_page(&mut self, start: usize) {
        let page_bytes = self.limits.page_bytes;
        let frame_bytes = self.tail.written() - start;
        let mut next = if frame_bytes > page_bytes {
            // Growing the spare would cost its reuse; leave it for a page.
            Page::with_room(frame_bytes)
        } else {
            self.blank_page()
        };
        self.tail.hand_over(&mut next, page_bytes);
        self.roll(next);
    }

    /// Drops closed pages, oldest first, until at most `keep_bytes` are used.
    fn evict_closed(&mut self, keep_bytes: usize) {
        while self.window_bytes_used() > keep_bytes
            && let Some(page) = self.closed.pop_front()
        {
            self.raise_floor(&page);
            if self.spare.is_none() {
                self.spare = page.recycled(self.limits.page_bytes);
            }
        }
    }

    fn raise_floor(&mut self, evicted: &Page) {
        self.floor = evicted.last_mark().unwrap_or(self.floor).max(self.floor);
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("oldest", &self.oldest())
            .field("head", &self.head())
            .field("floor", &self.floor)
            .field("newest_mark", &self.newest)
            .field("window_bytes_used", &self.window_bytes_used())
            .field("pages", &(self.closed.len() + 1))
            .finish_non_exhaustive()
    }
}
