//! Rules as a person writes them, one a line: `mask prompt at full_traces in LLM_CALL`.

use std::str::FromStr;

use super::{Action, Rule, Rules};
use crate::fault::{Code, Fault, clip};
use crate::vocab::{EventKind, Level};

impl FromStr for Rules {
    type Err = Fault;

    /// Reads rules, one a line or between semicolons; blank lines and those that begin with `#` say nothing.
    fn from_str(text: &str) -> Result<Rules, Fault> {
        let lines = text.split(['\n', ';']).map(str::trim);
        let rules = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        Rules::new(rules.map(str::parse).collect::<Result<_, _>>()?)
    }
}

impl FromStr for Rule {
    type Err = Fault;

    /// Reads `ACTION PATH [at LEVEL,…] [in EVENT,…]`.
    fn from_str(line: &str) -> Result<Rule, Fault> {
        let bad = |why: &str| {
            let detail = format!(
                "the scrub rule {:?} {why}; write ACTION PATH [at LEVEL,…] [in EVENT,…], such as mask prompt at full_traces in LLM_CALL",
                clip(line)
            );
            Fault::new(Code::InvalidRule, detail)
        };
        let mut words = line.split_whitespace();
        let action = words.next().and_then(Action::of);
        let action = action.ok_or_else(|| bad("begins with none of drop, mask, hash"))?;
        let path = words.next().ok_or_else(|| bad("names no path"))?.parse()?;
        let mut rule = Rule {
            path,
            levels: Vec::new(),
            events: Vec::new(),
            action,
        };
        while let Some(word) = words.next() {
            let list = words
                .next()
                .ok_or_else(|| bad("ends too early"))?
                .split(',');
            match word {
                "at" if rule.levels.is_empty() => {
                    let levels: Option<_> = list.map(Level::of).collect();
                    rule.levels = levels.ok_or_else(|| bad("names an unknown level"))?;
                }
                "in" if rule.events.is_empty() => {
                    let events: Option<_> = list.map(EventKind::of).collect();
                    rule.events = events.ok_or_else(|| bad("names an unknown event"))?;
                }
                _ => return Err(bad("has a word too many")),
            }
        }
        Ok(rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_from_lines() {
        let text = "# what models were asked\n mask prompt at detailed,full_traces in LLM_CALL\n\ndrop **.email; hash user.*";
        let rules: Rules = text.parse().expect("rules");
        let [first, second, third] = rules.rules.as_slice() else {
            panic!("{rules:?}");
        };
        assert_eq!(first.levels, [Level::Detailed, Level::FullTraces]);
        assert_eq!(first.events, [EventKind::LlmCall]);
        assert_eq!((first.action, second.action), (Action::Mask, Action::Drop));
        assert_eq!(third.path.to_string(), "user.*");
        assert!("".parse::<Rules>().is_ok_and(|rules| rules.is_empty()));
    }

    #[test]
    fn what_is_no_rule_is_named() {
        for line in [
            "blur prompt",
            "drop",
            "drop a..b",
            "drop prompt at",
            "drop prompt at secret",
            "drop prompt in LLM",
            "drop prompt at generic at detailed",
            "drop prompt now please",
            "drop attempt_index",
        ] {
            let code = line.parse::<Rules>().map_err(|fault| fault.code);
            assert_eq!(code, Err(Code::InvalidRule), "{line}");
        }
    }
}
