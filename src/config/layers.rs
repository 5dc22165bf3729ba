//! Reads file, environment and flags and lays them over the defaults.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use toml::{Table, Value};

use super::admin::shown;
use super::problem::{Layer, Problem, Problems};
use super::{Effective, MANUAL, Sources};

const PREFIX: &str = "GLINTCAST__";
/// A larger file is no settings file.
const FILE_LIMIT_BYTES: u64 = 1024 * 1024;
/// How alike a misspelt key and a known one must be to be suggested, of 1.
const LIKENESS: f64 = 0.7;

/// The layers merged, with what was wrong with them. Values have the type of their default.
pub(super) struct Merged {
    pub(super) tree: Table,
    pub(super) problems: Vec<Problem>,
    layers: BTreeMap<String, Layer>,
}

/// Merges all layers over the defaults.
///
/// # Errors
/// When the defaults themselves are no TOML, which a test excludes.
pub(super) fn merge(sources: &Sources) -> Result<Merged, Problems> {
    let tree = MANUAL.parse().map_err(|err: toml::de::Error| {
        Problems::one(Problem::new(Layer::Default, "", "", err.to_string()))
    })?;
    let mut merged = Merged {
        tree,
        problems: Vec::new(),
        layers: BTreeMap::new(),
    };
    if let Some(path) = &sources.file {
        merged.lay_file(path);
    }
    for (name, value) in &sources.environment {
        merged.lay_variable(name, value);
    }
    for flag in &sources.flags {
        merged.lay_text(Layer::Flag(flag.name), flag.key, &flag.value);
    }
    Ok(merged)
}

impl Merged {
    /// Where the value of `key` came from.
    pub(super) fn layer(&self, key: &str) -> Layer {
        self.layers.get(key).cloned().unwrap_or(Layer::Default)
    }

