//! What this office finds again after a restart, and the signatures that it leaves.
//!
//! The vault holds every source as of the last saving, and the event up to which that was. What came after is read
//! again. Changes that were kept already, and records of the memory, are looked up first: they are neither said twice nor
//! chained twice.

use ::coherence::{self as kernel, Contract, Left, STATE_BYTES, Source, Standing};
use glint::json::{Value, object, parse};
use glint::{Name, Stamp};

use super::record::{self, Chain};
use super::{Coherence, act, say};
use crate::emitter::Entry;
use crate::puller::{Pull, Puller};
use crate::vault::VaultError;

const SOURCES: &str = "coherence/source/";
const CONTRACTS: &str = "coherence/contract/";
const PROMOTED: &str = "coherence/promoted/";
const POOLED: &str = "coherence/pooled";
const PLACE: &str = "coherence/place";
/// Values read at once.
const STRIDE: usize = 512;
/// Time constants of the Master, the effect of events before which is nothing.
const REACH: i64 = 8;

impl Coherence {
    /// Takes up the state of the life before.
    pub(super) fn restore(&mut self) {
        if let Err(err) = self.try_restore() {
            tracing::error!(%err, "the state of coherence cannot be read; sources are measured anew");
            self.approximate = true;
        }
    }

    fn try_restore(&mut self) -> Result<(), VaultError> {
        self.each(CONTRACTS, |office, name, bytes| {
            if let Some(contract) = contract_of(bytes)
                && let Err(err) = office.engine.set_contract(name, contract)
            {
                tracing::warn!(%err, name, "a contract cannot be kept");
            }
        })?;
        self.each(SOURCES, |office, name, bytes| {
            let Some((standing, source)) = bytes.split_first_chunk::<8>() else {
                return;
            };
            match Source::from_bytes(source) {
                Ok(source) => office
                    .engine
                    .restore(name, source, Standing::from_bytes(*standing)),
                Err(err) => tracing::warn!(%err, name, "a source is measured anew"),
            }
        })?;
        if let Some(bytes) = self.tools.vault.get(POOLED)?
            && let Ok(pooled) = Source::from_bytes(&bytes)
        {
            self.engine.restore_pooled(pooled);
        }
        let held: Vec<Box<str>> = self
            .engine
            .rows()
            .filter(|row| row.standing.is_held())
            .map(|row| row.name.into())
            .collect();
        self.held.extend(held);
        let now = self.tools.clock.now();
        let place = self
            .tools
            .vault
            .get(PLACE)?
            .and_then(|bytes| Place::of(&bytes));
        let tail = &self.tools.tail;
        let after = match place {
            Some(place) if place.epoch == tail.epoch() => {
                self.memory = place.chain.clone();
                self.memory_kept = place.chain;
                place.seq.min(tail.head().seq)
            }
            // A log that was here before this office, or another log: what is long ago weighs nothing.
            _ => {
                let reach = self.settings.params.master_tau_us.saturating_mul(REACH);
                tail.last_before(now.plus_micros(-reach))
            }
        };
        self.puller = Puller::new(tail.clone(), after);
        self.measured = after;
        self.recall(after);
        Ok(())
    }

    /// Looks up what was kept after `after` already.
    fn recall(&mut self, after: u64) {
        let mut puller = Puller::new(self.tools.tail.clone(), after);
        while let Ok(pull) = puller.pull(STRIDE) {
            let events = match pull {
                Pull::Events(events) => events,
                Pull::Gone { .. } => continue,
                Pull::Head => break,
            };
            for event in events {
                match event.name {
                    Name::MemorySignature => self.memory.follow(&event.text),
                    Name::WitnessMacro => {
                        let what = parse(&event.text).ok().and_then(|value| {
                            value.get("change").and_then(Value::as_str).map(Box::from)
                        });
                        if let (Some(source), Some(what)) = (&event.source, what) {
                            *self.said_before.entry((source.clone(), what)).or_default() += 1;
                        }
                        let marks = act::promoted(&event.text);
                        self.remember_promoted(&marks);
                    }
                    _ => {}
                }
            }
        }
        self.recalled = puller.position();
    }

