//! A record as rows, for stores that keep tables: one row a trace, one a component, one more a call to a model.
//!
//! Rows borrow from the record. Their keys: a trace by its content; a component by content and index, and, over all
//! traces, by (agent, trace, thought, event type, attempt); a call by the same as its component.

use glint::Stamp;

use crate::columns::{Action, Call};
use crate::dedup::{Seen, Tuple};
use crate::fault::Fault;
use crate::record::{Record, Verified};
use crate::seal::ContentId;
use crate::trace::{Component, Strictness};
use crate::vocab::{ComponentKind, EventKind, Level, Version};

/// The row of a trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TraceRow<'t> {
    /// The id of the signed content; unique.
    pub content: ContentId,
    /// The agent.
    pub agent_id_hash: &'t str,
    /// The agent's id of the trace.
    pub trace_id: &'t str,
    /// The thought.
    pub thought_id: &'t str,
    /// The task.
    pub task_id: Option<&'t str>,
    /// When it began: as signed, and the instant.
    pub started_at: (&'t str, Stamp),
    /// When it ended: as signed, and the instant.
    pub completed_at: (&'t str, Stamp),
    /// How much it says.
    pub level: Level,
    /// Which fields are signed.
    pub version: Version,
    /// The first `agent_name` in its components.
    pub agent_name: Option<&'t str>,
    /// The first `cognitive_state` in its components.
    pub cognitive_state: Option<&'t str>,
    /// The key that signed the original.
    pub key_id: &'t str,
    /// The signature of the original: URL-safe Base64 without padding.
    pub signature: &'t str,
    /// Whose signature covers what is kept.
    pub verified: Verified,
    /// The broker's key, if something was taken out.
    pub redacted_by: Option<&'t str>,
    /// When the batch was put together, as it came. Not signed.
    pub batch_timestamp: &'t str,
    /// When its subject agreed to it, as it came. Not signed.
    pub consent_timestamp: &'t str,
    /// The exact bytes that are kept: canonical JSON of the trace. Those of `verified: agent` are what was signed.
    pub canonical: &'t str,
    /// How many components it has.
    pub components: usize,
}

/// The row of a component.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EventRow<'t> {
    /// The content that it is of.
    pub content: ContentId,
    /// Its place among the components, from 0.
    pub index: usize,
    /// The agent.
    pub agent_id_hash: &'t str,
    /// The agent's id of the trace.
    pub trace_id: &'t str,
    /// The thought.
    pub thought_id: &'t str,
    /// The task.
    pub task_id: Option<&'t str>,
    /// What part of the trace it is.
    pub component: ComponentKind,
    /// What it reports.
    pub event: EventKind,
    /// Which attempt.
    pub attempt: u16,
    /// When: as signed, and the instant.
    pub timestamp: (&'t str, Stamp),
    /// `step_point` of its data.
    pub step_point: Option<&'t str>,
    /// The first `agent_name` of the trace.
    pub agent_name: Option<&'t str>,
    /// The first `cognitive_state` of the trace.
    pub cognitive_state: Option<&'t str>,
    /// Audit and cost; empty but for an `ACTION_RESULT`.
    pub action: Action<'t>,
    /// Its data: canonical JSON, the exact bytes that are kept.
    pub data: &'t str,
}

/// The row of a call to a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LlmRow<'t> {
    /// The content that it is of.
    pub content: ContentId,
    /// Its place among the components, from 0.
    pub index: usize,
    /// The agent.
    pub agent_id_hash: &'t str,
    /// The agent's id of the trace.
    pub trace_id: &'t str,
    /// The thought.
    pub thought_id: &'t str,
    /// Which attempt.
    pub attempt: u16,
    /// When: its own time where it has one, else that of its component.
    pub timestamp: (&'t str, Stamp),
    /// The index of the component that it belongs to, where the trace has that.
    pub parent_index: Option<usize>,
    /// What it says.
    pub call: Call<'t>,
}

impl<'t> Record<'t> {
    /// Returns the row of the trace.
    #[must_use]
    pub fn trace_row(&self) -> TraceRow<'t> {
        let trace = &self.trace;
        TraceRow {
            content: self.content,
            agent_id_hash: trace.agent_id_hash,
            trace_id: trace.trace_id,
            thought_id: trace.thought_id,
            task_id: trace.task_id,
            started_at: trace.started_at,
            completed_at: trace.completed_at,
            level: trace.level,
            version: trace.version,
            agent_name: self.first_text("agent_name"),
            cognitive_state: self.first_text("cognitive_state"),
            key_id: self.key_id,
            signature: self.signature,
            verified: self.verified,
            redacted_by: self.redacted_by(),
            batch_timestamp: self.batch_timestamp,
            consent_timestamp: self.consent_timestamp,
            canonical: self.canonical,
            components: trace.components.len(),
        }
    }

    /// Returns the rows of the components, in order. Of components that claim the same, the first gives a row.
    ///
    /// # Errors
    /// What was taken gives rows; a record that was not is named.
    pub fn event_rows(&self) -> Result<Vec<EventRow<'t>>, Fault> {
        let trace = &self.trace;
        let agent_name = self.first_text("agent_name");
        let cognitive_state = self.first_text("cognitive_state");
        let row = |(index, component): (usize, &Component<'t>)| {
            let action = match component.event {
                EventKind::ActionResult => Action::read(component.data, self.strictness())?,
                _ => Action::default(),
            };
            Ok(EventRow {
                content: self.content,
                index,
                agent_id_hash: trace.agent_id_hash,
                trace_id: trace.trace_id,
                thought_id: trace.thought_id,
                task_id: trace.task_id,
                component: component.kind,
                event: component.event,
                attempt: self.attempts[index],
                timestamp: component.timestamp,
                step_point: component.text("step_point"),
                agent_name,
                cognitive_state,
                action,
                data: component.data.raw(),
            })
        };
        self.firsts().map(row).collect()
    }

    /// Returns the rows of the calls to models, in order, one for each row of an `LLM_CALL`.
    ///
    /// # Errors
    /// As [`Record::event_rows`].
    pub fn llm_rows(&self) -> Result<Vec<LlmRow<'t>>, Fault> {
        let trace = &self.trace;
        let row = |(index, component): (usize, &Component<'t>)| {
            let call = Call::read(component.data, trace.version, self.strictness())?;
            Ok(LlmRow {
                content: self.content,
                index,
                agent_id_hash: trace.agent_id_hash,
                trace_id: trace.trace_id,
                thought_id: trace.thought_id,
                attempt: self.attempts[index],
                timestamp: call.timestamp.unwrap_or(component.timestamp),
                parent_index: self.index_of(call.parent_event, call.parent_attempt),
                call,
            })
        };
        self.firsts()
            .filter(|(_, component)| component.event == EventKind::LlmCall)
            .map(row)
            .collect()
    }

    /// The components that give rows, with their places.
    fn firsts(&self) -> impl Iterator<Item = (usize, &Component<'t>)> {
        let mut seen = Seen::none();
        let components = self.trace.components.iter().enumerate();
        components.filter(move |(index, component)| {
            seen.first(Tuple::of(component.event, self.attempts[*index]))
        })
    }

    fn index_of(&self, event: EventKind, attempt: u16) -> Option<usize> {
        let components = self.trace.components.iter().zip(&self.attempts);
        let mut claims = components.map(|(component, attempt)| (component.event, *attempt));
        claims.position(|claim| claim == (event, attempt))
    }

    fn first_text(&self, name: &str) -> Option<&'t str> {
        self.trace
            .components
            .iter()
            .find_map(|component| component.text(name))
    }

    fn strictness(&self) -> Strictness {
        match self.verified {
            Verified::Original => Strictness::Redacted,
            _ => Strictness::AsSigned,
        }
    }
}

impl<'t> Component<'t> {
    fn text(&self, name: &str) -> Option<&'t str> {
        self.data.get(name)?.as_str()
    }
}