    /// The value of `section.key`, if there is such a key.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        let (section, name) = key.split_once('.')?;
        self.tree.get(section)?.as_table()?.get(name)
    }

    /// Every key in the order of the manual.
    pub(super) fn keys(&self) -> Vec<String> {
        let sections = self.tree.iter();
        let keys = sections.flat_map(|(section, value)| {
            let names = value.as_table().into_iter().flat_map(Table::keys);
            names.map(move |name| format!("{section}.{name}"))
        });
        keys.collect()
    }

    pub(super) fn effective(&self) -> Vec<Effective> {
        let keys = self.keys().into_iter();
        keys.map(|key| Effective {
            value: shown(
                &key,
                self.get(&key).map(Value::to_string).unwrap_or_default(),
            ),
            layer: self.layer(&key),
            key,
        })
        .collect()
    }

    fn lay_file(&mut self, path: &Path) {
        let layer = Layer::File(path.to_owned());
        let table = match read(path).and_then(|text| {
            text.parse::<Table>()
                .map_err(|err| format!("not TOML: {}", err.to_string().trim_end()))
        }) {
            Ok(table) => table,
            Err(remedy) => {
                self.problems.push(Problem::new(layer, "", "", remedy));
                return;
            }
        };
        for (section, value) in table {
            let Value::Table(entries) = value else {
                self.lay_stray(&layer, &section, &value);
                continue;
            };
            if entries.is_empty() && !self.tree.contains_key(&section) {
                self.unknown(layer.clone(), section, String::new());
                continue;
            }
            for (name, value) in entries {
                self.lay(layer.clone(), format!("{section}.{name}"), &value);
            }
        }
    }

    /// A value where a section should be.
    fn lay_stray(&mut self, layer: &Layer, name: &str, value: &Value) {
        if self.tree.contains_key(name) {
            let remedy = format!("{name} is a section: write [{name}] and its keys below");
            let problem = Problem::new(layer.clone(), name, value.to_string(), remedy);
            self.problems.push(problem);
        } else {
            self.unknown(layer.clone(), name.to_owned(), value.to_string());
        }
    }

    fn lay_variable(&mut self, name: &OsStr, value: &OsStr) {
        if !name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            return;
        }
        let name = name.to_string_lossy().into_owned();
        let key = name[PREFIX.len()..].to_lowercase().replacen("__", ".", 1);
        self.lay_text(Layer::Environment(name), &key, value);
    }

    /// Lays a text over the value of `key`, converted to its type.
    fn lay_text(&mut self, layer: Layer, key: &str, value: &OsStr) {
        let Some(text) = value.to_str() else {
            let shown = value.to_string_lossy().into_owned();
            let problem = Problem::new(layer, key, shown, "not UTF-8; write it in UTF-8");
            self.problems.push(problem);
            return;
        };
        match self.get(key) {
            None => self.unknown(layer, key.to_owned(), text.to_owned()),
            Some(default) => {
                let value = convert(text, default);
                self.lay(layer, key.to_owned(), &value);
            }
        }
    }

    /// Lays `value` over that of `key`, if key and type are right.
    fn lay(&mut self, layer: Layer, key: String, value: &Value) {
        let Some(default) = self.get(&key) else {
            self.unknown(layer, key, value.to_string());
            return;
        };
        let expected = type_name(default);
        let Some(fitting) = fit(value, default) else {
            let remedy = format!("must be {expected}, not {}", type_name(value));
            let value = shown(&key, value.to_string());
            let problem = Problem::new(layer, key, value, remedy);
            self.problems.push(problem);
            return;
        };
        if let Some((section, name)) = key.split_once('.')
            && let Some(Value::Table(entries)) = self.tree.get_mut(section)
        {
            entries.insert(name.to_owned(), fitting);
        }
        self.layers.insert(key, layer);
    }

    fn unknown(&mut self, layer: Layer, key: String, value: String) {
        let known = self.keys();
        let sections = self.tree.keys().cloned();
        let candidates = known.into_iter().chain(sections);
        let nearest = candidates
            .map(|candidate| (strsim::jaro_winkler(&key, &candidate), candidate))
            .max_by(|left, right| left.0.total_cmp(&right.0));
        let by_name = self.section_of(&key);
        let near = by_name.or_else(|| {
            let alike = nearest.filter(|(likeness, _)| *likeness >= LIKENESS);
            alike.map(|(_, near)| near)
        });
        let remedy = match (near, &layer) {
            (Some(near), Layer::Environment(_)) => {
                let name = near.replace('.', "__").to_uppercase();
                format!("unknown key; did you mean {PREFIX}{name}?")
            }
            (Some(near), _) => format!("unknown key; did you mean {near}?"),
            (None, _) => "unknown key; `glintcast check-config` lists those there are".to_owned(),
        };
        let problem = Problem::new(layer, key, value, remedy);
        self.problems.push(problem);
    }

    /// The known key with the same last part, for keys written in the wrong section or in none.
    fn section_of(&self, key: &str) -> Option<String> {
        let name = key.rsplit('.').next()?;
        let known = self.keys();
        known
            .into_iter()
            .find(|candidate| candidate.rsplit('.').next() == Some(name))
    }
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|err| format!("cannot be read: {err}"))?;
    file.take(FILE_LIMIT_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|err| format!("cannot be read: {err}"))?;
    if text.len() as u64 > FILE_LIMIT_BYTES {
        return Err(format!(
            "larger than {FILE_LIMIT_BYTES} bytes; name a settings file"
        ));
    }
    Ok(text)
}

/// A text as a value of the type of `default`, or as a string when it cannot be one.
fn convert(text: &str, default: &Value) -> Value {
    let trimmed = text.trim();
    let converted = match default {
        Value::String(_) => None,
        Value::Integer(_) => trimmed.parse().ok().map(Value::Integer),
        Value::Float(_) => trimmed.parse().ok().map(Value::Float),
        Value::Boolean(_) => trimmed.parse().ok().map(Value::Boolean),
        Value::Array(_) => list(trimmed),
        Value::Datetime(_) | Value::Table(_) => None,
    };
    converted.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// A list, with or without its brackets.
fn list(text: &str) -> Option<Value> {
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let line = format!("list = [{}]", inner.unwrap_or(text));
    line.parse::<Table>().ok()?.remove("list")
}

/// The value as one of the type of `default`: whole numbers also stand where fractions may.
#[expect(
    clippy::cast_precision_loss,
    reason = "whole numbers beyond 2^53 are out of every range of fractions"
)]
fn fit(value: &Value, default: &Value) -> Option<Value> {
    match (value, default) {
        (Value::Integer(number), Value::Float(_)) => Some(Value::Float(*number as f64)),
        (Value::Array(items), Value::Array(defaults)) => {
            let first = defaults.first()?;
            let fitted = items.iter().map(|item| fit(item, first));
            fitted.collect::<Option<Vec<_>>>().map(Value::Array)
        }
        _ => value.same_type(default).then(|| value.clone()),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text in quotes",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date without quotes",
        Value::Array(_) => "a list of numbers",
        Value::Table(_) => "a section",
    }
}
