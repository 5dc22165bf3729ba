//! A matcher over recorded events: what would have fired, and what not.

use std::collections::BTreeMap;

use glint::Event;

use crate::matcher::{Firing, Matcher, Outcome, Skip};
use crate::rule::{Rules, Trigger};

/// Firings and skips of which examples are kept, of each.
pub const EXAMPLES: usize = 100;

/// A rehearsal under way.
#[derive(Debug)]
pub struct Rehearsal {
    matcher: Matcher,
    events: u64,
    rules: BTreeMap<Box<str>, Tally>,
    firings: Vec<Firing>,
    skips: Vec<Skip>,
    ticks: bool,
}

/// What one rule would have done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often it would have fired.
    pub fired: u64,
    /// How often not, by reason.
    pub skipped: BTreeMap<&'static str, u64>,
}

/// What came of a rehearsal.
#[derive(Debug)]
pub struct Report {
    /// Events that were looked at.
    pub events: u64,
    /// Every rule, whether it did anything or not.
    pub rules: BTreeMap<Box<str>, Tally>,
    /// The first firings.
    pub firings: Vec<Firing>,
    /// The first skips.
    pub skips: Vec<Skip>,
}

impl Rehearsal {
    /// Begins with rules that nothing was seen by.
    #[must_use]
    pub fn new(rules: Rules, chain_max: u32) -> Rehearsal {
        let tallies = rules
            .rules
            .iter()
            .map(|rule| (rule.name.clone(), Tally::default()));
        Rehearsal {
            rules: tallies.collect(),
            ticks: rules
                .rules
                .iter()
                .any(|rule| matches!(rule.trigger, Trigger::Schedule { .. })),
            matcher: Matcher::new(rules, chain_max),
            events: 0,
            firings: Vec::new(),
            skips: Vec::new(),
        }
    }

    /// Looks at the next event of the order; schedules see its stamp as the time.
    pub fn event(&mut self, event: &Event) {
        self.events += 1;
        if self.ticks {
            let outcome = self.matcher.tick(event.stamp);
            self.note(outcome);
        }
        let outcome = self.matcher.event(event);
        self.note(outcome);
    }

    /// Ends it.
    #[must_use]
    pub fn report(self) -> Report {
        Report {
            events: self.events,
            rules: self.rules,
            firings: self.firings,
            skips: self.skips,
        }
    }

    fn note(&mut self, outcome: Outcome) {
        for firing in outcome.firings {
            self.rules
                .entry(firing.rule.name.clone())
                .or_default()
                .fired += 1;
            if self.firings.len() < EXAMPLES {
                self.firings.push(firing);
            }
        }
        for skip in outcome.skips {
            let tally = self.rules.entry(skip.rule.name.clone()).or_default();
            *tally.skipped.entry(skip.reason.as_str()).or_default() += 1;
            if self.skips.len() < EXAMPLES {
                self.skips.push(skip);
            }
        }
    }
}
