//! Signed traces: verified before they are acknowledged, kept once, and shown as what they are.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::fs;
use std::process::Command;
use std::thread;

use attest::PrivateKey;
use glint::json::Value;
use support::http::Answer;
use support::traces::{
    Dir, EVENTS, KEYS, TOKEN, batch, batch_of, enrol, kept, key, outcomes, revoke, send, stream,
    verified,
};
use support::{Broker, count_at, fixtures, parse, text_at};

fn enrol_vector_keys(broker: &Broker, vectors: &Value<'_>) {
    let Some(Value::Array(all)) = vectors.get("keys") else {
        panic!("no keys");
    };
    for key in all {
        let (id, public) = (
            text_at(key, &["key_id"]),
            text_at(key, &["public_key_b64_std"]),
        );
        let more: &[(&str, &str)] = match text_at(key, &["status"]) {
            "active" | "revoked" => &[],
            "expired" => &[("expires_at", "2026-01-01T00:00:00Z")],
            _ => continue,
        };
        assert_eq!(enrol(broker, id, public, more).status(), 201);
        if text_at(key, &["status"]) == "revoked" {
            assert_eq!(revoke(broker, id).status(), 200);
        }
    }
}

/// The one body that the vectors describe and do not spell.
fn many_components(vectors: &Value<'_>) -> String {
    let Some(Value::Array(keys)) = vectors.get("keys") else {
        panic!("no keys");
    };
    let hex = text_at(&keys[0], &["seed_hex"]);
    let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
    let key = PrivateKey::from_seed(&std::array::from_fn(byte));
    let component = |place: usize| {
        format!(
            r#"{{"component_type":"conscience","data":{{"attempt_index":{place},"i":{place}}},"event_type":"CONSCIENCE_RESULT","timestamp":"2026-05-01T00:{:02}:{:02}+00:00"}}"#,
            place / 60,
            place % 60
        )
    };
    let components: Vec<String> = (0..810).map(component).collect();
    let components = components.join(",");
    let ids = ["v26-0", "v26-1", "v26-2"];
    let traces: Vec<(&str, &str)> = ids.iter().map(|id| (*id, components.as_str())).collect();
    batch_of(&key, "agent-a", &traces, "generic")
}

