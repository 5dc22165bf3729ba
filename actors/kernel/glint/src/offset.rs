//! Where an event stands in the one order of this broker.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The place of an event: which life of the log, and which event of it.
///
/// Written `<epoch>-<seq>`, for example `1763697425-42`. Two offsets of different epochs have no order that means
/// anything, which is why this type has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Offset {
    /// The life of the log. Changes when history could not be carried over; at most [`Offset::MAX_EPOCH`].
    pub epoch: u64,
    /// Number of the event within the epoch; the first is 1, and 0 stands before it.
    pub seq: u64,
}

/// A text that is no offset.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a cursor; take one from an id line or a receipt, like 1763697425-42")]
pub struct BadOffset {
    text: String,
}

impl Offset {
    /// Largest epoch: it leaves 20 bits for stream numbers in a GS1 sid below 2^53, see `wire::form`.
    pub const MAX_EPOCH: u64 = (1 << 33) - 1;

    /// Longest text that is looked at by [`Offset::from_str`].
    const MAX_TEXT: usize = 41;
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

impl FromStr for Offset {
    type Err = BadOffset;

    fn from_str(text: &str) -> Result<Self, BadOffset> {
        let bad = || BadOffset {
            text: text.chars().take(Self::MAX_TEXT).collect(),
        };
        let (epoch, seq) = text.split_once('-').ok_or_else(bad)?;
        match (number(epoch), number(seq)) {
            (Some(epoch), Some(seq)) if epoch <= Self::MAX_EPOCH => Ok(Offset { epoch, seq }),
            _ => Err(bad()),
        }
    }
}

/// Digits only: no sign, no spaces, which `u64::from_str` would take in part.
fn number(text: &str) -> Option<u64> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_reads_back_what_it_writes() {
        let offset = Offset {
            epoch: 1_763_697_425,
            seq: 42,
        };
        assert_eq!(offset.to_string(), "1763697425-42");
        assert_eq!("1763697425-42".parse(), Ok(offset));
    }

    #[test]
    fn what_is_no_offset_is_refused() {
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "1-+2",
            "1- 2",
            "a-b",
            "1-2-3",
            "1-18446744073709551616",
            "8589934592-1",
        ] {
            assert!(text.parse::<Offset>().is_err(), "{text:?}");
        }
    }
}