    fn each(
        &mut self,
        prefix: &str,
        mut take: impl FnMut(&mut Coherence, &str, &[u8]),
    ) -> Result<(), VaultError> {
        let mut after = String::new();
        loop {
            let found = self.tools.vault.scan(prefix, &after, STRIDE)?;
            let Some((last, _)) = found.last() else {
                return Ok(());
            };
            after = last.clone();
            for (key, value) in &found {
                take(self, &key[prefix.len()..], value);
            }
        }
    }

    /// Saves what changed since the last time, and up to which event.
    pub(super) fn save(&mut self, now: Stamp) {
        self.saved_us = now.0;
        let mut rows: Vec<(String, Vec<u8>)> = Vec::new();
        self.engine.changed(usize::MAX, |row| {
            rows.push((
                format!("{SOURCES}{}", row.name),
                state(row.source, row.standing),
            ));
        });
        rows.push((
            POOLED.to_owned(),
            self.engine.pooled().0.to_bytes().to_vec(),
        ));
        let place = Place {
            epoch: self.tools.tail.epoch(),
            seq: self.measured,
            chain: self.memory_kept.clone(),
        };
        rows.push((PLACE.to_owned(), place.text().into_bytes()));
        let gone = std::mem::take(&mut self.gone);
        let gone: Vec<String> = gone.iter().map(|name| format!("{SOURCES}{name}")).collect();
        // Those that went first: some of them are back.
        let gone = gone.iter().map(|key| (key.as_str(), None));
        let kept = rows
            .iter()
            .map(|(key, value)| (key.as_str(), Some(value.as_slice())));
        let changes: Vec<(&str, Option<&[u8]>)> = gone.chain(kept).collect();
        self.put(&changes);
        self.forget_promoted();
    }

    /// Writes signatures of the sources that changed, as many as a cycle may, and saves the state.
    pub(super) fn sign(&mut self, now: Stamp, why: &str) {
        let mut names: Vec<Box<str>> = Vec::new();
        self.engine.changed_names(|name| names.push(name.into()));
        let count = names.len();
        let start = if count > self.settings.signatures {
            self.signature_turn % count
        } else {
            0
        };
        names.rotate_left(start);
        self.signature_turn = self.signature_turn.wrapping_add(self.settings.signatures);
        for name in names.iter().take(self.settings.signatures) {
            self.sign_one(name, now, why);
        }
        self.save(now);
    }

    /// Writes the signature of a source, if there is room.
    pub(super) fn sign_one(&mut self, source: &str, at: Stamp, why: &str) {
        let (room, through) = (self.outbox.has_room(), self.measured);
        let Some(row) = self
            .engine
            .get(source)
            .filter(|_| room && self.settings.signatures > 0)
        else {
            return;
        };
        let (node, arcs) = (&self.settings.node, &self.settings.arcs);
        let text = self.memory.record("signature", at, |object| {
            record::signature(object, &row, through, node, why, arcs);
        });
        let good = row.source.kernels().0.check("the Master").is_ok();
        self.keep_signature(source, text, good);
    }

    /// Writes the signature of a source that had to go.
    pub(super) fn sign_left(&mut self, left: &Left, at: Stamp) {
        self.held.remove(&left.name);
        self.tools.gate.set(&left.name, None);
        // Not at once: whoever invents names would have the disk synced for each.
        self.gone.push(left.name.clone());
        self.gone_signed += 1;
        if !self.outbox.has_room() || self.gone_signed > self.settings.signatures {
            return;
        }
        let (through, contract) = (self.measured, Contract::default());
        let row = kernel::Row {
            name: &left.name,
            source: &left.source,
            standing: &left.standing,
            params: &left.params,
            contract: &contract,
        };
        let (node, arcs) = (&self.settings.node, &self.settings.arcs);
        let text = self.memory.record("signature", at, |object| {
            record::signature(object, &row, through, node, "evicted", arcs);
        });
        self.keep_signature(&left.name, text, true);
    }

