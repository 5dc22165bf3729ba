//! Lines of a file, a pipe or a stream, however they come.

use std::io::{self, BufRead, ErrorKind};

/// A longer line is passed over, so that a file that has no line ends does not fill the memory.
pub(super) const LINE_LIMIT_BYTES: usize = 16 * 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A reader of lines.
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
    consumed: u64,
}

/// One line, without its end and the blanks around it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Nothing but blanks.
    Blank,
    /// Text.
    Text(&'a str),
    /// Not to be had as text, and why.
    Unreadable(String),
}

impl<R: BufRead> Lines<R> {
    /// Reads lines from `input`. A byte order mark at its begin is passed over.
    pub(super) fn new(input: R) -> Lines<R> {
        Lines {
            input,
            line: Vec::new(),
            number: 0,
            consumed: 0,
        }
    }

    /// The number of the line last read, counted from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The bytes read so far.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Reads the next line, or nothing at the end of the input.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let Some(length) = self.read_line()? else {
            return Ok(None);
        };
        self.number += 1;
        if length > LINE_LIMIT_BYTES {
            let reason = format!("{length} bytes long; the limit is {LINE_LIMIT_BYTES}");
            return Ok(Some(Line::Unreadable(reason)));
        }
        let mut bytes = &self.line[..];
        if self.number == 1 {
            bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        }
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() {
            return Ok(Some(Line::Blank));
        }
        Ok(Some(match std::str::from_utf8(bytes) {
            Ok(text) => Line::Text(text),
            Err(err) => Line::Unreadable(format!(
                "not UTF-8 from byte {} on; convert the input first",
                err.valid_up_to()
            )),
        }))
    }

    /// Reads up to the next line feed into the buffer, at most as much as a line may have. Returns the full length.
    fn read_line(&mut self) -> io::Result<Option<usize>> {
        self.line.clear();
        let mut length = 0;
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(err) if err.kind() == ErrorKind::Interrupted => continue,
                Err(err) => return Err(err),
            };
            if chunk.is_empty() {
                return Ok((length > 0).then_some(length));
            }
            let end = memchr::memchr(b'\n', chunk);
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let room = LINE_LIMIT_BYTES.saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            length += part.len();
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            self.consumed += used as u64;
            if end.is_some() {
                return Ok(Some(length));
            }
        }
    }
}

impl<R: io::Read> Lines<io::BufReader<R>> {
    /// Whether a whole line is here already; if not, reading one may take its time.
    pub(super) fn has_line(&self) -> bool {
        memchr::memchr(b'\n', self.input.buffer()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn read(input: &[u8]) -> Vec<String> {
        // A buffer of three bytes puts a boundary into everything.
        let mut lines = Lines::new(BufReader::with_capacity(3, input));
        let mut seen = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            seen.push(match line {
                Line::Blank => "-".to_owned(),
                Line::Text(text) => text.to_owned(),
                Line::Unreadable(reason) => format!("!{reason}"),
            });
        }
        assert_eq!(lines.consumed(), input.len() as u64);
        assert_eq!(lines.number(), seen.len() as u64);
        seen
    }

    #[test]
    fn lines_are_cut_at_line_feeds_and_trimmed() {
        assert_eq!(read(b""), Vec::<String>::new());
        assert_eq!(
            read(b"\xEF\xBB\xBF{}\r\n\n \t\r\n\r{\"a\":1}"),
            ["{}", "-", "-", "{\"a\":1}"]
        );
        assert_eq!(read("ä\u{2028}ö\n".as_bytes()), ["ä\u{2028}ö"]);
    }

    #[test]
    fn lines_that_are_no_text_are_passed_over() {
        let seen = read(b"ok\n\xFF\nok");
        assert_eq!(seen[0], "ok");
        assert!(seen[1].starts_with("!not UTF-8 from byte 0"));
        assert_eq!(seen[2], "ok");
    }

    #[test]
    fn a_line_over_the_limit_takes_no_more_memory_than_the_limit() {
        let mut input = vec![b'x'; LINE_LIMIT_BYTES + 5];
        input.extend_from_slice(b"\nok\n");
        let mut lines = Lines::new(BufReader::new(&input[..]));
        assert!(matches!(lines.next().unwrap(), Some(Line::Unreadable(_))));
        assert!(lines.line.capacity() <= 2 * LINE_LIMIT_BYTES);
        assert_eq!(lines.next().unwrap(), Some(Line::Text("ok")));
    }
}
