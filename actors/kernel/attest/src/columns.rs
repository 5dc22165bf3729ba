//! What `data` holds that is looked at: the columns of actions and of calls to models.

use glint::Stamp;

use crate::fault::{Code, Fault};
use crate::fields::{instant, mismatch, present, text, word};
use crate::tape::{Kind, Value};
use crate::trace::{Strictness, attempt};
use crate::vocab::{CallStatus, EventKind, Version};

/// What an `ACTION_RESULT` may carry.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Action<'t> {
    /// The place of the action in the agent's own audit.
    pub audit_sequence_number: Option<i64>,
    /// The hash of that entry.
    pub audit_entry_hash: Option<&'t str>,
    /// The agent's signature of that entry.
    pub audit_signature: Option<&'t str>,
    /// The id of that entry.
    pub audit_entry_id: Option<&'t str>,
    /// How many calls to models it took.
    pub llm_calls: Option<i64>,
    /// How many tokens it took.
    pub tokens_total: Option<i64>,
    /// What it cost, in US dollars; a cost in cents is divided by 100.
    pub cost_usd: Option<f64>,
    /// Grams of carbon dioxide.
    pub carbon_grams: Option<f64>,
}

impl<'t> Action<'t> {
    pub(crate) fn read(data: Value<'t>, strictness: Strictness) -> Result<Action<'t>, Fault> {
        let data = Optional { data, strictness };
        let cents = data.float("cost_cents")?.map(|cents| cents / 100.0);
        Ok(Action {
            audit_sequence_number: data.int("audit_sequence_number")?,
            audit_entry_hash: data.text("audit_entry_hash")?,
            audit_signature: data.text("audit_signature")?,
            audit_entry_id: data.text("audit_entry_id")?,
            llm_calls: data.int("llm_calls")?,
            tokens_total: data.int("tokens_total")?,
            cost_usd: data.float("cost_usd")?.or(cents),
            carbon_grams: data.float("carbon_grams")?,
        })
    }
}

/// What an `LLM_CALL` carries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Call<'t> {
    /// What asked.
    pub handler_name: &'t str,
    /// What was asked.
    pub service_name: &'t str,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
    /// How it ended.
    pub status: CallStatus,
    /// The component that it belongs to; at 2.7.0 nothing says, so it is the call itself.
    pub parent_event: EventKind,
    /// The attempt of that component.
    pub parent_attempt: u16,
    /// When, where the call says it itself.
    pub timestamp: Option<(&'t str, Stamp)>,
    /// Which model.
    pub model: Option<&'t str>,
    /// Where.
    pub base_url: Option<&'t str>,
    /// What shape the answer was to have.
    pub response_model: Option<&'t str>,
    /// Tokens sent.
    pub prompt_tokens: Option<i64>,
    /// Tokens received.
    pub completion_tokens: Option<i64>,
    /// Bytes sent.
    pub prompt_bytes: Option<i64>,
    /// Bytes received.
    pub completion_bytes: Option<i64>,
    /// What it cost, in US dollars.
    pub cost_usd: Option<f64>,
    /// What went wrong.
    pub error_class: Option<&'t str>,
    /// How many attempts it took.
    pub attempt_count: Option<i64>,
    /// How many of them were repetitions.
    pub retry_count: Option<i64>,
    /// The hash of what was sent.
    pub prompt_hash: Option<&'t str>,
    /// What was sent.
    pub prompt: Option<&'t str>,
    /// What came back.
    pub response_text: Option<&'t str>,
}

impl<'t> Call<'t> {
    pub(crate) fn read(
        data: Value<'t>,
        version: Version,
        strictness: Strictness,
    ) -> Result<Call<'t>, Fault> {
        let own_attempt = attempt(data, "attempt_index")?;
        let (parent_event, parent_attempt) = match version {
            Version::V270 => (EventKind::LlmCall, own_attempt),
            Version::V279 => (parent_event(data)?, attempt(data, "parent_attempt_index")?),
        };
        let duration = crate::fields::required(data, "duration_ms")?;
        let duration_ms = duration
            .as_f64()
            .ok_or_else(|| mismatch("duration_ms", "a number", duration))?;
        let status = word(
            CallStatus::of(text(data, "status")?),
            CallStatus::WORDS,
            Code::FieldTypeMismatch,
            "status",
        )?;
        let optional = Optional { data, strictness };
        Ok(Call {
            handler_name: text(data, "handler_name")?,
            service_name: text(data, "service_name")?,
            duration_ms,
            status,
            parent_event,
            parent_attempt,
            timestamp: optional.instant("timestamp")?,
            model: optional.text("model")?,
            base_url: optional.text("base_url")?,
            response_model: optional.text("response_model")?,
            prompt_tokens: optional.int("prompt_tokens")?,
            completion_tokens: optional.int("completion_tokens")?,
            prompt_bytes: optional.int("prompt_bytes")?,
            completion_bytes: optional.int("completion_bytes")?,
            cost_usd: optional.float("cost_usd")?,
            error_class: optional.text("error_class")?,
            attempt_count: optional.int("attempt_count")?,
            retry_count: optional.int("retry_count")?,
            prompt_hash: optional.text("prompt_hash")?,
            prompt: optional.text("prompt")?,
            response_text: optional.text("response_text")?,
        })
    }
}

fn parent_event(data: Value<'_>) -> Result<EventKind, Fault> {
    word(
        EventKind::of(text(data, "parent_event_type")?),
        EventKind::WORDS,
        Code::FieldTypeMismatch,
        "parent_event_type",
    )
}

/// Members that may be absent or null.
#[derive(Clone, Copy)]
struct Optional<'t> {
    data: Value<'t>,
    strictness: Strictness,
}

impl<'t> Optional<'t> {
    fn read<T>(
        self,
        name: &str,
        wanted: &str,
        read: impl FnOnce(Value<'t>) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        let Some(value) = present(self.data, name) else {
            return Ok(None);
        };
        match (read(value), self.strictness) {
            (Some(found), _) => Ok(Some(found)),
            (None, Strictness::Redacted) => Ok(None),
            (None, Strictness::AsSigned) => Err(mismatch(name, wanted, value)),
        }
    }

    fn text(self, name: &str) -> Result<Option<&'t str>, Fault> {
        self.read(name, "a string", Value::as_str)
    }

    fn int(self, name: &str) -> Result<Option<i64>, Fault> {
        self.read(name, "an integer of 64 bits", Value::as_i64)
    }

    fn float(self, name: &str) -> Result<Option<f64>, Fault> {
        self.read(name, "a number", Value::as_f64)
    }

    fn instant(self, name: &str) -> Result<Option<(&'t str, Stamp)>, Fault> {
        let Some(value) = present(self.data, name) else {
            return Ok(None);
        };
        match (instant(self.data, name), self.strictness) {
            (Ok(found), _) => Ok(Some(found)),
            (Err(_), Strictness::Redacted) => Ok(None),
            (Err(fault), Strictness::AsSigned) if value.kind() == Kind::String => Err(fault),
            (Err(_), Strictness::AsSigned) => Err(mismatch(name, "a time", value)),
        }
    }
}
