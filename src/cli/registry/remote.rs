//! A registry behind HTTP.

use std::fmt::Write as _;
use std::io::Read as _;

use anyhow::{Context as _, Result, anyhow, bail};
use glint::json::{self, Value};
use registry::reconcile::{Answer, Prefix, Range, read_fingerprint, show};
use registry::render;
use ureq::http::StatusCode;
use ureq::{Agent, Body, http};

use crate::cli::http::{self as link, Base};

/// URLs that travel at once.
pub(super) const URLS: usize = 1000;
/// Entries of a page.
const PAGE: usize = 5000;
/// Bytes of an answer: a page of very long URLs fits.
const ANSWER_MAX_BYTES: u64 = 256 << 20;

/// The way to a registry.
pub(super) struct Remote {
    base: Base,
    agent: Agent,
}

/// The answer to a question.
pub(super) struct Told {
    /// The seal of the list that was compared.
    pub(super) seal: String,
    pub(super) answers: Vec<Answer>,
}

impl Remote {
    pub(super) fn new(base: &Base) -> Remote {
        Remote {
            base: base.clone(),
            agent: link::agent(),
        }
    }

    /// Asks about ranges; nothing, if the list with this seal is held no longer.
    pub(super) fn ask(&self, seal: Option<&str>, ranges: &[Range]) -> Result<Option<Told>> {
        let mut body = String::from("{");
        if let Some(seal) = seal {
            let _ = write!(body, "\"seal\":\"{seal}\",");
        }
        body.push_str("\"ranges\":");
        render::list('[', ranges, ']', &mut body, |range, out| {
            let _ = write!(
                out,
                "[\"{}\",{},\"{}\"]",
                range.prefix,
                range.count,
                show(range.sum)
            );
        });
        body.push('}');
        let answer = self.post("/sigils/reconcile", &body)?;
        if answer.status() == StatusCode::GONE {
            return Ok(None);
        }
        let text = read(answer)?;
        let value = json::parse(&text).context("the answer is no JSON")?;
        let told = told(&value, ranges).ok_or_else(|| {
            anyhow!("the answer is not understood; is the broker of another version?")
        })?;
        Ok(Some(told))
    }

    /// Fetches URLs by their fingerprints, out of the list with this seal.
    pub(super) fn fetch(&self, seal: &str, wanted: &[u128]) -> Result<Vec<String>> {
        let mut body = format!("{{\"seal\":\"{seal}\",\"wanted\":");
        render::list('[', wanted, ']', &mut body, |known, out| {
            let _ = write!(out, "\"{}\"", show(*known));
        });
        body.push('}');
        let text = read(self.post("/sigils/reconcile", &body)?)?;
        urls(&json::parse(&text).context("the answer is no JSON")?)
    }

    /// Fetches all URLs, page after page of one list.
    pub(super) fn all(&self) -> Result<Vec<String>> {
        let mut found: Vec<String> = Vec::new();
        let mut pin = String::new();
        loop {
            let path = format!("/sigils/urls?offset={}&limit={PAGE}{pin}", found.len());
            let answer = self.agent.get(self.base.join(&path)).call();
            let text = read(answer.map_err(|err| anyhow!(self.base.explain(&err)))?)?;
            let value = json::parse(&text).context("the answer is no JSON")?;
            let seal = value
                .get("state_seal")
                .and_then(Value::as_str)
                .unwrap_or_default();
            pin = format!("&seal={seal}");
            let page = urls(&value)?;
            let is_last = page.len() < PAGE;
            found.extend(page);
            if is_last {
                return Ok(found);
            }
        }
    }

    /// Uploads URLs.
    pub(super) fn upload(&self, urls: &[String]) -> Result<()> {
        let mut body = String::new();
        render::list('[', urls, ']', &mut body, |url, out| render::text(url, out));
        read(self.post(
            "/sigils/inhale?include_state=false&include_urls=false",
            &body,
        )?)
        .map(drop)
    }

    fn post(&self, path: &str, body: &str) -> Result<http::Response<Body>> {
        let request = self
            .agent
            .post(self.base.join(path))
            .header("content-type", "application/json");
        request
            .send(body)
            .map_err(|err| anyhow!(self.base.explain(&err)))
    }
}

fn read(answer: http::Response<Body>) -> Result<String> {
    if answer.status() != StatusCode::OK {
        bail!(link::reason(answer));
    }
    let mut text = String::new();
    let mut body = answer.into_body().into_reader().take(ANSWER_MAX_BYTES);
    body.read_to_string(&mut text)
        .context("the answer broke off")?;
    Ok(text)
}

fn urls(value: &Value<'_>) -> Result<Vec<String>> {
    let Some(Value::Array(urls)) = value.get("urls") else {
        bail!("the answer has no URLs; is the broker of another version?");
    };
    Ok(urls
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect())
}

fn told(value: &Value<'_>, asked: &[Range]) -> Option<Told> {
    let (Value::Array(ranges), Value::Array(listed)) = (value.get("ranges")?, value.get("listed")?)
    else {
        return None;
    };
    let mut cut = Vec::with_capacity(ranges.len());
    for item in ranges {
        let Value::Array(parts) = item else {
            return None;
        };
        let [
            Value::String(prefix),
            Value::Number(count),
            Value::String(sum),
        ] = &parts[..]
        else {
            return None;
        };
        cut.push(Range {
            prefix: Prefix::read(prefix).ok()?,
            count: count.parse().ok()?,
            sum: read_fingerprint(sum).ok()?,
        });
    }
    // Only parts of what was asked: an answer that goes elsewhere would be asked about for ever.
    let is_part = |range: &Range| {
        asked
            .iter()
            .any(|asked| range.prefix.is_within(asked.prefix) && range.prefix != asked.prefix)
    };
    if !cut.iter().all(is_part) {
        return None;
    }
    let mut answers = vec![Answer::Cut(cut)];
    for item in listed {
        let Value::Array(parts) = item else {
            return None;
        };
        let [Value::String(prefix), Value::Array(found)] = &parts[..] else {
            return None;
        };
        let found: Option<Vec<u128>> = found
            .iter()
            .map(|known| read_fingerprint(known.as_str()?).ok())
            .collect();
        answers.push(Answer::Listed(Prefix::read(prefix).ok()?, found?));
    }
    Some(Told {
        seal: value.get("state_seal")?.as_str()?.to_owned(),
        answers,
    })
}
