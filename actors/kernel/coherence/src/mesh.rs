//! What other nodes saw, joined without counting twice.
//!
//! Each node writes only its own entry, and the newest entry of a node wins, so that merging is idempotent, commutative
//! and associative: it does not matter how often, in which order and by which way an entry comes. Accumulators of one
//! time are sums, so the joined value is that of a single node that had seen everything.

use std::collections::BTreeMap;

use crate::complex::Complex;
use crate::error::CoherenceError;
use crate::kernel::{Kernel, Pair};
use crate::params::Params;

/// Longest name of a node in bytes.
const NAME_BYTES: usize = 128;
/// Below this mass nothing is left to divide by.
const EMPTY: f64 = 1e-12;

/// What one node saw of one thing: a source, or everything.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The node.
    pub node: Box<str>,
    /// Which life of the node.
    pub incarnation: u64,
    /// The number of the entry in that life.
    pub seq: u64,
    /// The time constant in microseconds.
    pub tau_us: i64,
    /// The period of the carrier in microseconds.
    pub period_us: i64,
    /// Its epoch in microseconds.
    pub epoch_us: i64,
    /// What the sums refer to.
    pub t_ref_us: i64,
    /// `A` and `B`.
    pub whole: Pair,
    /// `V`, the open cycles included.
    pub power: f64,
    /// `U`, the open cycles included.
    pub squares: f64,
    /// Events.
    pub events: u64,
}

impl Entry {
    fn check(&self, params: &Params) -> Result<(), CoherenceError> {
        for (field, ours, theirs) in [
            ("tau", params.master_tau_us, self.tau_us),
            ("period", params.carrier.period_us(), self.period_us),
            ("epoch", params.carrier.epoch_us(), self.epoch_us),
        ] {
            if ours != theirs {
                return Err(CoherenceError::Different {
                    field,
                    ours,
                    theirs,
                });
            }
        }
        if self.node.is_empty() || self.node.len() > NAME_BYTES {
            let range = format!("1 to {NAME_BYTES}");
            return Err(CoherenceError::range(
                "node",
                &format!("{} bytes long", self.node.len()),
                range,
            ));
        }
        // The same sums as a kernel's, with every cycle closed.
        let kernel = Kernel {
            whole: self.whole,
            closed_power: self.power,
            closed_mass: self.squares,
            ..Kernel::default()
        };
        kernel.check("an entry of the mesh")
    }
}

/// Bounds of a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeshLimits {
    /// Most nodes.
    pub nodes: usize,
    /// A node that was not heard for so long is dropped, in microseconds.
    pub max_age_us: i64,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merged {
    /// It is the newest of its node.
    Taken,
    /// A newer one, or the same, was here.
    Stale,
    /// There are as many nodes as there may be.
    Full,
}

/// One entry a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Mesh {
    params: Params,
    limits: MeshLimits,
    entries: BTreeMap<Box<str>, Entry>,
}

/// The joined value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Global {
    /// `T_global`.
    pub t: Complex,
    /// `|T_global|²`.
    pub coherence: f64,
    /// The mass of all nodes.
    pub mass: f64,
    /// Evidence is at least this much: nodes that saw one source in one cycle cannot be told apart from others.
    pub evidence_at_least: f64,
    /// So are the effective cycles.
    pub cycles_at_least: f64,
    /// How far the nodes' own phases are apart: 0 together, 1 anywhere.
    pub spread: f64,
    /// Each node's own `T` and its share of the mass, by name.
    pub nodes: Vec<(Box<str>, Complex, f64)>,
}

impl Mesh {
    /// Makes an empty mesh that takes entries of the Master of `params`.
    #[must_use]
    pub fn new(params: Params, limits: MeshLimits) -> Mesh {
        Mesh {
            params,
            limits,
            entries: BTreeMap::new(),
        }
    }

