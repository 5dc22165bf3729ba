//! Canonical URLs: the keys of the registry.
//!
//! These are not the rules of browsers: ports stay, hosts are not punycoded, dot segments of absolute URLs stay. They
//! are the rules that every client of the existing service has converged on, and a seal is only equal if all of it is.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use thiserror::Error;
use unicode_normalization::UnicodeNormalization as _;

/// Shortest text that is read as a token without a URL around it.
const BARE_TOKEN_MIN: usize = 16;

/// A string whose authority no URL can have; the existing service fails the whole upload over one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// A `[` without its `]`, or the other way round.
    #[error("the authority of the URL has an unbalanced bracket")]
    Bracket,
    /// What stands in brackets is no address.
    #[error("the bracketed host of the URL is not an IPv6 address")]
    Host,
    /// A character that turns into a delimiter when it is normalised, such as `℀`.
    #[error("the authority of the URL has a character that normalises to a delimiter")]
    Normalises,
}

/// Why an origin cannot be the base of relative references.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not an origin; write a scheme and a host without a path, such as https://example.invalid"
)]
pub struct BaseError(String);

impl BaseError {
    /// A stable token for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "registry_base_invalid"
    }
}

/// The origin that relative references and bare tokens belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    scheme: String,
    authority: String,
}

impl Default for Base {
    /// `https://example.invalid`, the origin of every registry that was not told another one.
    fn default() -> Base {
        Base {
            scheme: "https".to_owned(),
            authority: "example.invalid".to_owned(),
        }
    }
}

impl Base {
    /// Reads an origin: `http` or `https`, and an authority.
    ///
    /// # Errors
    /// [`BaseError`] when there is a path, a query or a fragment, or no authority.
    pub fn new(origin: &str) -> Result<Base, BaseError> {
        let refuse = || BaseError(origin.to_owned());
        let parts = Parts::split(origin).map_err(|_| refuse())?;
        let scheme = parts
            .scheme
            .map(str::to_ascii_lowercase)
            .unwrap_or_default();
        let bare = parts.path.is_empty() && parts.query.is_empty() && parts.fragment.is_empty();
        if !matches!(scheme.as_str(), "http" | "https") || parts.authority.is_empty() || !bare {
            return Err(refuse());
        }
        Ok(Base {
            scheme,
            authority: parts.authority.to_lowercase(),
        })
    }

    /// Returns the origin as text.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}

/// Returns the canonical URL of `text`, or nothing if it is blank.
///
/// # Errors
/// [`Malformed`], if the authority is.
pub fn canonical(text: &str, base: &Base) -> Result<Option<String>, Malformed> {
    let text = trim(text);
    if text.is_empty() {
        return Ok(None);
    }
    if is_bare_token(text) {
        return Ok(Some(format!("{}/stream/p/{text}", base.origin())));
    }
    let text = clean(text);
    let parts = Parts::split(&text)?;
    Ok(Some(parts.canonical(base)))
}

/// Takes white space off both ends, and the four separators U+001C to U+001F that only some call white space.
#[must_use]
pub fn trim(text: &str) -> &str {
    text.trim_matches(|ch: char| ch.is_whitespace() || matches!(ch, '\u{1c}'..='\u{1f}'))
}

/// Tells whether the whole text is a token, `[A-Za-z0-9_-]{16,}`.
#[must_use]
pub fn is_bare_token(text: &str) -> bool {
    text.len() >= BARE_TOKEN_MIN
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Takes off leading controls and spaces, and every tab and line break.
fn clean(text: &str) -> Cow<'_, str> {
    let text = text.trim_start_matches(|ch: char| ch <= ' ');
    if text
        .bytes()
        .any(|byte| matches!(byte, b'\t' | b'\r' | b'\n'))
    {
        return Cow::Owned(text.replace(['\t', '\r', '\n'], ""));
    }
    Cow::Borrowed(text)
}

/// The parts of a URL as they stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'t> {
    /// Before the first colon, if that is a scheme.
    pub scheme: Option<&'t str>,
    /// After `//`; empty if there is none.
    pub authority: &'t str,
    /// Up to the query or the fragment.
    pub path: &'t str,
    /// After the first `?`, without it.
    pub query: &'t str,
    /// After the first `#`, without it.
    pub fragment: &'t str,
}

