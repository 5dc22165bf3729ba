//! How two registries learn their difference in about as many bytes as the difference has, and not the set.
//!
//! Each side cuts the space of fingerprints into ranges by their leading hexadecimal digits, and compares for each
//! range how many URLs are in it and the sum of their fingerprints. Equal ranges are done; unequal ones are cut again,
//! until so few are left that their fingerprints are listed. The number of rounds is logarithmic in the set.
//!
//! Ranges and not a set sketch: a sketch must be sized for the difference before it is known, and is built anew for each
//! guess; ranges need no guess, keep no state between requests, and all of their sums come from one sorted index that a
//! snapshot builds once.

use std::fmt::Write as _;
use std::sync::Arc;

use glint::hex;
use thiserror::Error;

use crate::list::List;
use crate::seal::Fingerprint;

/// Hexadecimal digits of a fingerprint.
const DIGITS: u32 = 32;

/// Ranges with at most so many URLs are listed rather than cut again.
const LISTED: usize = 24;

/// Ranges with at least so many URLs are cut by two digits at once, to save a round.
const WIDE: usize = 2048;

/// A text that is no range or no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RangeError {
    /// Not hexadecimal digits, or too many.
    #[error("a range is named by up to 32 lowercase hexadecimal digits")]
    Prefix,
    /// Not exactly 32 digits.
    #[error("a fingerprint is 32 lowercase hexadecimal digits")]
    Fingerprint,
}

impl RangeError {
    /// A stable token for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            RangeError::Prefix => "reconcile_range_invalid",
            RangeError::Fingerprint => "reconcile_fingerprint_invalid",
        }
    }
}

/// All fingerprints that begin with the same digits. Displays as these digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    first: Fingerprint,
    digits: u32,
}

impl Prefix {
    /// Everything.
    pub const ALL: Prefix = Prefix {
        first: 0,
        digits: 0,
    };

    /// Reads the digits.
    ///
    /// # Errors
    /// [`RangeError::Prefix`].
    pub fn read(text: &str) -> Result<Prefix, RangeError> {
        let digits = u32::try_from(text.len())
            .ok()
            .filter(|digits| *digits <= DIGITS);
        let digits = digits.filter(|_| is_hex(text)).ok_or(RangeError::Prefix)?;
        let first = if digits == 0 {
            0
        } else {
            let number = Fingerprint::from_str_radix(text, 16).map_err(|_| RangeError::Prefix)?;
            number << (4 * (DIGITS - digits))
        };
        Ok(Prefix { first, digits })
    }

    /// Tells whether all of this range is in another.
    #[must_use]
    pub fn is_within(self, other: Prefix) -> bool {
        self.digits >= other.digits && (other.first..=other.last()).contains(&self.first)
    }

    fn last(self) -> Fingerprint {
        match self.digits {
            0 => Fingerprint::MAX,
            digits => self.first | Fingerprint::MAX.checked_shr(4 * digits).unwrap_or(0),
        }
    }

    /// Cuts the range by `digits` more digits.
    fn cut(self, digits: u32) -> impl Iterator<Item = Prefix> {
        let digits = digits.min(DIGITS - self.digits);
        let all = self.digits + digits;
        let step = 4 * (DIGITS - all);
        (0..1_u128 << (4 * digits)).map(move |nth| Prefix {
            first: self.first | nth << step,
            digits: all,
        })
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = format!("{:032x}", self.first);
        f.write_str(&all[..self.digits as usize])
    }
}

/// Reads a whole fingerprint.
///
/// # Errors
/// [`RangeError::Fingerprint`].
pub fn read_fingerprint(text: &str) -> Result<Fingerprint, RangeError> {
    let mut bytes = [0; size_of::<Fingerprint>()];
    let read = hex::read(text, &mut bytes);
    read.map(|()| Fingerprint::from_be_bytes(bytes))
        .ok_or(RangeError::Fingerprint)
}

/// Writes a fingerprint or a sum as it is read.
#[must_use]
pub fn show(fingerprint: Fingerprint) -> String {
    let mut out = String::with_capacity(DIGITS as usize);
    let _ = write!(out, "{fingerprint:032x}");
    out
}

fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// What one side has in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Which range.
    pub prefix: Prefix,
    /// How many URLs.
    pub count: u64,
    /// The sum of their fingerprints, modulo two to the power of 128.
    pub sum: Fingerprint,
}

/// What the other side says to a range that is not equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The range cut up.
    Cut(Vec<Range>),
    /// All fingerprints in the range.
    Listed(Prefix, Vec<Fingerprint>),
}

