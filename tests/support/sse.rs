//! Server-sent events, read as the WHATWG says an `EventSource` does.

use std::io::{BufRead, BufReader};

use glint::json::Value;

use super::http::{Body, Head};
use super::{Broker, parse};

/// An event as it is dispatched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The name; `message` when none was sent.
    pub name: String,
    /// The lines of data, with LF between them.
    pub data: String,
    /// The id in force after this event.
    pub last_id: String,
    /// The bytes of the event, its blank line included.
    pub raw: Vec<u8>,
}

impl Event {
    pub fn json(&self) -> Value<'static> {
        parse(&self.data)
    }

    /// The id line of this very event.
    pub fn own_id(&self) -> Option<&str> {
        let raw = std::str::from_utf8(&self.raw).unwrap();
        raw.lines().find_map(|line| line.strip_prefix("id: "))
    }
}

/// A stream of events.
#[derive(Debug)]
pub struct Events {
    pub head: Head,
    input: BufReader<Body>,
    /// The id that a reconnecting client sends.
    pub last_id: String,
    /// The last retry line.
    pub retry_ms: Option<u64>,
    /// Comments so far.
    pub comments: u64,
}

impl Events {
    /// Reads an event; `None` when the stream ends, in good order or not.
    pub fn try_next(&mut self) -> Option<Event> {
        let (mut name, mut data, mut raw) = (String::new(), None::<String>, Vec::new());
        loop {
            let mut line = Vec::new();
            match self.input.read_until(b'\n', &mut line) {
                Ok(read) if read > 0 && line.ends_with(b"\n") => {}
                Ok(_) => return None,
                Err(err) if err.kind() == std::io::ErrorKind::UnexpectedEof => return None,
                Err(err) if err.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(err) => panic!("{err} after {:?}", String::from_utf8_lossy(&raw)),
            }
            raw.extend_from_slice(&line);
            line.pop();
            assert!(!line.contains(&b'\r'), "a CR would end a line");
            let line = String::from_utf8(line).expect("UTF-8");
            if line.is_empty() {
                if let Some(data) = data {
                    if name.is_empty() {
                        name.push_str("message");
                    }
                    return Some(Event {
                        name,
                        data,
                        last_id: self.last_id.clone(),
                        raw,
                    });
                }
                (name, raw) = (String::new(), Vec::new());
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" => self.comments += 1,
                "event" => name = value.to_owned(),
                "data" => match &mut data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    None => data = Some(value.to_owned()),
                },
                "id" => self.last_id = value.to_owned(),
                "retry" => self.retry_ms = Some(value.parse().expect("digits")),
                other => panic!("no such field: {other}"),
            }
        }
    }

    /// Reads an event that must come.
    pub fn next(&mut self) -> Event {
        self.try_next().expect("the stream goes on")
    }

    /// Reads on to an event of this name.
    pub fn next_named(&mut self, name: &str) -> Event {
        loop {
            let event = self.next();
            if event.name == name {
                return event;
            }
        }
    }

    /// Reads on to the end and returns what came.
    pub fn rest(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.try_next()).collect()
    }

    /// Tells whether the body came to its proper end.
    pub fn is_complete(&self) -> bool {
        self.input.get_ref().is_complete()
    }
}

impl Broker {
    /// Opens a stream of events; the greeting is still to be read.
    pub fn events(&self, query: &str) -> Events {
        self.events_with(query, &[])
    }

    /// Opens a stream of events with further headers.
    pub fn events_with(&self, query: &str, headers: &[(&str, &str)]) -> Events {
        let path = format!("/stream{query}");
        let headers = [&[("Accept", "text/event-stream")], headers].concat();
        let (head, body) = self.open("GET", &path, &headers, b"");
        let events = Events {
            head,
            input: BufReader::new(body),
            last_id: String::new(),
            retry_ms: None,
            comments: 0,
        };
        assert_eq!(events.head.status, 200, "{path}");
        events
    }

    /// Opens a stream of events and reads its greeting: whatever is published from now on comes.
    pub fn listen(&self, query: &str) -> Events {
        let mut events = self.events(query);
        events.next();
        events
    }
}
