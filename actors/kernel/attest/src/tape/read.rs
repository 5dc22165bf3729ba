//! The tokenizer: one pass, recursive to a fixed depth.

mod strings;

use super::{Kind, Limits, Node, Tape};
use crate::fault::{Code, Fault, clip};

/// Python reads no longer integer (`sys.int_info.default_max_str_digits`), so nobody can have signed one with it.
const MAX_INT_DIGITS: usize = 4300;

/// Numbers without an exponent and no longer than this fit a double.
const MAX_PLAIN_DIGITS: usize = 308;

/// Texts that a node can point into. Positions are 32 bits wide.
const MAX_TEXT: usize = u32::MAX as usize;

pub(super) fn whole<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Tape<'a>, Fault> {
    let max = limits.bytes.min(MAX_TEXT);
    if bytes.len() > max {
        let size = bytes.len();
        let detail = format!("the text has {size} bytes, the limit is {max}; send less at once");
        return Err(Fault::new(Code::TooLarge, detail));
    }
    let text = std::str::from_utf8(bytes).map_err(|err| {
        let at = err.valid_up_to();
        malformed(at, "the text is not UTF-8")
    })?;
    if text.starts_with('\u{FEFF}') {
        return Err(malformed(
            0,
            "the text starts with a byte order mark; leave it out",
        ));
    }
    let mut reader = Reader {
        bytes,
        pos: 0,
        depth_left: limits.depth.min(u8::MAX.into()),
        depth: limits.depth.min(u8::MAX.into()),
        nodes_max: limits.nodes,
        // A guess that fits real traces: a node every dozen bytes.
        tape: Tape {
            text,
            nodes: Vec::with_capacity((bytes.len() / 12 + 16).min(limits.nodes)),
            order: Vec::with_capacity(bytes.len() / 24 + 16),
            arena: String::new(),
            nul_at: None,
        },
        keys: Vec::with_capacity(64),
    };
    reader.skip_space();
    reader.value()?;
    reader.skip_space();
    if reader.pos < bytes.len() {
        return Err(reader.fault("unexpected text after the value"));
    }
    Ok(reader.tape)
}

fn malformed(at: usize, what: &str) -> Fault {
    Fault::new(Code::MalformedJson, format!("{what}, at byte {at}"))
}

struct Reader<'a> {
    bytes: &'a [u8],
    pos: usize,
    depth_left: usize,
    depth: usize,
    nodes_max: usize,
    tape: Tape<'a>,
    /// Member names of the objects that are open, each after its first eight bytes.
    keys: Vec<(u64, u32)>,
}

