//! Keepalives, ends, refusals, drain.

use std::time::Duration;

use glint::{Name, RefusalKind};
use sieve::View;
use wire::{Control, Form};

use super::house::{House, NARROW, Plan, Reader, of_module, of_topics, pass, request, settle};
use super::said::Said;
use crate::hub::{DrainAll, TakeCensus};
use crate::phase::Seen;
use crate::shard::{From, Request};

const SECOND: Duration = Duration::from_secs(1);

fn farewells(reader: &Reader) -> Vec<&str> {
    let said = reader.said.iter().filter_map(|said| match said {
        Said::Farewell(reason) => Some(reason.as_str()),
        _ => None,
    });
    said.collect()
}

#[actix_rt::test]
async fn a_silent_stream_shows_life_within_the_keepalive_and_a_busy_one_has_no_need_to() {
    let house = House::open(Plan::default()).await;
    let mut silent: Vec<Reader> = Form::ALL
        .into_iter()
        .map(|form| house.attach(form, &of_module("nobody"), From::Now))
        .collect();
    let mut busy = house.attach(Form::Ndjson, &View::everything(), From::Now);
    for reader in &mut silent {
        reader.catch_up().await.take();
    }
    busy.catch_up().await;
    let mut quiet = [0; Form::ALL.len()];
    for second in 1..=100 {
        pass(SECOND).await;
        if second % 10 == 0 {
            house.post("a").await;
        }
        busy.catch_up().await;
        for (reader, quiet) in silent.iter_mut().zip(&mut quiet) {
            *quiet += 1;
            if !reader.catch_up().await.take().is_empty() {
                *quiet = 0;
            }
            assert!(*quiet < 15, "{:?} is silent at {second} s", reader.form);
        }
    }
    assert!(!busy.said.contains(&Said::Keepalive));
}

#[actix_rt::test]
async fn keepalives_do_not_pile_up_for_who_does_not_read() {
    let house = House::open(Plan::default()).await;
    let mut reader = house.attach(Form::Ndjson, &of_module("nobody"), From::Now);
    reader.catch_up().await.take();
    pass(SECOND * 600).await;
    assert_eq!(reader.catch_up().await.take(), [Said::Keepalive]);
}

#[actix_rt::test]
async fn a_stream_with_a_timeout_ends_with_a_farewell() {
    let house = House::open(Plan::default()).await;
    let timed = Request {
        timeout: Some(SECOND * 5),
        ..request(Form::SseNamed, &View::everything(), From::Now)
    };
    let mut reader = house.try_attach(0, timed).expect("a seat");
    reader.catch_up().await;
    pass(SECOND * 4).await;
    assert!(!reader.is_woken());
    pass(SECOND * 2).await;
    reader.catch_up().await;
    assert_eq!(farewells(&reader), ["timeout"]);
    assert!(reader.over);
}

#[actix_rt::test]
async fn a_limit_gives_exactly_that_many_events_then_a_farewell_then_nothing() {
    let house = House::open(Plan {
        lane: NARROW,
        ..Plan::default()
    })
    .await;
    house.burst("a", 10).await;
    settle().await;
    for form in Form::ALL {
        for limit in [0, 1, 3, 10, 12, 300] {
            for from in [From::Now, From::Last(10)] {
                let limited = Request {
                    limit: Some(limit),
                    ..request(form, &View::everything(), from)
                };
                let mut reader = house.try_attach(0, limited).expect("a seat");
                reader.poll(300);
                house.burst("a", 400).await;
                reader.catch_up().await;
                assert_eq!(
                    reader.count(Name::GlintEmission) as u64,
                    limit,
                    "{form:?} {from:?}"
                );
                assert_eq!(farewells(&reader), ["limit"], "{form:?}");
                assert!(matches!(
                    reader.said.last(),
                    Some(Said::Farewell(_) | Said::Closed(1000))
                ));
                assert!(reader.over);
                assert!(!reader.poll(300), "it stays at its end");
            }
        }
    }
}

#[actix_rt::test]
async fn a_line_reaches_its_own_stream_only() {
    let house = House::open(Plan::default()).await;
    let mut first = house.attach(Form::Ndjson, &View::everything(), From::Now);
    let line = first.line();
    first.catch_up().await.take();
    line.say(&Control::Answer("{\"n\": 1}"));
    assert_eq!(
        first.catch_up().await.take(),
        [Said::Answer("{\"n\": 1}".into())]
    );
    first.hang_up();
    let mut second = house.attach(Form::Ndjson, &View::everything(), From::Now);
    second.catch_up().await.take();
    line.say(&Control::Answer("{\"n\": 2}"));
    line.directory();
    line.hang_up("for_the_first", 1000);
    second.catch_up().await;
    assert!(second.said.is_empty() && !second.over, "{:?}", second.said);
}

