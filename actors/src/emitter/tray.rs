//! The tray of a thread: its offers get their places together.
//!
//! An offer waits until whatever else is ready on its thread has had its turn, and all that wait by then take the order
//! into their hands once, here, on the thread that they came by: with a log its own thread is woken once for all of them,
//! and without one nobody is.

use std::cell::RefCell;
use std::rc::Rc;

use glint::Refusal;
use tokio::sync::oneshot;

use super::kept::Answer;
use super::{Emitter, Offer, Order, Receipt};
use crate::mail::{Post, wakes};

/// The offers of a thread. Cloning shares them; it never leaves its thread.
#[derive(Debug, Clone)]
pub struct Tray {
    /// The mailbox whose bound holds for all who want places.
    emitter: Post<Emitter>,
    order: Order,
    waiting: Rc<RefCell<Vec<(Offer, Answer)>>>,
}

impl Tray {
    /// Makes the tray of a thread.
    #[must_use]
    pub fn new(emitter: Post<Emitter>, order: Order) -> Tray {
        Tray {
            emitter,
            order,
            waiting: Rc::default(),
        }
    }

    /// Offers glints, and waits until they are kept. Inside is the word of the emitter.
    ///
    /// # Errors
    /// As [`Post::ask`].
    ///
    /// # Cancel safety
    /// Dropping the future does not take the offer back.
    pub async fn offer(&self, offer: Offer) -> Result<Result<Receipt, Refusal>, Refusal> {
        let place = self.emitter.enter(offer.weight_bytes())?;
        let (sender, answered) = oneshot::channel();
        let is_first = self.waiting.borrow().is_empty();
        let answer = Answer { sender, place };
        self.waiting.borrow_mut().push((offer, answer));
        if is_first {
            let tray = self.clone();
            actix::spawn(async move { tray.take() });
        }
        self.emitter.wait(answered).await
    }

    fn take(&self) {
        let offers = self.waiting.take();
        wakes::after(|| {
            if let Some(mut order) = self.order.hold() {
                for (offer, answer) in offers {
                    order.offer(offer, Some(answer));
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use glint::Draft;
    use prometheus::Registry;
    use uuid::Uuid;

    use super::*;
    use crate::clock::Clock;
    use crate::emitter::{Once, Sequencer, Window};
    use crate::mail::Bound;
    use crate::metrics::Metrics;
    use crate::tail::tests::tail;
    use crate::warden::Tripwire;

    #[actix_rt::test]
    async fn what_is_offered_in_one_turn_goes_together() {
        let metrics = Metrics::register(&Registry::new()).expect("metrics");
        let (keys, seconds) = (1, 1);
        let window = Window { keys, seconds };
        let tripwire = Tripwire::idle();
        let sequencer = Sequencer::new(Clock::system(), tail(10), window, metrics, tripwire);
        let (count, bytes) = (10, 1 << 20);
        let (post, order) = Emitter::open(sequencer, Bound { count, bytes });
        let tray = Tray::new(post, order);
        let offers: Vec<_> = (0..5)
            .map(|_| {
                let draft = Draft::read(b"{}", 99, Uuid::nil()).expect("a glint");
                let (drafts, once) = (vec![draft], Once::Never);
                let tray = tray.clone();
                actix::spawn(async move { tray.offer(Offer { drafts, once }).await })
            })
            .collect();
        let seen = tray.clone();
        let waiting = actix::spawn(async move { seen.waiting.borrow().len() });
        assert_eq!(waiting.await.expect("joined"), 5);
        for offer in offers {
            let receipt = offer.await.expect("joined").expect("asked");
            assert!(receipt.is_ok());
        }
        assert!(tray.waiting.borrow().is_empty());
    }
}