    /// Keeps an entry, if it is the newest of its node.
    ///
    /// # Errors
    /// `kernels_differ` when it was measured otherwise than here, `impossible_state` when nothing can have led to it.
    pub fn merge(&mut self, entry: Entry) -> Result<Merged, CoherenceError> {
        entry.check(&self.params)?;
        let full = self.entries.len() >= self.limits.nodes;
        match self.entries.get_mut(&entry.node) {
            Some(known) if (known.incarnation, known.seq) >= (entry.incarnation, entry.seq) => {
                Ok(Merged::Stale)
            }
            Some(known) => {
                *known = entry;
                Ok(Merged::Taken)
            }
            None if full => Ok(Merged::Full),
            None => {
                self.entries.insert(entry.node.clone(), entry);
                Ok(Merged::Taken)
            }
        }
    }

    /// Drops nodes that were not heard for long, and returns how many.
    pub fn expire(&mut self, now_us: i64) -> usize {
        let before = self.entries.len();
        let oldest = now_us.saturating_sub(self.limits.max_age_us);
        self.entries.retain(|_, entry| entry.t_ref_us >= oldest);
        before - self.entries.len()
    }

    /// Returns the entries by name of their node.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Joins all entries at a time. `trust` is from 0 (a peer in quarantine) to 1.
    #[must_use]
    pub fn read(&self, now_us: i64, trust: impl Fn(&str) -> f64) -> Global {
        let mut global = Global::default();
        let (mut vector, mut power, mut squares, mut phases) =
            (Complex::ZERO, 0.0, 0.0, Vec::new());
        let mut nodes = 0.0;
        for entry in self.entries.values() {
            let passed = now_us.saturating_sub(entry.t_ref_us).max(0) as f64;
            let weight =
                trust(&entry.node).clamp(0.0, 1.0) * (passed * self.params.master_rate).exp();
            let mass = entry.whole.mass * weight;
            if mass < EMPTY {
                continue;
            }
            let t = entry.whole.vector * (1.0 / entry.whole.mass);
            vector += entry.whole.vector * weight;
            global.mass += mass;
            power += entry.power * weight * weight;
            squares += entry.squares * weight * weight;
            nodes += 1.0;
            phases.push(t);
            global.nodes.push((entry.node.clone(), t, mass));
        }
        if global.mass < EMPTY {
            return Global::default();
        }
        for (_, _, share) in &mut global.nodes {
            *share /= global.mass;
        }
        global.t = vector * (1.0 / global.mass);
        global.coherence = global.t.norm().min(1.0);
        global.cycles_at_least = global.mass * global.mass / (nodes * squares);
        if power > 0.0 {
            global.evidence_at_least = vector.norm() / (nodes * power);
        }
        global.spread = order_parameter(phases).0.map_or(0.0, |order| 1.0 - order);
        global
    }
}

/// Returns the order parameter `|mean e^{i arg T}|` of those that have a direction (Kuramoto), and how many those are: by
/// chance alone it is about one over the root of that number.
pub fn order_parameter(all: impl IntoIterator<Item = Complex>) -> (Option<f64>, usize) {
    let (mut sum, mut count) = (Complex::ZERO, 0);
    for t in all {
        let length = t.abs();
        if length > 0.0 {
            sum += t * (1.0 / length);
            count += 1;
        }
    }
    (
        (count > 0).then(|| (sum.abs() / count as f64).min(1.0)),
        count,
    )
}

/// How far the clock of a peer is from ours, by the four times of an exchange, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skew {
    /// By how much the peer's clock is ahead, if both ways took as long.
    pub offset_us: i64,
    /// How long both ways took; the offset is off by half of it at most.
    pub delay_us: i64,
}

impl Skew {
    /// Measures: sent and received by our clock, taken and answered by the peer's.
    #[must_use]
    pub fn of(sent_us: i64, taken_us: i64, answered_us: i64, received_us: i64) -> Skew {
        let there = taken_us.saturating_sub(sent_us);
        let back = answered_us.saturating_sub(received_us);
        Skew {
            offset_us: there.saturating_add(back) / 2,
            delay_us: received_us
                .saturating_sub(sent_us)
                .saturating_sub(answered_us.saturating_sub(taken_us)),
        }
    }
}
