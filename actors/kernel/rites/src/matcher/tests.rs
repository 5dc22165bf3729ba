use super::*;
use crate::rehearse::Rehearsal;

const SECOND: i64 = 1_000_000;

fn rules(text: &str) -> Rules {
    crate::read(text).unwrap_or_else(|err| panic!("{err}"))
}

fn rule(on: &str, more: &str) -> Rules {
    rules(&format!(
        "[[rule]]\nname = \"r\"\non = {on}\n{more}\n[[rule.action]]\ndo = \"emit\"\ncontent = \"c\"\n"
    ))
}

fn event(seq: u64, name: Name, source: Option<&str>, phase: Option<&str>, text: &str) -> Event {
    Event {
        name,
        offset: Offset { epoch: 1, seq },
        topic_seq: seq,
        stamp: Stamp(seq as i64 * SECOND),
        id: Some("g".into()),
        repeats_id: false,
        source: source.map(Into::into),
        phase: phase.map(Into::into),
        text: text.into(),
    }
}

fn glint(seq: u64, source: &str, phase: &str, text: &str) -> Event {
    event(seq, Name::GlintEmission, Some(source), Some(phase), text)
}

fn change(seq: u64, name: Name, phase: &str, climate: &str, usage: f64) -> Event {
    let text = format!(
        r#"{{"phase": "{phase}", "progress": 0.5, "climate": "{climate}", "usage": {usage}}}"#
    );
    event(seq, name, None, Some(phase), &text)
}

/// The triggers that a sequence of events fires.
fn fired(rules: Rules, events: &[Event]) -> Vec<String> {
    let mut matcher = Matcher::new(rules, CHAIN_MAX);
    let firings = events.iter().flat_map(|event| matcher.event(event).firings);
    firings
        .map(|firing| {
            format!(
                "{}@{}",
                firing.trigger,
                firing.offset.map_or(0, |offset| offset.seq)
            )
        })
        .collect()
}

