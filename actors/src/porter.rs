//! The porter of a thread: rung once, rings every office that works there, and not for each glint.
//!
//! To wake a thread is a call to the system, and the thread has to be put on a processor: for one event that costs more
//! than all that the offices of the study do with it. So they share the wake, and events that come by the thousand share
//! it among each other: the first after a quiet time is passed on at once, further ones within [`GATHER`], together with
//! whatever else ticks then, or when there are so many that memory might soon not hold them.

use std::time::Duration;

use actix::prelude::*;
use glint::{Topic, Topics};

use crate::clock::Clock;
use crate::mail::{Bell, Bells, Clapper, News, Ring};
use crate::tail::Tail;
use crate::warden::Tripwire;

/// How long events gather at most before the offices look at them.
pub const GATHER: Duration = Duration::from_millis(250);
/// Topics whose events come by the thousand.
const GATHERED: [Topic; 2] = [Topic::Glints, Topic::Traces];
/// Events that gather at most.
const MOST_EVENTS: usize = 2048;
/// The part of those that memory holds that gather at most.
const MEMORY_PART: usize = 4;

/// The actor.
#[derive(Debug)]
pub struct Porter {
    inside: Bells,
    clapper: Clapper,
    clock: Clock,
    tail: Tail,
    /// The newest event when the offices were rung last.
    seen: u64,
    /// While events gather, when they are looked for.
    gathering: Option<SpawnHandle>,
    _tripwire: Tripwire,
}

/// The offices of a thread, as those see them who ring.
#[derive(Debug, Clone)]
pub struct Lodge {
    outside: Bells,
    inside: Bells,
}

impl Lodge {
    /// Has an office rung: at once for what is rare, and by the porter for what comes by the thousand.
    pub fn add(&self, bell: Bell) {
        let stored = Topic::ALL.into_iter().filter(|topic| topic.is_stored());
        let rare = stored.filter(|topic| !GATHERED.contains(topic));
        self.inside.add(bell.clone(), Topics::ALL);
        self.outside.add(bell, rare.collect());
    }
}

impl Porter {
    /// Starts a porter on `thread` who is rung with `outside`, for events of `tail`.
    #[must_use]
    pub fn start_on(
        thread: &ArbiterHandle,
        outside: &Bells,
        clock: Clock,
        tail: Tail,
        tripwire: Tripwire,
    ) -> Lodge {
        let lodge = Lodge {
            outside: outside.clone(),
            inside: Bells::default(),
        };
        let Lodge { outside, inside } = lodge.clone();
        Porter::start_in_arbiter(thread, move |ctx| {
            let (bell, clapper) = Bell::new(ctx.address().recipient());
            outside.add(bell, GATHERED.into_iter().collect());
            Porter {
                inside,
                clapper,
                clock,
                seen: tail.head().seq,
                tail,
                gathering: None,
                _tripwire: tripwire,
            }
        });
        lodge
    }

    fn pass_on(&mut self, ctx: &mut Context<Self>) {
        let room = (self.tail.capacity() / MEMORY_PART).clamp(1, MOST_EVENTS);
        self.seen = self.tail.head().seq;
        self.clapper.lift_from(self.seen + room as u64);
        self.inside.ring(News {
            topics: Topics::ALL,
            head: self.seen,
        });
        let next = ctx.run_later(self.clock.until_next(GATHER), Self::look);
        if let Some(before) = self.gathering.replace(next) {
            ctx.cancel_future(before);
        }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        self.gathering = None;
        // Before the look: what came until then has rung nobody.
        self.clapper.lift_from(0);
        if self.tail.head().seq > self.seen {
            self.pass_on(ctx);
        }
    }
}

impl Actor for Porter {
    type Context = Context<Self>;
}

impl Handler<Ring> for Porter {
    type Result = ();

    fn handle(&mut self, _: Ring, ctx: &mut Self::Context) {
        self.pass_on(ctx);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use glint::{Name, Stamp};
    use tokio::time;

    use super::*;
    use crate::tail::tests::{event, tail};

    /// An office that counts how often it is rung.
    struct Office {
        clapper: Clapper,
        rings: Arc<AtomicU32>,
    }

    impl Actor for Office {
        type Context = Context<Self>;
    }

    impl Handler<Ring> for Office {
        type Result = ();

        fn handle(&mut self, _: Ring, _: &mut Self::Context) {
            self.clapper.lift();
            self.rings.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn office(lodge: &Lodge) -> Arc<AtomicU32> {
        let rings = Arc::new(AtomicU32::new(0));
        let counted = rings.clone();
        Office::create(|ctx| {
            let (bell, clapper) = Bell::new(ctx.address().recipient());
            lodge.add(bell);
            Office { clapper, rings }
        });
        counted
    }

    fn push(tail: &Tail, outside: &Bells, name: Name) {
        outside.ring(tail.push(vec![event(name, tail.head().seq + 1)]));
    }

    #[actix_rt::test]
    async fn a_first_glint_rings_all_at_once_and_a_hundred_more_ring_once() {
        time::pause();
        let tail = tail(1000);
        let outside = Bells::default();
        let thread = Arbiter::current();
        let clock = Clock::of_runtime(Stamp(0));
        let lodge = Porter::start_on(&thread, &outside, clock, tail.clone(), Tripwire::idle());
        let offices = [office(&lodge), office(&lodge)];
        let rings = || offices.each_ref().map(|rings| rings.load(Ordering::SeqCst));
        let soon = Duration::from_millis(1);
        // Whoever comes looks at what was there before, and then it is quiet.
        time::sleep(GATHER * 2).await;
        let before = rings();
        let since = || [rings()[0] - before[0], rings()[1] - before[1]];

        push(&tail, &outside, Name::GlintEmission);
        time::sleep(soon).await;
        assert_eq!(since(), [1, 1], "at once after a quiet time");
        for _ in 0..100 {
            push(&tail, &outside, Name::GlintEmission);
            time::sleep(soon).await;
        }
        assert_eq!(since(), [1, 1], "they gather");
        push(&tail, &outside, Name::PhaseUpdate);
        time::sleep(soon).await;
        assert_eq!(since(), [2, 2], "what is rare does not wait for them");
        time::sleep(GATHER).await;
        assert_eq!(since(), [3, 3], "together");
        time::sleep(GATHER * 2).await;
        assert_eq!(since(), [3, 3], "nothing new, nobody is rung");
        push(&tail, &outside, Name::GlintEmission);
        time::sleep(soon).await;
        assert_eq!(since(), [4, 4], "it is quiet again");
        push(&tail, &outside, Name::Heartbeat);
        time::sleep(GATHER * 2).await;
        assert_eq!(since(), [4, 4], "what is not stored rings nobody");

        push(&tail, &outside, Name::GlintEmission);
        time::sleep(soon).await;
        assert_eq!(since(), [5, 5]);
        for _ in 1..1000 / MEMORY_PART {
            push(&tail, &outside, Name::GlintEmission);
        }
        time::sleep(soon).await;
        assert_eq!(since(), [5, 5], "memory holds them");
        push(&tail, &outside, Name::GlintEmission);
        time::sleep(soon).await;
        assert_eq!(since(), [6, 6], "before it holds them no more");
    }
}