impl<'t> Parts<'t> {
    /// Splits a URL.
    ///
    /// # Errors
    /// [`Malformed`], if the authority is.
    pub fn split(text: &'t str) -> Result<Parts<'t>, Malformed> {
        let (scheme, rest) = split_scheme(text);
        let (authority, rest) = match rest.strip_prefix("//") {
            Some(after) => {
                let end = after.find(['/', '?', '#']).unwrap_or(after.len());
                after.split_at(end)
            }
            None => ("", rest),
        };
        check_authority(authority)?;
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        Ok(Parts {
            scheme,
            authority,
            path,
            query,
            fragment,
        })
    }

    fn canonical(&self, base: &Base) -> String {
        let own = match self.scheme {
            Some(scheme) if !scheme.eq_ignore_ascii_case(&base.scheme) => true,
            Some(_) => !self.authority.is_empty(),
            None => false,
        };
        let (scheme, authority, path) = if own {
            (
                self.scheme.unwrap_or_default(),
                self.authority,
                Cow::Borrowed(self.path),
            )
        } else if self.authority.is_empty() {
            (
                base.scheme.as_str(),
                base.authority.as_str(),
                resolve(self.path),
            )
        } else {
            (
                base.scheme.as_str(),
                self.authority,
                Cow::Borrowed(self.path),
            )
        };
        let path = short_form(&path).map_or(path, Cow::Owned);
        let mut out = String::with_capacity(self.len() + base.authority.len() + 24);
        push_lower(scheme, &mut out);
        out.push(':');
        // Without an authority these are written with an empty one, and so is a path that would be read as one.
        let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        if !authority.is_empty() || web || path.starts_with("//") {
            out.push_str("//");
            push_lower(authority, &mut out);
            if !path.is_empty() && !path.starts_with('/') {
                out.push('/');
            }
        }
        out.push_str(&path);
        for (mark, part) in [('?', self.query), ('#', self.fragment)] {
            if !part.is_empty() {
                out.push(mark);
                out.push_str(part);
            }
        }
        out
    }

    fn len(&self) -> usize {
        let scheme = self.scheme.map_or(0, str::len);
        scheme + self.authority.len() + self.path.len() + self.query.len() + self.fragment.len()
    }
}

fn push_lower(text: &str, out: &mut String) {
    if text.is_ascii() {
        out.extend(text.chars().map(|ch| ch.to_ascii_lowercase()));
    } else {
        out.push_str(&text.to_lowercase());
    }
}

fn split_scheme(text: &str) -> (Option<&str>, &str) {
    let Some((scheme, rest)) = text.split_once(':') else {
        return (None, text);
    };
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-');
    if scheme.starts_with(|ch: char| ch.is_ascii_alphabetic()) && scheme.bytes().all(known) {
        (Some(scheme), rest)
    } else {
        (None, text)
    }
}

fn check_authority(authority: &str) -> Result<(), Malformed> {
    match (authority.contains('['), authority.contains(']')) {
        (false, false) => {}
        (true, true) => check_bracketed(authority)?,
        _ => return Err(Malformed::Bracket),
    }
    if authority.is_ascii() {
        return Ok(());
    }
    // Delimiters that stand there as such are no surprise: only what normalising adds is.
    let plain: String = authority
        .chars()
        .filter(|ch| !matches!(ch, '@' | ':' | '#' | '?'))
        .collect();
    let normal: String = plain.nfkc().collect();
    if normal != plain && normal.contains(['/', '?', '#', '@', ':']) {
        return Err(Malformed::Normalises);
    }
    Ok(())
}

fn check_bracketed(authority: &str) -> Result<(), Malformed> {
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let Some((before, rest)) = host.split_once('[') else {
        return Err(Malformed::Host);
    };
    let (address, after) = rest.split_once(']').ok_or(Malformed::Host)?;
    if !before.is_empty() || !(after.is_empty() || after.starts_with(':')) {
        return Err(Malformed::Host);
    }
    if let Some(future) = address.strip_prefix('v') {
        let (version, name) = future.split_once('.').ok_or(Malformed::Host)?;
        let hex = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_hexdigit());
        return if hex && !name.is_empty() {
            Ok(())
        } else {
            Err(Malformed::Host)
        };
    }
    let (address, zone) = address
        .split_once('%')
        .map_or((address, None), |(ip, zone)| (ip, Some(zone)));
    let zoned = zone.is_none_or(|zone| !zone.is_empty() && !zone.contains('%'));
    match address.parse::<Ipv6Addr>() {
        Ok(_) if zoned => Ok(()),
        _ => Err(Malformed::Host),
    }
}

