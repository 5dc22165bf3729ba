//! A second registry, written from the wire facts alone: slow, without an index, without sharing a line with the crate.
//!
//! It keeps whole payloads, sorts when it is asked, and reads JSON and UTF-8 with other readers.

#![allow(dead_code, reason = "each test file uses a part of it")]

mod token;
mod url;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use self::token::decode;
use self::url::{canonical, chain, is_token, strip};

const COUNTED_TWICE: [&str; 6] = [
    "originUrl",
    "parentUrl",
    "kaiSignature",
    "userPhiKey",
    "phiKey",
    "phikey",
];
const COUNTED_ONCE: [&str; 4] = ["pulse", "beat", "stepIndex", "chakraDay"];

pub(crate) type Fields = Map<String, Value>;

#[derive(Debug, Default, Clone)]
pub(crate) struct Model {
    pub(crate) entries: BTreeMap<String, Fields>,
    pub(crate) total: usize,
    pub(crate) imported: usize,
}

impl Model {
    pub(crate) fn upload(&mut self, document: &Value) {
        match document {
            Value::String(text) => self.string(text),
            Value::Array(items) => items.iter().for_each(|item| self.upload(item)),
            Value::Object(members) => members.values().for_each(|item| self.upload(item)),
            _ => {}
        }
    }

    pub(crate) fn order(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.entries.keys().cloned().collect();
        keys.sort_by(|a, b| (self.rank(b), b).cmp(&(self.rank(a), a)));
        keys
    }

    pub(crate) fn rank(&self, key: &str) -> [i128; 3] {
        rank(&self.entries[key])
    }

    fn string(&mut self, text: &str) {
        let text = strip(text);
        let marks = ["/stream", "/s/", "/p~", "http"];
        if !(is_token(&text) || marks.iter().any(|mark| text.contains(mark))) {
            return;
        }
        let Some(key) = canonical(&text) else { return };
        let Some(mut leaf) = decode(&key) else { return };
        self.total += 1;
        let chain = chain(&key);
        if !chain.is_empty() {
            set_if_empty(&mut leaf, "originUrl", &chain[0]);
            set_if_empty(&mut leaf, "parentUrl", &chain[chain.len() - 1]);
        }
        for name in ["originUrl", "parentUrl"] {
            if let Some(link) = leading(&leaf, name)
                && let Some(url) = canonical(&link)
            {
                leaf[name] = Value::String(url);
            }
        }
        let merged = match self.entries.get(&key) {
            None => leaf,
            Some(known) => conflict(known, &leaf),
        };
        if self.entries.get(&key) != Some(&merged) {
            self.imported += 1;
            self.entries.insert(key.clone(), merged);
        }
        for (at, member) in chain.iter().enumerate() {
            self.ensure(member);
            if let Some(entry) = self.entries.get_mut(member) {
                set_if_empty(entry, "originUrl", &chain[0]);
                if at > 0 {
                    set_if_empty(entry, "parentUrl", &chain[at - 1]);
                }
            }
        }
        if let Some(last) = chain.last() {
            let entry = self.entries.get_mut(&key).unwrap();
            set_if_empty(entry, "originUrl", &chain[0]);
            set_if_empty(entry, "parentUrl", last);
        }
        let mut current = key;
        for _ in 0..128 {
            let Some(entry) = self.entries.get(&current) else {
                break;
            };
            let (origin, parent) = (leading(entry, "originUrl"), leading(entry, "parentUrl"));
            if let Some(origin) = origin {
                self.ensure(&origin);
            }
            let Some(parent) = parent else { break };
            self.ensure(&parent);
            current = parent;
        }
    }

    fn ensure(&mut self, url: &str) {
        if !self.entries.contains_key(url)
            && let Some(canonical) = canonical(url)
            && let Some(payload) = decode(&canonical)
        {
            self.entries.insert(url.to_owned(), payload);
        }
    }
}

fn set_if_empty(fields: &mut Fields, name: &str, with: &str) {
    if matches!(&fields[name], Value::Null) || fields[name] == Value::String(String::new()) {
        fields[name] = Value::String(with.to_owned());
    }
}

fn leading(fields: &Fields, name: &str) -> Option<String> {
    let text = fields[name].as_str()?;
    (!strip(text).is_empty()).then(|| text.to_owned())
}

fn number(value: &Value) -> i128 {
    value
        .as_number()
        .map_or(0, |number| number.to_string().parse().unwrap())
}

fn rank(fields: &Fields) -> [i128; 3] {
    ["pulse", "beat", "stepIndex"].map(|name| number(&fields[name]))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => strip(text).is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

fn richness(fields: &Fields) -> usize {
    let has = |name: &&&str| !is_empty(&fields[**name]);
    fields.values().filter(|value| !is_empty(value)).count()
        + 2 * COUNTED_TWICE.iter().filter(has).count()
        + COUNTED_ONCE.iter().filter(has).count()
}

fn conflict(known: &Fields, coming: &Fields) -> Fields {
    let known_first = (rank(known), richness(known)) >= (rank(coming), richness(coming));
    let (base, other) = if known_first {
        (known, coming)
    } else {
        (coming, known)
    };
    let mut merged = base.clone();
    for (name, value) in other {
        if !is_empty(value) && merged.get(name).is_none_or(is_empty) {
            merged.insert(name.clone(), value.clone());
        }
    }
    merged
}
