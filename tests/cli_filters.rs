//! What the filters promise: GS1 frames and GLYPH texts, line by line.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;

/// What a run of the program left behind.
struct Ran {
    code: i32,
    out: Vec<u8>,
    notes: String,
}

impl Ran {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }
}

fn run(args: &[&str], input: &[u8]) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_glintcast"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // The program may stop reading before the end of the input: that is its right.
    let feed = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: output.stdout,
        notes: String::from_utf8(output.stderr).unwrap(),
    }
}

const HASH: &str = "86289d0995ec08fb6f57ac4a919925bf14c1991bc53d73954d49b3451876c278";

#[test]
fn frames_are_written_as_every_reader_expects_them() {
    let base = format!(
        r#"{{"sid":1,"seq":9,"kind":"row","payload":"[1 2]","crc":true,"base":"{HASH}","final":true}}"#
    );
    let framed = format!(
        "@frame{{v=1 sid=1 seq=9 kind=row len=5 crc=0191a9db base=sha256:{HASH} final=true}}\n[1 2]\n"
    );
    let cases = [
        (
            r#"{"sid":0,"seq":0,"kind":"doc","payload":"{}"}"#,
            "@frame{v=1 sid=0 seq=0 kind=doc len=2}\n{}\n",
        ),
        (
            r#"{"sid":1,"seq":10,"kind":"ack","crc":true,"base":null,"final":false}"#,
            "@frame{v=1 sid=1 seq=10 kind=ack len=0}\n\n",
        ),
        (
            r#"{"sid":1,"seq":2,"kind":0,"payload_b64":"e2E9MX0=","crc":true}"#,
            "@frame{v=1 sid=1 seq=2 kind=doc len=5 crc=0fe0ca55}\n{a=1}\n",
        ),
        (
            r#"{"sid":18446744073709551615,"seq":18446744073709551615,"kind":"ping"}"#,
            "@frame{v=1 sid=18446744073709551615 seq=18446744073709551615 kind=ping len=0}\n\n",
        ),
        (
            r#"{"sid":7,"seq":6,"kind":9,"payload":"x","crc":"8CDC1683"}"#,
            "@frame{v=1 sid=7 seq=6 kind=9 len=1 crc=8cdc1683}\nx\n",
        ),
        (&base, &framed),
    ];
    for (line, frame) in cases {
        let ran = run(&["gs1", "encode"], line.as_bytes());
        assert_eq!((ran.text(), ran.code), (frame, 0), "{}", ran.notes);
    }
}

#[test]
fn binary_frames_have_the_layout_of_the_format() {
    let line = r#"{"sid":1,"seq":2,"kind":"patch","payload":"{a=1}","crc":true}"#;
    let ran = run(&["gs1", "encode", "--binary"], line.as_bytes());
    let mut expected = b"GS1\x01\x01\x01".to_vec();
    expected.extend_from_slice(&1_u64.to_be_bytes());
    expected.extend_from_slice(&2_u64.to_be_bytes());
    expected.extend_from_slice(&5_u32.to_be_bytes());
    expected.extend_from_slice(&0x0fe0_ca55_u32.to_be_bytes());
    expected.extend_from_slice(b"{a=1}");
    assert_eq!((ran.out, ran.code), (expected, 0));
}

#[test]
fn what_is_encoded_decodes_to_the_same_lines_in_both_forms() {
    let lines = [
        r#"{"sid":7,"seq":1,"kind":"doc","payload":"{city=\"Zürich\" e=\"😀\"}"}"#.to_owned(),
        r#"{"sid":7,"seq":2,"kind":"doc","payload":"@frame{v=1 sid=9 seq=9 kind=doc len=2}\n{}\n"}"#
            .to_owned(),
        r#"{"sid":7,"seq":3,"kind":"pong","payload":""}"#.to_owned(),
        r#"{"sid":7,"seq":4,"kind":255,"payload":"a\rb\u0000","crc":"8d7dd1ad"}"#.to_owned(),
        format!(
            r#"{{"sid":1,"seq":9,"kind":"row","payload":"[1 2]","crc":"0191a9db","base":"{HASH}","final":true}}"#
        ),
    ];
    let input = lines.map(|line| line + "\n").concat();
    for form in [&["gs1", "encode"][..], &["gs1", "encode", "--binary"]] {
        let frames = run(form, input.as_bytes());
        assert_eq!((frames.code, frames.notes.as_str()), (0, ""));
        let lenient = run(&["gs1", "decode", "--lenient"], &frames.out);
        let strict = run(&["gs1", "decode"], &frames.out);
        // The checksum of the fourth line is made up: that frame alone is refused.
        let (expected, refused) = (input.lines().enumerate(), "{\"error\":\"CRC_MISMATCH\"");
        for ((index, line), decoded) in expected.zip(strict.text().lines()) {
            let fits = if index == 3 {
                decoded.starts_with(refused)
            } else {
                decoded == line
            };
            assert!(fits, "{decoded}\n{line}");
        }
        assert_eq!(strict.text().lines().count(), 5);
        assert_eq!((strict.code, lenient.code), (1, 1));
    }
}

