//! The witnesses: what was seen of single events, of cycles, of changes, and of the witnesses themselves.
//!
//! Micro records stay in memory, in a ring. The others are events of topic `witness`. A meta record is about the counts
//! of the other layers and never leads to a record of them, so that witnessing the witness ends after one step.

use std::collections::VecDeque;

use coherence::{Complex, Engine, Outcome, Reading, Verdict};
use glint::Stamp;
use glint::json::{Object, object};

use super::record::Chain;
use super::say;

/// Micro records of one page of events; the others are counted.
const MICRO_A_PAGE: usize = 64;
/// Names of the layers, in the order of their counts.
pub(super) const LAYERS: [&str; 4] = ["micro", "meso", "macro", "meta"];

/// What was seen of one event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Micro {
    /// The event.
    pub seq: u64,
    /// When it was taken.
    pub at: Stamp,
    /// Of whom.
    pub source: Box<str>,
    /// The angle at which it came, in radians.
    pub angle: f64,
    /// What became of it.
    pub outcome: Outcome,
    /// `T` of the Master before.
    pub before: Complex,
    /// And after.
    pub after: Complex,
    /// What the gate does with its source.
    pub verdict: Verdict,
}

/// What the witnesses have seen so far.
#[derive(Debug)]
pub(super) struct Witness {
    ring: VecDeque<Micro>,
    room: usize,
    /// Micro records of this page.
    page: usize,
    /// By layer: records made, records there was no room for, records that are kept.
    pub(super) made: [u64; 4],
    pub(super) dropped: [u64; 4],
    pub(super) kept: [u64; 4],
    checks: (u64, u64),
    chain: Chain,
}

impl Witness {
    pub(super) fn new(room: usize) -> Witness {
        Witness {
            ring: VecDeque::new(),
            room: room.max(1),
            page: 0,
            made: [0; 4],
            dropped: [0; 4],
            kept: [0; 4],
            checks: (0, 0),
            chain: Chain::default(),
        }
    }

    pub(super) fn begin_page(&mut self) {
        self.page = 0;
    }

    /// Tells whether the next event is to be looked at closely. Under load most are only counted.
    pub(super) fn wants_micro(&mut self) -> bool {
        self.page += 1;
        let wants = self.page <= MICRO_A_PAGE;
        self.dropped[0] += u64::from(!wants);
        wants
    }

    pub(super) fn micro(&mut self, micro: Micro) {
        self.made[0] += 1;
        if self.ring.len() == self.room {
            self.ring.pop_front();
        }
        self.ring.push_back(micro);
    }

    /// Counts a record of a layer that is made, or that there is no room for.
    pub(super) fn count(&mut self, layer: usize, made: bool) {
        if made {
            self.made[layer] += 1;
        } else {
            self.dropped[layer] += 1;
        }
    }

    /// Counts a check of something that always holds.
    pub(super) fn checked(&mut self, good: bool) {
        if good {
            self.checks.0 += 1;
        } else {
            self.checks.1 += 1;
        }
    }

    /// Returns micro records after `since`, `max` at most, as a list of JSON.
    pub(super) fn list(&self, since: u64, max: usize) -> Vec<String> {
        let after = self.ring.iter().filter(|micro| micro.seq > since);
        after.take(max).map(micro_text).collect()
    }

    /// Writes the next record about the witnesses: `state` is what does not change where nothing happens.
    pub(super) fn meta(&mut self, at: Stamp, memory: &Chain, lag: u64) -> String {
        let mut state = String::new();
        let counts = |counts: &[u64; 4]| {
            let mut out = String::new();
            object(&mut out, |object| {
                // The count of meta records is not part of what they are about: it is one more each time.
                for (name, count) in LAYERS.into_iter().zip(counts).take(3) {
                    object.count(name, *count);
                }
            });
            out
        };
        object(&mut state, |object| {
            object
                .json("made", &counts(&self.made))
                .json("dropped", &counts(&self.dropped))
                .json("kept", &counts(&self.kept));
            object
                .count("lag", lag)
                .count("memory_seq", memory.seq)
                .text("memory_head", &memory.hash)
                .count("checks_passed", self.checks.0)
                .count("checks_failed", self.checks.1);
        });
        self.made[3] += 1;
        let count = self.made[3];
        let mut digest = Chain::default();
        digest.record("state", Stamp(0), |object| {
            object.json("state", &state);
        });
        self.chain.record("meta", at, |object| {
            object
                .text("layer", "meta")
                .count("count", count)
                .json("state", &state)
                .text("digest", &digest.hash);
        })
    }
}

