//! Percent escapes and forms, as the existing service reads them.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Decodes percent escapes; what is no escape stays, what is not UTF-8 becomes U+FFFD.
#[must_use]
pub fn unescape(text: &str) -> Cow<'_, str> {
    if memchr_percent(text) {
        percent_decode_str(text).decode_utf8_lossy()
    } else {
        Cow::Borrowed(text)
    }
}

fn memchr_percent(text: &str) -> bool {
    text.as_bytes().contains(&b'%')
}

/// Iterates over the pairs of a form: split at `&` alone, without those that have no `=` or no value.
pub fn pairs(form: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form.split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (!value.is_empty()).then(|| (field(key), field(value)))
    })
}

/// Decodes a key or a value: plus signs are spaces, then escapes.
#[must_use]
pub fn field(text: &str) -> Cow<'_, str> {
    if !text.contains('+') {
        return unescape(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(match unescape(&spaced) {
        Cow::Borrowed(_) => spaced,
        Cow::Owned(decoded) => decoded,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_split_at_ampersands_alone() {
        let read: Vec<(String, String)> = pairs("a=1;b=2&c&d=&%61=x+%2B%zz&e=%ff")
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        let expected = [("a", "1;b=2"), ("a", "x +%zz"), ("e", "\u{fffd}")];
        assert_eq!(
            read,
            expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
    }
}
