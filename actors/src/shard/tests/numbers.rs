//! Sids and seqs of the numbered forms, as a strict reader takes them.

use std::collections::HashSet;

use glint::{Name, Topic};
use sieve::View;
use wire::{Form, TOPIC_LIVES, sid_of_topic};

use super::house::{EPOCH, House, NARROW, Plan, Reader, at, of_module, of_topics, request};
use super::said::Said;
use crate::shard::{From, Request, Slow};

const NUMBERED: [Form; 3] = [Form::SseGs1, Form::WsGs1Text, Form::WsGs1Binary];

#[actix_rt::test]
async fn whole_topics_have_the_same_numbers_for_everybody() {
    let house = House::open(Plan {
        lane: NARROW,
        ..Plan::default()
    })
    .await;
    house.burst("a", 300).await;
    house.announce(Name::PhaseUpdate);
    let mut readers = Vec::new();
    for form in NUMBERED {
        readers.push(house.attach(form, &View::everything(), From::Earliest));
        readers.push(house.attach(form, &of_topics("glints"), From::Last(7)));
        readers.push(house.attach(form, &View::everything(), From::Now));
    }
    for reader in &mut readers {
        reader.catch_up().await;
    }
    house.announce(Name::Heartbeat);
    house.announce(Name::ClimateUpdate);
    house.burst("b", 5).await;
    let past = house.past();
    for reader in &mut readers {
        reader.catch_up().await;
        reader.read_strictly();
        for heard in reader.heard() {
            let Some(cursor) = heard.cursor else {
                let sid = sid_of_topic(EPOCH, Topic::Heartbeat, 0);
                assert_eq!(heard.place, Some((sid, 1)));
                continue;
            };
            let event = &past[cursor.seq as usize - 1];
            let sid = sid_of_topic(EPOCH, event.topic(), 0);
            assert_eq!(heard.place, Some((sid, event.topic_seq)));
        }
        assert_eq!(reader.seqs().last(), Some(&307));
    }
}

#[actix_rt::test]
async fn the_greeting_names_every_sid_to_come() {
    let house = House::open(Plan::default()).await;
    for form in NUMBERED {
        for view in [View::everything(), of_topics("state"), of_module("a")] {
            for from in [From::Now, From::Earliest] {
                let mut reader = house.attach(form, &view, from);
                house.post("a").await;
                house.announce(Name::Heartbeat);
                house.announce(Name::UsageUpdate);
                reader.catch_up().await;
                let Some(Said::Hello { sids, .. }) = reader.said.first() else {
                    panic!("{:?}", reader.said);
                };
                let used: HashSet<u64> = reader
                    .heard()
                    .filter_map(|heard| heard.place)
                    .map(|place| place.0)
                    .collect();
                let named: HashSet<u64> = sids.iter().copied().collect();
                assert!(
                    !used.is_empty() && used.is_subset(&named),
                    "{used:?} of {named:?}"
                );
            }
        }
    }
}

#[actix_rt::test]
async fn a_filtered_view_has_a_sid_of_its_own_without_jumps_even_after_falls() {
    let house = House::open(Plan {
        lane: NARROW,
        ..Plan::default()
    })
    .await;
    house.post_all(&["b", "a", "b"]).await;
    for form in NUMBERED {
        let mut live = house.attach(form, &of_module("b"), From::Now);
        let mut late = house.attach(form, &of_module("b"), From::Last(2));
        let head = house.tail.head().seq;
        for round in 0..6 {
            house.post_all(&["b", "a", "b"]).await;
            live.catch_up().await;
            house.burst("b", 30 * round).await;
            house.burst("a", 30).await;
            if round % 2 == 0 {
                late.catch_up().await;
            }
        }
        let matching = |after: u64| -> Vec<u64> {
            let past = house.past();
            let mine = past
                .iter()
                .filter(|event| event.source.as_deref() == Some("b"));
            mine.map(|event| event.offset.seq)
                .filter(|seq| *seq > after)
                .collect()
        };
        live.catch_up().await.read_strictly();
        late.catch_up().await.read_strictly();
        assert_eq!(live.seqs(), matching(head));
        assert_eq!(late.seqs()[2..], matching(head));
        for reader in [&live, &late] {
            let sids: HashSet<u64> = reader
                .heard()
                .filter_map(|heard| heard.place)
                .map(|place| place.0)
                .collect();
            let topics = Topic::ALL.map(|topic| sid_of_topic(EPOCH, topic, 0));
            assert!(sids.len() == 1 && topics.iter().all(|sid| !sids.contains(sid)));
        }
        assert!(
            late.heard()
                .next()
                .expect("an event")
                .place
                .expect("a place")
                .1
                == 1
        );
    }
    assert!(house.metrics.stream_falls.get() > 0);
}

#[actix_rt::test]
async fn a_directory_names_the_streams_that_the_client_has() {
    let house = House::open(Plan::default()).await;
    for view in [View::everything(), of_module("a")] {
        let mut reader = house.attach(Form::WsGs1Text, &view, From::Now);
        reader.catch_up().await;
        let Some(Said::Hello { sids, .. }) = reader.take().pop() else {
            panic!("no hello");
        };
        reader.line().directory();
        let Some(Said::Answer(text)) = reader.catch_up().await.take().pop() else {
            panic!("no directory");
        };
        let missing = sids.iter().find(|sid| !text.contains(&sid.to_string()));
        assert_eq!(missing, None, "{text}");
    }
}

