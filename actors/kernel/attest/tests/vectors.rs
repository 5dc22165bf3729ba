//! Vectors made with CPython, the `cryptography` package, OpenSSL and libsodium.

#![expect(clippy::expect_used, reason = "what fails here is a failed promise")]

mod support;

use std::collections::HashMap;

use attest::dedup::{Entry, Identity, Known, Verdict};
use attest::ring::{Revocation, Role};
use attest::seal::{read_signature, write_signature};
use attest::{
    Attestor, Batch, Class, Code, Fault, KeyRing, Limits, PrivateKey, PublicKey, Rules, Scrub,
    Tape, canonicalise,
};
use glint::Stamp;
use serde_json::Value;

use support::{NOW, vectors};

fn canonical(text: &str) -> Result<String, Fault> {
    canonicalise(text.as_bytes(), &Limits::default())
}

#[test]
fn numbers_are_spelt_as_python_spells_them() {
    let Some(vectors) = vectors("numbers") else {
        return;
    };
    for case in vectors["numbers"].as_array().expect("numbers") {
        let token = case["token"].as_str().expect("token");
        let expected = case["recommended"].as_str().expect("recommended");
        let ours = canonical(token).map_err(|fault| fault.code);
        if expected == "reject 422" {
            assert_eq!(ours, Err(Code::MalformedJson), "{token}");
        } else {
            assert_eq!(ours.as_deref(), Ok(expected), "{token}");
        }
    }
    for list in ["random_doubles", "tie_doubles"] {
        for case in vectors[list].as_array().expect("doubles") {
            let bits = u64::from_str_radix(case["bits"].as_str().expect("bits"), 16);
            let number = f64::from_bits(bits.expect("hexadecimal"));
            let expected = case["repr"].as_str().expect("repr");
            // Seventeen digits name a double whichever way they are read.
            assert_eq!(
                canonical(&format!("{number:.16e}")).as_deref(),
                Ok(expected)
            );
            assert_eq!(canonical(expected).as_deref(), Ok(expected));
        }
    }
}

#[test]
fn strings_and_objects_are_written_as_python_writes_them() {
    let Some(vectors) = vectors("strings and objects") else {
        return;
    };
    for case in vectors["strings"].as_array().expect("strings") {
        let expected = case["json_dumps"].as_str().expect("json_dumps");
        if let Some(points) = case["code_points"].as_array() {
            let point = |point: &Value| {
                let hex = point.as_str().and_then(|point| point.strip_prefix("U+"));
                let code = u32::from_str_radix(hex.expect("U+"), 16).expect("hexadecimal");
                char::from_u32(code).expect("a character")
            };
            let text: String = points.iter().map(point).collect();
            let mut out = String::new();
            attest::canon::write_string(&mut out, &text);
            assert_eq!(out, expected);
            assert_eq!(canonical(&out).as_deref(), Ok(expected));
            continue;
        }
        let literal = case["literal"].as_str().expect("literal");
        let refused = expected == "error"
            || case["note"]
                .as_str()
                .is_some_and(|note| note.contains("reject"));
        if refused {
            let ours = canonical(literal).map_err(|fault| fault.code);
            assert_eq!(ours, Err(Code::MalformedJson), "{literal}");
        } else {
            assert_eq!(canonical(literal).as_deref(), Ok(expected), "{literal}");
        }
    }
    for case in vectors["objects"].as_array().expect("objects") {
        let text = case["json"].as_str().expect("json");
        let expected = case["canonical"].as_str().expect("canonical");
        match canonical(text) {
            Ok(ours) => assert_eq!(ours, expected),
            // The last of two equal members counts in Python, the first elsewhere: neither here.
            Err(fault) => {
                assert_eq!(fault.code, Code::DuplicateKey, "{text}");
                assert!(text.matches("\"a\"").count() > 1);
            }
        }
    }
}

#[test]
fn signatures_are_checked_strictly() {
    let Some(vectors) = vectors("Ed25519") else {
        return;
    };
    let mut lax = 0;
    for case in vectors["ed25519"].as_array().expect("ed25519") {
        let bytes = |name: &str| {
            let text = case[name].as_str().expect("hexadecimal");
            let digits: Vec<char> = text.chars().collect();
            let pair = |pair: &[char]| {
                let value =
                    pair[0].to_digit(16).expect("hex") * 16 + pair[1].to_digit(16).expect("hex");
                value as u8
            };
            digits.chunks(2).map(pair).collect::<Vec<u8>>()
        };
        let key: [u8; 32] = bytes("public_key_hex").try_into().expect("32 bytes");
        let signature: [u8; 64] = bytes("signature_hex").try_into().expect("64 bytes");
        let verdict = PublicKey::from_bytes(&key)
            .and_then(|key| key.verify(&bytes("message_hex"), &signature));
        let valid = case["strict_valid"].as_bool().expect("strict_valid");
        assert_eq!(verdict.is_ok(), valid, "{}", case["name"]);
        let openssl = case["observed_other"]["openssl"]
            .as_bool()
            .expect("openssl");
        if openssl && !valid {
            // Such a key does not even get into the ring.
            lax += 1;
            let key = PublicKey::from_bytes(&key).map_err(|fault| fault.code);
            assert_eq!(key, Err(Code::InvalidKey), "{}", case["name"]);
        }
    }
    assert_eq!(lax, 4, "OpenSSL takes four of them");
}

