//! Which sources keep time: statistics of arrival times against a carrier, and the rules that read them.
//!
//! A source is a sequence of instants. Against a carrier, a period that begins at an epoch, each instant is an angle, and
//! the decayed mean of these angles as unit vectors, `T`, says in which part of the cycle the source speaks and how
//! strictly. Two kernels hold that mean, a slow one (the Master) and a fast one (the Emissary); their difference shows a
//! source that has moved. How much is known, the *evidence*, is counted in cycles and not in events, so that a flood
//! proves nothing. Absence (`phi`) and excess (`burst`), which a mean of angles cannot see, stand beside it.
//!
//! Everything is O(1) a source: no event is kept, and an update is a few dozen multiplications.
//!
//! # What it is not
//!
//! It knows no clock: time is an argument, in integer microseconds. It says nothing about content: who posts poison on
//! time is coherent. It imports nothing of the broker, and holds no name longer than its table does.
//!
//! # Layout
//!
//! - `carrier.rs`: [`Carrier`]: angle, cycle and slot of an instant; the presets of its period.
//! - `kernel.rs`: [`Kernel`]: the accumulators of one time constant, and [`Reading`], what they say.
//! - `params.rs`: [`Params`]: what a source is measured with, checked.
//! - `source.rs`: [`Source`]: both kernels and the companions of one source; late events.
//! - `rhythm.rs`: intervals, silence and bursts.
//! - `rule.rs`: [`Rule`]: when a source is collapsed, with hysteresis.
//! - `sync.rs`: [`Sync`]: the two kernels compared.
//! - `chance.rs`: how likely evidence is by chance.
//! - `arcs.rs`: [`Arcs`]: the part of a breath that an angle falls into.
//! - `contract.rs`: [`Contract`]: what a source has promised, and what happens when it does not keep it.
//! - `words.rs`: [`Condition`], [`Verdict`], [`Change`]: the words for what a source is, and for what changed.
//! - `standing.rs`: [`Standing`]: what is remembered of what was said.
//! - `review.rs`: one look at a source, and what is to be said about it.
//! - `engine.rs`: [`Engine`]: many sources, bounded.
//! - `mesh.rs`: [`Mesh`]: what other nodes saw, joined without counting twice.
//! - `evaluate.rs`: [`evaluate()`]: the estimator as a pure function of a list.

mod arcs;
mod carrier;
mod chance;
mod complex;
mod contract;
mod engine;
mod error;
mod evaluate;
mod kernel;
mod mesh;
mod params;
mod review;
mod rhythm;
mod rule;
mod source;
mod standing;
mod sync;
mod words;

pub use arcs::Arcs;
pub use carrier::{Carrier, MAX_PERIOD_US, MIN_PERIOD_US, PRESETS, Preset};
pub use chance::{bound, by_chance, wilkie};
pub use complex::Complex;
pub use contract::{Contract, Expect, Mode};
pub use engine::{Engine, Left, Limits, Noted, Row};
pub use error::CoherenceError;
pub use evaluate::{Evaluation, MAX_EVENTS, Question, evaluate};
pub use kernel::{Kernel, Pair, Reading};
pub use mesh::{Entry, Global, Merged, Mesh, MeshLimits, Skew, order_parameter};
pub use params::{Companions, Params};
pub use rhythm::{Intervals, PHI_MAX, burst, phi};
pub use rule::Rule;
pub use source::{Outcome, STATE_BYTES, Source};
pub use standing::Standing;
pub use sync::{Alignment, Sync, tolerance, variance_factor};
pub use words::{Change, Condition, Numbers, Overlay, Reason, Verdict};
