//! Rules from TOML. Every problem is told at once, each with its line; rules with a problem are not taken at all.

mod actions;
mod section;
mod triggers;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use glint::hex::Hex;
use sha2::{Digest as _, Sha256};
use sieve::Filter;
use sieve::filter::Scope;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use self::section::{Lines, Section};
use crate::rule::{Action, Priority, Retry, Rule, Rules, Trigger};

/// Longest rule file in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// Most rules.
pub const MAX_RULES: usize = 1000;
/// Most actions of a rule.
pub const MAX_ACTIONS: usize = 8;
/// Most problems that are told.
const MAX_PROBLEMS: usize = 50;
/// Longest text of a rule in bytes.
const MAX_TEXT_BYTES: usize = 4096;
/// Longest name in bytes.
const MAX_NAME_BYTES: usize = 64;
/// Longest cooldown or window in seconds: a week.
const MAX_SECONDS: f64 = 604_800.0;
/// A glint rule that says nothing rests so long, since a storm of glints must not become a storm of jobs.
const GLINT_COOLDOWN_SECONDS: f64 = 1.0;

/// Something that cannot stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub reason: String,
}

/// Everything that cannot stand. Prints one per line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl std::error::Error for Problems {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, problem) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// Reads rules.
///
/// # Errors
/// Every problem, in the order of their lines, at most 50.
pub fn read(text: &str) -> Result<Rules, Problems> {
    if text.len() > MAX_BYTES {
        let reason = format!(
            "the file has {} bytes, the limit is {MAX_BYTES}",
            text.len()
        );
        return Err(Problems(vec![Problem { line: 1, reason }]));
    }
    let lines = Lines::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<Problem> = errors.iter().map(|err| syntax(err, &lines)).collect();
    if problems.is_empty() {
        let root = Section::new("the file", document.get_ref(), document.span(), &lines);
        let rules = all(&root, text, &lines, &mut problems);
        if problems.is_empty() {
            return Ok(Rules {
                rules,
                text: text.into(),
            });
        }
    }
    problems.sort_by_key(|problem| problem.line);
    problems.truncate(MAX_PROBLEMS);
    Err(Problems(problems))
}

fn syntax(err: &toml::de::Error, lines: &Lines) -> Problem {
    let at = err.span().map_or(0, |span| span.start);
    Problem {
        line: lines.of(at),
        reason: format!("no TOML: {}", err.message()),
    }
}

fn all(
    root: &Section<'_>,
    text: &str,
    lines: &Lines,
    problems: &mut Vec<Problem>,
) -> Vec<Arc<Rule>> {
    let tables = root.tables("rule", problems);
    root.finish(problems);
    if let Some((_, span)) = tables.get(MAX_RULES) {
        let reason = format!("there are {} rules, the limit is {MAX_RULES}", tables.len());
        problems.push(Problem {
            line: lines.of(span.start),
            reason,
        });
        return Vec::new();
    }
    let mut names = HashMap::new();
    let mut rules = Vec::with_capacity(tables.len());
    for (nth, (table, span)) in tables.iter().enumerate() {
        let end = tables
            .get(nth + 1)
            .map_or(text.len(), |(_, next)| next.start);
        let section = Section::new("a rule", table, span.clone(), lines);
        let written = text.get(span.start..end).unwrap_or_default();
        let Some(rule) = one(&section, written, problems) else {
            continue;
        };
        if let Some(line) = names.insert(rule.name.clone(), section.line()) {
            let reason = format!(
                "the name {:?} is that of the rule in line {line}; give another",
                rule.name
            );
            problems.push(Problem {
                line: section.line(),
                reason,
            });
        }
        rules.push(Arc::new(rule));
    }
    rules
}