/// A broker without a broker: a ring, and what was taken.
struct Store {
    ring: KeyRing,
    rules: Rules,
    attestor: Attestor,
    known: HashMap<Identity, Known>,
    rows: u32,
    llm_rows: u32,
}

/// What the vectors count.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    rows: u32,
    conflicted: u32,
    llm: u32,
    scrubbed: u32,
}

impl Store {
    fn new(vectors: &Value) -> Store {
        let mut ring = KeyRing::default();
        let mut scrub = None;
        for key in vectors["keys"].as_array().expect("keys") {
            let text = |name: &str| key[name].as_str().expect("a string");
            let (id, status) = (text("key_id"), text("status"));
            let public = PublicKey::from_base64(text("public_key_b64_std")).expect("a key");
            assert_eq!(public.agent_id_hash(), text("agent_id_hash"));
            let private = PrivateKey::from_seed(&seed(key));
            assert_eq!(private.public(), public);
            if id == "scrub-1" {
                scrub = Some(Attestor::new(id, private.clone()));
            }
            let mut entry = support::entry(id, &private, Role::Agent);
            match status {
                "not registered" => continue,
                "revoked" => {
                    entry.revoked = Some(Revocation {
                        at: Stamp(1),
                        reason: "lost".to_owned(),
                    });
                }
                "expired" => entry.expires_at = Some(NOW),
                "active" => {}
                _ => entry.role = Role::Broker,
            }
            ring.restore(entry);
        }
        let rule = attest::scrub::Rule {
            path: "note".parse().expect("a path"),
            levels: vec![attest::vocab::Level::Detailed],
            events: Vec::new(),
            action: attest::scrub::Action::Mask,
        };
        Store {
            ring,
            rules: Rules::new(vec![rule]).expect("rules"),
            attestor: scrub.expect("scrub-1"),
            known: HashMap::new(),
            rows: 0,
            llm_rows: 0,
        }
    }

    fn take(&mut self, body: &[u8]) -> Result<Counts, Fault> {
        let tape = Tape::read(body, &Limits::default())?;
        let batch = Batch::read(&tape)?;
        let scrub = Scrub {
            rules: &self.rules,
            attestor: &self.attestor,
        };
        let mut all = Vec::new();
        for sealed in batch.verify(&self.ring, NOW)? {
            all.push(sealed.keep(&batch, scrub, NOW));
        }
        let mut counts = Counts::default();
        for kept in all {
            let known = self.known.entry(kept.identity).or_default();
            if known.judge(kept.content, &kept.tuples) != Verdict::New {
                counts.conflicted += kept.rows + kept.conflicted;
                continue;
            }
            counts.rows += kept.rows;
            counts.conflicted += kept.conflicted;
            counts.llm += kept.llm_rows;
            counts.scrubbed += kept.scrubbed;
            known.add(Entry {
                content: kept.content,
                seq: 1,
                tuples: kept.tuples,
            });
            let tape = Tape::read(kept.text.as_bytes(), &attest::RECORD_LIMITS)?;
            let record = attest::Record::read(&tape)?;
            record.verify(&self.ring)?;
            assert_eq!(record.event_rows()?.len() as u32, kept.rows);
            assert_eq!(record.llm_rows()?.len() as u32, kept.llm_rows);
        }
        self.rows += counts.rows;
        self.llm_rows += counts.llm;
        Ok(counts)
    }
}

fn seed(key: &Value) -> [u8; 32] {
    let text = key["seed_hex"].as_str().expect("seed_hex");
    let byte = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hex");
    std::array::from_fn(byte)
}

/// The one body that the vectors describe and do not spell.
fn many_components(key: &PrivateKey) -> String {
    let agent = key.public().agent_id_hash();
    let mut events = Vec::new();
    for nth in 0..3 {
        let component = |place: usize| {
            format!(
                r#"{{"component_type":"conscience","data":{{"attempt_index":{place},"i":{place}}},"event_type":"CONSCIENCE_RESULT","timestamp":"2026-05-01T00:{:02}:{:02}+00:00"}}"#,
                place / 60,
                place % 60
            )
        };
        let components: Vec<String> = (0..810).map(component).collect();
        let canonical = format!(
            r#"{{"agent_id_hash":"{agent}","completed_at":"2026-05-01T00:00:10.500000+00:00","components":[{}],"started_at":"2026-05-01T00:00:00+00:00","task_id":"task-1","thought_id":"th-v26-{nth}","trace_id":"v26-{nth}","trace_level":"generic","trace_schema_version":"2.7.0"}}"#,
            components.join(",")
        );
        let signature = write_signature(&key.sign(canonical.as_bytes()));
        let trace = canonical.strip_suffix('}').expect("an object");
        events.push(format!(
            r#"{{"event_type":"complete_trace","trace_level":"generic","trace":{trace},"signature":"{signature}","signature_key_id":"agent-a"}}}}"#
        ));
    }
    format!(
        r#"{{"events":[{}],"batch_timestamp":"2026-05-01T00:01:00+00:00","consent_timestamp":"2025-01-01T00:00:00Z","trace_level":"generic","trace_schema_version":"2.7.0"}}"#,
        events.join(",")
    )
}

