//! `[[rule.action]]`: what is done.

use glint::Climate;

use super::Problem;
use super::section::Section;
use crate::rule::{Action, Emit};
use crate::template;

const KINDS: &str = "emit, webhook, command, throttle, set, archive";
/// Longest throttle in seconds: a day.
const MAX_THROTTLE_SECONDS: u64 = 86_400;
/// Longest time for which streams gather in quiet mode, in milliseconds.
const MAX_QUIET_MS: u64 = 1000;
/// Most events of an archive.
const MAX_ARCHIVE_EVENTS: u64 = 1_000_000;

pub(super) fn read(of: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Action> {
    let kind = of.needed("do", problems)?;
    let action = match kind.as_str() {
        "emit" => emit(of, problems),
        "webhook" => webhook(of, problems),
        "command" => command(of, problems),
        "throttle" => throttle(of, problems),
        "set" => set(of, problems),
        "archive" => Some(Action::Archive {
            last: of
                .count("last", 1..=MAX_ARCHIVE_EVENTS, problems)
                .unwrap_or(1000),
        }),
        _ => {
            of.blame("do", format!("do = {kind:?} is none of: {KINDS}"), problems);
            return None;
        }
    };
    of.finish(problems);
    action
}

fn emit(of: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Action> {
    let mut text = |key: &str| template(of, key, problems);
    let (source, phase, toneform) = (text("source"), text("phase"), text("toneform"));
    let content = template(of, "content", problems);
    if content.is_none() {
        of.blame("content", "emit needs a content".to_owned(), problems);
    }
    Some(Action::Emit(Emit {
        source: source.unwrap_or_else(|| "ritual.{rule}".to_owned()).into(),
        content: content?.into(),
        phase: phase.map(Into::into),
        toneform: toneform.map(Into::into),
    }))
}

/// A text whose names in braces are all known.
fn template(of: &Section<'_>, key: &str, problems: &mut Vec<Problem>) -> Option<String> {
    let text = of.text(key, problems)?;
    known(of, key, &text, problems);
    Some(text)
}

fn known(of: &Section<'_>, key: &str, text: &str, problems: &mut Vec<Problem>) {
    if let Some(name) = template::unknown(text) {
        let reason = format!(
            "{key}: {{{name}}} is not known; one of: {}",
            template::NAMES.join(", ")
        );
        of.blame(key, reason, problems);
    }
}

fn webhook(of: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Action> {
    let url = of.needed("url", problems)?;
    let host = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let host = host.and_then(|rest| rest.split(['/', '?', '#']).next());
    let good = host.is_some_and(|host| !host.is_empty() && !host.contains('@')) && url.is_ascii();
    if !good || url.contains(|ch: char| ch.is_whitespace()) {
        let reason =
            "url begins with https:// or http:// and a host, without a name and password before it";
        of.blame("url", reason.to_owned(), problems);
        return None;
    }
    Some(Action::Webhook { url: url.into() })
}

fn command(of: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Action> {
    let program = of.needed("program", problems)?;
    let args = of.texts("args", problems);
    for arg in &args {
        known(of, "args", arg, problems);
    }
    let is_file_name = !program.is_empty() && !program.contains(['/', '\\', '\0']);
    if !is_file_name || program.starts_with('.') {
        let reason =
            "program is a file name within rituals.commands_dir, without a path".to_owned();
        of.blame("program", reason, problems);
        return None;
    }
    Some(Action::Command {
        program: program.into(),
        args: args.into_iter().map(Into::into).collect(),
    })
}

fn throttle(of: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Action> {
    let module = of
        .text("module", problems)
        .unwrap_or_else(|| "*".to_owned());
    Some(Action::Throttle {
        module: module.into(),
        seconds: of
            .count("seconds", 1..=MAX_THROTTLE_SECONDS, problems)
            .unwrap_or(60),
    })
}

fn set(of: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Action> {
    let climate = of.text("climate", problems).and_then(|word| {
        let parsed = word.parse::<Climate>();
        parsed
            .map_err(|err| of.blame("climate", err.to_string(), problems))
            .ok()
    });
    let caesura = template(of, "caesura", problems);
    let quiet_ms = of.count("quiet_ms", 0..=MAX_QUIET_MS, problems);
    if !of.has("climate") && !of.has("caesura") && !of.has("quiet_ms") {
        of.blame(
            "do",
            "set needs a climate, a caesura or a quiet_ms".to_owned(),
            problems,
        );
        return None;
    }
    Some(Action::Set {
        climate,
        caesura: caesura.map(Into::into),
        quiet_ms,
    })
}
