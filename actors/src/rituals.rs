//! The responder: what happens in the one order fires rules, and what they say is done, once.
//!
//! 1. It is rung, pulls by its own cursor, and has the kernel say which rules fire.
//! 2. What is to be done goes to the vault together with the cursor, before anything is done.
//! 3. A run says that it began (`ritual_triggered`), does its actions one after the other, and says how it ended
//!    (`ritual_status_update`). Glints that it posts are committed together with that, so that they are there once.
//! 4. What has ended is forgotten.
//!
//! After a crash everything that had not ended is done again under the same effect key, and nothing that had.
//!
//! Layout:
//! - [`board`]: what is shown of rules and runs.
//! - [`hands`]: what leaves the broker: calls, commands, files. The drivers come from the layer above.
//! - [`throttle`]: which sources wait.
//! - `run`: one run, from its first word to its last.
//! - `say`: the events of rituals.
//! - `keep`: what is in the vault.

pub mod board;
pub mod hands;
mod keep;
mod run;
mod say;
pub mod throttle;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use glint::{Event, Refusal, RefusalKind, Zone};
use rites::matcher::{Cause, Outcome};
use rites::{Firing, Matcher, Rules};

use self::board::BoardHandle;
use self::hands::Hands;
use self::keep::Keeper;
use self::run::Tools;
pub use self::throttle::Throttles;
use crate::clock::Clock;
use crate::emitter::Emitter;
use crate::mail::{Clapper, Letter, Post, Ring};
use crate::phase::PhaseKeeper;
use crate::puller::{Pull, Puller};
use crate::tail::Tail;
use crate::vault::{SharedVault, VaultError};
use crate::warden::Tripwire;

/// The name of the office.
pub const OFFICE: &str = "rituals";
/// Events that are looked at before others on the same thread have their turn.
const PAGE: usize = 512;
/// How often schedules are looked at, and the cursor is put away if nothing fired.
const TICK: Duration = Duration::from_secs(1);
/// Ticks between two savings of a cursor behind which nothing fired.
const SAVE_TICKS: u32 = 5;
/// Firings that may wait for their turn; at the bound the office stops pulling until there is room.
pub const QUEUE_MAX: usize = 10_000;

/// What the office runs on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Runs that may go on at once, over all rules.
    pub jobs_max: usize,
    /// How many rituals may follow from each other.
    pub chain_max: u32,
    /// What zoneless times are local to.
    pub zone: Zone,
}

/// Whom the office works with.
#[derive(Debug, Clone)]
pub struct Partners {
    /// The time.
    pub clock: Clock,
    /// The past.
    pub tail: Tail,
    /// Where events go.
    pub emitter: Post<Emitter>,
    /// Who keeps the state.
    pub phase: Post<PhaseKeeper>,
    /// What must be found again.
    pub vault: SharedVault,
    /// What leaves the broker.
    pub hands: Arc<dyn Hands>,
    /// Which sources wait.
    pub throttles: Throttles,
    /// What is shown.
    pub board: BoardHandle,
}

/// Puts other rules to work. Runs that go on end as they began.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Refusal>")]
pub struct Reload {
    /// The rules.
    pub rules: Rules,
    /// Whether they outlive the process; otherwise those that did are forgotten.
    pub keep: bool,
}

/// Runs a rule by hand, whatever its trigger, cooldown and filter say. Answers with the effect key.
#[derive(Debug, Message)]
#[rtype(result = "Result<String, Refusal>")]
pub struct Trigger {
    /// The name of the rule.
    pub rule: String,
}

/// A run has ended, or could not say so.
#[derive(Debug)]
struct Ended {
    rule: Box<str>,
    key: Box<str>,
    said: bool,
}

/// The actor.
#[derive(Debug)]
pub struct Responder {
    settings: Settings,
    partners: Partners,
    keeper: Keeper,
    puller: Puller,
    matcher: Matcher,
    clapper: Option<Clapper>,
    waiting: VecDeque<Waiting>,
    running: HashMap<Box<str>, usize>,
    jobs: usize,
    unsaved: u32,
    _tripwire: Tripwire,
}

#[derive(Debug)]
struct Waiting {
    firing: Firing,
    announced: bool,
}

