use std::path::PathBuf;

use attest::{Attestor, Batch, KeyEntry, Limits, PrivateKey, Proof, Rules, Scrub};
use glint::{Name, Stamp};

use super::*;
use crate::store::tables::{Cell, Kind, Table};

#[path = "../../../tests/support/signed.rs"]
mod signed;

use signed::Agent;

const HOUR: i64 = 3_600_000_000;

/// A directory of one test, gone after it.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let name = format!("glintcast-traces-{name}-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Dir(dir)
    }

    fn store(&self, retention: Retention) -> TraceStore {
        TraceStore::open(&self.0, retention).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn event(name: Name, seq: u64, hour: i64, text: String) -> Arc<Event> {
    Arc::new(Event {
        name,
        offset: at(seq),
        topic_seq: seq,
        stamp: Stamp(hour * HOUR),
        id: None,
        repeats_id: false,
        source: None,
        phase: None,
        text: text.into(),
    })
}

fn at(seq: u64) -> Offset {
    Offset { epoch: 1, seq }
}

/// The change that enrols the agent's key.
fn enrolment(agent: &Agent) -> (Change, KeyEntry) {
    let entry = KeyEntry::from_json(
        agent
            .enrolment()
            .replace('}', r#", "added_at": "2026-01-01T00:00:00Z"}"#)
            .as_bytes(),
    );
    let entry = entry.unwrap();
    (Change::Enrol(Box::new(entry.clone())), entry)
}

/// The record of a trace, as the log has it.
fn record(agent: &Agent, trace_id: &str) -> String {
    let body = agent.batch(trace_id, 14);
    let tape = Tape::read(body.as_bytes(), &Limits::default()).unwrap();
    let batch = Batch::read(&tape).unwrap();
    let mut ring = KeyRing::default();
    ring.restore(enrolment(agent).1);
    let sealed = batch.verify(&ring, Stamp(0)).unwrap().remove(0);
    let (rules, seed) = (Rules::new(Vec::new()).unwrap(), [9; 32]);
    let attestor = Attestor::new("broker", PrivateKey::from_seed(&seed));
    let scrub = Scrub {
        rules: &rules,
        attestor: &attestor,
    };
    sealed.keep(&batch, scrub, Stamp(0)).text
}

fn trace(agent: &Agent, seq: u64, hour: i64) -> Arc<Event> {
    let text = record(agent, &format!("t{seq}"));
    event(Name::TraceCommitted, seq, hour, text)
}

fn seqs(page: &Page) -> Vec<u64> {
    page.items.iter().map(|kept| kept.offset.seq).collect()
}

fn query() -> Query {
    Query {
        limit: 100,
        bytes: usize::MAX,
        ..Query::default()
    }
}

#[test]
fn traces_and_cursor_are_kept_together_and_nothing_twice() {
    let dir = Dir::new("once");
    let store = dir.store(Retention::default());
    assert_eq!(store.position().unwrap(), None);
    let agent = Agent::new(1);
    let events = [trace(&agent, 3, 0), trace(&agent, 5, 0)];
    store.keep(&events, at(7)).unwrap();
    // A sink that did not hear the answer comes again.
    store.keep(&events, at(7)).unwrap();
    drop(store);
    let store = dir.store(Retention::default());
    assert_eq!(store.position().unwrap(), Some(at(7)));
    let page = store.page(&query()).unwrap();
    assert_eq!(seqs(&page), [3, 5]);
    assert_eq!(page.items[0].text, events[0].text, "the exact bytes");
}

#[test]
fn a_record_that_is_none_is_refused_for_good_and_leaves_no_trace() {
    let store = TraceStore::in_memory(Retention::default()).unwrap();
    let bad = event(Name::TraceCommitted, 2, 0, "{}".to_owned());
    let err = store.keep(&[trace(&Agent::new(1), 1, 0), bad], at(2));
    assert!(matches!(
        refusal(&err.unwrap_err()),
        StoreError::Permanent(_)
    ));
    assert_eq!(
        (store.count().unwrap(), store.position().unwrap()),
        (0, None)
    );
}

#[test]
fn traces_are_found_by_time_agent_key_and_id_in_pages_both_ways() {
    let store = TraceStore::in_memory(Retention::default()).unwrap();
    let (one, two) = (Agent::new(1), Agent::new(2));
    let agent_of = |seq| if seq % 3 == 0 { &two } else { &one };
    let events: Vec<_> = (1..=10)
        .map(|seq| trace(agent_of(seq), seq, seq as i64))
        .collect();
    store.keep(&events, at(10)).unwrap();
    let found = |change: &dyn Fn(&mut Query)| {
        let mut query = query();
        change(&mut query);
        let mut all = Vec::new();
        loop {
            let page = store.page(&query).unwrap();
            assert!(page.items.len() <= query.limit);
            all.extend(seqs(&page));
            match page.next {
                Some(next) => query.after = Some(next.to_string().parse().unwrap()),
                None => return all,
            }
        }
    };
    assert_eq!(
        found(&|query| query.limit = 3),
        (1..=10).collect::<Vec<_>>()
    );
    assert_eq!(
        found(&|query| {
            query.limit = 3;
            query.order = Order::Descending;
        }),
        (1..=10).rev().collect::<Vec<_>>()
    );
    assert_eq!(
        found(&|query| query.agent = Some(two.hash.clone())),
        [3, 6, 9]
    );
    assert_eq!(
        found(&|query| query.key = Some("key-2".to_owned())),
        [3, 6, 9]
    );
    assert_eq!(found(&|query| query.trace = Some("t7".to_owned())), [7]);
    let window = |query: &mut Query| {
        query.from = Some(Stamp(4 * HOUR));
        query.to = Some(Stamp(7 * HOUR));
    };
    assert_eq!(found(&window), [4, 5, 6]);
    assert_eq!(
        found(&|query| {
            window(query);
            query.agent = Some(one.hash.clone());
            query.key = Some(one.key_id.clone());
            query.limit = 1;
        }),
        [4, 5]
    );
    assert_eq!(
        found(&|query| {
            query.from = Some(Stamp(7 * HOUR));
            query.to = Some(Stamp(4 * HOUR));
        }),
        [0; 0],
        "an empty time"
    );
}

#[test]
fn the_oldest_go_first_with_all_that_leads_to_them() {
    let kept = |retention| {
        let store = TraceStore::in_memory(retention).unwrap();
        for seq in 1..=6 {
            let events = [trace(&Agent::new(1), seq, seq as i64)];
            store.keep(&events, at(seq)).unwrap();
        }
        let gone = Query {
            trace: Some("t1".to_owned()),
            ..query()
        };
        assert_eq!(seqs(&store.page(&gone).unwrap()), [0; 0]);
        let agent = Query {
            agent: Some(Agent::new(1).hash),
            ..query()
        };
        assert_eq!(
            seqs(&store.page(&agent).unwrap()),
            seqs(&store.page(&query()).unwrap())
        );
        seqs(&store.page(&query()).unwrap())
    };
    let (traces, hours) = (2, 3);
    assert_eq!(kept(Retention { traces, hours: 0 }), [5, 6]);
    assert_eq!(kept(Retention { traces: 0, hours }), [3, 4, 5, 6]);
}

#[test]
fn what_is_kept_can_be_checked_from_the_store_alone() {
    let store = TraceStore::in_memory(Retention::default()).unwrap();
    let agent = Agent::new(1);
    let change = enrolment(&agent).0.to_json();
    let events = [
        event(Name::KeyChanged, 1, 0, change.clone()),
        trace(&agent, 2, 0),
        event(Name::KeyChanged, 3, 0, change),
    ];
    store.keep(&events, at(3)).unwrap();
    let ring = store.keys().unwrap();
    let page = store.page(&query()).unwrap();
    let proof = page.items[0].read(|record| record.verify(&ring)).unwrap();
    assert_eq!((proof, ring.len()), (Proof::Agent, 1));
}

#[test]
fn rows_have_a_value_for_every_column_and_json_as_it_is_kept() {
    let kept = Kept::of(&trace(&Agent::new(1), 1, 0));
    let count = |table: Table| {
        let rows = kept.read(|record| {
            let rows = table.rows(&kept, record)?;
            for row in &rows {
                assert_eq!(row.len(), table.columns().len());
                for (column, cell) in table.columns().iter().zip(row) {
                    let fits = match cell {
                        Cell::Null => true,
                        Cell::Text(_) => column.kind == Kind::Text,
                        Cell::Int(_) => column.kind == Kind::Int,
                        Cell::Float(_) => column.kind == Kind::Float,
                        Cell::Time(_) => column.kind == Kind::Time,
                        Cell::Json(text) => {
                            assert!(kept.text.contains(text));
                            column.kind == Kind::Json
                        }
                    };
                    assert!(fits, "{} of {}", column.name, table.name());
                }
            }
            Ok(rows.len())
        });
        rows.unwrap()
    };
    assert_eq!(Table::ALL.map(count), [1, 14, 2]);
}
