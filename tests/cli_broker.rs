//! What `publish` and `tail` promise, against a broker made of a script.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};

/// A request as it came in.
#[derive(Debug, Clone)]
struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    fn read(stream: &TcpStream) -> Request {
        let mut input = BufReader::new(stream);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            input.read_line(&mut line).unwrap();
            if line.trim_end().is_empty() {
                break;
            }
            head.push(line.trim_end().to_owned());
        }
        let headers = head[1..].iter().map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        });
        let mut request = Request {
            line: head[0].clone(),
            headers: headers.collect(),
            body: String::new(),
        };
        let length = request.header("content-length").unwrap_or("0");
        let mut body = vec![0; length.parse().unwrap()];
        input.read_exact(&mut body).unwrap();
        request.body = String::from_utf8(body).unwrap();
        request
    }
}

/// Answers one connection after the other with the answers of the script, then is gone.
fn broker(answers: Vec<String>) -> (String, JoinHandle<Vec<Request>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            requests.push(Request::read(&stream));
            stream.write_all(answer.as_bytes()).unwrap();
        }
        requests
    });
    (url, served)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn accepted(count: u64) -> String {
    let body = format!("{{\"accepted\":{count},\"refused\":0,\"items\":[]}}");
    answer("200 OK", "", &body)
}

/// A stream that breaks off after `lines`, cut into chunks without regard to them.
fn stream(lines: &str) -> String {
    let mut answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
                      Content-Type: application/x-ndjson\r\n\r\n"
        .to_owned();
    let (head, tail) = lines.split_at(lines.len() / 3);
    for part in [head, tail] {
        answer.push_str(&format!("{:x}\r\n{part}\r\n", part.len()));
    }
    answer
}

fn event(number: u64) -> String {
    format!(
        "{{\"event\": \"glint_emission\", \"cursor\": \"1-{number}\", \"topic\": \"glints\", \
         \"time\": \"2026-11-21T03:56:00.000000Z\", \"id\": \"g{number}\", \"source\": \"m\", \
         \"phase\": \"hold\", \"data\": {{\"content\": \"say {number}\"}}}}\n"
    )
}

fn run(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_glintcast"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program may fail before it reads.
    drop(child.stdin.take().unwrap().write_all(input));
    child.wait_with_output().unwrap()
}

