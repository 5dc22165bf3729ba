//! Which rules an event fires, and which it does not, and why.
//!
//! An event is looked up, not compared with every rule: glint rules stand in an index by the words that they demand.
//! Time is the stamp of the event, so that the same events give the same firings, live and in a rehearsal.

mod index;
mod memory;

use std::sync::Arc;

use glint::hex::Hex;
use glint::json::{self, Value};
use glint::{Climate, Event, Name, Offset, Phase, Stamp, State, Topic};
use sha2::{Digest as _, Sha256};
use sieve::filter::Facts;

use self::index::Index;
use self::memory::Memory;
use crate::rule::{Crossing, Rule, Rules, Trigger};

pub use self::memory::{Saved, SavedRule};

/// How deep glints of rituals may follow from each other, when nothing is said.
pub const CHAIN_MAX: u32 = 2;

/// Something that is to be done.
#[derive(Debug, Clone)]
pub struct Firing {
    /// The rule.
    pub rule: Arc<Rule>,
    /// The effect key: 32 hexadecimal digits of a SHA-256 over rule, version and place. The same for every attempt.
    pub key: Box<str>,
    /// What fired it, such as `phase_transition_return`.
    pub trigger: Box<str>,
    /// The event that did; none for a schedule.
    pub offset: Option<Offset>,
    /// When that was.
    pub stamp: Stamp,
    /// The state then.
    pub state: State,
    /// How many rituals stand between this and a glint of somebody else: 0 for none.
    pub depth: u32,
    /// The event, where there is one.
    pub glint: Cause,
}

/// What is kept of the event that fired a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cause {
    /// Its id.
    pub id: Option<Box<str>>,
    /// Who sent it.
    pub source: Option<Box<str>>,
    /// The phase that it names.
    pub phase: Option<Box<str>>,
    /// The payload, or `{}`.
    pub text: Box<str>,
}

/// A rule whose trigger and filter held, and that did not fire all the same; or whose filter gave no answer.
#[derive(Debug, Clone)]
pub struct Skip {
    /// The rule.
    pub rule: Arc<Rule>,
    /// Why not.
    pub reason: SkipReason,
    /// The event.
    pub offset: Option<Offset>,
    /// When.
    pub stamp: Stamp,
}

/// Why a rule did not fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SkipReason {
    /// It fired a short while ago.
    Cooldown,
    /// The same thing fired it a short while ago.
    Duplicate,
    /// Too many rituals follow from each other.
    Chain,
    /// The filter has no answer.
    Filter(String),
}

impl SkipReason {
    /// Returns the word on the wire.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            SkipReason::Cooldown => "cooldown",
            SkipReason::Duplicate => "duplicate",
            SkipReason::Chain => "chain",
            SkipReason::Filter(_) => "filter",
        }
    }
}

/// What came of one event.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What is to be done, urgent rules first.
    pub firings: Vec<Firing>,
    /// What is not.
    pub skips: Vec<Skip>,
}

/// The rules at work.
#[derive(Debug)]
pub struct Matcher {
    rules: Rules,
    index: Index,
    memory: Memory,
    chain_max: u32,
}

impl Matcher {
    /// Puts rules to work. A phase or climate that is seen first is only remembered.
    #[must_use]
    pub fn new(rules: Rules, chain_max: u32) -> Matcher {
        Matcher {
            index: Index::new(&rules.rules),
            memory: Memory::new(rules.rules.len()),
            rules,
            chain_max,
        }
    }

    /// Goes on from what was saved; rules that changed since begin anew.
    #[must_use]
    pub fn resumed(mut self, saved: &Saved) -> Matcher {
        self.memory.restore(&self.rules.rules, saved);
        self
    }

    /// Returns what must be kept to go on after a restart.
    #[must_use]
    pub fn save(&self) -> Saved {
        self.memory.save(&self.rules.rules)
    }

    /// Returns the rules.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Returns the state as the events so far tell it.
    #[must_use]
    pub fn state(&self) -> State {
        self.memory.state()
    }

    /// Looks at the next event of the order.
    pub fn event(&mut self, event: &Event) -> Outcome {
        let mut outcome = Outcome::default();
        match event.topic() {
            Topic::Glints => self.glint(event, &mut outcome),
            Topic::State => self.change(event, &mut outcome),
            Topic::Seals => {
                for nth in self.index.seal.clone() {
                    self.candidate(nth, event, "seal_change".into(), &mut outcome);
                }
            }
            _ => {}
        }
        finish(&mut outcome);
        outcome
    }

    /// Looks at the time: schedules fire once in each of their slots, and not in the first, which was cut short.
    pub fn tick(&mut self, now: Stamp) -> Outcome {
        let mut outcome = Outcome::default();
        for nth in self.index.schedule.clone() {
            let rule = self.rules.rules[nth].clone();
            let Trigger::Schedule {
                every_micros,
                phase,
            } = rule.trigger
            else {
                continue;
            };
            let slot = now.0.div_euclid(every_micros.max(1));
            let state = self.state();
            if !self.memory.enters_slot(nth, slot)
                || phase.is_some_and(|phase| phase != state.phase)
            {
                continue;
            }
            let trigger = format!("schedule_{}", state.phase);
            outcome.firings.push(Firing {
                key: key(&rule, &format!("slot {slot}")),
                rule,
                trigger: trigger.into(),
                offset: None,
                stamp: now,
                state,
                depth: 0,
                glint: Cause {
                    text: "{}".into(),
                    ..Cause::default()
                },
            });
        }
        finish(&mut outcome);
        outcome
    }

