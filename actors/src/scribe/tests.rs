use std::io::ErrorKind;
use std::time::Duration;

use glint::{Name, Offset, Stamp, Topic};
use ledger::testing::{Faults, FaultyDisk};
use ledger::{Options, Page, Reader};
use prometheus::Registry;
use tokio::sync::oneshot;

use super::*;
use crate::tail::{History, Limits};
use crate::vault::MemoryVault;

const NOW: i64 = 1_763_697_425_000_000;
/// Everything is later.
const SINCE: Since = Since {
    keys: NOW,
    glints: NOW,
};
/// Far above what anything takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A scribe at work, and what its work shows in.
struct Office {
    disk: FaultyDisk,
    scribe: Scribe,
    tail: Tail,
    warden: Warden,
    reader: Reader,
}

fn office() -> Office {
    let disk = FaultyDisk::default();
    let (writer, _) = Writer::open(Arc::new(disk.clone()), Options::default(), NOW).expect("a log");
    let metrics = Metrics::register(&Registry::new()).expect("metrics");
    let limits = Limits {
        events: 100,
        bytes: 1 << 20,
    };
    let (epoch, reader) = (writer.epoch(), writer.reader());
    let tail = Tail::over(
        Some(Archive::new(reader.clone())),
        epoch,
        0,
        limits,
        metrics.clone(),
    );
    let warden = Warden::default();
    let desk = Desk {
        writer,
        durability: Durability::Fsync,
        tail: tail.clone(),
        bells: Bells::default(),
        clock: Clock::system(),
        metrics,
        warden: warden.clone(),
    };
    let scribe = Scribe::start(desk, 64).expect("a thread");
    Office {
        disk,
        scribe,
        tail,
        warden,
        reader,
    }
}

impl Office {
    fn event(&self, name: Name, seq: u64) -> Event {
        Event {
            name,
            offset: Offset {
                epoch: self.tail.epoch(),
                seq,
            },
            topic_seq: seq,
            stamp: Stamp(NOW + seq as i64),
            id: Some(format!("e{seq}").into()),
            repeats_id: false,
            source: None,
            phase: None,
            text: "{}".into(),
        }
    }

    fn glints(&self, seqs: std::ops::RangeInclusive<u64>) -> Vec<Event> {
        seqs.map(|seq| self.event(Name::GlintEmission, seq))
            .collect()
    }

    /// Names and places in the feed.
    fn feed(&self) -> Vec<(Name, u64)> {
        let events = self.tail.feed(0, 1000).events;
        events
            .iter()
            .map(|event| (event.name, event.offset.seq))
            .collect()
    }

    /// Hands events over; what comes back hears what became of them.
    fn submit(&self, events: Vec<Event>) -> Result<Answer, Refusal> {
        self.scribe.check_room()?;
        let (tell, wait) = oneshot::channel();
        let done = Box::new(move |kept| tell.send(kept).expect("somebody waits"));
        self.scribe.submit(events, None, Some(done));
        Ok(wait)
    }

    fn logged(&self) -> Vec<u64> {
        seqs(&self.reader)
    }
}

fn seqs(reader: &Reader) -> Vec<u64> {
    match reader.read(0, u64::MAX, 1000, 1 << 20).expect("readable") {
        Page::Records(records) => records.iter().map(|record| record.seq).collect(),
        _ => Vec::new(),
    }
}

type Answer = oneshot::Receiver<Result<(), Refusal>>;

async fn answer(wait: Answer) -> bool {
    let answer = tokio::time::timeout(PATIENCE, wait).await;
    match answer.expect("an answer in time").expect("an answer") {
        Ok(()) => true,
        Err(refusal) => {
            assert_eq!(refusal.code, "ledger_failed");
            false
        }
    }
}

/// Has one offer kept and the next fail, and checks that nobody is told otherwise.
async fn fails_on(faults: Faults, action: &str) {
    let office = office();
    let kept = office.submit(office.glints(1..=3)).unwrap();
    assert!(answer(kept).await);
    office.disk.fail(faults);
    let failed: Vec<_> = (4..=9)
        .filter_map(|seq| office.submit(office.glints(seq..=seq)).ok())
        .collect();
    assert!(!failed.is_empty());
    for wait in failed {
        assert!(!answer(wait).await, "nobody is told yes");
    }
    let fallen = tokio::time::timeout(PATIENCE, office.warden.fall()).await;
    assert_eq!(fallen.expect("the warden hears"), OFFICE);
    let fault = office.scribe.fault().expect("it says why");
    assert!(fault.contains(action) && fault.contains(".log"), "{fault}");
    let later = office.submit(office.glints(10..=10));
    match later {
        Err(refusal) => assert_eq!(refusal.code, "ledger_failed"),
        Ok(wait) => assert!(!answer(wait).await, "the thread was on its way out"),
    }
    let glint = |seq| (Name::GlintEmission, seq);
    assert_eq!(office.feed(), [glint(1), glint(2), glint(3)]);
    assert_eq!(office.tail.head().seq, 3);
    assert!(matches!(office.tail.history(3, u64::MAX, 9), History::Head));
    assert_eq!(office.logged(), [1, 2, 3], "readers of the log see no more");
    office.disk.crash(0);
    let after = Reader::open(&office.disk).expect("a log");
    assert_eq!(seqs(&after), [1, 2, 3]);
}

