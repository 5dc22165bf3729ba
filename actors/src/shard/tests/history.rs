//! Beginnings in the past, falls and gaps.

use glint::{Name, Offset};
use sieve::View;
use wire::Form;

use super::house::{House, NARROW, Plan, at, of_module, settle};
use crate::shard::From;

#[actix_rt::test]
async fn a_stream_begins_where_it_was_asked_to() {
    let house = House::open(Plan::default()).await;
    house.post_all(&["a", "b", "a", "b", "b"]).await;
    house.announce(Name::PhaseUpdate);
    settle().await;
    let everything = View::everything();
    let b = of_module("b");
    let cases: [(&View, From, &[u64]); 10] = [
        (&everything, From::Now, &[]),
        (&everything, From::Earliest, &[1, 2, 3, 4, 5, 6]),
        (&everything, From::Last(0), &[]),
        (&everything, From::Last(2), &[5, 6]),
        (&everything, From::Last(99), &[1, 2, 3, 4, 5, 6]),
        (&b, From::Last(2), &[4, 5]),
        (&b, From::Last(99), &[2, 4, 5]),
        (&everything, From::After(at(0)), &[1, 2, 3, 4, 5, 6]),
        (&everything, From::After(at(4)), &[5, 6]),
        (&b, From::After(at(6)), &[]),
    ];
    for (view, from, expected) in cases {
        for form in [Form::Ndjson, Form::SseGs1, Form::SseNamed] {
            let mut reader = house.attach(form, view, from);
            reader.catch_up().await;
            assert_eq!(reader.seqs(), expected, "{form:?} from {from:?}");
            assert!(reader.recovered() && reader.gaps().is_empty());
        }
    }
}

#[actix_rt::test]
async fn many_pages_of_history_join_the_lane_while_more_is_published() {
    let house = House::open(Plan {
        lane: NARROW,
        ..Plan::default()
    })
    .await;
    house.burst("a", 2500).await;
    let mut reader = house.attach(Form::Ndjson, &View::everything(), From::Earliest);
    let mut wanted = 2500;
    for size in [1, 100, 4000, 16 * 1024].into_iter().cycle().take(200) {
        reader.poll(size);
        house.burst("b", 3).await;
        wanted += 3;
    }
    reader.catch_up().await;
    assert_eq!(reader.seqs(), (1..=wanted).collect::<Vec<_>>());
    house.post("a").await;
    assert_eq!(reader.catch_up().await.seqs().last(), Some(&(wanted + 1)));
}

#[actix_rt::test]
async fn history_without_a_match_gives_others_their_turn_and_arrives_at_the_lane() {
    let house = House::open(Plan::default()).await;
    house.burst("a", 3000).await;
    let mut reader = house.attach(Form::Ndjson, &of_module("b"), From::Earliest);
    reader.poll(16 * 1024);
    assert!(
        !reader.poll(16 * 1024) && reader.is_woken(),
        "a turn, not the whole of it"
    );
    reader.catch_up().await;
    assert!(!reader.is_woken());
    house.post("b").await;
    assert_eq!(reader.catch_up().await.seqs(), [3001]);
}

#[actix_rt::test]
async fn who_falls_behind_the_lane_replays() {
    let house = House::open(Plan {
        lane: NARROW,
        ..Plan::default()
    })
    .await;
    let mut readers: Vec<_> = [Form::Ndjson, Form::SseBilingual, Form::WsGs1Binary]
        .into_iter()
        .map(|form| house.attach(form, &View::everything(), From::Now))
        .collect();
    for reader in &mut readers {
        reader.catch_up().await;
    }
    house.burst("a", 500).await;
    for reader in &mut readers {
        reader.catch_up().await;
        assert_eq!(reader.seqs(), (1..=500).collect::<Vec<_>>());
        assert!(reader.gaps().is_empty());
    }
    assert_eq!(house.metrics.stream_falls.get(), 3);
    house.post("a").await;
    for reader in &mut readers {
        assert_eq!(reader.catch_up().await.seqs().len(), 501);
    }
}

#[actix_rt::test]
async fn who_falls_behind_history_is_told_once_with_right_numbers() {
    let house = House::open(Plan {
        lane: NARROW,
        history: 100,
        ..Plan::default()
    })
    .await;
    for form in Form::ALL {
        let before = house.tail.head().seq;
        let mut reader = house.attach(form, &View::everything(), From::Now);
        house.burst("a", 5).await;
        reader.catch_up().await;
        house.burst("a", 300).await;
        reader.catch_up().await;
        let gap = (before + 5, before + 205, "evicted");
        assert_eq!(reader.gaps(), [gap], "{form:?}");
        let expected: Vec<u64> = (1..=5).chain(206..=305).map(|n| before + n).collect();
        assert_eq!(reader.seqs(), expected, "{form:?}");
        house.post("a").await;
        reader.catch_up().await;
        assert_eq!(reader.gaps().len(), 1);
        assert_eq!(reader.count(Name::GlintEmission), 106, "{form:?}");
    }
}

