use prometheus::Registry;

use super::*;

/// A past in memory, of up to a mebibyte.
pub(crate) fn tail(events: usize) -> Tail {
    let metrics = Metrics::register(&Registry::new()).expect("metrics");
    Tail::new(
        1,
        Limits {
            events,
            bytes: 1 << 20,
        },
        metrics,
    )
}

/// An event of epoch 1 that says nothing.
pub(crate) fn event(name: Name, seq: u64) -> Event {
    Event {
        name,
        offset: Offset { epoch: 1, seq },
        topic_seq: seq,
        stamp: Stamp(0),
        id: None,
        repeats_id: false,
        source: None,
        phase: None,
        text: "{}".into(),
    }
}

fn seqs(history: History) -> Vec<u64> {
    match history {
        History::Events(events) => events.iter().map(|event| event.offset.seq).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn history_is_read_by_offset_and_ends_where_it_was_told_to() {
    let tail = tail(10);
    tail.push((1..=5).map(|seq| event(Name::GlintEmission, seq)).collect());
    assert_eq!(seqs(tail.history(0, u64::MAX, 100)), [1, 2, 3, 4, 5]);
    assert_eq!(seqs(tail.history(2, 4, 100)), [3, 4]);
    assert_eq!(seqs(tail.history(2, u64::MAX, 1)), [3]);
    assert!(matches!(tail.history(5, u64::MAX, 1), History::Head));
    assert!(matches!(tail.history(4, 4, 1), History::Head));
}

#[test]
fn history_that_is_gone_says_where_it_begins() {
    let tail = tail(2);
    tail.push((1..=5).map(|seq| event(Name::GlintEmission, seq)).collect());
    assert!(matches!(
        tail.history(2, u64::MAX, 9),
        History::Gone { floor: 3 }
    ));
    assert_eq!(seqs(tail.history(3, u64::MAX, 9)), [4, 5]);
    assert_eq!(tail.newest_that(1, |_| true)[0].offset.seq, 5);
}

#[test]
fn heartbeats_are_fed_and_not_kept() {
    let tail = tail(10);
    tail.push(vec![
        event(Name::GlintEmission, 1),
        event(Name::Heartbeat, 1),
        event(Name::PhaseUpdate, 2),
    ]);
    assert_eq!(seqs(tail.history(0, u64::MAX, 9)), [1, 2]);
    let feed = tail.feed(1, 9);
    assert_eq!(
        feed.events
            .iter()
            .map(|event| event.name)
            .collect::<Vec<_>>(),
        [Name::Heartbeat, Name::PhaseUpdate]
    );
    assert_eq!((feed.next, feed.head, feed.fell), (3, 2, false));
}

#[test]
fn a_reader_that_is_too_late_is_told() {
    let tail = tail(10);
    for _ in 0..=FEED_EVENTS {
        tail.push(vec![event(Name::Heartbeat, 0)]);
    }
    assert!(tail.feed(0, 1).fell);
    assert!(!tail.feed(1, 1).fell);
}
#[test]
fn memory_holds_fewer_events_the_larger_they_are() {
    let tail = tail(100);
    assert_eq!(tail.capacity(), 100);
    tail.push(vec![event(Name::GlintEmission, 1)]);
    assert_eq!(tail.capacity(), 100);
    let text = "x".repeat(100 << 10);
    tail.push(vec![Event {
        text: text.into(),
        ..event(Name::GlintEmission, 2)
    }]);
    let mean = (100 << 10) / 2;
    let most = (1 << 20) / mean;
    assert!(
        (most - 1..=most).contains(&tail.capacity()),
        "{}",
        tail.capacity()
    );
}
