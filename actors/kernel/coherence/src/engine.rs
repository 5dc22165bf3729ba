//! Many sources, bounded.

use std::collections::HashMap;
use std::hint::black_box;

use ahash::RandomState;

use crate::contract::Contract;
use crate::error::CoherenceError;
use crate::mesh::order_parameter;
use crate::params::Params;
use crate::review::{Moment, Review};
use crate::source::{Outcome, Source};
use crate::standing::Standing;
use crate::words::{Change, Condition, Overlay, Reason};

/// No place.
const NONE: u32 = u32::MAX;

/// How much is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sources; one more lets the one go that was heard longest ago.
    pub sources: usize,
    /// Contracts; one more is refused.
    pub contracts: usize,
}

/// What an event led to.
#[derive(Debug, Default)]
pub struct Noted {
    /// What became of it.
    pub outcome: Option<Outcome>,
    /// What changed with its source.
    pub changes: Vec<Change>,
    /// The source that had to go for it.
    pub left: Option<Left>,
}

/// A source that is not held any more.
#[derive(Debug, Clone, PartialEq)]
pub struct Left {
    /// Its name.
    pub name: Box<str>,
    /// What was known.
    pub source: Source,
    /// What was said.
    pub standing: Standing,
    /// What it was measured with.
    pub params: Params,
}

/// A source, for whoever asks.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its name.
    pub name: &'a str,
    /// What is known.
    pub source: &'a Source,
    /// What is said.
    pub standing: &'a Standing,
    /// What it is measured with.
    pub params: &'a Params,
    /// What it promised.
    pub contract: &'a Contract,
}

/// A contract, and the parameters that come from it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Terms {
    contract: Contract,
    params: Params,
}

#[derive(Debug)]
struct Slot {
    name: Box<str>,
    source: Source,
    standing: Standing,
    terms: Option<Box<Terms>>,
    newer: u32,
    older: u32,
    /// An event was counted in a cycle that has not been looked at as a whole.
    open: bool,
    /// An event was counted, or something was said, since this was last asked.
    changed: bool,
}

/// The estimator over all sources: a function of events and times, without a clock.
#[derive(Debug)]
pub struct Engine {
    house: Terms,
    limits: Limits,
    places: HashMap<Box<str>, u32, RandomState>,
    slots: Vec<Slot>,
    newest: u32,
    oldest: u32,
    contracts: HashMap<Box<str>, Terms>,
    pooled: Source,
    pooled_params: Params,
}

impl Engine {
    /// Makes an empty engine.
    #[must_use]
    pub fn new(params: Params, limits: Limits) -> Engine {
        Engine {
            house: Terms {
                contract: Contract::default(),
                params,
            },
            limits: Limits {
                sources: limits.sources.clamp(1, NONE as usize - 1),
                ..limits
            },
            places: HashMap::default(),
            slots: Vec::new(),
            newest: NONE,
            oldest: NONE,
            contracts: HashMap::new(),
            pooled: Source::default(),
            // What several nodes saw joins exactly only if every event counts.
            pooled_params: Params { slots: 0, ..params },
        }
    }

