//! Canonical URLs, forms and chains, character by character.

const ORIGIN: &str = "https://example.invalid";

pub(super) fn is_space(ch: char) -> bool {
    ch.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&ch)
}

pub(super) fn strip(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let first = chars
        .iter()
        .position(|ch| !is_space(*ch))
        .unwrap_or(chars.len());
    let last = chars
        .iter()
        .rposition(|ch| !is_space(*ch))
        .map_or(first, |at| at + 1);
    chars[first..last].iter().collect()
}

pub(super) fn is_token(text: &str) -> bool {
    text.chars().count() >= 16
        && text
            .chars()
            .all(|ch| ch.is_ascii_alphanumeric() || ch == '-' || ch == '_')
}

/// Nothing for blank texts. The model is not given malformed authorities: it does not know them.
pub(super) fn canonical(text: &str) -> Option<String> {
    let text = strip(text);
    if text.is_empty() {
        return None;
    }
    if is_token(&text) {
        return Some(format!("{ORIGIN}/stream/p/{text}"));
    }
    let text: String = text.chars().filter(|ch| !"\t\r\n".contains(*ch)).collect();
    let text: String = text.chars().skip_while(|ch| (*ch as u32) <= 0x20).collect();
    let mut split = split(&text);
    let scheme = split.scheme.to_lowercase();
    if scheme.is_empty() || (scheme == "https" && split.authority.is_empty()) {
        split.scheme = "https".to_owned();
        if split.authority.is_empty() {
            split.authority = "example.invalid".to_owned();
            split.path = resolve(&split.path);
        }
    }
    for prefix in ["/p~", "/stream/p~"] {
        let token = split
            .path
            .strip_prefix(prefix)
            .unwrap_or_default()
            .to_owned();
        if !token.is_empty() && !token.contains('/') {
            let mut path = "/stream/p/".to_owned();
            for byte in token.bytes() {
                let ch = byte as char;
                if byte < 128 && (ch.is_alphanumeric() || "_.-~".contains(ch)) {
                    path.push(ch);
                } else {
                    path += &format!("%{byte:02X}");
                }
            }
            split.path = path;
            break;
        }
    }
    let mut out = format!("{}:", split.scheme.to_lowercase());
    let web = ["http:", "https:"].contains(&out.as_str());
    if !split.authority.is_empty() {
        out += &format!("//{}", split.authority.to_lowercase());
        if !split.path.is_empty() && !split.path.starts_with('/') {
            out.push('/');
        }
    } else if web {
        out += if split.path.is_empty() || split.path.starts_with('/') {
            "//"
        } else {
            "///"
        };
    } else if split.path.starts_with("//") {
        out += "//";
    }
    out += &split.path;
    if !split.query.is_empty() {
        out += &format!("?{}", split.query);
    }
    if !split.fragment.is_empty() {
        out += &format!("#{}", split.fragment);
    }
    Some(out)
}

#[derive(Debug, Default)]
pub(super) struct Split {
    pub(super) scheme: String,
    pub(super) authority: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) fragment: String,
}

/// Splits character by character.
pub(super) fn split(text: &str) -> Split {
    let chars: Vec<char> = text.chars().collect();
    let mut out = Split::default();
    let mut at = 0;
    if let Some(colon) = chars.iter().position(|ch| *ch == ':') {
        let scheme = &chars[..colon];
        let fits = |ch: &char| ch.is_ascii_alphanumeric() || "+.-".contains(*ch);
        if !scheme.is_empty() && scheme[0].is_ascii_alphabetic() && scheme.iter().all(fits) {
            out.scheme = scheme.iter().collect();
            at = colon + 1;
        }
    }
    if chars[at..].starts_with(&['/', '/']) {
        at += 2;
        while at < chars.len() && !"/?#".contains(chars[at]) {
            out.authority.push(chars[at]);
            at += 1;
        }
    }
    while at < chars.len() && !"?#".contains(chars[at]) {
        out.path.push(chars[at]);
        at += 1;
    }
    if at < chars.len() && chars[at] == '?' {
        at += 1;
        while at < chars.len() && chars[at] != '#' {
            out.query.push(chars[at]);
            at += 1;
        }
    }
    if at < chars.len() {
        out.fragment = chars[at + 1..].iter().collect();
    }
    out
}

pub(super) fn resolve(path: &str) -> String {
    if path.is_empty() {
        return String::new();
    }
    let mut segments: Vec<String> = path.split('/').map(str::to_owned).collect();
    if !path.starts_with('/') {
        segments.insert(0, String::new());
    }
    let count = segments.len();
    let mut out: Vec<String> = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        let interior = at > 0 && at + 1 < count;
        if !path.starts_with('/') && interior && segment.is_empty() {
            continue;
        }
        match segment.as_str() {
            ".." => drop(out.pop()),
            "." => {}
            _ => out.push(segment.clone()),
        }
    }
    if [".", ".."].contains(&segments[count - 1].as_str()) {
        out.push(String::new());
    }
    let joined = out.join("/");
    if joined.starts_with('/') {
        joined
    } else {
        format!("/{joined}")
    }
}

pub(super) fn unquote(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|hex| std::str::from_utf8(hex).ok());
        let hex = hex.filter(|hex| hex.chars().all(|ch| ch.is_ascii_hexdigit()));
        if bytes[at] == b'%'
            && let Some(hex) = hex
        {
            out.push(u8::from_str_radix(hex, 16).unwrap());
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

pub(super) fn form(text: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for pair in text.split('&') {
        let Some(at) = pair.find('=') else { continue };
        if at + 1 < pair.len() {
            out.push((
                unquote(&pair[..at].replace('+', " ")),
                unquote(&pair[at + 1..].replace('+', " ")),
            ));
        }
    }
    out
}

pub(super) fn forms(key: &str) -> [Vec<(String, String)>; 2] {
    let split = split(key);
    let fragment = split
        .fragment
        .strip_prefix('#')
        .unwrap_or(&split.fragment)
        .to_owned();
    [form(&split.query), form(&fragment)]
}

pub(super) fn chain(key: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for (name, value) in forms(key).concat() {
        let member = strip(&unquote(&value));
        if name == "add"
            && let Some(url) = canonical(&member)
            && !out.contains(&url)
        {
            out.push(url);
        }
    }
    let over = out.len().saturating_sub(512);
    out.split_off(over)
}
