//! What became of the lines.

use std::fmt;

/// More refused lines are counted but not named.
const NAMED_MAX: usize = 20;

/// Counts of accepted, refused and blank lines.
#[derive(Debug, Default)]
pub(super) struct Tally {
    accepted: u64,
    refused: u64,
    blank: u64,
    named: Vec<(u64, String)>,
    under_way: Option<(u64, u64)>,
}

impl Tally {
    /// The lines the broker has taken.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// The lines that were not taken.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// Whether there is nothing to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.accepted + self.refused + self.blank == 0 && self.under_way.is_none()
    }

    /// Counts a blank line.
    pub(super) fn blank(&mut self) {
        self.blank += 1;
    }

    /// Counts a refused line.
    pub(super) fn refuse(&mut self, number: u64, reason: String) {
        self.refused += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push((number, reason));
        }
    }

    /// Notes that lines `first` to `last` are on their way.
    pub(super) fn begin(&mut self, first: u64, last: u64) {
        self.under_way = Some((first, last));
    }

    /// Notes that nothing became of the lines that were on their way.
    pub(super) fn give_up(&mut self) {
        self.under_way = None;
    }

    /// Counts what became of the lines that were on their way.
    pub(super) fn end(&mut self, accepted: u64, refused: Vec<(u64, String)>) {
        self.under_way = None;
        self.accepted += accepted;
        for (number, reason) in refused {
            self.refuse(number, reason);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "accepted {}", self.accepted)?;
        writeln!(f, "refused  {}", self.refused)?;
        // Lines unreadable here and lines refused there come in two orders.
        let mut named: Vec<_> = self.named.iter().collect();
        named.sort();
        for (number, reason) in named {
            writeln!(f, "  line {number}: {reason}")?;
        }
        let more = self.refused - self.named.len() as u64;
        if more > 0 {
            writeln!(f, "  and {more} more")?;
        }
        write!(f, "blank    {}", self.blank)?;
        if let Some((first, last)) = self.under_way {
            write!(
                f,
                "\nunknown  lines {first} to {last}: sent, but the broker did not say what became of them"
            )?;
        }
        Ok(())
    }
}
