//! What the settings promise: four layers, and every problem at once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Output};

use glint::phase::Anchor;
use glintcast::config::{self, Flag, Layer, LogFormat, MANUAL, Sources};

fn program(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_glintcast"))
        .args(args)
        .output()
        .unwrap()
}

fn file(name: &str, text: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = dir.join(format!("{name}-{}.toml", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

fn environment(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn problems(sources: &Sources) -> Vec<String> {
    let problems = config::load(sources).unwrap_err().0;
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn later_layers_win_and_are_named() {
    let path = file(
        "layers",
        "[edge]\nworkers = 2\nbatch_max = 7\nlisten = '127.0.0.1:1'\n[breath]\nspeed = 60\n",
    );
    let sources = Sources {
        file: Some(path.clone()),
        environment: environment(&[
            ("GLINTCAST__EDGE__WORKERS", "3"),
            ("GLINTCAST__EDGE__LISTEN", "127.0.0.1:2"),
            ("GLINTCAST__BREATH__HOURS", "1, 2, 3, 4, 5.5"),
            ("GLINTCAST__LOG__FORMAT", "json"),
            ("PATH", "/bin"),
        ]),
        flags: vec![Flag {
            name: "--listen",
            key: "edge.listen",
            value: "127.0.0.1:3".into(),
        }],
    };
    let loaded = config::load(&sources).unwrap();
    let settings = &loaded.settings;
    assert_eq!(settings.edge.listen.port(), 3);
    assert_eq!(settings.edge.workers, 3);
    assert_eq!(settings.edge.batch_max, 7);
    assert_eq!(settings.edge.keepalive_seconds, 15);
    assert_eq!(settings.breath.hours, [1.0, 2.0, 3.0, 4.0, 5.5]);
    assert_eq!(settings.breath.speed, 60.0);
    assert_eq!(settings.log.format, LogFormat::Json);

    let layer = |key: &str| {
        let found = loaded.effective.iter().find(|entry| entry.key == key);
        found.unwrap().layer.clone()
    };
    assert_eq!(layer("edge.listen"), Layer::Flag("--listen"));
    let variable = "GLINTCAST__EDGE__WORKERS".to_owned();
    assert_eq!(layer("edge.workers"), Layer::Environment(variable));
    assert_eq!(layer("edge.batch_max"), Layer::File(path));
    assert_eq!(layer("edge.views_max"), Layer::Default);
}

#[test]
fn a_token_is_never_shown() {
    let with_token = |token: &str| Sources {
        environment: environment(&[("GLINTCAST__ADMIN__TOKEN", token)]),
        ..Sources::default()
    };
    let loaded = config::load(&with_token("0123456789abcdef")).unwrap();
    assert_eq!(
        loaded.settings.admin.token.expose(),
        Some("0123456789abcdef")
    );
    let said = format!("{loaded:?}");
    assert!(!said.contains("0123456789abcdef"), "{said}");
    let problems = problems(&with_token("hunter2"));
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].contains("admin.token") && !problems[0].contains("hunter2"),
        "{problems:?}"
    );
}

#[test]
fn all_problems_of_all_layers_are_reported_at_once() {
    let path = file(
        "bad",
        "stray = 1\n[edge]\nworkrs = 4\nkeepalive_seconds = 26\nbatch_max = 'many'\n[tial]\nevents = 1\n",
    );
    let found = problems(&Sources {
        file: Some(path),
        environment: environment(&[
            ("GLINTCAST__BREATH__UTC_OFFSET", "Europe/Berlin"),
            ("GLINTCAST__LISTEN", "x"),
        ]),
        flags: vec![Flag {
            name: "--listen",
            key: "edge.listen",
            value: "everywhere".into(),
        }],
    });
    let expected = [
        ": stray = 1: unknown key",
        ": edge.workrs = 4: unknown key; did you mean edge.workers?",
        ": edge.keepalive_seconds = 26: must be 1 to 25",
        ": edge.batch_max = \"many\": must be a whole number, not a text in quotes",
        ": tial.events = 1: unknown key; did you mean tail.events?",
        "environment GLINTCAST__BREATH__UTC_OFFSET: breath.utc_offset = \"Europe/Berlin\": write sign",
        "environment GLINTCAST__LISTEN: listen = x: unknown key; did you mean GLINTCAST__EDGE__LISTEN?",
        "flag --listen: edge.listen = \"everywhere\": write an IP address and a port",
    ];
    for part in expected {
        let count = found.iter().filter(|line| line.contains(part)).count();
        assert_eq!(count, 1, "{part} in {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let found = problems(&Sources {
        environment: environment(&[
            ("GLINTCAST__DRAIN__RETRY_MIN_MS", "6000"),
            ("GLINTCAST__EDGE__BATCH_LIMIT_BYTES", "2048"),
            ("GLINTCAST__LANE__PAGE_BYTES", "16777216"),
        ]),
        ..Sources::default()
    });
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].contains("edge.glint_limit_bytes"), "{found:#?}");
    assert!(found[1].contains("lane.page_bytes"), "{found:#?}");
    assert!(found[2].contains("may not be larger than drain.retry_max_ms = 5000 (default)"));
}

#[test]
fn a_breath_is_refused_when_it_would_stand_still() {
    for (key, value) in [
        ("HOURS", "[2, 0, 4, 4, 10]"),
        ("HOURS", "[2, 4, 4, 4]"),
        ("HOURS", "[2, nan, 4, 4, 1]"),
        ("SPEED", "0"),
        ("SPEED", "inf"),
        ("USAGE_STEP", "1.5"),
        ("ANCHOR", "2026-02-30T00:00:00Z"),
    ] {
        let name = format!("GLINTCAST__BREATH__{key}");
        let found = problems(&Sources {
            environment: environment(&[(&name, value)]),
            ..Sources::default()
        });
        assert_eq!(found.len(), 1, "{key} {value}: {found:#?}");
    }
}

#[test]
fn an_anchor_may_be_an_instant_and_makes_a_breath() {
    let sources = Sources {
        environment: environment(&[
            ("GLINTCAST__BREATH__ANCHOR", "2026-01-01T06:00:00+02:00"),
            ("GLINTCAST__BREATH__UTC_OFFSET", "-04:30"),
        ]),
        ..Sources::default()
    };
    let breath = config::load(&sources).unwrap().settings.breath;
    let Anchor::Fixed(stamp) = breath.anchor else {
        panic!("{:?}", breath.anchor);
    };
    assert_eq!(stamp.to_string(), "2026-01-01T04:00:00.000000Z");
    assert_eq!(breath.zone.east_seconds, -16_200);
    assert_eq!(breath.breath(stamp).unwrap().at(stamp).progress, 0.0);
}

#[test]
fn the_log_level_is_known_to_be_read() {
    let load = |level: &str| {
        config::load(&Sources {
            environment: environment(&[("GLINTCAST__LOG__LEVEL", level)]),
            ..Sources::default()
        })
    };
    for level in [
        "debug",
        "INFO",
        "warn,actors=trace",
        "info,actors::hub=debug,off",
    ] {
        assert!(load(level).is_ok(), "{level}");
    }
    for level in ["inffo", "", "actors=loud", "info,=,"] {
        assert!(load(level).is_err(), "{level}");
    }
}

#[test]
fn the_manual_explains_every_key_and_the_settings_have_them_all() {
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    let mut before = "";
    for line in MANUAL.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
            assert!(before.starts_with("# "), "[{section}] has no comment");
        } else if let Some((name, value)) = line.split_once(" = ")
            && !line.starts_with('#')
        {
            assert!(before.starts_with("# "), "{section}.{name} has no comment");
            let (above, _) = MANUAL.split_once(line).unwrap();
            let comment = above.rsplit("\n\n").next().unwrap().replace("\n# ", " ");
            let default = format!("Default {value}");
            assert!(comment.contains(&default), "{section}.{name}: {comment}");
            keys.insert(format!("{section}.{name}"));
        }
        before = line;
    }
    // A key that the settings lack is refused when they are made, one that the manual lacks is missing then.
    let loaded = config::load(&Sources::default()).unwrap();
    let effective = loaded.effective.into_iter();
    assert_eq!(
        effective.map(|entry| entry.key).collect::<BTreeSet<_>>(),
        keys
    );
}

