//! The tray of a thread: its offers go to the emitter together.
//!
//! To hand over a message wakes the emitter's thread, and on a busy machine that thread takes the place of the sender's, to
//! do one thing and sleep again: for each of many small offers, two changes of thread. So an offer waits until whatever
//! else is ready on its thread has had its turn, and all that wait by then are one message.

use std::cell::RefCell;
use std::rc::Rc;

use actix::prelude::*;
use glint::Refusal;
use tokio::sync::oneshot;

use super::kept::Kept;
use super::{Emitter, Offer, Receipt};
use crate::mail::{Place, Post, wakes};

/// The offers of a thread. Cloning shares them; it never leaves its thread.
#[derive(Debug, Clone)]
pub struct Tray {
    emitter: Post<Emitter>,
    waiting: Rc<RefCell<Vec<Offered>>>,
}

#[derive(Debug)]
struct Offered {
    offer: Offer,
    place: Place,
    answer: oneshot::Sender<Result<Receipt, Refusal>>,
}

/// Offers in their order, each with its place in the mailbox.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Carried(Vec<Offered>);

impl Tray {
    /// Makes the tray of a thread.
    #[must_use]
    pub fn new(emitter: Post<Emitter>) -> Tray {
        Tray {
            emitter,
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
        let (answer, answered) = oneshot::channel();
        let is_first = self.waiting.borrow().is_empty();
        self.waiting.borrow_mut().push(Offered {
            offer,
            place,
            answer,
        });
        if is_first {
            let tray = self.clone();
            actix::spawn(async move { tray.carry() });
        }
        self.emitter.wait(answered).await
    }

    fn carry(&self) {
        let offers = self.waiting.take();
        self.emitter.send(Carried(offers));
    }
}

impl Handler<Carried> for Emitter {
    type Result = ();

    fn handle(&mut self, Carried(offers): Carried, _: &mut Self::Context) {
        let mut take = |offered: Offered| {
            let placed = self.accept(offered.offer);
            // The place in the mailbox is held until the offer is kept: what waits for the disk counts as waiting.
            Kept(placed, self.way(), offered.place).tell(Some(offered.answer));
        };
        wakes::after(|| offers.into_iter().for_each(&mut take));
    }
}

#[cfg(test)]
mod tests {
    use glint::Draft;
    use prometheus::Registry;
    use uuid::Uuid;

    use super::*;
    use crate::clock::Clock;
    use crate::emitter::{Once, Window};
    use crate::mail::Bound;
    use crate::metrics::Metrics;
    use crate::tail::tests::tail;
    use crate::warden::Tripwire;

    #[actix_rt::test]
    async fn what_is_offered_in_one_turn_goes_together() {
        let metrics = Metrics::register(&Registry::new()).expect("metrics");
        let (keys, seconds) = (1, 1);
        let window = Window { keys, seconds };
        let emitter = Emitter::new(
            Clock::system(),
            tail(10),
            window,
            metrics.clone(),
            Tripwire::idle(),
        );
        let (count, bytes) = (10, 1 << 20);
        let post = Post::new(emitter.start(), "emitter", Bound { count, bytes }, &metrics);
        let tray = Tray::new(post);
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