#[test]
fn every_vector_is_answered_as_recommended_and_only_what_was_stored_is_seen() {
    let Some(directory) = fixtures::directory("vectors of signed traces") else {
        return;
    };
    let text = fs::read_to_string(directory.join("vectors/signed_ingest.json")).unwrap();
    let vectors = parse(&text);
    let dir = Dir::new("vectors");
    let broker = dir.broker(&[("accord.scrub", "mask note at detailed")]);
    enrol_vector_keys(&broker, &vectors);
    let Some(Value::Array(batches)) = vectors.get("batches") else {
        panic!("no batches");
    };
    let mut cursors = Vec::new();
    for case in batches {
        let name = text_at(case, &["name"]);
        let body = match case.get("body").and_then(Value::as_str) {
            Some(body) => body.to_owned(),
            None => many_components(&vectors),
        };
        let wanted = case.get("recommended").unwrap();
        let answer = send(&broker, &body);
        assert_eq!(
            u64::from(answer.status()),
            count_at(wanted, &["http"]),
            "{name}: {}",
            answer.text()
        );
        let said = answer.json();
        if answer.status() != 200 {
            assert_eq!(
                answer.header("content-type"),
                Some("application/problem+json")
            );
            let codes = wanted.get("code").and_then(Value::as_str);
            let code = text_at(&said, &["code"]);
            assert!(
                codes.is_none_or(|codes| codes.split(" or ").any(|one| one == code)),
                "{name}: {code}"
            );
            continue;
        }
        assert_eq!(text_at(&said, &["status"]), "ok");
        assert_eq!(text_at(&said, &["durability"]), "fsync");
        for (ours, theirs) in [
            ("rows", "rows"),
            ("llm_rows", "llm"),
            ("conflicted", "conflicted"),
        ] {
            if wanted.get(theirs).is_some() {
                assert_eq!(
                    count_at(&said, &[ours]),
                    count_at(wanted, &[theirs]),
                    "{name}: {ours}"
                );
            }
        }
        let scrubbed = count_at(&said, &["scrubbed_fields"]);
        assert_eq!(scrubbed > 0, wanted.get("scrubbed").is_some(), "{name}");
        let stored = outcomes(&answer)
            .into_iter()
            .filter(|(outcome, _)| outcome == "stored");
        cursors.extend(stored.map(|(_, cursor)| cursor));
    }
    assert_eq!(kept(&broker), cursors.len());
    let seen = stream(&broker, cursors.len());
    let seen_at: Vec<&str> = seen
        .iter()
        .map(|event| text_at(event, &["cursor"]))
        .collect();
    assert_eq!(seen_at, cursors, "each once, in order");
    for event in &seen {
        let data = event.get("data").unwrap();
        let text = data.to_ascii();
        assert!(
            !text.contains("someone-else"),
            "what nobody signed is not shown"
        );
        assert!(
            !text.contains("jane@example.org"),
            "what was scrubbed is nowhere"
        );
        let redacted = text_at(data, &["verified"]) == "original";
        assert_eq!(redacted, data.get("attestation").is_some());
    }
    let mut disk = Vec::new();
    for file in fs::read_dir(dir.0.join("log")).unwrap() {
        disk.extend(fs::read(file.unwrap().path()).unwrap());
    }
    let raw = b"jane@example.org";
    assert!(
        !disk.windows(raw.len()).any(|window| window == raw),
        "nothing raw on the disk"
    );
    drop(broker);
    let report = verified(&dir);
    assert!(
        report.contains(&format!("by agents  {}", cursors.len() - 1)),
        "{report}"
    );
    assert!(report.contains("redacted   1"), "{report}");
}

#[test]
fn one_trace_sent_by_many_at_once_is_kept_once() {
    let dir = Dir::new("trace-race");
    let broker = dir.broker(&[]);
    let public = key(1).public().to_base64();
    assert_eq!(enrol(&broker, "agent", &public, &[]).status(), 201);
    let body = batch(
        &key(1),
        "agent",
        "race",
        "generic",
        r#"{"attempt_index":0}"#,
    );
    let all: Vec<(String, String)> = thread::scope(|scope| {
        let senders: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| outcomes(&send(&broker, &body)).remove(0)))
            .collect();
        senders
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .collect()
    });
    let stored = all
        .iter()
        .filter(|(outcome, _)| outcome == "stored")
        .count();
    assert_eq!(stored, 1, "{all:?}");
    assert!(all.iter().all(|(_, cursor)| *cursor == all[0].1), "{all:?}");
    assert_eq!(stream(&broker, 1).len(), kept(&broker));
}

