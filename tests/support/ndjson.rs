//! JSON lines.

use std::io::{BufRead, BufReader};

use glint::json::Value;

use super::http::{Body, Head};
use super::{Broker, parse, text_at};

/// A stream of JSON lines.
#[derive(Debug)]
pub struct Lines {
    pub head: Head,
    input: BufReader<Body>,
}

impl Lines {
    /// Reads a line, without its end; `None` when the stream ends.
    pub fn try_text(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.input.read_line(&mut line) {
            Ok(_) if line.ends_with('\n') => {
                line.pop();
                Some(line)
            }
            Ok(_) => None,
            Err(err) if err.kind() == std::io::ErrorKind::UnexpectedEof => None,
            Err(err) if err.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(err) => panic!("{err}"),
        }
    }

    /// Reads a line that must come.
    pub fn next(&mut self) -> Value<'static> {
        parse(&self.try_text().expect("the stream goes on"))
    }

    /// Reads on to an event of this name.
    pub fn next_named(&mut self, name: &str) -> Value<'static> {
        loop {
            let line = self.next();
            if text_at(&line, &["event"]) == name {
                return line;
            }
        }
    }

    /// Reads on to the end and returns what came.
    pub fn rest(&mut self) -> Vec<Value<'static>> {
        std::iter::from_fn(|| self.try_text())
            .map(|line| parse(&line))
            .collect()
    }
}

impl Broker {
    /// Opens a stream of JSON lines; the greeting is still to be read.
    pub fn lines(&self, query: &str) -> Lines {
        self.lines_with(query, &[])
    }

    /// Opens a stream of JSON lines with further headers.
    pub fn lines_with(&self, query: &str, headers: &[(&str, &str)]) -> Lines {
        let headers = [&[("Accept", "application/x-ndjson")], headers].concat();
        let (head, body) = self.open("GET", &format!("/stream{query}"), &headers, b"");
        assert_eq!(head.status, 200, "{query}");
        Lines {
            head,
            input: BufReader::new(body),
        }
    }
}