/// URLs by fingerprint, with running sums: any range is summed in two steps.
#[derive(Debug)]
pub struct Index {
    entries: Vec<(Fingerprint, Arc<str>)>,
    /// The sum of all before each place.
    sums: Vec<Fingerprint>,
}

impl Index {
    /// Sorts a list by fingerprint.
    #[must_use]
    pub fn new(list: &List) -> Index {
        Index::of(
            list.iter()
                .map(|entry| (entry.fingerprint, entry.url.clone())),
        )
    }

    /// Sorts URLs by fingerprint. Each may come once.
    #[must_use]
    pub fn of(urls: impl Iterator<Item = (Fingerprint, Arc<str>)>) -> Index {
        let mut entries: Vec<_> = urls.collect();
        entries.sort_unstable_by_key(|(fingerprint, _)| *fingerprint);
        let mut sums = Vec::with_capacity(entries.len() + 1);
        let mut sum: Fingerprint = 0;
        sums.push(sum);
        for (fingerprint, _) in &entries {
            sum = sum.wrapping_add(*fingerprint);
            sums.push(sum);
        }
        Index { entries, sums }
    }

    /// Returns what is in a range.
    #[must_use]
    pub fn range(&self, prefix: Prefix) -> Range {
        let (from, to) = self.bounds(prefix);
        Range {
            prefix,
            count: (to - from) as u64,
            sum: self.sums[to].wrapping_sub(self.sums[from]),
        }
    }

    /// Answers what the other side has in a range; nothing, if this side has the same.
    #[must_use]
    pub fn answer(&self, theirs: &Range) -> Option<Answer> {
        let prefix = theirs.prefix;
        if self.range(prefix) == *theirs {
            return None;
        }
        let (from, to) = self.bounds(prefix);
        if to - from <= LISTED || prefix.digits == DIGITS {
            return Some(Answer::Listed(prefix, self.listed(prefix)));
        }
        let digits = if to - from >= WIDE { 2 } else { 1 };
        Some(Answer::Cut(
            prefix.cut(digits).map(|part| self.range(part)).collect(),
        ))
    }

    /// Returns the URL with a fingerprint.
    #[must_use]
    pub fn url(&self, fingerprint: Fingerprint) -> Option<&Arc<str>> {
        let at = self
            .entries
            .binary_search_by_key(&fingerprint, |(known, _)| *known)
            .ok()?;
        Some(&self.entries[at].1)
    }

    fn listed(&self, prefix: Prefix) -> Vec<Fingerprint> {
        let (from, to) = self.bounds(prefix);
        self.entries[from..to]
            .iter()
            .map(|(fingerprint, _)| *fingerprint)
            .collect()
    }

    fn bounds(&self, prefix: Prefix) -> (usize, usize) {
        let from = self
            .entries
            .partition_point(|(known, _)| *known < prefix.first);
        let to = self
            .entries
            .partition_point(|(known, _)| *known <= prefix.last());
        (from, to)
    }
}

/// One side's way to the difference: ask, hear the answer, ask again.
#[derive(Debug)]
pub struct Search<'i> {
    index: &'i Index,
    open: Vec<Range>,
    /// What the other side has and this one lacks.
    pub lacking: Vec<Fingerprint>,
    /// What this side has and the other one lacks.
    pub surplus: Vec<Fingerprint>,
}

impl<'i> Search<'i> {
    /// Starts with everything.
    #[must_use]
    pub fn new(index: &'i Index) -> Search<'i> {
        Search {
            index,
            open: vec![index.range(Prefix::ALL)],
            lacking: Vec::new(),
            surplus: Vec::new(),
        }
    }

    /// Takes at most `limit` ranges to ask about next; none, when the difference is known.
    pub fn ask(&mut self, limit: usize) -> Vec<Range> {
        let rest = self.open.len().saturating_sub(limit);
        self.open.split_off(rest)
    }

    /// Hears the answer to a range that was asked about and is not equal.
    pub fn hear(&mut self, answer: &Answer) {
        match answer {
            Answer::Cut(parts) => {
                let unequal = parts
                    .iter()
                    .map(|part| (part, self.index.range(part.prefix)));
                let unequal = unequal.filter(|(theirs, ours)| *theirs != ours);
                self.open.extend(unequal.map(|(_, ours)| ours));
            }
            Answer::Listed(prefix, theirs) => {
                let ours = self.index.listed(*prefix);
                let mut theirs = theirs.clone();
                theirs.sort_unstable();
                let lacking = theirs
                    .iter()
                    .filter(|known| ours.binary_search(known).is_err());
                self.lacking.extend(lacking);
                let surplus = ours
                    .iter()
                    .filter(|known| theirs.binary_search(known).is_err());
                self.surplus.extend(surplus);
            }
        }
    }
}
