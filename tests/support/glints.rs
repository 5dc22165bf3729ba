//! Glints as they are posted, and what is answered and heard.

use glint::json::Value;

use super::http::Answer;
use super::ndjson::Lines;
use super::{Broker, count_at, text_at};

pub const JSON: &str = "application/json";
pub const NDJSON: &str = "application/x-ndjson";
pub const EVENT: &str = "application/cloudevents+json";
pub const EVENTS: &str = "application/cloudevents-batch+json";

pub fn post(broker: &Broker, media_type: &str, body: impl AsRef<[u8]>) -> Answer {
    broker.post("/glints", media_type, body)
}

pub fn good(answer: &Answer) -> Value<'static> {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some(JSON));
    answer.json()
}

/// Checks a problem document (RFC 9457) and returns its code.
pub fn problem(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status(), status, "{}", answer.text());
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let problem = answer.json();
    assert_eq!(text_at(&problem, &["type"]), "about:blank");
    assert!(
        !text_at(&problem, &["title"]).is_empty() && !text_at(&problem, &["detail"]).is_empty()
    );
    assert_eq!(count_at(&problem, &["status"]), u64::from(status));
    text_at(&problem, &["code"]).to_owned()
}

/// Listens to glints alone.
pub fn listen(broker: &Broker) -> Lines {
    let mut lines = broker.lines("?topics=glints");
    assert_eq!(text_at(&lines.next(), &["event"]), "hello");
    lines
}

/// Publishes a marker and returns what came before it, as text.
pub fn heard(broker: &Broker, lines: &mut Lines) -> Vec<String> {
    broker.publish(r#"{"id":"marker"}"#);
    let ids = std::iter::from_fn(|| Some(lines.next()));
    let data = ids.map(|line| line.get("data").unwrap().to_ascii());
    data.take_while(|text| text != r#"{"id": "marker"}"#)
        .collect()
}

pub fn items(answer: &Value<'static>) -> Vec<Value<'static>> {
    match answer.get("items") {
        Some(Value::Array(items)) => items.clone(),
        other => panic!("{other:?}"),
    }
}
