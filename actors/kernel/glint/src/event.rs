//! What goes out: one event of the one order.

use std::fmt;

use crate::offset::Offset;
use crate::stamp::Stamp;

/// A stream that subscribers choose by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// Accepted glints.
    Glints,
    /// Changes of the breath: phase, climate, usage, caesura, drift.
    State,
    /// The breath once a second. Never stored: whoever missed one has the next.
    Heartbeat,
    /// Changes of the registry's seal.
    Seals,
    /// What rituals did.
    Rituals,
    /// Signed traces that were stored.
    Traces,
    /// Which sources keep time.
    Coherence,
    /// What was witnessed.
    Witness,
    /// Temporal memory: signatures and summaries to be replayed.
    Memory,
    /// Glints that were set apart.
    Quarantine,
    /// The broker's own records, such as changes of keys: kept in the one order, read by its offices, shown to nobody.
    House,
}

impl Topic {
    /// All topics. The place of each is part of the format of the log: new ones come last.
    pub const ALL: [Topic; 11] = [
        Topic::Glints,
        Topic::State,
        Topic::Heartbeat,
        Topic::Seals,
        Topic::Rituals,
        Topic::Traces,
        Topic::Coherence,
        Topic::Witness,
        Topic::Memory,
        Topic::Quarantine,
        Topic::House,
    ];

    /// Returns the word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Topic::Glints => "glints",
            Topic::State => "state",
            Topic::Heartbeat => "heartbeat",
            Topic::Seals => "seals",
            Topic::Rituals => "rituals",
            Topic::Traces => "traces",
            Topic::Coherence => "coherence",
            Topic::Witness => "witness",
            Topic::Memory => "memory",
            Topic::Quarantine => "quarantine",
            Topic::House => "house",
        }
    }

    /// Tells whether subscribers may ask for it.
    #[must_use]
    pub fn is_public(self) -> bool {
        self != Topic::House
    }

    /// Tells whether a subscriber that names no topics gets it.
    #[must_use]
    pub fn is_default(self) -> bool {
        !matches!(
            self,
            Topic::Traces | Topic::Memory | Topic::Quarantine | Topic::House
        )
    }

    /// Returns the place in [`Topic::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// Tells whether events of this topic are part of history.
    #[must_use]
    pub fn is_stored(self) -> bool {
        self != Topic::Heartbeat
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Topics(u16);

const _: () = assert!(
    Topic::ALL.len() <= u16::BITS as usize,
    "a bit for each topic"
);

impl Topics {
    /// All topics, those that are to come included.
    pub const ALL: Topics = Topics(u16::MAX);

    /// Tells whether `topic` is one of them.
    #[must_use]
    pub fn contains(self, topic: Topic) -> bool {
        self.0 & (1 << topic.index()) != 0
    }

    /// Tells whether some topic is in both sets.
    #[must_use]
    pub fn overlaps(self, other: Topics) -> bool {
        self.0 & other.0 != 0
    }

    /// Adds one.
    pub fn insert(&mut self, topic: Topic) {
        self.0 |= 1 << topic.index();
    }
}

impl FromIterator<Topic> for Topics {
    fn from_iter<I: IntoIterator<Item = Topic>>(topics: I) -> Topics {
        let mut set = Topics::default();
        topics.into_iter().for_each(|topic| set.insert(topic));
        set
    }
}

/// The name of an event. The broker owns this list: a publisher can never choose from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Name {
    /// An accepted glint.
    GlintEmission,
    /// The phase is another than before.
    PhaseUpdate,
    /// The climate is another than before.
    ClimateUpdate,
    /// Usage moved by more than the announce step.
    UsageUpdate,
    /// No glint came for a while.
    CaesuraDetected,
    /// The clock jumped, or somebody said so.
    DriftDetected,
    /// The breath, once a second.
    Heartbeat,
    /// Somebody asked for an event to look at.
    TestEvent,
    /// How the sources kept time in the last cycle.
    CoherenceUpdate,
    /// A source keeps time.
    CoherenceCollapse,
    /// A source keeps time no more.
    CoherenceRelease,
    /// A source moves away from its phase.
    CoherenceDrift,
    /// A source breaks its contract, and is let pass.
    CoherenceFlag,
    /// The glints of a source are set apart.
    CoherenceQuarantine,
    /// The glints of a source are not delivered.
    CoherenceDissipate,
    /// A source is back: in phase, calm, heard, or trusted.
    CoherenceRecover,
    /// A source sends far more than it used to.
    CoherenceBurst,
    /// A source should have been heard.
    CoherenceSilence,
    /// What was witnessed of a cycle.
    WitnessMeso,
    /// What was witnessed of a change.
    WitnessMacro,
    /// What was witnessed of the witnesses.
    WitnessMeta,
    /// What was known of a source at a time.
    MemorySignature,
    /// A glint that was set apart.
    GlintQuarantined,
    /// A glint that is kept and not delivered.
    GlintDissipated,
    /// A batch of URLs that the registry took.
    SigilBatch,
    /// The seal of the registry is another.
    SealUpdate,
    /// A signed trace was verified and kept.
    TraceCommitted,
    /// A key was enrolled or revoked.
    KeyChanged,
    /// A ritual began.
    RitualTriggered,
    /// A ritual goes on, or has ended.
    RitualStatusUpdate,
}

