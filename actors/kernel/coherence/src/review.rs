//! One look at a source: what it is now, and what is to be said about that.

use crate::contract::{Contract, Expect, on_arc};
use crate::kernel::Reading;
use crate::params::Params;
use crate::rule::dormant;
use crate::source::Source;
use crate::standing::{COLLAPSED, HELD, LAPSED, PARDONED, Standing};
use crate::sync::Alignment;
use crate::words::{Change, Condition, Numbers, Overlay, Reason, Verdict};

/// Cycles without a breach, each with an event, after which a verdict is lifted.
const GOOD_CYCLES: u8 = 3;
/// A burst is over below this part of the score that began it.
const CALM: f64 = 0.5;

/// When a source is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// It was heard, and the event counted.
    Counted,
    /// It was heard, and the event did not count.
    Heard,
    /// Time passed.
    Tick,
    /// A cycle closed, in which it was heard or not.
    Close {
        /// Whether it was.
        spoke: bool,
    },
}

/// A look at one source: what was known, and what is to be said.
pub(crate) struct Review<'a> {
    pub(crate) source: &'a Source,
    pub(crate) params: &'a Params,
    pub(crate) contract: &'a Contract,
    pub(crate) now_us: i64,
    pub(crate) moment: Moment,
}

impl Review<'_> {
    /// Brings `standing` up to date, and notes every change of it.
    pub(crate) fn apply(&self, standing: &mut Standing, changes: &mut Vec<Change>) {
        let before = changes.len();
        self.excess(standing, changes);
        self.absence(standing, changes);
        if self.moment != Moment::Heard {
            let master = self.source.master(self.params, self.now_us);
            self.collapse(standing, &master, changes);
            self.condition(standing, &master, changes);
        }
        self.verdict(standing, changes);
        if changes.len() > before {
            let numbers = standing.numbers(self.source, self.params, self.now_us);
            for change in &mut changes[before..] {
                change.numbers = numbers;
            }
        }
    }

    fn excess(&self, standing: &mut Standing, changes: &mut Vec<Change>) {
        let (limits, bursting) = (&self.params.companions, standing.has(Overlay::Bursting));
        // Without an event a burst can only end.
        if !bursting && !matches!(self.moment, Moment::Counted | Moment::Heard) {
            return;
        }
        let (fast, expected) = self.source.masses(self.now_us);
        let score = crate::rhythm::burst(fast, expected);
        if !bursting && score > limits.burst_score && fast >= limits.burst_mass {
            standing.set(Overlay::Bursting as u8, true);
            changes.push(change("burst", "calm", "bursting", Reason::Excess));
        } else if bursting && score < CALM * limits.burst_score {
            standing.set(Overlay::Bursting as u8, false);
            changes.push(change("recover", "bursting", "calm", Reason::Calm));
        }
    }

    fn absence(&self, standing: &mut Standing, changes: &mut Vec<Change>) {
        let silent = standing.has(Overlay::Silent);
        if matches!(self.moment, Moment::Counted | Moment::Heard) {
            if silent {
                standing.set(Overlay::Silent as u8, false);
                changes.push(change("recover", "silent", "heard", Reason::Heard));
            }
            return;
        }
        let phi = self.source.phi(self.now_us, self.contract.is_periodic());
        if !silent && phi.is_some_and(|phi| phi >= self.params.companions.silence_phi) {
            standing.set(Overlay::Silent as u8, true);
            changes.push(change("silence", "heard", "silent", Reason::Overdue));
        }
    }

    fn collapse(&self, standing: &mut Standing, master: &Reading, changes: &mut Vec<Change>) {
        let (rule, was) = (&self.params.rule, standing.is_collapsed());
        let is = rule.decide(was, master);
        standing.set(Overlay::Dormant as u8, dormant(master));
        if dormant(master) {
            standing.set(LAPSED, false);
        }
        if is == was {
            return;
        }
        standing.set(COLLAPSED, is);
        if is {
            standing.healthy = master.coherence as f32;
            standing.set(LAPSED, false);
            changes.push(change("collapse", "open", "collapsed", Reason::Evidence));
            return;
        }
        let reason = if dormant(master) {
            Reason::Dormant
        } else if master.coherence < rule.release {
            Reason::Amplitude
        } else {
            Reason::LittleEvidence
        };
        standing.set(LAPSED, reason != Reason::Dormant);
        changes.push(change("release", "collapsed", "open", reason));
    }

    fn condition(&self, standing: &mut Standing, master: &Reading, changes: &mut Vec<Change>) {
        let was = standing.condition;
        let closing = matches!(self.moment, Moment::Close { .. });
        let is = if standing.is_collapsed() {
            let delta = self.source.sync().delta_vector;
            match Alignment::of(delta, standing.tolerance(self.params)) {
                // Back in step only when a whole cycle says so: an event alone would have it flap.
                Alignment::Aligned if was == Condition::Drifting && !closing => was,
                Alignment::Aligned => {
                    if closing {
                        standing.healthy = master.coherence as f32;
                    }
                    Condition::Coherent
                }
                Alignment::Realign => Condition::Drifting,
                Alignment::Dissipate => Condition::Incoherent,
            }
        } else if dormant(master) {
            Condition::Nascent
        } else if standing.is(LAPSED) || master.evidence >= self.params.rule.evidence {
            Condition::Incoherent
        } else {
            Condition::Nascent
        };
        standing.condition = is;
        if is == was || !standing.is_collapsed() {
            return;
        }
        match (was, is) {
            (_, Condition::Drifting)
            | (Condition::Drifting | Condition::Coherent, Condition::Incoherent) => {
                changes.push(change("drift", was.as_str(), is.as_str(), Reason::Delta));
            }
            (Condition::Drifting, Condition::Coherent) => {
                changes.push(change(
                    "recover",
                    was.as_str(),
                    is.as_str(),
                    Reason::Aligned,
                ));
            }
            _ => {}
        }
    }

    fn verdict(&self, standing: &mut Standing, changes: &mut Vec<Change>) {
        if standing.is(HELD) {
            return;
        }
        let breach = self.breaks(standing);
        if !breach {
            standing.set(PARDONED, false);
        }
        let was = standing.verdict;
        if breach && !standing.is(PARDONED) {
            standing.good = 0;
            standing.verdict = Verdict::of(self.contract.mode);
            let what = match standing.verdict {
                Verdict::Pass => "recover",
                verdict => verdict.as_str(),
            };
            if standing.verdict != was {
                changes.push(change(
                    what,
                    was.as_str(),
                    standing.verdict.as_str(),
                    Reason::Breach,
                ));
            }
            return;
        }
        if was == Verdict::Pass || !matches!(self.moment, Moment::Close { spoke: true }) {
            return;
        }
        standing.good += 1;
        if standing.good >= GOOD_CYCLES {
            standing.good = 0;
            standing.verdict = Verdict::Pass;
            changes.push(change("recover", was.as_str(), "pass", Reason::GoodCycles));
        }
    }

    /// Tells whether the source does what its contract rules out. Whoever is new does not.
    fn breaks(&self, standing: &Standing) -> bool {
        match self.contract.expect {
            Expect::Any => false,
            Expect::Locked { arc, .. } => match standing.condition {
                Condition::Nascent => false,
                Condition::Incoherent => true,
                Condition::Coherent | Condition::Drifting => {
                    let turns = self.source.master(self.params, self.now_us).turns();
                    arc.zip(turns)
                        .is_some_and(|(arc, turns)| !on_arc(turns, arc))
                }
            },
            Expect::Periodic { tolerance, .. } => {
                let (step, mass) = self.source.lag();
                mass >= self.params.rule.evidence
                    && (step.norm() < self.params.rule.release
                        || self.source.clock_error().abs() > tolerance)
            }
        }
    }
}

fn change(what: &'static str, from: &'static str, to: &'static str, reason: Reason) -> Change {
    Change {
        what,
        from,
        to,
        reason,
        numbers: Numbers::default(),
    }
}
