//! What a person decides, and what other nodes send. Each decision is witnessed.

use ::coherence::{
    Carrier, CoherenceError, Complex, Contract, Entry, Expect, Merged, Mode, Pair, Skew,
};
use actix::prelude::*;
use glint::json::{Value, object, parse};
use glint::{Event, Name, Refusal, RefusalKind, Stamp};

use super::answer::{not_held, write_entry};
use super::{Coherence, say};
use crate::emitter;
use crate::puller::{Pull, Puller};

/// Glints promoted at once.
const PROMOTED_MAX: usize = 1000;
/// Events looked at for them.
const LOOKED_AT_MAX: usize = 20_000;
/// Longest name of a source in bytes, as glints have it.
const NAME_BYTES: usize = glint::draft::MAX_WORD_BYTES;

/// A decision.
#[derive(Debug, Message)]
#[rtype(result = "Result<String, Refusal>")]
pub enum Act {
    /// Sets what a source promised.
    SetContract {
        /// The source.
        source: Box<str>,
        /// What it promised.
        contract: Contract,
    },
    /// Takes a contract back.
    DropContract(Box<str>),
    /// Lets a source out of what the gate does with it.
    Release(Box<str>),
    /// Puts a source into quarantine.
    Hold(Box<str>),
    /// Begins the measurement of a source anew.
    Reset(Box<str>),
    /// Writes signatures: of one source, or of all that changed.
    Sign(Option<Box<str>>),
    /// Delivers glints out of the quarantine.
    Promote {
        /// Those after this event.
        after: u64,
        /// And up to this one.
        until: u64,
        /// Only of this source.
        source: Option<Box<str>>,
    },
    /// Takes what another node saw, and answers with what this one did.
    Exchange {
        /// What it saw.
        entry: Entry,
        /// When it was sent and when it arrived.
        times: (Stamp, Stamp),
    },
}

impl Coherence {
    pub(super) fn act(&mut self, act: Act) -> Result<String, Refusal> {
        let now = self.tools.clock.now();
        match act {
            Act::SetContract { source, contract } => self.set_contract(&source, contract, now),
            Act::DropContract(source) => {
                let was = self.engine.drop_contract(&source);
                self.keep_contract(&source, None);
                self.judge(&source, now);
                self.record(&source, "contract_dropped", now);
                Ok(said(&source, |object| {
                    object.flag("dropped", was);
                }))
            }
            Act::Release(source) => self.decide(&source, false, now),
            Act::Hold(source) => self.decide(&source, true, now),
            Act::Reset(source) => {
                if !self.engine.reset(&source) {
                    return Err(not_held(&source));
                }
                self.keep_source(&source);
                self.judge(&source, now);
                self.record(&source, "reset", now);
                Ok(said(&source, |object| {
                    object.flag("reset", true);
                }))
            }
            Act::Sign(None) => {
                self.sign(now, "demand");
                Ok(self.memory_text())
            }
            Act::Sign(Some(source)) => {
                self.engine.get(&source).ok_or_else(|| not_held(&source))?;
                self.sign_one(&source, now, "demand");
                Ok(self.memory_text())
            }
            Act::Promote {
                after,
                until,
                source,
            } => self.promote(after, until, source.as_deref(), now),
            Act::Exchange { entry, times } => self.exchange(entry, times, now),
        }
    }

    fn set_contract(
        &mut self,
        source: &str,
        contract: Contract,
        now: Stamp,
    ) -> Result<String, Refusal> {
        if source.is_empty() || source.len() > NAME_BYTES {
            let detail = format!("a source has a name of 1 to {NAME_BYTES} bytes");
            return Err(Refusal::invalid("source_malformed", detail).on("source"));
        }
        self.engine
            .set_contract(source, contract)
            .map_err(|err| refusal(&err))?;
        self.keep_contract(source, Some(&contract));
        self.judge(source, now);
        self.record(source, "contract", now);
        Ok(said(source, |object| say::contract(object, &contract)))
    }

