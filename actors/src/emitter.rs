//! The emitter: every event of the broker gets its place in the one order here, and nowhere else.
//!
//! For each offer of glints:
//! 1. refuse, if the broker is draining;
//! 2. answer with the first receipt, if the idempotency key was seen with the same content;
//! 3. give each glint its offset, its number within the topic and its stamp, unless it came before, whole and with an id
//!    of its own, and the offer has no key: then it has them;
//! 4. append to the tail and ring the workers;
//! 5. answer with the receipts.
//!
//! The broker's own events get their places in the same order: through [`Announce`] what may be missed (the breath),
//! through [`Commit`] what others rely on, answered when it is kept.
//!
//! Offers come by the thousand and get their places on the threads that they came by ([`Tray`]); what comes by letter gets
//! them on the emitter's. The order is a lock that both take ([`Order`]).

mod commit;
mod counts;
mod idempotency;
mod kept;
mod order;
mod recent;
mod repeats;
mod shares;
mod tray;

use std::sync::Arc;

use actix::prelude::*;
use glint::{Draft, Name, Offset, Stamp};

pub use self::commit::{Commit, Entry};
pub use self::counts::{Counts, CountsHandle, MAX_WORDS};
pub use self::idempotency::{Key, Window};
use self::kept::Kept;
pub use self::order::{Order, Sequencer};
pub use self::shares::{InFlight, Shares};
pub use self::tray::Tray;

use crate::mail::{Bound, Letter, Post};

/// Glints that are offered, through a [`Tray`]: all of them are taken, in this order and without others between, or none.
#[derive(Debug)]
pub struct Offer {
    /// The glints.
    pub drafts: Vec<Draft>,
    /// What makes a repetition the same.
    pub once: Once,
}

/// What makes that which comes again the same, so that it is not taken twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Once {
    /// The key of the offer.
    Key(Key),
    /// The whole content of a glint with an id of its own.
    Content,
    /// Nothing: whatever comes is taken.
    Never,
}

impl Offer {
    /// Returns the weight of the offer in a mailbox, in bytes.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.drafts
            .iter()
            .map(|draft| draft.text.len() + size_of::<Draft>())
            .sum()
    }
}

/// Announces an event of the broker's own.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Announce {
    /// What happened.
    pub name: Name,
    /// The phase in which it did.
    pub phase: &'static str,
    /// When.
    pub stamp: Stamp,
    /// The payload: one line of ASCII JSON, an object.
    pub text: String,
}

/// From now on nothing is taken from outside.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Close;

/// What the sender of an offer gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// One for each glint, in order.
    pub items: Arc<[Item]>,
    /// Whether this is the receipt of an earlier offer with the same key.
    pub replayed: bool,
}

/// The receipt of one glint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its id, as it came or minted.
    pub id: Box<str>,
    /// Its place in the order.
    pub offset: Offset,
}

/// The actor.
#[derive(Debug)]
pub struct Emitter {
    order: Order,
}

impl Emitter {
    /// Starts the office on this thread. Returns its post, for letters up to `bound`, and the order that trays share with it.
    #[must_use]
    pub fn open(sequencer: Sequencer, bound: Bound) -> (Post<Emitter>, Order) {
        let metrics = sequencer.metrics.clone();
        let order = Order::new(sequencer);
        let office = Emitter {
            order: order.clone(),
        };
        (Post::new(office.start(), "emitter", bound, &metrics), order)
    }
}

impl Actor for Emitter {
    type Context = Context<Self>;
}

impl Handler<Letter<Commit>> for Emitter {
    type Result = Kept;

    fn handle(&mut self, letter: Letter<Commit>, _: &mut Self::Context) -> Self::Result {
        let (commit, place) = letter.open();
        Kept {
            order: self.order.clone(),
            commit,
            place,
        }
    }
}

impl Handler<Letter<Announce>> for Emitter {
    type Result = ();

    fn handle(&mut self, letter: Letter<Announce>, _: &mut Self::Context) {
        if let Some(mut order) = self.order.hold() {
            order.announce(letter.message);
        }
    }
}

impl Handler<Letter<Close>> for Emitter {
    type Result = ();

    fn handle(&mut self, _: Letter<Close>, _: &mut Self::Context) {
        if let Some(mut order) = self.order.hold() {
            order.close();
        }
    }
}