#[test]
fn batches_are_answered_as_recommended() {
    let Some(vectors) = vectors("batches") else {
        return;
    };
    let mut store = Store::new(&vectors);
    for case in vectors["batches"].as_array().expect("batches") {
        let name = case["name"].as_str().expect("name");
        let body = match case["body"].as_str() {
            Some(body) => body.to_owned(),
            None => many_components(&PrivateKey::from_seed(&seed(&vectors["keys"][0]))),
        };
        let wanted = &case["recommended"];
        let outcome = store.take(body.as_bytes());
        match (wanted["http"].as_u64(), outcome) {
            (Some(200), Ok(counts)) => {
                let of = |name: &str| wanted[name].as_u64();
                let agrees = |name: &str, ours: u32| of(name).is_none_or(|n| n == u64::from(ours));
                assert!(agrees("rows", counts.rows), "{name}: {counts:?}");
                assert!(agrees("llm", counts.llm), "{name}: {counts:?}");
                assert!(
                    agrees("conflicted", counts.conflicted),
                    "{name}: {counts:?}"
                );
                assert_eq!(
                    wanted.get("scrubbed").is_some(),
                    counts.scrubbed > 0,
                    "{name}"
                );
            }
            (Some(status), Err(fault)) => {
                let ours = match fault.code.class() {
                    Class::Invalid => 422,
                    Class::Unauthenticated => 401,
                    Class::Forbidden => 403,
                    Class::TooLarge => 413,
                    Class::Conflict => 409,
                };
                assert_eq!(ours, status, "{name}: {fault}");
                let codes = wanted["code"].as_str();
                let agrees = |codes: &str| codes.split(" or ").any(|code| code == fault.code());
                assert!(codes.is_none_or(agrees), "{name}: {}", fault.code());
            }
            (status, outcome) => panic!("{name}: wanted {status:?}, got {outcome:?}"),
        }
    }
}

#[test]
fn canonical_bytes_and_hashes_are_those_that_were_signed() {
    let Some(vectors) = vectors("canonical bytes") else {
        return;
    };
    let mut compared = 0;
    for case in vectors["batches"].as_array().expect("batches") {
        let (Some(body), Some(expected)) = (case["body"].as_str(), case["canonical"].as_array())
        else {
            continue;
        };
        let Ok(tape) = Tape::read(body.as_bytes(), &Limits::default()) else {
            continue;
        };
        let Ok(batch) = Batch::read(&tape) else {
            continue;
        };
        // The canonical form of a legacy signature is of another shape, which is refused.
        if case["signature_valid_over_canonical"].as_str() == Some("legacy") {
            continue;
        }
        for (signed, expected) in batch.traces.iter().zip(expected) {
            let mut ours = String::new();
            signed.trace.write_canonical(&mut ours);
            assert_eq!(Some(ours.as_str()), expected.as_str(), "{}", case["name"]);
            compared += 1;
        }
    }
    assert!(compared > 30, "{compared}");
}

#[test]
fn what_was_there_before_scrubbing_is_attested_by_its_hash() {
    let Some(vectors) = vectors("scrubbing") else {
        return;
    };
    let cases = vectors["batches"].as_array().expect("batches");
    let case = cases
        .iter()
        .find(|case| case["name"] == "scrub_detailed")
        .expect("scrub_detailed");
    let store = Store::new(&vectors);
    let body = case["body"].as_str().expect("body").as_bytes();
    let tape = Tape::read(body, &Limits::default()).expect("JSON");
    let batch = Batch::read(&tape).expect("a batch");
    let key = store.ring.active("agent-a", NOW).expect("agent-a");
    let sealed = batch.traces[0].verify(key).expect("signed");
    let scrub = Scrub {
        rules: &store.rules,
        attestor: &store.attestor,
    };
    let kept = sealed.keep(&batch, scrub, NOW);
    let hash = case["original_content_hash"].as_str().expect("a hash");
    assert!(
        kept.text.contains(&format!(r#""original":"{hash}""#)),
        "{}",
        kept.text
    );
    assert!(!kept.text.contains("jane"), "{}", kept.text);
    // The agent's signature is kept; it covers what is gone.
    let signature = read_signature(batch.traces[0].signature).expect("a signature");
    assert!(kept.text.contains(&write_signature(&signature)));
}