    fn decide(&mut self, source: &str, hold: bool, now: Stamp) -> Result<String, Refusal> {
        self.engine.get(source).ok_or_else(|| not_held(source))?;
        let change = self.engine.decide(source, hold, now.0);
        if hold {
            self.held.insert(source.into());
        } else {
            self.held.remove(source);
        }
        if let Some(change) = &change {
            self.say(source, change, now, 0, Some("operator"));
        } else {
            self.judge(source, now);
            self.record(source, if hold { "quarantine" } else { "release" }, now);
        }
        self.keep_source(source);
        Ok(said(source, |object| {
            object.text("action", if hold { "quarantine" } else { "pass" });
            object.flag("changed", change.is_some());
        }))
    }

    /// Witnesses a decision that changed nothing of what the source is said to be.
    fn record(&mut self, source: &str, what: &str, now: Stamp) {
        let mut text = String::new();
        object(&mut text, |object| {
            object
                .text("source", source)
                .text("change", what)
                .text("reason", "operator")
                .text("actor", "operator")
                .display("timestamp", now);
        });
        let mut entry = emitter::Entry::new(Name::WitnessMacro, text);
        entry.source = Some(source.into());
        self.witness.count(2, true);
        self.outbox.push(vec![entry]);
    }

    fn memory_text(&self) -> String {
        let mut out = String::new();
        object(&mut out, |object| {
            object
                .count("signatures", self.memory.seq)
                .text("head", &self.memory.hash);
        });
        out
    }

    fn promote(
        &mut self,
        after: u64,
        until: u64,
        source: Option<&str>,
        now: Stamp,
    ) -> Result<String, Refusal> {
        let mut puller = Puller::new(self.tools.tail.clone(), after);
        let (mut seqs, mut entries, mut looked_at) = (Vec::new(), Vec::new(), 0);
        while seqs.len() < PROMOTED_MAX && looked_at < LOOKED_AT_MAX && puller.position() < until {
            let events = match puller.pull(512) {
                Ok(Pull::Events(events)) => events,
                Ok(Pull::Gone { .. }) => continue,
                Ok(Pull::Head) => break,
                Err(err) => {
                    tracing::error!(%err, "the quarantine cannot be read");
                    let detail = "the quarantine cannot be read; look at the log of the broker";
                    return Err(Refusal::new(
                        RefusalKind::Internal,
                        "history_unreadable",
                        detail,
                    ));
                }
            };
            looked_at += events.len();
            for event in events.iter().filter(|event| event.offset.seq <= until) {
                let wanted = event.name == Name::GlintQuarantined
                    && source.is_none_or(|source| event.source.as_deref() == Some(source))
                    && seqs.len() < PROMOTED_MAX;
                if wanted && !self.was_promoted(event.offset.seq) {
                    seqs.push(event.offset.seq);
                    entries.push(promoted_entry(event));
                }
            }
        }
        let next = puller.position().min(until);
        if !seqs.is_empty() {
            let mut text = String::new();
            object(&mut text, |object| {
                object
                    .text("change", "promote")
                    .text("reason", "operator")
                    .text("actor", "operator");
                object.array("promoted", &seqs, |seq, out| out.push_str(&seq.to_string()));
                object.display("timestamp", now);
            });
            self.witness.count(2, true);
            let mut group = vec![emitter::Entry::new(Name::WitnessMacro, text)];
            group.append(&mut entries);
            // Together, so that whoever reads on knows of each that follows what it is.
            self.outbox.push(group);
            self.remember_promoted(&seqs);
        }
        let mut out = String::new();
        object(&mut out, |object| {
            object
                .count("promoted", seqs.len() as u64)
                .count("next", next);
        });
        Ok(out)
    }

