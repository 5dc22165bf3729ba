//! The only place that reads a clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use glint::Stamp;
use tokio::time::Instant;

/// Tells the time: of the machine, or of a runtime whose time a test moves.
#[derive(Debug, Clone)]
pub struct Clock {
    began: Instant,
    origin: Option<Origin>,
}

/// A known pair of wall time and runtime time, if the runtime leads.
#[derive(Debug, Clone)]
struct Origin {
    start: Stamp,
    jumped_micros: Arc<AtomicI64>,
}

impl Clock {
    /// Returns the machine's clock.
    #[must_use]
    pub fn system() -> Clock {
        Clock {
            began: Instant::now(),
            origin: None,
        }
    }

    /// Returns a clock that shows `start` now and goes as the runtime's time goes: paused when that is paused.
    #[must_use]
    pub fn of_runtime(start: Stamp) -> Clock {
        Clock {
            began: Instant::now(),
            origin: Some(Origin {
                start,
                jumped_micros: Arc::default(),
            }),
        }
    }

    /// Moves the wall time of a runtime's clock and of all its clones, as whoever sets a machine's clock does. The
    /// machine's own is not for us to set.
    pub fn jump(&self, micros: i64) {
        if let Some(origin) = &self.origin {
            origin.jumped_micros.fetch_add(micros, Ordering::Relaxed);
        }
    }

    /// Returns the wall time, which may jump.
    #[must_use]
    pub fn now(&self) -> Stamp {
        match &self.origin {
            Some(origin) => origin
                .start
                .plus_micros(micros(self.began.elapsed()))
                .plus_micros(origin.jumped_micros.load(Ordering::Relaxed)),
            None => wall(),
        }
    }

    /// Returns the time that only runs forwards, for durations.
    #[must_use]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// Returns the time until a whole number of periods is over since the clock was made; a period at most, and more than
    /// nothing. Who ticks by it wakes together with all others that do, and a wake that is shared costs each of them less.
    #[must_use]
    pub fn until_next(&self, period: Duration) -> Duration {
        let over = self.began.elapsed().as_nanos() % period.as_nanos().max(1);
        period - Duration::from_nanos(u64::try_from(over).unwrap_or(0))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn wall() -> Stamp {
    match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => Stamp(micros(since)),
        Err(before) => Stamp(-micros(before.duration())),
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