fn notes(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn file(name: &str, text: &[u8]) -> String {
    let name = format!(
        "{}/{name}-{}",
        env!("CARGO_TARGET_TMPDIR"),
        std::process::id()
    );
    std::fs::write(&name, text).unwrap();
    name
}

#[test]
fn lines_are_sent_in_batches_and_counted() {
    let path = file(
        "plain.jsonl",
        b"\xEF\xBB\xBF{\"a\":1}\n\n\r{\"b\":2}\r\n  \n[3]",
    );
    let (url, served) = broker(vec![accepted(2), accepted(1)]);
    let output = run(&["publish", &path, "--to", &url, "--batch", "2"], b"");
    let requests = served.join().unwrap();
    assert_eq!(notes(&output), "accepted 3\nrefused  0\nblank    2\n");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(requests[0].line, "POST /glints?partial=true HTTP/1.1");
    assert_eq!(
        requests[0].header("content-type"),
        Some("application/x-ndjson")
    );
    assert_eq!(requests[0].body, "{\"a\":1}\n{\"b\":2}\n");
    assert_eq!(requests[1].body, "[3]\n");
    let keys: Vec<_> = requests
        .iter()
        .map(|one| one.header("idempotency-key"))
        .collect();
    assert!(keys[0].is_some() && keys[1].is_some() && keys[0] != keys[1]);
}

#[test]
fn refused_lines_are_named_with_their_number_in_the_file() {
    let body = r#"{"accepted":1,"refused":1,"items":[{"index":0,"id":"x","cursor":"1-1"},{"index":1,"error":{"code":"glint_not_object","detail":"send an object","field":null}}]}"#;
    let path = file("refused.jsonl", b"\n{}\n\xFF\n\n[1]\n");
    let (url, served) = broker(vec![answer("200 OK", "", body)]);
    let output = run(&["publish", &path, "--to", &url], b"");
    assert_eq!(served.join().unwrap()[0].body, "{}\n[1]\n");
    assert_eq!(output.status.code(), Some(1));
    let expected = "accepted 1\nrefused  2\n  line 3: not UTF-8 from byte 0 on; convert the input \
                    first\n  line 5: glint_not_object: send an object\nblank    2\n";
    assert_eq!(notes(&output), expected);
}

#[test]
fn many_refusals_are_counted_and_the_first_twenty_named() {
    let path = file("many.jsonl", &b"\xFF\n".repeat(30));
    let output = run(
        &["publish", &path, "--to", "http://127.0.0.1:1", "--quiet"],
        b"",
    );
    assert_eq!(notes(&output).matches("  line ").count(), 20);
    assert!(notes(&output).contains("  and 10 more\n"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_busy_broker_is_asked_again_with_the_same_key() {
    let busy = answer(
        "503 Service Unavailable",
        "Retry-After: 0\r\n",
        r#"{"code":"busy","detail":"come back"}"#,
    );
    // What a worker says that had no time to read the request.
    let late = answer("408 Request Timeout", "", "");
    let (url, served) = broker(vec![busy.clone(), busy, late, accepted(1)]);
    let output = run(&["publish", "--to", &url], b"{}\n");
    let requests = served.join().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", notes(&output));
    assert_eq!(notes(&output).matches("come back; trying again").count(), 1);
    assert_eq!(requests.len(), 4);
    let key = requests[0].header("idempotency-key").unwrap();
    assert!(
        requests
            .iter()
            .all(|one| one.header("idempotency-key") == Some(key))
    );
}

#[test]
fn an_answer_that_breaks_off_is_asked_for_again() {
    let broken = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"acc".to_owned();
    let (url, served) = broker(vec![broken, accepted(1)]);
    let output = run(&["publish", "--to", &url], b"{}\n");
    let requests = served.join().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", notes(&output));
    let keys: Vec<_> = requests
        .iter()
        .map(|one| one.header("idempotency-key"))
        .collect();
    assert_eq!(keys[0], keys[1]);
}

#[test]
fn something_that_is_no_broker_is_not_fed() {
    for strange in [
        answer("404 Not Found", "", "<html>"),
        answer("302 Found", "Location: /elsewhere\r\n", ""),
        answer("200 OK", "", "hello"),
    ] {
        let (url, served) = broker(vec![strange]);
        let output = run(&["publish", "--to", &url], b"{}\n");
        served.join().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(notes(&output).contains("error: "), "{}", notes(&output));
    }
}

#[test]
fn a_broker_that_is_not_there_is_said_in_plain_words() {
    // A port that was free a moment ago and is refused now.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let remedy = "start a broker with `glintcast serve`";
    for args in [&["publish", "--to", &url][..], &["tail", &url]] {
        let output = run(args, b"{}\n");
        assert_eq!(output.status.code(), Some(1));
        assert!(notes(&output).starts_with("error: nobody listens at"));
        assert!(notes(&output).contains(remedy), "{}", notes(&output));
    }
}

#[test]
fn lines_of_a_pipe_do_not_wait_for_a_full_batch() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let take = || {
        let (mut stream, _) = listener.accept().unwrap();
        let request = Request::read(&stream);
        stream.write_all(accepted(1).as_bytes()).unwrap();
        request.body
    };
    let mut child = Command::new(env!("CARGO_BIN_EXE_glintcast"))
        .args(["publish", "--to", &url])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"{\"n\":1}\n{\"n\":").unwrap();
    // The pipe stays open with half a line in it: the first line comes all the same.
    assert_eq!(take(), "{\"n\":1}\n");
    stdin.write_all(b"2}\n").unwrap();
    drop(stdin);
    assert_eq!(take(), "{\"n\":2}\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn events_are_printed_unchanged_for_programs() {
    let hello = "{\"event\": \"hello\", \"cursor\": \"1-0\"}\n";
    let lines = [hello.to_owned(), event(1), event(2), event(3)].concat();
    let (url, served) = broker(vec![stream(&lines)]);
    let args = [
        "tail", &url, "--json", "--limit", "2", "--from", "-10", "--module", "a b*",
    ];
    let output = run(&args, b"");
    let requests = served.join().unwrap();
    assert_eq!(
        requests[0].line,
        "GET /stream?module=a%20b*&from=-10 HTTP/1.1"
    );
    assert_eq!(requests[0].header("accept"), Some("application/x-ndjson"));
    let expected = [hello.to_owned(), event(1), event(2)].concat();
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    assert_eq!((output.status.code(), notes(&output)), (Some(0), ""));
}

#[test]
fn a_broken_stream_is_resumed_after_the_last_event_seen() {
    let half = &event(2)[..20];
    let farewell = "{\"event\": \"farewell\", \"retry_ms\": 1}\n";
    let (url, served) = broker(vec![
        stream(&[&event(1), farewell].concat()),
        answer(
            "503 Service Unavailable",
            "Retry-After: 0\r\n",
            "{\"detail\":\"full\"}",
        ),
        stream(&[&event(2), &event(3), half].concat()),
        stream(&event(4)),
    ]);
    let output = run(&["tail", &url, "--limit", "4"], b"");
    let requests = served.join().unwrap();
    let cursors: Vec<_> = requests
        .iter()
        .map(|one| one.header("last-event-id"))
        .collect();
    assert_eq!(cursors, [None, Some("1-1"), Some("1-1"), Some("1-3")]);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    for number in 1..=4 {
        assert_eq!(
            shown.matches(&format!("say {number}")).count(),
            1,
            "{shown}"
        );
    }
    assert!(notes(&output).contains("full; connecting again from 1-1 on"));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_stream_that_is_refused_for_good_ends_with_the_reason() {
    let detail = "{\"code\":\"cursor_invalid\",\"detail\":\"no such cursor \\u001b[2J\"}";
    let (url, served) = broker(vec![answer("400 Bad Request", "", detail)]);
    let output = run(&["tail", &url, "--from", "9-9"], b"");
    served.join().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        notes(&output).contains("no such cursor \u{FFFD}[2J"),
        "{}",
        notes(&output)
    );
    let (url, served) = broker(vec![answer(
        "200 OK",
        "Content-Type: text/html\r\n",
        "<html>",
    )]);
    let output = run(&["tail", &url], b"");
    served.join().unwrap();
    assert_eq!(output.status.code(), Some(1));
}
