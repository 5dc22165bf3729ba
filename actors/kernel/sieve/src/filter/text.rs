//! The text of expressions: a limit before anything is parsed, and errors in our words, and short.

use cel::ParseErrors;
use glint::refusal::Refusal;

use super::{MAX_DEPTH, MAX_WORDS, refusal};

/// Longest part of an error that is shown.
const SHOWN_CHARS: usize = 200;

/// Holds an expression to [`MAX_WORDS`] and [`MAX_DEPTH`] before it is parsed: the parser recurses for each of them.
///
/// A rough count is enough. What stands in quotes is one word, whatever it is.
pub(super) fn limit(text: &str) -> Result<(), Refusal> {
    let (mut words, mut depth) = (0_usize, 0_u16);
    let mut quote = None;
    let (mut in_word, mut escaped) = (false, false);
    for ch in text.chars() {
        if let Some(closing) = quote {
            if ch == closing && !escaped {
                quote = None;
            }
            escaped = ch == '\\' && !escaped;
            continue;
        }
        let is_word = ch.is_alphanumeric() || ch == '_';
        let goes_on = is_word && in_word;
        if !goes_on && !ch.is_whitespace() {
            words += 1;
        }
        in_word = is_word;
        match ch {
            '"' | '\'' => quote = Some(ch),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(refusal("filter_too_large", too_deep()));
        }
        if words > MAX_WORDS {
            let detail = format!(
                "the expression has more than {MAX_WORDS} words and signs; say less at once"
            );
            return Err(refusal("filter_too_large", detail));
        }
    }
    Ok(())
}

fn too_deep() -> String {
    format!("the expression is nested deeper than {MAX_DEPTH} levels")
}

/// Says what is wrong first, and where.
pub(super) fn parse_error(errors: &ParseErrors) -> String {
    let Some(first) = errors.errors.first() else {
        return "the expression cannot be read".into();
    };
    if first.msg.contains("ecursion") {
        return too_deep();
    }
    let message = first.msg.trim_start_matches("Syntax error: ");
    let (line, column) = first.pos;
    let place = match line {
        0 | 1 => format!("column {column}"),
        line => format!("line {line}, column {column}"),
    };
    format!("the expression is no CEL at {place}: {}", cut(message))
}

/// The first line of `text`, cut to what is worth showing.
pub(super) fn cut(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(SHOWN_CHARS).collect()
}
