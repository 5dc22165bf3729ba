//! Answers that come when what they are about is kept.
//!
//! Whoever asked is told by whoever knows: the thread that writes the log has the answer's end in its hands. A task of
//! the emitter's for each offer would be woken for that alone, and an actor with many tasks looks at all of them each
//! time.

use actix::dev::{MessageResponse, OneshotSender};
use actix::prelude::*;
use glint::Refusal;

use super::{Commit, Emitter, Order, Receipt};
use crate::mail::{Letter, Place};

/// Who waits for a receipt.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) sender: OneshotSender<Result<Receipt, Refusal>>,
    /// The place in the mailbox is held until the answer: what waits for the disk counts as waiting.
    pub(super) place: Place,
}

impl Answer {
    pub(super) fn tell(self, kept: Result<Receipt, Refusal>) {
        // Who gave up waiting has its events kept all the same.
        let _ = self.sender.send(kept);
        drop(self.place);
    }
}

/// A commit that takes its places when it is known who waits for the answer.
#[derive(Debug)]
pub struct Kept {
    pub(super) order: Order,
    pub(super) commit: Commit,
    pub(super) place: Place,
}

impl MessageResponse<Emitter, Letter<Commit>> for Kept {
    fn handle(
        self,
        _: &mut Context<Emitter>,
        sender: Option<OneshotSender<Result<Receipt, Refusal>>>,
    ) {
        let place = self.place;
        let answer = sender.map(|sender| Answer { sender, place });
        if let Some(mut order) = self.order.hold() {
            order.commit(self.commit.entries, answer);
        }
    }
}