#[test]
fn bytes_that_are_no_text_travel_as_base64_in_binary_frames_only() {
    let line = r#"{"sid":1,"seq":1,"kind":"doc","payload_b64":"/wA="}"#;
    let text = run(&["gs1", "encode"], line.as_bytes());
    assert_eq!((text.code, text.out.len()), (1, 0));
    assert!(text.notes.contains("use --binary"), "{}", text.notes);
    let binary = run(&["gs1", "encode", "--binary"], line.as_bytes());
    let back = run(&["gs1", "decode"], &binary.out);
    assert_eq!(back.text(), format!("{line}\n"));
}

#[test]
fn a_bad_payload_leaves_the_next_frame_readable_and_a_bad_header_does_not() {
    let bad = "@frame{v=1 sid=1 seq=1 kind=doc len=2 crc=00000000}\n{}\n";
    let good = "@frame{v=1 sid=1 seq=2 kind=doc len=2}\n{}\n";
    let read = "{\"sid\":1,\"seq\":2,\"kind\":\"doc\",\"payload\":\"{}\"}\n";
    let ran = run(&["gs1", "decode"], format!("{bad}{good}").as_bytes());
    let (error, rest) = ran.text().split_once('\n').unwrap();
    assert!(
        error.starts_with("{\"error\":\"CRC_MISMATCH\",\"at\":"),
        "{error}"
    );
    assert_eq!((rest, ran.code), (read, 1));

    let ran = run(
        &["gs1", "decode"],
        format!("{good}nonsense\n{good}").as_bytes(),
    );
    let (first, error) = ran.text().split_once('\n').unwrap();
    assert_eq!(format!("{first}\n"), read);
    assert_eq!(error, "{\"error\":\"FRAME_INVALID\",\"at\":42}\n");
    assert_eq!(ran.code, 1);

    let ran = run(&["gs1", "decode"], &good.as_bytes()[..40]);
    assert!(ran.text().starts_with("{\"error\":\"FRAME_INVALID\""));
    assert_eq!(ran.code, 1);
    assert_eq!(run(&["gs1", "decode"], b"").code, 0);
}

#[test]
fn leniency_guesses_what_is_missing() {
    let frame = "@frame{sid=3 seq=4 what kind=row len=1}\nx";
    assert_eq!(run(&["gs1", "decode"], frame.as_bytes()).code, 1);
    let ran = run(&["gs1", "decode", "--lenient"], frame.as_bytes());
    let expected = "{\"sid\":3,\"seq\":4,\"kind\":\"row\",\"payload\":\"x\"}\n";
    assert_eq!((ran.text(), ran.code), (expected, 0));
}

