//! Where an export reads: the store itself, or a broker that has it.

use anyhow::{Context as _, Result, bail};
use attest::record::RECORD_LIMITS;
use attest::tape::Value;
use attest::{Limits, Tape};
use glint::Offset;
use ureq::Agent;

use crate::cli::http::{Base, agent, reason};
use crate::store::tables::Kept;
use crate::store::traces::{Page, Query, TraceStore};

/// Most bytes of an answer.
const ANSWER_MAX: u64 = 512 << 20;

pub(super) enum Source {
    Store(TraceStore),
    Broker(Base, Agent),
}

impl Source {
    pub(super) fn broker(base: Base) -> Source {
        Source::Broker(base, agent())
    }

    pub(super) fn page(&mut self, query: &Query) -> Result<Page> {
        match self {
            Source::Store(store) => Ok(store.page(query)?),
            Source::Broker(base, agent) => ask(base, agent, query),
        }
    }
}

fn ask(base: &Base, agent: &Agent, query: &Query) -> Result<Page> {
    let mut request = agent
        .get(base.join("/api/v1/traces"))
        .query("include", "record")
        .query("limit", query.limit.to_string());
    let times = [("from", query.from), ("to", query.to)];
    for (name, stamp) in times {
        if let Some(stamp) = stamp {
            request = request.query(name, stamp.to_string());
        }
    }
    for (name, text) in [("agent", &query.agent), ("key", &query.key)] {
        if let Some(text) = text {
            request = request.query(name, text);
        }
    }
    if let Some(after) = query.after {
        request = request.query("cursor", after.to_string());
    }
    let answer = request
        .call()
        .map_err(|err| anyhow::anyhow!(base.explain(&err)))?;
    if answer.status() != 200 {
        bail!(reason(answer));
    }
    let mut body = answer.into_body();
    let body = body.with_config().limit(ANSWER_MAX).read_to_vec()?;
    read(&body).context("the broker answered with something else than traces")
}

/// Reads a page as the broker writes it. Records are taken as they stand, byte for byte.
fn read(body: &[u8]) -> Result<Page> {
    let limits = Limits {
        bytes: ANSWER_MAX as usize,
        nodes: usize::MAX,
        ..RECORD_LIMITS
    };
    let tape = Tape::read(body, &limits)?;
    let root = tape.root();
    let items = root.get("items").context("no items")?;
    let next = match root.get("next").and_then(Value::as_str) {
        None => None,
        Some(text) => Some(text.parse().ok().context("next is no cursor")?),
    };
    Ok(Page {
        items: items.items().map(kept).collect::<Result<_>>()?,
        next,
    })
}

fn kept(item: Value<'_>) -> Result<Kept> {
    let number = |name: &str| {
        let number = item.get(name).and_then(Value::as_i64);
        number
            .and_then(|number| u64::try_from(number).ok())
            .with_context(|| format!("no {name}"))
    };
    let stamp = item
        .get("stored_at")
        .and_then(Value::as_str)
        .context("no stored_at")?;
    Ok(Kept {
        offset: Offset {
            epoch: number("epoch")?,
            seq: number("seq")?,
        },
        stamp: stamp.parse().ok().context("stored_at is no time")?,
        text: item.get("record").context("no record")?.raw().into(),
    })
}
