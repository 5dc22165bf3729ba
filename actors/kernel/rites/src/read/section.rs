//! A table of the file: every key is asked for by name and checked, and what nobody asked for is a problem.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

use toml::de::{DeTable, DeValue};

use super::{MAX_TEXT_BYTES, Problem, Table, as_table};

/// How alike a misspelt key and a known one must be to be suggested, of 1.
const LIKENESS: f64 = 0.7;

/// Where the lines of a text begin.
#[derive(Debug)]
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn new(text: &str) -> Lines {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Lines(breaks.map(|(at, _)| at).collect())
    }

    /// The line of a byte, from 1.
    pub(super) fn of(&self, at: usize) -> usize {
        self.0.partition_point(|end| *end < at) + 1
    }
}

pub(super) struct Section<'d> {
    what: &'static str,
    table: &'d DeTable<'d>,
    span: Range<usize>,
    pub(super) lines: &'d Lines,
    asked: RefCell<BTreeSet<String>>,
}

impl<'d> Section<'d> {
    pub(super) fn new(
        what: &'static str,
        table: &'d DeTable<'d>,
        span: Range<usize>,
        lines: &'d Lines,
    ) -> Section<'d> {
        Section {
            what,
            table,
            span,
            lines,
            asked: RefCell::default(),
        }
    }

    /// The line where the table begins.
    pub(super) fn line(&self) -> usize {
        self.lines.of(self.span.start)
    }

    /// Puts a problem down, at the line of `key` if it is there, else at that of the table.
    pub(super) fn blame(&self, key: &str, reason: String, problems: &mut Vec<Problem>) {
        let at = self.find(key).map_or(self.span.start, |(at, _)| at);
        let line = self.lines.of(at);
        problems.push(Problem { line, reason });
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    pub(super) fn needed(&self, key: &str, problems: &mut Vec<Problem>) -> Option<String> {
        if !self.has(key) {
            self.asked.borrow_mut().insert(key.to_owned());
            self.blame(key, format!("{} needs a {key}", self.what), problems);
            return None;
        }
        self.text(key, problems)
    }

    pub(super) fn text(&self, key: &str, problems: &mut Vec<Problem>) -> Option<String> {
        let value = self.get(key)?;
        match value.as_str() {
            Some(text) if text.len() <= MAX_TEXT_BYTES => Some(text.to_owned()),
            Some(text) => {
                let bytes = text.len();
                let reason = format!("{key} has {bytes} bytes, the limit is {MAX_TEXT_BYTES}");
                self.blame(key, reason, problems);
                None
            }
            None => self.mistyped(key, value, "a text in quotes", problems),
        }
    }

    /// A text, or the texts of an array.
    pub(super) fn texts(&self, key: &str, problems: &mut Vec<Problem>) -> Vec<String> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        if value.is_str() {
            return self.text(key, problems).into_iter().collect();
        }
        let items = value.as_array().map(|items| {
            let texts = items
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>()
        });
        match items.flatten() {
            Some(texts)
                if texts.len() <= 32 && texts.iter().all(|text| text.len() <= MAX_TEXT_BYTES) =>
            {
                texts
            }
            Some(_) => {
                let reason =
                    format!("{key} lists more than 32 texts, or one over {MAX_TEXT_BYTES} bytes");
                self.blame(key, reason, problems);
                Vec::new()
            }
            None => self
                .mistyped(key, value, "a text or an array of texts", problems)
                .unwrap_or_default(),
        }
    }

    pub(super) fn flag(&self, key: &str, problems: &mut Vec<Problem>) -> Option<bool> {
        let value = self.get(key)?;
        match value.as_bool() {
            Some(flag) => Some(flag),
            None => self.mistyped(key, value, "true or false", problems),
        }
    }

    pub(super) fn number(
        &self,
        key: &str,
        range: RangeInclusive<f64>,
        problems: &mut Vec<Problem>,
    ) -> Option<f64> {
        let value = self.get(key)?;
        let number = match value {
            DeValue::Integer(whole) if whole.radix() == 10 => whole.as_str().parse().ok(),
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            _ => None,
        };
        match number {
            Some(number) if range.contains(&number) => Some(number),
            Some(number) => {
                let (from, to) = range.into_inner();
                let reason = format!("{key} = {number}: give a number from {from} to {to}");
                self.blame(key, reason, problems);
                None
            }
            None => self.mistyped(key, value, "a number", problems),
        }
    }

    pub(super) fn count(
        &self,
        key: &str,
        range: RangeInclusive<u64>,
        problems: &mut Vec<Problem>,
    ) -> Option<u64> {
        let value = self.get(key)?;
        let count = match value {
            DeValue::Integer(whole) if whole.radix() == 10 => whole.as_str().parse::<i128>().ok(),
            _ => return self.mistyped(key, value, "a whole number", problems),
        };
        let fits = count.and_then(|count| u64::try_from(count).ok());
        match fits.filter(|count| range.contains(count)) {
            Some(count) => Some(count),
            None => {
                let (from, to) = range.into_inner();
                let reason = format!("{key}: give a whole number from {from} to {to}");
                self.blame(key, reason, problems);
                None
            }
        }
    }

    pub(super) fn table(&self, key: &str, problems: &mut Vec<Problem>) -> Option<Table<'d>> {
        self.get(key)?;
        let value = self.table.get(key)?;
        let table = as_table(value);
        if table.is_none() {
            self.mistyped::<()>(key, value.get_ref(), "a table", problems);
        }
        table
    }

    pub(super) fn tables(&self, key: &str, problems: &mut Vec<Problem>) -> Vec<Table<'d>> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let tables = value
            .as_array()
            .map(|items| items.iter().map(as_table).collect::<Option<Vec<_>>>());
        tables.flatten().unwrap_or_else(|| {
            self.mistyped::<()>(key, value, &format!("tables: write [[{key}]]"), problems);
            Vec::new()
        })
    }

    /// Says of every key that nobody asked for that it is not known.
    pub(super) fn finish(&self, problems: &mut Vec<Problem>) {
        let asked = self.asked.borrow();
        for key in self.table.keys().map(|key| key.get_ref().as_ref()) {
            if asked.contains(key) {
                continue;
            }
            let near = asked
                .iter()
                .map(|known| (strsim::jaro_winkler(known, key), known))
                .max_by(|one, other| one.0.total_cmp(&other.0))
                .filter(|(likeness, _)| *likeness >= LIKENESS);
            let hint = match near {
                Some((_, known)) => format!("; is {known} meant?"),
                None => {
                    let known: Vec<&str> = asked.iter().map(String::as_str).collect();
                    format!("; one of: {}", known.join(", "))
                }
            };
            self.blame(
                key,
                format!("{} has no key {key:?}{hint}", self.what),
                problems,
            );
        }
    }

    fn get(&self, key: &str) -> Option<&'d DeValue<'d>> {
        self.asked.borrow_mut().insert(key.to_owned());
        self.find(key).map(|(_, value)| value)
    }

    fn find(&self, key: &str) -> Option<(usize, &'d DeValue<'d>)> {
        let (key, value) = self.table.get_key_value(key)?;
        Some((key.span().start, value.get_ref()))
    }

    fn mistyped<T>(
        &self,
        key: &str,
        value: &DeValue<'_>,
        wanted: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<T> {
        let reason = format!("{key} is {wanted}, not a TOML {}", value.type_str());
        self.blame(key, reason, problems);
        None
    }
}