    fn exchange(
        &mut self,
        entry: Entry,
        (sent, taken): (Stamp, Stamp),
        now: Stamp,
    ) -> Result<String, Refusal> {
        self.mesh.expire(now.0);
        let merged = self.mesh.merge(entry);
        let word = match &merged {
            Ok(Merged::Taken) => "taken",
            Ok(Merged::Stale) => "stale",
            Ok(Merged::Full) => "full",
            Err(_) => "refused",
        };
        let metrics = &self.tools.metrics;
        metrics.exchanges.with_label_values(&[word]).inc();
        metrics.peers.set(self.mesh.entries().count() as i64);
        merged.map_err(|err| refusal(&err))?;
        let skew = Skew::of(sent.0, taken.0, now.0, now.0);
        metrics.skew.set(skew.offset_us as f64 / 1e6);
        let own = self.own_entry();
        let mut out = String::with_capacity(512);
        object(&mut out, |object| {
            object.text("merged", word);
            object.json("sent_us", &sent.0.to_string());
            object.json("taken_us", &taken.0.to_string());
            object.json("answered_us", &now.0.to_string());
            object.object("entry", |object| write_entry(object, &own));
        });
        Ok(out)
    }
}

/// A glint that leaves the quarantine, as it came.
fn promoted_entry(event: &Event) -> emitter::Entry {
    let mut entry = emitter::Entry::new(Name::GlintEmission, event.text.clone());
    entry.id.clone_from(&event.id);
    entry.source.clone_from(&event.source);
    entry.phase.clone_from(&event.phase);
    entry
}

/// Returns the glints that a witness record says were promoted; none, for other records.
#[must_use]
pub fn promoted(text: &str) -> Vec<u64> {
    if !text.starts_with("{\"change\": \"promote\"") {
        return Vec::new();
    }
    let Ok(value) = parse(text) else {
        return Vec::new();
    };
    let Some(Value::Array(seqs)) = value.get("promoted") else {
        return Vec::new();
    };
    let seqs = seqs.iter().filter_map(|seq| match seq {
        Value::Number(lexeme) => lexeme.parse().ok(),
        _ => None,
    });
    seqs.collect()
}

