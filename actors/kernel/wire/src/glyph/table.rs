//! Which lists are written as tables, and with which columns.

use glint::json::Value;

use super::text;

/// Lists shorter than this stay lists.
const MIN_ROWS: usize = 3;

/// Tables do not get wider than this; such lists stay lists.
const MAX_WRITTEN_COLUMNS: usize = 20;

struct Column<'v> {
    name: &'v str,
    rank: u64,
    rows: usize,
}

/// Returns the column names in canonical order if the list is written as a table: three or more maps, none of them
/// empty, with few enough names between them of which at least half stand in every map.
pub(super) fn columns<'v>(items: &'v [Value<'_>]) -> Option<Vec<&'v str>> {
    if items.len() < MIN_ROWS {
        return None;
    }
    let mut columns: Vec<Column<'v>> = Vec::new();
    for item in items {
        let members = item.as_object()?;
        if members.is_empty() {
            return None;
        }
        for (name, _) in members {
            if let Some(column) = columns.iter_mut().find(|column| column.name == name) {
                column.rows += 1;
                continue;
            }
            if columns.len() == MAX_WRITTEN_COLUMNS {
                return None;
            }
            columns.push(Column {
                name,
                rank: text::rank(name),
                rows: 1,
            });
        }
    }
    let common = columns
        .iter()
        .filter(|column| column.rows == items.len())
        .count();
    if common * 2 < columns.len() {
        return None;
    }
    columns.sort_unstable_by(|one, other| {
        text::compare((one.rank, one.name), (other.rank, other.name))
    });
    Some(columns.into_iter().map(|column| column.name).collect())
}

/// Escapes the cell borders inside a cell that was written to `out` from `start` on. Backslashes stay as they are: no
/// value ends in one, so a border behind a backslash is never a real one.
pub(super) fn escape_cell(out: &mut String, start: usize) {
    if memchr::memchr(b'|', &out.as_bytes()[start..]).is_none() {
        return;
    }
    let cell = out.split_off(start);
    for (nth, piece) in cell.split('|').enumerate() {
        if nth > 0 {
            out.push_str("\\|");
        }
        out.push_str(piece);
    }
}
