use std::sync::atomic::AtomicU32;

use glint::Topic;
use prometheus::Registry;
use tokio::sync::Notify;

use super::*;

struct Slow {
    gate: Arc<Notify>,
}

impl Actor for Slow {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "u32")]
struct Work(u32);

impl Handler<Letter<Work>> for Slow {
    type Result = ResponseFuture<u32>;

    fn handle(&mut self, letter: Letter<Work>, _: &mut Self::Context) -> Self::Result {
        let gate = self.gate.clone();
        Box::pin(async move {
            let letter = letter;
            gate.notified().await;
            letter.message.0
        })
    }
}

fn slow(bound: Bound) -> (Post<Slow>, Arc<Notify>, Metrics) {
    let gate = Arc::new(Notify::new());
    let metrics = Metrics::register(&Registry::new()).expect("metrics");
    let addr = Slow { gate: gate.clone() }.start();
    (Post::new(addr, "slow", bound, &metrics), gate, metrics)
}

#[actix_rt::test]
async fn a_full_office_refuses_instead_of_queueing() {
    let (post, gate, metrics) = slow(Bound {
        count: 2,
        bytes: 100,
    });
    let first = actix_rt::spawn({
        let post = post.clone();
        async move { post.ask(Work(1), 10).await }
    });
    tokio::task::yield_now().await;
    post.tell(Work(2), 10).expect("there is room for two");
    let err = post
        .ask(Work(3), 10)
        .await
        .expect_err("no room for a third");
    assert_eq!(
        (err.code, err.retry_after_seconds),
        ("office_full", Some(1))
    );
    assert_eq!(metrics.mail_waiting.with_label_values(&["slow"]).get(), 2);
    assert_eq!(
        metrics
            .mail_waiting_bytes
            .with_label_values(&["slow"])
            .get(),
        20
    );
    assert_eq!(metrics.mail_refused.with_label_values(&["slow"]).get(), 1);
    gate.notify_one();
    assert_eq!(first.await.expect("joined"), Ok(1));
}

#[actix_rt::test]
async fn bytes_bound_the_office_too_and_a_giant_gets_in_alone() {
    let (post, _gate, _metrics) = slow(Bound {
        count: 10,
        bytes: 100,
    });
    post.tell(Work(1), 60).expect("room");
    assert_eq!(
        post.tell(Work(2), 60).expect_err("over the bytes").code,
        "office_full"
    );
    post.tell(Work(3), 40).expect("room");
    let (post, _gate, _metrics) = slow(Bound {
        count: 10,
        bytes: 100,
    });
    post.tell(Work(1), 1000).expect("alone");
    assert!(post.tell(Work(2), 1).is_err());
}

#[actix_rt::test]
async fn a_sender_that_gives_up_does_not_make_room() {
    tokio::time::pause();
    let (post, _gate, _metrics) = slow(Bound {
        count: 1,
        bytes: 100,
    });
    let ask = post.ask(Work(1), 1);
    let given_up = tokio::time::timeout(Duration::from_millis(1), ask).await;
    assert!(given_up.is_err());
    assert_eq!(
        post.tell(Work(2), 1).expect_err("still taken").code,
        "office_full"
    );
}

struct Door(Arc<AtomicU32>);

impl Actor for Door {
    type Context = Context<Self>;
}

impl Handler<Ring> for Door {
    type Result = ();

    fn handle(&mut self, _: Ring, _: &mut Self::Context) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[actix_rt::test]
async fn bells_ring_for_their_topics_and_once_when_they_are_added() {
    tokio::time::pause();
    let rings = Arc::new(AtomicU32::new(0));
    let (bell, clapper) = Bell::new(Door(rings.clone()).start().recipient());
    let bells = Bells::default();
    let of = |topic| [topic].into_iter().collect();
    bells.add(bell, of(Topic::Traces));
    for (news, heard) in [(Topic::Glints, 1), (Topic::Traces, 2), (Topic::State, 2)] {
        tokio::time::sleep(Duration::from_millis(1)).await;
        clapper.lift();
        bells.ring(News {
            topics: of(news),
            head: 1,
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(rings.load(Ordering::SeqCst), heard, "{news}");
    }
}

#[actix_rt::test]
async fn a_bell_rings_once_until_it_is_answered() {
    tokio::time::pause();
    let rings = Arc::new(AtomicU32::new(0));
    let addr = Door(rings.clone()).start();
    let (bell, clapper) = Bell::new(addr.clone().recipient());
    bell.ring();
    bell.ring();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(rings.load(Ordering::SeqCst), 1);
    clapper.lift();
    bell.ring();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(rings.load(Ordering::SeqCst), 2);
}
