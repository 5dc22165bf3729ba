//! What a reader holds and what it is told.

/// Names the next frame a reader wants, counted from the first frame of the
/// lane's life.
///
/// A cursor means something only to the lane it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor(u64);

impl Cursor {
    pub(crate) fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns how many frames were appended before this one.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Answers [`Lane::read`](crate::Lane::read).
#[derive(Debug, Clone, Copy)]
pub enum Read<'a> {
    /// Frames to send.
    Run(Run<'a>),
    /// The cursor is at the head; there is nothing to send yet.
    Idle,
    /// The frame at the cursor has left the window.
    Fell(Fell),
}

/// Tells a reader what it missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fell {
    /// The frame it wanted.
    pub from: Cursor,
    /// The oldest frame still held, or the head if none is.
    pub to: Cursor,
    /// The lane's floor: a reader that has seen through this mark has missed
    /// ephemeral frames only and may go on at `to`.
    pub floor: u64,
}

impl Fell {
    /// Counts the frames missed.
    pub fn frames(&self) -> u64 {
        self.to.0.saturating_sub(self.from.0)
    }
}

/// Answers [`Lane::join`](crate::Lane::join).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// The first frame above the mark, which is the head if there is none yet.
    At(Cursor),
    /// The head; the reader knows more than the lane, as after a replay that
    /// overtook delivery. Frames it has seen may still be appended, so it must
    /// pass its cursor through [`Lane::skip`](crate::Lane::skip) before each
    /// read until it has its first run.
    Ahead(Cursor),
    /// Frames above the mark have been evicted, or predate the lane.
    Evicted,
}

/// Holds whole frames, contiguous in memory, ready to be written.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The bytes of all frames in the run.
    pub bytes: &'a [u8],
    /// How many frames they are; at least one.
    pub frames: u32,
    /// The cursor after the run.
    pub next: Cursor,
    /// The mark of the last frame in the run.
    pub mark: u64,
    first: Cursor,
    starts: &'a [u32],
    marks: &'a [u64],
}

impl<'a> Run<'a> {
    /// Builds a run of the frames indexed by `starts` and `marks`, neither of
    /// which is empty.
    pub(crate) fn new(first: Cursor, bytes: &'a [u8], starts: &'a [u32], marks: &'a [u64]) -> Self {
        Self {
            bytes,
            frames: starts.len() as u32,
            next: Cursor(first.0 + starts.len() as u64),
            mark: marks[marks.len() - 1],
            first,
            starts,
            marks,
        }
    }

    /// Tells where a reader is after the first `written` bytes of the run went
    /// out.
    ///
    /// The cursor it gets is always on a frame boundary. If the write stopped
    /// inside a frame, the reader copies `rest` aside and sends it before
    /// anything else, so the lane may evict the frame meanwhile.
    pub fn split(&self, written: usize) -> Progress<'a> {
        let written = written.min(self.bytes.len());
        let base = self.starts[0] as usize;
        let begun = self
            .starts
            .partition_point(|start| (*start as usize - base) < written);
        let boundary = self
            .starts
            .get(begun)
            .map_or(self.bytes.len(), |start| *start as usize - base);
        let (cut, rest) = match begun.checked_sub(1) {
            Some(last) if written < boundary => {
                let start = (self.starts[last] - self.starts[0]) as usize;
                (&self.bytes[start..boundary], &self.bytes[written..boundary])
            }
            _ => (&[][..], &[][..]),
        };
        Progress {
            next: Cursor(self.first.0 + begun as u64),
            frames: begun as u32,
            cut,
            rest,
            mark: begun.checked_sub(1).map(|last| self.marks[last]),
        }
    }
}

/// Says how far a partial write got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The first frame of which nothing was written.
    pub next: Cursor,
    /// How many frames were begun; all but a cut one are complete.
    pub frames: u32,
    /// The frame that was cut, from its beginning; empty on a boundary. All
    /// readers that are cut in this frame may share one copy of it.
    pub cut: &'a [u8],
    /// The unsent end of that frame; empty on a boundary.
    pub rest: &'a [u8],
    /// The mark of the last frame begun, or nothing if none was. It counts as
    /// seen once `rest` is sent.
    pub mark: Option<u64>,
}
