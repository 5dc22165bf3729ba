//! The registry as tests speak to it.

use std::path::Path;
use std::process::Command;

use glint::json::{self, Value};
use registry::{Base, Mode, Quota, Registry, read_document};

use super::http::Answer;
use super::{Broker, text_at};

pub const EMPTY: &str = "fbace09c6439af5ec18a780e9c7c8131";
pub const A: &str =
    "https://peer.example/s/aa11?p=eyJwdWxzZSI6MTAwLCJiZWF0IjoxLCJzdGVwSW5kZXgiOjJ9";
pub const A_SEAL: &str = "d371382a33c049f0380f4af6d7c1d07e";
pub const B: &str =
    "https://peer.example/s/bb22?p=eyJwdWxzZSI6MjAwLCJiZWF0IjoxLCJzdGVwSW5kZXgiOjJ9";
pub const AB_SEAL: &str = "19e1843837b8cdd47cfa03df66dbb294";
pub const QUIET: &str = "/sigils/inhale?include_state=false&include_urls=false";

/// A multipart body of files: their heads beyond the disposition, and their contents.
pub fn body(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, content) in files {
        body.extend_from_slice(b"--cut\r\nContent-Disposition: form-data; name=\"file\"");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--cut--\r\n");
    body
}

pub fn send(broker: &Broker, path: &str, body: &[u8]) -> Answer {
    broker.post(path, "multipart/form-data; boundary=cut", body)
}

pub fn upload(broker: &Broker, path: &str, documents: &[&str]) -> Answer {
    let files: Vec<(&str, &[u8])> = documents
        .iter()
        .map(|document| {
            (
                "; filename=\"x.json\"\r\nContent-Type: application/json",
                document.as_bytes(),
            )
        })
        .collect();
    send(broker, path, &body(&files))
}

pub fn seal(broker: &Broker) -> String {
    text_at(&broker.get("/sigils/seal").json(), &["seal"]).to_owned()
}

pub fn urls(answer: &Answer) -> Vec<String> {
    let Some(Value::Array(urls)) = answer.json().get("urls").cloned() else {
        panic!("no urls in {}", answer.text());
    };
    urls.iter()
        .map(|url| url.as_str().unwrap().to_owned())
        .collect()
}

/// Merges what the log of a data directory has of the registry, in its order, into one that is empty, and shows what each
/// batch makes of it.
pub fn merged_afresh(dir: &Path, mut show: impl FnMut(&Registry)) -> Registry {
    let replay = Command::new(env!("CARGO_BIN_EXE_glintcast"))
        .arg("replay")
        .arg(dir)
        .output()
        .unwrap();
    assert!(replay.status.success());
    let mut registry = Registry::new(Base::default(), Mode::Compatible);
    for line in String::from_utf8(replay.stdout).unwrap().lines() {
        let event = json::parse(line).unwrap();
        if event.get("event").and_then(Value::as_str) == Some("sigil_batch") {
            let urls = event.at(&["data", "urls"]).unwrap().to_ascii();
            let hits = read_document(urls.as_bytes(), &Base::default()).unwrap();
            let delta = registry.merge(hits, &Quota::NONE).unwrap();
            registry.apply(&delta);
            show(&registry);
        }
    }
    registry
}
