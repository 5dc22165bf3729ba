//! The writer: one recursive pass over the value.

use std::fmt::Write as _;

use glint::json::{Member, Value};

use super::MAX_DEPTH;

use super::{Form, WriteError, number, table, text};

/// Maps with up to this many members are put in order on the stack.
const SMALL_MAP: usize = 16;

/// A member's place in the order of keys, and its index in the object.
type Rank = (u64, usize);

pub(super) struct Writer<'o> {
    form: Form,
    null: &'static str,
    depth: usize,
    out: &'o mut String,
}

impl<'o> Writer<'o> {
    pub(super) fn new(form: Form, out: &'o mut String) -> Self {
        let null = match form {
            Form::Loose => "_",
            Form::Profile | Form::NoTabular => "∅",
        };
        Self {
            form,
            null,
            depth: 0,
            out,
        }
    }

    pub(super) fn value(&mut self, value: &Value<'_>) -> Result<(), WriteError> {
        match value {
            Value::Null => self.out.push_str(self.null),
            Value::Bool(truth) => self.out.push(if *truth { 't' } else { 'f' }),
            Value::Number(lexeme) => number::push(lexeme, self.out)?,
            Value::String(text) => self.string(text, text::is_bare(text)),
            Value::Array(items) => {
                self.enter()?;
                self.list(items)?;
                self.depth -= 1;
            }
            Value::Object(members) => {
                self.enter()?;
                self.map(members)?;
                self.depth -= 1;
            }
        }
        Ok(())
    }

    fn enter(&mut self) -> Result<(), WriteError> {
        if self.depth == MAX_DEPTH {
            return Err(WriteError::Depth);
        }
        self.depth += 1;
        Ok(())
    }

    /// Appends a string or a key, of which `bare` says whether canonical text leaves the quotes out.
    fn string(&mut self, text: &str, bare: bool) {
        let careful = self.form == Form::Profile;
        if bare && !(careful && text.starts_with('_')) {
            self.out.push_str(text);
        } else {
            text::push_quoted(text, careful, self.out);
        }
    }

    fn list(&mut self, items: &[Value<'_>]) -> Result<(), WriteError> {
        if self.form == Form::Loose
            && let Some(columns) = table::columns(items)
        {
            return self.table(items, &columns);
        }
        self.out.push('[');
        for (nth, item) in items.iter().enumerate() {
            if nth > 0 {
                self.out.push(' ');
            }
            match item {
                // Most readers take a bare word in front of a map for the name of a struct.
                Value::String(text) if self.form == Form::Profile => {
                    let before_map = matches!(items.get(nth + 1), Some(Value::Object(_)));
                    self.string(text, !before_map && text::is_bare(text));
                }
                _ => self.value(item)?,
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn map(&mut self, members: &[Member<'_>]) -> Result<(), WriteError> {
        let mut near = [Rank::default(); SMALL_MAP];
        let mut far = Vec::new();
        let ranks = match near.get_mut(..members.len()) {
            Some(ranks) => ranks,
            None => {
                far.resize(members.len(), Rank::default());
                far.as_mut_slice()
            }
        };
        for (at, (key, _)) in members.iter().enumerate() {
            ranks[at] = (text::rank(key), at);
        }
        ranks.sort_unstable_by(|one, other| {
            let key = |rank: &Rank| (rank.0, members[rank.1].0.as_ref());
            text::compare(key(one), key(other)).then(one.1.cmp(&other.1))
        });
        self.out.push('{');
        for (nth, (rank, at)) in ranks.iter().enumerate() {
            let (key, value) = &members[*at];
            if nth > 0 {
                self.out.push(' ');
            }
            self.string(key, *rank != 0);
            self.out.push('=');
            self.value(value)?;
        }
        self.out.push('}');
        Ok(())
    }

    fn table(&mut self, rows: &[Value<'_>], columns: &[&str]) -> Result<(), WriteError> {
        self.enter()?;
        // Writing to a string does not fail; the result exists for other sinks.
        let _ = write!(
            self.out,
            "@tab _ rows={} cols={} [",
            rows.len(),
            columns.len()
        );
        for (nth, column) in columns.iter().enumerate() {
            if nth > 0 {
                self.out.push(' ');
            }
            self.string(column, text::is_bare(column));
        }
        self.out.push_str("]\n");
        for row in rows {
            self.out.push('|');
            for column in columns {
                let start = self.out.len();
                self.value(row.get(column).unwrap_or(&Value::Null))?;
                table::escape_cell(self.out, start);
                self.out.push('|');
            }
            self.out.push('\n');
        }
        self.out.push_str("@end");
        self.depth -= 1;
        Ok(())
    }
}
