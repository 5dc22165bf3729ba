//! Where the rules stand, so that an event meets only those that may fire.

use std::collections::HashMap;
use std::sync::Arc;

use sieve::Glob;

use crate::rule::{Rule, Trigger};

/// A set of rules, by their places.
type Set = Vec<u64>;

/// Rules by what they wait for.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Rules over changes of the state.
    pub(super) state: Vec<usize>,
    /// Rules over the seal.
    pub(super) seal: Vec<usize>,
    /// Rules over time.
    pub(super) schedule: Vec<usize>,
    modules: Words,
    phases: Words,
    words: usize,
    any_glint: bool,
}

/// Rules by one word of a glint: those that take any, those that want one, those that want a pattern.
#[derive(Debug, Default)]
struct Words {
    any: Set,
    exact: HashMap<Box<str>, Set>,
    globs: Vec<(Glob, Set)>,
}

impl Index {
    pub(super) fn new(rules: &[Arc<Rule>]) -> Index {
        let words = rules.len().div_ceil(64);
        let mut index = Index {
            words,
            ..Index::default()
        };
        index.modules.any = vec![0; words];
        index.phases.any = vec![0; words];
        for (nth, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.enabled) {
            match &rule.trigger {
                Trigger::Glint { modules, phases } => {
                    index.any_glint = true;
                    let demand = rule.filter.as_ref().map(sieve::Filter::demand);
                    let source = demand.and_then(|demand| demand.source.as_deref());
                    let phase = demand.and_then(|demand| demand.phase.as_deref());
                    index.modules.add(nth, modules, source, words, false);
                    index.phases.add(nth, phases, phase, words, true);
                }
                Trigger::SealChanged => index.seal.push(nth),
                Trigger::Schedule { .. } => index.schedule.push(nth),
                _ => index.state.push(nth),
            }
        }
        index
    }

    /// The rules that a glint of this source and phase may fire.
    pub(super) fn glints(&self, source: Option<&str>, phase: Option<&str>) -> Vec<usize> {
        if !self.any_glint {
            return Vec::new();
        }
        let mut lowered = [0_u8; 64];
        let phase = phase.map(|phase| lower(phase, &mut lowered));
        let mut found = Vec::new();
        for word in 0..self.words {
            let mut bits = self.modules.word(source, word);
            if bits != 0 {
                bits &= self.phases.word(phase, word);
            }
            while bits != 0 {
                found.push(word * 64 + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
        found
    }
}

/// The text in lower case, without an allocation; what is longer than any phase stays as it is.
fn lower<'t>(text: &'t str, buffer: &'t mut [u8; 64]) -> &'t str {
    let Some(place) = buffer.get_mut(..text.len()) else {
        return text;
    };
    place.copy_from_slice(text.as_bytes());
    place.make_ascii_lowercase();
    std::str::from_utf8(place).unwrap_or(text)
}

impl Words {
    fn add(&mut self, nth: usize, globs: &[Glob], demand: Option<&str>, words: usize, fold: bool) {
        let set = |set: &mut Set| set[nth / 64] |= 1 << (nth % 64);
        let exact = |words_of: &mut Self, word: &str| {
            let word = match fold {
                true => word.to_ascii_lowercase(),
                false => word.to_owned(),
            };
            set(words_of
                .exact
                .entry(word.into())
                .or_insert_with(|| vec![0; words]));
        };
        if globs.is_empty() {
            match demand {
                Some(word) => exact(self, word),
                None => set(&mut self.any),
            }
            return;
        }
        for glob in globs {
            match glob.literal() {
                Some(word) => exact(self, word),
                None => match self.globs.iter_mut().find(|(known, _)| known == glob) {
                    Some((_, known)) => set(known),
                    None => {
                        let mut fresh = vec![0; words];
                        set(&mut fresh);
                        self.globs.push((glob.clone(), fresh));
                    }
                },
            }
        }
    }

    /// 64 rules at once: those whose word this may be.
    fn word(&self, text: Option<&str>, word: usize) -> u64 {
        let mut bits = self.any[word];
        let Some(text) = text else {
            return bits;
        };
        if let Some(set) = self.exact.get(text) {
            bits |= set[word];
        }
        for (glob, set) in &self.globs {
            // Only where it would add something.
            if set[word] & !bits != 0 && glob.matches(text) {
                bits |= set[word];
            }
        }
        bits
    }
}
