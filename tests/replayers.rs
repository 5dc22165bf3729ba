//! Many streams that replay history at once hold up neither those who listen live nor each other.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::fs;
use std::thread;

use support::ndjson::Lines;
use support::{Broker, count_at};

/// Glints on disk before anybody replays, each of some hundred bytes: far more than memory and sockets hold.
const HISTORY: u64 = 6000;
/// Glints that are published while they do.
const LIVE: u64 = 100;
/// Streams that replay and read, and as many that replay and do not read: several times of what may read the disk at once.
const REPLAYERS: usize = 12;
const GLINT: &str = "glint_emission";

fn history(broker: &Broker) {
    let numbers: Vec<u64> = (0..HISTORY).collect();
    for part in numbers.chunks(500) {
        let body: String = part
            .iter()
            .map(|n| format!("{{\"n\":{n},\"text\":\"{}\"}}\n", "x".repeat(500)))
            .collect();
        let answer = broker.post("/glints", "application/x-ndjson", body);
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
}

/// Everything comes, once and in order.
fn read_all(mut lines: Lines) {
    for number in 0..HISTORY + LIVE {
        let line = lines.next_named(GLINT);
        assert_eq!(count_at(&line, &["data", "n"]), number);
    }
}

#[test]
fn live_readers_hear_at_once_while_many_replay_from_disk_or_stop_half_way() {
    let dir = std::env::temp_dir().join(format!("glintcast-replayers-{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    let broker = Broker::with(&[
        ("data.dir", dir.to_str().unwrap()),
        ("tail.events", "20"),
        ("breath.tick_ms", "60000"),
    ])
    .breathing();
    history(&broker);
    let replay = || broker.lines("?topics=glints&from=earliest");
    let stopped: Vec<Lines> = (0..REPLAYERS).map(|_| replay()).collect();
    let reading: Vec<Lines> = (0..REPLAYERS).map(|_| replay()).collect();
    let mut live = broker.listen("?topics=glints");
    thread::scope(|scope| {
        let readers: Vec<_> = reading
            .into_iter()
            .map(|lines| scope.spawn(|| read_all(lines)))
            .collect();
        // Each is heard before the next is published: were it held up by a replay that nobody reads, this would not end.
        for number in HISTORY..HISTORY + LIVE {
            broker.publish(&format!(r#"{{"n": {number}}}"#));
            let event = live.next_named(GLINT);
            assert_eq!(count_at(&event.json(), &["n"]), number);
        }
        for reader in readers {
            reader.join().expect("it got everything");
        }
    });
    // Those who did not read have missed nothing either.
    stopped.into_iter().for_each(read_all);
    drop(broker);
    let _ = fs::remove_dir_all(&dir);
}