impl Responder {
    /// Makes the office, with what the vault remembers. Rules that were put in place by hand win over `rules`.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub fn new(
        settings: Settings,
        partners: Partners,
        rules: Rules,
        tripwire: Tripwire,
    ) -> Result<Responder, VaultError> {
        let keeper = Keeper::new(partners.vault.clone());
        let rules = keeper.rules()?.unwrap_or(rules);
        let head = partners.tail.head();
        let (after, saved) = keeper.cursor(head)?;
        let matcher = Matcher::new(rules, settings.chain_max).resumed(&saved);
        partners.board.rules(matcher.rules());
        let mut responder = Responder {
            puller: Puller::new(partners.tail.clone(), after),
            settings,
            keeper,
            matcher,
            clapper: None,
            waiting: VecDeque::new(),
            running: HashMap::new(),
            jobs: 0,
            unsaved: 0,
            partners,
            _tripwire: tripwire,
        };
        responder.recover(after)?;
        Ok(responder)
    }

    /// Gives the office the clapper of the bell that rings it.
    #[must_use]
    pub fn rung_by(mut self, clapper: Clapper) -> Responder {
        self.clapper = Some(clapper);
        self
    }

    /// Takes up what had begun and not ended.
    fn recover(&mut self, after: u64) -> Result<(), VaultError> {
        let pending = self.keeper.pending(self.matcher.rules())?;
        let oldest = pending.iter().map(|(since, _)| *since).min();
        let from = oldest.unwrap_or(after).min(after);
        let said = say::said_since(&self.partners.tail, from);
        self.keeper.forget_orphans(&pending)?;
        for (_, firing) in pending {
            if said.ended.contains(&*firing.key) {
                self.keeper.ended(&firing.key)?;
                continue;
            }
            let announced = said.begun.contains(&*firing.key);
            self.partners.board.queued(&firing);
            self.waiting.push_back(Waiting { firing, announced });
        }
        Ok(())
    }

    /// Reads on until there is nothing more, or no more room for what is to be done.
    fn pull(&mut self, ctx: &mut Context<Self>) {
        if let Some(clapper) = &self.clapper {
            clapper.lift();
        }
        if self.waiting.len() < QUEUE_MAX {
            match self.puller.pull(PAGE) {
                Ok(Pull::Events(events)) => {
                    let outcomes = events
                        .iter()
                        .map(|event: &Arc<Event>| self.matcher.event(event));
                    let outcome = outcomes.fold(Outcome::default(), |mut all, one| {
                        all.firings.extend(one.firings);
                        all.skips.extend(one.skips);
                        all
                    });
                    self.take(outcome, ctx);
                    if self.puller.position() < self.partners.tail.head().seq {
                        // Others on this thread have their turn between two pages.
                        ctx.notify(Ring);
                    }
                }
                Ok(Pull::Gone { from, to }) => {
                    tracing::warn!(from, to, "rituals did not see events that are gone");
                    ctx.notify(Ring);
                }
                Ok(Pull::Head) => {}
                Err(err) => tracing::error!(%err, "rituals cannot read the log"),
            }
        }
        self.start(ctx);
    }

    /// Puts what is to be done away, then in line.
    fn take(&mut self, outcome: Outcome, ctx: &mut Context<Self>) {
        for skip in &outcome.skips {
            self.partners.board.skipped(skip);
        }
        if outcome.firings.is_empty() {
            self.unsaved = self.unsaved.max(1);
            return;
        }
        self.unsaved = 0;
        let place = self.place();
        if let Err(err) = self
            .keeper
            .fired(place, &self.matcher.save(), &outcome.firings)
        {
            // Nothing was done yet. Going on could do it twice: the office ends, and the process with it.
            tracing::error!(%err, "rituals cannot keep what they are about to do");
            ctx.stop();
            return;
        }
        for firing in outcome.firings {
            self.partners.board.queued(&firing);
            let announced = false;
            self.waiting.push_back(Waiting { firing, announced });
        }
    }

    fn place(&self) -> glint::Offset {
        glint::Offset {
            epoch: self.partners.tail.epoch(),
            seq: self.puller.position(),
        }
    }

    /// Starts what waits, as far as rules and the office have room for it: one rule's queue holds back no other.
    fn start(&mut self, ctx: &mut Context<Self>) {
        let mut later = VecDeque::new();
        while self.jobs < self.settings.jobs_max
            && let Some(waiting) = self.waiting.pop_front()
        {
            let rule = &waiting.firing.rule;
            let running = self.running.entry(rule.name.clone()).or_default();
            if *running >= rule.concurrency {
                later.push_back(waiting);
                continue;
            }
            *running += 1;
            self.jobs += 1;
            self.spawn(waiting, ctx);
        }
        later.append(&mut self.waiting);
        self.waiting = later;
    }

    fn spawn(&self, waiting: Waiting, ctx: &mut Context<Self>) {
        let tools = Tools {
            partners: self.partners.clone(),
            zone: self.settings.zone,
        };
        let Waiting { firing, announced } = waiting;
        let run = async move {
            let (rule, key) = (firing.rule.name.clone(), firing.key.clone());
            let said = run::run(tools, firing, announced).await;
            Ended { rule, key, said }
        };
        let run = run.into_actor(self);
        ctx.spawn(run.map(|ended, office, ctx| office.ended(&ended, ctx)));
    }

    fn ended(&mut self, ended: &Ended, ctx: &mut Context<Self>) {
        self.jobs = self.jobs.saturating_sub(1);
        if let Some(running) = self.running.get_mut(&ended.rule) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(&ended.rule);
            }
        }
        // What could not say that it ended is done again by the next process.
        if ended.said
            && let Err(err) = self.keeper.ended(&ended.key)
        {
            tracing::warn!(%err, "a run that ended is not forgotten yet");
        }
        self.pull(ctx);
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        let outcome = self.matcher.tick(self.partners.clock.now());
        if !outcome.firings.is_empty() {
            self.take(outcome, ctx);
        }
        self.pull(ctx);
        if self.unsaved > 0 {
            self.unsaved += 1;
        }
        if self.unsaved > SAVE_TICKS {
            self.unsaved = 0;
            if let Err(err) = self.keeper.fired(self.place(), &self.matcher.save(), &[]) {
                tracing::warn!(%err, "the cursor of rituals is not put away");
            }
        }
        self.partners.throttles.sweep(self.partners.clock.now());
        self.partners.board.waiting(self.waiting.len(), self.jobs);
        ctx.run_later(self.partners.clock.until_next(TICK), Self::tick);
    }
}

