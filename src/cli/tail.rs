//! `tail`: events out of a broker.
//!
//! Layout:
//! - `show`: an event as a line for people.
//! - `watch`: a stream that does not stay silent for ever.

mod show;
mod watch;

use std::io::{self, BufReader, IsTerminal};
use std::process;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use glint::json::{self, Value};
use ureq::Agent;
use ureq::http::StatusCode;

use super::args::TailArgs;
use super::http;
use super::lines::{Line, Lines};
use super::out::{Out, OutError};
use super::{EXIT_OK, out, pace};
use show::Show;
use watch::Watched;

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Events about the stream and not of it.
const CONTROL: [&str; 5] = ["hello", "keepalive", "gap", "farewell", "error"];
/// An event wraps what was published, which may be as deep as JSON may be here.
const DEPTH_MAX: usize = json::MAX_DEPTH + 8;

/// Where a stream begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start(String);

/// Why a connection was left.
enum End {
    /// As many events as were asked for.
    Enough,
    /// It broke, or the broker said farewell; with the pause it asked for.
    Broken(String, Option<Duration>),
}

/// One run.
struct Run<'a> {
    args: &'a TailArgs,
    agent: Agent,
    url: String,
    out: Out,
    show: Show,
    cursor: Option<String>,
    seen: u64,
    /// Connections that ended since the last event.
    failures: u32,
}

/// Watches a stream.
pub(super) fn run(args: &TailArgs) -> Result<u8> {
    // Lines are flushed as they come, so that nothing is lost by leaving at once.
    ctrlc::set_handler(|| process::exit(i32::from(EXIT_OK))).context("cannot listen for Ctrl-C")?;
    let has_colour =
        !args.no_color && io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut run = Run {
        args,
        agent: http::agent(),
        url: args.url.join(&format!("/stream{}", query(args))),
        out: Out::new(),
        show: Show::new(has_colour),
        cursor: None,
        seen: 0,
        failures: 0,
    };
    run.all()
}

