//! What is kept of a trace, and that it can be checked again from nothing but the record and the keys.

#![expect(clippy::expect_used, reason = "what fails here is a failed promise")]

mod support;

use attest::ring::{Change, Effect, Revocation, Role};
use attest::scrub::{Action, Path, Rule};
use attest::vocab::{CallStatus, EventKind, Level};
use attest::{
    Attestor, Batch, Code, Fault, Kept, KeyEntry, KeyRing, Limits, Proof, RECORD_LIMITS, Record,
    Rules, Scrub, Tape, Verified,
};
use glint::Stamp;

use support::{NOW, batch, component, entry, key, ring};

fn rule(path: &str, action: Action) -> Rule {
    Rule {
        path: path.parse().expect("a path"),
        levels: Vec::new(),
        events: Vec::new(),
        action,
    }
}

fn rules(rules: &[(&str, Action)]) -> Rules {
    let rules = rules.iter().map(|(path, action)| rule(path, *action));
    Rules::new(rules.collect()).expect("rules")
}

fn keep(body: &str, rules: &Rules) -> Result<Kept, Fault> {
    let tape = Tape::read(body.as_bytes(), &Limits::default())?;
    let batch = Batch::read(&tape)?;
    let attestor = Attestor::new("scrub", key(9));
    let scrub = Scrub {
        rules,
        attestor: &attestor,
    };
    let mut sealed = batch.verify(&ring(), NOW)?;
    Ok(sealed.remove(0).keep(&batch, scrub, NOW))
}

/// The `data` of the first component as it is kept, checked, with how many values were changed.
fn scrubbed(data: &str, rules: &Rules) -> (String, u32) {
    let body = batch("detailed", &component("DMA_RESULTS", data));
    let kept = keep(&body, rules).expect("kept");
    let tape = Tape::read(kept.text.as_bytes(), &RECORD_LIMITS).expect("JSON");
    let record = Record::read(&tape).expect("a record");
    let proof = if kept.scrubbed > 0 {
        Proof::Redacted
    } else {
        Proof::Agent
    };
    assert_eq!(record.verify(&ring()), Ok(proof));
    let rows = record.event_rows().expect("rows");
    (rows[0].data.to_owned(), kept.scrubbed)
}