    fn keep_signature(&mut self, source: &str, text: String, good: bool) {
        let mut entry = Entry::new(Name::MemorySignature, text);
        entry.source = Some(source.into());
        self.outbox.push(vec![entry]);
        self.tools.metrics.signatures.inc();
        self.witness.checked(good);
    }

    pub(super) fn keep_contract(&self, name: &str, contract: Option<&Contract>) {
        let key = format!("{CONTRACTS}{name}");
        let mut text = String::new();
        if let Some(contract) = contract {
            object(&mut text, |object| say::contract(object, contract));
        }
        self.put(&[(&key, contract.map(|_| text.as_bytes()))]);
    }

    pub(super) fn keep_source(&self, name: &str) {
        let key = format!("{SOURCES}{name}");
        let bytes = self
            .engine
            .get(name)
            .map(|row| state(row.source, row.standing));
        self.put(&[(&key, bytes.as_deref())]);
    }

    pub(super) fn remember_promoted(&self, seqs: &[u64]) {
        let keys: Vec<String> = seqs
            .iter()
            .map(|seq| format!("{PROMOTED}{seq:020}"))
            .collect();
        let none: &[u8] = b"";
        let changes: Vec<(&str, Option<&[u8]>)> =
            keys.iter().map(|key| (key.as_str(), Some(none))).collect();
        if !changes.is_empty() {
            self.put(&changes);
        }
    }

    /// Tells whether a glint was promoted before.
    pub(super) fn was_promoted(&self, seq: u64) -> bool {
        matches!(
            self.tools.vault.get(&format!("{PROMOTED}{seq:020}")),
            Ok(Some(_))
        )
    }

    /// Forgets marks of glints that the log has forgotten.
    fn forget_promoted(&self) {
        let floor = format!("{PROMOTED}{:020}", self.tools.tail.floor().seq);
        let Ok(found) = self.tools.vault.scan(PROMOTED, "", STRIDE) else {
            return;
        };
        let gone = found.iter().filter(|(key, _)| *key <= floor);
        let gone: Vec<(&str, Option<&[u8]>)> = gone.map(|(key, _)| (key.as_str(), None)).collect();
        if !gone.is_empty() {
            self.put(&gone);
        }
    }

    fn put(&self, changes: &[(&str, Option<&[u8]>)]) {
        if let Err(err) = self.tools.vault.put(changes) {
            self.tools.metrics.vault_failures.inc();
            tracing::error!(%err, "the state of coherence is not saved");
        }
    }
}

fn state(source: &Source, standing: &Standing) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + STATE_BYTES);
    bytes.extend_from_slice(&standing.to_bytes());
    bytes.extend_from_slice(&source.to_bytes());
    bytes
}

/// Reads a contract as it is kept, which is as it is asked for.
fn contract_of(bytes: &[u8]) -> Option<Contract> {
    let value = parse(std::str::from_utf8(bytes).ok()?).ok()?;
    act::contract_of(&value).ok()
}

/// Up to where the state is.
struct Place {
    epoch: u64,
    seq: u64,
    chain: Chain,
}

impl Place {
    fn text(&self) -> String {
        let mut text = String::new();
        object(&mut text, |object| {
            object
                .count("epoch", self.epoch)
                .count("seq", self.seq)
                .count("memory_seq", self.chain.seq)
                .text("memory_hash", &self.chain.hash);
        });
        text
    }

    fn of(bytes: &[u8]) -> Option<Place> {
        let value = parse(std::str::from_utf8(bytes).ok()?).ok()?;
        let whole = |key| match value.get(key)? {
            Value::Number(lexeme) => lexeme.parse().ok(),
            _ => None,
        };
        Some(Place {
            epoch: whole("epoch")?,
            seq: whole("seq")?,
            chain: Chain {
                seq: whole("memory_seq")?,
                hash: value.get("memory_hash")?.as_str()?.into(),
            },
        })
    }
}
