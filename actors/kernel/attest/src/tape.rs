//! A JSON text as a flat list of nodes: no tree, no map, two allocations for a whole batch.
//!
//! A node is 28 bytes; a string without escapes stays where it is in the text. Objects know their members in code-point
//! order, so one of many is
//! found by binary search, and the canonical form is written without sorting.

mod read;

use std::fmt;

use crate::fault::Fault;

/// Members of an object that are looked through one by one: lengths are compared sooner than names are.
const FEW: usize = 32;

/// Bounds on what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a text.
    pub bytes: usize,
    /// Deepest nesting of arrays and objects.
    pub depth: usize,
    /// Most values and member names.
    pub nodes: usize,
}

impl Default for Limits {
    /// 8 MiB, 64 levels, a million nodes (24 MiB while a text is looked at). Real traces have up to 3 MB and 12 levels.
    fn default() -> Limits {
        Limits {
            bytes: 8 << 20,
            depth: 64,
            nodes: 1_000_000,
        }
    }
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `false`
    False,
    /// `true`
    True,
    /// A number without point and exponent, of any length.
    Int,
    /// A number with a point or an exponent.
    Float,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Kind {
    /// Returns the word for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::False | Kind::True => "a boolean",
            Kind::Int => "an integer",
            Kind::Float => "a number with a fraction",
            Kind::String => "a string",
            Kind::Array => "an array",
            Kind::Object => "an object",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, Copy)]
struct Node {
    kind: Kind,
    /// The text of this node, as it stands, is its canonical form.
    verbatim: bool,
    /// A string whose characters stand in the arena, since it has escapes.
    decoded: bool,
    /// Levels of arrays and objects in it, itself included.
    height: u8,
    /// Where it stands in the text.
    start: u32,
    end: u32,
    /// The node after this one and all that is in it.
    next: u32,
    /// An object: where its members begin in the order. A decoded string: where it begins in the arena.
    first: u32,
    /// An object, an array: how many are in it. A decoded string: its length.
    count: u32,
}

/// A JSON text that was read.
#[derive(Debug)]
pub struct Tape<'a> {
    text: &'a str,
    nodes: Vec<Node>,
    /// For each object the nodes of its member names in code-point order.
    order: Vec<u32>,
    /// The characters of strings that have escapes.
    arena: String,
    nul_at: Option<usize>,
}

impl<'a> Tape<'a> {
    /// Reads one JSON value with white space around it and nothing else.
    ///
    /// Stricter than most readers, so that no two of them can differ on what was signed: no byte order mark, no member
    /// named twice, no half of a surrogate pair, no number beyond a double, no integer beyond 4,300 digits (Python
    /// reads none).
    ///
    /// # Errors
    /// [`Code::MalformedJson`](crate::Code::MalformedJson), [`Code::DuplicateKey`](crate::Code::DuplicateKey),
    /// [`Code::DataTooDeep`](crate::Code::DataTooDeep), [`Code::TooLarge`](crate::Code::TooLarge).
    pub fn read(bytes: &'a [u8], limits: &Limits) -> Result<Tape<'a>, Fault> {
        read::whole(bytes, limits)
    }

    /// Returns the value.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        Value { tape: self, at: 0 }
    }

    /// Returns where in the text a string holds U+0000, if one does.
    #[must_use]
    pub fn nul_at(&self) -> Option<usize> {
        self.nul_at
    }

    fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }

    /// Tells whether a string is this one. Most are told by their length.
    fn is_text(&self, at: u32, text: &str) -> bool {
        let node = self.node(at);
        let len = match node.decoded {
            true => node.count,
            // Without its quotes.
            false => node.end - node.start - 2,
        };
        len as usize == text.len() && self.text_of(node) == text
    }

    fn text_of(&self, node: &Node) -> &str {
        let (first, start, end) = (node.first as usize, node.start as usize, node.end as usize);
        if node.decoded {
            &self.arena[first..first + node.count as usize]
        } else {
            &self.text[start + 1..end - 1]
        }
    }
}

/// One value of a text.
#[derive(Clone, Copy)]
pub struct Value<'t> {
    tape: &'t Tape<'t>,
    at: u32,
}