/// Resolves a path without an authority against an origin, which has no path of its own.
fn resolve(path: &str) -> Cow<'_, str> {
    if path.is_empty() {
        return Cow::Borrowed("");
    }
    // A relative path starts at the root; it loses its empty segments, but for the last one.
    let rooted = path.starts_with('/');
    let last = path.matches('/').count();
    let segments = path.split('/').enumerate();
    let segments = segments.filter(|(at, segment)| rooted || *at == last || !segment.is_empty());
    let mut kept: Vec<&str> = if rooted { Vec::new() } else { vec![""] };
    let mut ends_in_dots = false;
    for (_, segment) in segments {
        ends_in_dots = matches!(segment, "." | "..");
        match segment {
            "." => {}
            // Above the root there is nothing. The empty segment before the first slash goes like any other, and the
            // next one takes its place.
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    if ends_in_dots {
        kept.push("");
    }
    let joined = kept.join("/");
    Cow::Owned(if joined.starts_with('/') {
        joined
    } else {
        format!("/{joined}")
    })
}

/// Writes `/p~TOKEN` and `/stream/p~TOKEN` as `/stream/p/` and the token, escaped once more.
fn short_form(path: &str) -> Option<String> {
    let token = path
        .strip_prefix("/stream/p~")
        .or_else(|| path.strip_prefix("/p~"))?;
    if token.is_empty() || token.contains('/') {
        return None;
    }
    let mut out = String::with_capacity(token.len() + 16);
    out.push_str("/stream/p/");
    for byte in token.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'~' | b'-') {
            out.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        canonical(text, &Base::default()).unwrap().unwrap()
    }

    #[test]
    fn relative_references_belong_to_the_base() {
        let cases = [
            ("/a/./b/../c", "https://example.invalid/a/c"),
            ("/a//b/", "https://example.invalid/a//b/"),
            ("/../../x", "https://example.invalid/x"),
            ("/a/..", "https://example.invalid/"),
            ("a//b//", "https://example.invalid/a/b/"),
            ("a/../../b", "https://example.invalid/b"),
            ("https:/x/../y", "https://example.invalid/y"),
            ("https:x", "https://example.invalid/x"),
            ("//Peer.Example/a/../b", "https://peer.example/a/../b"),
            ("?p=1", "https://example.invalid?p=1"),
            ("#p=1", "https://example.invalid#p=1"),
        ];
        for (text, expected) in cases {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn absolute_urls_keep_all_but_the_case_of_scheme_and_authority() {
        let cases = [
            ("HTTP://H/A/../b//c?Q=%2f&#", "http://h/A/../b//c?Q=%2f&"),
            ("ftp:Path", "ftp:Path"),
            ("https://[::1]:443/x", "https://[::1]:443/x"),
            ("https://[v1.x]/", "https://[v1.x]/"),
            ("https://h?p=1", "https://h?p=1"),
            (" \u{1}ht\ntps://h/\t", "https://h/"),
        ];
        for (text, expected) in cases {
            assert_eq!(of(text), expected, "{text}");
        }
        assert_eq!(canonical(" \u{1c}", &Base::default()), Ok(None));
    }

    #[test]
    fn a_malformed_authority_is_told() {
        let cases = [
            ("https://[::1/x", Malformed::Bracket),
            ("https://a]/x", Malformed::Bracket),
            ("https://[zz]/x", Malformed::Host),
            ("https://a[::1]/x", Malformed::Host),
            ("https://[::1]x/", Malformed::Host),
            ("https://]a[/", Malformed::Host),
            ("https://a\u{2100}b/", Malformed::Normalises),
            ("//\u{ff1a}80/", Malformed::Normalises),
        ];
        for (text, fault) in cases {
            assert_eq!(canonical(text, &Base::default()), Err(fault), "{text}");
        }
    }

    #[test]
    fn a_base_is_an_origin() {
        assert_eq!(
            Base::new("HTTPS://Host:8443").unwrap().origin(),
            "https://host:8443"
        );
        for bad in [
            "example.invalid",
            "https://",
            "https://h/",
            "ftp://h",
            "https://h?x",
            "https://[h",
        ] {
            assert!(Base::new(bad).is_err(), "{bad}");
        }
    }
}
