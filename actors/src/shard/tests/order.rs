//! Everybody gets everything once, in one order.

use std::time::Duration;

use glint::Name;
use sieve::View;
use wire::Form;

use super::house::{House, Plan, Reader, of_module, of_topics, request, settle};
use crate::shard::From;

#[actix_rt::test]
async fn streams_of_all_forms_and_workers_get_every_glint_once_in_one_order() {
    let house = House::open(Plan {
        workers: 2,
        ..Plan::default()
    })
    .await;
    let mut readers = Vec::new();
    for worker in 0..2 {
        for form in Form::ALL {
            let request = request(form, &View::everything(), From::Now);
            readers.push(house.try_attach(worker, request).expect("a seat"));
        }
    }
    for round in 0..40 {
        house.post_all(&["a", "b", "c"][..1 + round % 3]).await;
        house.announce(Name::Heartbeat);
        if round % 7 == 0 {
            house.announce(Name::ClimateUpdate);
        }
        let place = round % readers.len();
        readers[place].catch_up().await;
    }
    let past = house.past();
    let seqs: Vec<u64> = past.iter().map(|event| event.offset.seq).collect();
    let ids: Vec<&str> = past
        .iter()
        .filter_map(|event| event.id.as_deref())
        .collect();
    for reader in &mut readers {
        reader.catch_up().await;
        let form = reader.form;
        assert_eq!(reader.count(Name::Heartbeat), 40, "{form:?}");
        assert_eq!(reader.seqs(), seqs, "{form:?}");
        let heard: Vec<&str> = reader
            .heard()
            .filter_map(|heard| heard.id.as_deref())
            .collect();
        assert_eq!(heard, ids, "{form:?}");
    }
}

#[actix_rt::test]
async fn equal_views_share_a_lane_and_the_lane_goes_with_its_last_reader() {
    let house = House::open(Plan::default()).await;
    let attach = |view| house.attach(Form::Ndjson, view, From::Now);
    let (a, b) = (of_module("a"), of_module("b"));
    let mut readers = vec![
        attach(&a),
        attach(&a),
        attach(&b),
        attach(&View::everything()),
    ];
    house.tick().await;
    assert_eq!(house.lanes(), 3);
    house.post_all(&["a", "b", "a"]).await;
    let expected: [&[u64]; 4] = [&[1, 3], &[1, 3], &[2], &[1, 2, 3]];
    for (reader, expected) in readers.iter_mut().zip(expected) {
        assert_eq!(reader.catch_up().await.seqs(), expected);
    }
    readers.remove(0);
    house.tick().await;
    assert_eq!(house.lanes(), 3, "one reader of the view is left");
    readers.remove(0);
    house.tick().await;
    assert_eq!(house.lanes(), 2);
    readers.clear();
    house.tick().await;
    assert_eq!((house.lanes(), house.metrics.lane_bytes.get()), (0, 0));
}

#[actix_rt::test]
async fn whole_topics_bring_nothing_of_others() {
    let house = House::open(Plan::default()).await;
    let mut glints = house.attach(Form::Ndjson, &of_topics("glints"), From::Now);
    let mut state = house.attach(Form::Ndjson, &of_topics("state"), From::Now);
    for name in [Name::PhaseUpdate, Name::Heartbeat, Name::UsageUpdate] {
        house.announce(name);
    }
    house.post("a").await;
    assert_eq!(glints.catch_up().await.seqs(), [3]);
    assert_eq!(state.catch_up().await.seqs(), [1, 2]);
    assert_eq!(
        (glints.count(Name::Heartbeat), state.count(Name::Heartbeat)),
        (0, 1)
    );
}

#[actix_rt::test]
async fn parked_streams_may_leave_in_any_order_without_waking_or_losing_another() {
    tokio::time::pause();
    for seed in 0..40_u64 {
        let house = House::open_again(Plan::default()).await;
        let mut readers: Vec<_> = (0..9)
            .map(|_| house.attach(Form::Ndjson, &View::everything(), From::Now))
            .collect();
        for reader in &mut readers {
            reader.catch_up().await;
        }
        let mut state = seed;
        while readers.len() > 3 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            readers.swap_remove((state >> 33) as usize % readers.len());
            settle().await;
            assert!(
                readers.iter().all(|reader| !reader.is_woken()),
                "seed {seed}"
            );
        }
        house.post("a").await;
        settle().await;
        for reader in &mut readers {
            assert!(reader.is_woken(), "seed {seed}");
            assert_eq!(reader.drain().seqs(), [1], "seed {seed}");
        }
    }
}

#[actix_rt::test]
async fn thousands_of_sleepers_are_all_woken() {
    let house = House::open(Plan::default()).await;
    let mut readers: Vec<_> = (0..2000)
        .map(|_| house.attach(Form::SseNamed, &View::everything(), From::Now))
        .collect();
    for reader in &mut readers {
        reader.drain();
    }
    house.post("a").await;
    settle().await;
    for reader in &mut readers {
        assert_eq!(reader.drain().seqs(), [1]);
    }
}

/// Returns the most readers that were woken between two turns of somebody else, while `cause` had its effect.
async fn most_at_once(readers: Vec<Reader>, cause: impl Future<Output = ()>) -> usize {
    let all = readers.len();
    let bystander = actix_rt::spawn(async move {
        let (mut woken, mut most) = (0, 0);
        while woken < all {
            let now = readers.iter().filter(|reader| reader.is_woken()).count();
            most = most.max(now - woken);
            woken = now;
            tokio::task::yield_now().await;
        }
        most
    });
    cause.await;
    bystander.await.expect("joined")
}

#[actix_rt::test]
async fn others_have_turns_while_many_are_woken() {
    let house = House::open(Plan::default()).await;
    let parked = async |count| {
        let attach = |_| house.attach(Form::Ndjson, &of_module("b"), From::Now);
        let mut readers: Vec<_> = (0..count).map(attach).collect();
        for reader in &mut readers {
            reader.drain();
        }
        readers
    };
    let news = most_at_once(parked(1000).await, house.burst("b", 1)).await;
    let keepalives = most_at_once(parked(1000).await, async {
        for _ in 0..20 {
            // Time that is told to go on does so even while somebody is busy.
            tokio::time::advance(Duration::from_secs(1)).await;
            settle().await;
        }
    })
    .await;
    let late = most_at_once(parked(1000).await, house.burst("b", 9000)).await;
    assert_eq!(house.metrics.feed_falls.get(), 1);
    assert!(
        [news, keepalives, late].iter().all(|most| *most <= 128),
        "{news} {keepalives} {late}"
    );
}
