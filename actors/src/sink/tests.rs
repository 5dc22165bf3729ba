use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use glint::{Name, Stamp, Topics};
use prometheus::Registry;

use super::*;
use crate::metrics::Metrics;
use crate::tail::{Limits, tests::event};
use crate::vault::MemoryVault;

const GATHER: Duration = Duration::from_millis(100);

/// What a store of tests has, and how it behaves.
#[derive(Debug, Default)]
struct Inside {
    rows: Vec<u64>,
    cursor: Option<Offset>,
    /// Answers to come, the next one last; when there are none left it works.
    answers: Vec<Answer>,
    poison: BTreeSet<u64>,
    opened: u32,
    writes: u32,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Works,
    Fails,
    /// The work is done, but the answer does not arrive.
    WorksUnheard,
    Hangs,
}

#[derive(Debug, Clone, Default)]
struct Fake(Arc<Mutex<Inside>>);

impl Fake {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().expect("not poisoned")
    }
}

impl Store for Fake {
    fn open(&mut self) -> Pending<'_, Option<Offset>> {
        let mut inside = self.inside();
        inside.opened += 1;
        let cursor = inside.cursor;
        Box::pin(async move { Ok(cursor) })
    }

    fn write<'a>(&'a mut self, events: &'a [Arc<Event>], upto: Offset) -> Pending<'a, ()> {
        let mut inside = self.inside();
        inside.writes += 1;
        let answer = inside.answers.pop().unwrap_or(Answer::Works);
        let poisoned = |event: &Arc<Event>| inside.poison.contains(&event.offset.seq);
        let away = || StoreError::Transient("away".into());
        let result = match answer {
            Answer::Fails => Err(away()),
            Answer::Hangs => return Box::pin(std::future::pending()),
            _ if events.iter().any(poisoned) => Err(StoreError::Permanent("unfit".into())),
            _ => {
                inside
                    .rows
                    .extend(events.iter().map(|event| event.offset.seq));
                inside.cursor = Some(upto);
                match answer {
                    Answer::WorksUnheard => Err(away()),
                    _ => Ok(()),
                }
            }
        };
        Box::pin(async move { result })
    }
}

struct Stand {
    tail: Tail,
    store: Fake,
    vault: SharedVault,
}

impl Stand {
    fn new() -> Stand {
        let metrics = Metrics::register(&Registry::new()).expect("metrics");
        let limits = Limits {
            events: 1_000_000,
            bytes: 1 << 30,
        };
        Stand {
            tail: Tail::new(1, limits, metrics),
            store: Fake::default(),
            vault: Arc::new(MemoryVault::default()),
        }
    }

    /// Adds events of which every other is wanted.
    fn add(&self, seqs: std::ops::RangeInclusive<u64>) {
        let name = |seq: u64| match seq % 2 {
            0 => Name::GlintEmission,
            _ => Name::PhaseUpdate,
        };
        let events = seqs.map(|seq| event(name(seq), seq));
        self.tail.push(events.collect());
    }

    fn start(&self, dead_max: usize) -> (SinkHandle, tokio::task::JoinHandle<()>) {
        let settings = Settings {
            name: "test",
            wants: |event| event.name == Name::GlintEmission,
            topics: Topics::ALL,
            batch_events: 8,
            batch_bytes: 1 << 20,
            gather: GATHER,
            patience: Duration::from_secs(5),
            backoff: (Duration::from_millis(100), Duration::from_secs(5)),
            dead_max,
        };
        let dead = DeadLetters::open(self.vault.clone(), "test", dead_max).expect("a vault");
        let metrics = SinkMetrics::register(&Registry::new()).expect("metrics");
        let handle = SinkHandle::new("test", dead, self.tail.clone(), metrics.of("test"));
        let clock = Clock::of_runtime(Stamp(0));
        let store = Box::new(self.store.clone());
        let courier = Courier::new(settings, store, clock, self.tail.clone(), handle.clone());
        (handle, tokio::spawn(courier.run()))
    }