impl Name {
    /// All names. The place of each is part of the format of the log: new ones come last.
    pub const ALL: [Name; 30] = [
        Name::GlintEmission,
        Name::PhaseUpdate,
        Name::ClimateUpdate,
        Name::UsageUpdate,
        Name::CaesuraDetected,
        Name::DriftDetected,
        Name::Heartbeat,
        Name::TestEvent,
        Name::CoherenceUpdate,
        Name::CoherenceCollapse,
        Name::CoherenceRelease,
        Name::CoherenceDrift,
        Name::CoherenceFlag,
        Name::CoherenceQuarantine,
        Name::CoherenceDissipate,
        Name::CoherenceRecover,
        Name::CoherenceBurst,
        Name::CoherenceSilence,
        Name::WitnessMeso,
        Name::WitnessMacro,
        Name::WitnessMeta,
        Name::MemorySignature,
        Name::GlintQuarantined,
        Name::GlintDissipated,
        Name::SigilBatch,
        Name::SealUpdate,
        Name::TraceCommitted,
        Name::KeyChanged,
        Name::RitualTriggered,
        Name::RitualStatusUpdate,
    ];

    /// Returns the word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Name::GlintEmission => "glint_emission",
            Name::PhaseUpdate => "phase_update",
            Name::ClimateUpdate => "climate_update",
            Name::UsageUpdate => "usage_update",
            Name::CaesuraDetected => "caesura_detected",
            Name::DriftDetected => "drift_detected",
            Name::Heartbeat => "heartbeat",
            Name::TestEvent => "test_event",
            Name::CoherenceUpdate => "coherence.update",
            Name::CoherenceCollapse => "coherence.collapse",
            Name::CoherenceRelease => "coherence.release",
            Name::CoherenceDrift => "coherence.drift",
            Name::CoherenceFlag => "coherence.flag",
            Name::CoherenceQuarantine => "coherence.quarantine",
            Name::CoherenceDissipate => "coherence.dissipate",
            Name::CoherenceRecover => "coherence.recover",
            Name::CoherenceBurst => "coherence.burst",
            Name::CoherenceSilence => "coherence.silence",
            Name::WitnessMeso => "witness.meso",
            Name::WitnessMacro => "witness.macro",
            Name::WitnessMeta => "witness.meta",
            Name::MemorySignature => "memory.signature",
            Name::GlintQuarantined => "glint_quarantined",
            Name::GlintDissipated => "glint_dissipated",
            Name::SigilBatch => "sigil_batch",
            Name::SealUpdate => "seal_update",
            Name::TraceCommitted => "trace_committed",
            Name::KeyChanged => "key_changed",
            Name::RitualTriggered => "ritual_triggered",
            Name::RitualStatusUpdate => "ritual_status_update",
        }
    }

    /// Returns the topic that carries events of this name.
    #[must_use]
    pub fn topic(self) -> Topic {
        match self {
            Name::GlintEmission => Topic::Glints,
            Name::Heartbeat => Topic::Heartbeat,
            Name::CoherenceUpdate
            | Name::CoherenceCollapse
            | Name::CoherenceRelease
            | Name::CoherenceDrift
            | Name::CoherenceFlag
            | Name::CoherenceQuarantine
            | Name::CoherenceDissipate
            | Name::CoherenceRecover
            | Name::CoherenceBurst
            | Name::CoherenceSilence => Topic::Coherence,
            Name::WitnessMeso | Name::WitnessMacro | Name::WitnessMeta => Topic::Witness,
            Name::MemorySignature => Topic::Memory,
            Name::GlintQuarantined => Topic::Quarantine,
            Name::GlintDissipated => Topic::House,
            Name::SigilBatch => Topic::House,
            Name::SealUpdate => Topic::Seals,
            Name::TraceCommitted => Topic::Traces,
            Name::KeyChanged => Topic::House,
            Name::RitualTriggered | Name::RitualStatusUpdate => Topic::Rituals,
            _ => Topic::State,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One event, as every reader of the order sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub name: Name,
    /// Its place in the order; for an event that is not stored, the place of the stored one before it.
    pub offset: Offset,
    /// Its number within its topic and epoch, from 1, without holes.
    pub topic_seq: u64,
    /// When the broker took it.
    pub stamp: Stamp,
    /// The glint's id, found or minted; none for the broker's own events.
    pub id: Option<Box<str>>,
    /// Whether another glint bore the same id a short while ago; real agents reuse ids for other content.
    pub repeats_id: bool,
    /// Who sent it; none for the broker's own events and anonymous glints.
    pub source: Option<Box<str>>,
    /// The phase that it names, as it names it.
    pub phase: Option<Box<str>>,
    /// The payload: one line of ASCII JSON, an object.
    pub text: Box<str>,
}

impl Event {
    /// Returns the topic that carries it.
    #[must_use]
    pub fn topic(&self) -> Topic {
        self.name.topic()
    }

    /// Returns its weight in memory, for bounds in bytes.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let words = [&self.id, &self.source, &self.phase];
        let words: usize = words.into_iter().flatten().map(|word| word.len()).sum();
        size_of::<Event>() + words + self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_numbered_in_the_order_of_their_list() {
        for (place, topic) in Topic::ALL.into_iter().enumerate() {
            assert_eq!(topic.index(), place);
        }
    }

    #[test]
    fn a_set_has_what_was_put_in_and_nothing_else() {
        let set: Topics = [Topic::Glints, Topic::House].into_iter().collect();
        let found = Topic::ALL.into_iter().filter(|topic| set.contains(*topic));
        assert_eq!(found.collect::<Vec<_>>(), [Topic::Glints, Topic::House]);
        let of = |topic| [topic].into_iter().collect::<Topics>();
        assert!(set.overlaps(of(Topic::House)) && !set.overlaps(of(Topic::Seals)));
        assert!(
            Topics::ALL.overlaps(of(Topic::Quarantine)) && !Topics::default().overlaps(Topics::ALL)
        );
    }
}
