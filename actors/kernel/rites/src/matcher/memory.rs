//! What a matcher remembers: the state, and of each rule when and for what it fired.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use glint::{Climate, Event, Phase, Stamp, State};

use super::SkipReason;
use crate::rule::{Crossing, Rule};

/// Things that a rule remembers to have fired for.
const DEDUPE_MAX: usize = 4096;

/// What is kept through a restart. Windows against duplicates are not: they begin anew.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Saved {
    /// The state, if one was seen.
    pub state: Option<State>,
    /// Of each rule, by name and version.
    pub rules: Vec<SavedRule>,
}

/// What is kept of one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedRule {
    /// Its name.
    pub name: Box<str>,
    /// Its version.
    pub version: Box<str>,
    /// When it fired last.
    pub fired: Option<Stamp>,
    /// On which side of its bound usage is, from where its trigger looks: `true` is beyond.
    pub beyond: bool,
    /// The slot of its schedule.
    pub slot: Option<i64>,
}

#[derive(Debug)]
pub(super) struct Memory {
    state: Option<State>,
    rules: Vec<OfRule>,
}

#[derive(Debug, Default)]
struct OfRule {
    fired: Option<Stamp>,
    beyond: bool,
    slot: Option<i64>,
    seen: HashMap<u64, Stamp>,
    order: VecDeque<(u64, Stamp)>,
}

/// Before anything was seen: usage starts at nothing, as existing schedulers do.
const BEFORE: State = State {
    phase: Phase::Inhale,
    progress: 0.0,
    usage: 0.0,
    climate: Climate::Clear,
};

impl Memory {
    pub(super) fn new(rules: usize) -> Memory {
        Memory {
            state: None,
            rules: std::iter::repeat_with(OfRule::default)
                .take(rules)
                .collect(),
        }
    }

    pub(super) fn state(&self) -> State {
        self.state.unwrap_or(BEFORE)
    }

    /// Sees a state, and returns the one before it.
    pub(super) fn see(&mut self, state: State) -> Option<State> {
        self.state.replace(state)
    }

    /// Tells whether usage came to the side that the rule waits for.
    pub(super) fn crosses(&mut self, nth: usize, crossing: Crossing, usage: f64) -> bool {
        let beyond = &mut self.rules[nth].beyond;
        let now = match (crossing, *beyond) {
            (Crossing::Above { bound, .. }, false) => usage > bound,
            (Crossing::Above { release, .. }, true) => usage > release,
            (Crossing::Below { bound, .. }, false) => usage < bound,
            (Crossing::Below { release, .. }, true) => usage < release,
            (Crossing::Either { bound }, _) => usage >= bound,
        };
        let changed = std::mem::replace(beyond, now) != now;
        changed && (now || matches!(crossing, Crossing::Either { .. }))
    }

    /// Tells whether a schedule came to a slot that it was not in. The first is only remembered.
    pub(super) fn enters_slot(&mut self, nth: usize, slot: i64) -> bool {
        let before = self.rules[nth].slot.replace(slot);
        before.is_some_and(|before| before < slot)
    }

    /// Lets a rule fire, or says why not.
    pub(super) fn admit(
        &mut self,
        nth: usize,
        rule: &Rule,
        event: &Event,
    ) -> Result<(), SkipReason> {
        let of = &mut self.rules[nth];
        let now = event.stamp;
        let since = |earlier: Stamp| now.micros_since(earlier);
        if rule.cooldown_micros > 0
            && of
                .fired
                .is_some_and(|fired| (0..rule.cooldown_micros).contains(&since(fired)))
        {
            return Err(SkipReason::Cooldown);
        }
        if rule.dedupe_micros > 0 {
            let what = what(event);
            let known = of.seen.get(&what).copied();
            if known.is_some_and(|known| (0..rule.dedupe_micros).contains(&since(known))) {
                return Err(SkipReason::Duplicate);
            }
            of.seen.insert(what, now);
            of.order.push_back((what, now));
            if of.order.len() > DEDUPE_MAX
                && let Some((oldest, then)) = of.order.pop_front()
                && of.seen.get(&oldest) == Some(&then)
            {
                of.seen.remove(&oldest);
            }
        }
        of.fired = Some(now);
        Ok(())
    }

    pub(super) fn save(&self, rules: &[Arc<Rule>]) -> Saved {
        let rules = rules.iter().zip(&self.rules).map(|(rule, of)| SavedRule {
            name: rule.name.clone(),
            version: rule.version.clone(),
            fired: of.fired,
            beyond: of.beyond,
            slot: of.slot,
        });
        Saved {
            state: self.state,
            rules: rules.collect(),
        }
    }

    pub(super) fn restore(&mut self, rules: &[Arc<Rule>], saved: &Saved) {
        self.state = saved.state;
        for (rule, of) in rules.iter().zip(&mut self.rules) {
            let same =
                |known: &&SavedRule| known.name == rule.name && known.version == rule.version;
            if let Some(known) = saved.rules.iter().find(same) {
                (of.fired, of.beyond, of.slot) = (known.fired, known.beyond, known.slot);
            } else if let (crate::rule::Trigger::Usage(crossing), Some(state)) =
                (&rule.trigger, saved.state)
            {
                // A new rule begins on the side where usage is: what did not move did not cross.
                of.beyond = match *crossing {
                    Crossing::Above { bound, .. } => state.usage > bound,
                    Crossing::Below { bound, .. } => state.usage < bound,
                    Crossing::Either { bound } => state.usage >= bound,
                };
            }
        }
    }
}

/// What a glint is about: two that say the same are the same, whatever their ids and clocks.
fn what(event: &Event) -> u64 {
    let mut hasher = DefaultHasher::new();
    event.source.hash(&mut hasher);
    event.phase.hash(&mut hasher);
    match glint::json::parse_to_depth(&event.text, glint::json::MAX_DEPTH + 1) {
        Ok(value) => {
            let inner = value
                .at(&["data", "glint"])
                .or_else(|| value.get("glint"))
                .unwrap_or(&value);
            let word = |keys: [&str; 2]| keys.into_iter().find_map(|key| inner.get(key));
            let said = (
                word(["content", "glint.content"]),
                word(["toneform", "glint.toneform"]),
            );
            match said {
                (None, None) => event.text.hash(&mut hasher),
                (content, toneform) => {
                    content.map(glint::json::Value::to_ascii).hash(&mut hasher);
                    toneform.map(glint::json::Value::to_ascii).hash(&mut hasher);
                }
            }
        }
        Err(_) => event.text.hash(&mut hasher),
    }
    hasher.finish()
}
