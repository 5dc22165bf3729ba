//! A stream as the body of a response: the way that works everywhere.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use actors::shard::Seat;

/// Bytes given to the connection at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// The body of a stream. Dropping it, as the connection does when the client is gone, ends the stream.
pub struct StreamBody {
    seat: Seat,
    /// Kept until the stream ends, as its end tells the reader of a WebSocket that the connection is gone.
    _companion: Option<BoxBody>,
}

impl StreamBody {
    /// Makes a body that sends what `seat` gets.
    #[must_use]
    pub fn new(seat: Seat) -> StreamBody {
        StreamBody {
            seat,
            _companion: None,
        }
    }

    /// Makes a body that also keeps another alive.
    #[must_use]
    pub fn with_companion(seat: Seat, companion: BoxBody) -> StreamBody {
        StreamBody {
            seat,
            _companion: Some(companion),
        }
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
