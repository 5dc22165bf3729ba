//! The one writer of standard output, and notes on standard error.

use std::fmt;
use std::io::{self, BufWriter, ErrorKind, Stdout, Write};

use thiserror::Error;

const BUFFER_BYTES: usize = 64 * 1024;

/// Standard output, buffered.
pub(super) struct Out(BufWriter<Stdout>);

/// Standard output could not be written to.
#[derive(Debug, Error)]
pub(super) enum OutError {
    /// Nobody reads any more.
    #[error("standard output is closed")]
    Closed,
    /// Something else, such as a full disk.
    #[error("cannot write to standard output: {0}")]
    Failed(io::Error),
}

impl Out {
    /// Opens standard output.
    pub(super) fn new() -> Out {
        Out(BufWriter::with_capacity(BUFFER_BYTES, io::stdout()))
    }

    /// Writes bytes as they are.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), OutError> {
        Ok(self.0.write_all(bytes)?)
    }

    /// Writes a line.
    pub(super) fn line(&mut self, line: impl fmt::Display) -> Result<(), OutError> {
        Ok(writeln!(self.0, "{line}")?)
    }

    /// Lets the reader have what was written so far.
    pub(super) fn flush(&mut self) -> Result<(), OutError> {
        Ok(self.0.flush()?)
    }
}

impl From<io::Error> for OutError {
    fn from(err: io::Error) -> OutError {
        match err.kind() {
            ErrorKind::BrokenPipe => OutError::Closed,
            _ => OutError::Failed(err),
        }
    }
}

/// Says something to the person at the terminal, on standard error.
pub(super) fn note(text: impl fmt::Display) {
    // When standard error is gone there is nowhere left to say so.
    let _ = writeln!(io::stderr(), "{text}");
}