    /// Returns the parameters of sources without a carrier of their own.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.house.params
    }

    /// Returns everything as one source, and what that is measured with.
    #[must_use]
    pub fn pooled(&self) -> (&Source, &Params) {
        (&self.pooled, &self.pooled_params)
    }

    /// Returns how many sources are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Tells whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Has the source of the next event on its way from memory while this one is taken in. Nothing depends on it.
    pub fn foresee(&self, name: &str) {
        if let Some(place) = self.places.get(name) {
            black_box(self.slots[*place as usize].source.touch());
        }
    }

    /// Takes in an event of `name`.
    pub fn note(&mut self, name: &str, at_us: i64) -> Noted {
        let mut noted = Noted::default();
        self.pooled.observe(&self.pooled_params, at_us, 1.0);
        let place = match self.places.get(name) {
            Some(place) => {
                let place = *place;
                self.touch(place);
                place
            }
            None => {
                let (place, left) = self.admit(name);
                noted.left = left;
                place
            }
        };
        let slot = &mut self.slots[place as usize];
        let terms = slot.terms.as_deref().unwrap_or(&self.house);
        let outcome = slot.source.observe(&terms.params, at_us, 1.0);
        noted.outcome = Some(outcome);
        slot.open |= outcome.counts();
        slot.changed |= outcome.counts();
        let moment = if outcome.counts() {
            Moment::Counted
        } else {
            Moment::Heard
        };
        look(slot, &self.house, at_us, moment, &mut noted.changes);
        noted
    }

    /// Lets time pass: closes cycles, and finds who is silent, dormant, or calm again. Call it once a second or so.
    pub fn tick(&mut self, now_us: i64) -> Vec<(Box<str>, Change)> {
        let (mut all, mut changes) = (Vec::new(), Vec::new());
        for slot in &mut self.slots {
            let terms = slot.terms.as_deref().unwrap_or(&self.house);
            let closed = slot.open && terms.params.carrier.split(now_us).0 > slot.source.cycle();
            let moment = if closed {
                Moment::Close { spoke: true }
            } else {
                Moment::Tick
            };
            slot.open &= !closed;
            look(slot, &self.house, now_us, moment, &mut changes);
            // What time alone brought about has to be saved, too.
            slot.changed |= !changes.is_empty();
            all.extend(changes.drain(..).map(|change| (slot.name.clone(), change)));
        }
        all
    }

    /// Returns a source.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Row<'_>> {
        let place = *self.places.get(name)?;
        Some(self.row(&self.slots[place as usize]))
    }

    /// Returns all sources, in no order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.slots.iter().map(|slot| self.row(slot))
    }

    /// Calls `keep` with sources that changed since this was last asked of them, `max` of them at most, and returns how
    /// many others are left for the next time.
    pub fn changed(&mut self, max: usize, mut keep: impl FnMut(Row<'_>)) -> usize {
        let (mut kept, mut left) = (0, 0);
        for slot in &mut self.slots {
            if !slot.changed {
                continue;
            }
            if kept == max {
                left += 1;
                continue;
            }
            kept += 1;
            slot.changed = false;
            let terms = slot.terms.as_deref().unwrap_or(&self.house);
            keep(Row {
                name: &slot.name,
                source: &slot.source,
                standing: &slot.standing,
                params: &terms.params,
                contract: &terms.contract,
            });
        }
        left
    }

    /// Calls `name` with the name of each source that changed since [`Engine::changed`] was asked.
    pub fn changed_names(&self, name: impl FnMut(&str)) {
        let changed = self.slots.iter().filter(|slot| slot.changed);
        changed.map(|slot| &*slot.name).for_each(name);
    }

    /// Returns how many sources are in each condition and under each overlay.
    #[must_use]
    pub fn census(&self) -> ([usize; Condition::ALL.len()], [usize; Overlay::ALL.len()]) {
        let mut census = ([0; Condition::ALL.len()], [0; Overlay::ALL.len()]);
        for slot in &self.slots {
            census.0[slot.standing.condition() as usize] += 1;
            for (count, overlay) in census.1.iter_mut().zip(Overlay::ALL) {
                *count += usize::from(slot.standing.has(overlay));
            }
        }
        census
    }

    /// Returns the order parameter over the coherent sources of the house's carrier, and how many those are.
    #[must_use]
    pub fn order(&self) -> (Option<f64>, usize) {
        let coherent = self.slots.iter().filter(|slot| {
            slot.standing.is_collapsed()
                && slot.terms.as_deref().unwrap_or(&self.house).params == self.house.params
        });
        order_parameter(coherent.map(|slot| {
            slot.source
                .master(&self.house.params, slot.source.at_us())
                .t
        }))
    }

    /// Puts a source in place that was held before.
    pub fn restore(&mut self, name: &str, source: Source, standing: Standing) {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => self.admit(name).0,
        };
        let slot = &mut self.slots[place as usize];
        (slot.source, slot.standing, slot.open) = (source, standing, true);
    }

    /// Puts the sum over all sources in place that was held before.
    pub fn restore_pooled(&mut self, source: Source) {
        self.pooled = source;
    }

    /// Sets what a source promised. Another carrier begins its measurement anew.
    ///
    /// # Errors
    /// When a number is out of range, or there are as many contracts as there may be.
    pub fn set_contract(&mut self, name: &str, contract: Contract) -> Result<(), CoherenceError> {
        let contract = contract.checked()?;
        let params = match contract.carrier(self.house.params.carrier)? {
            Some(carrier) => self.house.params.on(carrier)?,
            None => self.house.params,
        };
        if self.contracts.len() >= self.limits.contracts && !self.contracts.contains_key(name) {
            return Err(CoherenceError::TooMany {
                field: "contracts",
                count: self.contracts.len() + 1,
                max: self.limits.contracts,
            });
        }
        let terms = Terms { contract, params };
        self.contracts.insert(name.into(), terms);
        self.apply(name, Some(terms));
        Ok(())
    }

    /// Takes a contract back, and tells whether there was one.
    pub fn drop_contract(&mut self, name: &str) -> bool {
        let was = self.contracts.remove(name).is_some();
        self.apply(name, None);
        was
    }

    /// Returns all contracts, in no order.
    pub fn contracts(&self) -> impl Iterator<Item = (&str, &Contract)> {
        self.contracts
            .iter()
            .map(|(name, terms)| (&**name, &terms.contract))
    }

    /// Puts a source into quarantine for a person (`hold`), or lets it out. Nothing, if it is not held here or nothing
    /// changed.
    pub fn decide(&mut self, name: &str, hold: bool, now_us: i64) -> Option<Change> {
        let place = *self.places.get(name)?;
        let slot = &mut self.slots[place as usize];
        let (from, to) = slot.standing.decide(hold)?;
        let terms = slot.terms.as_deref().unwrap_or(&self.house);
        Some(Change {
            what: if hold { "quarantine" } else { "recover" },
            from,
            to,
            reason: Reason::Operator,
            numbers: slot.standing.numbers(&slot.source, &terms.params, now_us),
        })
    }

    /// Begins the measurement of a source anew, and tells whether it is held.
    pub fn reset(&mut self, name: &str) -> bool {
        let Some(place) = self.places.get(name) else {
            return false;
        };
        let slot = &mut self.slots[*place as usize];
        (slot.source, slot.standing) = (Source::default(), Standing::default());
        slot.open = false;
        true
    }

    fn apply(&mut self, name: &str, terms: Option<Terms>) {
        let Some(place) = self.places.get(name) else {
            return;
        };
        let slot = &mut self.slots[*place as usize];
        let before = slot.terms.as_deref().unwrap_or(&self.house).params;
        if terms.map_or(self.house.params, |terms| terms.params) != before {
            (slot.source, slot.standing) = (Source::default(), Standing::default());
        }
        slot.terms = terms.map(Box::new);
    }

    fn row<'a>(&'a self, slot: &'a Slot) -> Row<'a> {
        let terms = slot.terms.as_deref().unwrap_or(&self.house);
        Row {
            name: &slot.name,
            source: &slot.source,
            standing: &slot.standing,
            params: &terms.params,
            contract: &terms.contract,
        }
    }

    /// Makes room for `name`, and returns its place.
    fn admit(&mut self, name: &str) -> (u32, Option<Left>) {
        let terms = self.contracts.get(name).copied().map(Box::new);
        let fresh = Slot {
            name: name.into(),
            source: Source::default(),
            standing: Standing::default(),
            terms,
            newer: NONE,
            older: NONE,
            open: false,
            changed: false,
        };
        if self.slots.len() < self.limits.sources {
            let place = self.slots.len() as u32;
            self.slots.push(fresh);
            self.places.insert(name.into(), place);
            self.link(place);
            return (place, None);
        }
        let place = self.oldest;
        self.unlink(place);
        let gone = std::mem::replace(&mut self.slots[place as usize], fresh);
        self.places.remove(&gone.name);
        self.places.insert(name.into(), place);
        self.link(place);
        let params = gone.terms.map_or(self.house.params, |terms| terms.params);
        let left = Left {
            name: gone.name,
            source: gone.source,
            standing: gone.standing,
            params,
        };
        (place, Some(left))
    }

    fn touch(&mut self, place: u32) {
        if self.newest != place {
            self.unlink(place);
            self.link(place);
        }
    }

    fn link(&mut self, place: u32) {
        let older = std::mem::replace(&mut self.newest, place);
        let slot = &mut self.slots[place as usize];
        (slot.newer, slot.older) = (NONE, older);
        match older {
            NONE => self.oldest = place,
            older => self.slots[older as usize].newer = place,
        }
    }

    fn unlink(&mut self, place: u32) {
        let Slot { newer, older, .. } = self.slots[place as usize];
        match newer {
            NONE => self.newest = older,
            newer => self.slots[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.slots[older as usize].newer = newer,
        }
    }
}

fn look(slot: &mut Slot, house: &Terms, now_us: i64, moment: Moment, changes: &mut Vec<Change>) {
    let terms = slot.terms.as_deref().unwrap_or(house);
    let review = Review {
        source: &slot.source,
        params: &terms.params,
        contract: &terms.contract,
        now_us,
        moment,
    };
    review.apply(&mut slot.standing, changes);
}
