//! Where in `data` a rule looks.

use std::fmt;
use std::str::FromStr;

use crate::fault::{Code, Fault, clip};

/// Most segments of a path.
pub const SEGMENTS_MAX: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// The member of this name.
    Name(String),
    /// Any member, any item.
    Any,
    /// Any number of levels, also none.
    Deep,
}

/// A path within `data`: names joined by points, `*` for any member or item, `**` for any number of levels, such as
/// `messages.*.content` or `**.email`. A member whose name has a point is reached by `*` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    segments: Vec<Segment>,
}

impl Path {
    pub(super) fn len(&self) -> usize {
        self.segments.len()
    }

    pub(super) fn is_deep(&self, segment: usize) -> bool {
        self.segments.get(segment) == Some(&Segment::Deep)
    }

    /// Tells whether a segment matches a member of this name, or an item where there is none.
    pub(super) fn matches(&self, segment: usize, name: Option<&str>) -> bool {
        match (self.segments.get(segment), name) {
            (Some(Segment::Any), _) => true,
            (Some(Segment::Name(wanted)), Some(name)) => wanted == name,
            _ => false,
        }
    }

    /// Returns the name that this path consists of, if it is one.
    pub(super) fn only_name(&self) -> Option<&str> {
        match self.segments.as_slice() {
            [Segment::Name(name)] => Some(name),
            _ => None,
        }
    }
}

impl FromStr for Path {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Path, Fault> {
        let bad = |why: &str| {
            let detail = format!(
                "the path {:?} {why}; write names joined by points, * and **, such as messages.*.content",
                clip(text)
            );
            Fault::new(Code::InvalidRule, detail)
        };
        let segment = |word: &str| match word {
            "*" => Segment::Any,
            "**" => Segment::Deep,
            name => Segment::Name(name.to_owned()),
        };
        let segments: Vec<Segment> = text.split('.').map(segment).collect();
        if segments.contains(&Segment::Name(String::new())) {
            return Err(bad("has an empty segment"));
        }
        if segments.len() > SEGMENTS_MAX {
            return Err(bad("has more than 16 segments"));
        }
        if segments.last() == Some(&Segment::Deep) {
            return Err(bad("ends with **, which names nothing"));
        }
        Ok(Path { segments })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, segment) in self.segments.iter().enumerate() {
            if place > 0 {
                f.write_str(".")?;
            }
            f.write_str(match segment {
                Segment::Name(name) => name,
                Segment::Any => "*",
                Segment::Deep => "**",
            })?;
        }
        Ok(())
    }
}
