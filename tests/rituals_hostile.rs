//! Hostile rules and jobs are bounded, reported, and hold back nobody.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use support::rituals::{Dir, OPEN, ended, rule, rules, step};
use support::{Broker, eventually, text_at};

#[test]
fn hostile_jobs_are_bounded_and_reported_and_hold_back_nobody() {
    let dir = Dir::new("rituals-hostile");
    dir.script("forever", "sleep 3600 & sleep 3600");
    dir.script(
        "children",
        "for n in 1 2 3 4 5 6 7 8; do (while :; do sleep 1; done) & done\necho $$ > group\nwait",
    );
    dir.script(
        "flood",
        "head -c 104857600 /dev/zero | tr '\\0' 'x'; echo; echo last words",
    );
    dir.script("good", "echo fine");
    let settings = [
        OPEN,
        ("rituals.commands_dir", dir.text()),
        ("rituals.output_bytes", "1024"),
    ];
    let broker = Broker::with(&settings).breathing();
    let job = |name: &str, seconds: &str| {
        let more = format!("timeout_seconds = {seconds}\nretries = 0");
        rule(
            name,
            r#"{ glint = { module = "go" } }"#,
            &more,
            &format!(r#"{{ do = "command", program = "{name}" }}"#),
        )
    };
    let text = job("forever", "1")
        + &job("children", "1")
        + &job("flood", "60")
        + &job("good", "30")
        + &job("absent", "30");
    rules(&broker, &text);
    broker.publish(r#"{"source": "go"}"#);
    assert_eq!(
        text_at(&ended(&broker, "good", 1)[0], &["status"]),
        "completed"
    );
    for name in ["forever", "children"] {
        let run = &ended(&broker, name, 1)[0];
        assert_eq!(text_at(run, &["status"]), "failed");
        assert!(
            text_at(step(run), &["reason"]).contains("killed with its children"),
            "{}",
            run.to_ascii()
        );
    }
    let group = dir.read("group").trim().to_owned();
    eventually("nobody of the group is left", || {
        let listed = std::process::Command::new("kill")
            .args(["-0", "--", &format!("-{group}")])
            .output()
            .unwrap();
        !listed.status.success()
    });
    let flood = &ended(&broker, "flood", 1)[0];
    let output = text_at(step(flood), &["output"]);
    assert!(
        output.len() < 1200
            && output.contains("bytes before this")
            && output.ends_with("last words\n"),
        "{}",
        output.len()
    );
    let absent = &ended(&broker, "absent", 1)[0];
    assert!(
        text_at(step(absent), &["reason"]).contains("absent is not in"),
        "{}",
        absent.to_ascii()
    );
}

#[test]
fn hostile_addresses_are_bounded_and_reported() {
    // One never answers, one points at an address inside.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let (silent_at, elsewhere_at) = (
        silent.local_addr().unwrap(),
        elsewhere.local_addr().unwrap(),
    );
    let server = std::thread::spawn(move || {
        let (mut stream, _) = elsewhere.accept().unwrap();
        let mut request = [0; 4096];
        let read = stream.read(&mut request).unwrap();
        stream
            .write_all(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .unwrap();
        String::from_utf8_lossy(&request[..read]).to_lowercase()
    });
    let secret = ("rituals.webhook_secret", "a-secret-of-enough-length");
    let broker = Broker::with(&[OPEN, secret, ("rituals.webhook_private", "true")]).breathing();
    let call = |name: &str, url: &str| {
        rule(
            name,
            r#"{ glint = { module = "go" } }"#,
            "timeout_seconds = 1\nretries = 0",
            &format!(r#"{{ do = "webhook", url = "{url}" }}"#),
        )
    };
    rules(
        &broker,
        &(call("silent", &format!("http://{silent_at}/"))
            + &call("elsewhere", &format!("http://{elsewhere_at}/hook"))),
    );
    broker.publish(r#"{"source": "go"}"#);
    let run = &ended(&broker, "silent", 1)[0];
    assert!(
        text_at(step(run), &["reason"]).contains("no answer within 1.0 s"),
        "{}",
        run.to_ascii()
    );
    let run = &ended(&broker, "elsewhere", 1)[0];
    assert!(
        text_at(step(run), &["reason"]).contains("points elsewhere"),
        "{}",
        run.to_ascii()
    );
    let request = server.join().unwrap();
    let key = text_at(run, &["key"]);
    assert!(
        request.contains(&format!("idempotency-key: {key}")),
        "{request}"
    );
    assert!(
        request.contains("x-glintcast-signature: sha256="),
        "{request}"
    );
    // Where it is not allowed, nobody inside is called at all.
    let careful = Broker::with(&[OPEN]).breathing();
    rules(
        &careful,
        &call("inside", &format!("http://localhost:{}/", silent_at.port())),
    );
    careful.publish(r#"{"source": "go"}"#);
    let run = &ended(&careful, "inside", 1)[0];
    assert!(
        text_at(step(run), &["reason"]).contains("is an address inside"),
        "{}",
        run.to_ascii()
    );
}

#[test]
fn a_huge_rule_file_is_refused_and_the_broker_goes_on() {
    let broker = Broker::with(&[OPEN]).breathing();
    let answer = broker.send("PUT", "/rituals/rules", &[], &vec![b'#'; 10 << 20]);
    assert_eq!(answer.status(), 413);
    broker.publish(r#"{"source": "go"}"#);
}
