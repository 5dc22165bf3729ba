//! Every acknowledged trace reaches the database once and in order, through a crash of it, of the broker, and of both;
//! and nothing has to be started again for that.

#![cfg(feature = "postgres")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use glint::json::Value;
use support::dir::Dir;
use support::postgres::Postgres;
use support::signed::Agent;
use support::{Broker, count_at, eventually, parse, text_at};

/// Components of a trace; two of them are calls to a model.
const COMPONENTS: usize = 14;
const CALLS: usize = 2;
/// Publishers at once.
const PUBLISHERS: usize = 2;

fn start(postgres: &Postgres, settings: &[(&str, &str)]) -> Broker {
    let url = postgres.url();
    let own = [
        ("postgres.url", url.as_str()),
        ("postgres.retry_max_ms", "1000"),
        ("breath.tick_ms", "60000"),
        ("admin.open_on_loopback", "true"),
    ];
    Broker::with(&[&own, settings].concat())
}

fn enrol(broker: &Broker, agent: &Agent) {
    let answer = broker.post(
        "/api/v1/accord/public-keys",
        "application/json",
        agent.enrolment(),
    );
    assert!(answer.status() / 100 == 2, "{}", answer.text());
}

/// Sends a trace; tells whether it was acknowledged.
fn send(broker: &Broker, agent: &Agent, trace_id: &str) -> bool {
    let body = agent.batch(trace_id, COMPONENTS);
    let answer = broker.post("/api/v1/accord/events", "application/json", body);
    assert!(matches!(answer.status(), 200 | 429), "{}", answer.text());
    answer.status() == 200
}

/// The sink as the broker reports it.
fn sink(broker: &Broker) -> Value<'static> {
    let sinks = broker.get("/api/v1/sinks").json();
    let Some(Value::Array(items)) = sinks.get("items") else {
        panic!("{}", sinks.to_ascii());
    };
    let named = items
        .iter()
        .find(|item| text_at(item, &["name"]) == "postgres");
    named.unwrap().clone()
}

/// Sends traces from several publishers until told to stop or the broker dies, and collects what was acknowledged.
struct Load<'t> {
    agent: &'t Agent,
    next: AtomicUsize,
    acknowledged: Mutex<BTreeSet<String>>,
}

impl Load<'_> {
    /// Sends while `during` runs.
    fn run(&self, broker: &Broker, during: impl FnOnce()) {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..PUBLISHERS {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let id = format!("t{}", self.next.fetch_add(1, Ordering::Relaxed));
                        let body = self.agent.batch(&id, COMPONENTS);
                        if acknowledged(broker, &body) == Some(200) {
                            self.acknowledged.lock().unwrap().insert(id);
                        }
                    }
                });
            }
            during();
            stop.store(true, Ordering::Relaxed);
        });
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    fn until(&self, more: usize) {
        let count = self.count() + more;
        eventually("acknowledgements", || self.count() >= count);
    }
}

