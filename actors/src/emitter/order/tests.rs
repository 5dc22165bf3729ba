use prometheus::Registry;
use uuid::Uuid;

use super::*;
use crate::emitter::{Close, Commit, Emitter, Tray};
use crate::mail::{Bound, Post};
use crate::tail::{History, Limits};
use crate::warden::Warden;

fn sequencer() -> Sequencer {
    let metrics = Metrics::register(&Registry::new()).expect("metrics");
    let tail = Tail::new(
        9,
        Limits {
            events: 100,
            bytes: 1 << 20,
        },
        metrics.clone(),
    );
    Sequencer::new(
        Clock::system(),
        tail,
        Window {
            keys: 2,
            seconds: 60,
        },
        metrics,
        Tripwire::idle(),
    )
}

fn accept(emitter: &mut Sequencer, offer: Offer) -> Result<Receipt, Refusal> {
    let placed = emitter.accept(offer)?;
    let receipt = placed.receipt.clone();
    emitter.hand_over(Ok(placed), None);
    Ok(receipt)
}

fn offer(texts: &[&str], key: Option<&str>) -> Offer {
    let read = |text: &&str| Draft::read(text.as_bytes(), 1024, Uuid::nil()).expect("a glint");
    Offer {
        drafts: texts.iter().map(read).collect(),
        once: key.map_or(Once::Content, |key| {
            Once::Key(Key::new(key).expect("a key"))
        }),
    }
}

fn seqs(receipt: &Receipt) -> Vec<u64> {
    receipt.items.iter().map(|item| item.offset.seq).collect()
}

fn beat(name: Name) -> Announce {
    Announce {
        name,
        phase: "inhale",
        stamp: Stamp(0),
        text: "{}".into(),
    }
}

#[test]
fn every_event_gets_the_next_place_and_heartbeats_share_one() {
    let mut emitter = sequencer();
    assert_eq!(
        seqs(&accept(&mut emitter, offer(&["{}", "{}"], None)).unwrap()),
        [1, 2]
    );
    emitter.announce(beat(Name::Heartbeat));
    emitter.announce(beat(Name::PhaseUpdate));
    emitter.announce(beat(Name::Heartbeat));
    assert_eq!(
        seqs(&accept(&mut emitter, offer(&["{}"], None)).unwrap()),
        [4]
    );
    let feed = emitter.tail.feed(0, 99).events;
    let places: Vec<_> = feed
        .iter()
        .map(|event| (event.offset.seq, event.topic_seq))
        .collect();
    assert_eq!(places, [(1, 1), (2, 2), (2, 1), (3, 1), (3, 2), (4, 3)]);
}

#[test]
fn what_the_house_commits_takes_places_among_the_glints() {
    let mut emitter = sequencer();
    accept(&mut emitter, offer(&["{}"], None)).unwrap();
    let mut entry = Entry::new(Name::TestEvent, "{}");
    entry.id = Some("e1".into());
    let entries = vec![entry, Entry::new(Name::PhaseUpdate, "{}")];
    let placed = emitter.place_entries(entries, Stamp(5)).unwrap();
    assert_eq!(seqs(&placed.receipt), [2, 3]);
    assert_eq!(&*placed.receipt.items[0].id, "e1");
    emitter.hand_over(Ok(placed), None);
    let later = accept(&mut emitter, offer(&["{}"], None)).unwrap();
    assert_eq!(seqs(&later), [4]);
}

#[test]
fn the_same_key_with_the_same_content_gets_the_first_receipt() {
    let mut emitter = sequencer();
    let first = accept(&mut emitter, offer(&["{\"a\":1}"], Some("k"))).unwrap();
    let again = accept(&mut emitter, offer(&["{\"a\": 1}"], Some("k"))).unwrap();
    assert!(again.replayed && !first.replayed);
    assert_eq!(again.items, first.items);
    assert!(
        matches!(emitter.tail.history(0, u64::MAX, 9), History::Events(events) if events.len() == 1)
    );
}

#[test]
fn the_same_key_with_other_content_is_a_conflict() {
    let mut emitter = sequencer();
    accept(&mut emitter, offer(&["{\"a\":1}"], Some("k"))).unwrap();
    let err = accept(&mut emitter, offer(&["{\"a\":2}"], Some("k"))).unwrap_err();
    assert_eq!(
        (err.kind, err.code),
        (RefusalKind::Conflict, "idempotency_conflict")
    );
}