#[actix_rt::test]
async fn a_cursor_that_cannot_be_honoured_is_a_gap_and_the_stream_goes_on() {
    let house = House::open(Plan {
        history: 100,
        ..Plan::default()
    })
    .await;
    house.burst("a", 150).await;
    let forms = [
        Form::Ndjson,
        Form::SsePlain,
        Form::SseEnvelope,
        Form::WsGs1Text,
    ];
    for form in forms {
        let (floor, head) = (house.tail.floor().seq, house.tail.head().seq);
        let cases = [
            (Offset { epoch: 8, seq: 120 }, (120, floor, "unknown_epoch")),
            (at(20), (20, floor, "evicted")),
            (at(9999), (9999, head, "unknown_cursor")),
        ];
        let mut readers = cases.map(|(cursor, gap)| {
            let reader = house.attach(form, &View::everything(), From::After(cursor));
            (reader, gap)
        });
        for (reader, gap) in &mut readers {
            reader.catch_up().await;
            assert!(!reader.recovered(), "{form:?} {gap:?}");
            assert_eq!(reader.gaps(), [*gap], "{form:?}");
        }
        house.post("a").await;
        for (reader, (_, end, _)) in &mut readers {
            reader.catch_up().await;
            assert_eq!(reader.gaps().len(), 1);
            assert_eq!(
                reader.seqs(),
                (*end + 1..=head + 1).collect::<Vec<_>>(),
                "{form:?}"
            );
        }
    }
}

#[actix_rt::test]
async fn a_worker_too_late_for_the_feed_loses_nothing_that_history_has() {
    let house = House::open(Plan::default()).await;
    let mut reader = house.attach(Form::Ndjson, &View::everything(), From::Now);
    let mut filtered = house.attach(Form::SseGs1, &of_module("b"), From::Now);
    reader.catch_up().await;
    filtered.catch_up().await;
    house.post_all(&["a", "b"]).await;
    // One offer: the worker does not run in between.
    house.burst("b", 9000).await;
    reader.catch_up().await;
    filtered.catch_up().await;
    assert_eq!(house.metrics.feed_falls.get(), 1);
    assert_eq!(reader.seqs(), (1..=9002).collect::<Vec<_>>());
    assert_eq!(filtered.seqs(), (2..=9002).collect::<Vec<_>>());
    filtered.read_strictly();
    house.post("b").await;
    assert_eq!(reader.catch_up().await.seqs().last(), Some(&9003));
    assert_eq!(filtered.catch_up().await.seqs().last(), Some(&9003));
    filtered.read_strictly();
}

#[actix_rt::test]
async fn a_quiet_view_that_lost_nothing_is_not_told_of_a_gap() {
    let house = House::open(Plan {
        lane: NARROW,
        history: 400,
        ..Plan::default()
    })
    .await;
    let mut reader = house.attach(Form::Ndjson, &of_module("b"), From::Now);
    house.post("b").await;
    reader.catch_up().await;
    // None of these is in the view, so the reader sleeps while history forgets them.
    for _ in 0..10 {
        house.burst("a", 100).await;
        settle().await;
    }
    house.burst("b", 50).await;
    reader.catch_up().await;
    assert!(reader.gaps().is_empty(), "{:?}", reader.gaps());
    assert_eq!(reader.seqs().len(), 51);
}

#[actix_rt::test]
async fn a_quiet_lane_gives_its_memory_back_once_all_have_read_it() {
    let house = House::open(Plan::default()).await;
    let everything = View::everything();
    let mut quick = house.attach(Form::Ndjson, &everything, From::Now);
    let mut slow = house.attach(Form::Ndjson, &everything, From::Now);
    quick.catch_up().await;
    slow.catch_up().await;
    house.burst("a", 100).await;
    quick.catch_up().await;
    let held = || house.metrics.lane_bytes.get();
    for _ in 0..3 {
        house.tick().await;
        assert!(held() > 0, "somebody has not read it yet");
    }
    let all: Vec<u64> = (1..=100).collect();
    assert_eq!(slow.catch_up().await.seqs(), all);
    house.tick().await;
    assert_eq!(held(), 0);

    let mut late = house.attach(Form::Ndjson, &everything, From::After(at(40)));
    assert_eq!(late.catch_up().await.seqs(), all[40..]);
    house.post("a").await;
    for reader in [&mut quick, &mut slow, &mut late] {
        assert_eq!(reader.catch_up().await.seqs().last(), Some(&101));
        assert!(reader.gaps().is_empty());
    }
    house.tick().await;
    assert!(held() > 0, "it may have a reader again in a moment");
    house.tick().await;
    assert_eq!(held(), 0);
}
