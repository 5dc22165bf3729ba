//! What happens fires what rules say, once, with the words that existing scripts read; and nothing else does.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};

use glint::json::Value;
use support::rituals::{Dir, JSON, OPEN, ended, put, rule, rules, runs, set};
use support::{Broker, count_at, eventually, parse, text_at};

#[test]
fn each_transition_runs_its_rituals_once_with_the_words_that_scripts_read() {
    let dir = Dir::new("rituals-spiral");
    dir.script("note", r#"printf '%s|%s|%s|%s|%s\n' "$1" "$SPIRAL_PHASE" "$SPIRAL_CLIMATE" "$SPIRAL_USAGE" "$SPIRAL_TRIGGER" >> notes
printf '%s' "$SPIRAL_CONTEXT" > "context-$1""#);
    let settings = [
        OPEN,
        ("rituals.commands_dir", dir.text()),
        ("breath.tick_ms", "50"),
    ];
    let broker = Broker::with(&settings).breathing();
    let note = |name: &str| format!(r#"{{ do = "command", program = "note", args = ["{name}"] }}"#);
    let text = rule(
        "enter",
        r#"{ phase = { enters = "return" } }"#,
        "",
        &note("enter"),
    ) + &rule(
        "leave",
        r#"{ phase = { leaves = "return" } }"#,
        "",
        &note("leave"),
    ) + &rule(
        "climate",
        r#"{ climate = { becomes = "suspicious" } }"#,
        "",
        &note("climate"),
    ) + &rule("usage", "{ usage = { crosses = 0.6 } }", "", &note("usage"));
    rules(&broker, &text);
    set(&broker, "/state/phase", r#"{"phase": "hold"}"#);
    set(&broker, "/state/phase", r#"{"phase": "return"}"#);
    ended(&broker, "enter", 1);
    set(&broker, "/state/climate", r#"{"climate": "suspicious"}"#);
    ended(&broker, "climate", 1);
    set(&broker, "/state/usage", r#"{"usage": 0.6}"#);
    ended(&broker, "usage", 1);
    set(&broker, "/state/usage", r#"{"usage": 0.59}"#);
    ended(&broker, "usage", 2);
    set(&broker, "/state/phase", r#"{"phase": "exhale"}"#);
    ended(&broker, "leave", 1);
    // Saying the same again is no transition.
    set(&broker, "/state/climate", r#"{"climate": "suspicious"}"#);
    set(&broker, "/state/phase", r#"{"phase": "exhale"}"#);
    set(&broker, "/state/climate", r#"{"climate": "clear"}"#);
    set(&broker, "/state/climate", r#"{"climate": "suspicious"}"#);
    ended(&broker, "climate", 2);
    assert_eq!(
        dir.read("notes"),
        "enter|return|clear|0|phase_transition_return\n\
         climate|return|suspicious|0|climate_change_suspicious\n\
         usage|return|suspicious|0.6|usage_threshold_0.6\n\
         usage|return|suspicious|0.59|usage_threshold_0.6\n\
         leave|exhale|suspicious|0.59|phase_leave_return\n\
         climate|exhale|suspicious|0.59|climate_change_suspicious\n"
    );
    let context = dir.read("context-enter");
    assert_eq!(
        text_at(&parse(&context), &["trigger"]),
        "phase_transition_return"
    );
}

#[test]
fn a_line_client_that_counts_as_the_existing_scheduler_does_sees_each_transition_once() {
    let broker = Broker::with(&[OPEN, ("breath.tick_ms", "50")]).breathing();
    let (_, body) = broker.open("GET", "/stream", &[], b"");
    let mut lines = BufReader::new(body).lines();
    let mut seen = Scheduler::default();
    let mut until = |seen: &mut Scheduler, what: &str, holds: &dyn Fn(&Scheduler) -> bool| {
        for line in lines.by_ref() {
            let line = line.unwrap();
            if let Some(data) = line.strip_prefix("data: ") {
                seen.envelope(&parse(data));
            }
            if holds(seen) {
                return;
            }
        }
        panic!("the stream ended before: {what}");
    };
    until(&mut seen, "a first heartbeat", &|seen| seen.phase.is_some());
    set(&broker, "/state/phase", r#"{"phase": "return"}"#);
    until(&mut seen, "return", &|seen| {
        seen.phase.as_deref() == Some("return")
    });
    set(&broker, "/state/climate", r#"{"climate": "suspicious"}"#);
    until(&mut seen, "suspicious", &|seen| {
        seen.climate.as_deref() == Some("suspicious")
    });
    // What a publisher says in the broker's name moves nothing.
    broker.publish(
        r#"{"event": "phase_update", "data": {"phase": "hold", "climate": "restricted"}}"#,
    );
    broker.publish(
        r#"{"event": "heartbeat", "state": {"phase": "hold", "climate": "clear", "usage": 0.9}}"#,
    );
    set(&broker, "/state/usage", r#"{"usage": 0.85}"#);
    until(&mut seen, "usage", &|seen| seen.usage > 0.8);
    set(&broker, "/state/phase", r#"{"phase": "night_hold"}"#);
    until(&mut seen, "night", &|seen| {
        seen.phase.as_deref() == Some("night_hold")
    });
    let expected = [
        ("climate_change_suspicious", 1),
        ("phase_transition_night_hold", 1),
        ("phase_transition_return", 1),
        ("usage_threshold_0.3", 1),
        ("usage_threshold_0.6", 1),
        ("usage_threshold_0.8", 1),
    ];
    let found: Vec<(&str, u32)> = seen
        .fired
        .iter()
        .map(|(key, count)| (key.as_str(), *count))
        .collect();
    assert_eq!(found, expected);
}

/// What the scheduler of existing installations does with an envelope.
#[derive(Default)]
struct Scheduler {
    phase: Option<String>,
    climate: Option<String>,
    usage: f64,
    fired: BTreeMap<String, u32>,
}

impl Scheduler {
    fn envelope(&mut self, value: &Value<'_>) {
        let Some(data) = value.get("data") else {
            return;
        };
        match value.get("event").and_then(Value::as_str) {
            Some("heartbeat") => {
                let Some(state) = data.get("state") else {
                    return;
                };
                let word = |key: &str| state.get(key).and_then(Value::as_str).map(str::to_owned);
                let (phase, climate) = (word("phase"), word("climate"));
                if self.phase.is_some() && self.phase != phase {
                    self.fire(format!(
                        "phase_transition_{}",
                        phase.clone().unwrap_or_default()
                    ));
                }
                if self.climate.is_some() && self.climate != climate {
                    self.fire(format!(
                        "climate_change_{}",
                        climate.clone().unwrap_or_default()
                    ));
                }
                let usage = state.get("usage").and_then(Value::as_f64).unwrap_or(0.0);
                for bound in [0.3, 0.6, 0.8] {
                    if (self.usage < bound) != (usage < bound) {
                        self.fire(format!("usage_threshold_{bound}"));
                    }
                }
                (self.phase, self.climate, self.usage) = (phase, climate, usage);
            }
            Some("phase_update") => {
                let phase = data
                    .get("phase")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                self.fire(format!("phase_transition_{phase}"));
            }
            Some("climate_update") => {
                let climate = data
                    .get("climate")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                self.fire(format!("climate_change_{climate}"));
            }
            _ => {}
        }
    }

    fn fire(&mut self, key: String) {
        *self.fired.entry(key).or_default() += 1;
    }
}

#[test]
fn what_a_glint_says_in_the_name_of_the_broker_triggers_nothing() {
    let broker = Broker::with(&[OPEN]).breathing();
    let emit = r#"{ do = "emit", content = "seen" }"#;
    let text = rule("phases", r#"{ phase = { enters = "*" } }"#, "", emit)
        + &rule("climates", r#"{ climate = { becomes = "*" } }"#, "", emit)
        + &rule("last", r#"{ glint = { module = "last" } }"#, "", emit);
    rules(&broker, &text);
    for glint in [
        r#"{"event": "phase_update", "phase": "return", "climate": "restricted"}"#,
        r#"{"event": "heartbeat", "state": {"phase": "return"}}"#,
        r#"{"ev\u0065nt": "climate_update", "climate": "restricted"}"#,
        r#"{"event": "ritual_status_update", "id": "x", "status": "completed"}"#,
    ] {
        broker.publish(glint);
    }
    // The order is one: when this one has fired, all before it were looked at.
    broker.publish(r#"{"module": "last"}"#);
    ended(&broker, "last", 1);
    assert!(runs(&broker, "phases").is_empty());
    assert!(runs(&broker, "climates").is_empty());
}

#[test]
fn a_filter_means_the_same_live_and_in_history() {
    let broker = Broker::start().breathing();
    let filter = "glint.content.contains(%22light%22)%20%26%26%20glint.source%20%3D%3D%20%22a%22";
    let (_, body) = broker.open(
        "GET",
        &format!("/stream?topics=glints&limit=2&filter={filter}"),
        &[("Accept", "application/x-ndjson")],
        b"",
    );
    for glint in [
        r#"{"source": "a", "content": "first light"}"#,
        r#"{"source": "b", "content": "first light"}"#,
        r#"{"source": "a"}"#,
        r#"{"source": "a", "content": "last light"}"#,
    ] {
        broker.publish(glint);
    }
    let live: Vec<String> = BufReader::new(body)
        .lines()
        .map(|line| parse(&line.unwrap()))
        .filter(|event| event.get("event").and_then(Value::as_str) == Some("glint_emission"))
        .map(|event| text_at(&event, &["cursor"]).to_owned())
        .collect();
    let page = broker.get(&format!("/glints?filter={filter}")).json();
    let Some(Value::Array(items)) = page.get("items") else {
        panic!("no items");
    };
    let past: Vec<&str> = items
        .iter()
        .map(|event| text_at(event, &["cursor"]))
        .collect();
    assert_eq!(live.len(), 2);
    assert_eq!(live, past);
    let refused = broker.get("/glints?filter=glint.conent%20%3D%3D%20%22a%22");
    assert_eq!(refused.status(), 400);
    let refused = refused.json();
    assert_eq!(text_at(&refused, &["code"]), "filter_unknown_word");
    assert_eq!(text_at(&refused, &["field"]), "filter");
}

#[test]
fn rules_with_a_mistake_change_nothing_and_say_the_line() {
    let dir = Dir::new("rituals-reload");
    let file = dir.path("rules.toml");
    let emit = r#"{ do = "emit", content = "seen" }"#;
    fs::write(&file, rule("one", "{ seal = {} }", "", emit)).unwrap();
    let broker = Broker::with(&[OPEN, ("rituals.file", &file)]).breathing();
    let names = || {
        let answer = broker.get("/rituals").json();
        let Some(Value::Array(rules)) = answer.get("rules") else {
            panic!("no rules");
        };
        let names: Vec<String> = rules
            .iter()
            .map(|rule| text_at(rule, &["name"]).to_owned())
            .collect();
        names.join(" ")
    };
    assert_eq!(names(), "one");
    let bad = rule("two", "{ seal = {} }", "filter = 'glint.x == 1'", emit);
    let answer = broker.send("PUT", "/rituals/rules", &[], bad.as_bytes());
    assert_eq!(answer.status(), 400);
    let answer = answer.json();
    let Some(Value::Array(problems)) = answer.get("problems") else {
        panic!("no problems in {}", answer.to_ascii());
    };
    assert_eq!(count_at(&problems[0], &["line"]), 4);
    assert!(text_at(&problems[0], &["reason"]).contains("glint has no \"x\""));
    assert_eq!(names(), "one");
    fs::write(&file, &bad).unwrap();
    broker.signal("HUP");
    eventually("the mistake is logged", || {
        broker.log().contains("line 4: filter")
    });
    assert_eq!(names(), "one");
    fs::write(&file, rule("three", "{ seal = {} }", "", emit)).unwrap();
    broker.signal("HUP");
    eventually("the new rules are at work", || names() == "three");
}

#[test]
fn the_state_is_set_by_administrators_only() {
    let token = "a-token-of-enough-length";
    let broker = Broker::with(&[("admin.token", token)]).breathing();
    let body = br#"{"climate": "restricted"}"#;
    for (headers, status) in [
        (vec![], 401),
        (
            vec![("Authorization", "Bearer another-token-of-length")],
            401,
        ),
        (
            vec![("Authorization", "Bearer a-token-of-enough-length")],
            200,
        ),
    ] {
        let answer = broker.send("PUT", "/state/climate", &headers, body);
        assert_eq!(answer.status(), status, "{headers:?}: {}", answer.text());
    }
    for (method, path) in [
        ("PUT", "/state/usage"),
        ("PUT", "/state/phase"),
        ("POST", "/state/caesura"),
        ("POST", "/state/drift"),
        ("PUT", "/rituals/rules"),
        ("POST", "/rituals/rehearse"),
    ] {
        assert_eq!(
            broker.send(method, path, &[], b"{}").status(),
            401,
            "{path}"
        );
    }
    let closed = Broker::start().breathing();
    assert_eq!(
        put(&closed, "/state/climate", r#"{"climate": "clear"}"#).status(),
        403
    );
    let open = Broker::with(&[OPEN]).breathing();
    for (path, body, field) in [
        ("/state/climate", r#"{"climate": "sunny"}"#, "climate"),
        ("/state/usage", r#"{"usage": 2}"#, "usage"),
        ("/state/phase", r#"{"phase": "noon"}"#, "phase"),
        (
            "/state/phase",
            r#"{"phase": "hold", "seconds": -1}"#,
            "seconds",
        ),
    ] {
        let answer = put(&open, path, body);
        assert_eq!(answer.status(), 400, "{body}");
        assert_eq!(text_at(&answer.json(), &["field"]), field);
    }
    // A phase that is held ends by itself.
    set(
        &open,
        "/state/phase",
        r#"{"phase": "night_hold", "seconds": 0.2}"#,
    );
    eventually("the breath says the phase again", || {
        text_at(&open.get("/state").json(), &["phase"]) != "night_hold"
    });
}

#[test]
fn throttled_sources_are_told_when_to_come_back_until_they_are_released() {
    let broker = Broker::with(&[OPEN]).breathing();
    let throttle = r#"{ do = "throttle", module = "agent.*", seconds = 600 }"#;
    rules(
        &broker,
        &rule("pause", "{ usage = { above = 0.8 } }", "", throttle),
    );
    set(&broker, "/state/usage", r#"{"usage": 0.81}"#);
    ended(&broker, "pause", 1);
    let answer = broker.post("/glints", JSON, r#"{"source": "agent.seven"}"#);
    assert_eq!(answer.status(), 429, "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    broker.publish(r#"{"source": "other"}"#);
    let released = broker.post("/api/ritual/release", JSON, r#"{"ritual_id": "pause"}"#);
    assert_eq!(released.status(), 200, "{}", released.text());
    broker.publish(r#"{"source": "agent.seven"}"#);
}

#[test]
fn a_rehearsal_says_what_would_fire_and_does_nothing() {
    let broker = Broker::with(&[OPEN, ("rituals.enabled", "false")]).breathing();
    for nth in 0..20 {
        broker.publish(&format!(r#"{{"source": "a", "content": "{nth}"}}"#));
    }
    let text = rule(
        "all",
        r#"{ glint = { module = "a" } }"#,
        "cooldown_seconds = 3600",
        r#"{ do = "emit", content = "x" }"#,
    );
    let answer = broker.send("POST", "/rituals/rehearse", &[], text.as_bytes());
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let report = answer.json();
    let Some(Value::Array(rules)) = report.get("rules") else {
        panic!("no rules");
    };
    assert_eq!(count_at(&rules[0], &["fired"]), 1);
    assert_eq!(count_at(&rules[0], &["skipped", "cooldown"]), 19);
    let glints = broker.get("/glints").json();
    let Some(Value::Array(items)) = glints.get("items") else {
        panic!("no items");
    };
    assert_eq!(items.len(), 20);
}

#[test]
fn a_storm_does_not_multiply() {
    let broker = Broker::with(&[OPEN]).breathing();
    // Fires for everything, without rest: what it posts as well.
    rules(
        &broker,
        &rule(
            "echo",
            "{ glint = {} }",
            "cooldown_seconds = 0\nconcurrency = 8",
            r#"{ do = "emit", content = "{glint.content}" }"#,
        ),
    );
    let lines: Vec<String> = (0..300)
        .map(|nth| format!(r#"{{"source": "storm", "content": "recursion depth exceeded {nth}"}}"#))
        .collect();
    let answer = broker.post("/glints", "application/x-ndjson", lines.join("\n"));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let total = || count_at(&broker.get("/api/glint/stats").json(), &["total"]);
    // Two rituals may follow from each other: each glint has an echo, and that one more.
    eventually("the storm is over", || {
        let stats = broker.get("/api/ritual/stats").json();
        count_at(&stats, &["total_triggered"]) == 600 && count_at(&stats, &["active_rituals"]) == 0
    });
    assert!(total() <= 900, "{}", total());
}
