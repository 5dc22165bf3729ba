//! The sockets of a worker that were handed over: one poll for all of them, no task and no buffer for each.
//!
//! The poll itself is one descriptor that the runtime watches. An event names a slot and, as slots are used again, a part
//! of its serial.

use std::cell::RefCell;
use std::io;
use std::rc::{Rc, Weak};
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Interest, Poll, Registry, Token};
use tokio::io::unix::AsyncFd;

use super::core::Core;
use super::outlet::{Business, Ear, Outlet, Socket};
use super::{Seat, pump};

/// Events taken at once.
const EVENTS: usize = 256;
/// Bytes read from a client at once.
const READ_BYTES: usize = 8 * 1024;
/// Reads from one client, after which others get their turn.
const READS: usize = 4;
/// A token has the id of a slot in its lower half and its serial in the upper.
const HALF: u32 = usize::BITS / 2;

/// The sockets of a worker.
#[derive(Debug)]
pub(super) struct Sockets {
    registry: Registry,
}

/// What a look at a client brought.
enum Look {
    /// Nothing now, or nobody is there.
    Nothing,
    /// Bytes that nobody hears.
    Noise,
    /// Bytes, and who hears them.
    Bytes(Box<dyn Ear>, usize),
}

fn token(id: usize, serial: u64) -> Token {
    let low = (1 << HALF) - 1;
    Token((serial as usize) << HALF | (id & low))
}

impl Sockets {
    /// Opens the poll and has it watched from now on.
    fn open(core: &Rc<RefCell<Core>>) -> io::Result<Sockets> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        actix::spawn(watch(watched(poll)?, Rc::downgrade(core)));
        Ok(Sockets { registry })
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe for the sake of types that change their descriptor, and a poll never does"
)]
fn watched(poll: Poll) -> io::Result<AsyncFd<Poll>> {
    AsyncFd::with_interest(poll, tokio::io::Interest::READABLE)
}

impl Seat {
    /// Gives this stream a socket of its own, to which its bytes go from now on, and who hears the client. `first` is what
    /// the client has said already.
    ///
    /// Whatever has to come before the stream must have been written to the socket.
    ///
    /// # Errors
    /// When the system has no room for the socket; the stream ends with it.
    pub fn take_over(
        mut self,
        stream: std::net::TcpStream,
        ear: Option<Box<dyn Ear>>,
        first: &[u8],
    ) -> io::Result<()> {
        let (core, id, serial) = (self.line.core.clone(), self.line.id, self.line.serial);
        let opened = core.borrow().sockets.is_some();
        if !opened {
            let sockets = Sockets::open(&core)?;
            core.borrow_mut().sockets = Some(sockets);
        }
        let mut stream = mio::net::TcpStream::from_std(stream);
        let mut inner = core.borrow_mut();
        if let Some(Sockets { registry }) = &inner.sockets {
            let interest = Interest::READABLE | Interest::WRITABLE;
            registry.register(&mut stream, token(id, serial), interest)?;
        }
        let (now, ear) = (inner.age(), ear);
        inner.now = now;
        let slot = &mut inner.slots[id];
        slot.outlet = Outlet::Socket(Socket::new(stream, ear));
        inner.metrics.sockets.inc();
        inner.to_wake.push_back(id);
        drop(inner);
        self.is_handed_over = true;
        if !first.is_empty() {
            let ear = core.borrow_mut().lend_ear(id, serial);
            if let Some(ear) = ear {
                tell(&core, id, serial, ear, first);
            }
        }
        pump::start(&core);
        Ok(())
    }
}

/// Waits for events, for as long as there is a shard.
async fn watch(mut poll: AsyncFd<Poll>, core: Weak<RefCell<Core>>) {
    let mut events = Events::with_capacity(EVENTS);
    loop {
        let taken = match poll.readable_mut().await {
            Ok(mut ready) => {
                let taken = ready
                    .get_inner_mut()
                    .poll(&mut events, Some(Duration::ZERO));
                if taken.is_ok() && events.iter().count() < EVENTS {
                    ready.clear_ready();
                }
                taken
            }
            Err(err) => Err(err),
        };
        match taken {
            Ok(()) => {}
            Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
            Err(err) => {
                tracing::error!(%err, "the sockets of a worker cannot be watched any more; its streams will stall");
                return;
            }
        }
        let Some(core) = core.upgrade() else { return };
        for event in &events {
            happened(&core, event);
        }
        pump::start(&core);
        drop(core);
        tokio::task::yield_now().await;
    }
}

