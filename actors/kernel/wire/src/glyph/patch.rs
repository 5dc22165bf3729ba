//! What changed between two documents, in the operations that every known applier carries out alike.
//!
//! Appliers differ in nearly everything: paths, nulls, escapes, maps as values. So only what they have in common is
//! said: `=`, `+` at the end of a list and `-`, at paths of quoted keys, with plain values. A change that cannot be said
//! like this has no patch, and the document goes out whole.

use glint::json::{Member, Value};

use super::{Form, number};

/// Text that one applier takes for an option even within quotes.
const OPTION_LURE: &str = " @idx=";
/// Text that sends one loose reader to its table code; the escape that disarms it is not known to all.
const TABLE_LURE: &str = "=@tab _";

/// Returns the patch that makes `after` of `before`; `None` where there is none that every applier would take alike.
///
/// Both are objects. Members are visited in the order of their keys, so equal changes have equal patches.
///
/// # Examples
/// ```
/// let parse = |text| glint::json::parse(text).unwrap();
/// let (before, after) = (parse(r#"{"n": 1, "urls": ["a"]}"#), parse(r#"{"n": 2, "urls": ["a", "b"]}"#));
/// let patch = wire::glyph::diff(&before, &after).unwrap();
/// assert_eq!(patch, "@patch\n= [\"n\"] 2\n+ [\"urls\"] \"b\"\n@end");
/// ```
#[must_use]
pub fn diff(before: &Value<'_>, after: &Value<'_>) -> Option<String> {
    let mut patch = Patch {
        path: String::new(),
        out: String::from("@patch\n"),
    };
    patch.object(before.as_object()?, after.as_object()?)?;
    patch.out.push_str("@end");
    Some(patch.out)
}

struct Patch {
    path: String,
    out: String,
}

impl Patch {
    fn object(&mut self, before: &[Member<'_>], after: &[Member<'_>]) -> Option<()> {
        let find =
            |members: &[Member<'_>], key: &str| members.iter().position(|(name, _)| name == key);
        let mut keys: Vec<&str> = before.iter().chain(after).map(|(key, _)| &**key).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let (old, new) = (find(before, key), find(after, key));
            let whole = self.path.len();
            match (old.map(|at| &before[at].1), new.map(|at| &after[at].1)) {
                (Some(old), Some(new)) if old == new => continue,
                (Some(Value::Object(old)), Some(Value::Object(new))) => {
                    self.enter(key)?;
                    self.object(old, new)?;
                }
                (Some(Value::Array(old)), Some(Value::Array(new)))
                    if !old.is_empty() && new.starts_with(old) =>
                {
                    self.enter(key)?;
                    for item in &new[old.len()..] {
                        self.operation('+', Some(item))?;
                    }
                }
                (_, Some(new)) => {
                    self.enter(key)?;
                    self.operation('=', Some(new))?;
                }
                (_, None) => {
                    self.enter(key)?;
                    self.operation('-', None)?;
                }
            }
            self.path.truncate(whole);
        }
        Some(())
    }

    fn enter(&mut self, key: &str) -> Option<()> {
        let is_odd = |ch: char| matches!(ch, '"' | '\\' | ']') || ch.is_control();
        if key.contains(is_odd) || is_lure(key) {
            return None;
        }
        self.path.push_str("[\"");
        self.path.push_str(key);
        self.path.push_str("\"]");
        Some(())
    }

    fn operation(&mut self, sign: char, value: Option<&Value<'_>>) -> Option<()> {
        self.out.push(sign);
        self.out.push(' ');
        self.out.push_str(&self.path);
        if let Some(value) = value {
            self.out.push(' ');
            push_value(value, false, &mut self.out)?;
        }
        self.out.push('\n');
        Some(())
    }
}

fn is_lure(text: &str) -> bool {
    text.contains(OPTION_LURE) || text.contains(TABLE_LURE)
}

/// Appends a value, if all appliers read it alike.
fn push_value(value: &Value<'_>, in_list: bool, out: &mut String) -> Option<()> {
    match value {
        Value::Null | Value::Bool(_) => super::write(value, Form::Profile, out).ok()?,
        Value::Number(lexeme) => number::push(lexeme, out).ok()?,
        Value::String(text) => push_string(text, in_list, out)?,
        Value::Array(items) if !in_list => {
            out.push('[');
            for (nth, item) in items.iter().enumerate() {
                if nth > 0 {
                    out.push(' ');
                }
                push_value(item, true, out)?;
            }
            out.push(']');
        }
        Value::Array(_) | Value::Object(_) => return None,
    }
    Some(())
}

/// Appends a string, which here always stands in quotes.
fn push_string(text: &str, in_list: bool, out: &mut String) -> Option<()> {
    if is_lure(text) {
        return None;
    }
    out.push('"');
    for ch in text.chars() {
        match ch {
            '"' | '\\' if in_list => return None,
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ch if ch < ' ' => return None,
            ch => out.push(ch),
        }
    }
    out.push('"');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(before: &str, after: &str) -> Option<String> {
        let parse = |text| glint::json::parse(text).expect("JSON");
        diff(&parse(before), &parse(after))
    }

    fn operations(before: &str, after: &str) -> String {
        let patch = patch(before, after).expect("a patch");
        let lines = patch
            .strip_prefix("@patch\n")
            .and_then(|rest| rest.strip_suffix("@end"));
        lines.expect("a head and an end").to_owned()
    }

    #[test]
    fn changes_are_said_in_the_order_of_their_keys() {
        let before = r#"{"z": 1, "gone": [1], "deep": {"x": null, "y": "s"}, "same": {}}"#;
        let after =
            r#"{"new": [t, 1.50], "z": "a\"b\n", "deep": {"x": true, "y": "s"}, "same": {}}"#;
        let after = after.replace("[t,", "[false,");
        assert_eq!(
            operations(before, &after),
            "= [\"deep\"][\"x\"] t\n- [\"gone\"]\n= [\"new\"] [f 1.5]\n= [\"z\"] \"a\\\"b\\n\"\n"
        );
        assert_eq!(operations(before, before), "");
        assert_eq!(operations(r#"{"a": 1}"#, r#"{"a": null}"#), "= [\"a\"] ∅\n");
    }

    #[test]
    fn a_list_that_grew_is_appended_to_unless_it_was_empty() {
        assert_eq!(
            operations(r#"{"l": [1]}"#, r#"{"l": [1, "two", 3]}"#),
            "+ [\"l\"] \"two\"\n+ [\"l\"] 3\n"
        );
        assert_eq!(
            operations(r#"{"l": []}"#, r#"{"l": [1]}"#),
            "= [\"l\"] [1]\n"
        );
        assert_eq!(
            operations(r#"{"l": [1, 2]}"#, r#"{"l": [2]}"#),
            "= [\"l\"] [2]\n"
        );
    }

    #[test]
    fn what_appliers_read_differently_has_no_patch() {
        for (before, after) in [
            ("{}", r#"{"a": {}}"#),
            ("{}", r#"{"a": [[1]]}"#),
            ("{}", r#"{"a": ["\""]}"#),
            ("{}", r#"{"a": "\u0001"}"#),
            ("{}", r#"{"a": "x @idx=1"}"#),
            ("{}", r#"{"a": "=@tab _"}"#),
            ("{}", r#"{"a]": 1}"#),
            (r#"{"a\"": 1}"#, "{}"),
            (r#"{"a": [1]}"#, r#"{"a": [1, {}]}"#),
            ("[]", "[]"),
        ] {
            assert_eq!(patch(before, after), None, "{before} {after}");
        }
    }
}
