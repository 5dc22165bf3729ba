//! Answers that come when what they are about is kept.
//!
//! Whoever asked is told by whoever knows: the thread that writes the log has the answer's end in its hands. A task of
//! the emitter's for each offer would be woken for that alone, and an actor with many tasks looks at all of them each
//! time.

use std::sync::Arc;

use actix::dev::{MessageResponse, OneshotSender};
use actix::prelude::*;
use glint::{Event, Refusal};

use super::{Emitter, Item, Receipt};
use crate::mail::{Bells, Letter, Place};
use crate::scribe::{Done, Remembered, Scribe};
use crate::tail::Tail;

type Answer = OneshotSender<Result<Receipt, Refusal>>;

/// What has its places, and is to be kept.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) receipt: Receipt,
    pub(super) events: Vec<Event>,
    pub(super) key: Option<Remembered>,
}

impl Placed {
    /// A receipt with nothing to be kept.
    pub(super) fn new(items: Arc<[Item]>, replayed: bool) -> Placed {
        Placed {
            receipt: Receipt { items, replayed },
            events: Vec::new(),
            key: None,
        }
    }
}

/// Where events are kept and seen.
#[derive(Debug)]
pub(super) enum Way {
    Disk(Scribe),
    Memory(Tail, Bells),
}

impl Way {
    /// Hands over what has its places, and has whoever waits told when it is kept.
    pub(super) fn take(self, placed: Placed, answer: Option<(Answer, Place)>) {
        let Placed {
            receipt,
            events,
            key,
        } = placed;
        let tell = answer.map(|(answer, place)| {
            move |kept: Result<(), Refusal>| {
                // Who gave up waiting has its events kept all the same.
                let _ = answer.send(kept.map(|()| receipt));
                // The place in the mailbox is held until then: what waits for the disk counts as waiting.
                drop(place);
            }
        });
        match self {
            Way::Disk(scribe) => {
                scribe.submit(events, key, tell.map(|tell| Box::new(tell) as Done))
            }
            Way::Memory(tail, bells) => {
                bells.ring(tail.push(events));
                if let Some(tell) = tell {
                    tell(Ok(()));
                }
            }
        }
    }
}

/// The result of a message that is answered when what it brought is kept.
#[derive(Debug)]
pub struct Kept(
    pub(super) Result<Placed, Refusal>,
    pub(super) Way,
    pub(super) Place,
);

impl Kept {
    /// Has it kept, and whoever asked told then.
    pub(super) fn tell(self, answer: Option<Answer>) {
        let Kept(placed, way, place) = self;
        match (placed, answer) {
            (Ok(placed), answer) => way.take(placed, answer.map(|answer| (answer, place))),
            (Err(refusal), Some(answer)) => drop(answer.send(Err(refusal))),
            (Err(_), None) => {}
        }
    }
}

impl<M> MessageResponse<Emitter, Letter<M>> for Kept
where
    M: Message<Result = Result<Receipt, Refusal>>,
{
    fn handle(self, _: &mut Context<Emitter>, answer: Option<Answer>) {
        self.tell(answer);
    }
}
