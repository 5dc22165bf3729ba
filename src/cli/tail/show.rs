//! An event as a line for people.

use glint::json::Value;

use crate::cli::http::plain;

const CONTENT_CHARS: usize = 100;
const WORD_CHARS: usize = 40;
/// Where a glint may have something to read, the best first.
const CONTENT_PATHS: [&[&str]; 12] = [
    &["content"],
    &["glint.content"],
    &["glint", "content"],
    &["data", "glint", "content"],
    &["data", "content"],
    &["message"],
    &["toneform"],
    &["glint.toneform"],
    &["glint", "toneform"],
    &["data", "glint", "toneform"],
    &["data", "glint", "context"],
    &["context"],
];

const DIM: &str = "2";
const BOLD: &str = "1";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const BLUE: &str = "34";
const MAGENTA: &str = "35";
const CYAN: &str = "36";

/// Makes lines of events.
pub(super) struct Show {
    has_colour: bool,
}

impl Show {
    pub(super) fn new(has_colour: bool) -> Show {
        Show { has_colour }
    }

    /// The line for an event, if people want to see it.
    pub(super) fn line(&self, name: &str, event: &Value<'_>) -> Option<String> {
        match name {
            "keepalive" => return None,
            "hello" => return Some(self.paint(DIM, "connected")),
            "farewell" => return Some(self.paint(DIM, "the broker says farewell")),
            "gap" => {
                let told = remainder(event, &["event", "cursor", "time"]);
                return Some(self.paint(YELLOW, &format!("gap: events are missing here {told}")));
            }
            "error" => {
                let told = remainder(event, &["event"]);
                return Some(self.paint(YELLOW, &format!("error: {told}")));
            }
            _ => {}
        }
        let text = |key: &str| event.get(key).and_then(Value::as_str);
        let phase = text("phase").unwrap_or("");
        let line = format!(
            "{}  {}  {}  {}  {}",
            self.paint(DIM, &format!("{:13}", clock(text("time").unwrap_or("")))),
            self.paint(BOLD, &format!("{:16}", plain(name, WORD_CHARS))),
            format_args!("{:20}", plain(text("source").unwrap_or("-"), WORD_CHARS)),
            self.paint(
                colour_of(phase),
                &format!("{:10}", plain(phase, WORD_CHARS))
            ),
            content(event.get("data").unwrap_or(&Value::Null)),
        );
        Some(line.trim_end().to_owned())
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if !self.has_colour || colour.is_empty() {
            return text.to_owned();
        }
        format!("\x1b[{colour}m{text}\x1b[0m")
    }
}

/// The time of day of a timestamp, to the millisecond.
fn clock(time: &str) -> String {
    let of_day = time.split_once('T').map_or(time, |(_, of_day)| of_day);
    let zone = if of_day.ends_with('Z') { "Z" } else { "" };
    let shown: String = of_day.trim_end_matches('Z').chars().take(12).collect();
    plain(&format!("{shown}{zone}"), 13)
}

fn colour_of(phase: &str) -> &'static str {
    match phase {
        "inhale" => CYAN,
        "hold" => BLUE,
        "exhale" => GREEN,
        "return" => YELLOW,
        "night_hold" => MAGENTA,
        _ => "",
    }
}

/// Something to read from the data of an event.
fn content(data: &Value<'_>) -> String {
    let found = CONTENT_PATHS
        .iter()
        .filter_map(|path| data.at(path)?.as_str())
        .find(|text| !text.trim().is_empty());
    match found {
        Some(text) => plain(text.trim(), CONTENT_CHARS),
        None => remainder(data, &["event", "timestamp"]),
    }
}

/// The members of an object but for `known` ones, in short.
fn remainder(value: &Value<'_>, known: &[&str]) -> String {
    let members = value.as_object().unwrap_or_default();
    let rest = members
        .iter()
        .filter(|(key, _)| !known.contains(&key.as_ref()));
    let parts: Vec<String> = rest
        .map(|(key, value)| match value {
            Value::String(text) => format!("{key}={text}"),
            _ => format!("{key}={}", value.to_ascii()),
        })
        .collect();
    plain(&parts.join(" "), CONTENT_CHARS)
}

#[cfg(test)]
mod tests {
    use glint::json::parse;

    use super::*;

    fn line(text: &str) -> String {
        let event = parse(text).unwrap();
        let name = event.get("event").and_then(Value::as_str).unwrap();
        Show::new(false).line(name, &event).unwrap_or_default()
    }

    #[test]
    fn content_is_found_in_every_real_shape() {
        let shapes = [
            r#"{"content":"still"}"#,
            r#"{"glint.content":"still"}"#,
            r#"{"glint":{"content":"still"}}"#,
            r#"{"data":{"glint":{"content":"still"}}}"#,
            r#"{"content":" ","toneform":"still"}"#,
        ];
        for shape in shapes {
            let event = format!(
                r#"{{"event":"glint_emission","cursor":"1-2","time":"2026-11-21T03:56:00.123456Z","source":"a.b","phase":"hold","data":{shape}}}"#
            );
            assert_eq!(
                line(&event),
                "03:56:00.123Z  glint_emission    a.b                   hold        still"
            );
        }
    }

    #[test]
    fn keepalives_are_not_shown_and_gaps_are() {
        assert_eq!(line(r#"{"event":"keepalive"}"#), "");
        assert_eq!(
            line(r#"{"event":"gap","from":"1-2","to":"1-9"}"#),
            "gap: events are missing here from=1-2 to=1-9"
        );
    }

    #[test]
    fn events_without_words_show_their_numbers() {
        let shown = line(r#"{"event":"usage_update","data":{"usage":0.5,"climate":"clear"}}"#);
        assert!(shown.ends_with("usage=0.5 climate=clear"), "{shown}");
    }
}