#[test]
fn a_key_holds_from_its_enrolment_to_its_revocation_and_over_restarts() {
    let dir = Dir::new("trace-keys");
    let mut broker = dir.broker(&[]);
    let public = key(1).public().to_base64();
    let body = |id: &str| batch(&key(1), "agent", id, "generic", r#"{"attempt_index":0}"#);
    let code = |answer: &Answer| text_at(&answer.json(), &["code"]).to_owned();
    let refused = send(&broker, &body("early"));
    assert_eq!(
        (refused.status(), code(&refused).as_str()),
        (401, "verify_unknown_key")
    );
    let stranger = broker.post(KEYS, "application/json", "{}");
    assert_eq!(stranger.status(), 401);
    assert_eq!(enrol(&broker, "agent", &public, &[]).status(), 201);
    assert_eq!(
        enrol(&broker, "agent", &public, &[]).status(),
        200,
        "it was so before"
    );
    let other = enrol(&broker, "agent", &key(2).public().to_base64(), &[]);
    assert_eq!(
        (other.status(), code(&other).as_str()),
        (409, "key_conflict")
    );
    // The identity: under it, a lax verifier takes anything for signed.
    let weak = enrol(
        &broker,
        "weak",
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        &[],
    );
    assert_eq!((weak.status(), code(&weak).as_str()), (400, "key_invalid"));
    let short = enrol(&broker, "short", "AQAA", &[]);
    assert_eq!(
        (short.status(), code(&short).as_str()),
        (400, "key_invalid")
    );
    assert_eq!(outcomes(&send(&broker, &body("first")))[0].0, "stored");
    broker.signal("KILL");
    broker.wait();
    let mut broker = dir.broker(&[]);
    assert_eq!(outcomes(&send(&broker, &body("second")))[0].0, "stored");
    assert_eq!(revoke(&broker, "agent").status(), 200);
    let refused = send(&broker, &body("third"));
    assert_eq!(
        (refused.status(), code(&refused).as_str()),
        (401, "verify_unknown_key")
    );
    assert_eq!(revoke(&broker, "nobody").status(), 404);
    broker.signal("KILL");
    broker.wait();
    let broker = dir.broker(&[]);
    assert_eq!(send(&broker, &body("fourth")).status(), 401);
    let list = broker.get(KEYS);
    assert!(
        list.text()
            .contains(r#""revoked_reason": "lost", "standing": "revoked""#),
        "{}",
        list.text()
    );
    // The changes are in the one order, and no stream shows them.
    let seen = broker.get("/glints?from=earliest&limit=1000");
    assert!(!seen.text().contains("key_changed"), "{}", seen.text());
}

#[test]
fn a_body_that_is_not_the_one_of_its_digest_is_refused() {
    let broker = Broker::start();
    let digest = (
        "Content-Digest",
        "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:",
    );
    let other = broker.send("POST", EVENTS, &[digest], b"{\"hello\": \"mars\"}\n");
    assert_eq!(other.status(), 400);
    assert_eq!(text_at(&other.json(), &["code"]), "content_digest_mismatch");
    let same = broker.send("POST", EVENTS, &[digest], b"{\"hello\": \"world\"}\n");
    assert_eq!(same.status(), 422, "it is read, and is no batch");
    let large = broker.send("POST", EVENTS, &[("Content-Length", "8388609")], b"");
    assert_eq!(large.status(), 413);
}

#[test]
fn keys_are_made_enrolled_listed_and_revoked_from_the_command_line() {
    let dir = Dir::new("trace-cli");
    let broker = dir.broker(&[]);
    let file = dir.0.join("agent.pem");
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_glintcast"))
            .arg("keys")
            .args(args)
            .env("GLINTCAST__ADMIN__TOKEN", TOKEN)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
            said,
        )
    };
    let (url, pem) = (broker.url(), file.to_str().unwrap());
    let (code, made, _) = run(&["new", pem]);
    assert_eq!(code, 0);
    let made = parse(&made);
    assert_eq!(run(&["new", pem]).0, 1, "a key is never written over");
    let (code, enrolled, said) = run(&["enrol", "cli agent", "--key", pem, "--to", &url]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(
        text_at(&parse(&enrolled), &["agent_id_hash"]),
        text_at(&made, &["agent_id_hash"])
    );
    let (code, _, said) = run(&["revoke", "cli agent", "--reason", "a test", "--to", &url]);
    assert_eq!(code, 0, "{said}");
    let (_, list, _) = run(&["list", "--to", &url]);
    let line = list
        .lines()
        .find(|line| line.contains("cli agent"))
        .expect("listed");
    assert_eq!(text_at(&parse(line), &["standing"]), "revoked");
    assert_eq!(
        run(&["revoke", "nobody", "--reason", "x", "--to", &url]).0,
        1
    );
}