impl Actor for Responder {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.tick(ctx);
    }
}

impl Handler<Ring> for Responder {
    type Result = ();

    fn handle(&mut self, _: Ring, ctx: &mut Self::Context) {
        self.pull(ctx);
    }
}

impl Handler<Letter<Reload>> for Responder {
    type Result = Result<(), Refusal>;

    fn handle(&mut self, letter: Letter<Reload>, _: &mut Self::Context) -> Self::Result {
        let Reload { rules, keep } = letter.message;
        let kept = self.keeper.keep_rules(keep.then_some(&*rules.text));
        kept.map_err(|err| Refusal::new(RefusalKind::Internal, "vault_failed", err))?;
        let saved = self.matcher.save();
        self.matcher = Matcher::new(rules, self.settings.chain_max).resumed(&saved);
        self.partners.board.rules(self.matcher.rules());
        Ok(())
    }
}

impl Handler<Letter<Trigger>> for Responder {
    type Result = Result<String, Refusal>;

    fn handle(&mut self, letter: Letter<Trigger>, ctx: &mut Self::Context) -> Self::Result {
        let name = letter.message.rule;
        let rules = &self.matcher.rules().rules;
        let Some(rule) = rules.iter().find(|rule| *rule.name == *name) else {
            let detail = format!("there is no rule {name:?}; GET /rituals lists them");
            return Err(Refusal::invalid("ritual_unknown", detail).on("ritual_id"));
        };
        let now = self.partners.clock.now();
        let firing = Firing {
            key: rites::matcher::key(rule, &format!("by hand {}", now.0)),
            rule: rule.clone(),
            trigger: "by_hand".into(),
            offset: None,
            stamp: now,
            state: self.matcher.state(),
            depth: 0,
            glint: Cause {
                text: "{}".into(),
                ..Cause::default()
            },
        };
        let key = firing.key.to_string();
        let outcome = Outcome {
            firings: vec![firing],
            ..Outcome::default()
        };
        self.take(outcome, ctx);
        self.start(ctx);
        Ok(key)
    }
}
