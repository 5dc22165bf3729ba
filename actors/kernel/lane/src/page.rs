//! One page: a buffer of whole frames and the index that finds them.

use std::mem;

use crate::reader::{Cursor, Run};

/// Capacity of the first page of a lane; it doubles from here.
const FIRST_ROOM_BYTES: usize = 1024;

/// A recycled page keeps index room for frames of this length on average; one
/// that held many shorter frames gives the rest back.
const SPARE_FRAME_BYTES: usize = 32;

/// Holds consecutive frames of one lane, contiguous in memory.
///
/// `start` of every frame is below the lane's `page_bytes`, which fits `u32`:
/// only the first frame of a page, at 0, may run past it.
#[derive(Default)]
pub(crate) struct Page {
    bytes: Vec<u8>,
    /// Bytes of committed frames. More in `bytes` is a frame being written, or
    /// the leavings of a writer that panicked.
    len: usize,
    starts: Vec<u32>,
    marks: Vec<u64>,
    /// Number of the first frame.
    first: u64,
    /// Bytes appended to the lane before this page.
    origin: u64,
}

impl Page {
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            ..Self::default()
        }
    }

    pub(crate) fn first(&self) -> Cursor {
        Cursor::new(self.first)
    }

    /// Returns the cursor after the last frame.
    pub(crate) fn end(&self) -> Cursor {
        Cursor::new(self.first + self.marks.len() as u64)
    }

    /// Counts the bytes of committed frames.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Counts the bytes in the buffer, a frame not committed yet included.
    pub(crate) fn written(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn origin(&self) -> u64 {
        self.origin
    }

    pub(crate) fn end_position(&self) -> u64 {
        self.origin + self.len as u64
    }

    /// Returns the bytes appended to the lane before the frame at `cursor`.
    pub(crate) fn position(&self, cursor: Cursor) -> u64 {
        self.origin + u64::from(self.starts[self.nth(cursor)])
    }

    pub(crate) fn last_mark(&self) -> Option<u64> {
        self.marks.last().copied()
    }

    /// Returns the first frame with a mark above `mark`, or the page's end.
    pub(crate) fn first_above(&self, mark: u64) -> Cursor {
        let nth = self.marks.partition_point(|held| *held <= mark);
        Cursor::new(self.first + nth as u64)
    }

    /// Returns the buffer, ending where the next frame begins.
    pub(crate) fn buffer(&mut self, page_bytes: usize) -> &mut Vec<u8> {
        self.bytes.truncate(self.len);
        if self.bytes.capacity() == 0 {
            self.bytes.reserve_exact(FIRST_ROOM_BYTES.min(page_bytes));
        }
        &mut self.bytes
    }

    /// Makes what was written after the last frame a frame.
    pub(crate) fn commit(&mut self, mark: u64, page_bytes: usize) {
        self.starts.push(self.len as u32);
        self.marks.push(mark);
        self.len = self.bytes.len();
        self.give_back_room(page_bytes);
    }

    /// Moves what was written after the last frame to `next`.
    pub(crate) fn hand_over(&mut self, next: &mut Self, page_bytes: usize) {
        next.bytes.extend_from_slice(&self.bytes[self.len..]);
        self.bytes.truncate(self.len);
        self.give_back_room(page_bytes);
    }

    /// Places this page, which has no frames, right after `before`.
    pub(crate) fn follow(&mut self, before: &Self) {
        self.first = before.end().number();
        self.origin = before.end_position();
    }

    /// Returns a page without room that comes right after this one.
    pub(crate) fn following(&self) -> Self {
        let mut page = Self::default();
        page.follow(self);
        page
    }

    /// Returns the page emptied for reuse, or nothing if it was outsized.
    pub(crate) fn recycled(mut self, page_bytes: usize) -> Option<Self> {
        if self.bytes.capacity() > page_bytes {
            return None;
        }
        self.bytes.clear();
        self.len = 0;
        self.starts.clear();
        self.marks.clear();
        let frames = page_bytes / SPARE_FRAME_BYTES;
        self.starts.shrink_to(frames);
        self.marks.shrink_to(frames);
        Some(self)
    }

    /// Returns the longest run at `cursor`, which must be in this page.
    pub(crate) fn run(&self, cursor: Cursor, max_bytes: usize, max_frames: u32) -> Run<'_> {
        let nth = self.nth(cursor);
        let from = self.starts[nth] as usize;
        let most = nth
            .saturating_add(max_frames.max(1) as usize)
            .min(self.starts.len());
        let limit = from.saturating_add(max_bytes);
        let until = if self.start_of(most) <= limit {
            most
        } else {
            // A frame fits if the next one starts within the limit.
            let fitting =
                self.starts[nth + 1..most].partition_point(|start| *start as usize <= limit);
            nth + fitting.max(1)
        };
        Run::new(
            cursor,
            &self.bytes[from..self.start_of(until)],
            &self.starts[nth..until],
            &self.marks[nth..until],
        )
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
            + self.starts.capacity() * mem::size_of::<u32>()
            + self.marks.capacity() * mem::size_of::<u64>()
    }

    fn nth(&self, cursor: Cursor) -> usize {
        (cursor.number() - self.first) as usize
    }

    /// Returns where the `nth` frame starts, or where the last one ends.
    fn start_of(&self, nth: usize) -> usize {
        self.starts
            .get(nth)
            .map_or(self.len, |start| *start as usize)
    }

    /// Returns to the allocator what a growing buffer took beyond a page.
    fn give_back_room(&mut self, page_bytes: usize) {
        let room = page_bytes.max(self.bytes.len());
        if self.bytes.capacity() > room {
            self.bytes.shrink_to(room);
        }
    }
}
