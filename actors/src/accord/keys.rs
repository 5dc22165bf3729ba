//! The key ring: its single writer, and where it is found again.

use std::sync::Arc;

use actix::prelude::*;
use attest::ring::{Change, Effect};
use attest::{Class, Fault, KeyEntry, KeyRing};
use glint::{Event, Name, Refusal, RefusalKind};

use super::{Accord, Changed, RingCell};
use crate::emitter::{Commit, Entry};
use crate::vault::{Vault, VaultError};

/// Where keys are in the vault.
const PREFIX: &str = "accord/keys/";
/// Keys that are loaded at once.
const PAGE: usize = 512;

/// Loads the ring from the vault.
///
/// # Errors
/// When the vault cannot be read, or a key in it.
pub fn load(vault: &dyn Vault) -> Result<KeyRing, VaultError> {
    let mut ring = KeyRing::default();
    let mut after = String::new();
    loop {
        let page = vault.scan(PREFIX, &after, PAGE)?;
        for (_, value) in &page {
            let entry = KeyEntry::from_json(value).map_err(|fault| damaged(&fault))?;
            ring.restore(entry);
        }
        match page.last() {
            Some((key, _)) => after.clone_from(key),
            None => return Ok(ring),
        }
    }
}

fn damaged(fault: &Fault) -> VaultError {
    VaultError(format!("a key in it cannot be read: {fault}"))
}

/// Makes a change that was kept; to make it twice is to make it once.
pub(super) fn note(cell: &RingCell, vault: &dyn Vault, event: &Event) -> Result<(), VaultError> {
    let change = Change::from_json(event.text.as_bytes()).map_err(|fault| damaged(&fault))?;
    if cell.read().check(&change) == Ok(Effect::Changes) {
        apply(cell, vault, change)?;
    }
    Ok(())
}

/// Makes a change and saves the key; returns it.
fn apply(
    cell: &RingCell,
    vault: &dyn Vault,
    change: Change,
) -> Result<Option<Arc<KeyEntry>>, VaultError> {
    let mut ring = KeyRing::clone(&cell.read());
    let id = match &change {
        Change::Enrol(entry) => entry.id.clone(),
        Change::Revoke { id, .. } => id.clone(),
    };
    ring.apply(change);
    let key = ring.get(&id).cloned();
    if let Some(key) = &key {
        let name = format!("{PREFIX}{id}");
        vault.put(&[(&name, Some(key.to_json().as_bytes()))])?;
    }
    cell.ring.store(Arc::new(ring));
    Ok(key)
}

/// What a fault of the kernel is to who changes keys.
fn refusal(fault: Fault) -> Refusal {
    let not_there = fault.code == attest::Code::KeyNotFound;
    let invalid = fault.code.class() == Class::Invalid;
    let mut refusal = super::refusal(fault);
    if not_there {
        refusal.kind = RefusalKind::NotFound;
    } else if invalid {
        refusal.kind = RefusalKind::Invalid;
    }
    refusal
}

impl Accord {
    /// Checks a change, has it kept, and makes it.
    pub(super) fn change(
        &mut self,
        change: Change,
    ) -> ResponseActFuture<Self, Result<Changed, Refusal>> {
        let (id, stamped) = match change {
            Change::Enrol(mut entry) => {
                entry.added_at = self.clock.now();
                (entry.id.clone(), Change::Enrol(entry))
            }
            Change::Revoke { id, mut revocation } => {
                revocation.at = self.clock.now();
                (id.clone(), Change::Revoke { id, revocation })
            }
        };
        let ring = self.cell.read();
        match ring.check(&stamped) {
            Err(fault) => return Box::pin(fut::err(refusal(fault))),
            Ok(Effect::Nothing) => {
                let known = ring.get(&id).cloned();
                let known = known.map(|key| Changed { key, was_so: true });
                return Box::pin(fut::ready(known.ok_or_else(super::lost)));
            }
            Ok(Effect::Changes) => {}
        }
        let entry = Entry::new(Name::KeyChanged, stamped.to_json());
        let commit = Commit {
            entries: vec![entry],
        };
        let (emitter, weight) = (self.emitter.clone(), commit.weight_bytes());
        let kept = async move { emitter.ask(commit, weight).await? };
        Box::pin(kept.into_actor(self).map(move |receipt, office, _| {
            receipt?;
            let made = apply(&office.cell, &*office.vault, stamped).map_err(|err| {
                office.fail(&err);
                super::lost()
            })?;
            office.show();
            let made = made.map(|key| Changed { key, was_so: false });
            made.ok_or_else(super::lost)
        }))
    }
}