    fn glint(&mut self, event: &Event, outcome: &mut Outcome) {
        let found = self
            .index
            .glints(event.source.as_deref(), event.phase.as_deref());
        for nth in found {
            self.candidate(nth, event, "glint_emission".into(), outcome);
        }
    }

    fn change(&mut self, event: &Event, outcome: &mut Outcome) {
        let Some(state) = read_state(&event.text, self.state()) else {
            return;
        };
        let before = self.memory.see(state);
        for nth in 0..self.index.state.len() {
            let nth = self.index.state[nth];
            let trigger = match &self.rules.rules[nth].trigger {
                Trigger::Usage(crossing) if event.name == Name::UsageUpdate => {
                    let crossing = *crossing;
                    self.memory
                        .crosses(nth, crossing, state.usage)
                        .then(|| usage_word(crossing))
                }
                trigger => transition(trigger, event.name, before.as_ref(), &state),
            };
            if let Some(trigger) = trigger {
                self.candidate(nth, event, trigger, outcome);
            }
        }
    }

    /// Holds a rule whose trigger held to the rest of what it says.
    fn candidate(&mut self, nth: usize, event: &Event, trigger: String, outcome: &mut Outcome) {
        let rule = self.rules.rules[nth].clone();
        let state = self.state();
        let skip = |rule: &Arc<Rule>, reason| Skip {
            rule: rule.clone(),
            reason,
            offset: Some(event.offset),
            stamp: event.stamp,
        };
        if let Some(filter) = &rule.filter {
            match filter.test(&Facts::new(event, Some(state))) {
                Ok(true) => {}
                Ok(false) | Err(sieve::filter::Fault::Missing(_)) => return,
                Err(fault) => {
                    let reason = SkipReason::Filter(fault.to_string());
                    outcome.skips.push(skip(&rule, reason));
                    return;
                }
            }
        }
        let depth = depth(event);
        if depth >= self.chain_max {
            outcome.skips.push(skip(&rule, SkipReason::Chain));
            return;
        }
        if let Err(reason) = self.memory.admit(nth, &rule, event) {
            outcome.skips.push(skip(&rule, reason));
            return;
        }
        outcome.firings.push(Firing {
            key: key(&rule, &event.offset.to_string()),
            trigger: trigger.into(),
            offset: Some(event.offset),
            stamp: event.stamp,
            state,
            depth,
            glint: Cause {
                id: event.id.clone(),
                source: event.source.clone(),
                phase: event.phase.clone(),
                text: event.text.clone(),
            },
            rule,
        });
    }
}

fn finish(outcome: &mut Outcome) {
    outcome
        .firings
        .sort_by_key(|firing| std::cmp::Reverse(firing.rule.priority));
}

/// The word for a transition, if the trigger waits for this one.
fn transition(
    trigger: &Trigger,
    name: Name,
    before: Option<&State>,
    now: &State,
) -> Option<String> {
    let before = before?;
    match (trigger, name) {
        (Trigger::PhaseEnters(wanted), Name::PhaseUpdate) if before.phase != now.phase => {
            is(wanted, &now.phase).then(|| format!("phase_transition_{}", now.phase))
        }
        (Trigger::PhaseLeaves(wanted), Name::PhaseUpdate) if before.phase != now.phase => {
            is(wanted, &before.phase).then(|| format!("phase_leave_{}", before.phase))
        }
        (Trigger::ClimateBecomes(wanted), Name::ClimateUpdate) if before.climate != now.climate => {
            is(wanted, &now.climate).then(|| format!("climate_change_{}", now.climate))
        }
        _ => None,
    }
}

fn is<T: PartialEq>(wanted: &Option<T>, found: &T) -> bool {
    wanted.as_ref().is_none_or(|wanted| wanted == found)
}

fn usage_word(crossing: Crossing) -> String {
    let (Crossing::Above { bound, .. }
    | Crossing::Below { bound, .. }
    | Crossing::Either { bound }) = crossing;
    format!("usage_threshold_{bound}")
}

/// The state as an event of the breath tells it; what it does not tell stays.
fn read_state(text: &str, before: State) -> Option<State> {
    let value = json::parse(text).ok()?;
    let word = |key: &str| value.get(key).and_then(Value::as_str);
    let number = |key: &str| value.get(key).and_then(Value::as_f64);
    Some(State {
        phase: word("phase")
            .and_then(|word| word.parse::<Phase>().ok())
            .unwrap_or(before.phase),
        climate: word("climate")
            .and_then(|word| word.parse::<Climate>().ok())
            .unwrap_or(before.climate),
        progress: number("progress").unwrap_or(before.progress),
        usage: number("usage").unwrap_or(before.usage),
    })
}

/// How many rituals stand between an event and a glint of somebody else. Only glints carry it.
fn depth(event: &Event) -> u32 {
    // Cheap for all that are not of rituals: the word is not in them.
    if event.topic() != Topic::Glints || !event.text.contains("\"ritual\"") {
        return 0;
    }
    let Ok(value) = json::parse_to_depth(&event.text, json::MAX_DEPTH + 1) else {
        return 0;
    };
    let depth = value.at(&["ritual", "depth"]).and_then(Value::as_f64);
    // What is no depth of ours is a word of the publisher's.
    depth
        .filter(|depth| (0.0..=1000.0).contains(depth))
        .map_or(0, |depth| depth as u32)
}

/// Returns the effect key of a rule at a place: the same for every attempt, another for everything else.
#[must_use]
pub fn key(rule: &Rule, place: &str) -> Box<str> {
    let digest = Sha256::digest(format!("{}\n{}\n{place}", rule.name, rule.version));
    Hex(&digest[..16]).to_string().into()
}

#[cfg(test)]
mod tests;
