//! The memory of traces: its bound, and what it survives. The office as a whole is held to its promises over HTTP.

use std::sync::Arc;

use attest::dedup::{Identity, Tuple, Verdict};
use attest::vocab::EventKind;
use attest::{ContentId, Kept};

use super::index::Index;
use crate::vault::{MemoryVault, SharedVault};

fn kept(number: u32) -> Kept {
    let mut identity = [0; 16];
    identity[..4].copy_from_slice(&number.to_be_bytes());
    Kept {
        content: ContentId::of(&number.to_be_bytes()),
        identity: Identity(identity),
        tuples: vec![Tuple::of(EventKind::ActionResult, 0)],
        trace_id: number.to_string(),
        agent_id_hash: "agent".to_owned(),
        key_id: "key".to_owned(),
        rows: 1,
        conflicted: 0,
        llm_rows: 0,
        scrubbed: 0,
        text: String::new(),
    }
}

fn take(index: &mut Index, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let kept = kept(number);
        assert_eq!(index.judge(&kept).unwrap(), Verdict::New, "{number}");
        index.place(&kept, u64::from(number) + 1);
    }
}

fn save(index: &mut Index, vault: &SharedVault, cursor: u64) {
    let batch = index.collect(cursor).unwrap();
    batch.write(&**vault, false).unwrap();
    index.saved();
}

#[test]
fn what_was_taken_last_is_remembered_longest_and_no_more_than_the_bound() {
    let vault: SharedVault = Arc::new(MemoryVault::default());
    let (mut index, _) = Index::open(vault.clone(), 40).unwrap();
    for round in 0..10 {
        take(&mut index, round * 10..round * 10 + 10);
        save(&mut index, &vault, u64::from(round) + 1);
        assert_eq!(index.unsaved(), 0, "what is saved is not held in memory");
        assert!(index.remembered() <= 40);
    }
    // What is forgotten leaves the vault, too.
    save(&mut index, &vault, 99);
    let held = vault.scan("accord/known/", "", 1000).unwrap().len();
    assert_eq!(held as u64, index.remembered());
    let (mut index, cursor) = Index::open(vault, 40).unwrap();
    assert_eq!(cursor, 10, "as far as was read when something was saved");
    assert_eq!(
        index.judge(&kept(99)).unwrap(),
        Verdict::Duplicate { seq: 100 }
    );
    assert_eq!(index.judge(&kept(0)).unwrap(), Verdict::New, "forgotten");
}

#[test]
fn what_is_on_its_way_is_known_and_what_was_not_kept_is_not() {
    let vault: SharedVault = Arc::new(MemoryVault::default());
    let (mut index, _) = Index::open(vault.clone(), 40).unwrap();
    let one = kept(1);
    assert_eq!(index.judge(&one).unwrap(), Verdict::New);
    assert_eq!(index.judge(&one).unwrap(), Verdict::Duplicate { seq: 0 });
    save(&mut index, &vault, 1);
    assert_eq!(
        index.seq_of(one.identity, one.content),
        Some(0),
        "not saved away"
    );
    index.forget(&one);
    assert_eq!(index.judge(&one).unwrap(), Verdict::New);
    index.place(&one, 7);
    save(&mut index, &vault, 7);
    let (mut again, _) = Index::open(vault, 40).unwrap();
    assert_eq!(again.judge(&one).unwrap(), Verdict::Duplicate { seq: 7 });
}
