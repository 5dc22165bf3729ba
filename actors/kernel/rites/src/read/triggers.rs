//! `on = { … }`: exactly one of the triggers.

use std::str::FromStr;

use sieve::{Glob, MAX_PATTERN_BYTES, MAX_PATTERNS};

use super::Problem;
use super::section::Section;
use crate::rule::{Crossing, Trigger};

const KINDS: [&str; 6] = ["glint", "phase", "climate", "usage", "seal", "schedule"];
/// How far usage falls below a bound before it can cross it again, when nothing is said.
const RELEASE_BAND: f64 = 0.05;
/// The longest distance of a schedule in seconds: a week.
const MAX_EVERY_SECONDS: f64 = 604_800.0;

pub(super) fn read(rule: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Trigger> {
    let Some((table, span)) = rule.table("on", problems) else {
        if !rule.has("on") {
            let reason = format!(
                "a rule needs on = {{ … }} with one of: {}",
                KINDS.join(", ")
            );
            rule.blame("on", reason, problems);
        }
        return None;
    };
    let on = Section::new("on", table, span, rule.lines);
    let given: Vec<&str> = KINDS.into_iter().filter(|kind| on.has(kind)).collect();
    let [kind] = given[..] else {
        let reason = format!(
            "on has {} triggers; give exactly one of: {}",
            given.len(),
            KINDS.join(", ")
        );
        rule.blame("on", reason, problems);
        on.tables("glint", &mut Vec::new());
        return None;
    };
    let (table, span) = on.table(kind, problems)?;
    on.finish(problems);
    let of = Section::new(kind, table, span, rule.lines);
    let trigger = match kind {
        "glint" => Some(Trigger::Glint {
            modules: globs(&of, "module", Glob::new, problems),
            phases: globs(&of, "phase", Glob::ignoring_case, problems),
        }),
        "phase" => phase(&of, problems),
        "climate" => word(&of, "becomes", problems).map(Trigger::ClimateBecomes),
        "usage" => usage(&of, problems).map(Trigger::Usage),
        "seal" => Some(Trigger::SealChanged),
        _ => schedule(&of, problems),
    };
    of.finish(problems);
    trigger
}

fn globs(
    of: &Section<'_>,
    key: &str,
    make: fn(&str) -> Glob,
    problems: &mut Vec<Problem>,
) -> Vec<Glob> {
    let texts = of.texts(key, problems);
    let patterns: Vec<&str> = texts
        .iter()
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|pattern| !pattern.is_empty())
        .collect();
    if patterns.len() > MAX_PATTERNS || patterns.iter().any(|one| one.len() > MAX_PATTERN_BYTES) {
        let reason =
            format!("{key} takes up to {MAX_PATTERNS} globs of up to {MAX_PATTERN_BYTES} bytes");
        of.blame(key, reason, problems);
    }
    patterns.into_iter().map(make).collect()
}

fn phase(of: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Trigger> {
    match (of.has("enters"), of.has("leaves")) {
        (true, false) => word(of, "enters", problems).map(Trigger::PhaseEnters),
        (false, true) => word(of, "leaves", problems).map(Trigger::PhaseLeaves),
        _ => {
            let reason = "phase takes either enters or leaves, with a phase or \"*\"".to_owned();
            of.blame("phase", reason, problems);
            None
        }
    }
}

/// A word of a closed list, or `*` for any of it.
fn word<T: FromStr>(of: &Section<'_>, key: &str, problems: &mut Vec<Problem>) -> Option<Option<T>>
where
    T::Err: std::fmt::Display,
{
    let text = of.needed(key, problems)?;
    if text == "*" {
        return Some(None);
    }
    match text.parse() {
        Ok(word) => Some(Some(word)),
        Err(err) => {
            of.blame(key, format!("{key}: {err}, or \"*\""), problems);
            None
        }
    }
}

fn usage(of: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Crossing> {
    let share = |key: &str, problems: &mut Vec<Problem>| of.number(key, 0.0..=1.0, problems);
    let given = [of.has("above"), of.has("below"), of.has("crosses")];
    let crossing = match given {
        [true, false, false] => {
            let bound = share("above", problems)?;
            let release = share("release", problems).unwrap_or((bound - RELEASE_BAND).max(0.0));
            Crossing::Above { bound, release }
        }
        [false, true, false] => {
            let bound = share("below", problems)?;
            let release = share("release", problems).unwrap_or((bound + RELEASE_BAND).min(1.0));
            Crossing::Below { bound, release }
        }
        [false, false, true] => Crossing::Either {
            bound: share("crosses", problems)?,
        },
        _ => {
            let reason = "usage takes one of above, below and crosses, from 0 to 1".to_owned();
            of.blame("usage", reason, problems);
            return None;
        }
    };
    let wrong = match crossing {
        Crossing::Above { bound, release } => release > bound,
        Crossing::Below { bound, release } => release < bound,
        Crossing::Either { .. } => false,
    };
    if wrong {
        let reason =
            "release stands on the far side of the bound: at or under above, at or over below"
                .to_owned();
        of.blame("release", reason, problems);
        return None;
    }
    Some(crossing)
}

fn schedule(of: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Trigger> {
    let phase = match of.has("phase") {
        true => word(of, "phase", problems)?,
        false => None,
    };
    if !of.has("every_seconds") {
        let reason = "schedule needs every_seconds".to_owned();
        of.blame("every_seconds", reason, problems);
        return None;
    }
    let every = of.number("every_seconds", 1.0..=MAX_EVERY_SECONDS, problems)?;
    Some(Trigger::Schedule {
        every_micros: (every * 1e6) as i64,
        phase,
    })
}