#[actix_rt::test]
async fn hanging_up_says_why_and_ends() {
    let house = House::open(Plan::default()).await;
    for form in Form::ALL {
        let mut reader = house.attach(form, &View::everything(), From::Now);
        reader.catch_up().await;
        let line = reader.line();
        line.hang_up("too_loud", 1008);
        line.hang_up("again", 1000);
        line.say(&Control::Answer("{}"));
        reader.catch_up().await;
        assert_eq!(farewells(&reader), ["too_loud"], "{form:?}");
        assert!(reader.over);
    }
}

#[actix_rt::test]
async fn who_never_reads_the_answers_is_cut_off() {
    let house = House::open(Plan::default()).await;
    let mut reader = house.attach(Form::Ndjson, &View::everything(), From::Now);
    let answer = format!("{{\"padding\": \"{}\"}}", "x".repeat(1000));
    let line = reader.line();
    for _ in 0..10_000 {
        line.say(&Control::Answer(&answer));
    }
    reader.catch_up().await;
    let answers = reader
        .said
        .iter()
        .filter(|said| matches!(said, Said::Answer(_)))
        .count();
    assert!((60..=66).contains(&answers), "{answers}");
    assert_eq!(farewells(&reader), ["unread_answers"]);
    assert!(reader.over);
}

#[actix_rt::test]
async fn too_many_streams_are_refused_over_all_workers() {
    let house = House::open(Plan {
        workers: 2,
        streams_max: 2,
        ..Plan::default()
    })
    .await;
    let ask = || request(Form::SseNamed, &View::everything(), From::Now);
    let first = house.try_attach(0, ask()).expect("a seat");
    let _second = house.try_attach(1, ask()).expect("a seat");
    let err = house.try_attach(0, ask()).err().expect("refused");
    assert_eq!(
        (err.kind, err.code),
        (RefusalKind::Unavailable, "streams_full")
    );
    assert!(err.retry_after_seconds.is_some());
    drop(first);
    assert!(house.try_attach(1, ask()).is_ok());
}

#[actix_rt::test]
async fn the_census_counts_who_is_here() {
    let house = House::open(Plan {
        workers: 2,
        ..Plan::default()
    })
    .await;
    let ask = |form| request(form, &View::everything(), From::Now);
    let count = async |form| {
        let census = house.hub.ask(TakeCensus, 0).await.expect("a census");
        assert_eq!(census.workers, 2);
        let mine = census.streams.iter().find(|(counted, _)| *counted == form);
        mine.expect("every form is counted").1
    };
    let a = house.try_attach(0, ask(Form::Ndjson)).expect("a seat");
    let b = house.try_attach(1, ask(Form::Ndjson)).expect("a seat");
    assert_eq!(
        (count(Form::Ndjson).await, count(Form::WsPlain).await),
        (2, 0)
    );
    drop(a);
    assert_eq!(count(Form::Ndjson).await, 1);
    drop(b);
    assert_eq!(
        (count(Form::Ndjson).await, house.metrics.open_streams()),
        (0, 0)
    );
}

#[actix_rt::test]
async fn a_drain_spreads_the_farewells_and_ends_everybody() {
    let house = House::open(Plan {
        workers: 2,
        ..Plan::default()
    })
    .await;
    let mut readers: Vec<Reader> = (0..100)
        .map(|n| {
            let ask = request(
                Form::ALL[n % Form::ALL.len()],
                &View::everything(),
                From::Now,
            );
            house.try_attach(n % 2, ask).expect("a seat")
        })
        .collect();
    for reader in &mut readers {
        reader.catch_up().await;
    }
    let drain = DrainAll {
        spread: SECOND * 2,
        grace: SECOND * 10,
    };
    let hub = house.hub.clone();
    let drained = actix_rt::spawn(async move { hub.ask(drain, 0).await });
    let mut over = Vec::new();
    for _ in 0..25 {
        pass(Duration::from_millis(100)).await;
        for reader in &mut readers {
            reader.drain();
        }
        over.push(readers.iter().filter(|reader| reader.over).count());
    }
    let steps: Vec<usize> = over.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.iter().all(|step| *step <= 12), "{over:?}");
    assert_eq!(over.last(), Some(&100), "{over:?}");
    assert!(
        readers
            .iter()
            .all(|reader| farewells(reader) == ["draining"])
    );
    let ask = request(Form::Ndjson, &of_topics("glints"), From::Now);
    let err = house.try_attach(0, ask).err().expect("refused");
    assert_eq!((err.kind, err.code), (RefusalKind::Unavailable, "draining"));
    readers.clear();
    assert_eq!(drained.await.expect("joined"), Ok(0));
}