#[test]
fn rules_drop_mask_and_hash_what_their_paths_name() {
    let data = r#"{"attempt_index":0,"list":[{"email":"a","n":1},{"email":"b"}],"note":"x","pair":{"email":"c"}}"#;
    for (path, action, expected, count) in [
        (
            "note",
            Action::Drop,
            r#"{"attempt_index":0,"list":[{"email":"a","n":1},{"email":"b"}],"pair":{"email":"c"}}"#,
            1,
        ),
        (
            "note",
            Action::Mask,
            r#"{"attempt_index":0,"list":[{"email":"a","n":1},{"email":"b"}],"note":"[masked]","pair":{"email":"c"}}"#,
            1,
        ),
        (
            "**.email",
            Action::Drop,
            r#"{"attempt_index":0,"list":[{"n":1},{}],"note":"x","pair":{}}"#,
            3,
        ),
        (
            "list.*.email",
            Action::Mask,
            r#"{"attempt_index":0,"list":[{"email":"[masked]","n":1},{"email":"[masked]"}],"note":"x","pair":{"email":"c"}}"#,
            2,
        ),
        (
            "list.*",
            Action::Drop,
            r#"{"attempt_index":0,"list":[],"note":"x","pair":{"email":"c"}}"#,
            2,
        ),
        // What rows are made of stays, whatever matches it.
        ("*", Action::Drop, r#"{"attempt_index":0}"#, 3),
        ("**.**.*", Action::Drop, r#"{"attempt_index":0}"#, 3),
        ("list.email", Action::Drop, data, 0),
        ("nothing.here", Action::Drop, data, 0),
    ] {
        let (left, changed) = scrubbed(data, &rules(&[(path, action)]));
        assert_eq!((left.as_str(), changed), (expected, count), "{path}");
    }
}

#[test]
fn the_strictest_of_several_rules_wins() {
    let all = [
        ("note", Action::Hash),
        ("*", Action::Mask),
        ("**.note", Action::Drop),
    ];
    let data = r#"{"attempt_index":0,"note":"x","other":1}"#;
    let (left, changed) = scrubbed(data, &rules(&all));
    assert_eq!(left, r#"{"attempt_index":0,"other":"[masked]"}"#);
    assert_eq!(changed, 2);
}

#[test]
fn a_hash_is_keyed_and_tells_equal_from_unequal() {
    let rules = rules(&[("*", Action::Hash)]);
    let (left, _) = scrubbed(r#"{"a":"x","attempt_index":0,"b":"x","c":"y"}"#, &rules);
    let tape = Tape::read(left.as_bytes(), &Limits::default()).expect("JSON");
    let of = |name: &str| tape.root().get(name).and_then(|value| value.as_str());
    let (a, b, c) = (of("a").expect("a"), of("b"), of("c"));
    assert!(a.starts_with("hmac-sha256:") && a.len() == 12 + 64, "{a}");
    assert_eq!(Some(a), b);
    assert_ne!(b, c);
    let plain = attest::ContentId::of(b"\"x\"").to_string();
    assert_ne!(
        Some(plain.trim_start_matches("sha256:")),
        a.strip_prefix("hmac-sha256:")
    );
}

#[test]
fn a_rule_holds_for_its_levels_and_its_events_alone() {
    let only = Rule {
        levels: vec![Level::FullTraces],
        events: vec![EventKind::LlmCall],
        ..rule("prompt", Action::Drop)
    };
    let rules = Rules::new(vec![only]).expect("rules");
    let call = r#"{"attempt_index":0,"duration_ms":1.5,"handler_name":"h","prompt":"secret","service_name":"s","status":"ok"}"#;
    let both = format!(
        "{},{}",
        component("LLM_CALL", call),
        component("DMA_RESULTS", r#"{"attempt_index":0,"prompt":"kept"}"#)
    );
    let kept = keep(&batch("full_traces", &both), &rules).expect("kept");
    assert_eq!(kept.scrubbed, 1);
    assert!(!kept.text.contains("secret") && kept.text.contains("kept"));
    let kept = keep(&batch("detailed", &both), &rules).expect("kept");
    assert_eq!(kept.scrubbed, 0);
    assert!(kept.text.contains("secret"));
}

#[test]
fn rules_that_cannot_be_followed_are_refused() {
    for path in [
        "",
        "a..b",
        "a.",
        "a.**",
        "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q",
    ] {
        let code = path.parse::<Path>().map_err(|fault| fault.code);
        assert_eq!(code, Err(Code::InvalidRule), "{path}");
    }
    let named = Rules::new(vec![rule("attempt_index", Action::Mask)]);
    assert_eq!(named.map_err(|fault| fault.code), Err(Code::InvalidRule));
    let in_calls = Rule {
        events: vec![EventKind::LlmCall],
        ..rule("status", Action::Mask)
    };
    let named = Rules::new(vec![in_calls]);
    assert_eq!(named.map_err(|fault| fault.code), Err(Code::InvalidRule));
    // Elsewhere a status is like any other member.
    assert!(Rules::new(vec![rule("status", Action::Mask)]).is_ok());
    let many = vec![rule("a", Action::Mask); attest::scrub::RULES_MAX + 1];
    assert_eq!(
        Rules::new(many).map_err(|fault| fault.code),
        Err(Code::InvalidRule)
    );
}

#[test]
fn masks_where_numbers_were_leave_rows_without_them() {
    let call = r#"{"attempt_index":0,"cost_usd":0.25,"duration_ms":1.5,"handler_name":"h","prompt_tokens":7,"service_name":"s","status":"timeout","timestamp":"2026-05-01T00:00:01Z"}"#;
    let action =
        r#"{"attempt_index":0,"audit_sequence_number":42,"cost_cents":27.6,"tokens_total":30}"#;
    let both = format!(
        "{},{}",
        component("LLM_CALL", call),
        component("ACTION_RESULT", action)
    );
    let body = batch("detailed", &both);
    for (rules, masked) in [(rules(&[]), false), (rules(&[("*", Action::Mask)]), true)] {
        let kept = keep(&body, &rules).expect("kept");
        let tape = Tape::read(kept.text.as_bytes(), &RECORD_LIMITS).expect("JSON");
        let record = Record::read(&tape).expect("a record");
        let (events, calls) = (
            record.event_rows().expect("rows"),
            record.llm_rows().expect("rows"),
        );
        let (call, action) = (&calls[0].call, &events[1].action);
        assert_eq!((call.handler_name, call.duration_ms), ("h", 1.5));
        assert_eq!(call.status, CallStatus::Timeout);
        assert_eq!(calls[0].parent_index, Some(0));
        let unless_masked = |number: i64| (!masked).then_some(number);
        assert_eq!(call.prompt_tokens, unless_masked(7));
        assert_eq!(action.audit_sequence_number, unless_masked(42));
        assert_eq!(action.cost_usd, (!masked).then_some(0.276));
        let own = "2026-05-01T00:00:01Z";
        let at = if masked {
            "2026-05-01T00:00:02+00:00"
        } else {
            own
        };
        assert_eq!(calls[0].timestamp.0, at);
        let verified = if masked {
            Verified::Original
        } else {
            Verified::Agent
        };
        assert_eq!(record.trace_row().verified, verified);
        assert_eq!(record.trace_row().redacted_by, masked.then_some("scrub"));
    }
}

#[test]
fn a_record_that_was_changed_does_not_verify() {
    let data = r#"{"attempt_index":0,"note":"mail jane"}"#;
    let body = batch("detailed", &component("ACTION_RESULT", data));
    let plain = keep(&body, &rules(&[])).expect("kept").text;
    let redacted = keep(&body, &rules(&[("note", Action::Mask)]))
        .expect("kept")
        .text;
    let check = |text: &str, ring: &KeyRing| -> Result<Proof, Code> {
        let tape = Tape::read(text.as_bytes(), &RECORD_LIMITS).map_err(|fault| fault.code)?;
        let record = Record::read(&tape).map_err(|fault| fault.code)?;
        record.verify(ring).map_err(|fault| fault.code)
    };
    assert_eq!(check(&plain, &ring()), Ok(Proof::Agent));
    assert_eq!(check(&redacted, &ring()), Ok(Proof::Redacted));
    for (text, from, to) in [
        (&plain, "mail jane", "mail john"),
        (&plain, "\"trace_id\":\"tr\"", "\"trace_id\":\"tx\""),
        (
            &plain,
            "\"verified\": \"agent\"",
            "\"verified\": \"original\"",
        ),
        (&plain, "\"signature\": \"", "\"signature\": \"A"),
        (&plain, "\"attempt_index\":0", "\"attempt_index\": 0"),
        (&redacted, "[masked]", "[MASKED]"),
        (&redacted, "\"index\":0", "\"index\":1"),
        (
            &redacted,
            "\"verified\": \"original\"",
            "\"verified\": \"agent\"",
        ),
        (&redacted, "\"time\":\"2026", "\"time\":\"2025"),
        (&redacted, "\"trace_id\":\"tr\"", "\"trace_id\":\"tx\""),
        (
            &redacted,
            "\"content\": \"sha256:",
            "\"content\": \"sha256:0",
        ),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(&changed, text, "{from}");
        assert!(check(&changed, &ring()).is_err(), "{from} -> {to}");
    }
    assert_eq!(check(&plain, &KeyRing::default()), Err(Code::UnknownKey));
    let mut revoked = ring();
    revoked.apply(revocation("agent"));
    assert_eq!(
        check(&plain, &revoked),
        Ok(Proof::Agent),
        "it held when it signed"
    );
}

fn revocation(id: &str) -> Change {
    Change::Revoke {
        id: id.to_owned(),
        revocation: Revocation {
            at: NOW,
            reason: "lost".to_owned(),
        },
    }
}

#[test]
fn a_key_id_is_never_given_to_another_key() {
    let mut ring = KeyRing::default();
    let first = entry("a", &key(1), Role::Agent);
    let enrol = |entry: &KeyEntry| Change::Enrol(Box::new(entry.clone()));
    assert_eq!(ring.check(&enrol(&first)), Ok(Effect::Changes));
    ring.apply(enrol(&first));
    assert_eq!(ring.check(&enrol(&first)), Ok(Effect::Nothing));
    let other = entry("a", &key(2), Role::Agent);
    let code = |result: Result<Effect, Fault>| result.map_err(|fault| fault.code);
    assert_eq!(code(ring.check(&enrol(&other))), Err(Code::KeyConflict));
    ring.apply(enrol(&other));
    assert_eq!(ring.get("a").map(|entry| entry.key), Some(first.key));
    assert_eq!(code(ring.check(&revocation("b"))), Err(Code::KeyNotFound));
    ring.apply(revocation("a"));
    assert_eq!(ring.check(&revocation("a")), Ok(Effect::Nothing));
    assert_eq!(
        code(ring.check(&enrol(&first))),
        Err(Code::KeyConflict),
        "revoked for good"
    );
    assert!(ring.active("a", NOW).is_err());
}

#[test]
fn keys_hold_until_they_expire_and_only_for_their_role() {
    let mut ring = ring();
    let mut short = entry("short", &key(3), Role::Agent);
    short.expires_at = Some(NOW);
    ring.apply(Change::Enrol(Box::new(short)));
    assert!(ring.active("short", Stamp(NOW.0 - 1)).is_ok());
    assert_eq!(
        ring.active("short", NOW).map_err(|fault| fault.code),
        Err(Code::UnknownKey)
    );
    assert!(
        ring.active("scrub", NOW).is_err(),
        "the broker's key signs for no agent"
    );
}

#[test]
fn changes_and_keys_read_back() {
    let mut full = entry("a \"quoted\" id", &key(1), Role::Agent);
    full.description = "the één".to_owned();
    full.added_at = NOW;
    full.expires_at = Some(Stamp(NOW.0 + 1));
    full.revoked = Some(Revocation {
        at: Stamp(NOW.0 + 2),
        reason: "left\nover".to_owned(),
    });
    for entry in [full.clone(), entry("b", &key(2), Role::Broker)] {
        let text = entry.to_json();
        assert!(text.is_ascii() && !text.contains('\n'));
        assert_eq!(KeyEntry::from_json(text.as_bytes()), Ok(entry));
    }
    for change in [Change::Enrol(Box::new(full)), revocation("b")] {
        assert_eq!(Change::from_json(change.to_json().as_bytes()), Ok(change));
    }
}
