//! Tables: `@tab _ rows=N cols=M [names]`, one line `|cell|cell|` for each row, `@end`.

use std::borrow::Cow;

use glint::json::Value;

use super::{GlyphError, GlyphFault, MAX_COLUMNS, Reader, fault_at};

struct Header<'a> {
    rows: Option<usize>,
    columns: Vec<Cow<'a, str>>,
}

impl<'a> Reader<'a> {
    /// Reads a table into an array of objects.
    pub(super) fn table(&mut self) -> Result<Value<'a>, GlyphError> {
        let start = self.pos;
        let rest = &self.bytes[start..];
        if !rest.starts_with(b"@tab") || !matches!(rest.get(4), Some(b' ' | b'\t' | b'[')) {
            return Err(self.fault(GlyphFault::ExpectedValue));
        }
        // One level for the array and one for the objects in it, as if the table were spelt out.
        self.enter()?;
        self.enter()?;
        self.pos += "@tab".len();
        let header = self.header()?;
        let row_name_bytes: usize = header.columns.iter().map(|name| name.len()).sum();
        let mut rows = Vec::new();
        loop {
            self.skip_space();
            if self.bytes[self.pos..].starts_with(b"@end") {
                self.pos += "@end".len();
                break;
            }
            if self.peek() != Some(b'|') {
                return Err(self.fault(GlyphFault::TableRow));
            }
            let Some(spare) = self.spare_name_bytes.checked_sub(row_name_bytes) else {
                return Err(self.fault(GlyphFault::TableSize));
            };
            self.spare_name_bytes = spare;
            rows.push(self.row(&header.columns)?);
        }
        if header.rows.is_some_and(|promised| promised != rows.len()) {
            return Err(fault_at(GlyphFault::TableRows, start));
        }
        self.depth -= 2;
        Ok(Value::Array(rows))
    }

    /// Reads from behind `@tab` to behind the column names. Words it does not know, such as a type name, are passed.
    fn header(&mut self) -> Result<Header<'a>, GlyphError> {
        let (mut rows, mut cols) = (None, None);
        loop {
            self.skip_space();
            let start = self.pos;
            while let Some(byte) = self.peek()
                && !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'[')
            {
                self.pos += 1;
            }
            let token = &self.text[start..self.pos];
            if token.is_empty() {
                break;
            }
            match token.split_once('=') {
                Some(("rows", count)) => rows = Some(count_of(count, start)?),
                Some(("cols", count)) => cols = Some(count_of(count, start)?),
                _ => {}
            }
        }
        let start = self.pos;
        let columns = self.columns()?;
        if cols.is_some_and(|promised| promised != columns.len()) {
            return Err(fault_at(GlyphFault::TableHeader, start));
        }
        Ok(Header { rows, columns })
    }

    fn columns(&mut self) -> Result<Vec<Cow<'a, str>>, GlyphError> {
        let start = self.pos;
        if self.peek() != Some(b'[') {
            return Err(self.fault(GlyphFault::TableHeader));
        }
        self.pos += 1;
        let mut columns = Vec::new();
        loop {
            self.skip_separators();
            if self.peek() == Some(b']') {
                self.pos += 1;
                break;
            }
            if columns.len() == MAX_COLUMNS {
                return Err(self.fault(GlyphFault::TableSize));
            }
            columns.push(self.key()?);
            self.end_of_item(b']')?;
        }
        let mut names: Vec<&str> = columns.iter().map(AsRef::as_ref).collect();
        names.sort_unstable();
        let twice = names.windows(2).any(|pair| pair[0] == pair[1]);
        if twice || names.is_empty() {
            return Err(fault_at(GlyphFault::TableHeader, start));
        }
        Ok(columns)
    }

    /// Reads one row from its first border to the end of its line.
    fn row(&mut self, columns: &[Cow<'a, str>]) -> Result<Value<'a>, GlyphError> {
        self.pos += 1;
        let mut members = Vec::with_capacity(columns.len());
        for column in columns {
            members.push((column.clone(), self.cell()?));
        }
        while let Some(b' ' | b'\t' | b'\r') = self.peek() {
            self.pos += 1;
        }
        if self.peek() != Some(b'\n') {
            return Err(self.fault(GlyphFault::TableRow));
        }
        Ok(Value::Object(members))
    }

    /// Reads one cell and the border behind it.
    fn cell(&mut self) -> Result<Value<'a>, GlyphError> {
        let start = self.pos;
        let (end, escaped) = self.end_of_cell()?;
        self.pos = end + 1;
        let cell = &self.text[start..end];
        if cell.trim_ascii().is_empty() {
            // A blank cell that spans lines belongs to a row that is too short.
            return match cell.contains('\n') {
                true => Err(fault_at(GlyphFault::TableRow, start)),
                false => Ok(Value::Null),
            };
        }
        if escaped {
            return self.escaped_cell(start, cell);
        }
        let mut inner = Reader {
            text: &self.text[..end],
            bytes: &self.bytes[..end],
            pos: start,
            depth: self.depth,
            spare_name_bytes: self.spare_name_bytes,
        };
        let value = inner.whole()?;
        self.spare_name_bytes = inner.spare_name_bytes;
        Ok(value)
    }

    /// Finds the border behind the cell that begins here, and tells whether the cell has escaped borders in it.
    fn end_of_cell(&self) -> Result<(usize, bool), GlyphError> {
        let mut escaped = false;
        for offset in memchr::memchr_iter(b'|', &self.bytes[self.pos..]) {
            let at = self.pos + offset;
            if offset == 0 || self.bytes[at - 1] != b'\\' {
                return Ok((at, escaped));
            }
            escaped = true;
        }
        Err(fault_at(GlyphFault::Truncated, self.bytes.len()))
    }

    fn escaped_cell(&mut self, start: usize, cell: &str) -> Result<Value<'a>, GlyphError> {
        let plain = cell.replace("\\|", "|");
        let mut inner = Reader {
            text: &plain,
            bytes: plain.as_bytes(),
            pos: 0,
            depth: self.depth,
            spare_name_bytes: self.spare_name_bytes,
        };
        let value = inner.whole().map_err(|err| {
            // Every border up to the fault had a backslash in front of it.
            let dropped = memchr::memchr_iter(b'|', &plain.as_bytes()[..err.at]).count();
            fault_at(err.fault, start + err.at + dropped)
        })?;
        self.spare_name_bytes = inner.spare_name_bytes;
        Ok(into_owned(value))
    }
}

fn count_of(count: &str, at: usize) -> Result<usize, GlyphError> {
    count
        .parse()
        .map_err(|_| fault_at(GlyphFault::TableHeader, at))
}

/// Copies what the value borrows from a cell that is about to go away.
fn into_owned<'a>(value: Value<'_>) -> Value<'a> {
    let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
    match value {
        Value::Null => Value::Null,
        Value::Bool(truth) => Value::Bool(truth),
        Value::Number(lexeme) => Value::Number(own(lexeme)),
        Value::String(text) => Value::String(own(text)),
        Value::Array(items) => Value::Array(items.into_iter().map(into_owned).collect()),
        Value::Object(members) => {
            let member = |(key, value)| (own(key), into_owned(value));
            Value::Object(members.into_iter().map(member).collect())
        }
    }
}
