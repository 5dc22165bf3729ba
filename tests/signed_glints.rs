//! Agents sign traces and plain glints with the tools they have, and subscribers are told whose word it is.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::process::Command;

use attest::seal::write_signature;
use glint::json::Value;
use support::Broker;
use support::traces::{Dir, enrol, key, revoke};
use support::{parse, text_at};

/// The last glint of the history, as streams say it.
fn last(broker: &Broker) -> Value<'static> {
    let page = broker.get("/glints?topics=glints&from=-1&limit=1").json();
    match page.get("items") {
        Some(Value::Array(items)) => items[0].clone(),
        _ => panic!("{}", page.to_ascii()),
    }
}

#[test]
fn the_word_of_an_agent_is_told_from_that_of_a_sender() {
    let dir = Dir::new("signed-glints");
    let broker = dir.broker(&[]);
    let public = key(1).public().to_base64();
    assert_eq!(enrol(&broker, "agent", &public, &[]).status(), 201);
    let signature = write_signature(&key(1).sign(br#"{"content":"h\u00e9","n":1.0,"source":"a"}"#));
    // Members in another order, numbers and strings spelt another way.
    let glint = |content: &str, id: &str| {
        format!(
            r#"{{"source":"a","agent_signature":{{"key_id":"{id}","signature":"{signature}"}},"n":1e0,"content":"{content}"}}"#
        )
    };
    let post = |body: &str| broker.post("/glints", "application/json", body);
    assert_eq!(post(&glint("hé", "agent")).status(), 200);
    let seen = last(&broker);
    let data = seen.get("data").unwrap();
    assert_eq!(text_at(data, &["provenance", "verified"]), "agent");
    assert_eq!(text_at(data, &["provenance", "key_id"]), "agent");
    assert_eq!(text_at(data, &["agent_signature", "signature"]), signature);
    let code = |body: &str| {
        let answer = post(body);
        (
            answer.status(),
            text_at(&answer.json(), &["code"]).to_owned(),
        )
    };
    let mismatch = (401, "verify_signature_mismatch".to_owned());
    assert_eq!(code(&glint("changed", "agent")), mismatch);
    assert_eq!(
        code(&glint("hé", "nobody")),
        (401, "verify_unknown_key".to_owned())
    );
    assert_eq!(
        code(r#"{"agent_signature":"x"}"#),
        (400, "signature_malformed".to_owned())
    );
    // Lines and arrays are held to the same.
    let lines = broker.post("/glints", "application/x-ndjson", glint("changed", "agent"));
    assert_eq!(lines.status(), 401, "{}", lines.text());
    // Nobody says so in the broker's name.
    assert_eq!(
        post(r#"{"content":"x","provenance":{"verified":"agent"}}"#).status(),
        200
    );
    let seen = last(&broker);
    let data = seen.get("data").unwrap();
    assert!(data.get("provenance").is_none() && data.get("posted_provenance").is_some());
    assert_eq!(revoke(&broker, "agent").status(), 200);
    assert_eq!(
        code(&glint("hé", "agent")),
        (401, "verify_unknown_key".to_owned())
    );
}

/// Runs an example with a key made by the command line; returns what it said, if its tools are here.
fn example(program: &str, file: &str, needs: &[&str]) -> Option<String> {
    let lacks = !Command::new(needs[0])
        .args(&needs[1..])
        .output()
        .is_ok_and(|output| output.status.success());
    if lacks {
        assert!(
            std::env::var_os("CI").is_none(),
            "{} is missing",
            needs.join(" ")
        );
        use std::io::Write as _;
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {file}: {} does not work",
            needs.join(" ")
        );
        return None;
    }
    let dir = Dir::new(&format!("example-{program}"));
    let broker = dir.broker(&[]);
    let pem = dir.0.join("agent.pem");
    let made = broker.run(&["keys", "new", pem.to_str().unwrap()]);
    let made = parse(std::str::from_utf8(&made.stdout).unwrap());
    let public = text_at(&made, &["public_key_base64"]);
    assert_eq!(enrol(&broker, "example", public, &[]).status(), 201);
    let script = format!(
        "{}/tests/clients/signing/{file}",
        env!("CARGO_MANIFEST_DIR")
    );
    let output = Command::new(program)
        .args([&script, &broker.url(), pem.to_str().unwrap(), "example"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    let seen = last(&broker);
    assert_eq!(text_at(&seen, &["data", "provenance", "key_id"]), "example");
    Some(said)
}

#[test]
fn the_example_in_python_is_taken() {
    let needs = ["python3", "-c", "import cryptography"];
    if let Some(said) = example("python3", "sign.py", &needs) {
        assert!(said.starts_with("stored\n"), "{said}");
    }
}

#[test]
fn the_example_in_shell_is_taken() {
    let needs = [
        "sh",
        "-c",
        "curl --version && openssl version | grep '^OpenSSL 3'",
    ];
    if let Some(said) = example("sh", "sign.sh", &needs) {
        assert!(said.contains(r#""outcome": "stored""#), "{said}");
    }
}
