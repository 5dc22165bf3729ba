//! The sigil registry as existing clients know it, over real sockets.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::path::Path;

use glint::json::{self, Value};
use support::sigils::{A, AB_SEAL, B, EMPTY, QUIET, body, seal, send, upload, urls};
use support::{Broker, count_at, keys, text_at};

#[test]
fn an_upload_answers_as_existing_clients_read_it() {
    let broker = Broker::start();
    let answer = upload(
        &broker,
        "/sigils/inhale",
        &[
            &format!("[{:?}]", A),
            &format!("{{\"url\":{B:?},\"pulse\":1}}"),
        ],
    );
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let expected = format!(
        "{{\"status\":\"ok\",\"files_received\":2,\"crystals_total\":2,\"crystals_imported\":2,\"crystals_failed\":0,\
         \"registry_urls\":2,\"latest_pulse\":200,\"urls\":[{B:?},{A:?}],\"state\":"
    );
    assert!(answer.text().starts_with(&expected), "{}", answer.text());
    assert!(answer.text().ends_with(",\"errors\":[]}"));
    assert_eq!(answer.header("etag"), Some(&*format!("\"{AB_SEAL}\"")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("surrogate-control"), Some("no-store"));
    assert_eq!(answer.header("vary"), Some("Origin"));
    let answer = broker.get("/sigils/seal");
    assert_eq!(answer.text(), format!("{{\"seal\":\"{AB_SEAL}\"}}"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let state = broker.get("/sigils/state").json();
    assert_eq!(
        keys(&state),
        [
            "spec",
            "total_urls",
            "latest",
            "state_seal",
            "registry",
            "urls"
        ]
    );
    let Some(Value::Array(entries)) = state.get("registry") else {
        panic!("no registry");
    };
    assert_eq!(
        keys(&entries[0]),
        [
            "url",
            "payload",
            "pulse",
            "beat",
            "stepIndex",
            "chakraDay",
            "kaiSignature",
            "originUrl",
            "parentUrl",
            "userPhiKey",
            "phiKey",
            "phikey",
            "id"
        ]
    );
    let exhaled = broker.get("/sigils/exhale?mode=state");
    assert!(exhaled.text().starts_with(
        "{\"status\":\"ok\",\"mode\":\"state\",\"urls\":null,\"state\":{\"spec\":\"KKS-1.0\""
    ));
    assert_eq!(urls(&broker.get("/sigils/exhale")), [B, A]);
}

#[test]
fn a_poll_with_the_seal_costs_no_body() {
    let broker = Broker::start();
    let tag = format!("\"{EMPTY}\"");
    for condition in [&*tag, &*format!("W/{tag}"), "*", &*format!("\"x\", {tag}")] {
        for path in [
            "/sigils/seal",
            "/sigils/urls",
            "/sigils/urls?limit=5",
            "/sigils/state",
            "/sigils/exhale",
        ] {
            let answer = broker.send("GET", path, &[("If-None-Match", condition)], b"");
            assert_eq!(
                (answer.status(), answer.body.len()),
                (304, 0),
                "{path} {condition}"
            );
            assert_eq!(answer.header("etag"), Some(&*tag));
            assert_eq!(
                answer.header("cache-control"),
                Some("private, max-age=0, must-revalidate")
            );
            assert_eq!(answer.header("content-type"), None);
        }
        let later = broker.send(
            "GET",
            "/sigils/urls?offset=1",
            &[("If-None-Match", condition)],
            b"",
        );
        assert_eq!(later.status(), 200, "only the first page is conditional");
    }
    for condition in ["\"x\"", EMPTY, ""] {
        let answer = broker.send("GET", "/sigils/seal", &[("If-None-Match", condition)], b"");
        assert_eq!(answer.status(), 200, "{condition}");
    }
    let head = broker.send("HEAD", "/sigils/seal", &[], b"");
    assert_eq!(
        (head.status(), head.header("content-length")),
        (200, Some("43"))
    );
}

#[test]
fn bad_parameters_are_told_before_the_body_is_read() {
    let broker = Broker::start();
    let cases = [
        ("/sigils/urls?offset=-1", "greater_than_equal"),
        ("/sigils/urls?limit=0", "greater_than_equal"),
        ("/sigils/urls?limit=200001", "less_than_equal"),
        ("/sigils/urls?limit=1.5", "int_parsing"),
        ("/sigils/urls?limit=", "int_parsing"),
        ("/sigils/exhale?mode=URLS", "literal_error"),
    ];
    for (path, kind) in cases {
        let answer = broker.get(path);
        assert_eq!(answer.status(), 422, "{path}");
        let begins = format!("{{\"detail\":[{{\"type\":\"{kind}\",\"loc\":[\"query\",");
        assert!(
            answer.text().starts_with(&begins),
            "{path}: {}",
            answer.text()
        );
        assert_eq!(answer.header("etag"), None);
    }
    let answer = send(
        &broker,
        "/sigils/inhale?include_state=maybe&max_bytes_per_file=1",
        b"no multipart",
    );
    assert_eq!(answer.status(), 422);
    assert!(
        answer.text().contains("bool_parsing") && answer.text().contains("\"ctx\":{\"ge\":1000}")
    );
    let page = broker
        .get("/sigils/urls?offset=12345678901234567890123456&limit=1_0&limit=+7.0")
        .json();
    assert_eq!(
        page.to_ascii(),
        format!(
            "{{\"status\": \"ok\", \"state_seal\": \"{EMPTY}\", \"total\": 0, \"offset\": 12345678901234567890123456, \"limit\": 7, \"urls\": [], \"seal\": \"{EMPTY}\"}}"
        )
    );
}

#[test]
fn addresses_answer_as_the_existing_service_does() {
    let broker = Broker::start();
    let answer = broker.send("DELETE", "/sigils/seal", &[], b"");
    assert_eq!(
        (answer.status(), answer.text()),
        (405, "{\"detail\":\"Method Not Allowed\"}")
    );
    let answer = broker.send("OPTIONS", "/sigils/inhale", &[], b"");
    assert_eq!(
        (answer.status(), answer.header("allow")),
        (405, Some("POST"))
    );
    for path in ["/sigils", "/sigils/", "/sigils/nothing"] {
        let answer = broker.get(path);
        assert_eq!(
            (answer.status(), answer.text()),
            (404, "{\"detail\":\"Not Found\"}"),
            "{path}"
        );
    }
    let answer = broker.get("/sigils/urls/?limit=3");
    let expected = format!("{}/sigils/urls?limit=3", broker.url());
    assert_eq!(
        (answer.status(), answer.header("location")),
        (307, Some(&*expected))
    );
}

#[test]
fn browsers_of_any_origin_may_read_and_upload() {
    let broker = Broker::start();
    for origin in ["https://app.example", "null"] {
        let answer = broker.send("GET", "/sigils/urls?limit=0", &[("Origin", origin)], b"");
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(
            answer.header("access-control-expose-headers"),
            Some("ETag, Cache-Control, Content-Length")
        );
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    assert_eq!(
        broker
            .get("/sigils/seal")
            .header("access-control-allow-origin"),
        None
    );
    let asked = [
        ("Origin", "https://app.example"),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "if-none-match"),
    ];
    for path in ["/sigils/seal", "/sigils/inhale", "/sigils/nothing"] {
        let answer = broker.send("OPTIONS", path, &asked, b"");
        assert_eq!((answer.status(), answer.text()), (200, "OK"), "{path}");
        assert_eq!(answer.header("access-control-max-age"), Some("600"));
        assert_eq!(
            answer.header("access-control-allow-headers"),
            Some("if-none-match")
        );
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("https://app.example")
        );
        assert!(
            answer
                .header("vary")
                .unwrap()
                .contains("Access-Control-Request-Private-Network")
        );
    }
    let foreign = [
        ("Origin", "https://app.example"),
        ("Access-Control-Request-Method", "BREW"),
    ];
    let answer = broker.send("OPTIONS", "/sigils/seal", &foreign, b"");
    assert_eq!(
        (answer.status(), answer.text()),
        (400, "Disallowed CORS method")
    );
}

#[test]
fn a_merge_on_the_side_leaves_the_registry_alone() {
    let broker = Broker::start();
    let answer = upload(&broker, "/sigils/merge", &[&format!("[{A:?},{B:?}]")]);
    assert_eq!(
        answer.text(),
        format!("{{\"status\":\"ok\",\"mode\":\"urls\",\"urls\":[{B:?},{A:?}],\"state\":null}}")
    );
    assert_eq!(answer.header("etag"), Some(&*format!("\"{AB_SEAL}\"")));
    let none = send(&broker, "/sigils/merge?mode=state", &body(&[]));
    assert_eq!(
        none.text(),
        "{\"status\":\"ok\",\"mode\":\"state\",\"urls\":[],\"state\":null}"
    );
    assert_eq!((none.status(), none.header("etag")), (200, None));
    assert_eq!(seal(&broker), EMPTY);
}

#[test]
fn pages_that_name_their_seal_stay_in_one_list() {
    let broker = Broker::with(&[("registry.pins_max", "2")]);
    let more = |from: usize| {
        let urls: Vec<String> = (from..from + 10)
            .map(|nth| format!("\"https://h/s/{nth}?p=eyJwdWxzZSI6MTB9\""))
            .collect();
        format!("[{}]", urls.join(","))
    };
    upload(&broker, QUIET, &[&more(10)]);
    let first = broker.get("/sigils/urls?limit=5");
    let seal = text_at(&first.json(), &["state_seal"]).to_owned();
    upload(&broker, QUIET, &[&more(50)]);
    let second = broker.get(&format!("/sigils/urls?limit=50&offset=5&seal={seal}"));
    assert_eq!(text_at(&second.json(), &["state_seal"]), seal);
    assert_eq!(count_at(&second.json(), &["total"]), 10);
    let merged = upload(
        &broker,
        "/sigils/merge",
        &[&format!("{:?}", [urls(&first), urls(&second)].concat())],
    );
    assert_eq!(merged.header("etag"), Some(&*format!("\"{seal}\"")));
    // What is held is bounded: two other lists push it out.
    for from in [100, 200] {
        broker.get("/sigils/urls?limit=1");
        upload(&broker, QUIET, &[&more(from)]);
        broker.get("/sigils/urls?limit=1");
    }
    let gone = broker.get(&format!("/sigils/urls?offset=5&seal={seal}"));
    assert_eq!(
        (gone.status(), text_at(&gone.json(), &["code"])),
        (410, "seal_gone")
    );
    assert_eq!(broker.get("/sigils/urls?seal=x").status(), 400);
}

/// Every recorded upload, over HTTP: counters, seal, order.
#[test]
fn recorded_uploads_end_in_the_recorded_seal() {
    let Some(material) = support::fixtures::directory("recorded uploads") else {
        return;
    };
    let text =
        std::fs::read_to_string(Path::new(&material).join("vectors/registry.jsonl")).unwrap();
    let mut cases = 0;
    for line in text.lines() {
        let case = json::parse(line).unwrap();
        let Some(Value::Array(steps)) = case.get("steps") else {
            panic!("no steps")
        };
        let broker = Broker::start();
        for step in steps {
            let Some(Value::Array(files)) = step.get("files") else {
                panic!("no files")
            };
            let files: Vec<String> = files.iter().map(Value::to_ascii).collect();
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            let told = upload(&broker, "/sigils/inhale", &files).json();
            for (ours, theirs) in [
                ("crystals_total", "total"),
                ("crystals_imported", "imported"),
                ("registry_urls", "urls"),
                ("latest_pulse", "latest_pulse"),
            ] {
                assert_eq!(told.get(ours), step.get(theirs), "{line}");
            }
            assert_eq!(seal(&broker), text_at(step, &["seal"]), "{line}");
        }
        cases += 1;
    }
    assert!(cases >= 40, "{cases} cases");
}