#[actix_rt::test]
async fn a_strict_reader_is_told_of_every_sid_that_jumps_after_a_fall() {
    for history in [100_000, 100] {
        strict_readers_go_on(history).await;
    }
}

async fn strict_readers_go_on(history: usize) {
    if history == 100_000 {
        tokio::time::pause();
    }
    let house = House::open_again(Plan {
        lane: NARROW,
        history,
        ..Plan::default()
    })
    .await;
    for form in NUMBERED {
        let mut reader = house.attach(form, &View::everything(), From::Now);
        house.announce(Name::Heartbeat);
        house.announce(Name::PhaseUpdate);
        house.post("a").await;
        reader.catch_up().await;
        for _ in 0..3 {
            house.burst("a", 150).await;
            house.announce(Name::Heartbeat);
            house.announce(Name::PhaseUpdate);
            house.burst("a", 150).await;
            reader.catch_up().await;
            house.announce(Name::Heartbeat);
            house.post("a").await;
            reader.catch_up().await;
        }
        reader.read_strictly();
        assert_eq!(reader.seqs().last(), Some(&house.tail.head().seq));
        let jumps = reader
            .said
            .iter()
            .filter(|said| matches!(said, Said::Error(_)))
            .count();
        let gaps = reader.gaps().len();
        assert_eq!(
            (jumps, gaps),
            // Behind a gap all sids are fresh; without one only what is not stored jumps.
            if history > 1000 { (3, 0) } else { (0, 3) },
            "{form:?}"
        );
    }
}

/// Reads on over a gap of 300 glints and returns the sids of what came before and of what comes after it.
async fn over_a_gap(house: &House, reader: &mut Reader) -> [HashSet<u64>; 2] {
    reader.catch_up().await;
    house.burst("a", 3).await;
    reader.catch_up().await;
    let before = sids(reader);
    reader.take();
    house.burst("a", 300).await;
    reader.catch_up().await;
    house.announce(Name::Heartbeat);
    house.announce(Name::PhaseUpdate);
    reader.catch_up().await;
    assert_eq!(reader.gaps().len(), 1);
    [before, sids(reader)]
}

fn sids(reader: &Reader) -> HashSet<u64> {
    reader
        .heard()
        .filter_map(|heard| heard.place)
        .map(|place| place.0)
        .collect()
}

#[actix_rt::test]
async fn behind_a_gap_every_sid_is_fresh_and_named_first() {
    let house = House::open(Plan {
        lane: NARROW,
        history: 100,
        ..Plan::default()
    })
    .await;
    for form in NUMBERED {
        for (view, slow) in [
            (View::everything(), Slow::Replay),
            (View::everything(), Slow::Skip),
            (of_module("a"), Slow::Replay),
            (of_module("a"), Slow::Skip),
        ] {
            let ask = Request {
                slow,
                ..request(form, &view, From::Now)
            };
            let mut reader = house.try_attach(0, ask).expect("a seat");
            let mut had = HashSet::new();
            for _ in 0..TOPIC_LIVES + 2 {
                let [before, after] = over_a_gap(&house, &mut reader).await;
                had.extend(before);
                assert!(
                    had.is_disjoint(&after),
                    "{form:?} {slow:?}: {after:?} again"
                );
                let said = &reader.said;
                let gap = said
                    .iter()
                    .position(|said| matches!(said, Said::Gap { .. }));
                let Some(Said::Answer(directory)) = said.get(gap.expect("a gap") + 1) else {
                    panic!("no directory behind the gap: {said:?}");
                };
                for sid in &after {
                    assert!(directory.contains(&sid.to_string()), "{sid} in {directory}");
                }
                had.extend(after);
            }
        }
    }
}

#[actix_rt::test]
async fn who_met_as_many_gaps_shares_lanes_again() {
    let house = House::open(Plan {
        lane: NARROW,
        history: 100,
        lanes_max: 2,
        ..Plan::default()
    })
    .await;
    let view = View::everything();
    let mut readers = [0; 20].map(|_| house.attach(Form::WsGs1Text, &view, From::Now));
    for reader in &mut readers {
        reader.catch_up().await;
    }
    house.burst("a", 300).await;
    let mut fresh = HashSet::new();
    for reader in &mut readers {
        assert_eq!(reader.catch_up().await.gaps().len(), 1);
        fresh.extend(sids(reader));
    }
    assert_eq!(fresh.len(), 1, "one topic, one life");
}

#[actix_rt::test]
async fn who_comes_back_behind_a_gap_is_greeted_with_fresh_sids() {
    let house = House::open(Plan {
        history: 100,
        ..Plan::default()
    })
    .await;
    house.burst("a", 300).await;
    let known: Vec<u64> = Topic::ALL
        .map(|topic| sid_of_topic(EPOCH, topic, 0))
        .to_vec();
    for form in NUMBERED {
        let view = View::everything();
        let elsewhere = glint::Offset { epoch: 8, seq: 120 };
        for (cursor, is_known) in [(at(20), true), (at(9999), true), (elsewhere, false)] {
            let mut reader = house.attach(form, &view, From::After(cursor));
            reader.catch_up().await;
            house.post("a").await;
            reader.catch_up().await.read_strictly();
            let Some(Said::Hello { sids: named, .. }) = reader.said.first() else {
                panic!("{:?}", reader.said);
            };
            assert_eq!(reader.gaps().len(), 1);
            assert!(sids(&reader).iter().all(|sid| named.contains(sid)));
            let is_fresh = named.iter().all(|sid| !known.contains(sid));
            assert_eq!(is_fresh, is_known, "{form:?} {cursor}: {named:?}");
        }
    }
}
