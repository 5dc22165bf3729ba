use super::*;
use crate::rule::Crossing;

const BUILT_IN: &str = include_str!("../../../../../config/rituals.toml");

fn problems(text: &str) -> Vec<(usize, String)> {
    let Err(problems) = read(text) else {
        panic!("taken: {text}");
    };
    problems
        .0
        .into_iter()
        .map(|problem| (problem.line, problem.reason))
        .collect()
}

#[test]
fn the_rules_that_come_along_are_good_and_name_what_the_seed_and_the_scheduler_do() {
    let rules = read(BUILT_IN).unwrap_or_else(|err| panic!("{err}"));
    let names: Vec<&str> = rules.rules.iter().map(|rule| &*rule.name).collect();
    for name in [
        "memory_archival",
        "usage_warning",
        "input_pause",
        "suspicion_watcher",
        "night_rest",
        "phase_return",
        "climate_restricted",
        "usage_0.3",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    assert!(matches!(
        rules.rules[1].trigger,
        Trigger::Usage(Crossing::Above { bound: 0.8, .. })
    ));
    // Every command is one of the examples beside the file.
    for action in rules.rules.iter().flat_map(|rule| &rule.actions) {
        if let Action::Command { program, .. } = action {
            assert!(
                ["breathe", "memory_archival"].contains(&&**program),
                "{program}"
            );
        }
    }
}

#[test]
fn every_problem_is_told_with_its_line() {
    let text = r#"[[rule]]
name = "a b"
on = { glint = { modul = "x" } }
cooldown_seconds = -1
[[rule.action]]
do = "emit"
content = "{glint.sauce}"

[[rule]]
name = "x"
on = { phase = { enters = "noon" }, seal = {} }
filter = "glint.source = 'a'"
[[rule.action]]
do = "command"
program = "../sh"
[[rule.action]]
do = "dance"

[[rule]]
name = "x"
on = { usage = { above = 0.5, release = 0.6 } }
priority = "urgent"
retries = "many"
colour = "red"
"#;
    let found = problems(text);
    let expected = [
        (2, "is no name"),
        (3, "has no key \"modul\"; is module meant?"),
        (4, "from 0 to"),
        (7, "{glint.sauce} is not known"),
        (11, "2 triggers"),
        (12, "filter: the expression is no CEL"),
        (15, "without a path"),
        (17, "\"dance\" is none of"),
        (21, "far side"),
        (22, "\"urgent\" is none of"),
        (23, "retries is a whole number, not a TOML string"),
        (24, "no key \"colour\""),
    ];
    for (line, says) in expected {
        assert!(
            found
                .iter()
                .any(|(at, reason)| *at == line && reason.contains(says)),
            "{line} {says}: {found:#?}"
        );
    }
    assert!(
        found
            .iter()
            .any(|(line, reason)| *line == 19 && reason.contains("[[rule.action]]")),
        "{found:#?}"
    );
}

#[test]
fn names_are_unique() {
    let one = "[[rule]]\nname = \"x\"\non = { seal = {} }\naction = [{ do = \"set\", climate = \"clear\" }]\n";
    let found = problems(&format!("{one}{one}"));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].0 == 5 && found[0].1.contains("line 1"),
        "{found:?}"
    );
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let found = problems("[[rule]]\nname = \"x\"\non = {{\n");
    assert!(
        found
            .iter()
            .any(|(line, reason)| *line == 3 && reason.contains("no TOML")),
        "{found:?}"
    );
    assert!(
        problems("rule = 3")
            .iter()
            .any(|(_, reason)| reason.contains("[[rule]]"))
    );
    assert!(
        problems("[[rules]]\n")
            .iter()
            .any(|(_, reason)| reason.contains("is rule meant"))
    );
}

#[test]
fn a_huge_file_is_refused_unread() {
    let found = problems(&"#".repeat(10 << 20));
    assert_eq!(found.len(), 1);
    assert!(found[0].1.contains("the limit is 1048576"), "{found:?}");
    let many = "[[rule]]\nname = \"x\"\n".repeat(MAX_RULES + 1);
    assert!(
        problems(&many)
            .iter()
            .any(|(_, reason)| reason.contains("the limit is 1000"))
    );
}

#[test]
fn webhooks_carry_no_passwords_in_their_address() {
    let of = |url: &str| {
        read(&format!(
            "[[rule]]\nname = \"x\"\non = {{ seal = {{}} }}\naction = [{{ do = \"webhook\", url = \"{url}\" }}]\n"
        ))
    };
    for url in ["http://example.org/hook?a=b", "https://example.org"] {
        assert!(of(url).is_ok(), "{url}");
    }
    for url in [
        "ftp://example.org",
        "http://user:secret@example.org",
        "https://user:secret@example.org",
        "http://",
        "https://",
        "https:///hook",
        "example.org",
        "http://a b",
    ] {
        assert!(of(url).is_err(), "{url}");
    }
}

#[test]
fn nothing_is_a_file_of_no_rules() {
    assert!(read("").expect("no rules").rules.is_empty());
}