    fn wanted(last: u64) -> Vec<u64> {
        (1..=last).filter(|seq| seq % 2 == 0).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wanted_is_written_once_and_in_order_through_outages_and_lost_answers() {
    use Answer::{Fails, Hangs, Works, WorksUnheard};
    let stand = Stand::new();
    stand.add(1..=99);
    stand.store.inside().answers = vec![
        Fails,
        WorksUnheard,
        Works,
        Hangs,
        WorksUnheard,
        Fails,
        Fails,
        Works,
        WorksUnheard,
    ];
    let (handle, running) = stand.start(9);
    while handle.report().state != State::Current {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(handle.finish().await);
    running.await.expect("it ends");
    let inside = stand.store.inside();
    assert_eq!(inside.rows, Stand::wanted(99));
    assert_eq!(inside.cursor, Some(Offset { epoch: 1, seq: 99 }));
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_it_flows_again_by_itself_and_says_so() {
    let stand = Stand::new();
    stand.add(1..=10);
    stand.store.inside().answers = vec![Answer::Fails; 50];
    let (handle, _running) = stand.start(9);
    while handle.report().state != State::Failing {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let report = handle.report();
    assert_eq!((report.error.as_deref(), report.lag), (Some("away"), 10));
    stand.add(11..=20);
    handle.wake();
    assert_eq!(handle.report().lag, 20);
    while handle.report().state != State::Current {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(stand.store.inside().rows, Stand::wanted(20));
    let report = handle.report();
    assert_eq!((report.error, report.lag, report.written), (None, 0, 10));
    // And while it runs, what comes is carried without an outage before it.
    stand.add(21..=22);
    handle.wake();
    while handle.report().written != 11 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_listed_and_blocks_nobody() {
    let stand = Stand::new();
    stand.add(1..=60);
    stand.store.inside().poison = [14, 16, 60].into();
    let (handle, _running) = stand.start(2);
    handle.finish().await;
    let rows = Stand::wanted(60)
        .into_iter()
        .filter(|seq| ![14, 16, 60].contains(seq));
    assert_eq!(stand.store.inside().rows, rows.collect::<Vec<_>>());
    assert_eq!(
        stand.store.inside().cursor.map(|cursor| cursor.seq),
        Some(60)
    );
    let dead = handle.dead_letters();
    let letters = dead.list(None, 9).expect("a vault");
    let listed: Vec<_> = letters.iter().map(|letter| letter.offset.seq).collect();
    assert_eq!(listed, [16, 60], "the list is bounded, the oldest left it");
    assert_eq!((letters[0].reason.as_str(), dead.total()), ("unfit", 3));
    let again = DeadLetters::open(stand.vault.clone(), "test", 2).expect("a vault");
    assert_eq!((again.listed(), again.total()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_fits_now_is_taken_when_it_is_offered_again() {
    let stand = Stand::new();
    stand.add(1..=10);
    stand.store.inside().poison = [4, 8].into();
    let (handle, _running) = stand.start(9);
    while handle.report().state != State::Current {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stand.store.inside().poison = [8].into();
    handle.retry_dead_letters();
    while handle.dead_letters().listed() != 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let inside = stand.store.inside();
    assert_eq!(inside.rows, [2, 6, 10, 4]);
    assert_eq!(inside.cursor, Some(Offset { epoch: 1, seq: 10 }));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_lost_its_log_reads_the_new_one_from_its_beginning() {
    for stored in [Offset { epoch: 7, seq: 3 }, Offset { epoch: 1, seq: 900 }] {
        let stand = Stand::new();
        stand.add(1..=10);
        stand.store.inside().cursor = Some(stored);
        let (handle, _running) = stand.start(9);
        handle.finish().await;
        assert_eq!(stand.store.inside().rows, Stand::wanted(10), "{stored}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_soon_after_a_write_goes_out_together() {
    let stand = Stand::new();
    stand.add(1..=2);
    let (handle, _running) = stand.start(9);
    while handle.report().written != 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // One after the other, each with a ring of its own.
    for seq in 3..=15 {
        stand.add(seq..=seq);
        handle.wake();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(stand.store.inside().writes, 1);
    tokio::time::sleep(GATHER).await;
    let inside = stand.store.inside();
    assert_eq!((inside.writes, &inside.rows), (2, &Stand::wanted(15)));
}
