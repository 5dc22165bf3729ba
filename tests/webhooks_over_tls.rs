//! Webhooks over https reach a server that somebody trusted vouches for, as they are, and no other server.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sha2::Sha256;
use support::rituals::{Dir, OPEN, ended, rule, rules, step};
use support::{Broker, text_at};

const SECRET: &str = "a-secret-of-enough-length";
const PRIVATE: (&str, &str) = ("rituals.webhook_private", "true");

/// Who vouches for servers.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes the certificate as `rituals.webhook_ca` names it.
    fn write(&self, dir: &Dir) -> String {
        let path = dir.path("ca.pem");
        let encoded = STANDARD.encode(self.0.der());
        let lines: Vec<_> = encoded.as_bytes().chunks(64).collect();
        let body = String::from_utf8(lines.join(&b'\n')).unwrap();
        let text = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        fs::write(&path, text).unwrap();
        path
    }

    /// Starts a server with a certificate for `name`, that answers every call with 200. Returns its port, and what it is
    /// sent: nothing where the handshake fails.
    fn server(&self, name: &str) -> (u16, Receiver<String>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, receiver) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(config.clone()).unwrap();
                let mut stream = StreamOwned::new(connection, stream.unwrap());
                let Some(request) = request(&mut stream) else {
                    continue;
                };
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nthanks";
                let _ = stream.write_all(answer).and_then(|()| stream.flush());
                if sender.send(request).is_err() {
                    return;
                }
            }
        });
        (port, receiver)
    }
}

/// A request with its body, as it says how long that is.
fn request(stream: &mut impl std::io::Read) -> Option<String> {
    let mut text = String::new();
    let mut bytes = [0; 4096];
    loop {
        let count = stream.read(&mut bytes).ok().filter(|count| *count > 0)?;
        text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        if body.len() == header(head, "content-length").parse::<usize>().unwrap() {
            return Some(text);
        }
    }
}

fn header<'t>(head: &'t str, name: &str) -> &'t str {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let found = fields.find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.unwrap_or_else(|| panic!("no {name} in {head}")).1
}

fn hook(name: &str, url: &str) -> String {
    let action = format!(r#"{{ do = "webhook", url = "{url}" }}"#);
    let more = "retries = 3\nbackoff_seconds = 0.01";
    rule(name, r#"{ glint = { module = "go" } }"#, more, &action)
}

#[test]
fn a_webhook_over_https_arrives_with_its_signature_and_its_key() {
    let dir = Dir::new("webhooks-tls");
    let authority = Authority::new();
    let ca = authority.write(&dir);
    let (port, calls) = authority.server("localhost");
    let secret = ("rituals.webhook_secret", SECRET);
    let broker = Broker::with(&[OPEN, PRIVATE, secret, ("rituals.webhook_ca", &ca)]).breathing();
    rules(
        &broker,
        &hook("hook", &format!("https://localhost:{port}/in?a=b")),
    );
    broker.publish(r#"{"source": "go", "content": "light"}"#);
    let run = &ended(&broker, "hook", 1)[0];
    assert_eq!(text_at(run, &["status"]), "completed", "{}", run.to_ascii());
    assert_eq!(text_at(step(run), &["output"]), "thanks");
    let call = calls.recv().unwrap();
    let (head, body) = call.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /in?a=b HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(head, "idempotency-key"), text_at(run, &["key"]));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let digits = mac.finalize().into_bytes();
    let digits: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        header(head, "x-glintcast-signature"),
        format!("sha256={digits}")
    );
    assert!(body.contains("light"), "{body}");
}

#[test]
fn a_server_that_nobody_trusted_vouches_for_gets_nothing_and_is_not_asked_again() {
    let dir = Dir::new("webhooks-untrusted");
    let (trusted, other) = (Authority::new(), Authority::new());
    let ca = trusted.write(&dir);
    let (stranger, of_stranger) = other.server("localhost");
    let (misnamed, of_misnamed) = trusted.server("elsewhere.test");
    let broker = Broker::with(&[OPEN, PRIVATE, ("rituals.webhook_ca", &ca)]).breathing();
    let text = hook("stranger", &format!("https://localhost:{stranger}/"))
        + &hook("misnamed", &format!("https://localhost:{misnamed}/"));
    rules(&broker, &text);
    broker.publish(r#"{"source": "go"}"#);
    refused(&broker, "stranger", "rituals.webhook_ca names who vouches");
    refused(&broker, "misnamed", "elsewhere.test");
    // Without a file it is those that browsers trust, who know neither.
    let browsers = Broker::with(&[OPEN, PRIVATE]).breathing();
    rules(
        &browsers,
        &hook("stranger", &format!("https://localhost:{stranger}/")),
    );
    browsers.publish(r#"{"source": "go"}"#);
    refused(&browsers, "stranger", "the server is not trusted");
    assert!(of_stranger.try_recv().is_err());
    assert!(of_misnamed.try_recv().is_err());
}

/// Asserts that a run failed at its first attempt, for a reason that says so.
fn refused(broker: &Broker, rule: &str, reason: &str) {
    let run = &ended(broker, rule, 1)[0];
    assert_eq!(text_at(run, &["status"]), "failed");
    let step = step(run);
    let said = text_at(step, &["reason"]);
    assert!(said.starts_with("the server is not trusted: "), "{said}");
    assert!(said.contains(reason), "{said}");
    assert_eq!(
        support::count_at(step, &["attempts"]),
        1,
        "{}",
        run.to_ascii()
    );
}

#[test]
fn encryption_opens_no_way_to_addresses_inside() {
    let dir = Dir::new("webhooks-inside");
    let authority = Authority::new();
    let ca = authority.write(&dir);
    let (port, calls) = authority.server("localhost");
    let broker = Broker::with(&[OPEN, ("rituals.webhook_ca", &ca)]).breathing();
    rules(
        &broker,
        &hook("inside", &format!("https://localhost:{port}/")),
    );
    broker.publish(r#"{"source": "go"}"#);
    let run = &ended(&broker, "inside", 1)[0];
    let said = text_at(step(run), &["reason"]);
    assert!(said.contains("is an address inside"), "{said}");
    assert!(calls.try_recv().is_err());
}

#[test]
fn a_file_without_certificates_keeps_the_broker_from_starting() {
    let dir = Dir::new("webhooks-ca");
    for (name, text, reason) in [
        ("empty.pem", "", "has no certificate in PEM"),
        (
            "broken.pem",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "certificate 1 of",
        ),
    ] {
        let path = dir.path(name);
        fs::write(&path, text).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_glintcast"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("GLINTCAST__RITUALS__WEBHOOK_CA", &path)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && said.contains("rituals.webhook_ca"),
            "{said}"
        );
        assert!(said.contains(reason), "{said}");
    }
}