#[actix_rt::test]
async fn a_drain_does_not_wait_for_who_does_not_read() {
    let house = House::open(Plan::default()).await;
    let _reader = house.attach(Form::Ndjson, &View::everything(), From::Now);
    let drain = DrainAll {
        spread: SECOND,
        grace: SECOND * 3,
    };
    let began = tokio::time::Instant::now();
    assert_eq!(house.hub.ask(drain, 0).await, Ok(1));
    assert!(began.elapsed() < SECOND * 4);
}

#[actix_rt::test]
async fn deliveries_and_bytes_are_counted() {
    let house = House::open(Plan::default()).await;
    let mut reader = house.attach(Form::Ndjson, &View::everything(), From::Now);
    house.burst("a", 10).await;
    reader.catch_up().await;
    house.tick().await;
    assert_eq!(house.metrics.stream_deliveries.get(), 10);
    assert!(house.metrics.stream_bytes.get() > 1000);
}

#[actix_rt::test]
async fn a_replay_that_finds_no_room_at_the_lanes_says_so() {
    let house = House::open(Plan {
        lanes_max: 1,
        ..Plan::default()
    })
    .await;
    house.burst("a", 10).await;
    settle().await;
    for max_bytes in [1, 16 * 1024] {
        let mut late = house.attach(Form::Ndjson, &of_module("a"), From::Earliest);
        let other = house.attach(Form::Ndjson, &of_module("b"), From::Now);
        while !late.over && late.is_woken() {
            late.poll(max_bytes);
        }
        assert_eq!(late.seqs(), (1..=10).collect::<Vec<_>>());
        assert_eq!(
            farewells(&late),
            ["views_full"],
            "{max_bytes} bytes at once"
        );
        drop((late, other));
    }
}

#[actix_rt::test]
async fn too_many_views_are_refused_and_shared_ones_are_not_too_many() {
    let house = House::open(Plan {
        lanes_max: 2,
        ..Plan::default()
    })
    .await;
    let _a = house.attach(Form::Ndjson, &of_module("a"), From::Now);
    let mut b = house.attach(Form::Ndjson, &of_module("b"), From::Now);
    house.burst("a", 3).await;
    for from in [From::Now, From::Earliest] {
        let refused = house.try_attach(0, request(Form::Ndjson, &of_module("c"), from));
        let err = refused.err().expect("refused");
        assert_eq!(
            (err.kind, err.code),
            (RefusalKind::Unavailable, "views_full")
        );
    }
    let mut shared = house.attach(Form::Ndjson, &of_module("a"), From::Now);
    house.post("a").await;
    assert_eq!(shared.catch_up().await.seqs(), [4]);
    let mut from_history = house.attach(Form::Ndjson, &of_module("a"), From::Earliest);
    assert_eq!(from_history.catch_up().await.seqs(), [1, 2, 3, 4]);
    b.hang_up();
    assert!(
        house
            .try_attach(0, request(Form::Ndjson, &of_module("c"), From::Now))
            .is_ok()
    );
}

#[actix_rt::test]
async fn in_quiet_mode_what_comes_waits_and_goes_out_together() {
    let house = House::open(Plan::default()).await;
    let mut reader = house.attach(Form::Ndjson, &View::everything(), From::Now);
    reader.catch_up().await;
    let gather = Duration::from_millis(250);
    let quiet = |gather| {
        house.state.write(Seen {
            gather,
            ..house.state.read()
        });
    };
    quiet(gather);
    house.post("a").await;
    house.post("b").await;
    pass(gather - Duration::from_millis(2)).await;
    assert_eq!(reader.catch_up().await.seqs().len(), 0);
    pass(Duration::from_millis(4)).await;
    assert_eq!(reader.catch_up().await.seqs().len(), 2);
    quiet(Duration::ZERO);
    house.post("c").await;
    assert_eq!(reader.catch_up().await.seqs().len(), 3);
}
