//! Which sources wait: admission is closed to them for a while.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use glint::{Draft, Refusal, RefusalKind, Stamp};
use sieve::Glob;

/// Throttles at the same time; the oldest goes for a new one.
const MAX: usize = 256;

/// The table of throttles. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Throttles {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// How many there are, so that glints pay nothing while there are none.
    count: AtomicUsize,
    table: Mutex<Vec<Throttle>>,
}

/// One throttle.
#[derive(Debug, Clone)]
pub struct Throttle {
    /// The rule that set it.
    pub rule: Box<str>,
    /// The glob over sources.
    pub module: Box<str>,
    /// Until when.
    pub until: Stamp,
    glob: Glob,
}

impl Throttles {
    /// Closes admission to the sources that fit `module`. The same rule and module again moves its end.
    pub fn set(&self, rule: &str, module: &str, until: Stamp) {
        let mut table = self.table();
        table.retain(|known| *known.rule != *rule || *known.module != *module);
        if table.len() == MAX {
            table.remove(0);
        }
        table.push(Throttle {
            rule: rule.into(),
            module: module.into(),
            until,
            glob: Glob::new(module),
        });
        self.inner.count.store(table.len(), Ordering::Release);
    }

    /// Opens what `rule` closed, or everything, and returns how many throttles that were.
    pub fn release(&self, rule: Option<&str>) -> usize {
        let mut table = self.table();
        let before = table.len();
        table.retain(|known| rule.is_some_and(|rule| *known.rule != *rule));
        self.inner.count.store(table.len(), Ordering::Release);
        before - table.len()
    }

    /// Takes away what is past.
    pub fn sweep(&self, now: Stamp) {
        let mut table = self.table();
        table.retain(|known| known.until > now);
        self.inner.count.store(table.len(), Ordering::Release);
    }

    /// Returns those in force.
    #[must_use]
    pub fn list(&self) -> Vec<Throttle> {
        self.table().clone()
    }

    /// Lets glints pass, or says when to come back.
    ///
    /// # Errors
    /// `throttled`, if one of their sources waits.
    pub fn check(&self, drafts: &[Draft], now: Stamp) -> Result<(), Refusal> {
        if self.inner.count.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        let table = self.table();
        for throttle in table.iter().filter(|known| known.until > now) {
            let waits = |draft: &Draft| {
                throttle
                    .glob
                    .matches(draft.source.as_deref().unwrap_or_default())
            };
            if let Some(draft) = drafts.iter().find(|draft| waits(draft)) {
                let left = throttle.until.micros_since(now).max(1);
                let seconds = u32::try_from((left + 999_999) / 1_000_000).unwrap_or(u32::MAX);
                let source = draft.source.as_deref().unwrap_or("nobody");
                let detail = format!(
                    "glints of {source:?} wait, as the ritual {} says; come back in {seconds} s",
                    throttle.rule
                );
                return Err(
                    Refusal::new(RefusalKind::Busy, "throttled", detail).retry_after(seconds)
                );
            }
        }
        Ok(())
    }

    fn table(&self) -> MutexGuard<'_, Vec<Throttle>> {
        // Nothing in here panics half way through a change.
        self.inner
            .table
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn sources_wait_until_their_time_or_until_they_are_released() {
        let throttles = Throttles::default();
        let draft = |source: &str| {
            let text = format!(r#"{{"source": "{source}"}}"#);
            vec![Draft::read(text.as_bytes(), 1000, Uuid::nil()).expect("a draft")]
        };
        let check = |source, at| {
            throttles
                .check(&draft(source), Stamp(at))
                .map_err(|err| (err.code, err.retry_after_seconds))
        };
        throttles.set("pause", "agent.*", Stamp(5_000_000));
        assert_eq!(check("agent.seven", 1_500_000), Err(("throttled", Some(4))));
        assert_eq!(check("other", 0), Ok(()));
        assert_eq!(check("agent.seven", 5_000_000), Ok(()));
        throttles.set("pause", "agent.*", Stamp(9_000_000));
        assert_eq!(throttles.list().len(), 1);
        assert!(check("agent.seven", 5_000_000).is_err());
        assert_eq!(throttles.release(Some("another")), 0);
        assert_eq!(throttles.release(None), 1);
        assert_eq!(check("agent.seven", 5_000_000), Ok(()));
    }
}
