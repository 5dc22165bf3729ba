//! Where the bytes of a stream go: into the body of a response, or straight to a socket.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::Waker;
use std::time::Duration;

use lane::Cursor;
use mio::net::TcpStream;

/// What is to be done about something that a client said.
pub type Business = Pin<Box<dyn Future<Output = ()>>>;

/// Bytes that a client may send on a stream on which it has nothing to say, such as a request after its last.
const MAX_NOISE_BYTES: usize = 64 * 1024;

/// Hears what the client of a stream says on a socket that was handed over.
pub trait Ear: fmt::Debug {
    /// Takes bytes as they come, in pieces of any length. What they make necessary is the answer; nothing more is read
    /// from this client until it is done.
    fn hear(&mut self, bytes: &[u8]) -> Option<Business>;
}

/// Where the bytes of a stream go.
#[derive(Debug)]
pub(super) enum Outlet {
    /// Into a body, which fetches them when it is woken.
    Body(Option<Waker>),
    /// To a socket, to which the shard writes.
    Socket(Socket),
}

/// Bytes that are kept for one stream, or for all that are in the middle of them.
#[derive(Debug)]
pub(super) struct Frame(pub(super) Box<[u8]>);

/// Bytes of which a part is written.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) frame: Rc<Frame>,
    pub(super) written: usize,
}

/// Copies of frames of a lane, by the place after the frame: one for all streams that are in the middle of it. It goes
/// with the last of them, and the lane may forget the frame before.
#[derive(Debug, Default)]
pub(super) struct Copies(HashMap<Cursor, Weak<Frame>>);

impl Copies {
    /// Returns the copy of the frame before `next`, whose bytes these are.
    pub(super) fn of(&mut self, next: Cursor, frame: &[u8]) -> Rc<Frame> {
        if let Some(copy) = self.0.get(&next).and_then(Weak::upgrade) {
            return copy;
        }
        if self.0.len() == self.0.capacity() {
            self.0.retain(|_, copy| copy.strong_count() > 0);
        }
        let copy = Rc::new(Frame(frame.into()));
        self.0.insert(next, Rc::downgrade(&copy));
        copy
    }
}

/// A socket that belongs to a stream.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    /// A frame of which the socket took a part: the rest goes before anything else, and the lane may forget it.
    pub(super) cut: Option<Cut>,
    /// Since when the socket has taken nothing, as an age of the worker.
    pub(super) full_since: Option<Duration>,
    /// Who hears the client; while it is busy with something, nobody does.
    pub(super) ear: Option<Box<dyn Ear>>,
    /// Whether something that the client said is still being dealt with.
    pub(super) is_busy: bool,
    noise_bytes: usize,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, ear: Option<Box<dyn Ear>>) -> Socket {
        Socket {
            stream,
            cut: None,
            full_since: None,
            ear,
            is_busy: false,
            noise_bytes: 0,
        }
    }

    /// Writes as much as the socket takes now. When that is not all, the rest waits until it says that there is room.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(super) fn write(&mut self, bytes: &[u8], age: Duration) -> io::Result<usize> {
        let written = loop {
            match self.stream.write(bytes) {
                Ok(written) => break written,
                Err(err) if err.kind() == ErrorKind::WouldBlock => break 0,
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        };
        if written < bytes.len() {
            self.full_since = Some(age);
        }
        Ok(written)
    }

    /// Reads what the client has sent; `None` when there is nothing now.
    ///
    /// # Errors
    /// When the connection is gone, or the client has closed it.
    pub(super) fn read(&mut self, room: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.stream.read(room) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => return Ok(Some(len)),
                Err(err) if err.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
    }

    /// Passes over bytes that nobody hears, and tells whether there were too many of them.
    pub(super) fn ignore(&mut self, len: usize) -> bool {
        self.noise_bytes += len;
        self.noise_bytes > MAX_NOISE_BYTES
    }
}

#[cfg(test)]
mod tests {
    use lane::{Lane, Limits};

    use super::*;

    #[test]
    fn all_in_the_middle_of_a_frame_share_a_copy_that_goes_with_the_last_of_them() {
        let mut lane = Lane::new(Limits::default(), 0);
        let mut after = |mark| {
            lane.append(mark, |page| page.push(b'x'));
            lane.head()
        };
        let (first, second) = (after(1), after(2));
        let mut copies = Copies::default();
        let one = copies.of(first, b"one");
        assert!(Rc::ptr_eq(&one, &copies.of(first, b"one")));
        let two = copies.of(second, b"two");
        assert_eq!((&*one.0, &*two.0), (&b"one"[..], &b"two"[..]));

        let gone = Rc::downgrade(&one);
        drop(one);
        assert!(gone.upgrade().is_none());
        assert_eq!(&*copies.of(first, b"one").0, b"one", "made again");
        for mark in 3..1000 {
            let _ = copies.of(after(mark), b"other");
        }
        assert!(copies.0.len() < 100, "{} are noted", copies.0.len());
        assert!(Rc::ptr_eq(&two, &copies.of(second, b"two")));
    }
}
