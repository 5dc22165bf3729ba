//! A stream as the body of a response: the way that works everywhere. Where it can be, a stream has the socket for itself
//! instead, see [`transport`](super::transport).

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use actors::shard::Seat;

/// Bytes given to the connection at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// The body of a stream. Dropping it, as the connection does when the client is gone, ends the stream.
pub struct StreamBody {
    seat: Seat,
}

impl StreamBody {
    /// Makes a body that sends what `seat` gets.
    #[must_use]
    pub fn new(seat: Seat) -> StreamBody {
        StreamBody { seat }
    }
}

impl MessageBody for StreamBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.seat
            .poll_bytes(cx, CHUNK_BYTES)
            .map(|bytes| bytes.map(|bytes| Ok(Bytes::from(bytes))))
    }
}