fn said(source: &str, write: impl FnOnce(&mut glint::json::Object<'_>)) -> String {
    let mut out = String::new();
    object(&mut out, |object| {
        object.text("source", source);
        write(object);
    });
    out
}

/// A refusal of the kernel, as one of this broker.
#[must_use]
pub fn refusal(err: &CoherenceError) -> Refusal {
    let kind = match err {
        CoherenceError::TooMany { .. } => RefusalKind::TooLarge,
        CoherenceError::Different { .. } => RefusalKind::Conflict,
        _ => RefusalKind::Invalid,
    };
    let refusal = Refusal::new(kind, err.code(), err);
    match err.field() {
        Some(field) => refusal.on(field),
        None => refusal,
    }
}

/// Reads a contract: `{"expect": "any" | "periodic" | "locked", …, "mode": …}`.
///
/// # Errors
/// Names the member that is missing, unknown or out of range.
pub fn contract_of(value: &Value<'_>) -> Result<Contract, Refusal> {
    let members = value
        .as_object()
        .ok_or_else(|| malformed("contract", "a contract is a JSON object"))?;
    const KNOWN: [&str; 6] = [
        "expect",
        "mode",
        "period_us",
        "epoch_us",
        "tolerance",
        "arc",
    ];
    if let Some((name, _)) = members.iter().find(|(name, _)| !KNOWN.contains(&&**name)) {
        return Err(malformed(
            name,
            "is not known; a contract has expect, mode, period_us, epoch_us, tolerance and arc",
        ));
    }
    let mode = match value.get("mode") {
        None => Mode::default(),
        Some(mode) => mode
            .as_str()
            .and_then(Mode::of)
            .ok_or_else(|| malformed("mode", "takes observe, flag, quarantine or dissipate"))?,
    };
    let expect = match value
        .get("expect")
        .map(|expect| expect.as_str().unwrap_or_default())
    {
        None | Some("any") => Expect::Any,
        Some("periodic") => Expect::Periodic {
            period_us: whole(value, "period_us")?.ok_or_else(|| {
                malformed(
                    "period_us",
                    "is needed with expect=periodic: a whole number of microseconds",
                )
            })?,
            tolerance: number(value, "tolerance")?.unwrap_or(0.01),
        },
        Some("locked") => Expect::Locked {
            carrier: whole(value, "period_us")?
                .map(|period| {
                    Carrier::new(period, whole(value, "epoch_us")?.unwrap_or(0))
                        .map_err(|err| refusal(&err))
                })
                .transpose()?,
            arc: arc(value)?,
        },
        Some(_) => return Err(malformed("expect", "takes any, periodic or locked")),
    };
    Contract { expect, mode }
        .checked()
        .map_err(|err| refusal(&err))
}

fn arc(value: &Value<'_>) -> Result<Option<(f64, f64)>, Refusal> {
    let Some(arc) = value.get("arc") else {
        return Ok(None);
    };
    let pair = match arc {
        Value::Array(ends) => ends.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>(),
        _ => None,
    };
    match pair.as_deref() {
        Some([from, to]) => Ok(Some((*from, *to))),
        _ => Err(malformed(
            "arc",
            "is a pair of turns from 0 to 1, such as [0.9, 0.1]",
        )),
    }
}

/// Reads an entry of the mesh.
///
/// # Errors
/// Names the member that is missing or of another type.
pub fn entry_of(value: &Value<'_>) -> Result<Entry, Refusal> {
    let need = |key: &'static str| {
        whole(value, key)?.ok_or_else(|| malformed(key, "is needed: a whole number"))
    };
    let count = |key: &'static str| {
        u64::try_from(need(key)?).map_err(|_| malformed(key, "is a whole number from 0 on"))
    };
    let real = |key: &'static str| {
        number(value, key)?.ok_or_else(|| malformed(key, "is needed: a number"))
    };
    let vector = match value.get("A") {
        Some(Value::Array(pair)) => pair.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>(),
        _ => None,
    };
    let Some([re, im]) = vector.as_deref() else {
        return Err(malformed("A", "is needed: a pair of numbers"));
    };
    Ok(Entry {
        node: value
            .get("node")
            .and_then(Value::as_str)
            .ok_or_else(|| malformed("node", "is needed: a string"))?
            .into(),
        incarnation: count("incarnation")?,
        seq: count("seq")?,
        tau_us: need("tau_us")?,
        period_us: need("period_us")?,
        epoch_us: need("epoch_us")?,
        t_ref_us: need("t_ref_us")?,
        whole: Pair {
            vector: Complex { re: *re, im: *im },
            mass: real("B")?,
        },
        power: real("V")?,
        squares: real("U")?,
        events: count("n")?,
    })
}

/// Reads a whole number.
///
/// # Errors
/// When it is there and something else.
pub fn whole(value: &Value<'_>, key: &str) -> Result<Option<i64>, Refusal> {
    match value.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(lexeme)) if lexeme.parse::<i64>().is_ok() => Ok(lexeme.parse().ok()),
        Some(_) => Err(malformed(key, "is a whole number that fits into 64 bits")),
    }
}

/// Reads a number.
///
/// # Errors
/// When it is there and something else.
pub fn number(value: &Value<'_>, key: &str) -> Result<Option<f64>, Refusal> {
    match value.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(number) => number
            .as_f64()
            .map(Some)
            .ok_or_else(|| malformed(key, "is a number")),
    }
}

/// A refusal that names a member.
#[must_use]
pub fn malformed(field: &str, remedy: &str) -> Refusal {
    Refusal::invalid("member_malformed", format!("{field} {remedy}")).on(field)
}