#[test]
fn check_config_prints_what_is_in_force_in_the_form_of_a_file() {
    let path = file("good", "[edge]\nworkers = 2\n");
    let output = program(&["check-config", "--config", path.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    assert_eq!((output.status.code(), first), (Some(0), "ok"));
    let line = rest.lines().find(|line| line.starts_with("edge.workers"));
    let line = line.unwrap();
    assert!(line.starts_with("edge.workers = 2 "), "{line}");
    assert!(
        line.ends_with(&format!("# file {}", path.display())),
        "{line}"
    );
    let again = file("again", rest);
    let output = program(&["check-config", "--config", again.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn wrong_settings_exit_with_64_and_start_nothing() {
    for args in [
        &["check-config", "--config", "/no/such/file"][..],
        &["serve", "--config", "/no/such/file"],
        &["--config", "/no/such/file"],
        &["serve", "--listen", "5056"],
        &["serve", "--data", "/dev/null/data"],
    ] {
        let output = program(args);
        assert_eq!(output.status.code(), Some(64), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn a_file_that_is_no_settings_file_is_named() {
    let path = file("no-toml", "[edge\nlisten");
    let found = problems(&Sources {
        file: Some(path.clone()),
        ..Sources::default()
    });
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with(&format!("file {}: not TOML", path.display())));
}