fn happened(core: &Rc<RefCell<Core>>, event: &Event) {
    let mut inner = core.borrow_mut();
    let id = event.token().0 & ((1 << HALF) - 1);
    let Some(slot) = inner.slots.get_mut(id) else {
        return;
    };
    let serial = slot.serial;
    // An event of an earlier one in this place.
    if token(id, serial) != event.token() {
        return;
    }
    if event.is_error() {
        inner.detach(id);
        return;
    }
    if event.is_writable()
        && let Outlet::Socket(socket) = &mut slot.outlet
        && socket.full_since.take().is_some()
    {
        inner.to_wake.push_back(id);
    }
    drop(inner);
    if event.is_readable() || event.is_read_closed() {
        listen(core, id, serial);
    }
}

/// Reads what a client says, and has it heard.
fn listen(core: &Rc<RefCell<Core>>, id: usize, serial: u64) {
    let mut room = [0; READ_BYTES];
    for _ in 0..READS {
        let look = core.borrow_mut().look(id, serial, &mut room);
        match look {
            Look::Nothing => return,
            Look::Noise => {}
            Look::Bytes(ear, len) => {
                if tell(core, id, serial, ear, &room[..len]) {
                    return;
                }
            }
        }
    }
    let core = core.clone();
    actix::spawn(async move {
        tokio::task::yield_now().await;
        listen(&core, id, serial);
    });
}

/// Has bytes heard, and tells whether that keeps the ear busy.
fn tell(
    core: &Rc<RefCell<Core>>,
    id: usize,
    serial: u64,
    mut ear: Box<dyn Ear>,
    bytes: &[u8],
) -> bool {
    let business = ear.hear(bytes);
    let is_busy = business.is_some();
    core.borrow_mut().return_ear(id, serial, ear, is_busy);
    if let Some(business) = business {
        actix::spawn(attend(core.clone(), id, serial, business));
    }
    is_busy
}

async fn attend(core: Rc<RefCell<Core>>, id: usize, serial: u64, business: Business) {
    business.await;
    if core.borrow_mut().is_free_again(id, serial) {
        listen(&core, id, serial);
    }
    pump::start(&core);
}

impl Core {
    fn socket(&mut self, id: usize, serial: u64) -> Option<&mut Socket> {
        let slot = self
            .slots
            .get_mut(id)
            .filter(|slot| slot.serial == serial)?;
        match &mut slot.outlet {
            Outlet::Socket(socket) => Some(socket),
            Outlet::Body(_) => None,
        }
    }

    fn look(&mut self, id: usize, serial: u64, room: &mut [u8]) -> Look {
        let Some(socket) = self.socket(id, serial).filter(|socket| !socket.is_busy) else {
            return Look::Nothing;
        };
        let Ok(read) = socket.read(room) else {
            self.detach(id);
            return Look::Nothing;
        };
        let Some(len) = read else {
            return Look::Nothing;
        };
        if let Some(ear) = socket.ear.take() {
            return Look::Bytes(ear, len);
        }
        if socket.ignore(len) {
            tracing::debug!(
                "a client sends on a stream on which it has nothing to say; it is let go"
            );
            self.detach(id);
            return Look::Nothing;
        }
        Look::Noise
    }

    fn lend_ear(&mut self, id: usize, serial: u64) -> Option<Box<dyn Ear>> {
        self.socket(id, serial)?.ear.take()
    }

    fn return_ear(&mut self, id: usize, serial: u64, ear: Box<dyn Ear>, is_busy: bool) {
        if let Some(socket) = self.socket(id, serial) {
            socket.ear = Some(ear);
            socket.is_busy = is_busy;
        }
    }

    fn is_free_again(&mut self, id: usize, serial: u64) -> bool {
        let Some(socket) = self.socket(id, serial) else {
            return false;
        };
        socket.is_busy = false;
        true
    }
}