#[test]
fn frames_that_cannot_be_written_are_named_and_passed_over() {
    let good = r#"{"sid":1,"seq":1,"kind":"doc"}"#;
    for (line, code) in [
        ("[]", "not_an_object"),
        ("{", "json_syntax"),
        (r#"{"seq":1,"kind":"doc"}"#, "member_missing: sid"),
        (r#"{"sid":-1,"seq":1,"kind":"doc"}"#, "member_invalid: sid"),
        (
            r#"{"sid":1,"seq":18446744073709551616,"kind":"doc"}"#,
            "member_invalid: seq",
        ),
        (r#"{"sid":1,"seq":1,"kind":"DOC"}"#, "member_invalid: kind"),
        (r#"{"sid":1,"seq":1,"kind":256}"#, "member_invalid: kind"),
        (
            r#"{"sid":1,"seq":1,"kind":"doc","base":"00"}"#,
            "member_invalid: base",
        ),
        (
            r#"{"sid":1,"seq":1,"kind":"doc","payload_b64":"*"}"#,
            "member_invalid: payload_b64",
        ),
        (
            r#"{"sid":1,"seq":1,"kind":"doc","payload":"","payload_b64":""}"#,
            "member_invalid: give",
        ),
        (
            r#"{"sid":1,"seq":1,"kind":"doc","payload64":""}"#,
            "member_unknown",
        ),
    ] {
        let ran = run(&["gs1", "encode"], format!("\n{line}\n{good}\n").as_bytes());
        assert_eq!(
            ran.text(),
            "@frame{v=1 sid=1 seq=1 kind=doc len=0}\n\n",
            "{line}"
        );
        assert_eq!(ran.code, 1);
        assert!(
            ran.notes.starts_with(&format!("line 2: {code}")),
            "{}",
            ran.notes
        );
    }
}

#[test]
fn json_is_spelt_in_three_forms() {
    let line = r#"{"b":null,"a":[{"id":1},{"id":2},{"id":3}],"_x":"_y"}"#.as_bytes();
    for (form, expected) in [
        (
            "profile",
            r#""{\"_x\"=\"_y\" a=[{id=1} {id=2} {id=3}] b=∅}""#,
        ),
        ("notabular", r#""{_x=_y a=[{id=1} {id=2} {id=3}] b=∅}""#),
        (
            "loose",
            r#""{_x=_y a=@tab _ rows=3 cols=1 [id]\n|1|\n|2|\n|3|\n@end b=_}""#,
        ),
    ] {
        let ran = run(&["glyph", "fmt", "--form", form], line);
        assert_eq!((ran.text().trim_end(), ran.code), (expected, 0), "{form}");
        let back = run(&["glyph", "json"], &ran.out);
        let json = r#"{"_x":"_y","a":[{"id":1},{"id":2},{"id":3}],"b":null}"#;
        assert_eq!((back.text().trim_end(), back.code), (json, 0), "{form}");
    }
    let default = run(&["glyph", "fmt"], line);
    assert_eq!(
        default.out,
        run(&["glyph", "fmt", "--form", "profile"], line).out
    );
}

#[test]
fn state_hashes_are_those_of_other_implementations() {
    let ran = run(&["glyph", "hash"], b"{\"y\":2,\"x\":1}\n{}\n[]\nnull\n");
    let prefixes = [
        &HASH[..16],
        "44136fa355b3678a",
        "4f53cda18c2baa0c",
        "d2e2adf7177b7a8a",
    ];
    assert_eq!(ran.text().lines().count(), 4);
    for (line, prefix) in ran.text().lines().zip(prefixes) {
        assert_eq!(line.len(), 64);
        assert!(line.starts_with(prefix), "{line}");
    }
}

#[test]
fn a_line_that_is_refused_leaves_an_error_in_its_place() {
    let ran = run(&["glyph", "hash"], b"{}\n\n{\"a\":}\n[]\n\xFF\n");
    let lines: Vec<&str> = ran.text().lines().collect();
    assert_eq!((lines.len(), ran.code), (4, 1));
    assert!(lines[1].starts_with("{\"error\":\"json_syntax\",\"line\":3,\"detail\":\""));
    assert_eq!(lines[2].len(), 64);
    assert!(lines[3].starts_with("{\"error\":\"line_unreadable\",\"line\":5,"));
    let ran = run(&["glyph", "json"], b"{}\n\"{a=\"\n\"t\"\n");
    let lines: Vec<&str> = ran.text().lines().collect();
    assert!(lines[0].starts_with("{\"error\":\"not_a_string\",\"line\":1,"));
    assert!(lines[1].starts_with("{\"error\":\"glyph_"), "{}", lines[1]);
    assert_eq!((lines[2], ran.code), ("true", 1));
}

#[test]
fn a_hundred_thousand_lines_pass_in_order() {
    let lines: String = (0..100_000)
        .map(|seq| {
            format!("{{\"sid\":1,\"seq\":{seq},\"kind\":\"doc\",\"payload\":\"{{n={seq}}}\"}}\n")
        })
        .collect();
    let frames = run(&["gs1", "encode"], lines.as_bytes());
    assert_eq!(frames.code, 0);
    let back = run(&["gs1", "decode"], &frames.out);
    assert!(back.text() == lines, "the lines came back changed");
    let texts = run(&["glyph", "fmt"], lines.as_bytes());
    assert_eq!((texts.text().lines().count(), texts.code), (100_000, 0));
}

#[test]
fn a_reader_that_has_read_enough_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_glintcast"))
        .args(["glyph", "hash"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    // More than the pipe and the buffers hold: the program is sure to write before the end.
    drop(stdin.write_all(&b"{}\n".repeat(200_000)));
    drop(stdin);
    let mut notes = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut notes).unwrap();
    assert_eq!(
        (child.wait().unwrap().code(), notes.as_str()),
        (Some(0), "")
    );
}
