//! What the handlers of the registry share.

use std::sync::Arc;

use actors::mail::Post;
use actors::sigils::{Board, Showcase, Sigils};
use glint::{Refusal, RefusalKind};
use prometheus::IntGauge;
use registry::{Base, Mode, Quota};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use super::pins::Pins;

/// What uploads and answers are held to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest body of an upload.
    pub body_bytes: usize,
    /// Whether a body may be a JSON document itself.
    pub json_uploads: bool,
    /// Most entries of which an answer to an upload lists the URLs.
    pub inline_urls: usize,
    /// Most entries of which an answer to an upload has the state.
    pub inline_state: usize,
}

/// The registry, for handlers.
#[derive(Debug)]
pub struct SigilDesk {
    /// Where uploads go.
    pub post: Post<Sigils>,
    /// The registry as readers see it.
    pub showcase: Showcase,
    /// What new subscribers to seals are told.
    pub board: Board,
    /// The origin of relative references.
    pub base: Base,
    /// How uploads are merged.
    pub mode: Mode,
    /// What one upload may do.
    pub quota: Quota,
    /// What uploads and answers are held to.
    pub limits: Limits,
    /// Lists that somebody pages through.
    pub pins: Pins,
    /// Whether browsers may send credentials along.
    pub credentials: bool,
    /// Room for bodies that are being read, in KiB.
    pub room: Room,
}

/// Room in memory for the uploads of all clients together.
#[derive(Debug, Clone)]
pub struct Room {
    kib: Arc<Semaphore>,
    all_kib: u32,
    gauge: IntGauge,
}

/// A share of the room, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    kib: i64,
    gauge: IntGauge,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.gauge.sub(self.kib * 1024);
    }
}

impl Room {
    /// Makes room for so many bytes.
    #[must_use]
    pub fn new(bytes: usize, gauge: IntGauge) -> Room {
        let all_kib = u32::try_from(bytes / 1024)
            .unwrap_or(u32::MAX >> 4)
            .clamp(1, u32::MAX >> 4);
        Room {
            kib: Arc::new(Semaphore::new(all_kib as usize)),
            all_kib,
            gauge,
        }
    }

    /// Takes room for a body; one that is larger than all of it takes it alone.
    ///
    /// # Errors
    /// `registry_busy`.
    pub fn take(&self, bytes: usize) -> Result<Share, Refusal> {
        let kib = u32::try_from(bytes.div_ceil(1024))
            .unwrap_or(u32::MAX)
            .clamp(1, self.all_kib);
        let permit = self.kib.clone().try_acquire_many_owned(kib).map_err(|_| {
            let detail =
                "too many uploads are being read; upload again later, or in smaller batches";
            Refusal::new(RefusalKind::Busy, "registry_busy", detail).retry_after(1)
        })?;
        self.gauge.add(i64::from(kib) * 1024);
        Ok(Share {
            kib: i64::from(kib),
            gauge: self.gauge.clone(),
            _permit: permit,
        })
    }
}
