//! The words for what a source is, and for what changed.

use crate::contract::Mode;
use crate::kernel::Reading;
use crate::sync::Sync;

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Condition {
    /// Not enough is known. Never held against a source.
    #[default]
    Nascent,
    /// It keeps to a phase.
    Coherent,
    /// It is moving away from its phase.
    Drifting,
    /// It has left its phase, or never kept to one strictly.
    Incoherent,
}

impl Condition {
    /// All conditions.
    pub const ALL: [Condition; 4] = [
        Condition::Nascent,
        Condition::Coherent,
        Condition::Drifting,
        Condition::Incoherent,
    ];

    /// Returns its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Condition::Nascent => "nascent",
            Condition::Coherent => "coherent",
            Condition::Drifting => "drifting",
            Condition::Incoherent => "incoherent",
        }
    }
}

/// What may be true of a source whatever its condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Overlay {
    /// It sends far more than it used to.
    Bursting = 1 << 1,
    /// It should have been heard.
    Silent = 1 << 2,
    /// Less than one event of it is left in the Master.
    Dormant = 1 << 3,
}

impl Overlay {
    /// All overlays.
    pub const ALL: [Overlay; 3] = [Overlay::Bursting, Overlay::Silent, Overlay::Dormant];

    /// Returns its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Overlay::Bursting => "bursting",
            Overlay::Silent => "silent",
            Overlay::Dormant => "dormant",
        }
    }
}

/// What the gate does with the events of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
#[repr(u8)]
pub enum Verdict {
    /// They pass.
    #[default]
    Pass,
    /// They pass, and it is said.
    Flag,
    /// They go into the quarantine.
    Quarantine,
    /// They go nowhere.
    Dissipate,
}

impl Verdict {
    /// Returns its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Flag => "flag",
            Verdict::Quarantine => "quarantine",
            Verdict::Dissipate => "dissipate",
        }
    }

    pub(crate) fn of(mode: Mode) -> Verdict {
        match mode {
            Mode::Observe => Verdict::Pass,
            Mode::Flag => Verdict::Flag,
            Mode::Quarantine => Verdict::Quarantine,
            Mode::Dissipate => Verdict::Dissipate,
        }
    }
}

/// Why something changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Coherence and evidence are enough.
    Evidence,
    /// Coherence fell below the release level.
    Amplitude,
    /// Evidence fell below half of what it takes.
    LittleEvidence,
    /// Nothing is left of it.
    Dormant,
    /// The Emissary is away from the Master.
    Delta,
    /// The Emissary is with the Master again.
    Aligned,
    /// It sends more than it used to.
    Excess,
    /// It sends no more than it used to.
    Calm,
    /// It should have been heard.
    Overdue,
    /// It was heard.
    Heard,
    /// It breaks its contract.
    Breach,
    /// It kept its contract for as long as it takes.
    GoodCycles,
    /// A person decided.
    Operator,
}

impl Reason {
    /// Returns its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Evidence => "evidence",
            Reason::Amplitude => "amplitude",
            Reason::LittleEvidence => "little_evidence",
            Reason::Dormant => "dormant",
            Reason::Delta => "delta",
            Reason::Aligned => "aligned",
            Reason::Excess => "excess",
            Reason::Calm => "calm",
            Reason::Overdue => "overdue",
            Reason::Heard => "heard",
            Reason::Breach => "breach",
            Reason::GoodCycles => "good_cycles",
            Reason::Operator => "operator",
        }
    }
}

/// The numbers behind a change, as they stood.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Numbers {
    /// The Master.
    pub master: Reading,
    /// The Emissary.
    pub emissary: Reading,
    /// Both compared.
    pub sync: Sync,
    /// The difference that is tolerated.
    pub tolerance: f64,
    /// How far the source has moved, in microseconds of the carrier.
    pub moved_us: i64,
    /// Standard deviations above its own rate.
    pub burst: f64,
    /// Events of the last two seconds.
    pub fast: f64,
    /// Events that it may send in two seconds without bursting.
    pub expected: f64,
    /// Suspicion that it is gone.
    pub phi: f64,
}

/// What changed, from what to what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// `collapse`, `release`, `drift`, `dissipate`, `flag`, `quarantine`, `recover`, `burst` or `silence`.
    pub what: &'static str,
    /// Before.
    pub from: &'static str,
    /// Now.
    pub to: &'static str,
    /// Why.
    pub reason: Reason,
    /// The numbers.
    pub numbers: Numbers,
}
