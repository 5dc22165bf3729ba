//! Parameters as the existing service reads them, and what it says about bad ones.

use std::borrow::Cow;
use std::fmt;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use registry::{form, render, url};

use super::answer::unsealed;

/// More digits than this are not read.
const DIGITS_MAX: usize = 4300;

/// The parameters of a request; of repeated ones the last counts.
pub(super) struct Query<'q>(Vec<(Cow<'q, str>, Cow<'q, str>)>);

impl<'q> Query<'q> {
    pub(super) fn read(query: &'q str) -> Query<'q> {
        let pairs = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (form::field(name), form::field(value))
            });
        Query(pairs.collect())
    }

    pub(super) fn last(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, value)| &**value)
    }
}

/// A whole number as it is echoed, and as it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whole {
    echo: String,
    /// The number; what is too large for the machine is its largest.
    pub(super) value: usize,
}

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.echo)
    }
}

/// Reads parameters and gathers everything that is wrong with them.
pub(super) struct Form<'q> {
    query: Query<'q>,
    /// The entries of the answer, written.
    faults: Vec<String>,
}

impl<'q> Form<'q> {
    pub(super) fn new(query: Query<'q>) -> Form<'q> {
        Form {
            query,
            faults: Vec::new(),
        }
    }

    pub(super) fn query(&self) -> &Query<'q> {
        &self.query
    }

    /// Reads a whole number in a range that includes its ends.
    pub(super) fn whole(
        &mut self,
        name: &str,
        default: &str,
        min: Option<usize>,
        max: Option<usize>,
    ) -> Whole {
        let said = self.query.last(name).map(str::to_owned);
        let text = said.as_deref().unwrap_or(default);
        let (kind, message, context) = match integer(text) {
            Ok((negative, whole)) => match (min, max) {
                (Some(min), _) if negative || whole.value < min => (
                    "greater_than_equal",
                    format!("Input should be greater than or equal to {min}"),
                    format!("{{\"ge\":{min}}}"),
                ),
                (_, Some(max)) if whole.value > max => (
                    "less_than_equal",
                    format!("Input should be less than or equal to {max}"),
                    format!("{{\"le\":{max}}}"),
                ),
                _ => return whole,
            },
            Err(kind) => {
                let message = match kind {
                    "int_parsing_size" => {
                        "Unable to parse input string as an integer, exceeded maximum size"
                    }
                    _ => "Input should be a valid integer, unable to parse string as an integer",
                };
                (kind, message.to_owned(), String::new())
            }
        };
        let text = text.to_owned();
        self.fault(kind, name, &message, &text, &context);
        Whole {
            echo: String::new(),
            value: 0,
        }
    }

    /// Reads a truth value.
    pub(super) fn flag(&mut self, name: &str, default: bool) -> bool {
        let Some(text) = self.query.last(name).map(str::to_owned) else {
            return default;
        };
        match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "t" | "yes" | "y" | "on" => true,
            "0" | "false" | "f" | "no" | "n" | "off" => false,
            _ => {
                let message = "Input should be a valid boolean, unable to interpret input";
                self.fault("bool_parsing", name, message, &text, "");
                default
            }
        }
    }

    /// Reads one of some words, the first by default.
    pub(super) fn word(&mut self, name: &str, words: &[&'static str]) -> &'static str {
        let first = words.first().copied().unwrap_or_default();
        let Some(text) = self.query.last(name).map(str::to_owned) else {
            return first;
        };
        if let Some(word) = words.iter().find(|word| **word == text) {
            return word;
        }
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let expected = quoted.join(" or ");
        let message = format!("Input should be {expected}");
        self.fault(
            "literal_error",
            name,
            &message,
            &text,
            &format!("{{\"expected\":\"{expected}\"}}"),
        );
        first
    }

    fn fault(&mut self, kind: &str, name: &str, message: &str, input: &str, context: &str) {
        let mut fault = format!(
            "{{\"type\":\"{kind}\",\"loc\":[\"query\",\"{name}\"],\"msg\":\"{message}\",\"input\":"
        );
        render::text(input, &mut fault);
        if !context.is_empty() {
            fault.push_str(",\"ctx\":");
            fault.push_str(context);
        }
        fault.push('}');
        self.faults.push(fault);
    }

    /// Returns the answer, if anything is wrong.
    pub(super) fn refusal(&self) -> Option<HttpResponse> {
        if self.faults.is_empty() {
            return None;
        }
        let body = format!("{{\"detail\":[{}]}}", self.faults.join(","));
        Some(unsealed(
            HttpResponse::build(StatusCode::UNPROCESSABLE_ENTITY),
            body,
        ))
    }
}

/// Reads an integer: blanks around, a sign, digits with single `_` between, `.` and noughts. Tells the kind of fault.
fn integer(text: &str) -> Result<(bool, Whole), &'static str> {
    let text = url::trim(text);
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let whole = match rest.split_once('.') {
        Some((whole, noughts))
            if !noughts.is_empty() && noughts.bytes().all(|byte| byte == b'0') =>
        {
            whole
        }
        Some(_) => return Err("int_parsing"),
        None => rest,
    };
    let runs = |run: &str| !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_digit());
    if !whole.split('_').all(runs) {
        return Err("int_parsing");
    }
    let digits = whole.replace('_', "");
    if digits.len() > DIGITS_MAX {
        return Err("int_parsing_size");
    }
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok((
            false,
            Whole {
                echo: "0".to_owned(),
                value: 0,
            },
        ));
    }
    let value = digits.parse().unwrap_or(usize::MAX);
    Ok((
        negative,
        Whole {
            echo: digits.to_owned(),
            value,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_the_existing_service_reads_them() {
        let good = [
            ("1.00", "1"),
            ("007", "7"),
            ("+3", "3"),
            ("1_000", "1000"),
            (" 5 ", "5"),
            ("-0", "0"),
        ];
        for (text, echo) in good {
            assert_eq!(
                integer(text).map(|(_, whole)| whole.to_string()),
                Ok(echo.to_owned()),
                "{text}"
            );
        }
        let large = "12345678901234567890123456";
        assert_eq!(
            integer(large).map(|(_, whole)| (whole.to_string(), whole.value)),
            Ok((large.to_owned(), usize::MAX))
        );
        for text in ["", "1.", ".5", "1e3", "0x10", "1.5", "１", "_1", "1__0"] {
            assert_eq!(integer(text).err(), Some("int_parsing"), "{text}");
        }
        assert_eq!(integer(&"9".repeat(4301)).err(), Some("int_parsing_size"));
    }

    #[test]
    fn faults_come_in_the_order_of_the_parameters() {
        let mut form = Form::new(Query::read("limit=0&offset=x&offset=-1&mode=URLS&flag="));
        form.whole("offset", "0", Some(0), None);
        form.whole("limit", "10", Some(1), Some(200_000));
        form.word("mode", &["urls", "state"]);
        form.flag("flag", true);
        let kinds: Vec<&str> = form
            .faults
            .iter()
            .map(|fault| fault.split('"').nth(3).unwrap())
            .collect();
        assert_eq!(
            kinds,
            [
                "greater_than_equal",
                "greater_than_equal",
                "literal_error",
                "bool_parsing"
            ]
        );
        assert_eq!(
            form.faults[0],
            r#"{"type":"greater_than_equal","loc":["query","offset"],"msg":"Input should be greater than or equal to 0","input":"-1","ctx":{"ge":0}}"#
        );
    }
}
