//! What a decoder keeps between two chunks, and the bound on it.

/// Most memory a decoder keeps for the next frame once a frame is done.
const RETAIN_BYTES: usize = 64 * 1024;

/// Holds the unfinished part of a frame and counts the stream.
///
/// A header or payload that lies whole within one chunk never comes here: it is borrowed from the chunk.
#[derive(Debug, Default)]
pub(super) struct Carry {
    held: Vec<u8>,
    /// Whether `held` was lent out as part of a frame and may be forgotten.
    is_spent: bool,
    /// Offset of the next byte to come, from the start of the stream.
    at: u64,
}

/// Names bytes of the stream and where they start in it.
pub(super) struct Piece<'d> {
    pub(super) bytes: &'d [u8],
    pub(super) at: u64,
}

impl Carry {
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn held(&self) -> &[u8] {
        if self.is_spent { &[] } else { &self.held }
    }

    /// Forgets what was lent out; comes first in every call that may hold something.
    pub(super) fn renew(&mut self) {
        if self.is_spent {
            self.forget();
        }
    }

    /// Forgets what is held.
    pub(super) fn forget(&mut self) {
        self.is_spent = false;
        self.held.clear();
        // One large frame must not keep its memory for as long as the connection lives.
        self.held.shrink_to(RETAIN_BYTES);
    }

    /// Takes the first `count` bytes off `input` and counts them.
    pub(super) fn take<'i>(&mut self, count: usize, input: &mut &'i [u8]) -> &'i [u8] {
        let (taken, rest) = input.split_at(count.min(input.len()));
        *input = rest;
        self.at += taken.len() as u64;
        taken
    }

    /// Moves up to `count` bytes of `input` behind what is held.
    pub(super) fn hold(&mut self, count: usize, input: &mut &[u8]) {
        let taken = self.take(count, input);
        self.held.extend_from_slice(taken);
    }

    /// Returns the next `len` bytes of the stream, or none after holding all of a shorter `input`.
    pub(super) fn exactly<'d, 'i: 'd>(
        &'d mut self,
        len: usize,
        input: &mut &'i [u8],
    ) -> Option<Piece<'d>> {
        if self.held.is_empty() && input.len() >= len {
            let at = self.at;
            let bytes = self.take(len, input);
            return Some(Piece { bytes, at });
        }
        let missing = len.saturating_sub(self.held.len());
        self.reserve(missing.min(input.len()), len);
        self.hold(missing, input);
        if self.held.len() < len {
            return None;
        }
        self.is_spent = true;
        Some(Piece {
            bytes: &self.held,
            at: self.at - len as u64,
        })
    }

    /// Makes room for `more` bytes, doubling, but never for more than `len` in all: what a header announces is not
    /// reserved until it has come, and what has come is not copied again for every chunk.
    fn reserve(&mut self, more: usize, len: usize) {
        let needed = self.held.len() + more;
        if needed <= self.held.capacity() {
            return;
        }
        let target = needed.max(self.held.capacity() * 2).min(len);
        self.held
            .reserve_exact(target.saturating_sub(self.held.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEBIBYTE: usize = 1024 * 1024;

    #[test]
    fn reserves_what_has_come_and_not_what_was_announced() {
        let mut carry = Carry::default();
        assert!(carry.exactly(64 * MEBIBYTE, &mut &[0; 100][..]).is_none());
        assert!(carry.held.capacity() <= 200, "{}", carry.held.capacity());
    }

    #[test]
    fn never_reserves_more_than_the_frame_and_copies_it_a_few_times_only() {
        let mut carry = Carry::default();
        let chunk = vec![0; 1000];
        let mut growths = 0;
        let mut capacity = 0;
        for _ in 0..MEBIBYTE / chunk.len() {
            assert!(carry.exactly(MEBIBYTE, &mut chunk.as_slice()).is_none());
            growths += usize::from(carry.held.capacity() != capacity);
            capacity = carry.held.capacity();
            assert!(capacity <= MEBIBYTE);
        }
        // One reservation, ten doublings to 1,024,000 bytes, and the rest.
        assert!(growths <= 12, "{growths} growths");
    }

    #[test]
    fn gives_back_the_memory_of_a_large_frame() {
        let mut carry = Carry::default();
        let large = vec![0; MEBIBYTE];
        let (head, tail) = large.split_at(1);
        assert!(carry.exactly(MEBIBYTE, &mut &head[..]).is_none());
        assert!(carry.exactly(MEBIBYTE, &mut &tail[..]).is_some());
        carry.renew();
        assert!(carry.held().is_empty());
        assert!(carry.held.capacity() <= RETAIN_BYTES);
    }
}
