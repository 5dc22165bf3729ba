//! The connection under actix-http, with a way out of it.
//!
//! actix-http serves a connection to its end, with 16 KiB of buffers for each. A stream needs neither: once the head of its
//! response is on the wire, all that is left is to write bytes that many streams share. So our own transport stands between
//! actix-http and the socket. When a stream has put a claim into its [`Berth`], the transport gives the socket away from
//! within [`poll_flush`](AsyncWrite::poll_flush), which ends the dispatcher and frees its buffers. Routing, middleware,
//! limits and the head of the response are actix-web's as before.
//!
//! What the order rests on, and `tests/handoff_order.rs` holds: the dispatcher flushes only when its own buffer is empty,
//! and a claim is due only after the body of its response was polled, which the dispatcher does only after it has put the
//! head into that buffer. So the head has left when the socket changes hands, and nothing else ever follows it.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use actix_web::body::{BodySize, MessageBody};
use actix_web::rt::net::TcpStream;
use actix_web::web::{Bytes, Payload};
use actors::shard::{Ear, Seat};
use futures_util::StreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes after which the payload of a request is not read on; more may wait behind, where nobody finds it.
const PAYLOAD_BYTES: usize = 32 * 1024;

/// A connection.
pub struct Transport {
    /// The socket, until it is given away.
    io: Option<TcpStream>,
    berth: Rc<Berth>,
}

/// Where a stream waits for the socket of its connection. Each connection has one.
#[derive(Default)]
pub struct Berth {
    claim: RefCell<Option<Claim>>,
}

/// A stream that wants the socket.
struct Claim {
    seat: Seat,
    /// Who hears the client, and what it has said so far.
    ear: Option<(Box<dyn Ear>, Payload)>,
    /// Whether the head of its response is on the way.
    is_due: bool,
}

/// The body of a response whose stream will have the socket for itself: it has nothing to say.
///
/// Dropping it before that, as the dispatcher does when the client is gone, gives the claim up and ends the stream.
struct Vacancy {
    berth: Rc<Berth>,
}

impl Transport {
    /// Wraps a socket.
    #[must_use]
    pub fn new(io: TcpStream) -> Transport {
        Transport {
            io: Some(io),
            berth: Rc::default(),
        }
    }

    /// Returns the berth of this connection.
    #[must_use]
    pub fn berth(&self) -> Rc<Berth> {
        self.berth.clone()
    }

    /// Gives the socket to the stream that claims it.
    fn hand_over(&mut self, claim: Claim) -> io::Result<()> {
        let socket = self.io.take().ok_or_else(gone)?.into_std()?;
        match claim.ear {
            None => claim.seat.take_over(socket, None, &[]),
            Some((ear, payload)) => {
                let first = said_so_far(payload)?;
                claim.seat.take_over(socket, Some(ear), &first)
            }
        }
    }

    fn io(self: Pin<&mut Self>) -> io::Result<Pin<&mut TcpStream>> {
        let io = self.get_mut().io.as_mut();
        io.map(Pin::new).ok_or_else(gone)
    }
}

fn gone() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "the socket was handed over",
    )
}

/// Takes what the dispatcher has read beyond the request.
fn said_so_far(mut payload: Payload) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    let mut nobody = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(Ok(bytes))) = payload.poll_next_unpin(&mut nobody) {
        said.extend_from_slice(&bytes);
        if said.len() >= PAYLOAD_BYTES {
            // A client may not speak before it has read the answer to its handshake.
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(said)
}

impl Berth {
    /// Claims the socket for a stream, and returns the body for its response.
    ///
    /// For a WebSocket `ear` is who hears the client, and the payload of the request, in which it goes on.
    pub fn claim(
        self: Rc<Self>,
        seat: Seat,
        ear: Option<(Box<dyn Ear>, Payload)>,
    ) -> impl MessageBody<Error = Infallible> + 'static {
        *self.claim.borrow_mut() = Some(Claim {
            seat,
            ear,
            is_due: false,
        });
        Vacancy { berth: self }
    }

    fn take_due(&self) -> Option<Claim> {
        self.claim.borrow_mut().take_if(|claim| claim.is_due)
    }
}

impl MessageBody for Vacancy {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        if let Some(claim) = self.berth.claim.borrow_mut().as_mut() {
            claim.is_due = true;
        }
        Poll::Pending
    }
}

impl Drop for Vacancy {
    fn drop(&mut self) {
        let claim = self.berth.claim.borrow_mut().take();
        drop(claim);
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.io()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io()?.poll_write(cx, buf)
    }

    /// Hands the socket over, if a claim is due. The error ends the dispatcher; nobody else sees it.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(claim) = self.berth.take_due() else {
            return self.io()?.poll_flush(cx);
        };
        if let Err(err) = self.hand_over(claim) {
            tracing::debug!(%err, "a stream ends with the connection that it was to take over");
        }
        Poll::Ready(Err(gone()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io()?.poll_shutdown(cx)
    }
}