impl Reader<'_> {
    #[cold]
    fn fault(&self, what: &str) -> Fault {
        if self.pos >= self.bytes.len() {
            return malformed(self.pos, "the text ends inside a value");
        }
        malformed(self.pos, what)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.pos += 1;
        }
    }

    fn push(&mut self, node: Node) -> Result<u32, Fault> {
        let at = self.tape.nodes.len();
        if at >= self.nodes_max {
            let max = self.nodes_max;
            let detail =
                format!("more than {max} values and member names in one text; send less at once");
            return Err(Fault::new(Code::TooLarge, detail));
        }
        self.tape.nodes.push(node);
        Ok(at as u32)
    }

    /// A scalar from `start` to here.
    fn scalar(&mut self, kind: Kind, start: usize, verbatim: bool) -> Result<(), Fault> {
        let next = self.tape.nodes.len() as u32 + 1;
        let node = Node {
            kind,
            verbatim,
            decoded: false,
            height: 0,
            start: start as u32,
            end: self.pos as u32,
            next,
            first: 0,
            count: 0,
        };
        self.push(node).map(|_| ())
    }

    fn value(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{') => self.nested(Kind::Object),
            Some(b'[') => self.nested(Kind::Array),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Kind::True),
            Some(b'f') => self.word("false", Kind::False),
            Some(b'n') => self.word("null", Kind::Null),
            Some(b'N' | b'I') => Err(self.fault("NaN and Infinity are not JSON; send null")),
            _ => Err(self.fault("expected a value")),
        }
    }

    fn word(&mut self, word: &str, kind: Kind) -> Result<(), Fault> {
        let start = self.pos;
        if !self.bytes[start..].starts_with(word.as_bytes()) {
            return Err(self.fault("expected a value"));
        }
        self.pos += word.len();
        self.scalar(kind, start, true)
    }

    fn nested(&mut self, kind: Kind) -> Result<(), Fault> {
        if self.depth_left == 0 {
            let detail = format!("nested deeper than {} levels", self.depth);
            return Err(Fault::new(Code::DataTooDeep, detail));
        }
        self.depth_left -= 1;
        let start = self.pos;
        self.scalar(kind, start, false)?;
        let at = self.tape.nodes.len() - 1;
        self.pos += 1;
        let (count, height) = match kind {
            Kind::Object => self.object(at)?,
            _ => self.array()?,
        };
        self.depth_left += 1;
        let next = self.tape.nodes.len() as u32;
        let node = &mut self.tape.nodes[at];
        node.end = self.pos as u32;
        node.next = next;
        node.count = count;
        node.height = height + 1;
        Ok(())
    }

    /// Reads the items after the bracket; returns how many there are and how high the highest is.
    fn array(&mut self) -> Result<(u32, u8), Fault> {
        let (mut count, mut height) = (0, 0);
        self.skip_space();
        if self.peek() == Some(b']') {
            self.pos += 1;
            return Ok((count, height));
        }
        loop {
            self.skip_space();
            let at = self.tape.nodes.len();
            self.value()?;
            count += 1;
            height = height.max(self.tape.nodes[at].height);
            if self.closes(b']')? {
                return Ok((count, height));
            }
        }
    }

    /// Reads the members after the brace; as [`Reader::array`].
    fn object(&mut self, object: usize) -> Result<(u32, u8), Fault> {
        let base = self.keys.len();
        let mut height = 0;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.pos += 1;
            self.tape.nodes[object].first = self.tape.order.len() as u32;
            return Ok((0, height));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.fault("expected a member name in double quotes"));
            }
            let name = self.tape.nodes.len();
            self.string()?;
            let first_bytes = prefix(self.tape.text_of(&self.tape.nodes[name]));
            self.keys.push((first_bytes, name as u32));
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.fault("expected ':' after a member name"));
            }
            self.pos += 1;
            self.skip_space();
            let at = self.tape.nodes.len();
            self.value()?;
            height = height.max(self.tape.nodes[at].height);
            if self.closes(b'}')? {
                break;
            }
        }
        self.tape.nodes[object].first = self.tape.order.len() as u32;
        let count = self.order_members(base)?;
        Ok((count, height))
    }

    /// Moves the names from `base` on into the order.
    fn order_members(&mut self, base: usize) -> Result<u32, Fault> {
        let tape = &self.tape;
        let name = |at: u32| tape.text_of(tape.node(at));
        let names = &mut self.keys[base..];
        // Most names differ in their first bytes.
        names.sort_unstable_by(|(left, one), (right, other)| {
            left.cmp(right).then_with(|| name(*one).cmp(name(*other)))
        });
        let equal =
            |pair: &&[(u64, u32)]| pair[0].0 == pair[1].0 && name(pair[0].1) == name(pair[1].1);
        if let Some(pair) = names.windows(2).find(equal) {
            let key = clip(name(pair[0].1));
            let at = tape.node(pair[0].1.max(pair[1].1)).start;
            let detail = format!(
                "the member {key:?} stands twice in one object, again at byte {at}; name it once"
            );
            return Err(Fault::new(Code::DuplicateKey, detail).on(key));
        }
        let count = names.len() as u32;
        let ordered = self.keys.drain(base..).map(|(_, at)| at);
        self.tape.order.extend(ordered);
        Ok(count)
    }

    fn closes(&mut self, bracket: u8) -> Result<bool, Fault> {
        self.skip_space();
        match self.peek() {
            Some(b',') => {
                self.pos += 1;
                Ok(false)
            }
            Some(byte) if byte == bracket => {
                self.pos += 1;
                Ok(true)
            }
            _ => Err(self.fault("expected ',' or the closing bracket")),
        }
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.pos;
        if self.peek() == Some(b'-') {
            self.pos += 1;
        }
        match self.peek() {
            Some(b'0') => self.pos += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.fault("malformed number")),
        }
        let whole = self.pos - start;
        let mut kind = Kind::Int;
        let mut may_overflow = false;
        if self.peek() == Some(b'.') {
            kind = Kind::Float;
            self.pos += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            kind = Kind::Float;
            may_overflow = true;
            self.pos += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.pos += 1;
            }
            self.some_digits()?;
        }
        if let Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'_') = self.peek() {
            return Err(self.fault("malformed number"));
        }
        let lexeme = &self.tape.text[start..self.pos];
        if kind == Kind::Int {
            let digits = whole - usize::from(lexeme.starts_with('-'));
            if digits > MAX_INT_DIGITS {
                let what = format!(
                    "an integer of {digits} digits, the limit is {MAX_INT_DIGITS}; send a string"
                );
                return Err(malformed(start, &what));
            }
            return self.scalar(kind, start, lexeme != "-0");
        }
        may_overflow |= lexeme.len() > MAX_PLAIN_DIGITS;
        if may_overflow && lexeme.parse::<f64>().is_ok_and(f64::is_infinite) {
            let what = "a number beyond the range of a double; send a string";
            return Err(malformed(start, what));
        }
        self.scalar(kind, start, false)
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.pos += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), Fault> {
        let start = self.pos;
        self.digits();
        if self.pos == start {
            return Err(self.fault("malformed number"));
        }
        Ok(())
    }
}

/// The first eight bytes of a name as a number that orders as they do.
fn prefix(name: &str) -> u64 {
    let mut first = [0; 8];
    let len = name.len().min(8);
    first[..len].copy_from_slice(&name.as_bytes()[..len]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_by_their_bytes_whatever_their_length() {
        let text = "{\"ab\\u0000\":1,\"ab\":2,\"abcdefghj\":3,\"abcdefghi\":4,\"\":5,\"é\":6}";
        let tape = whole(text.as_bytes(), &Limits::default()).expect("JSON");
        let names: Vec<_> = tape
            .root()
            .members()
            .filter_map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["", "ab", "ab\0", "abcdefghi", "abcdefghj", "é"]);
    }
}
