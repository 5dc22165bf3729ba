//! Objects written member by member, without a tree.

use std::fmt;

use super::write_ascii_string;

/// Writes one JSON object in the shape of [`write_ascii`](super::write_ascii).
///
/// ```
/// let mut out = String::new();
/// glint::json::object(&mut out, |object| {
///     object.text("phase", "inhale").number("progress", 0.25).json("tags", "[]");
/// });
/// assert_eq!(out, r#"{"phase": "inhale", "progress": 0.25, "tags": []}"#);
/// ```
pub fn object(out: &mut String, write: impl FnOnce(&mut Object<'_>)) {
    out.push('{');
    write(&mut Object { out, empty: true });
    out.push('}');
}

/// An object that is being written, see [`object`].
#[derive(Debug)]
pub struct Object<'o> {
    out: &'o mut String,
    empty: bool,
}

impl Object<'_> {
    /// Writes a string.
    pub fn text(&mut self, key: &str, text: &str) -> &mut Self {
        self.key(key);
        write_ascii_string(text, self.out);
        self
    }

    /// Writes what `value` displays as a string; it must display ASCII that needs no escape, as stamps and ids do.
    pub fn display(&mut self, key: &str, value: impl fmt::Display) -> &mut Self {
        self.key(key);
        self.push(format_args!("\"{value}\""))
    }

    /// Writes a finite number as its shortest digits, with a fraction even when it is whole.
    pub fn number(&mut self, key: &str, number: f64) -> &mut Self {
        self.key(key);
        self.push(format_args!("{number:?}"))
    }

    /// Writes a count.
    pub fn count(&mut self, key: &str, count: u64) -> &mut Self {
        self.key(key);
        self.push(format_args!("{count}"))
    }

    /// Writes `true` or `false`.
    pub fn flag(&mut self, key: &str, flag: bool) -> &mut Self {
        self.json(key, if flag { "true" } else { "false" })
    }

    /// Writes a value that is JSON already.
    pub fn json(&mut self, key: &str, json: &str) -> &mut Self {
        self.key(key);
        self.out.push_str(json);
        self
    }

    /// Writes an object.
    pub fn object(&mut self, key: &str, write: impl FnOnce(&mut Object<'_>)) -> &mut Self {
        self.key(key);
        object(self.out, write);
        self
    }

    /// Writes an array of whatever `write` makes of each item.
    pub fn array<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(T, &mut String),
    ) -> &mut Self {
        self.key(key);
        self.out.push('[');
        for (nth, item) in items.into_iter().enumerate() {
            if nth > 0 {
                self.out.push_str(", ");
            }
            write(item, self.out);
        }
        self.out.push(']');
        self
    }

    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.empty) {
            self.out.push_str(", ");
        }
        write_ascii_string(key, self.out);
        self.out.push_str(": ");
    }

    fn push(&mut self, args: fmt::Arguments<'_>) -> &mut Self {
        // Writing to a String never fails.
        let _ = fmt::Write::write_fmt(self.out, args);
        self
    }
}
