//! The warden: who is alive, and what happens when somebody is not.
//!
//! An actor that panics is gone, and actix's own supervisor does not bring it back. Each office therefore holds a
//! [`Tripwire`]. Its fall ends the process: an office owns state that others rely on, and a process that starts anew is
//! easier to be right about than one that goes on in part.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Watches over the offices. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Warden {
    fallen: Arc<Fallen>,
}

#[derive(Debug, Default)]
struct Fallen {
    office: Mutex<Option<&'static str>>,
    bell: Notify,
}

impl Warden {
    /// Returns a tripwire for `office`.
    #[must_use]
    pub fn tripwire(&self, office: &'static str) -> Tripwire {
        Tripwire {
            office,
            warden: Some(self.clone()),
        }
    }

    /// Reports that an office cannot go on.
    pub fn report(&self, office: &'static str) {
        let mut fallen = self
            .fallen
            .office
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        fallen.get_or_insert(office);
        drop(fallen);
        self.fallen.bell.notify_waiters();
    }

    /// Waits until an office has fallen, and names it.
    pub async fn fall(&self) -> &'static str {
        loop {
            let rung = self.fallen.bell.notified();
            if let Some(office) = self.fallen_office() {
                return office;
            }
            rung.await;
        }
    }

    /// Names the first office that has fallen.
    #[must_use]
    pub fn fallen_office(&self) -> Option<&'static str> {
        *self
            .fallen
            .office
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the warden when the office that holds it panics. A stop in good order tells nothing.
#[derive(Debug)]
pub struct Tripwire {
    office: &'static str,
    warden: Option<Warden>,
}

impl Tripwire {
    /// Returns a tripwire that nobody watches, for offices in tests.
    #[must_use]
    pub fn idle() -> Tripwire {
        Tripwire {
            office: "",
            warden: None,
        }
    }
}

impl Drop for Tripwire {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let Some(warden) = &self.warden else { return };
        warden.report(self.office);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_names_its_office_and_an_orderly_end_does_not() {
        let warden = Warden::default();
        drop(warden.tripwire("calm"));
        assert_eq!(warden.fallen_office(), None);
        let wire = warden.tripwire("wild");
        let died = std::thread::spawn(move || {
            let _wire = wire;
            panic!("as planned");
        });
        assert!(died.join().is_err());
        assert_eq!(warden.fall().await, "wild");
    }
}