#[test]
fn phases_and_climates_fire_once_a_change_and_not_when_first_seen() {
    let phase = |seq, phase| change(seq, Name::PhaseUpdate, phase, "clear", 0.0);
    // A restarted broker says again which phase it is: nothing changed.
    let events = [
        phase(1, "inhale"),
        phase(2, "hold"),
        phase(3, "hold"),
        phase(4, "return"),
        phase(5, "hold"),
    ];
    let entered = fired(rule(r#"{ phase = { enters = "hold" } }"#, ""), &events);
    assert_eq!(
        entered,
        ["phase_transition_hold@2", "phase_transition_hold@5"]
    );
    let left = fired(rule(r#"{ phase = { leaves = "hold" } }"#, ""), &events);
    assert_eq!(left, ["phase_leave_hold@4"]);
    let any = fired(rule(r#"{ phase = { enters = "*" } }"#, ""), &events);
    assert_eq!(any.len(), 3);
    let climate = |seq, climate| change(seq, Name::ClimateUpdate, "hold", climate, 0.0);
    let events = [
        climate(1, "clear"),
        climate(2, "suspicious"),
        climate(3, "clear"),
    ];
    let fired = fired(
        rule(r#"{ climate = { becomes = "suspicious" } }"#, ""),
        &events,
    );
    assert_eq!(fired, ["climate_change_suspicious@2"]);
}

#[test]
fn usage_crosses_a_bound_once_however_it_wavers() {
    let usages = [0.5, 0.8, 0.81, 0.79, 0.82, 0.75, 0.9, 0.1];
    let events: Vec<Event> = (1..)
        .zip(usages)
        .map(|(seq, usage)| change(seq, Name::UsageUpdate, "hold", "clear", usage))
        .collect();
    let above = rule("{ usage = { above = 0.8, release = 0.75 } }", "");
    assert_eq!(
        fired(above, &events),
        ["usage_threshold_0.8@3", "usage_threshold_0.8@7"]
    );
    let below = rule("{ usage = { below = 0.3 } }", "");
    assert_eq!(fired(below, &events), ["usage_threshold_0.3@8"]);
    let either = rule("{ usage = { crosses = 0.8 } }", "");
    let seqs = fired(either, &events);
    let at: Vec<&str> = seqs.iter().map(|one| &one[one.len() - 2..]).collect();
    assert_eq!(at, ["@2", "@4", "@5", "@6", "@7", "@8"]);
}

#[test]
fn glints_fire_by_module_phase_and_filter() {
    let text = r#"{"content": "first light"}"#;
    let events = [
        glint(10, "spiral.linter", "Hold", text),
        glint(20, "spiral.linter", "inhale", text),
        glint(30, "agent", "hold", text),
        glint(40, "spiral.x", "hold", "{}"),
    ];
    let by_words = rule(r#"{ glint = { module = "spiral.*", phase = "hold" } }"#, "");
    assert_eq!(
        fired(by_words, &events),
        ["glint_emission@10", "glint_emission@40"]
    );
    let by_filter = rule(
        "{ glint = {} }",
        r#"filter = 'glint.content.contains("light") && glint.module == "agent"'"#,
    );
    assert_eq!(fired(by_filter, &events), ["glint_emission@30"]);
    let by_state = rule(
        "{ glint = {} }",
        r#"filter = 'state.climate == "suspicious"'"#,
    );
    let mut later = events.to_vec();
    later.insert(
        2,
        change(25, Name::ClimateUpdate, "hold", "suspicious", 0.0),
    );
    assert_eq!(
        fired(by_state, &later),
        ["glint_emission@30", "glint_emission@40"]
    );
    let off = rule("{ glint = {} }", "enabled = false");
    assert!(fired(off, &events).is_empty());
}

#[test]
fn what_a_publisher_says_is_no_change_of_the_state() {
    let rules = rule(r#"{ phase = { enters = "*" } }"#, "");
    let first = change(1, Name::PhaseUpdate, "inhale", "clear", 0.0);
    let spoofed = glint(
        2,
        "a",
        "hold",
        r#"{"event": "glint_emission", "posted_event": "phase_update", "phase": "return"}"#,
    );
    assert!(fired(rules, &[first, spoofed]).is_empty());
}

#[test]
fn a_rule_rests_after_it_fired() {
    let mut matcher = Matcher::new(rule("{ glint = {} }", "cooldown_seconds = 10"), CHAIN_MAX);
    let mut of = |seq| {
        let outcome = matcher.event(&glint(seq, "a", "hold", "{}"));
        (
            outcome.firings.len(),
            outcome
                .skips
                .into_iter()
                .map(|skip| skip.reason)
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(of(100), (1, vec![]));
    assert_eq!(of(109), (0, vec![SkipReason::Cooldown]));
    assert_eq!(of(110), (1, vec![]));
}

#[test]
fn the_same_thing_does_not_fire_twice_within_its_window() {
    let rules = rule(
        "{ glint = {} }",
        "cooldown_seconds = 0\ndedupe_seconds = 60",
    );
    let said = |seq, content: &str| {
        glint(
            seq,
            "a",
            "hold",
            &format!(r#"{{"content": "{content}", "t": {seq}}}"#),
        )
    };
    let events = [
        said(1, "x"),
        said(2, "y"),
        said(3, "x"),
        said(61, "x"),
        said(62, "x"),
    ];
    assert_eq!(
        fired(rules, &events),
        ["glint_emission@1", "glint_emission@2", "glint_emission@61"]
    );
}

#[test]
fn rituals_that_follow_from_each_other_come_to_an_end() {
    let of = |seq, depth: &str| {
        glint(
            seq,
            "ritual.r",
            "hold",
            &format!(r#"{{"ritual": {{"depth": {depth}}}}}"#),
        )
    };
    let mut matcher = Matcher::new(rule("{ glint = {} }", "cooldown_seconds = 0"), 2);
    let depths: Vec<_> = matcher
        .event(&of(1, "1"))
        .firings
        .iter()
        .map(|firing| firing.depth)
        .collect();
    assert_eq!(depths, [1]);
    let outcome = matcher.event(&of(2, "2"));
    assert!(outcome.firings.is_empty());
    assert_eq!(outcome.skips[0].reason, SkipReason::Chain);
    // What a publisher makes up is no reason to fail.
    assert_eq!(matcher.event(&of(3, "\"deep\"")).firings[0].depth, 0);
}

#[test]
fn an_effect_has_one_key_for_all_attempts_and_another_for_everything_else() {
    let key = |rules: Rules, seq| {
        let outcome = Matcher::new(rules, CHAIN_MAX).event(&glint(seq, "a", "hold", "{}"));
        outcome.firings[0].key.to_string()
    };
    let one = || rule("{ glint = {} }", "");
    assert_eq!(key(one(), 1), key(one(), 1));
    assert_eq!(key(one(), 1).len(), 32);
    assert_ne!(key(one(), 1), key(one(), 2));
    assert_ne!(key(one(), 1), key(rule("{ glint = {} }", "retries = 1"), 1));
    assert_eq!(key(one(), 1), key(rule("{ glint = {} }", "# a comment"), 1));
}

#[test]
fn urgent_rules_come_first() {
    let of = |name: &str, priority: &str| {
        format!(
            "[[rule]]\nname = \"{name}\"\npriority = \"{priority}\"\non = {{ glint = {{}} }}\naction = [{{ do = \"set\", climate = \"clear\" }}]\n"
        )
    };
    let text = of("a", "low") + &of("b", "critical") + &of("c", "medium") + &of("d", "critical");
    let outcome = Matcher::new(rules(&text), CHAIN_MAX).event(&glint(1, "a", "hold", "{}"));
    let names: Vec<&str> = outcome
        .firings
        .iter()
        .map(|firing| &*firing.rule.name)
        .collect();
    assert_eq!(names, ["b", "d", "c", "a"]);
}

#[test]
fn a_schedule_fires_once_a_slot_and_in_its_phase() {
    let mut matcher = Matcher::new(
        rule(
            r#"{ schedule = { every_seconds = 10, phase = "hold" } }"#,
            "",
        ),
        CHAIN_MAX,
    );
    let mut count = |seconds: i64| matcher.tick(Stamp(seconds * SECOND)).firings.len();
    assert_eq!(
        [count(5), count(11), count(12)],
        [0, 0, 0],
        "the breath is elsewhere"
    );
    matcher.event(&change(1, Name::PhaseUpdate, "hold", "clear", 0.0));
    let mut count = |seconds: i64| matcher.tick(Stamp(seconds * SECOND)).firings.len();
    assert_eq!(
        [count(19), count(20), count(21), count(29), count(45)],
        [0, 1, 0, 0, 1]
    );
}

#[test]
fn what_was_saved_goes_on_where_it_was() {
    let text = "{ usage = { above = 0.8 } }";
    let mut first = Matcher::new(rule(text, "cooldown_seconds = 100"), CHAIN_MAX);
    let usage = |seq, usage| change(seq, Name::UsageUpdate, "hold", "clear", usage);
    assert_eq!(first.event(&usage(1, 0.9)).firings.len(), 1);
    let saved = first.save();
    let mut second = Matcher::new(rule(text, "cooldown_seconds = 100"), CHAIN_MAX).resumed(&saved);
    assert!(
        second.event(&usage(2, 0.95)).firings.is_empty(),
        "it was beyond already"
    );
    second.event(&usage(3, 0.1));
    assert!(
        second.event(&usage(4, 0.9)).firings.is_empty(),
        "it rests still"
    );
    // Another version of the rule begins where usage is.
    let mut third = Matcher::new(rule(text, ""), CHAIN_MAX).resumed(&saved);
    assert!(third.event(&usage(5, 0.95)).firings.is_empty());
}

#[test]
fn a_rehearsal_says_what_would_have_been_and_why_not() {
    let mut rehearsal = Rehearsal::new(rule("{ glint = {} }", "cooldown_seconds = 10"), CHAIN_MAX);
    for seq in 0..100 {
        rehearsal.event(&glint(seq, "a", "hold", "{}"));
    }
    let report = rehearsal.report();
    let tally = &report.rules["r"];
    assert_eq!(
        (report.events, tally.fired, tally.skipped["cooldown"]),
        (100, 10, 90)
    );
    assert_eq!((report.firings.len(), report.skips.len()), (10, 90));
}

#[test]
fn the_index_finds_what_comparing_each_rule_finds() {
    let sources = ["a", "b", "spiral.linter", "spiral.x", "memory.scroll"];
    let phases = ["hold", "Hold", "inhale", "exhale.cast"];
    let globs = ["", "a", "spiral.*", "*", "b,spiral.?", "memory.scroll"];
    let phase_globs = ["", "hold", "*hale*", "HOLD,inhale"];
    let mut text = String::new();
    for (nth, (module, phase)) in globs
        .iter()
        .flat_map(|module| phase_globs.iter().map(move |phase| (module, phase)))
        .cycle()
        .take(150)
        .enumerate()
    {
        text += &format!(
            "[[rule]]\nname = \"r{nth}\"\ncooldown_seconds = 0\non = {{ glint = {{ module = \"{module}\", phase = \"{phase}\" }} }}\naction = [{{ do = \"set\", climate = \"clear\" }}]\n"
        );
    }
    let rules = rules(&text);
    let mut matcher = Matcher::new(rules.clone(), CHAIN_MAX);
    for source in sources {
        for phase in phases {
            let mut found: Vec<_> = matcher
                .event(&glint(1, source, phase, "{}"))
                .firings
                .iter()
                .map(|firing| firing.rule.name.clone())
                .collect();
            let fits = |rule: &&Arc<Rule>| {
                let Trigger::Glint { modules, phases } = &rule.trigger else {
                    return false;
                };
                let any = |globs: &[sieve::Glob], word: &str| {
                    globs.is_empty() || globs.iter().any(|glob| glob.matches(word))
                };
                any(modules, source) && any(phases, phase)
            };
            let mut expected: Vec<_> = rules
                .rules
                .iter()
                .filter(fits)
                .map(|rule| rule.name.clone())
                .collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{source} {phase}");
        }
    }
}
