//! What the rituals of the default file and their runs look like from outside.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use glint::json::Value;
use support::rituals::{JSON, OPEN, ended, rule, rules, set};
use support::{Broker, count_at, eventually, text_at};

#[test]
fn dashboards_find_what_they_ask_for() {
    let broker = Broker::with(&[OPEN]).breathing();
    let emit = r#"{ do = "emit", content = "{glint.content} for {rule}", toneform = "practical" }"#;
    rules(
        &broker,
        &rule(
            "echo",
            r#"{ glint = { module = "a" } }"#,
            "priority = \"high\"\nglyph = \"x\"",
            emit,
        ),
    );
    broker.publish(r#"{"source": "a", "content": "light"}"#);
    ended(&broker, "echo", 1);
    let alerts = broker.get("/api/ritual/alerts").json();
    let Value::Array(alerts) = alerts else {
        panic!("no alerts");
    };
    assert_eq!(text_at(&alerts[0], &["ritual_name"]), "echo");
    assert_eq!(text_at(&alerts[0], &["trigger_type"]), "glint");
    assert_eq!(text_at(&alerts[0], &["priority"]), "high");
    let stats = broker.get("/api/ritual/stats").json();
    assert_eq!(count_at(&stats, &["total_triggered"]), 1);
    assert_eq!(count_at(&stats, &["completed_today"]), 1);
    let overview = broker.get("/api/dashboard/overview").json();
    assert_eq!(count_at(&overview, &["ritual_stats", "total_triggered"]), 1);
    let uptime = text_at(&overview, &["system_health", "uptime"]);
    assert!(uptime.starts_with("0:0"), "{uptime}");
    let events = broker.get("/glints?topics=rituals,glints").json();
    let Some(Value::Array(items)) = events.get("items") else {
        panic!("no items");
    };
    let names: Vec<&str> = items
        .iter()
        .map(|event| text_at(event, &["event"]))
        .collect();
    assert_eq!(
        names,
        [
            "glint_emission",
            "ritual_triggered",
            "ritual_status_update",
            "glint_emission",
            "ritual_status_update"
        ]
    );
    assert_eq!(text_at(&items[3], &["data", "content"]), "light for echo");
    assert_eq!(text_at(&items[4], &["data", "status"]), "completed");
    let missing = broker.post("/api/ritual/start", JSON, "{}");
    assert_eq!(
        (missing.status(), missing.text()),
        (400, r#"{"error": "ritual_id required"}"#)
    );
    let any = broker
        .post("/api/ritual/dance", JSON, r#"{"ritual_id": "r"}"#)
        .json();
    assert_eq!(any.get("success"), Some(&Value::Bool(true)));
    let by_hand = broker.post("/api/ritual/trigger", JSON, r#"{"ritual_id": "echo"}"#);
    assert_eq!(by_hand.status(), 200, "{}", by_hand.text());
    ended(&broker, "echo", 2);
}

#[test]
fn the_night_is_quiet_and_the_morning_is_not() {
    let broker = Broker::with(&[OPEN, ("breath.tick_ms", "50")]).breathing();
    let gathering = |seconds: &str| {
        let line = format!("glintcast_breath_quiet_seconds {seconds}\n");
        eventually(&line, || broker.get("/metrics").text().contains(&line));
    };
    gathering("0");
    set(&broker, "/state/phase", r#"{"phase": "night_hold"}"#);
    ended(&broker, "night_rest", 1);
    gathering("0.25");
    let caesuras = broker
        .get("/glints?topics=state&limit=1000")
        .text()
        .matches("the breath rests in night_hold")
        .count();
    assert_eq!(caesuras, 1);
    set(&broker, "/state/phase", r#"{"phase": "inhale"}"#);
    gathering("0");
}