fn one(section: &Section<'_>, written: &str, problems: &mut Vec<Problem>) -> Option<Rule> {
    let name = section.needed("name", problems);
    if let Some(name) = &name
        && !is_name(name)
    {
        let reason = format!(
            "name {name:?} is no name; up to {MAX_NAME_BYTES} letters, digits, '-', '_' and '.'"
        );
        section.blame("name", reason, problems);
    }
    let trigger = triggers::read(section, problems);
    let is_glint = matches!(trigger, Some(Trigger::Glint { .. }));
    let filter = section.text("filter", problems).and_then(|text| {
        let made = Filter::compile(&text, Scope::Rule);
        made.map_err(|err| section.blame("filter", format!("filter: {err}"), problems))
            .ok()
    });
    let cooldown = if is_glint {
        GLINT_COOLDOWN_SECONDS
    } else {
        0.0
    };
    let mut rule = Rule {
        version: version(written),
        description: section
            .text("description", problems)
            .unwrap_or_default()
            .into(),
        glyph: section.text("glyph", problems).unwrap_or_default().into(),
        enabled: section.flag("enabled", problems).unwrap_or(true),
        priority: priority(section, problems),
        cooldown_micros: micros(section, "cooldown_seconds", problems).unwrap_or(whole(cooldown)),
        dedupe_micros: micros(section, "dedupe_seconds", problems).unwrap_or(0),
        concurrency: section.count("concurrency", 1..=64, problems).unwrap_or(1) as usize,
        timeout_ms: millis(section, "timeout_seconds", 30.0, 3600.0, problems),
        retry: Retry {
            times: section.count("retries", 0..=20, problems).unwrap_or(2) as u32,
            backoff_ms: millis(section, "backoff_seconds", 1.0, 600.0, problems),
        },
        actions: actions(section, problems),
        name: Box::default(),
        trigger: Trigger::SealChanged,
        filter,
    };
    section.finish(problems);
    (rule.name, rule.trigger) = (name?.into(), trigger?);
    Some(rule)
}

fn is_name(name: &str) -> bool {
    let is_letter = |ch: char| ch.is_ascii_alphanumeric() || matches!(ch, '-' | '_' | '.');
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.chars().all(is_letter)
}

/// What a rule is known by besides its name: its text, without the white space around lines.
fn version(written: &str) -> Box<str> {
    let mut digest = Sha256::new();
    let lines = written.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        digest.update(line.as_bytes());
        digest.update(b"\n");
    }
    Hex(&digest.finalize()[..8]).to_string().into()
}

fn priority(section: &Section<'_>, problems: &mut Vec<Problem>) -> Priority {
    let Some(word) = section.text("priority", problems) else {
        return Priority::default();
    };
    let found = Priority::ALL
        .into_iter()
        .find(|priority| priority.as_str() == word);
    found.unwrap_or_else(|| {
        let reason = format!("priority {word:?} is none of: low, medium, high, critical");
        section.blame("priority", reason, problems);
        Priority::default()
    })
}

fn actions(section: &Section<'_>, problems: &mut Vec<Problem>) -> Vec<Action> {
    let tables = section.tables("action", problems);
    if tables.is_empty() || tables.len() > MAX_ACTIONS {
        let reason = format!(
            "a rule has 1 to {MAX_ACTIONS} [[rule.action]], this one {}",
            tables.len()
        );
        section.blame("action", reason, problems);
        return Vec::new();
    }
    let read = tables.iter().filter_map(|(table, span)| {
        actions::read(
            &Section::new("an action", table, span.clone(), section.lines),
            problems,
        )
    });
    read.collect()
}

fn micros(section: &Section<'_>, key: &str, problems: &mut Vec<Problem>) -> Option<i64> {
    section.number(key, 0.0..=MAX_SECONDS, problems).map(whole)
}

fn millis(
    section: &Section<'_>,
    key: &str,
    usual: f64,
    max: f64,
    problems: &mut Vec<Problem>,
) -> u64 {
    let seconds = section.number(key, 0.001..=max, problems).unwrap_or(usual);
    (seconds * 1e3) as u64
}

fn whole(seconds: f64) -> i64 {
    (seconds * 1e6) as i64
}

/// A table of the document, and where it stands.
type Table<'d> = (&'d DeTable<'d>, std::ops::Range<usize>);

fn as_table<'d>(value: &'d Spanned<DeValue<'d>>) -> Option<Table<'d>> {
    value
        .get_ref()
        .as_table()
        .map(|table| (table, value.span()))
}

#[cfg(test)]
mod tests;
