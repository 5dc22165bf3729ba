//! Who says a glint: agents may sign plain glints, and subscribers are told whether that held.
//!
//! A glint with a top-level member `agent_signature` (`key_id`, `signature`) is signed: over the canonical form of the
//! glint without that member. What holds is told by a member `provenance`, which is the broker's to say; one that
//! was posted is renamed `posted_provenance`. A glint without it is nobody's word but its sender's.

use std::borrow::Cow;
use std::mem::replace;

use attest::{Fault, KeyEntry, Limits, Verified, canonicalise, seal};
use glint::json::{Member, Value, object};
use glint::{Draft, Refusal, RefusalKind};
use uuid::Uuid;

use super::desk::Worker;

/// The member with key and signature.
const SIGNATURE: &str = "agent_signature";
/// The member that the broker adds.
const PROVENANCE: &str = "provenance";
/// Where one goes that was posted.
const POSTED: &str = "posted_provenance";

/// Makes a draft of a value.
pub type Make = fn(Value<'_>, Uuid) -> Result<Draft, Refusal>;

/// Makes a draft of a value, and says in it whose word it is if it is signed.
///
/// # Errors
/// Those of `make`; `signature_malformed`; the codes of signed traces for a key that does not hold and a signature of
/// other bytes.
pub fn draft(mut value: Value<'_>, worker: &Worker, make: Make) -> Result<Draft, Refusal> {
    let said = match &mut value {
        Value::Object(members) => {
            let said = verified(members, worker)?;
            disown(members);
            said
        }
        _ => None,
    };
    let mut draft = make(value, worker.fresh_id())?;
    if let Some(said) = said {
        let mut text = String::from(draft.text);
        text.pop();
        text.push_str(&format!(", \"{PROVENANCE}\": {said}}}"));
        draft.text = text.into();
    }
    Ok(draft)
}

/// Checks the signature of a glint that has one; returns what to say of it.
fn verified(members: &mut Vec<Member<'_>>, worker: &Worker) -> Result<Option<String>, Refusal> {
    let Some(place) = members.iter().position(|(key, _)| key == SIGNATURE) else {
        return Ok(None);
    };
    let member = members.remove(place);
    let text = |name: &str| member.1.get(name).and_then(Value::as_str);
    let (Some(key_id), Some(signature)) = (text("key_id"), text("signature")) else {
        let detail = r#"write {"key_id": …, "signature": …}, or leave it out"#;
        return Err(Refusal::invalid("signature_malformed", detail).on(SIGNATURE));
    };
    let desk = worker.desk();
    let ring = desk.accord.ring.read();
    let key = ring.active(key_id, desk.clock.now()).map_err(refusal)?;
    let rest = Value::Object(std::mem::take(members));
    check(key, &rest, signature).map_err(refusal)?;
    let mut said = String::with_capacity(96);
    object(&mut said, |object| {
        object
            .text("verified", Verified::Agent.as_str())
            .text("key_id", &key.id)
            .text("agent_id_hash", &key.agent_id_hash);
    });
    if let Value::Object(rest) = rest {
        *members = rest;
    }
    members.insert(place, member);
    Ok(Some(said))
}

fn check(key: &KeyEntry, glint: &Value<'_>, signature: &str) -> Result<(), Fault> {
    let signature = seal::read_signature(signature)?;
    let canonical = canonicalise(glint.to_ascii().as_bytes(), &Limits::default())?;
    key.key.verify(canonical.as_bytes(), &signature)
}

fn refusal(fault: Fault) -> Refusal {
    let mut refusal = actors::accord::refusal(fault);
    if refusal.kind == RefusalKind::Conflict {
        refusal.kind = RefusalKind::Invalid;
    }
    refusal.on(SIGNATURE)
}

/// Renames what only the broker may say.
fn disown(members: &mut [Member<'_>]) {
    let Some(place) = members.iter().position(|(key, _)| key == PROVENANCE) else {
        return;
    };
    let mut key = POSTED.to_owned();
    while members.iter().any(|(taken, _)| *taken == key) {
        key.push('_');
    }
    let _ = replace(&mut members[place].0, Cow::Owned(key));
}