/// The status of an answer, if one came: brokers die in this test.
fn acknowledged(broker: &Broker, body: &str) -> Option<u16> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(broker.address()).ok()?;
    let head = format!(
        "POST /api/v1/accord/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8(answer).ok()?;
    text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

#[test]
fn every_acknowledged_trace_is_there_once_and_in_order_whoever_crashes() {
    let Some(mut postgres) = Postgres::start("crashes") else {
        return;
    };
    let dir = Dir::new("postgres");
    let agent = Agent::new(1);
    let load = Load {
        agent: &agent,
        next: AtomicUsize::new(0),
        acknowledged: Mutex::default(),
    };
    let mut broker = start(&postgres, &[("data.dir", dir.text())]);
    enrol(&broker, &agent);
    load.run(&broker, || {
        load.until(100);
        postgres.crash();
        // The log takes what the database does not.
        load.until(100);
        broker.signal("KILL");
    });
    broker.wait();
    drop(broker);
    postgres.resume();
    let broker = start(&postgres, &[("data.dir", dir.text())]);
    load.run(&broker, || {
        load.until(50);
        // And once more while the broker lives: it notices, says so, and needs nobody.
        postgres.crash();
        eventually("the sink says that it fails", || {
            text_at(&sink(&broker), &["state"]) == "failing"
        });
        load.until(50);
        postgres.resume();
        load.until(50);
    });
    let sent = load.acknowledged.lock().unwrap().clone();
    eventually("everything is in the database", || {
        let count = postgres.query("SELECT count(*) FROM glintcast.traces");
        count.parse::<usize>().unwrap() >= sent.len() && count_at(&sink(&broker), &["lag"]) == 0
    });
    let found = postgres.query("SELECT trace_id FROM glintcast.traces ORDER BY ctid");
    let found: Vec<_> = found.lines().map(str::to_owned).collect();
    let distinct: BTreeSet<_> = found.iter().cloned().collect();
    assert_eq!(distinct.len(), found.len(), "each once");
    let missing: Vec<_> = sent.difference(&distinct).collect();
    assert!(missing.is_empty(), "{missing:?} of {}", sent.len());
    // Rows stand in the table as they were written: nothing was ever taken out of it.
    let order = "SELECT count(*) FROM (SELECT seq < lag(seq) OVER (ORDER BY ctid) AS back FROM glintcast.traces) AS x WHERE back";
    assert_eq!(postgres.query(order), "0", "in the order of the log");
    let rows = |table: &str| postgres.query(&format!("SELECT count(*) FROM glintcast.{table}"));
    assert_eq!(rows("trace_events"), (found.len() * COMPONENTS).to_string());
    assert_eq!(rows("trace_llm_calls"), (found.len() * CALLS).to_string());
    assert_eq!(rows("accord_public_keys WHERE key_id = 'key-1'"), "1");
    bytes_are_exact(&broker, &postgres, &found[0]);
}

/// The database has the bytes that the agent signed, beside what it makes of them.
fn bytes_are_exact(broker: &Broker, postgres: &Postgres, trace_id: &str) {
    let answer = broker.get(&format!("/api/v1/traces/{trace_id}"));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let record = postgres.query(&format!(
        "SELECT record FROM glintcast.traces WHERE trace_id = '{trace_id}'"
    ));
    assert!(answer.text().contains(&format!("\"record\": {record}")));
    let first = postgres.query(&format!(
        "SELECT data, payload->>'score' FROM glintcast.trace_events WHERE trace_id = '{trace_id}' AND component_index = 0"
    ));
    assert!(first.contains("\"score\":1e-05"), "{first}");
    assert!(first.ends_with("|0.00001"), "{first}");
}

#[test]
fn what_the_database_refuses_for_good_is_listed_and_holds_nothing_up() {
    let Some(postgres) = Postgres::start("refuses") else {
        return;
    };
    // Several brokers find an empty database at once: one makes the tables, all of them go on.
    let (one, two) = (Dir::new("boots-1"), Dir::new("boots-2"));
    let brokers = [
        start(&postgres, &[("data.dir", one.text())]),
        start(&postgres, &[("data.dir", two.text())]),
    ];
    for broker in &brokers {
        eventually("the tables are there", || {
            text_at(&sink(broker), &["state"]) == "current"
        });
    }
    let broker = &brokers[0];
    let agent = Agent::new(2);
    enrol(broker, &agent);
    postgres.query("ALTER TABLE glintcast.trace_llm_calls ADD CHECK (trace_id <> 'poison')");
    for trace in ["before", "poison", "after"] {
        assert!(send(broker, &agent, trace));
    }
    let stored = || postgres.query("SELECT trace_id FROM glintcast.traces ORDER BY ctid");
    eventually("the others pass", || stored() == "before\nafter");
    let path = "/api/v1/sinks/postgres/dead-letters";
    let listed = broker.get(path).json();
    assert_eq!(count_at(&listed, &["total"]), 1);
    let Some(Value::Array(letters)) = listed.get("items") else {
        panic!("{}", listed.to_ascii());
    };
    assert!(text_at(&letters[0], &["reason"]).contains("check constraint"));
    let mended =
        "ALTER TABLE glintcast.trace_llm_calls DROP CONSTRAINT trace_llm_calls_trace_id_check";
    postgres.query(mended);
    let retried = broker.post(&format!("{path}/retry"), "application/json", "");
    assert_eq!(retried.status(), 202, "{}", retried.text());
    eventually("it is taken now", || stored() == "before\nafter\npoison");
    eventually("the list is empty", || {
        parse(broker.get(path).text()).at(&["items"]) == Some(&Value::Array(Vec::new()))
    });
}
