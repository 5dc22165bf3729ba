//! Globs over text.

/// A pattern in which `*` stands for any run of characters, dots included, and `?` for one character.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Glob {
    pattern: Box<str>,
    ignore_case: bool,
    /// Bytes before the first wildcard, and after the last.
    head: usize,
    tail: usize,
}

impl Glob {
    /// Makes a pattern that tells cases apart.
    #[must_use]
    pub fn new(pattern: &str) -> Glob {
        Glob::of(pattern.into(), false)
    }

    /// Makes a pattern that takes ASCII letters of either case for the same.
    #[must_use]
    pub fn ignoring_case(pattern: &str) -> Glob {
        Glob::of(pattern.to_ascii_lowercase().into(), true)
    }

    fn of(pattern: Box<str>, ignore_case: bool) -> Glob {
        let wild = |ch: char| ch == '*' || ch == '?';
        let head = pattern.find(wild).unwrap_or(pattern.len());
        let tail = pattern
            .rfind(wild)
            .map_or(0, |last| pattern.len() - last - 1);
        Glob {
            pattern,
            ignore_case,
            head,
            tail,
        }
    }

    /// Returns the one text that fits, if the pattern has no wildcard; in lower case where cases are alike.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        (!self.pattern.contains(['*', '?'])).then_some(&self.pattern)
    }

    /// Tells whether the whole of `text` fits. Takes at most pattern length × text length steps.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.ends_fit(text.as_bytes()) && self.walk(text)
    }

    /// Compares what stands before the first wildcard and after the last: most texts fit neither.
    fn ends_fit(&self, text: &[u8]) -> bool {
        let pattern = self.pattern.as_bytes();
        let same = |one: &[u8], other: &[u8]| match self.ignore_case {
            true => one.eq_ignore_ascii_case(other),
            false => one == other,
        };
        let Some(room) = text.len().checked_sub(self.tail) else {
            return false;
        };
        room >= self.head
            && same(&pattern[..self.head], &text[..self.head])
            && same(&pattern[pattern.len() - self.tail..], &text[room..])
    }

    fn walk(&self, text: &str) -> bool {
        let (mut pattern, mut rest) = (self.pattern.as_ref(), text);
        // Where to go back to: the pattern after the last star, and the text that the star has not yet taken.
        let mut retry: Option<(&str, &str)> = None;
        loop {
            let fits = match (pattern.chars().next(), rest.chars().next()) {
                (Some('*'), _) => {
                    pattern = &pattern[1..];
                    retry = Some((pattern, rest));
                    continue;
                }
                (None, None) => return true,
                (Some(want), Some(have)) if want == '?' || want == self.fold(have) => {
                    Some((want, have))
                }
                _ => None,
            };
            if let Some((want, have)) = fits {
                pattern = &pattern[want.len_utf8()..];
                rest = &rest[have.len_utf8()..];
                continue;
            }
            let Some((after_star, untaken)) = retry else {
                return false;
            };
            let Some(taken) = untaken.chars().next() else {
                return false;
            };
            pattern = after_star;
            rest = &untaken[taken.len_utf8()..];
            retry = Some((after_star, rest));
        }
    }

    fn fold(&self, ch: char) -> char {
        if self.ignore_case {
            ch.to_ascii_lowercase()
        } else {
            ch
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_texts() {
        let cases = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "any.thing", true),
            ("spiral.*", "spiral.linter", true),
            ("spiral.*", "spiral", false),
            ("*linter*", "spiral.linter.ts", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "☍", true),
            ("??", "☍", false),
            ("*☍?", "x☍y", true),
            ("**a", "bba", true),
            ("A", "a", false),
            ("ab*ba", "aba", false),
            ("ab*ba", "abba", true),
            ("ab?", "ab☍", true),
            ("?b", "☍b", true),
            ("☍*☍", "☍", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(
                Glob::new(pattern).matches(text),
                expected,
                "{pattern:?} on {text:?}"
            );
        }
        assert!(Glob::ignoring_case("HOLD*").matches("Hold.recognition"));
        assert!(Glob::ignoring_case("*Ion").matches("Hold.recognitION"));
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        let pattern = "*a".repeat(100);
        assert!(!Glob::new(&pattern).matches(&format!("{}b", "a".repeat(4000))));
    }
}
