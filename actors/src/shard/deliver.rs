//! Writing to the sockets of streams: from the pages of the lane, without a copy, everything that a stream has missed at
//! once.

use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use lane::{Cursor, Read};
use mio::net::TcpStream;
use wire::chunk::{LAST_CHUNK, push_chunk};

use super::core::Core;
use super::outlet::{Cut, Frame, Outlet, Socket};
use super::slots::{Gathered, Stage};

/// Bytes of a lane that one write may take: a run ends with its page anyway.
const RUN_BYTES: usize = 1 << 20;
/// Bytes of history that are spelt at once.
const HISTORY_BYTES: usize = 64 * 1024;
/// Writes to one socket, after which others get their turn.
const WRITES: usize = 4;

/// How long a connection stays after its stream has ended, so that what was sent last is not lost when the client still
/// sends: closing at once would reset it.
const LINGER: Duration = Duration::from_secs(1);
/// Connections that may stay so; with more, the oldest close at once.
const LINGERING_MAX: usize = 1024;

/// What one look at a stream came to.
enum Step {
    /// There may be more to write.
    More,
    /// There is more, when others had their turn.
    Later,
    /// It has everything, or has to wait for room, or for history.
    Done,
    /// The connection is gone.
    Gone,
}

impl Core {
    /// Writes to the socket of a stream what it has not had yet, for as long as the socket takes it.
    pub(super) fn deliver(&mut self, id: usize) {
        for _ in 0..WRITES {
            match self.step(id) {
                Step::More => {}
                Step::Later => break,
                Step::Done => return,
                Step::Gone => {
                    self.detach(id);
                    return;
                }
            }
        }
        if self.slots.contains(id) {
            self.to_wake.push_back(id);
        }
    }

    fn step(&mut self, id: usize) -> Step {
        let Some(slot) = self.slots.get_mut(id) else {
            return Step::Done;
        };
        let Outlet::Socket(socket) = &mut slot.outlet else {
            return Step::Done;
        };
        if socket.full_since.is_some() {
            return Step::Done;
        }
        if let Some(cut) = socket.cut.take() {
            return self.write_cut(id, cut);
        }
        let (is_plain, stage) = (
            slot.aside.is_empty() && !slot.ended && slot.left > 0,
            slot.stage,
        );
        if let (true, Stage::Live { lane, cursor }) = (is_plain, stage) {
            return self.write_run(id, lane, cursor);
        }
        match self.gather(id, HISTORY_BYTES) {
            Gathered::Bytes(bytes) => {
                let bytes = self.framed(id, bytes);
                self.write_own(id, &bytes)
            }
            Gathered::End => {
                self.finish(id);
                Step::Done
            }
            Gathered::Nothing => match &self.slots[id].stage {
                Stage::Live { .. } => Step::More,
                Stage::Replay(_) if self.slots[id].fetching => Step::Done,
                Stage::Replay(_) => Step::Later,
            },
        }
    }

    /// Frames what is for one stream alone, as its lane frames what is for all.
    fn framed(&self, id: usize, bytes: Vec<u8>) -> Vec<u8> {
        let slot = &self.slots[id];
        if !slot.in_chunks {
            return bytes;
        }
        let mut out = Vec::with_capacity(bytes.len() + 24);
        push_chunk(&mut out, |out| out.extend_from_slice(&bytes));
        if slot.ended {
            out.extend_from_slice(LAST_CHUNK);
        }
        out
    }

    /// Writes the next run of a lane from the page itself.
    fn write_run(&mut self, id: usize, lane: usize, cursor: Cursor) -> Step {
        let slot = &mut self.slots[id];
        let frames = u32::try_from(slot.left).unwrap_or(u32::MAX);
        let from = self.lanes.get_mut(lane);
        let run = match from.lane.read(cursor, RUN_BYTES, frames) {
            Read::Run(run) => run,
            Read::Idle => {
                self.park(id, lane);
                return Step::Done;
            }
            Read::Fell(_) => {
                self.metrics.stream_falls.inc();
                let mut out = Vec::new();
                self.fell_behind(id, &mut out);
                return match out.is_empty() {
                    true => Step::More,
                    false => {
                        let out = self.framed(id, out);
                        self.write_own(id, &out)
                    }
                };
            }
        };
        let Outlet::Socket(socket) = &mut slot.outlet else {
            return Step::Done;
        };
        let Ok(written) = socket.write(run.bytes, self.now) else {
            return Step::Gone;
        };
        let progress = run.split(written);
        if !progress.rest.is_empty() {
            socket.cut = Some(Cut {
                frame: from.copies.of(progress.next, progress.cut),
                written: progress.cut.len() - progress.rest.len(),
            });
        }
        let is_full = socket.full_since.is_some();
        slot.stage = Stage::Live {
            lane,
            cursor: progress.next,
        };
        slot.seen = slot.seen.max(progress.mark.unwrap_or(0));
        slot.written_at = self.now;
        slot.take(progress.frames.into());
        self.deliveries += u64::from(progress.frames);
        self.delivered_bytes += written as u64;
        match is_full {
            true => Step::Done,
            false => Step::More,
        }
    }

    /// Writes bytes that are this stream's own, and keeps what the socket does not take.
    fn write_own(&mut self, id: usize, bytes: &[u8]) -> Step {
        self.write_rest(id, bytes, |written| Cut {
            frame: Rc::new(Frame(bytes[written..].into())),
            written: 0,
        })
    }

    /// Writes what is left of bytes that the socket took a part of.
    fn write_cut(&mut self, id: usize, cut: Cut) -> Step {
        let Cut { frame, written } = cut;
        self.write_rest(id, &frame.0[written..], |more| Cut {
            frame: frame.clone(),
            written: written + more,
        })
    }

    /// Writes bytes; when that is not all, they stay as `cut` has them after so many.
    fn write_rest(&mut self, id: usize, bytes: &[u8], cut: impl FnOnce(usize) -> Cut) -> Step {
        let now = self.now;
        let slot = &mut self.slots[id];
        let Outlet::Socket(socket) = &mut slot.outlet else {
            return Step::Done;
        };
        let Ok(written) = socket.write(bytes, now) else {
            return Step::Gone;
        };
        slot.written_at = now;
        if written == bytes.len() {
            return Step::More;
        }
        socket.cut = Some(cut(written));
        Step::Done
    }

    /// Ends a stream of which everything is written.
    fn finish(&mut self, id: usize) {
        let slot = self.detach(id);
        let Outlet::Socket(Socket { stream, .. }) = slot.outlet else {
            return;
        };
        // The client may have gone first.
        if stream.shutdown(Shutdown::Write).is_ok() {
            self.lingering.push_back((self.now, stream));
        }
        if self.lingering.len() > LINGERING_MAX {
            self.lingering.pop_front();
        }
    }

    /// Closes connections whose streams ended a while ago.
    pub(super) fn close_lingering(&mut self) {
        let is_over =
            |(since, _): &(Duration, TcpStream)| self.now.saturating_sub(*since) >= LINGER;
        while self.lingering.front().is_some_and(is_over) {
            self.lingering.pop_front();
        }
    }
}
