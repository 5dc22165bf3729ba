//! The porter of a thread: rung once, rings every office that works there.
//!
//! To wake a thread is a call to the system, and the thread has to be put on a processor. Offices that share one share the
//! wake: who rings from outside rings the porter.

use actix::prelude::*;
use glint::{Topic, Topics};

use crate::mail::{Bell, Bells, Clapper, Ring};
use crate::warden::Tripwire;

/// The actor.
#[derive(Debug)]
pub struct Porter {
    clapper: Clapper,
    inside: Bells,
    _tripwire: Tripwire,
}

impl Porter {
    /// Starts a porter on `thread` who is rung with `outside`, for all that is stored. Offices of that thread add their
    /// bells to the ones returned.
    #[must_use]
    pub fn start_on(thread: &ArbiterHandle, outside: &Bells, tripwire: Tripwire) -> Bells {
        let (inside, outside) = (Bells::default(), outside.clone());
        let bells = inside.clone();
        Porter::start_in_arbiter(thread, move |ctx| {
            let (bell, clapper) = Bell::new(ctx.address().recipient());
            let stored = Topic::ALL.into_iter().filter(|topic| topic.is_stored());
            outside.add(bell, stored.collect());
            Porter {
                clapper,
                inside,
                _tripwire: tripwire,
            }
        });
        bells
    }
}

impl Actor for Porter {
    type Context = Context<Self>;
}

impl Handler<Ring> for Porter {
    type Result = ();

    fn handle(&mut self, _: Ring, _: &mut Self::Context) {
        self.clapper.lift();
        self.inside.ring(Topics::ALL);
    }
}