#[tokio::test]
async fn after_a_failed_sync_nobody_is_told_yes_and_nothing_more_is_seen() {
    let faults = Faults {
        sync: Some((0, ErrorKind::Other)),
        ..Faults::default()
    };
    fails_on(faults, "sync").await;
}

#[tokio::test]
async fn on_a_full_disk_nobody_is_told_yes_and_nothing_more_is_seen() {
    for short in [0, 20, 100] {
        let faults = Faults {
            write: Some((0, ErrorKind::StorageFull)),
            short,
            ..Faults::default()
        };
        fails_on(faults, "writing").await;
    }
}

#[tokio::test]
async fn groups_keep_the_order_of_submission_heartbeats_included() {
    let office = office();
    let (mut expected, mut waits, mut seq) = (Vec::new(), Vec::new(), 0);
    for turn in 0..40 {
        let events = if turn % 3 == 1 {
            vec![office.event(Name::Heartbeat, seq)]
        } else {
            let first = seq + 1;
            seq += 1 + turn % 4;
            office.glints(first..=seq)
        };
        expected.extend(events.iter().map(|event| (event.name, event.offset.seq)));
        waits.push(office.submit(events).unwrap());
    }
    for wait in waits {
        assert!(answer(wait).await);
    }
    assert_eq!(office.feed(), expected);
    assert_eq!(office.logged(), (1..=seq).collect::<Vec<u64>>());
}

#[tokio::test]
async fn what_was_acknowledged_is_on_the_disk_when_the_machine_stops() {
    let office = office();
    for seq in 1..=20 {
        let wait = office.submit(office.glints(seq..=seq)).unwrap();
        assert!(answer(wait).await);
    }
    office.disk.crash(0);
    let reader = Reader::open(&office.disk).expect("a log");
    let restored = restore(&reader, 100, SINCE, None).unwrap();
    assert_eq!(restored.events, office.glints(1..=20));
    assert_eq!(restored.last_seq, 20);
}

#[tokio::test]
async fn damage_to_the_last_group_of_a_broker_that_was_stopped_is_not_taken_for_a_torn_end() {
    let Office {
        disk,
        scribe,
        reader,
        tail,
        ..
    } = {
        let office = office();
        let wait = office.submit(office.glints(1..=3)).unwrap();
        assert!(answer(wait).await);
        office
    };
    let before = reader.bytes();
    drop(scribe);
    while reader.bytes() == before {
        tokio::task::yield_now().await;
    }
    drop(tail);
    let name = "00000000000000000001.log";
    let mut bytes = disk.read(name);
    // The last byte of the last record: behind it is the witness, of 64 bytes.
    let last = bytes.len() - 64 - 1;
    bytes[last] ^= 1;
    disk.put(name, bytes);
    let opened = Writer::open(Arc::new(disk), Options::default(), NOW);
    assert_eq!(opened.err().expect("refused").code(), "ledger_damaged");
}

#[tokio::test]
async fn numbers_of_topics_go_on_where_a_saved_place_says_so() {
    let office = office();
    let wait = office.submit(office.glints(1..=3)).unwrap();
    assert!(answer(wait).await);
    let vault = MemoryVault::default();
    let mut saved = Restored {
        last_seq: 2,
        ..Restored::default()
    };
    saved.topic_seqs[Topic::Seals.index()] = 7;
    saved.topic_seqs[Topic::Glints.index()] = 2;
    let restored = |epoch: u64, saved: &Restored| {
        Numbers::of(epoch, saved).save(&vault).unwrap();
        let known = Numbers::load(&vault).unwrap();
        restore(&office.reader, 1, SINCE, known).unwrap().topic_seqs
    };
    let seqs = restored(office.reader.epoch(), &saved);
    assert_eq!(
        (seqs[Topic::Glints.index()], seqs[Topic::Seals.index()]),
        (3, 7)
    );
    // Of another epoch, or of a place that the log does not have, nothing is known.
    let seqs = restored(office.reader.epoch() + 1, &saved);
    assert_eq!(
        (seqs[Topic::Glints.index()], seqs[Topic::Seals.index()]),
        (3, 0)
    );
    saved.last_seq = 4;
    let seqs = restored(office.reader.epoch(), &saved);
    assert_eq!(
        (seqs[Topic::Glints.index()], seqs[Topic::Seals.index()]),
        (3, 0)
    );
}
