//! A stream that does not stay silent for ever.

use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// A broker says something at least every 25 seconds; after this long without a word the connection is dead.
const SILENCE_MAX: Duration = Duration::from_secs(60);
const CHUNK_BYTES: usize = 64 * 1024;
const CHUNKS_MAX: usize = 16;

/// A reader whose reads end with an error after too long a silence.
///
/// A dead connection can leave a read waiting for hours, and the client offers a time limit only for a body as a whole.
/// So the read waits in a thread of its own, which ends with the connection or the program.
pub(super) struct Watched {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    used: usize,
}

impl Watched {
    /// Watches over `reader`.
    pub(super) fn new(reader: impl Read + Send + 'static) -> io::Result<Watched> {
        let (sender, chunks) = sync_channel(CHUNKS_MAX);
        thread::Builder::new()
            .name("stream".to_owned())
            .spawn(move || forward(reader, &sender))?;
        Ok(Watched {
            chunks,
            chunk: Vec::new(),
            used: 0,
        })
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.used == self.chunk.len() {
            self.used = 0;
            self.chunk.clear();
            match self.chunks.recv_timeout(SILENCE_MAX) {
                Ok(chunk) => self.chunk = chunk?,
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
                Err(RecvTimeoutError::Timeout) => {
                    let seconds = SILENCE_MAX.as_secs();
                    let reason = format!("nothing came for {seconds} s");
                    return Err(io::Error::new(ErrorKind::TimedOut, reason));
                }
            }
        }
        let length = (&self.chunk[self.used..]).read(buffer)?;
        self.used += length;
        Ok(length)
    }
}

/// Reads until the end, an error, or until nobody wants the chunks any more.
fn forward(mut reader: impl Read, sender: &SyncSender<io::Result<Vec<u8>>>) {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let chunk = match reader.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => Ok(buffer[..length].to_vec()),
            Err(err) if err.kind() == ErrorKind::Interrupted => continue,
            Err(err) => Err(err),
        };
        let is_last = chunk.is_err();
        if sender.send(chunk).is_err() || is_last {
            return;
        }
    }
}