impl Run<'_> {
    fn all(&mut self) -> Result<u8> {
        let mut is_first = true;
        loop {
            let (reason, after) = match self.once(is_first)? {
                End::Enough => return Ok(EXIT_OK),
                End::Broken(reason, after) => (reason, after),
            };
            is_first = false;
            let pause =
                after.unwrap_or_else(|| pace::backoff(self.failures, FIRST_PAUSE, LONGEST_PAUSE));
            self.failures = self.failures.saturating_add(1);
            let place = match &self.cursor {
                Some(cursor) => format!("from {cursor} on"),
                None => format!("from {}", self.args.from.0),
            };
            out::note(format_args!(
                "{reason}; connecting again {place} in {:.1} s",
                pause.as_secs_f64()
            ));
            pace::wait(pause);
        }
    }

    /// Connects and copies events until the connection ends.
    fn once(&mut self, is_first: bool) -> Result<End> {
        let mut request = self.agent.get(&self.url);
        request = request.header("Accept", "application/x-ndjson");
        if let Some(cursor) = &self.cursor {
            request = request.header("Last-Event-ID", cursor);
        }
        let answer = match request.call() {
            Ok(answer) => answer,
            Err(err) if is_first => bail!(self.args.url.explain(&err)),
            Err(err) => return Ok(End::Broken(self.args.url.explain(&err), None)),
        };
        let after = http::retry_after(&answer, LONGEST_PAUSE);
        match answer.status() {
            StatusCode::OK => {}
            // The stream is over for good.
            StatusCode::NO_CONTENT => return Ok(End::Enough),
            status if http::is_passing(status) => {
                return Ok(End::Broken(http::reason(answer), after));
            }
            _ => bail!(http::reason(answer)),
        }
        let kind = answer.headers().get("content-type");
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("");
        if !kind.starts_with("application/x-ndjson") {
            bail!(
                "{} sends {:?} and not application/x-ndjson; is it a Glintcast broker?",
                self.url,
                http::plain(kind, 80)
            );
        }
        let reader = answer.into_body().into_reader();
        self.copy(Lines::new(BufReader::new(Watched::new(reader)?)))
    }

    fn copy(&mut self, mut lines: Lines<BufReader<Watched>>) -> Result<End> {
        loop {
            // Lines that are here go out together; before waiting for more, all of them are out.
            if !lines.has_line() {
                self.out.flush()?;
            }
            let line = match lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(End::Broken("the broker ended the stream".into(), None)),
                Err(err) => {
                    return Ok(End::Broken(format!("the connection broke: {err}"), None));
                }
            };
            match line {
                Line::Blank => {}
                Line::Unreadable(reason) => {
                    out::note(format_args!("an event was passed over: {reason}"));
                }
                Line::Text(text) => {
                    if let Some(end) = self.event(text)? {
                        self.out.flush()?;
                        return Ok(end);
                    }
                }
            }
        }
    }

    /// Prints an event; returns whether it was the last of this connection.
    fn event(&mut self, text: &str) -> Result<Option<End>, OutError> {
        let Ok(event) = json::parse_to_depth(text, DEPTH_MAX) else {
            // A line that broke off with the connection comes again in full on the next one.
            return Ok(None);
        };
        let name = event.get("event").and_then(Value::as_str).unwrap_or("");
        if self.args.json {
            self.out.line(text)?;
        } else if let Some(line) = self.show.line(name, &event) {
            self.out.line(line)?;
        }
        if let Some(cursor) = event.get("cursor").and_then(Value::as_str) {
            self.cursor = Some(cursor.to_owned());
        }
        if name == "farewell" {
            let pause = event.get("retry_ms").and_then(Value::as_f64);
            let pause = pause.and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok());
            let pause = pause.map(|pause| pause.min(LONGEST_PAUSE));
            return Ok(Some(End::Broken("the broker said farewell".into(), pause)));
        }
        if CONTROL.contains(&name) {
            return Ok(None);
        }
        self.failures = 0;
        self.seen += 1;
        let is_enough = self.args.limit.is_some_and(|limit| self.seen >= limit);
        Ok(is_enough.then_some(End::Enough))
    }
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Start, String> {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let is_known = matches!(text, "now" | "earliest")
            || text.strip_prefix('-').is_some_and(is_number)
            || text
                .split_once('-')
                .is_some_and(|(epoch, seq)| is_number(epoch) && is_number(seq));
        if is_known {
            return Ok(Start(text.to_owned()));
        }
        Err("write now, earliest, -N for the last N events, or a cursor such as 1-42".to_owned())
    }
}

/// The query of a stream. Once an event was seen, its cursor in `Last-Event-ID` goes before `from`.
fn query(args: &TailArgs) -> String {
    let parameters = [
        ("topics", args.topics.as_deref()),
        ("module", args.module.as_deref()),
        ("phase", args.phase.as_deref()),
        ("event", args.event.as_deref()),
        ("from", Some(args.from.0.as_str())),
    ];
    let mut query = String::new();
    for (name, value) in parameters {
        let Some(value) = value else {
            continue;
        };
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(name);
        query.push('=');
        escape(value, &mut query);
    }
    query
}

/// Appends `text` as a value of a query, escaped as RFC 3986 asks for.
fn escape(text: &str, query: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~,*".contains(&byte) {
            query.push(char::from(byte));
        } else {
            query.push('%');
            query.push(char::from(HEX[usize::from(byte >> 4)]));
            query.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_word_a_count_or_a_cursor() {
        for text in ["now", "earliest", "-5", "1-42"] {
            assert_eq!(text.parse(), Ok(Start(text.to_owned())));
        }
        for text in ["", "-", "5", "later", "1-", "-1-2", "a-b"] {
            assert!(text.parse::<Start>().is_err(), "{text}");
        }
    }

    #[test]
    fn values_of_a_query_are_escaped() {
        let mut query = String::new();
        escape("a b&c=ü*", &mut query);
        assert_eq!(query, "a%20b%26c%3D%C3%BC*");
    }
}
