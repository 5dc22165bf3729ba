//! The part of a breath that an angle falls into.

/// Parts of one cycle, one after the other, by length.
#[derive(Debug, Clone, PartialEq)]
pub struct Arcs {
    names: Vec<&'static str>,
    /// Where each ends, in turns; the last at 1.
    ends: Vec<f64>,
}

impl Arcs {
    /// Makes parts in the ratio of `lengths`, of which none is negative and not all are zero.
    #[must_use]
    pub fn new(parts: &[(&'static str, f64)]) -> Arcs {
        let whole: f64 = parts.iter().map(|(_, length)| length).sum();
        let mut end = 0.0;
        let ends = parts.iter().map(|(_, length)| {
            end += length;
            end / whole
        });
        Arcs {
            ends: ends.collect(),
            names: parts.iter().map(|(name, _)| *name).collect(),
        }
    }

    /// Returns the name of the part at `turns` (from 0 up to 1): the first that ends after it.
    #[must_use]
    pub fn at(&self, turns: f64) -> &'static str {
        let place = self.ends.iter().position(|end| turns < *end);
        place
            .and_then(|place| self.names.get(place))
            .or(self.names.last())
            .copied()
            .unwrap_or("")
    }
}