impl<'t> Value<'t> {
    fn node(self) -> &'t Node {
        self.tape.node(self.at)
    }

    /// Returns what it is.
    #[must_use]
    pub fn kind(self) -> Kind {
        self.node().kind
    }

    /// Returns the characters of a string.
    #[must_use]
    pub fn as_str(self) -> Option<&'t str> {
        let node = self.node();
        (node.kind == Kind::String).then(|| self.tape.text_of(node))
    }

    /// Returns the value as it stands in the text.
    #[must_use]
    pub fn raw(self) -> &'t str {
        let node = self.node();
        &self.tape.text[node.start as usize..node.end as usize]
    }

    /// Tells whether [`Value::raw`] is known to be the canonical form.
    pub(crate) fn is_verbatim(self) -> bool {
        self.node().verbatim
    }

    /// Returns the levels of arrays and objects in it, itself included: 0 for a scalar.
    #[must_use]
    pub fn height(self) -> usize {
        self.node().height.into()
    }

    /// Returns an integer that fits.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        (self.kind() == Kind::Int)
            .then(|| self.raw().parse().ok())
            .flatten()
    }

    /// Returns a number, correctly rounded.
    #[must_use]
    pub fn as_f64(self) -> Option<f64> {
        let number: f64 = match self.kind() {
            Kind::Int | Kind::Float => self.raw().parse().ok()?,
            _ => return None,
        };
        number.is_finite().then_some(number)
    }

    /// Returns the member of an object that has this name.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Value<'t>> {
        let node = self.node();
        if node.kind != Kind::Object {
            return None;
        }
        let (tape, keys) = (self.tape, self.keys());
        let found = if keys.len() <= FEW {
            keys.iter().position(|key| tape.is_text(*key, name))
        } else {
            let text = |key: &u32| tape.text_of(tape.node(*key));
            keys.binary_search_by(|key| text(key).cmp(name)).ok()
        };
        let at = keys[found?] + 1;
        Some(Value { tape, at })
    }

    fn keys(self) -> &'t [u32] {
        let node = self.node();
        let first = node.first as usize;
        &self.tape.order[first..first + node.count as usize]
    }

    /// Returns how many values an array or object holds.
    #[must_use]
    pub fn len(self) -> usize {
        match self.kind() {
            Kind::Array | Kind::Object => self.node().count as usize,
            _ => 0,
        }
    }

    /// Tells whether it holds no values.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Returns the members of an object in code-point order of their names; none for anything else.
    pub fn members(self) -> impl Iterator<Item = (Value<'t>, Value<'t>)> {
        let keys = match self.kind() {
            Kind::Object => self.keys(),
            _ => &[],
        };
        let tape = self.tape;
        keys.iter()
            .map(move |&at| (Value { tape, at }, Value { tape, at: at + 1 }))
    }

    /// Returns the items of an array; none for anything else.
    #[must_use]
    pub fn items(self) -> Items<'t> {
        let node = self.node();
        let end = match node.kind {
            Kind::Array => node.next,
            _ => self.at + 1,
        };
        Items {
            tape: self.tape,
            at: self.at + 1,
            end,
        }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.raw())
    }
}

/// The items of an array.
#[derive(Debug, Clone)]
pub struct Items<'t> {
    tape: &'t Tape<'t>,
    at: u32,
    end: u32,
}

impl<'t> Iterator for Items<'t> {
    type Item = Value<'t>;

    fn next(&mut self) -> Option<Value<'t>> {
        if self.at >= self.end {
            return None;
        }
        let value = Value {
            tape: self.tape,
            at: self.at,
        };
        self.at = self.tape.node(self.at).next;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_of_a_small_and_of_a_large_object_is_found_and_no_other() {
        for count in [1, FEW, FEW + 1, 3 * FEW] {
            let members: Vec<String> = (0..count)
                .map(|nth| format!(r#""k\u0069{nth}":{nth},"l{nth}":{nth}"#))
                .collect();
            let text = format!("{{{}}}", members.join(","));
            let tape = Tape::read(text.as_bytes(), &Limits::default()).expect("an object");
            for nth in 0..count {
                for name in [format!("ki{nth}"), format!("l{nth}")] {
                    let found = tape.root().get(&name).and_then(Value::as_i64);
                    assert_eq!(found, Some(nth as i64), "{name} of {count}");
                }
                assert!(tape.root().get(&format!("m{nth}")).is_none());
                assert!(tape.root().get(&format!(r"k\u0069{nth}")).is_none());
            }
        }
    }
}
