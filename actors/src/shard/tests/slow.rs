//! What a stream is told of its own place, and what becomes of one that does not keep up.

use std::time::Duration;

use glint::{Offset, Stamp};
use sieve::View;
use wire::Form;

use super::house::{EPOCH, House, NARROW, Plan, Reader, at, of_module, of_topics, pass, request};
use super::said::Said;
use crate::shard::{From, Request, Slow, To};

const WHILE: Duration = Duration::from_secs(6);

/// A reader with a narrow lane that has read its greeting.
async fn reader(house: &House, form: Form, slow: Slow) -> Reader {
    let asked = Request {
        slow,
        ..request(form, &of_topics("glints"), From::Now)
    };
    let mut reader = house.try_attach(0, asked).expect("a seat");
    reader.catch_up().await.take();
    reader
}

async fn narrow() -> House {
    House::open_again(Plan {
        lane: NARROW,
        ..Plan::default()
    })
    .await
}

#[actix_rt::test]
async fn a_quiet_view_learns_its_place_in_every_form() {
    let house = House::open(Plan::default()).await;
    for form in Form::ALL {
        let mut reader = house.attach(form, &of_module("nobody"), From::Now);
        reader.catch_up().await.take();
        let mut last = 0;
        for _ in 0..5 {
            last = house.post("a").await.seq;
        }
        pass(WHILE).await;
        let places: Vec<Said> = reader.catch_up().await.take();
        assert!(
            places.contains(&Said::Cursor(at(last))),
            "{form:?}: {places:?}"
        );
        pass(WHILE).await;
        let again = reader.catch_up().await.take();
        assert!(
            !again.iter().any(|said| matches!(said, Said::Cursor(_))),
            "{form:?}: nothing new, nothing said"
        );
    }
}

#[actix_rt::test]
async fn who_skips_is_told_of_the_gap_and_goes_on_with_what_comes() {
    tokio::time::pause();
    for form in [Form::Ndjson, Form::SseNamed, Form::WsGs1Text] {
        let house = narrow().await;
        let mut reader = reader(&house, form, Slow::Skip).await;
        let before = house.tail.head().seq;
        for _ in 0..100 {
            house.post("a").await;
        }
        let head = house.tail.head().seq;
        reader.catch_up().await;
        assert_eq!(reader.gaps(), [(before, head, "slow")], "{form:?}");
        assert_eq!(reader.seqs(), [] as [u64; 0], "{form:?}");
        let next = house.post("a").await.seq;
        assert_eq!(reader.catch_up().await.seqs(), [next], "{form:?}");
        if form.is_numbered() {
            reader.read_strictly();
        }
    }
}

#[actix_rt::test]
async fn who_conflates_gets_the_latest_of_each_source_and_is_told_how_many_that_left_out() {
    tokio::time::pause();
    for form in [Form::Ndjson, Form::SsePlain, Form::WsGs1Binary] {
        let house = narrow().await;
        let mut reader = reader(&house, form, Slow::Conflate).await;
        let mut latest = Vec::new();
        for round in 0..40 {
            for source in ["a", "b", "c"] {
                let seq = house.post(source).await.seq;
                if round == 39 {
                    latest.push(seq);
                }
            }
        }
        reader.catch_up().await;
        assert_eq!(reader.seqs(), latest, "{form:?}");
        assert!(
            reader.said.contains(&Said::Conflated(117)),
            "{form:?}: {:?}",
            reader.said
        );
        let next = house.post("a").await.seq;
        latest.push(next);
        assert_eq!(reader.catch_up().await.seqs(), latest, "{form:?}");
        if form.is_numbered() {
            reader.read_strictly();
        }
    }
}

#[actix_rt::test]
async fn who_asked_to_be_let_go_is() {
    tokio::time::pause();
    let house = narrow().await;
    let mut reader = reader(&house, Form::WsPlain, Slow::Close).await;
    for _ in 0..100 {
        house.post("a").await;
    }
    reader.catch_up().await;
    assert_eq!(
        reader.said,
        [Said::Farewell("slow".into()), Said::Closed(1013)]
    );
    assert!(reader.over);
}

#[actix_rt::test]
async fn who_lags_is_told_by_how_much() {
    let house = House::open(Plan::default()).await;
    let mut reader = reader(&house, Form::Ndjson, Slow::Replay).await;
    for _ in 0..30 {
        house.post("a").await;
    }
    pass(WHILE).await;
    assert_eq!(
        reader.catch_up().await.said.first(),
        Some(&Said::Status(30))
    );
    assert_eq!(reader.seqs().len(), 30);
}

#[actix_rt::test]
async fn a_bounded_read_ends_where_it_was_told_to() {
    let house = House::open(Plan::default()).await;
    let first = house.post("a").await.seq;
    for _ in 0..9 {
        house.post("a").await;
    }
    let bounded = |to| Request {
        to: Some(to),
        ..request(Form::Ndjson, &View::everything(), From::After(at(first)))
    };
    let mut reader = house
        .try_attach(0, bounded(To::At(at(first + 4))))
        .expect("a seat");
    house.post("a").await;
    reader.catch_up().await;
    assert_eq!(reader.seqs(), [first + 1, first + 2, first + 3, first + 4]);
    assert_eq!(reader.said.last(), Some(&Said::Farewell("end".into())));
    assert!(reader.over);
    let refused = |to| {
        house
            .try_attach(0, bounded(to))
            .err()
            .expect("refused")
            .code
    };
    assert_eq!(refused(To::At(at(1000))), "to_malformed");
    assert_eq!(
        refused(To::At(Offset {
            epoch: EPOCH + 1,
            seq: 1
        })),
        "to_malformed"
    );
    assert_eq!(refused(To::Before(Stamp(i64::MAX))), "to_malformed");
}

#[actix_rt::test]
async fn a_stream_begins_with_the_first_event_of_an_instant_or_later() {
    let house = House::open(Plan {
        history: 20,
        ..Plan::default()
    })
    .await;
    house.post("a").await;
    pass(Duration::from_secs(10)).await;
    let second = house.post("a").await.seq;
    let since = house.tail.last_glint().expect("a glint");
    let third = house.post("a").await.seq;
    let view = of_topics("glints");
    let mut reader = house.attach(Form::Ndjson, &view, From::Since(since));
    assert_eq!(reader.catch_up().await.seqs(), [second, third]);
    assert!(reader.recovered());
    for _ in 0..30 {
        house.post("a").await;
    }
    let mut late = house.attach(Form::Ndjson, &view, From::Since(since));
    assert_eq!(
        late.catch_up().await.gaps().len(),
        1,
        "what was evicted is told"
    );
    assert_eq!(late.seqs().len(), 20);
}