#[test]
fn a_repeated_id_is_noticed_and_never_dropped() {
    let mut emitter = sequencer();
    let texts = [
        "{\"id\":\"x\",\"n\":1}",
        "{\"id\":\"x\",\"n\":2}",
        "{}",
        "{}",
    ];
    accept(&mut emitter, offer(&texts, None)).unwrap();
    let repeats: Vec<bool> = emitter
        .tail
        .newest_that(9, |_| true)
        .iter()
        .map(|event| event.repeats_id)
        .collect();
    assert_eq!(repeats, [false, true, false, false]);
}

fn remembering(keys: usize) -> Sequencer {
    let window = Window { keys, seconds: 60 };
    sequencer().remembering(window, Vec::new())
}

#[test]
fn a_glint_that_comes_again_whole_has_the_place_that_it_got() {
    let mut emitter = remembering(100);
    let text = r#"{"id":"x","source":"s","content":"c"}"#;
    let first = accept(&mut emitter, offer(&[text], None)).unwrap();
    let spaced = r#"{ "id": "x", "source": "s", "content": "c" }"#;
    let again = accept(&mut emitter, offer(&[spaced], None)).unwrap();
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!(again.items, first.items);
    let mixed = accept(&mut emitter, offer(&[r#"{"id":"y"}"#, text, text], None)).unwrap();
    assert!(!mixed.replayed, "something of it is new");
    assert_eq!(seqs(&mixed), [2, 1, 1]);
    assert_eq!(emitter.tail.head().seq, 2, "nothing was taken twice");
    assert_eq!(emitter.counts().read().total, 2);
}

#[test]
fn a_glint_is_another_one_with_other_content_without_an_id_or_under_a_key() {
    let mut emitter = remembering(100);
    let texts = [
        r#"{"id":"x","source":"s","content":"c"}"#,
        r#"{"id":"x","source":"s","content":"d"}"#,
        r#"{"id":"x","source":"t","content":"c"}"#,
        r#"{"content":"c"}"#,
        r#"{"content":"c"}"#,
    ];
    let taken = accept(&mut emitter, offer(&texts, None)).unwrap();
    assert_eq!(seqs(&taken), [1, 2, 3, 4, 5]);
    let keyed = accept(&mut emitter, offer(&texts[..1], Some("k"))).unwrap();
    assert_eq!(seqs(&keyed), [6]);
}

#[test]
fn a_closed_emitter_takes_nothing_from_outside() {
    let mut emitter = sequencer();
    emitter.closed = true;
    let err = accept(&mut emitter, offer(&["{}"], None)).unwrap_err();
    assert_eq!(
        (err.kind, err.retry_after_seconds),
        (RefusalKind::Unavailable, Some(DRAIN_RETRY_SECONDS))
    );
}

const BOUND: Bound = Bound {
    count: 100,
    bytes: 100_000,
};

fn office(sequencer: Sequencer) -> (Post<Emitter>, Order) {
    Emitter::open(sequencer, BOUND)
}

/// Returns the numbers of the glints in the order, as their payloads have them.
fn numbers(tail: &Tail) -> Vec<String> {
    let events = tail.newest_that(99, |_| true);
    let number = |event: &Arc<Event>| {
        event
            .text
            .trim_matches(|c: char| !c.is_ascii_digit())
            .to_owned()
    };
    events.iter().map(number).collect()
}

#[actix_rt::test]
async fn offers_do_not_mix_whatever_the_order_of_their_senders() {
    let sequencer = sequencer();
    let tail = sequencer.tail.clone();
    let (post, order) = office(sequencer);
    let trays = [(); 2].map(|()| Tray::new(post.clone(), order.clone()));
    let asks: Vec<_> = (1..=5)
        .map(|n| {
            let texts = [0, 1, 2].map(|m| format!("{{\"n\": {n}{m}}}"));
            let offer = offer(&texts.each_ref().map(String::as_str), None);
            let tray = trays[n % 2].clone();
            actix_rt::spawn(async move { tray.offer(offer).await })
        })
        .collect();
    let mut places = Vec::new();
    for ask in asks {
        let receipt = ask
            .await
            .expect("joined")
            .expect("asked")
            .expect("accepted");
        places.push(seqs(&receipt));
    }
    assert!(
        places.iter().all(|seqs| seqs[2] == seqs[0] + 2),
        "{places:?}"
    );
    let numbers = numbers(&tail);
    for batch in numbers.chunks(3) {
        let sender = &batch[0][..1];
        assert_eq!(batch, [0, 1, 2].map(|m| format!("{sender}{m}")));
    }
}

#[actix_rt::test]
async fn an_offer_that_is_refused_leaves_nothing() {
    let sequencer = sequencer();
    let (tail, counts) = (sequencer.tail.clone(), sequencer.counts());
    let (post, order) = office(sequencer);
    let tray = Tray::new(post.clone(), order);
    let taken = tray
        .offer(offer(&["{\"n\": 1}"], Some("k")))
        .await
        .expect("asked");
    assert_eq!(seqs(&taken.expect("accepted")), [1]);
    let conflict = tray
        .offer(offer(&["{}", "{}"], Some("k")))
        .await
        .expect("asked");
    assert_eq!(conflict.unwrap_err().code, "idempotency_conflict");
    post.tell(Close, 0).expect("room");
    let closed = tray.offer(offer(&["{}", "{}"], None)).await.expect("asked");
    assert_eq!(closed.unwrap_err().kind, RefusalKind::Unavailable);
    let again = tray
        .offer(offer(&["{\"n\": 1}"], Some("k")))
        .await
        .expect("asked");
    assert_eq!(again.unwrap_err().kind, RefusalKind::Unavailable);
    assert_eq!((tail.head().seq, counts.read().total), (1, 1));
    // The breath goes on until the end, and its places follow.
    post.ask(beat(Name::PhaseUpdate), 1).await.expect("asked");
    assert_eq!(tail.head().seq, 2);
}

#[test]
fn a_receipt_is_remembered_for_as_long_and_as_many_as_the_window_says() {
    let mut emitter = sequencer();
    let ask = |emitter: &mut Sequencer, key| accept(emitter, offer(&["{}"], Some(key))).unwrap();
    let first = ask(&mut emitter, "a");
    ask(&mut emitter, "b");
    assert_eq!(ask(&mut emitter, "a").items, first.items);
    ask(&mut emitter, "c");
    let forgotten = ask(&mut emitter, "a");
    assert!(!forgotten.replayed);
    assert_eq!(seqs(&forgotten), [4]);
    assert_eq!(emitter.metrics.replayed_receipts.get(), 1);
    assert_eq!(emitter.metrics.idempotency_keys.get(), 2);
}

#[test]
fn what_the_scribe_does_not_take_leaves_no_hole_in_the_order() {
    let mut emitter = sequencer();
    accept(&mut emitter, offer(&["{}"], None)).unwrap();
    let before = (emitter.next_seq, emitter.topic_seqs);
    emitter.scribe = Some(Scribe::gone());
    let refused = accept(&mut emitter, offer(&["{}", "{}"], Some("k"))).unwrap_err();
    assert_eq!(refused.code, "ledger_failed");
    emitter.announce(beat(Name::PhaseUpdate));
    assert_eq!((emitter.next_seq, emitter.topic_seqs), before);
    emitter.scribe = None;
    let receipt = accept(&mut emitter, offer(&["{}"], Some("k"))).unwrap();
    assert_eq!(seqs(&receipt), [2], "and the key was not remembered");
}

#[actix_rt::test]
async fn a_panic_among_places_names_the_emitter_and_nobody_gets_one_after_it() {
    let warden = Warden::default();
    let mut sequencer = sequencer();
    sequencer.tripwire = Some(warden.tripwire("emitter"));
    let (post, order) = office(sequencer);
    let panicking = order.clone();
    let panicked = std::thread::spawn(move || {
        let _held = panicking.hold();
        panic!("as planned");
    });
    assert!(panicked.join().is_err());
    assert_eq!(warden.fall().await, "emitter");
    let tray = Tray::new(post.clone(), order);
    let offered = tray.offer(offer(&["{}"], None)).await;
    assert_eq!(offered.unwrap_err().code, "office_gone");
    let commit = Commit {
        entries: vec![Entry::new(Name::TestEvent, "{}")],
    };
    let committed = post.ask(commit, 1).await;
    assert_eq!(committed.unwrap_err().code, "office_gone");
}

#[test]
fn glints_of_many_threads_are_seen_in_the_order_of_their_places() {
    let sequencer = sequencer();
    let tail = sequencer.tail.clone();
    let order = Order::new(sequencer);
    let publish = || {
        for _ in 0..20 {
            let mut order = order.hold().expect("nobody panicked");
            order.offer(offer(&["{}"], None), None);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(publish);
        }
    });
    let seen = tail.feed(0, 100).events;
    let seqs: Vec<u64> = seen.iter().map(|event| event.offset.seq).collect();
    assert_eq!(seqs, (1..=80).collect::<Vec<_>>());
}