fn micro_text(micro: &Micro) -> String {
    let mut out = String::with_capacity(256);
    object(&mut out, |object| {
        object
            .text("layer", "micro")
            .count("seq", micro.seq)
            .display("timestamp", micro.at)
            .text("source", &micro.source)
            .number("theta", micro.angle)
            .number("weight", 1.0)
            .text("outcome", micro.outcome.as_str());
        say::pair(object, "before", micro.before);
        say::pair(object, "after", micro.after);
        object
            .number("change", micro.after.norm() - micro.before.norm())
            .text("action", micro.verdict.as_str());
    });
    out
}

/// Sums up one kernel of all sources over a cycle that closed.
#[derive(Debug, Clone, Default, PartialEq)]
struct Sum {
    active: u64,
    mass: f64,
    coherence: f64,
    debiased: Vec<f64>,
}

impl Sum {
    fn add(&mut self, reading: &Reading) {
        if reading.mass >= 1.0 {
            self.active += 1;
            self.mass += reading.mass;
            self.coherence += reading.coherence;
            self.debiased.push(reading.debiased);
        }
    }

    fn median(&mut self) -> f64 {
        let middle = self.debiased.len() / 2;
        if self.debiased.is_empty() {
            return 0.0;
        }
        *self
            .debiased
            .select_nth_unstable_by(middle, f64::total_cmp)
            .1
    }
}

/// What happened in a cycle, besides what the kernels say.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cycle {
    /// Its number.
    pub(super) number: i64,
    /// Events in it, and those of them that counted.
    pub(super) events: u64,
    pub(super) counted: u64,
}

/// Returns the meso records of a cycle: one for each kernel.
pub(super) fn meso(engine: &Engine, cycle: Cycle, at: Stamp) -> [String; 2] {
    let (mut master, mut emissary, mut collapsed) = (Sum::default(), Sum::default(), 0);
    for row in engine.rows() {
        master.add(&row.source.master(row.params, at.0));
        emissary.add(&row.source.emissary(row.params, at.0));
        collapsed += u64::from(row.standing.is_collapsed());
    }
    let params = engine.params();
    let record = |kernel: &str, mut sum: Sum, tau: i64| {
        let mut out = String::with_capacity(320);
        object(&mut out, |object: &mut Object<'_>| {
            object
                .text("layer", "meso")
                .json("cycle", &cycle.number.to_string())
                .text("kernel", kernel)
                .count("sources_active", sum.active)
                .number("mass", sum.mass)
                .number("mean_coherence", sum.coherence / (sum.active.max(1)) as f64)
                .number("median_debiased", sum.median())
                .count("collapsed", collapsed)
                .flag("leakage_warning", tau < 3 * params.carrier.period_us())
                .number("quality", cycle.counted as f64 / cycle.events.max(1) as f64)
                .display("timestamp", at);
        });
        out
    };
    [
        record("master", master, params.master_tau_us),
        record("emissary", emissary, params.emissary_tau_us),
    ]
}

#[cfg(test)]
mod tests {
    use glint::json::{Value, parse};

    use super::*;

    #[test]
    fn where_nothing_happens_only_the_count_of_meta_records_grows() {
        let mut witness = Witness::new(4);
        let memory = Chain::default();
        let metas: Vec<String> = (0..3)
            .map(|at| witness.meta(Stamp(at), &memory, 0))
            .collect();
        let member = |text: &str, key: &str| parse(text).unwrap().get(key).map(Value::to_ascii);
        for (nth, meta) in metas.iter().enumerate() {
            assert_eq!(member(meta, "digest"), member(&metas[0], "digest"));
            assert_eq!(member(meta, "count"), Some((nth + 1).to_string()));
        }
        assert_eq!(member(&metas[1], "prev_hash"), member(&metas[0], "hash"));
        assert_eq!(witness.made, [0, 0, 0, 3]);
        witness.count(2, true);
        assert_ne!(
            member(&witness.meta(Stamp(9), &memory, 0), "digest"),
            member(&metas[0], "digest")
        );
    }

    #[test]
    fn the_ring_is_bounded_and_what_it_leaves_out_is_counted() {
        let mut witness = Witness::new(3);
        for seq in 1..=100 {
            if witness.wants_micro() {
                witness.micro(Micro {
                    seq,
                    at: Stamp(0),
                    source: "a".into(),
                    angle: 0.0,
                    outcome: Outcome::Counted,
                    before: Complex::ZERO,
                    after: Complex::unit(0.0),
                    verdict: Verdict::Pass,
                });
            }
        }
        assert_eq!((witness.made[0], witness.dropped[0]), (64, 36));
        assert_eq!(witness.list(0, 100).len(), 3);
        assert_eq!(witness.list(63, 100).len(), 1);
    }
}
