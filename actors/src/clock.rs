//! The only place that reads a clock.

use std::time::{Duration, SystemTime};

use glint::Stamp;
use tokio::time::Instant;

/// Tells the time: of the machine, or of a runtime whose time a test moves.
#[derive(Debug, Clone)]
pub struct Clock {
    /// A known pair of wall time and runtime time, if the runtime leads.
    origin: Option<(Stamp, Instant)>,
}

impl Clock {
    /// Returns the machine's clock.
    #[must_use]
    pub fn system() -> Clock {
        Clock { origin: None }
    }

    /// Returns a clock that shows `start` now and goes as the runtime's time goes: paused when that is paused.
    #[must_use]
    pub fn of_runtime(start: Stamp) -> Clock {
        Clock {
            origin: Some((start, Instant::now())),
        }
    }

    /// Returns the wall time, which may jump.
    #[must_use]
    pub fn now(&self) -> Stamp {
        match self.origin {
            Some((start, began)) => start.plus_micros(micros(began.elapsed())),
            None => wall(),
        }
    }

    /// Returns the time that only runs forwards, for durations.
    #[must_use]
    pub fn instant(&self) -> Instant {
        Instant::now()
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
