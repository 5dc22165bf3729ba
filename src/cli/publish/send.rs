//! One batch to the broker, and again if need be.

use std::io::Read;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use glint::json::{self, Value};
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};
use uuid::Uuid;

use crate::cli::http::{self, Base};
use crate::cli::{out, pace};

const TRIES_MAX: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// An answer names each line of a batch; the largest batch fits many times.
const ANSWER_LIMIT_BYTES: u64 = 64 * 1024 * 1024;
const REASON_SHOWN_CHARS: usize = 300;

/// Lines that travel together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    body: Vec<u8>,
    numbers: Vec<u64>,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) accepted: u64,
    /// Line number and reason of each refused line.
    pub(super) refused: Vec<(u64, String)>,
}

/// The way to the broker.
pub(super) struct Sender {
    base: Base,
    agent: Agent,
    url: String,
    run: Uuid,
    batches: u64,
    is_unsure: bool,
}

/// What one try came to.
enum Try {
    Answered(Answer),
    /// Worth another try, after this long if the broker said so.
    Again(String, Option<Duration>),
}

impl Batch {
    /// Adds a line.
    pub(super) fn push(&mut self, text: &str) {
        self.body.extend_from_slice(text.as_bytes());
        self.body.push(b'\n');
    }

    /// Says which line of the input the last one was.
    pub(super) fn number_last(&mut self, number: u64) {
        self.numbers.push(number);
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.body.len()
    }

    pub(super) fn first(&self) -> u64 {
        self.numbers.first().copied().unwrap_or_default()
    }

    pub(super) fn last(&self) -> u64 {
        self.numbers.last().copied().unwrap_or_default()
    }

    pub(super) fn clear(&mut self) {
        self.body.clear();
        self.numbers.clear();
    }
}

impl Sender {
    pub(super) fn new(base: &Base) -> Sender {
        Sender {
            agent: http::agent(),
            url: base.join("/glints?partial=true"),
            base: base.clone(),
            run: Uuid::new_v4(),
            batches: 0,
            is_unsure: false,
        }
    }

    /// Sends a batch, several times if the broker is busy or the connection breaks. The key of the batch stays the
    /// same, so that a broker that has it already does not take it twice.
    pub(super) fn send(&mut self, batch: &Batch) -> Result<Answer> {
        self.batches += 1;
        self.is_unsure = false;
        let key = format!("{}-{}", self.run.simple(), self.batches);
        let mut last = String::new();
        for attempt in 0..TRIES_MAX {
            let (reason, after) = match self.try_once(batch, &key)? {
                Try::Answered(answer) => return Ok(answer),
                Try::Again(reason, after) => (reason, after),
            };
            let pause = after.unwrap_or_else(|| pace::backoff(attempt, FIRST_PAUSE, LONGEST_PAUSE));
            if attempt + 1 < TRIES_MAX {
                if reason != last {
                    out::note(format_args!("{reason}; trying again"));
                }
                pace::wait(pause);
            }
            last = reason;
        }
        bail!(
            "{last}; gave up at line {} after {TRIES_MAX} tries",
            batch.first()
        )
    }

    /// Whether the broker may have taken the last batch without being able to say so.
    pub(super) fn is_unsure(&self) -> bool {
        self.is_unsure
    }

    fn try_once(&mut self, batch: &Batch, key: &str) -> Result<Try> {
        let request = self
            .agent
            .post(&self.url)
            .content_type("application/x-ndjson")
            .header("Accept", "application/json")
            .header("Idempotency-Key", key);
        let answer = match request.send(&batch.body[..]) {
            Ok(answer) => answer,
            // Before the first batch was taken, nobody listening is rather a wrong address than a restart.
            Err(err) if http::is_refused(&err) && self.batches == 1 => {
                bail!(self.base.explain(&err))
            }
            Err(err) if is_lasting(&err) => bail!(self.base.explain(&err)),
            Err(err) => {
                self.is_unsure |= !http::is_refused(&err);
                return Ok(Try::Again(self.base.explain(&err), None));
            }
        };
        let after = http::retry_after(&answer, LONGEST_PAUSE);
        match answer.status() {
            status if status.is_success() => self.read(answer, batch),
            StatusCode::PAYLOAD_TOO_LARGE => {
                let reason = http::reason(answer);
                let refused = batch.numbers.iter();
                Ok(Try::Answered(Answer {
                    accepted: 0,
                    refused: refused.map(|number| (*number, reason.clone())).collect(),
                }))
            }
            status if http::is_passing(status) || after.is_some() => {
                Ok(Try::Again(http::reason(answer), after))
            }
            _ => bail!(
                "{}; stopped at line {}",
                http::reason(answer),
                batch.first()
            ),
        }
    }

    /// Reads the answer. One that breaks off is asked for again: the key makes sure of that.
    fn read(&mut self, answer: Response<Body>, batch: &Batch) -> Result<Try> {
        let mut body = Vec::new();
        let reader = answer.into_body().into_reader();
        if let Err(err) = reader.take(ANSWER_LIMIT_BYTES).read_to_end(&mut body) {
            self.is_unsure = true;
            let reason = self.base.explain(&ureq::Error::Io(err));
            return Ok(Try::Again(reason, None));
        }
        let strange = || format!("{} does not answer like a Glintcast broker", self.url);
        let text = std::str::from_utf8(&body).with_context(strange)?;
        let value = json::parse(text).map_err(|err| anyhow::anyhow!("{err}"));
        let value = value.with_context(strange)?;
        let accepted = value.get("accepted").and_then(count);
        let accepted = accepted.with_context(strange)?;
        Ok(Try::Answered(Answer {
            accepted,
            refused: refusals(&value, batch),
        }))
    }
}

/// The refused lines of an answer. A refusal that the answer counts but does not name is named with no reason, so that
/// no line goes missing from the report.
fn refusals(answer: &Value<'_>, batch: &Batch) -> Vec<(u64, String)> {
    let items = match answer.get("items") {
        Some(Value::Array(items)) => items.as_slice(),
        _ => &[],
    };
    let named = items.iter().filter_map(|item| {
        let error = item.get("error")?;
        let index = usize::try_from(item.get("index").and_then(count)?).ok()?;
        let number = batch.numbers.get(index)?;
        Some((*number, reason(error)))
    });
    let mut refused: Vec<_> = named.collect();
    let counted = answer.get("refused").and_then(count).unwrap_or_default();
    let counted = usize::try_from(counted).unwrap_or(usize::MAX);
    let missing = counted.min(batch.len()).saturating_sub(refused.len());
    let somewhere = || "in the batch from this line on, refused without a reason".to_owned();
    refused.extend((0..missing).map(|_| (batch.first(), somewhere())));
    refused
}

/// The reason of a refused line: code, field and detail, as far as it has them.
fn reason(error: &Value<'_>) -> String {
    let part = |key| error.get(key).and_then(Value::as_str);
    let mut said = part("code").unwrap_or("refused").to_owned();
    if let Some(field) = part("field") {
        said = format!("{said} ({field})");
    }
    if let Some(detail) = part("detail") {
        said = format!("{said}: {detail}");
    }
    http::plain(&said, REASON_SHOWN_CHARS)
}

fn count(value: &Value<'_>) -> Option<u64> {
    match value {
        Value::Number(lexeme) => lexeme.parse().ok(),
        _ => None,
    }
}

/// Whether another try would fail the same way.
fn is_lasting(err: &ureq::Error) -> bool {
    !matches!(
        err,
        ureq::Error::Io(_) | ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed
    )
}
