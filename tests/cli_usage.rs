//! What the command line promises: help, version and exit codes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::{Command, Output};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_glintcast"))
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn the_version_is_that_of_the_package() {
    let output = run(&["--version"]);
    let expected = concat!("glintcast ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn every_help_page_has_an_example_and_the_first_has_the_exit_codes() {
    for args in [
        &["--help"][..],
        &["serve", "--help"],
        &["check-config", "--help"],
        &["publish", "--help"],
        &["tail", "--help"],
        &["gs1", "encode", "--help"],
        &["gs1", "decode", "--help"],
        &["glyph", "fmt", "--help"],
        &["glyph", "json", "--help"],
        &["glyph", "hash", "--help"],
    ] {
        let output = run(args);
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(text.contains("Examples:\n"), "{args:?}: {text}");
    }
    let output = run(&["--help"]);
    let text = String::from_utf8_lossy(&output.stdout);
    for code in ["  0 ", "  1 ", "  64 ", "  70 "] {
        assert!(text.contains(code), "{text}");
    }
}

#[test]
fn a_wrong_command_line_exits_with_64() {
    for args in [
        &["frobnicate"][..],
        &["--frobnicate"],
        &["serve", "extra"],
        &["gs1"],
        &["glyph", "fmt", "--form", "round"],
        &["publish", "--to", "https://localhost"],
        &["publish", "--to", "localhost:5056"],
        &["publish", "--rate", "0"],
        &["publish", "--batch", "0"],
        &["tail", "--from", "yesterday"],
        &["tail", "--limit", "0"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(64), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn a_file_that_is_not_there_exits_with_1_and_is_named() {
    let output = run(&["publish", "/no/such/file"]);
    let notes = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(notes.contains("/no/such/file"), "{notes}");
}
